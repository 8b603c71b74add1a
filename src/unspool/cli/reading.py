"""Answers before the end, and pictures on their way in: what ``unspool predict`` does beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from unspool.cli.options import check_picture, checked

if TYPE_CHECKING:
    from unspool.tasks.predictor import Predictor
    from unspool.tasks.sequence_reader import SequenceReader


def answers(
    predictor: Predictor, source: str | TextIO, top: int, by_step: bool, until: float | None
) -> Iterator[dict[str, Any]]:
    """Answer about one input, as soon as the belief is strong enough where that is asked for."""
    from unspool.tasks.sequence_reader import ReadingSettings, SequenceReader

    belief = checked(ReadingSettings, until=until).until
    if belief is None or not isinstance(predictor, SequenceReader):
        return predictor.answers(source, top, by_step)
    return predictor.answers_until(source, top, by_step, belief)


def show_steps(reader: SequenceReader, inputs: Sequence[str], target: Path) -> None:
    """Draw how each picture among the inputs was prepared.

    Raises
    ------
    UnspoolError
        If there is no picture among them, the file is one of them, or it cannot be written.
    """
    check_picture("--show-steps", target, inputs)
    from unspool.errors import UnspoolError
    from unspool.inspection import preparation
    from unspool.storage import write_file

    prepared = [(name, reader.prepared(name)) for name in inputs if name != "-"]
    pictures = {name: found for name, found in prepared if found is not None}
    if not pictures:
        raise UnspoolError(
            f"--show-steps {target}: no INPUT is a picture that the model prepares, expected a "
            "PNG or JPEG file and a model that learned from pictures, light on dark; leave it out"
        )
    write_file(target, preparation.draw(pictures))
    typer.echo(f"how pictures were prepared: {target}", err=True)
