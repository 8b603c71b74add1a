"""Looks on while a network runs: every call of a recurrent layer, as it was made.

Shapes: ``B`` batch, ``T`` steps, ``F`` features, ``L`` layers, ``D`` directions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from unspool.inspection.unrolling import LayerCall
from unspool.nn import GRU, LSTM, RNN


def recurrent_layers(model: nn.Module) -> dict[str, nn.RNNBase]:
    """Find the recurrent layers of a network, by names for a reader.

    ``recurrent``, ``layers.0`` and ``layers.1`` say nothing where there is nothing else, and are
    called by nothing; ``encoder.layers.0`` is of the ``encoder``.

    Returns
    -------
    dict of RNN, LSTM or GRU
        In the order in which the network holds them, by ``group.number``, where the number is that
        of the first layer of a stack among its group's. Where all are of one group it has no name:
        ``.0``, ``.1``.

    Examples
    --------
    >>> network = nn.ModuleDict({"rows": nn.ModuleList([LSTM(3, 4, 2), LSTM(4, 4)])})
    >>> list(recurrent_layers(network))
    ['.0', '.2']
    >>> network["pixels"] = GRU(3, 4)
    >>> list(recurrent_layers(network))
    ['rows.0', 'rows.2', 'pixels.0']
    """
    found: dict[str, nn.RNNBase] = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, RNN | LSTM | GRU)
    }
    groups = {path: re.sub(r"\.?(layers)?(\.?\d+)?$", "", path) for path in found}
    single = len(set(groups.values())) <= 1
    numbers: dict[str, int] = {}
    named = {}
    for path, module in found.items():
        group = "" if single else groups[path]
        number = numbers.get(group, 0)
        numbers[group] = number + module.num_layers
        named[f"{group}.{number}"] = module
    return named


@contextmanager
def observing(model: nn.Module, see: Callable[[str, LayerCall], None]) -> Iterator[None]:
    """Show every call of a recurrent layer in a block, once it has its result.

    Parameters
    ----------
    model : nn.Module
    see : callable
        Given the layer's name, see :func:`recurrent_layers`, and the call.
    """
    with ExitStack() as hooks:
        for name, layer in recurrent_layers(model).items():
            hooks.enter_context(
                _removed(layer.register_forward_hook(_hook(name, see), with_kwargs=True))
            )
        yield


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    try:
        yield
    finally:
        handle.remove()


def _hook(name: str, see: Callable[[str, LayerCall], None]) -> Callable[..., None]:
    def hook(layer: nn.RNNBase, args: Any, kwargs: dict[str, Any], result: tuple[Any, Any]) -> None:
        see(name, _call(layer, result[0], *args, **kwargs))

    return hook


def _call(
    layer: nn.RNNBase, output: Any, input: Any, hx: Any = None, *, lengths: Any = None
) -> LayerCall:
    """Bring a call into the form that :class:`LayerCall` describes."""
    state = None if hx is None else hx if isinstance(hx, tuple) else (hx,)
    if isinstance(input, PackedSequence):
        input, lengths = pad_packed_sequence(input, batch_first=True)
        output, _ = pad_packed_sequence(output, batch_first=True)
    elif input.dim() == 2:
        input, output = input[None], output[None]
        state = state and tuple(member[:, None] for member in state)
    elif not layer.batch_first:
        input, output = input.transpose(0, 1), output.transpose(0, 1)
    if lengths is not None:
        lengths = torch.as_tensor(lengths, dtype=torch.int64).to(input.device)
    return LayerCall(layer, input, state, lengths, output)


def watched(module: nn.Module, see: Callable[[Tensor, Tensor], None]) -> Any:
    """Show what goes into a module and what comes out of it, while the block lasts."""

    def hook(_: nn.Module, args: tuple[Tensor, ...], result: Tensor) -> None:
        see(args[0], result)

    return _removed(module.register_forward_hook(hook))
