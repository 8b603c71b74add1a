"""Products of many small batches with one matrix.

A step of a batch has some hundred rows, and the next step has the same matrix: here it is brought
into the order in which the kernel reads it once, and not at each step.

Shapes: ``N`` rows, ``K`` numbers of an input, ``M`` of an output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from unspool.nn import levels
from unspool.nn.inference import address

_KERNELS = ("avx2", "amx", "amx_bf16")  # measured to be faster than torch's products
_LEAST_ROWS = 16  # the height of AMX's tiles; with fewer the weights are worth no packing
_WIDTH = 16  # of a vector


def serving(weight: Tensor, sums: Tensor, rows: int) -> str | None:
    """Name the kernel for products with a weight that are added to sums; None where torch's serve.

    Parameters
    ----------
    weight : (M, K) tensor
    sums : (R, M) tensor
    rows : int
        Of them that a product has, at most.
    """
    if rows < _LEAST_ROWS or weight.numel() == 0 or weight.dim() != 2 or weight.is_inference():
        return None
    if sums.shape[1:] != weight.shape[:1] or not levels.is_direct():
        return None
    if not all(each.is_cpu and each.dtype is torch.float32 for each in (weight, sums)):
        return None
    half = torch.is_autocast_enabled("cpu")
    if half and torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return None
    name = levels.serving(levels.kernel(), half)
    return name if name in _KERNELS else None


def is_readable(x: Tensor, rows: int, size: int) -> bool:
    """Tell whether C++ can read rows of an input."""
    return x.shape == (rows, size) and x.is_cpu and x.dtype is torch.float32


class PackedMatrix:
    """``B``, (K, M), in the order in which the kernel reads it.

    Parameters
    ----------
    weight : Tensor
        ``B`` or, with ``transpose``, its transpose, in float32.
    transpose : bool
    kernel : str
        One of :func:`unspool.nn.levels.names`, or what :func:`serving` named.
    """

    def __init__(self, weight: Tensor, transpose: bool, kernel: str) -> None:
        from unspool import _native

        weight = weight.detach()
        if weight.stride(1) != 1:
            weight = weight.contiguous()
        self._kernel = kernel
        rows, columns = weight.shape
        self._sizes = (columns, rows) if transpose else (rows, columns)
        self._panels = weight.new_empty(_native.product_panels(kernel, *self._sizes))
        _native.pack_product(
            kernel,
            self._sizes,
            _rows(weight),
            transpose,
            self._panels.data_ptr(),
            torch.get_num_threads(),
        )

    def multiply(self, input: Tensor, added: Tensor | None = None) -> Tensor:
        """Return ``input · B + added``, (N, M), of (N, K) and (N, M) in float32."""
        from unspool import _native

        depth, columns = self._sizes
        output = input.new_empty(len(input), columns)
        _native.multiply(
            self._kernel,
            (len(input), depth, columns),
            self._panels.data_ptr(),
            _rows(input),
            _rows(added),
            _rows(output),
            torch.get_num_threads(),
        )
        return output


def weight_gradient(gradients: Tensor, inputs: Sequence[Tensor], kernel: str) -> Tensor:
    """Return Σ gradient ⊗ input, (M, K), over rows and steps.

    Parameters
    ----------
    gradients : (R, M) tensor
        Of the outputs, one step's rows after another's; those of steps that have no input here are
        left out.
    inputs : sequence of (N, K) tensors
        Of each step.
    kernel : str
        What :func:`serving` named.
    """
    from unspool import _native

    outputs, size = gradients.size(1), inputs[0].size(1)
    if outputs % _WIDTH or gradients.stride(1) != 1:
        gradients = torch.nn.functional.pad(gradients, (0, -outputs % _WIDTH)).contiguous()
    found = gradients.new_empty(gradients.size(1), size)
    inputs = [each.contiguous() for each in inputs]
    _native.weight_gradient(
        kernel,
        (gradients.size(1), size),
        _rows(gradients),
        [each.data_ptr() for each in inputs],
        [len(each) for each in inputs],
        found.data_ptr(),
        torch.get_num_threads(),
    )
    return found[:outputs]


def _rows(matrix: Tensor | None) -> tuple[int, int]:
    """Address, and stride from row to row."""
    return address(matrix), 0 if matrix is None else matrix.stride(0)
