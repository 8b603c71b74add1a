"""The training loop.

1. An epoch goes over all training batches, in an order that its seed and number decide.
2. A step judges one batch, finds the gradient, clips it, and moves the weights.
3. A loss or gradient that is not finite moves nothing; too many in a row end the run with an error.
4. After an epoch the task judges itself on the validation part, where it has one.
5. The best weights so far are kept; the run ends early when patience runs out.
6. Observers are told of every step and epoch: they draw bars, write files, keep checkpoints.
7. In the end the model holds the best weights, or the last ones if these are to be kept or
   nothing chose among them.
"""

import math
from collections.abc import Sequence

import torch

from unspool.errors import TrainingError
from unspool.tasks.task import Batch, Task, Totals
from unspool.training.averaging import learning
from unspool.training.optimization import clear_gradients, clip_gradients, learned
from unspool.training.precision import computing_in
from unspool.training.report import Observer, Record
from unspool.training.settings import TrainingSettings
from unspool.training.state import TrainingState


def train(
    state: TrainingState, settings: TrainingSettings, seed: int, observers: Sequence[Observer] = ()
) -> None:
    """Train until the last epoch or until patience runs out.

    Parameters
    ----------
    state : TrainingState
        Where to start; moved on in place, its model ending with the weights to keep.
    settings : TrainingSettings
    seed : int
        Decides the order of the batches and their augmentation.
    observers : sequence of Observer

    Raises
    ------
    TrainingError
        If ``settings.max_skipped`` batches in a row had a loss or gradient that is not finite. The
        weights are those before the first of them.
    """
    task, progress = state.task, state.progress
    while progress.epoch < settings.epochs and not state.out_of_patience(settings.patience):
        task.model.train()
        recent: list[Totals] = []
        batches = task.training_batches(settings.batch_size, seed, progress.epoch)
        with learning(state.optimizer):
            for position, batch in enumerate(batches):
                totals = _step(state, settings, batch, position)
                state.tick()
                recent.append(totals)
                for observer in observers:
                    observer.stepped(state, totals)
                if progress.step % settings.report_every == 0:
                    _tell(observers, Record.of(state, "train", _figures(task, recent)))
                    recent = []
        if recent:
            _tell(observers, Record.of(state, "train", _figures(task, recent)))
        validation = task.validate()
        state.tick()
        if validation is not None:
            _tell(observers, Record.of(state, "validation", validation))
        improved = state.finish_epoch(validation)
        for observer in observers:
            observer.epoch_ended(state, improved)
    if settings.keep == "best":
        state.restore_best()


def _step(state: TrainingState, settings: TrainingSettings, batch: Batch, position: int) -> Totals:
    """Learn from one batch, unless its loss or gradient is not finite."""
    parameters = learned(state.optimizer)
    clear_gradients(parameters)
    with computing_in(settings.precision, state.task.device):
        totals = state.task.loss(batch)
    totals.objective.backward()  # type: ignore[no-untyped-call]
    norm = clip_gradients(parameters, settings.clip_norm)
    progress = state.progress
    if math.isfinite(norm) and math.isfinite(float(totals.loss.detach())):
        state.optimizer.step()
        progress.skipped_in_row = 0
    else:
        progress.skipped += 1
        progress.skipped_in_row += 1
        if progress.skipped_in_row >= settings.max_skipped:
            raise TrainingError(
                f"loss or gradient was not finite for {progress.skipped_in_row} batches in a row, "
                f"the last one batch {position + 1} of epoch {progress.epoch + 1} (loss "
                f"{float(totals.mean_loss.detach()):g}); the weights are those before them. Lower "
                "training.optimizer.lr, set training.clip_norm, or look at "
                f"{state.task.examples(batch)}"
            )
    progress.step += 1
    state.schedule.after_step()
    return totals.detached()


def _figures(task: Task, totals: Sequence[Totals]) -> dict[str, float]:
    """Loss and metrics over several batches, leaving out those that could not be used."""
    usable = [part for part in totals if bool(torch.isfinite(part.loss))]
    if not usable:
        return dict.fromkeys(("loss", *task.metric_names), math.nan)
    whole = sum(usable[1:], start=usable[0])
    return {"loss": float(whole.mean_loss), **task.measure(whole)}


def _tell(observers: Sequence[Observer], record: Record) -> None:
    for observer in observers:
        observer.recorded(record)
