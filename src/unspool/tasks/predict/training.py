"""Trains a language model: its text, its batches and its loss.

Shapes: ``B`` streams or windows, ``T`` steps, ``C`` tokens of context, ``P`` size of what the
output layer reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unspool.data import text_source
from unspool.data.sequences import naming
from unspool.data.streams import Segment, Streams
from unspool.data.text_source import Progress, TextDataSettings, TextDivision
from unspool.data.windows import WindowBatch, Windows
from unspool.errors import DataError
from unspool.models.language_model import LanguageModelSettings, Reading, State
from unspool.tasks.predict.evaluation import measure
from unspool.tasks.predict.predictor import TextPredictor, View
from unspool.tasks.task import Task, TaskSettings, Totals

Penalty = Annotated[float, Field(ge=0)]


class PredictSettings(TaskSettings):
    """A recipe's part for this task.

    Parameters
    ----------
    view : {"streams", "windows"}
        Read the text as parallel streams in which the state is kept from segment to segment, or
        through windows that show ``context`` tokens and ask for the next one.
    steps : int
        For streams: tokens of a segment, through which gradients go back (truncated
        back-propagation through time).
    context : int
        For windows: tokens that are shown.
    activation_penalty, slowness_penalty : float
        Weights of activation regularisation and of temporal activation regularisation (Merity,
        McCann & Socher 2017, arXiv 1708.01009): the mean square of the last layer's outputs after
        dropout, and that of their change from step to step before it.
    data : TextDataSettings
    model : LanguageModelSettings
    """

    view: View = "streams"
    steps: Annotated[int, Field(ge=1)] = 35
    context: Annotated[int, Field(ge=1)] = 3
    activation_penalty: Penalty = 0.0
    slowness_penalty: Penalty = 0.0
    data: TextDataSettings
    model: LanguageModelSettings = LanguageModelSettings()

    @property
    def data_set(self) -> str | None:
        """The catalogue's text, if it is one."""
        return self.data.name

    @property
    def has_validation(self) -> bool:
        """Whether there is such a part."""
        return self.data.has_validation

    @property
    def has_test(self) -> bool:
        """Whether there is such a part."""
        return self.data.has_test

    def prepare(self, data_dir: Path | None, progress: Progress) -> None:
        """Tokenise the text, which is kept in the cache."""
        text_source.load(self.data, data_dir, progress=progress)

    def build(self, seed: int, data_dir: Path | None = None) -> Predict:
        """Load the text, fit the vocabulary, and draw a new model's weights from the seed.

        Raises
        ------
        DataError, RecipeError
            If the text cannot be used, or not with these settings.
        """
        division = text_source.load(self.data, data_dir)
        predictor = TextPredictor.untrained(
            division.vocabulary,
            self.model,
            seed,
            view=self.view,
            context=self.context,
            data=self.data,
        )
        return Predict(
            predictor,
            division,
            steps=self.steps,
            activation_penalty=self.activation_penalty,
            slowness_penalty=self.slowness_penalty,
            title=self.data.title,
        )


