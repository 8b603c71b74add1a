"""Trains an encoder-decoder network: its pairs, its batches and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from pydantic import model_validator

from unspool.data import pair_source
from unspool.data.pair_batches import PairBatch, PairBatches
from unspool.data.pair_corpus import PairCorpus
from unspool.data.pair_settings import PairDataSettings
from unspool.data.pair_source import PairDivision
from unspool.decoding.settings import BeamSettings
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.tasks.task import Task, TaskSettings, Totals
from unspool.tasks.translate.evaluation import measure
from unspool.tasks.translate.judging import read_targets
from unspool.tasks.translate.predictor import PairPredictor


class TranslateSettings(TaskSettings):
    """A recipe's part for this task.

    ``training.batch_size`` counts tokens of the longer side of the pairs, padding and ends among
    them: so batches of long and of short pairs are about as much work.

    Parameters
    ----------
    data : PairDataSettings
    model : EncoderDecoderSettings
    decoding : BeamSettings
        How the trained network's answers are searched for, if nothing else is asked for.
    """

    data: PairDataSettings
    model: EncoderDecoderSettings = EncoderDecoderSettings()
    decoding: BeamSettings = BeamSettings()

    @model_validator(mode="after")
    def _fit_each_other(self) -> TranslateSettings:
        if self.decoding.coverage_penalty > 0 and self.model.attention == "none":
            raise ValueError(
                "decoding.coverage_penalty is about where attention looked, got model.attention "
                "'none'; choose 'additive' or 'multiplicative', or leave out the penalty"
            )
        return self

    @property
    def data_set(self) -> str | None:
        """The catalogue's set of pairs, if it is one."""
        return self.data.name

    @property
    def has_validation(self) -> bool:
        """Whether there is such a part."""
        return self.data.has_validation

    @property
    def has_test(self) -> bool:
        """Whether there is such a part."""
        return self.data.has_test

    def build(self, seed: int, data_dir: Path | None = None) -> Translate:
        """Load the pairs, fit the vocabularies, and draw a new model's weights from the seed.

        Raises
        ------
        DataError, RecipeError
            If the pairs cannot be used, or not with these settings.
        """
        division = pair_source.load(self.data, data_dir)
        predictor = PairPredictor.untrained(
            division.codecs, self.model, seed, decoding=self.decoding, data=self.data
        )
        return Translate(predictor, division, title=self.data.title)


class Translate(Task):
    """An encoder-decoder network and the pairs that it learns from.

    Parameters
    ----------
    predictor : PairPredictor
    division : PairDivision
        The test parts are not looked at.
    title : str
        What an error calls the pairs.
    """

    predictor: PairPredictor

    def __init__(
        self, predictor: PairPredictor, division: PairDivision, *, title: str = "data"
    ) -> None:
        self.predictor = predictor
        self._training, self._validation = division.training, division.validation
        self._validation_title = f"{title} (validation part)"
        self._notes = division.notes()

    @property
    def notes(self) -> list[str]:
        """How many pairs are left out, of which part, and why."""
        return self._notes

    @property
    def parts(self) -> dict[str, list[NDArray[Any]]]:
        """Tokens of both sides of the training and the validation part."""
        parts = (("training", self._training), ("validation", self._validation))
        return {name: _arrays(each) for name, each in parts}

    # --- learning --------------------------------------------------------------------------

    def batches_an_epoch(self, batch_size: int) -> int:
        """Training batches that one epoch has."""
        return len(PairBatches(self._training, batch_size))

    def training_batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[PairBatch]:
        """One epoch of batches of pairs of like length, of ``batch_size`` tokens each."""
        return PairBatches(self._training, batch_size).shuffled(seed, epoch)

    def loss(self, batch: PairBatch) -> Totals:
        """Negative log-likelihood of the targets' tokens, each after the true ones before it.

        With label smoothing it is what the model says it is in training, see
        :meth:`EncoderDecoder.nats`.
        """
        model = self.predictor.model
        hidden, targets = read_targets(model, batch)
        loss = model.nats(hidden, targets)
        return Totals(loss, torch.tensor(float(len(targets))).to(loss), len(targets))

    def examples(self, batch: PairBatch) -> str:
        """The first source of the batch."""
        first = self._training.pairs.sources[int(batch.numbers[0])]
        return f"the pair of {first[:60]!r}"

    # --- judging ---------------------------------------------------------------------------

    def measure(self, totals: Totals) -> dict[str, float]:
        """The perplexity."""
        return measure(float(totals.mean_loss))

    def validate(self) -> dict[str, float] | None:
        """Loss, perplexity and share of tokens guessed on the validation part.

        No answers are searched for: that would take longer than an epoch.
        """
        if len(self._validation) == 0:
            return None
        evaluation = self.predictor.judge(self._validation, self._validation_title)
        return {"loss": evaluation.loss, **evaluation.metrics}


def _arrays(corpus: PairCorpus) -> list[NDArray[Any]]:
    sides = (corpus.sources, corpus.targets)
    return [array for side in sides for array in (side.tokens, side.offsets)]
