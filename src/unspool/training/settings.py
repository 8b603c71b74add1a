"""How a model is trained: a recipe's ``[training]`` table."""

from typing import Annotated, Literal

from pydantic import Field

from unspool.settings import Settings
from unspool.training.optimization import OptimizerSettings, ScheduleSettings
from unspool.training.precision import Precision


class TrainingSettings(Settings):
    """How long, in what portions, and by which rule.

    Parameters
    ----------
    epochs : int
        Passes over the training part, at most.
    batch_size : int
        Sequences a step; of pairs, tokens of the longer side.
    precision : {"fp32", "bf16"}
        See :data:`unspool.training.precision.Precision`. Validation is always in fp32.
    clip_norm : float, optional
        The norm that the gradient is scaled down to where it is larger.
    keep : {"best", "last"}
        The weights to end with: those with the lowest validation loss, or the last ones. A
        schedule that ends near zero makes the last ones good, and on a small validation part the
        lowest loss is chance.
    patience : int, optional
        Stop after this many epochs without a lower validation loss.
    max_skipped : int
        Batches in a row whose gradients are not finite before the run is given up.
    report_every : int
        Steps between two training records in metrics.jsonl.
    tensorboard : bool
        Write event files for TensorBoard as well.
    optimizer : OptimizerSettings
    schedule : ScheduleSettings
    """

    epochs: Annotated[int, Field(ge=1)] = 10
    batch_size: Annotated[int, Field(ge=1)] = 128
    precision: Precision = "fp32"
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    keep: Literal["best", "last"] = "best"
    patience: Annotated[int, Field(ge=1)] | None = None
    max_skipped: Annotated[int, Field(ge=1)] = 5
    report_every: Annotated[int, Field(ge=1)] = 100
    tensorboard: bool = False
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()

    @property
    def watching_validation(self) -> str | None:
        """What among these settings would wait in vain for a validation loss, if anything."""
        if self.patience is not None:
            return "patience"
        if self.optimizer.name == "nt-asgd":
            return "optimizer 'nt-asgd'"
        return "schedule 'plateau'" if self.schedule.name == "plateau" else None
