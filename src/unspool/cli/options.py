"""Options that several commands share, and their check."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from unspool.settings import Settings
    from unspool.tasks.predictor import Predictor


class Device(StrEnum):
    """Where to compute."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Look for data sets here first (else $UNSPOOL_DATA, then the cache)."
    ),
]
DeviceOption = Annotated[Device, typer.Option("--device", help="Where to compute.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
ModelArgument = Annotated[
    Path, typer.Argument(help="A run's folder, or a model folder.", metavar="MODEL")
]
BeamOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pairs: answers that are pursued side by side. [default: the recipe's]",
        metavar="K",
    ),
]
LengthPenaltyOption = Annotated[
    float | None,
    typer.Option(
        "--length-penalty",
        min=0,
        help="Pairs: above 0 long answers are preferred more. [default: the recipe's]",
        metavar="X",
    ),
]

Checked = TypeVar("Checked", bound="Settings")


def checked(settings: type[Checked], **values: Any) -> Checked:
    """Make settings of options, by whose names an error calls them; None stands for the default.

    A table's first value is that of the option ``--table``, any other that of ``--table-value``.

    Raises
    ------
    UnspoolError
        With everything that is wrong.
    """
    from pydantic import ValidationError

    from unspool.errors import UnspoolError
    from unspool.settings import problems

    given = {name: value for name, value in values.items() if value is not None}
    try:
        return settings.model_validate(given)
    except ValidationError as error:
        raise UnspoolError("; ".join(problems(error, names=_options(given)))) from error


def refuse(predictor: Predictor, **options: Any) -> None:
    """Refuse options that are given and have no meaning for a model's task.

    Raises
    ------
    UnspoolError
        If there are any.
    """
    from unspool.errors import UnspoolError

    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise UnspoolError(
            f"{', '.join(given)}: not for models of task {predictor.task!r}; leave that out"
        )


def spare_inputs(option: str, target: Path, inputs: Iterable[str]) -> None:
    """Refuse to write a file that is itself an input.

    Raises
    ------
    UnspoolError
        If it is.
    """
    from unspool.data.inputs import is_file
    from unspool.errors import UnspoolError

    for name in inputs:
        if is_file(str(target)) and is_file(name) and target.samefile(name):
            raise UnspoolError(
                f"{option} {target} is also an input, expected another; choose a new one"
            )


def check_picture(option: str, target: Path, inputs: Iterable[str]) -> None:
    """Refuse to write a picture by a name that says otherwise, or in place of an input.

    Raises
    ------
    UnspoolError
        If it is to be so.
    """
    from unspool.errors import UnspoolError

    if target.suffix.lower() != ".png":
        raise UnspoolError(f"{option} {target}: expected a name that ends in .png")
    spare_inputs(option, target, inputs)


def warn_of_texts(predictor: Predictor, inputs: Iterable[str]) -> None:
    """Say which inputs a model of text reads as texts, where a file may have been meant."""
    for name in inputs if predictor.vocabulary is not None else ():
        if os.path.isdir(name):
            typer.echo(f"{name} is a folder: read as text", err=True)
        elif re.fullmatch(r"\S+\.\w{2,7}", name) and not os.path.exists(name):
            typer.echo(f"no file {name}: read as text", err=True)


def _options(values: Mapping[str, Any]) -> dict[str, str]:
    """The option that each key stands for."""
    options = {}
    for key, value in values.items():
        options[key] = f"--{key.replace('_', '-')}"
        for inner in value if isinstance(value, dict) else ():
            first = inner == next(iter(value))
            options[f"{key}.{inner}"] = options[key] if first else f"{options[key]}-{inner}"
    return options
