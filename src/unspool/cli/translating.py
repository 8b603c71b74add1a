"""Answers to texts as they come: what ``unspool predict`` does with a model of pairs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unspool.cli.options import Device, checked

if TYPE_CHECKING:
    from unspool.decoding.settings import BeamSettings
    from unspool.tasks.translator import TextTranslator, Translation

_AT_A_TIME = 256  # texts


def load(path: Path, device: Device) -> TextTranslator:
    """Load a model that is to have a say.

    Raises
    ------
    UnspoolError
        If it is none, or none of pairs.
    """
    from unspool.devices import device_called
    from unspool.errors import UnspoolError
    from unspool.tasks import model_folder
    from unspool.tasks.translator import TextTranslator

    other = model_folder.load(path, device_called(device))
    if not isinstance(other, TextTranslator):
        raise UnspoolError(
            f"{path} is a model of task {other.task!r}, expected one of pairs as the first is"
        )
    return other


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


def translate(
    translator: TextTranslator, inputs: Sequence[str], decoding: BeamSettings, *, as_json: bool
) -> None:
    """Print the answers, each as soon as it is known; as JSON all of them at once.

    Of several answers to a text, each stands on a line of its own, after its score.
    """
    from unspool.tasks.translator import texts_of

    predictions = []
    for name in inputs:
        title, texts = texts_of(sys.stdin if name == "-" else name)
        at_a_time = 1 if name == "-" and sys.stdin.isatty() else _AT_A_TIME
        for number, (text, found) in enumerate(translator.stream(texts, decoding, at_a_time)):
            unknown = translator.unknown(text)
            if as_json:
                predictions.append(_record(title, number, text, found, unknown))
                continue
            for one in found:
                line = " ".join(one.text.splitlines())
                typer.echo(line if decoding.n_best == 1 else f"{one.score:.4f}\t{line}")
            sys.stdout.flush()
            if unknown:
                place = f"{title}, line {number + 1}"
                typer.echo(
                    f"{place}: not in the vocabulary: {' '.join(map(_shown, unknown))}", err=True
                )
    if as_json:
        typer.echo(json.dumps({"task": "translate", "predictions": predictions}))


def _shown(piece: str) -> str:
    """A piece as it is, in quotes where nobody would see it."""
    return piece if piece.isprintable() and piece.strip() else repr(piece)


def _record(
    title: str, number: int, text: str, found: Sequence[Translation], unknown: list[str]
) -> dict[str, Any]:
    answers = [
        {
            "text": one.text,
            "score": one.score,
            "log_probability": one.log_probability,
            "finished": one.finished,
        }
        for one in found
    ]
    record = {"input": title, "id": str(number), "source": text, **answers[0], "n_best": answers}
    return {**record, "unknown": unknown} if unknown else record
