"""Answers texts with texts, by an encoder-decoder network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TextIO

import torch
from pydantic import Field

from unspool.data import pair_source, pairs
from unspool.data.pair_codecs import PairCodecs
from unspool.data.pair_corpus import PairCorpus, TokenRows
from unspool.data.pair_settings import PairDataSettings
from unspool.data.pairs import PairColumns
from unspool.data.sequences import naming
from unspool.data.tokenizer_format import UNKNOWN
from unspool.data.vocabulary import Vocabulary
from unspool.decoding.copying import copy_unknown
from unspool.decoding.hypotheses import Hypothesis
from unspool.decoding.settings import BeamSettings
from unspool.errors import DataError
from unspool.models.encoder_decoder import EncoderDecoder
from unspool.models.encoder_decoder_settings import EncoderDecoderSettings
from unspool.seeding import seeded
from unspool.settings import Settings
from unspool.tasks.metric import Metric
from unspool.tasks.predictor import VOCABULARY, Predictor
from unspool.tasks.translate.agreement import require_agreement
from unspool.tasks.translate.evaluation import PERPLEXITY, UNITS, Answers, PairEvaluation
from unspool.tasks.translate.judging import judge
from unspool.tasks.translate.scores import fitting, scores
from unspool.tasks.translate.writing import SENTENCES, write
from unspool.tasks.translator import TextTranslator, Translation, texts_of

SOURCE_VOCABULARY, TARGET_VOCABULARY = "source-vocabulary.json", "target-vocabulary.json"
"""A model folder's vocabularies where sources and targets have two; ``vocabulary.json`` is both."""

Count = Annotated[int, Field(ge=1)]


class PairEvaluationOptions(Settings):
    """What :meth:`PairPredictor.evaluate`, which documents them, can be told."""

    batch_size: Count | None = None
    beam: Count | None = None
    length_penalty: Annotated[float, Field(ge=0)] | None = None
    coverage_penalty: Annotated[float, Field(ge=0)] | None = None


