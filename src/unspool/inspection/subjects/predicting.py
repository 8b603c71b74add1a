"""Traces a language model.

Shapes: ``B`` texts, ``T`` tokens, ``E`` size of the embedding, ``K`` candidates, ``V`` tokens of
the vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unspool.data.files import without_compression
from unspool.data.text import JSON_LINES
from unspool.inspection.subjects.subject import (
    CANDIDATES,
    WHOLE_VOCABULARY,
    Subject,
    array,
    beliefs,
    listed_texts,
    without_padding,
)
from unspool.inspection.trace import TracedArray
from unspool.models.language_model import LanguageModel
from unspool.tasks.predict import prompts
from unspool.tasks.predict.predictor import TextPredictor

_STEPS = 1024  # whose log-probabilities are formed in one go


class Prediction(Subject):
    """A language model that reads texts.

    A model of windows forgets what is before its window: what is traced is the last window of each
    text, as the model reads it to answer.

    Parameters
    ----------
    predictor : TextPredictor
    input : str, Path or list of str
        A text, a file's name, whose lines are texts, or texts.
    """

    model: LanguageModel

    def __init__(self, predictor: TextPredictor, input: Any) -> None:
        self.predictor = predictor
        self.model = predictor.model
        self.texts = texts_of(predictor, input)
        rows = [self._read_tokens(text) for text in self.texts]
        self.lengths = np.array([len(row) for row in rows], np.int64)
        self.tokens = np.zeros((len(rows), int(self.lengths.max())), np.int64)
        for row, tokens in zip(self.tokens, rows, strict=True):
            row[: len(tokens)] = tokens

    def _read_tokens(self, text: str) -> list[int]:
        """The tokens that the model reads of a text, as ``Reader.read`` decides."""
        vocabulary = self.predictor.vocabulary
        tokens: list[int] = vocabulary.encode(text).tolist()
        if self.predictor.view == "windows" and tokens:
            return tokens[-self.predictor.context :]
        return [vocabulary.start, *tokens]

    def extent(self, group: str) -> tuple[int, int]:
        """All layers read the same texts."""
        del group
        count, longest = self.tokens.shape
        return count, longest

    def answer_numbers(self) -> int:
        """Embeddings, candidates, and all log-probabilities where these are few."""
        size = self.model.num_tokens
        whole = size if size <= WHOLE_VOCABULARY else 0
        return 4 * CANDIDATES + self.model.settings.sizes[0] + whole + size * 2

    def forward(self) -> Tensor:
        """Read the texts."""
        hidden: Tensor = self.model(torch.from_numpy(self.tokens).to(self.predictor.device)).hidden
        return hidden

    def arrays(self, result: Tensor, steps: slice) -> dict[str, TracedArray]:
        """Tokens, what stands for them, and what may come next."""
        tokens, first = self.tokens[:, steps], steps.start or 0
        embedded = self.model.embedding(torch.from_numpy(tokens).to(self.predictor.device))
        found = {
            "input": TracedArray(tokens, "(B, T)", "the token that is read at each step", "token"),
            "embedding": TracedArray(
                array(embedded), "(B, T, E)", "the numbers that stand for each token"
            ),
            **self._beliefs(result[:, steps]),
        }
        return {
            "lengths": TracedArray(self.lengths, "(B,)", "tokens of each text", "steps"),
            **{
                name: TracedArray(
                    without_padding(held.values, self.lengths, first),
                    held.axes,
                    held.meaning,
                    held.unit,
                )
                for name, held in found.items()
            },
        }

    def _beliefs(self, hidden: Tensor) -> dict[str, TracedArray]:
        """Of some steps at a time: all logits of a large vocabulary would be too many."""
        parts = [
            beliefs(self.model.log_probabilities(hidden[:, start : start + _STEPS]))
            for start in range(0, hidden.size(1), _STEPS)
        ]
        return {
            name: TracedArray(
                np.concatenate([part[name].values for part in parts], axis=1),
                held.axes,
                held.meaning,
                held.unit,
            )
            for name, held in parts[0].items()
        }

    def about(self, steps: slice) -> dict[str, Any]:
        """Texts, and their tokens as they are called."""
        windows = self.predictor.view == "windows"
        note = f"the last {self.predictor.context} tokens are read, all that this model looks at"
        return {
            **({"note": note} if windows else {}),
            "texts": list(self.texts),
            "tokens": [
                [self.label(token) for token in row[:length][steps]]
                for row, length in zip(self.tokens, self.lengths, strict=True)
            ],
        }

    def label(self, token: int) -> str:
        """What a token is called."""
        return self.predictor.label(int(token))


def texts_of(predictor: TextPredictor, input: Any) -> tuple[str, ...]:
    """Read the texts that a user gives: a file is one text, a JSON Lines file one a line."""
    if isinstance(input, str | Path):
        field = predictor.data.field if predictor.data else "text"
        texts = tuple(prompt.text for prompt in prompts.read(str(input), field))
        return texts if is_documents(str(input)) else ("\n".join(texts),)
    return listed_texts(input)


def is_documents(name: str) -> bool:
    """Tell whether a file's name says that it holds many texts."""
    return without_compression(name.lower()).endswith(JSON_LINES)
