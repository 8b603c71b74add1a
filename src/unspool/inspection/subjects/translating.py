"""Traces an encoder-decoder network that answers texts.

Shapes: ``B`` texts, ``S`` tokens of the source, ``T`` of the answer, ``K`` candidates, ``V`` tokens
of the target's vocabulary.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unspool.data.pair_corpus import TokenRows
from unspool.data.pairs import PairColumns
from unspool.data.text_codec import BEGIN, END
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
from unspool.models.encoder_decoder import DecoderState, EncoderDecoder, TargetReading
from unspool.models.recurrent_layer import run_layer
from unspool.tasks.translate.predictor import PairPredictor
from unspool.tasks.translate.writing import write
from unspool.tasks.translator import texts_of


class Answering(Subject):
    """A network that answers texts, and its best answer to each.

    The answer is searched for first. What is traced is how the network reads the source, and then
    the answer that it found, from the sign that one begins to its last token.

    Parameters
    ----------
    predictor : PairPredictor
    input : str, Path or list of str
        A text, a file's name, whose lines are texts, or texts.
    """

    model: EncoderDecoder

    def __init__(self, predictor: PairPredictor, input: Any) -> None:
        self.predictor = predictor
        self.model = predictor.model
        self.texts = _texts(input, predictor.columns)
        sources = TokenRows.of_sources(self.texts, predictor.codecs.source)
        self._search = predictor.decoding.model_copy(update={"n_best": 1})
        with predictor.answering():
            found = write([self.model], sources, self._search)
        self.answers = [best for best, *_ in found]
        targets = TokenRows.from_list([BEGIN, *answer.tokens] for answer in self.answers)
        self.source, self.source_lengths = sources.padded(range(len(sources)))
        self.target, self.target_lengths = targets.padded(range(len(targets)))

    def extent(self, group: str) -> tuple[int, int]:
        """The encoder reads the sources, the decoder the answers."""
        rows = self.source if group == "encoder" else self.target
        return rows.size(0), rows.size(1)

    def answer_numbers(self) -> int:
        """Candidates, log-probabilities, and weights of attention."""
        size = len(self.predictor.codecs.target)
        whole = size if size <= WHOLE_VOCABULARY else 0
        return 4 * CANDIDATES + whole + 2 * size + self.source.size(1)

    def forward(self) -> TargetReading:
        """Read the sources, and then their answers."""
        device = self.predictor.device
        memory = self.model.encode(self.source.to(device), self.source_lengths)
        state = self.model.initial_state(memory)
        target = self.target.to(device)
        reading = self.model.read(target, state, self.target_lengths)
        if self.model.settings.input_feeding:
            self._run_layers(target, state, reading)
        return reading

    def _run_layers(self, target: Tensor, state: DecoderState, reading: TargetReading) -> None:
        """Run the decoder's layers over all steps at once, on the inputs that they had.

        With input feeding a step's input hangs on what came of the step before: the decoder goes
        step by step without calling its layers, so that there would be nothing to look at.
        """
        assert state.seen is not None
        seen = torch.cat([state.seen[:, None], reading.hidden[:, :-1]], 1)
        x = torch.cat([self.model.target_embedding(target), seen], 2)
        for layer, start in zip(self.model.decoder.layers, state.layers, strict=True):
            held = tuple(member.unsqueeze(0) for member in start)
            x, _ = run_layer(layer, x, held, self.target_lengths)  # type: ignore[arg-type]

    def arrays(self, result: TargetReading, steps: slice) -> dict[str, TracedArray]:
        """Tokens of both sides, what may come next in the answer, and where it looked."""
        lengths, source_lengths = self.target_lengths.numpy(), self.source_lengths.numpy()
        first = steps.start or 0
        found = {
            "input": TracedArray(
                array(self.target[:, steps]),
                "(B, T)",
                "the answer's token read at each step",
                "token",
            ),
            **beliefs(self.model.log_probabilities(result.hidden[:, steps])),
        }
        if result.attention is not None:
            weights = result.attention[:, steps, : self.source.size(1)]
            found["attention"] = TracedArray(
                array(weights),
                "(B, T, S)",
                "how much of each of the source's tokens is looked at on the way to the next token",
                "share",
            )
        return {
            "encoder.lengths": TracedArray(
                source_lengths, "(B,)", "tokens of each source, its end counted", "steps"
            ),
            "encoder.input": TracedArray(
                without_padding(array(self.source[:, steps]), source_lengths, first),
                "(B, S)",
                "the source's tokens, in the order of the text",
                "token",
            ),
            "lengths": TracedArray(lengths, "(B,)", "steps of each answer", "steps"),
            **{
                name: TracedArray(
                    without_padding(held.values, lengths, first), held.axes, held.meaning, held.unit
                )
                for name, held in found.items()
            },
        }

    def about(self, steps: slice) -> dict[str, Any]:
        """Texts, answers, and the tokens of both as they are called."""
        sources = [[*self.predictor.codecs.source.pieces(text), "⟨end⟩"] for text in self.texts]
        order = -1 if self.model.settings.reverse_source else 1
        found: dict[str, Any] = {
            "texts": list(self.texts),
            # as a person would write them: unknown words are copied from the source
            "answers": [
                best.text for best, *_ in self.predictor.translate(self.texts, self._search)
            ],
            "source_tokens": sources,
            "encoder_tokens": [tokens[::order][steps] for tokens in sources],  # as they were read
            "tokens": [
                ["⟨begin⟩", *map(self.label, answer.tokens)][steps] for answer in self.answers
            ],
            # what came of each step: the token that the step looks for
            "written": [
                [*map(self.label, answer.tokens), "⟨end⟩"][steps] for answer in self.answers
            ],
        }
        if self.model.settings.input_feeding:
            found["note"] = (
                "the decoder's layers were run once more, over all steps at once, on the inputs "
                "that they had step by step"
            )
        if order < 0:
            found["note"] = "the encoder's steps are in the order of reading, from the source's end"
        return found

    def label(self, token: int) -> str:
        """What a token of the target is called."""
        if token == END:
            return "⟨end⟩"
        return self.predictor.codecs.target.decode([token])


def _texts(input: Any, columns: PairColumns) -> tuple[str, ...]:
    if isinstance(input, str | Path):
        _, texts = texts_of(str(input), columns)
        return tuple(texts)
    return listed_texts(input)