class PairPredictor(Predictor, TextTranslator):
    """An encoder-decoder network and its vocabularies.

    Parameters
    ----------
    model : EncoderDecoder
    codecs : PairCodecs
    decoding : BeamSettings, optional
        How answers are searched for if nothing else is asked for.
    data : PairDataSettings, optional
        Where the pairs came from, for the record and for ``evaluate``; None for pairs in memory.
    """

    task: ClassVar[str] = "translate"
    evaluation_options: ClassVar[type[Settings]] = PairEvaluationOptions
    metrics: tuple[Metric, ...] = (PERPLEXITY,)
    kind = "A network that answers a text with a text"
    limits = (
        "It answers in the manner of its training pairs, whether or not the answer is right, and "
        "worse the less a text is like theirs. Read what matters before you rely on it."
    )

    model: EncoderDecoder
    data: PairDataSettings | None

    def __init__(
        self,
        model: EncoderDecoder,
        codecs: PairCodecs,
        decoding: BeamSettings | None = None,
        data: PairDataSettings | None = None,
    ) -> None:
        self.model = model
        self.codecs = codecs
        self.decoding = decoding or BeamSettings()
        self.data = data
        self.vocabulary: Vocabulary = codecs.source.vocabulary
        self.unit = UNITS[codecs.target.vocabulary.unit]
        self.models: tuple[EncoderDecoder, ...] = (model,)

    @classmethod
    def untrained(
        cls,
        codecs: PairCodecs,
        settings: EncoderDecoderSettings,
        seed: int,
        *,
        decoding: BeamSettings | None = None,
        data: PairDataSettings | None = None,
    ) -> PairPredictor:
        """Draw a new model's weights from the seed. Parameters are those of the class."""
        with seeded(seed):
            model = network(codecs, settings)
        return cls(model, codecs, decoding, data)

    def join(self, others: Sequence[TextTranslator]) -> None:
        """Speak with one voice with others: the mean of all their probabilities."""
        for other in others:
            name = f"model {len(self.models) + 1} of the ensemble"
            if not isinstance(other, PairPredictor):
                raise DataError(f"{name} is no model of pairs")
            require_agreement(self.codecs, other.codecs, name)
            self.models += other.models

    # --- judging ---------------------------------------------------------------------------

    def read_part(self, split: str, data_dir: Path | None) -> PairCorpus:
        """Read the pairs of one part."""
        assert self.data is not None
        return pair_source.load_part(self.data, split, self.codecs, data_dir)

    def read_file(self, path: Path) -> PairCorpus:
        """Read all pairs of a table."""
        return PairCorpus.encoded(pairs.read(path, columns=self.columns), self.codecs)

    def read_aligned(self, path: Path, target_path: Path) -> PairCorpus:
        """Read all pairs of two text files."""
        return PairCorpus.encoded(pairs.read(path, target_path), self.codecs)

    @property
    def _target_language(self) -> str | None:
        return self.data.target_language if self.data else None

    @property
    def columns(self) -> PairColumns:
        """Those of the model's own data."""
        return self.data.columns if self.data else PairColumns()

    def judge(self, corpus: PairCorpus, title: str) -> PairEvaluation:
        """Find out how likely the model finds the true targets.

        Raises
        ------
        DataError
            If there are no pairs.
        """
        if len(corpus) == 0:
            raise DataError(f"{title} has no pairs, expected at least one")
        with self.answering(), naming(title):
            tally = judge(self.models, corpus)
        count = tally.count
        return PairEvaluation(
            self.unit, count, tally.nats / count, tally.hits / count, models=len(self.models)
        )

    def evaluate(
        self,
        examples: PairCorpus,
        title: str,
        by_step: bool = False,
        *,
        batch_size: int | None = None,
        beam: int | None = None,
        length_penalty: float | None = None,
        coverage_penalty: float | None = None,
    ) -> PairEvaluation:
        """Find out how likely the model finds the true targets, and how good its own answers are.

        Parameters
        ----------
        examples : PairCorpus
        title : str
            What an error calls it.
        by_step : bool
            Not for pairs.
        batch_size : int, optional
            Sources that are answered at a time; it does not change the figures.
        beam : int, optional
            See :class:`BeamSettings`, as for the penalties; the recipe's when not given.
        length_penalty, coverage_penalty : float, optional
        """
        if by_step:
            raise DataError(f"{title} holds pairs, which have no belief by step; leave out by-step")
        evaluation = self.judge(examples, title)
        decoding = replaced(
            self.decoding,
            n_best=1,
            beam=beam,
            length_penalty=length_penalty,
            coverage_penalty=coverage_penalty,
        )
        with naming(title):
            found = self._answer(
                examples.pairs.sources, examples.sources, decoding, batch_size or SENTENCES
            )
        hypotheses = tuple(best.text for best, *_ in found)
        references = examples.pairs.targets
        answers = Answers(
            examples.pairs.sources,
            hypotheses,
            references,
            scores(hypotheses, references, fitting(references), language=self._target_language),
            decoding.model_dump(exclude_none=True),
        )
        return dataclasses.replace(evaluation, answers=answers)

    # --- answers ---------------------------------------------------------------------------

    def translate(
        self, texts: Sequence[str], decoding: BeamSettings | None = None
    ) -> list[list[Translation]]:
        """Answer texts; an empty one with an empty one."""
        rows = TokenRows.of_sources(texts, self.codecs.source)
        return self._answer(texts, rows, decoding or self.decoding)

    def _answer(
        self,
        texts: Sequence[str],
        rows: TokenRows,
        decoding: BeamSettings,
        batch_size: int = SENTENCES,
    ) -> list[list[Translation]]:
        with self.answering():
            found = write(self.models, rows, decoding, batch_size)
        return [
            [
                Translation(
                    self._text(hypothesis, text),
                    hypothesis.score,
                    hypothesis.log_probability,
                    hypothesis.finished,
                    hypothesis.attention,
                )
                for hypothesis in hypotheses
            ]
            for text, hypotheses in zip(texts, found, strict=True)
        ]

    def _text(self, hypothesis: Hypothesis, source: str) -> str:
        """What the tokens say; for unknown ones, what was looked at in the source."""
        codec = self.codecs.target
        attention, tokens = hypothesis.attention, hypothesis.tokens
        if attention is None or codec.unknown not in tokens:
            return codec.decode(tokens)
        words = [UNKNOWN if token == codec.unknown else codec.decode([token]) for token in tokens]
        pieces = self.codecs.source.pieces(source)
        copied = copy_unknown(words, attention[:, :-1], pieces, UNKNOWN)  # the end has no piece
        return codec.decode(
            tokens,
            {place: copied[place] for place, token in enumerate(tokens) if token == codec.unknown},
        )

    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that the vocabulary lacks, each once."""
        codec = self.codecs.source
        if codec.unknown is None:
            return []
        known = codec.vocabulary.tokenizer.token_to_id
        return [piece for piece in dict.fromkeys(codec.pieces(text)) if known(piece) is None]

    def answers(self, source: str | TextIO, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
        """Answer a text, or each line of a file or of standard input, ``top`` times.

        A ``probability`` is that of the whole answer.
        """
        if by_step:
            raise DataError("an answer to a text has no belief by step; leave out by-step")
        title, texts = texts_of(source, self.columns)
        beam = max(top, self.decoding.beam)
        decoding = replaced(self.decoding, beam=beam, n_best=top)
        for number, (text, found) in enumerate(self.stream(texts, decoding)):
            ranked = [
                {"label": one.text, "probability": float(torch.tensor(one.log_probability).exp())}
                for one in found
            ]
            answer = {"input": title, "id": str(number), **ranked[0], "top": ranked}
            if unknown := self.unknown(text):
                answer["unknown"] = unknown
            yield answer

    # --- the model folder ------------------------------------------------------------------

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """One file where both sides share a vocabulary, else two."""
        if self.codecs.joint:
            return {VOCABULARY: self.codecs.source.vocabulary}
        return {
            SOURCE_VOCABULARY: self.codecs.source.vocabulary,
            TARGET_VOCABULARY: self.codecs.target.vocabulary,
        }

    def description(self) -> dict[str, Any]:
        """Architecture, what texts are changed into, how answers are found, origin of the pairs."""
        return {
            "joint": self.codecs.joint,
            "lowercase": self.codecs.source.lowercase,
            "separate_punctuation": self.codecs.source.separate_punctuation,
            "separate_target_punctuation": self.codecs.target.separate_punctuation,
            "model": self.model.settings.model_dump(exclude_none=True),
            "decoding": self.decoding.model_dump(exclude_none=True),
            "data": self.data and self.data.model_dump(exclude_none=True),
        }

    def summary(self) -> str:
        """Say what the network reads and writes, and how."""
        settings = self.model.settings
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        reading = "from both ends" if settings.bidirectional else "in its own order"
        if settings.reverse_source:
            reading = "from its end to its beginning"
        looking = (
            "knows it by the encoder's last state alone"
            if settings.attention == "none"
            else f"looks back at it by {settings.attention} attention"
        )
        source = self.codecs.source
        return (
            f"An encoder of {_layers(settings.num_encoder_layers, settings)} reads a text in "
            f"{len(source.vocabulary):,} {UNITS[source.vocabulary.unit]}s {reading}; a decoder of "
            f"{_layers(settings.num_decoder_layers, settings)} {looking}, and writes the answer in "
            f"{len(self.codecs.target.vocabulary):,} {self.unit}s ({parameters:,} parameters)."
        )


def replaced(decoding: BeamSettings, **values: Any) -> BeamSettings:
    """The settings with those that are given in the place of their own; None leaves one as it is.

    Raises
    ------
    pydantic.ValidationError
        If they do not fit each other.
    """
    given = {name: value for name, value in values.items() if value is not None}
    return BeamSettings.model_validate({**decoding.model_dump(), **given})


def network(codecs: PairCodecs, settings: EncoderDecoderSettings) -> EncoderDecoder:
    """A new network that reads and writes with these vocabularies."""
    return EncoderDecoder(
        len(codecs.source), len(codecs.target), settings, shared_vocabulary=codecs.joint
    )


def _layers(count: int, settings: EncoderDecoderSettings) -> str:
    layers = "layer" if count == 1 else "layers"
    return f"{count} {settings.cell.upper()} {layers} of {settings.hidden_size} units"
