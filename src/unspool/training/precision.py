"""The precision that a training computes in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from unspool import native
from unspool.errors import TrainingError

Precision = Literal["fp32", "bf16"]
"""``fp32`` throughout; or products in ``bf16`` (8 bits of mantissa) with weights, their changes
and the loss kept in fp32."""


def check(precision: Precision, device: torch.device) -> None:
    """Refuse a precision that the device does not compute fast in.

    Raises
    ------
    TrainingError
        If the device has no instructions for bf16.
    """
    if precision == "fp32":
        return
    if device.type == "cuda":
        if not torch.cuda.is_bf16_supported(including_emulation=False):
            raise TrainingError("training.precision is 'bf16', which this GPU lacks; use fp32")
        return
    if not native.fast_bf16():
        found = native.instruction_sets()
        reason = native.absence() or f"this processor has {', '.join(found) or 'none'}"
        raise TrainingError(
            "training.precision is 'bf16', expected a GPU or a processor that multiplies bfloat16 "
            f"faster than float32, with AMX or AMD's avx512_bf16; use fp32 ({reason})"
        )


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """A context in which a model's products are formed in this precision."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
