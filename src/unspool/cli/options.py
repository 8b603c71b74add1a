"""Options that several commands share, and their check."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from unspool.settings import Settings


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

Checked = TypeVar("Checked", bound="Settings")


def checked(settings: type[Checked], **values: Any) -> Checked:
    """Make settings of options, by whose names an error calls them; None stands for the default.

    Raises
    ------
    UnspoolError
        With everything that is wrong.
    """
    from pydantic import ValidationError

    from unspool.errors import UnspoolError
    from unspool.settings import problems

    given = {name: value for name, value in values.items() if value is not None}
    names = {name: f"--{name.replace('_', '-')}" for name in given}
    try:
        return settings.model_validate(given)
    except ValidationError as error:
        raise UnspoolError("; ".join(problems(error, names=names))) from error
