"""Answers to texts as they come: what ``unspool predict`` does with a model of pairs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import chain, tee
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from unspool.cli.answer_file import AnswerFile
from unspool.cli.options import Device, checked, spare_inputs
from unspool.errors import DataError, UnspoolError

if TYPE_CHECKING:
    from unspool.decoding.settings import BeamSettings
    from unspool.tasks.translator import TextTranslator, Translation

_AT_A_TIME = 256  # texts
_STANDARD_INPUT = "-"


class Question(NamedTuple):
    """A text to be answered.

    Parameters
    ----------
    title : str
        What the input is called that it stands in.
    number : int
        Its place there, from 0.
    text : str
    """

    title: str
    number: int
    text: str

    @property
    def place(self) -> str:
        """What messages call it."""
        return self.title if self.title == self.text else f"{self.title}, line {self.number + 1}"


# --- several models ------------------------------------------------------------------------


def parted(inputs: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Part the folders of models, which stand before all other inputs, from these.

    Raises
    ------
    UnspoolError
        If there is one among the others.
    """
    first = next((n for n, name in enumerate(inputs) if not _is_model(name)), len(inputs))
    for name in inputs[first:]:
        if _is_model(name):
            raise UnspoolError(
                f"{name} holds a model and stands after {inputs[first]}, expected models before "
                "all texts and files; or give a text by standard input"
            )
    return [Path(name) for name in inputs[:first]], list(inputs[first:])


def _is_model(name: str) -> bool:
    configs = ("config.json", os.path.join("model", "config.json"))
    return any(os.path.isfile(os.path.join(name, config)) for config in configs)


def join(translator: TextTranslator, others: Iterable[Path], device: Device) -> None:
    """Give other models a say.

    Raises
    ------
    UnspoolError
        If one is none, or none of pairs, or has other vocabularies; it is named.
    """
    from unspool.data.sequences import naming
    from unspool.devices import device_called
    from unspool.tasks import model_folder
    from unspool.tasks.translator import TextTranslator

    for path in others:
        other = model_folder.load(path, device_called(device))
        if not isinstance(other, TextTranslator):
            raise UnspoolError(
                f"{path} is a model of task {other.task!r}, expected one of pairs as the first is"
            )
        with naming(str(path)):
            translator.join([other])


# --- answers -------------------------------------------------------------------------------


def decoding(
    translator: TextTranslator, n_best: int, beam: int | None, length_penalty: float | None
) -> BeamSettings:
    """How to search for answers: as the model's recipe says, but for what is given.

    Where no beam is given, it is as wide as the answers asked for, at least.
    """
    from unspool.decoding.settings import BeamSettings

    own = translator.decoding.model_dump()
    given = {
        "beam": beam or max(own["beam"], n_best),
        "n_best": n_best,
        "length_penalty": own["length_penalty"] if length_penalty is None else length_penalty,
    }
    return checked(BeamSettings, **{**own, **given})


def answer_file(
    path: Path | None,
    goes_on: bool,
    decoding: BeamSettings,
    as_json: bool,
    inputs: Sequence[str],
) -> AnswerFile | None:
    """The file that the answers are to be written to, where there is one.

    Raises
    ------
    UnspoolError
        If the options do not fit each other, or it cannot be used.
    """
    if path is None:
        if goes_on:
            raise UnspoolError("--continue goes on with a file, expected --out FILE beside it")
        return None
    if as_json:
        raise UnspoolError("--json prints all answers as one object; leave out --json or --out")
    if goes_on and decoding.n_best > 1:
        raise UnspoolError(
            f"--continue with {decoding.n_best} answers to each text, expected one: the lines "
            "would not tell which texts are answered; leave out --continue or --n-best"
        )
    spare_inputs("--out", path, inputs)
    return AnswerFile(path, goes_on=goes_on)


def print_object(translator: TextTranslator, inputs: Sequence[str], decoding: BeamSettings) -> None:
    """Print all answers at once, as one JSON object."""
    from unspool.cli.progress import TranslationProgress

    questions = _questions(translator, inputs)
    predictions = []
    with _explained(None), TranslationProgress(_count(questions)) as progress:
        for question, found in _answered(translator, questions, decoding, _at_a_time(inputs)):
            predictions.append(_record(question, found, translator.unknown(question.text)))
            progress.step()
    typer.echo(json.dumps({"task": "translate", "predictions": predictions}))


