"""Options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


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
