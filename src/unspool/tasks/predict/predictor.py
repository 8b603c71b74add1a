"""Answers by a language model: what comes next, and how likely a text is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from unspool.data import text_source
from unspool.data.corpus import Corpus
from unspool.data.sequences import naming
from unspool.data.text_source import TextDataSettings
from unspool.data.vocabulary import Vocabulary
from unspool.decoding.sampling import SamplingSettings, random_streams, sample
from unspool.errors import DataError
from unspool.models.language_model import LanguageModel, LanguageModelSettings
from unspool.nn.keeping import keeping_packed
from unspool.seeding import seeded
from unspool.settings import Settings
from unspool.tasks import ranking
from unspool.tasks.metric import Metric
from unspool.tasks.predict import prompts
from unspool.tasks.predict.cache import CacheSettings, NeuralCache
from unspool.tasks.predict.continuation import Place, Reader
from unspool.tasks.predict.evaluation import UNITS, Share, TextEvaluation, headline
from unspool.tasks.predict.judging import (
    STREAMS,
    DynamicSettings,
    judge_dynamically,
    judge_streams,
    judge_windows,
    unambiguous,
)
from unspool.tasks.predict.writing import Writing
from unspool.tasks.predictor import (
    Description,
    Predictor,
    TextWriter,
    layers_in_words,
    require_vocabulary,
)

View = Literal["streams", "windows"]
"""How a model sees text: as one long stream in which it keeps its state, or through windows."""


class TextEvaluationOptions(Settings):
    """What :meth:`TextPredictor.evaluate`, which documents them, can be told."""

    batch_size: Annotated[int, Field(ge=1)] | None = None
    stride: Annotated[int, Field(ge=1)] | None = None
    dynamic: DynamicSettings | None = None
    cache: CacheSettings | None = None


class TextPredictor(Predictor, TextWriter):
    """A language model and its vocabulary.

    Parameters
    ----------
    model : LanguageModel
    vocabulary : Vocabulary
    view : {"streams", "windows"}
        How the model sees text.
    context : int
        Tokens of a window; of no account for streams.
    data : TextDataSettings, optional
        Where the text came from, for the record and for ``evaluate``; None for text in memory.
    """

    task: ClassVar[str] = "predict"
    evaluation_options: ClassVar[type[Settings]] = TextEvaluationOptions
    kind = "A language model"
    limits = (
        "It writes what is likely after what it has read, in the manner of its training text, "
        "whether or not it is true. It knows the tokens of its vocabulary and no others."
    )

    model: LanguageModel
    vocabulary: Vocabulary
    data: TextDataSettings | None

    def __init__(
        self,
        model: LanguageModel,
        vocabulary: Vocabulary,
        view: View = "streams",
        context: int = 3,
        data: TextDataSettings | None = None,
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.view = view
        self.context = context
        self.data = data
        self.unit = UNITS[vocabulary.unit]
        self.metrics: tuple[Metric, ...] = (headline(self.unit),)
        self.reader = Reader(model, vocabulary, context if view == "windows" else None)

    @classmethod
    def untrained(
        cls,
        vocabulary: Vocabulary,
        settings: LanguageModelSettings,
        seed: int,
        *,
        view: View = "streams",
        context: int = 3,
        data: TextDataSettings | None = None,
    ) -> TextPredictor:
        """Draw a new model's weights from the seed. Parameters are those of the class."""
        with seeded(seed):
            model = LanguageModel(len(vocabulary), settings)
        return cls(model, vocabulary, view, context, data)

    # --- judging ---------------------------------------------------------------------------

    def read_part(self, split: str, data_dir: Path | None) -> Corpus:
        """Read the text of one part."""
        assert self.data is not None
        return text_source.load(self.data, data_dir, vocabulary=self.vocabulary).part(split)

    def read_file(self, path: Path) -> Corpus:
        """Read all of a text file, or of a folder of them."""
        field = self.data.field if self.data else "text"
        settings = TextDataSettings(path=str(path), field=field, validation=0.0, test=0.0)
        return text_source.load(settings, vocabulary=self.vocabulary).training

    def evaluate(
        self,
        examples: Corpus,
        title: str,
        by_step: bool = False,
        *,
        batch_size: int | None = None,
        stride: int | None = None,
        dynamic: DynamicSettings | None = None,
        cache: CacheSettings | None = None,
    ) -> TextEvaluation:
        """Find out how likely the model finds a text.

        Parameters
        ----------
        examples : Corpus
        title : str
            What an error calls it.
        by_step : bool
            Not for text: every token is a step, and all of them count.
        batch_size : int, optional
            Streams that are read side by side; it does not change the figures.
        stride : int, optional
            For windows: tokens from one to the next; see
            :func:`unspool.tasks.predict.judging.judge_windows`.
        dynamic : DynamicSettings, optional
            For streams: go on learning from the text that was judged.
        cache : CacheSettings, optional
            For streams: remember what was read.
        """
        self._check_options(title, by_step, stride, dynamic, cache)
        if len(examples) == 0:
            raise DataError(f"{title} has no tokens, expected at least one")
        once = None
        with self.answering(), naming(title):
            answers = NeuralCache(self.model, cache) if cache else self._answers
            if self.view == "windows":
                found = judge_windows(self.model, examples, answers, self.context, stride or 1)
                tally, guessed = found.tally, found.guessed
                if guessed is not None:
                    once = _share(guessed[unambiguous(examples, self.context)])
            elif dynamic is not None:
                tally = judge_dynamically(self.model, examples, answers, dynamic)
            else:
                streams = 1 if cache else batch_size or STREAMS
                tally = judge_streams(self.model, examples, answers, streams)
        return TextEvaluation(
            self.unit, tally.count, tally.nats / tally.count, tally.hits / tally.count, once
        )

    def _answers(self, hidden: Tensor, targets: Tensor) -> Tensor:
        del targets
        return self.model.log_probabilities(hidden)

    def _check_options(
        self,
        title: str,
        by_step: bool,
        stride: int | None,
        dynamic: DynamicSettings | None,
        cache: CacheSettings | None,
    ) -> None:
        if by_step:
            raise DataError(f"{title} is text, which is judged after every step; leave out by-step")
        if self.view == "streams" and stride is not None:
            raise DataError(
                "stride is for models of windows, this one reads streams and keeps its state; "
                "leave it out"
            )
        for name, given in (("dynamic", dynamic), ("cache", cache)):
            if self.view == "windows" and given is not None:
                raise DataError(
                    f"{name} is for models of streams, this one reads windows and keeps no state; "
                    "leave it out"
                )

    # --- answers ---------------------------------------------------------------------------

    def answers(self, source: str | TextIO, top: int, by_step: bool) -> Iterator[dict[str, Any]]:
        """Say what comes next after a text, or after each line of a file or of standard input."""
        for title, name, text in prompts.read(source, self.data.field if self.data else "text"):
            steps = list(self._after_each(text, top)) if by_step else []
            last = steps[-1] if steps else self.next_tokens(self.read(text), top)
            answer = {"input": title, "id": name, **last}
            if unknown := self.unknown(text):
                answer["unknown"] = unknown
            if by_step:
                answer["by_step"] = ranking.by_step(steps)
            yield answer

    def read(self, text: str, place: Place | None = None) -> Place:
        """Read a text, from its beginning or on from where another one was left."""
        with self.answering():
            return self.reader.read(self._encode(text), place)

    def next_tokens(self, place: Place, top: int) -> dict[str, Any]:
        """The most probable token at a place, and the ``top`` most probable with probabilities."""
        belief = place.log_probabilities[0].double().exp().cpu().numpy()
        return ranking.ranking(belief, self.label, top)

    def label(self, token: int) -> str:
        """What a token is called; bytes that are no whole character as U+FFFD."""
        if self.vocabulary.unit in ("word", "character"):
            return self.vocabulary.tokens[token]
        return self.vocabulary.decode([token])

    def unknown(self, text: str) -> list[str]:
        """The words or characters of a text that the vocabulary lacks, each once."""
        if self.vocabulary.unknown is None:
            return []
        units = text.split() if self.vocabulary.unit == "word" else text
        known = self.vocabulary.tokenizer.token_to_id
        return [unit for unit in dict.fromkeys(units) if known(unit) is None]

    def write(
        self,
        prompt: str,
        sampling: SamplingSettings,
        *,
        length: int,
        seed: int,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """Go on with a text; ``<unk>`` is never drawn."""
        writing = Writing(self.vocabulary, prompt, stop)
        drawn = self.draw(self.read(prompt), sampling, length=length, seed=seed)
        return _pieces(writing, drawn)

    def draw(
        self, place: Place, sampling: SamplingSettings, *, length: int, seed: int, count: int = 1
    ) -> Iterator[Tensor]:
        """Draw ``count`` continuations of one text side by side: ``length`` times ``(count,)``.

        Each has a random stream of its own, so that it does not depend on how many there are.
        """
        unknown = self.vocabulary.unknown
        many = place.repeated(count)
        drawn = sample(
            self.reader.step,
            many.log_probabilities,
            many.state,
            sampling,
            random_streams(seed, count),
            history=many.tokens,
            never=[] if unknown is None else [unknown],
        )
        with keeping_packed(self.model):
            for _ in range(length):
                with self.answering():
                    tokens = next(drawn)
                yield tokens

    def _encode(self, text: str) -> NDArray[np.int64]:
        return self.vocabulary.encode(text).astype(np.int64)

    def _after_each(self, text: str, top: int) -> Iterator[dict[str, Any]]:
        """What comes next after each token of a text."""
        place = None
        for token in self._encode(text):
            with self.answering():
                place = self.reader.read([token], place)
            yield self.next_tokens(place, top)

    # --- the model folder ------------------------------------------------------------------

    def description(self) -> dict[str, Any]:
        """Architecture, view and origin of the text."""
        return {
            "view": self.view,
            "context": self.context,
            "model": self.model.settings.model_dump(exclude_none=True),
            "data": self.data and self.data.model_dump(exclude_none=True),
        }

    def summary(self) -> str:
        """Say what the network reads, and how."""
        reading = "a text" if self.view == "streams" else f"{self.context} {self.unit}s"
        return (
            f"A network of {layers_in_words(self.model, self.model.settings)} that reads {reading} "
            f"and says which of {len(self.vocabulary):,} {self.unit}s comes next."
        )


class PredictDescription(Description):
    """The part of a language model's config.json."""

    view: View
    context: Annotated[int, Field(ge=1)]
    model: LanguageModelSettings
    data: TextDataSettings | None

    def predictor(self, vocabulary: Vocabulary | None) -> TextPredictor:
        """Build it with weights yet to be loaded."""
        vocabulary = require_vocabulary(vocabulary)
        with torch.device("meta"):
            model = LanguageModel(len(vocabulary), self.model)
        return TextPredictor(model, vocabulary, self.view, self.context, self.data)


def _pieces(writing: Writing, drawn: Iterator[Tensor]) -> Iterator[str]:
    """Write down what is drawn, until that ends the text."""
    for (token,) in drawn:
        yield writing.add(int(token))
        if writing.ended:
            return


def _share(guessed: NDArray[np.bool_]) -> Share:
    return Share(len(guessed), float(guessed.mean()) if len(guessed) else 0.0)
