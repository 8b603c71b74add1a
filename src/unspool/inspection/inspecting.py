"""Looks into a network on one input: the trace, and pictures of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial, singledispatch
from pathlib import Path
from typing import Any

from unspool.inspection.explaining import explain
from unspool.inspection.neighbours import neighbours
from unspool.inspection.pictures.attention import attention_matrix
from unspool.inspection.pictures.attribution import attribution_picture
from unspool.inspection.pictures.belief import belief_moving, belief_over_time
from unspool.inspection.pictures.candidates import Guess, candidate_table
from unspool.inspection.pictures.gates import gate_maps
from unspool.inspection.pictures.inputs import SeenInput
from unspool.inspection.pictures.neighbours import neighbouring_sequences, neighbouring_texts
from unspool.inspection.pictures.places import gates_by_place
from unspool.inspection.pictures.sentences import sentence_map
from unspool.inspection.pictures.surprise import surprise
from unspool.inspection.pictures.units import unit_picture
from unspool.inspection.sentences import principal_plane, sentence_vectors
from unspool.inspection.subjects.classifying import Classification
from unspool.inspection.subjects.drawing import Drawing
from unspool.inspection.subjects.predicting import Prediction
from unspool.inspection.subjects.subject import Subject
from unspool.inspection.subjects.translating import Answering
from unspool.inspection.trace import Trace
from unspool.inspection.tracing import MAX_BYTES, trace_subject
from unspool.inspection.tracing import subject as subject_of
from unspool.inspection.units import followers
from unspool.storage import write_file
from unspool.tasks.predictor import Predictor

MOST_PICTURED = 4
"""Of how many sequences pictures are drawn, at most; the trace holds all of them."""

_CANDIDATES = 5
_FEWEST_COMPARED = 3  # sentences: two can be no more than apart
_QUICKLY_EXPLAINED = 256  # steps; what is longer is explained where that is asked for


@dataclass(frozen=True)
class Inspection:
    """What was found inside a network.

    Parameters
    ----------
    trace : Trace
    pictures : dict of bytes
        PNG and GIF files by their names.
    findings : dict
        What is told in words and numbers, fit for JSON.
    """

    trace: Trace
    pictures: dict[str, bytes]
    findings: dict[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path) -> None:
        """Write the trace and the pictures into a folder, in place of those of an earlier one.

        Raises
        ------
        SaveError
            If they could not be written.
        """
        for name, picture in self.pictures.items():
            write_file(Path(folder) / name, picture)
        self.trace.save(folder, self.pictures)

    def lines(self) -> list[str]:
        """What was found, in words."""
        found = []
        count = len(self.trace["lengths"]) if "lengths" in self.trace else 1
        if count > MOST_PICTURED:
            found.append(f"pictures of the first {MOST_PICTURED} of {count}; the trace holds all")
        return found


@dataclass(frozen=True)
class Wishes:
    """What is to be kept of a trace, and what is to be found out beside it.

    Parameters
    ----------
    layers, steps, max_bytes
        See :func:`unspool.inspection.tracing.trace`.
    attribute : str, optional
        The answer that is explained; the model's own when not given.
    neighbours : int, optional
        How many sequences of the training data to find that end in a like state.
    """

    layers: tuple[int, ...] | None = None
    steps: tuple[int, int | None] | None = None
    max_bytes: int = MAX_BYTES
    attribute: str | None = None
    neighbours: int | None = None


def inspect(
    predictor: Predictor, input: Any, wishes: Wishes | None = None, data_dir: Path | None = None
) -> Inspection:
    """Look into a model while it reads an input.

    Parameters
    ----------
    predictor : Predictor
    input : object
        As :func:`unspool.inspection.tracing.trace` takes it.
    wishes : Wishes, optional
    data_dir : Path, optional
        Where the model's training data is looked for first.

    Raises
    ------
    DataError
        As :func:`unspool.inspection.tracing.trace`; or if the model is of a task that does not know
        what was wished for.
    """
    wishes = wishes or Wishes()
    read = subject_of(predictor, input)
    trace = trace_subject(
        read, layers=wishes.layers, steps=wishes.steps, max_bytes=wishes.max_bytes
    )
    drawn = draw(read, trace)
    findings: dict[str, Any] = {}
    if wishes.attribute is not None or _is_quickly_explained(read):
        drawn |= _explained(read, trace, wishes.attribute, findings)
    if wishes.neighbours is not None:
        drawn |= _with_neighbours(read, trace, wishes.neighbours, data_dir, findings)
    if isinstance(read, Classification | Prediction) and (found := followers(trace)):
        findings["units"] = [follower.finding() for follower in found]
        drawn["units.png"] = unit_picture(trace, found)
    if isinstance(read, Answering) and len(read.texts) >= _FEWEST_COMPARED:
        drawn["sentences.png"] = _compared(read)
    return Inspection(trace, drawn, findings)


def _is_quickly_explained(subject: Subject) -> bool:
    if not isinstance(subject, Classification | Prediction):
        return False
    return subject.extent("")[1] <= _QUICKLY_EXPLAINED


def _explained(
    subject: Subject, trace: Trace, label: str | None, findings: dict[str, Any]
) -> dict[str, bytes]:
    count = len(trace["lengths"])
    found = {}
    findings["attribution"] = []
    for number in range(min(count, MOST_PICTURED)):
        seen = SeenInput(trace, number)
        explanation = explain(subject, number, label)
        findings["attribution"].append(explanation.finding())
        values = explanation.attribution.values[seen.steps - 1]
        found[_of_sequence("attribution.png", number, count)] = attribution_picture(
            seen, values, explanation.label, explanation.note
        )
    return found


def _with_neighbours(
    subject: Subject,
    trace: Trace,
    count: int,
    data_dir: Path | None,
    findings: dict[str, Any],
) -> dict[str, bytes]:
    near = neighbours(subject, count, data_dir)
    findings["neighbours"] = [[each.finding() for each in of_one] for of_one in near.found]
    inputs = len(near.found)
    drawn = {}
    for number, found in enumerate(near.found[:MOST_PICTURED]):
        if isinstance(subject, Prediction):
            picture = neighbouring_texts(subject.texts[number], found)
        elif near.sequences is not None and SeenInput(trace, number).values is not None:
            answer = trace.about["classes"][int(trace["logits"][number].argmax())]
            picture = neighbouring_sequences(
                SeenInput(trace, number), answer, found, near.sequences
            )
        else:
            continue
        drawn[_of_sequence("neighbours.png", number, inputs)] = picture
    return drawn


def _compared(subject: Answering) -> bytes:
    plane = principal_plane(sentence_vectors(subject.predictor, subject.texts))
    return sentence_map(subject.texts, plane, title="What the encoder knows at a sentence's end")


def draw(subject: Subject, trace: Trace) -> dict[str, bytes]:
    """Draw what can be drawn of a trace, by the names of the files.

    Where there are several sequences, each has a folder that is called by its number, and only the
    first :data:`MOST_PICTURED` are drawn.
    """
    count = len(trace["lengths"]) if "lengths" in trace else 0
    return {
        _of_sequence(name, number, count): picture()
        for number in range(min(count, MOST_PICTURED))
        for name, picture in pictures(subject, trace, number)
    }


def _of_sequence(name: str, number: int, count: int) -> str:
    return name if count == 1 else f"{number}/{name}"


Drawn = Iterator[tuple[str, Callable[[], bytes]]]
"""Names of files, and what draws each."""


@singledispatch
def pictures(subject: Subject, trace: Trace, number: int) -> Drawn:
    """Tell what can be drawn of one sequence."""
    del subject, trace, number
    yield from ()


@pictures.register
def _(subject: Classification, trace: Trace, number: int) -> Drawn:
    del subject
    seen = SeenInput(trace, number)
    if len(seen.steps) == 0:
        return
    yield "belief.png", lambda: belief_over_time(trace, number)
    if seen.is_picture:
        yield "belief.gif", lambda: belief_moving(trace, number)
    yield from _gates(trace, number)


@pictures.register
def _(subject: Prediction, trace: Trace, number: int) -> Drawn:
    seen = SeenInput(trace, number)
    if len(seen.steps) == 0:
        return
    assert seen.tokens is not None
    tokens = seen.tokens
    guesses = [
        [Guess(subject.label(token), share) for token, share in zip(*best, strict=True)]
        for best in zip(
            trace["candidates"][number, : len(tokens), :_CANDIDATES].tolist(),
            trace["belief"][number, : len(tokens), :_CANDIDATES].tolist(),
            strict=True,
        )
    ]
    title = "What the network expects next"
    yield "candidates.png", lambda: candidate_table(tokens, guesses, title, int(seen.steps[0]))
    yield from _gates(trace, number)


@pictures.register
def _(subject: Answering, trace: Trace, number: int) -> Drawn:
    del subject
    about = trace.about
    if "attention" in trace:
        first = about["steps"][0]
        steps = min(int(trace["lengths"][number]) - first, trace["attention"].shape[1])
        columns = int(trace["encoder.lengths"][number])
        weights = trace["attention"][number, :steps, :columns]
        written = about["written"][number][:steps]
        title = f"{about['texts'][number]}  →  {about['answers'][number]}"
        if steps > 0:
            yield (
                "attention.png",
                lambda: attention_matrix(weights, about["source_tokens"][number], written, title),
            )
    yield from _gates(trace, number)


@pictures.register
def _(subject: Drawing, trace: Trace, number: int) -> Drawn:
    yield "surprise.png", lambda: surprise(trace, number)
    drawing = subject.values[number]
    for layer in layers_of(trace):
        yield _of_gates(layer), partial(gates_by_place, trace, drawing, layer, number)


def _gates(trace: Trace, number: int) -> Drawn:
    for layer in layers_of(trace):
        yield _of_gates(layer), partial(gate_maps, trace, layer, number)


def _of_gates(layer: str) -> str:
    name = layer.removesuffix(".forward").replace(".", "-")
    return f"gates-{name}.png"


def layers_of(trace: Trace) -> Sequence[str]:
    """Name the layers that a trace holds with their directions, such as ``layer.0.forward``."""
    return [name.removesuffix(".hidden") for name in trace if name.endswith(".hidden")]