def translate(
    translator: TextTranslator,
    inputs: Sequence[str],
    decoding: BeamSettings,
    file: AnswerFile | None = None,
) -> None:
    """Print the answers, each as soon as it is known; or write them after those of a file.

    Of several answers to a text, each stands on a line of its own, after its score.

    Raises
    ------
    UnspoolError
        If an input cannot be read, or the file answers other texts.
    """
    from unspool.cli.progress import TranslationProgress

    questions = _questions(translator, inputs)
    left, done = iter(questions), 0
    if file is not None:
        left, done = _unanswered(left, file, translator, decoding), file.done
    write = _print if file is None else file.write
    hidden = file is None and sys.stdout.isatty()  # where the answers are themselves to be seen
    bar = TranslationProgress(_count(questions), done, hidden=hidden)
    with _explained(file), file or nullcontext(), bar as progress:
        for question, found in _answered(translator, left, decoding, _at_a_time(inputs)):
            for one in found:
                line = _one_line(one)
                write(line if decoding.n_best == 1 else f"{one.score:.4f}\t{line}")
            if unknown := translator.unknown(question.text):
                lacking = " ".join(map(_shown, unknown))
                progress.note(f"{question.place}: not in the vocabulary: {lacking}")
            progress.step()


def _questions(
    translator: TextTranslator, inputs: Sequence[str]
) -> list[Question] | Iterator[Question]:
    """All texts: a list, or as they come where standard input is among the inputs."""
    from unspool.tasks.translator import texts_of

    def every() -> Iterator[Question]:
        for name in inputs:
            title, texts = texts_of(
                sys.stdin if name == _STANDARD_INPUT else name, translator.columns
            )
            for number, text in enumerate(texts):
                yield Question(title, number, text)

    return every() if _STANDARD_INPUT in inputs else list(every())


def _count(questions: list[Question] | Iterator[Question]) -> int | None:
    return len(questions) if isinstance(questions, list) else None


def _at_a_time(inputs: Sequence[str]) -> int:
    """How many texts are answered together: one to somebody who types."""
    return 1 if _STANDARD_INPUT in inputs and sys.stdin.isatty() else _AT_A_TIME


def _answered(
    translator: TextTranslator,
    questions: Iterable[Question],
    decoding: BeamSettings,
    at_a_time: int,
) -> Iterator[tuple[Question, list[Translation]]]:
    """The questions with their answers."""
    asked, waiting = tee(questions)
    found = translator.stream((question.text for question in asked), decoding, at_a_time)
    for question, (_, answers) in zip(waiting, found, strict=True):
        yield question, answers


def _unanswered(
    questions: Iterator[Question],
    file: AnswerFile,
    translator: TextTranslator,
    decoding: BeamSettings,
) -> Iterator[Question]:
    """The questions that a file leaves; refuse one whose last answers are not this model's."""
    last = None
    for number in range(file.done):
        last = next(questions, None)
        if last is None:
            raise DataError(
                f"{file.path} has {file.done:,} lines and the input has {number:,}, expected no "
                "more answers than texts; it answers another input, choose another --out"
            )
    if last is not None and _line(translator, last, decoding) != file.last:
        raise _of_another(file, file.done, last)
    if not file.rest:
        return questions
    begun = next(questions, None)
    if begun is None or not _line(translator, begun, decoding).encode().startswith(file.rest):
        raise _of_another(file, file.done + 1, begun)
    return chain([begun], questions)


def _line(translator: TextTranslator, question: Question, decoding: BeamSettings) -> str:
    """The line that the best answer to a question is written as."""
    ((best, *_),) = translator.translate([question.text], decoding)
    return _one_line(best)


def _one_line(answer: Translation) -> str:
    return " ".join(answer.text.splitlines())


def _of_another(file: AnswerFile, line: int, question: Question | None) -> DataError:
    asked = question.place if question else "any text of the input"
    return DataError(
        f"{file.path}, line {line}: not what this model answers to {asked}, expected a translation "
        "by the same model, options and input; give those, remove the line and what follows to "
        "have them answered anew, or choose another --out"
    )


@contextmanager
def _explained(file: AnswerFile | None) -> Iterator[None]:
    """Explain an interruption."""
    try:
        yield
    except KeyboardInterrupt:
        hint = f"; to go on: the same command with --continue, {file.path} is kept" if file else ""
        typer.echo(f"unspool: interrupted{hint}", err=True)
        raise typer.Exit(130) from None


def _print(line: str) -> None:
    typer.echo(line)
    sys.stdout.flush()


def _shown(piece: str) -> str:
    """A piece as it is, in quotes where nobody would see it."""
    return piece if piece.isprintable() and piece.strip() else repr(piece)


def _record(question: Question, found: Sequence[Translation], unknown: list[str]) -> dict[str, Any]:
    answers = [
        {
            "text": one.text,
            "score": one.score,
            "log_probability": one.log_probability,
            "finished": one.finished,
        }
        for one in found
    ]
    record = {
        "input": question.title,
        "id": str(question.number),
        "source": question.text,
        **answers[0],
        "n_best": answers,
    }
    return {**record, "unknown": unknown} if unknown else record
