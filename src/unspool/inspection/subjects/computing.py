"""Traces any network that has recurrent layers of unspool.nn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from unspool.errors import DataError
from unspool.inspection.subjects.subject import Subject, array
from unspool.inspection.trace import TracedArray


class Computation(Subject):
    """A network and the tensor that it is called with.

    Parameters
    ----------
    model : nn.Module
    input : tensor or array, shape (B, T, ·)
        For a layer by itself, whatever the layer takes.
    """

    def __init__(self, model: nn.Module, input: Any) -> None:
        self.model = model
        if isinstance(input, str) or (
            isinstance(input, list) and input and isinstance(input[0], str)
        ):
            raise DataError(
                "the input is text and the model a bare network, expected numbers (B, T, F); pass "
                "a model folder or an estimator, which know their vocabulary"
            )
        self.input = torch.as_tensor(input)
        if self.input.is_floating_point():
            weight = next(model.parameters(), self.input)
            self.input = self.input.to(weight.device, weight.dtype)
        if self.input.dim() < 2:
            raise DataError(
                f"the input has shape {tuple(self.input.shape)}, expected (B, T, F), or (B, T) of "
                "tokens"
            )

    def extent(self, group: str) -> tuple[int, int]:
        """What the input's shape says; a network may make more sequences of it, or fewer."""
        del group
        if isinstance(self.model, nn.RNNBase):
            if self.input.dim() == 2:
                return 1, self.input.size(0)
            if not self.model.batch_first:
                return self.input.size(1), self.input.size(0)
        return self.input.size(0), self.input.size(1)

    def forward(self) -> Any:
        """Call the network."""
        return self.model(self.input)

    def arrays(self, result: Any, steps: slice) -> dict[str, TracedArray]:
        """What went in and what came out, whole."""
        del steps
        found = {"input": TracedArray(array(self.input), "(B, T, …)", "what the network was given")}
        for name, tensor in _tensors("output", result):
            found[name] = TracedArray(array(tensor), "(…)", "what the network gave back")
        return found


def _tensors(name: str, result: Any) -> list[tuple[str, Tensor]]:
    if isinstance(result, Tensor):
        return [(name, result)]
    if isinstance(result, dict):
        pairs = list(result.items())
    elif isinstance(result, list | tuple):
        fields = getattr(result, "_fields", range(len(result)))
        pairs = list(zip(fields, result, strict=True))
    else:
        return []
    return [found for key, value in pairs for found in _tensors(f"{name}.{key}", value)]