class Predict(Task):
    """A language model and the text that it learns from.

    Parameters
    ----------
    predictor : TextPredictor
    division : TextDivision
        The test part is not looked at.
    steps : int
    activation_penalty, slowness_penalty : float
        See :class:`PredictSettings`.
    title : str
        What an error calls the text.

    Raises
    ------
    DataError
        If the training part is empty, or a part is too short for the windows.
    """

    predictor: TextPredictor

    def __init__(
        self,
        predictor: TextPredictor,
        division: TextDivision,
        *,
        steps: int = 35,
        activation_penalty: float = 0.0,
        slowness_penalty: float = 0.0,
        title: str = "text",
    ) -> None:
        self.predictor = predictor
        self._training, self._validation = division.training, division.validation
        self._steps = steps
        self._activation_penalty = activation_penalty
        self._slowness_penalty = slowness_penalty
        self._validation_title = f"{title} (validation part)"
        self._state: State | None = None  # of the training's streams
        if len(self._training) == 0:
            raise DataError(f"{title} (training part) has no tokens, expected at least one")
        if predictor.view == "windows":
            for name, part in (("training", self._training), ("validation", self._validation)):
                if len(part):
                    with naming(f"{title} ({name} part)"):
                        Windows(part, predictor.context, 1)  # refuses what is too short

    @property
    def parts(self) -> dict[str, list[NDArray[Any]]]:
        """Tokens of the training and the validation part, and where documents begin."""
        return {
            name: [each.tokens, each.starts]
            for name, each in (("training", self._training), ("validation", self._validation))
        }

    # --- learning --------------------------------------------------------------------------

    def batches_an_epoch(self, batch_size: int) -> int:
        """Training batches that one epoch has."""
        return len(self._batches(batch_size))

    def training_batches(
        self, batch_size: int, seed: int, epoch: int
    ) -> Iterator[Segment] | Iterator[WindowBatch]:
        """One epoch of the streams' segments, or of shuffled windows."""
        return self._batches(batch_size).shuffled(seed, epoch)

    def _batches(self, batch_size: int) -> Streams | Windows:
        if self.predictor.view == "windows":
            return Windows(self._training, self.predictor.context, batch_size)
        return Streams(self._training, batch_size, self._steps)

    def loss(self, batch: Segment | WindowBatch) -> Totals:
        """Negative log-likelihood of the tokens that come next."""
        model = self.predictor.model
        tokens = batch.tokens.to(self.device)
        if isinstance(batch, WindowBatch):
            reading = model(tokens)
            hidden, targets = reading.hidden[:, -1], batch.targets  # (B, P), (B,)
        else:
            reading = model(tokens, self._state_for(len(tokens)), batch.resets)
            self._carry(reading.state)
            hidden, targets = reading.hidden.flatten(0, 1), batch.targets.flatten()  # (B * T, P)
            if not bool(batch.mask.all()):
                counted = batch.mask.flatten()
                hidden, targets = hidden[counted.to(self.device)], targets[counted]
        loss = model.nats(hidden, targets.to(self.device))
        weight = torch.tensor(float(len(targets))).to(loss)
        return Totals(loss, weight, len(targets), penalty=self._penalty(reading))

    def _penalty(self, reading: Reading) -> Tensor | None:
        """What regularisation adds to the mean loss."""
        parts = []
        if self._activation_penalty:
            parts.append(self._activation_penalty * reading.dropped.square().mean())
        if self._slowness_penalty and reading.activations.shape[1] > 1:
            change = reading.activations.diff(dim=1)
            parts.append(self._slowness_penalty * change.square().mean())
        return sum(parts[1:], start=parts[0]) if parts else None

    def _state_for(self, streams: int) -> State | None:
        """What was carried here; nothing where the number of streams is another."""
        state = self._state
        return state if state is not None and state[0][0].shape[1] == streams else None

    def _carry(self, state: State) -> None:
        """Keep the state for the next segment, unless it is spoilt."""
        kept = tuple(tuple(member.detach() for member in layer) for layer in state)
        if all(bool(member.isfinite().all()) for layer in kept for member in layer):
            self._state = kept

    def examples(self, batch: Segment | WindowBatch) -> str:
        """How the first text of the batch begins."""
        beginning = self.predictor.vocabulary.decode(batch.tokens[0, :20])
        return f"the text around {beginning[:60]!r}"

    # --- judging ---------------------------------------------------------------------------

    def measure(self, totals: Totals) -> dict[str, float]:
        """The headline metric."""
        return measure(float(totals.mean_loss), self.predictor.unit)

    def validate(self) -> dict[str, float] | None:
        """Loss and headline metric on the validation part."""
        if len(self._validation) == 0:
            return None
        evaluation = self.predictor.evaluate(self._validation, self._validation_title)
        return {"loss": evaluation.loss, **evaluation.metrics}

    # --- going on after a stop -------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """The state that the streams have come to."""
        members = ("h", "c")
        return {
            f"{number}.{name}": member
            for number, layer in enumerate(self._state or ())
            for name, member in zip(members, layer, strict=False)
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state_dict` gave."""
        if not state:
            self._state = None
            return
        streams = next(iter(state.values())).shape[1]
        names = ("h", "c")
        expected = self.predictor.model.initial_state(streams)
        self._state = tuple(
            tuple(
                _fitting(state, f"{number}.{name}", member)
                for name, member in zip(names, layer, strict=False)
            )
            for number, layer in enumerate(expected)
        )


def _fitting(state: Mapping[str, Tensor], name: str, expected: Tensor) -> Tensor:
    if name not in state or state[name].shape != expected.shape:
        found = list(state[name].shape) if name in state else "nothing"
        raise ValueError(f"state {name} is {found}, expected shape {list(expected.shape)}")
    return state[name].to(expected)
