"""Which native kernels there are on this machine, and which of them computes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import torch
from torch.autograd import forward_ad

from unspool import native

PLAIN = ("torch", "reference")
"""What can be chosen in place of a native kernel: torch's own, and the plain-torch twin."""

_Function = TypeVar("_Function", bound=Callable[..., Any])


def constant_when_compiled(function: _Function) -> _Function:
    """Have a compiler take what a function returns for a constant, and not look into it.

    As ``torch.compiler.assume_constant_result`` does, which would import the compiler: a second
    that every program would pay.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@cache
def names() -> tuple[str, ...]:
    """Name the native kernels that this machine can run, the fastest last.

    Returns
    -------
    tuple of str
        ``"portable"``, and as far as the processor has the instructions ``"avx2"``, ``"avx512"``
        and ``"amx"``, or ``"neon"``. Empty where there is no native module, or where torch's
        OpenMP threads, which the kernels work on, are not found; a warning says so once.
    """
    if native.absence() is not None:
        return ()
    from unspool import _native

    if not _native.borrow_threads():
        warnings.warn(
            "native kernels are not used: torch's OpenMP runtime was not found in this process; "
            "torch's own kernels serve",
            RuntimeWarning,
            stacklevel=2,
        )
        return ()
    return tuple(_native.kernels())


@cache
def half_names() -> tuple[str, ...]:
    """Name the native kernels that multiply in bfloat16 and add in float32, the fastest last.

    Returns
    -------
    tuple of str
        ``"avx512_bf16"`` and ``"amx_bf16"``, as far as the processor has the instructions; empty
        where :func:`names` is.
    """
    if not names():
        return ()
    from unspool import _native

    return tuple(_native.half_kernels())


@constant_when_compiled
def kernel() -> str:
    """Name the kernel that computes the layers on the CPU.

    The fastest native one that this processor can run, or the one that the environment variable
    ``UNSPOOL_KERNEL`` names. It is read at every forward pass, so a running program can change it;
    a compiled one keeps what it was compiled with.

    Returns
    -------
    str
        A native kernel of :func:`names`: ``"amx"``, ``"avx512"``, ``"avx2"``, ``"neon"`` or
        ``"portable"``, or one of :func:`half_names` for use under ``torch.autocast``; ``"torch"``,
        torch's own kernels; or ``"reference"``, the plain-torch twin of
        :mod:`unspool.nn.reference`, slow and differentiable any number of times.

    Raises
    ------
    ValueError
        If the variable has another value.
    """
    name = os.environ.get("UNSPOOL_KERNEL")
    native = names()
    if not name:
        return native[-1] if native else "torch"
    known = [*PLAIN, *native, *half_names()]
    if name not in known:
        raise ValueError(
            f"UNSPOOL_KERNEL has {name!r}, expected one of {', '.join(known)}; "
            "set one of these or unset it"
        )
    return name


def for_batch(name: str, sequences: int, steps: int, units: int) -> str:
    """Name the native kernel that runs a recurrent stack over a batch, where one was chosen.

    ``"amx"`` leaves to ``"avx512"``, whose sums differ in their last bits, what would not fill its
    tiles of 16 rows, and what they take longer to be filled than to be multiplied: few units, and
    single steps.

    Parameters
    ----------
    name : str
        One of :func:`names` or :func:`half_names`.
    sequences, steps, units : int
        B, T and H.
    """
    if sequences < 16 or steps == 1 or units < 64:  # as measured
        return batch_invariant(name)
    return name


def batch_invariant(name: str) -> str:
    """Name the native kernel for answers that are the same to the bit in every batch."""
    return "avx512" if name == "amx" else name


@constant_when_compiled
def serving(name: str, half: bool) -> str | None:
    """Name the native kernel that computes where one was chosen, None where torch has to.

    Parameters
    ----------
    name : str
        What :func:`kernel` returned.
    half : bool
        Whether products are to be in bfloat16. They are where the processor does so faster than in
        float32, or where a kernel that does was chosen by name.
    """
    if name in PLAIN:
        return None
    if not half:
        return names()[-1] if name in half_names() else name
    if name in half_names():
        return name
    return half_names()[-1] if name == names()[-1] and native.fast_bf16() else None


def is_unobserved() -> bool:
    """Tell whether neither a compiler nor a mode of torch's dispatcher looks on."""
    return (
        not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
    )


def is_transformed() -> bool:
    """Tell whether torch.func, forward-mode derivatives or torch.jit.trace are at work.

    They know no operator but torch's own, and a trace nothing of what is written by address.
    """
    return (
        forward_ad._current_level >= 0
        or torch._C._are_functorch_transforms_active()
        or torch._C._get_tracing_state() is not None
    )


def is_direct() -> bool:
    """Tell whether a call may go past torch's dispatcher: nobody looks on or transforms it."""
    return is_unobserved() and not is_transformed()
