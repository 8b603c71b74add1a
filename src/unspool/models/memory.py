"""What is known while a target is read or written: the source, and how far it has come.

Shapes: ``B`` sentences, ``K`` hypotheses of each, ``N = B·K`` of them, the hypotheses of a sentence
side by side; ``S`` steps of the source, ``A`` size of a key, ``P`` of a value, ``H`` hidden size.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from unspool.models.recurrent_layer import LayerState


class Memory(NamedTuple):
    """What an encoder leaves of its sentences.

    Parameters
    ----------
    sentence : (B, ·) tensor
        All layers' final states, h and of an LSTM c, one after another: all that a decoder without
        attention has of a sentence (Sutskever, Vinyals & Le 2014, arXiv 1409.3215, section 3.8).
    start : tuple of tuples of (B, H) tensors
        What each layer of the decoder starts from.
    padding : (B, S) bool tensor
        True where a source has no step.
    keys : (B, S, A) tensor, optional
        What queries are compared with; there is none without attention.
    values : (B, S, P) tensor, optional
        What is seen where they agree.
    """

    sentence: Tensor
    start: tuple[LayerState, ...]
    padding: Tensor
    keys: Tensor | None
    values: Tensor | None

    def select(self, rows: Tensor) -> "Memory":
        """Return some sentences, ``(B',)``, in the order in which they are named."""
        return self.changed(lambda part: part.index_select(0, rows))

    def changed(self, change: Callable[[Tensor], Tensor]) -> "Memory":
        """Return what a function makes of every part, whose first dimension are the sentences."""
        return Memory(
            change(self.sentence),
            _changed(self.start, change),
            change(self.padding),
            None if self.keys is None else change(self.keys),
            None if self.values is None else change(self.values),
        )


class DecoderState(NamedTuple):
    """How far some hypotheses have come.

    Parameters
    ----------
    memory : Memory
        Of ``B`` sentences, ``B`` a divisor of ``N``.
    layers : tuple of tuples of (N, H) tensors
        Each layer's state.
    seen : (N, P) tensor, optional
        With input feeding, the attentional vector of the step before.
    attention : (N, S) tensor, optional
        With attention, the weights of the step before; not there before the first.
    """

    memory: Memory
    layers: tuple[LayerState, ...]
    seen: Tensor | None = None
    attention: Tensor | None = None

    def select(self, rows: Tensor) -> "DecoderState":
        """Go on with some of the hypotheses.

        Parameters
        ----------
        rows : (B', K') int64 tensor
            For each sentence that goes on, in the order of this state, which of its own hypotheses
            become its ``K'``. Its memory is not touched unless another sentence has gone.

        Returns
        -------
        DecoderState
            Of ``B'·K'`` hypotheses.

        Examples
        --------
        >>> memory = Memory(torch.zeros(2, 4), (), torch.zeros(2, 7) > 0, None, None)
        >>> state = DecoderState(memory, ((torch.arange(4)[:, None],),))  # two of each
        >>> after = state.select(torch.tensor([[3, 2, 3]]))
        >>> after.layers[0][0].flatten(), after.memory.sentence.shape
        (tensor([3, 2, 3]), torch.Size([1, 4]))
        """
        each, memory = self._each, self.memory
        if len(rows) < len(memory.padding):
            memory = memory.select(rows[:, 0] // each)
        rows = rows.flatten()
        return self._replace(memory=memory)._changed(lambda part: part.index_select(0, rows))

    def first(self, count: int) -> "DecoderState":
        """Return the first hypotheses: all of them, or of one a sentence."""
        if count == self.hypotheses:
            return self
        return self.changed(lambda part: part[:count])

    def changed(self, change: Callable[[Tensor], Tensor]) -> "DecoderState":
        """Return what a function makes of every part, of one hypothesis a sentence."""
        return self._replace(memory=self.memory.changed(change))._changed(change)

    def _changed(self, change: Callable[[Tensor], Tensor]) -> "DecoderState":
        return DecoderState(
            self.memory,
            _changed(self.layers, change),
            None if self.seen is None else change(self.seen),
            None if self.attention is None else change(self.attention),
        )

    def repeat(self, count: int) -> "DecoderState":
        """Return each hypothesis so many times, side by side; the memory is not touched."""
        sentences = len(self.memory.padding)
        rows = torch.arange(sentences * self._each, device=self.memory.padding.device)
        return self.select(rows.repeat_interleave(count).view(sentences, -1))

    @property
    def hypotheses(self) -> int:
        """``N``."""
        return len(self.layers[0][0])

    @property
    def _each(self) -> int:
        """``K``."""
        return self.hypotheses // len(self.memory.padding)


def attention_of(state: DecoderState) -> Tensor:
    """The attention that was paid in the step that led to a state, ``(N, S)``."""
    assert state.attention is not None
    return state.attention


def _changed(
    layers: tuple[LayerState, ...], change: Callable[[Tensor], Tensor]
) -> tuple[LayerState, ...]:
    return tuple(tuple(change(member) for member in layer) for layer in layers)
