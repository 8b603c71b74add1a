"""The native module, if there is one: compiled from C++ when Unspool was installed.

Everything works without it, on plain torch; with it, the layers of :mod:`unspool.nn` are computed
by one of its kernels, each written for a set of vector instructions. Nothing here imports torch.
"""

from functools import cache
from importlib import import_module


def instruction_sets() -> tuple[str, ...]:
    """Name the vector instruction sets that both the processor and the operating system offer.

    Returns
    -------
    tuple of str
        Among ``"avx2"`` (with FMA), ``"avx512"`` (F, BW, DQ and VL), ``"avx512_bf16"``,
        ``"amx_bf16"`` and ``"neon"``; empty where there is none, or no native module to ask.
    """
    if absence() is not None:
        return ()
    from unspool import _native

    return tuple(_native.instruction_sets())


def kernels() -> tuple[str, ...]:
    """Name the native kernels that the processor can run, the fastest last.

    Returns
    -------
    tuple of str
        ``"portable"``, and as far as the processor has the instructions ``"avx2"``, ``"avx512"``
        and ``"amx"``, or ``"neon"``; empty where there is no native module.
    """
    if absence() is not None:
        return ()
    from unspool import _native

    return tuple(_native.kernels())


def fast_bf16() -> bool:
    """Tell whether this processor multiplies bfloat16 numbers faster than float32 ones.

    So do processors with AMX, and those of AMD with AVX-512's dot products; Intel's have the latter
    too, but at a quarter of the rate. False where there is no native module to ask.
    """
    if absence() is not None:
        return False
    from unspool import _native

    return bool(_native.fast_bf16())


@cache
def absence() -> str | None:
    """Say in one line why there is no native module; None where there is one."""
    try:
        import_module("unspool._native")
    except ModuleNotFoundError:
        reason = _recorded_reason()
    except ImportError as error:
        reason = f"it was built but does not load ({' '.join(str(error).split())})"
    else:
        return None
    return (
        f"native module absent: {reason}; the plain-torch path serves. For native kernels, mend "
        "that and reinstall unspool with pip's --force-reinstall --no-deps --no-cache-dir."
    )


def _recorded_reason() -> str:
    """Return what the build recorded when it left the module out."""
    try:
        return str(import_module("unspool._native_absence").REASON)
    except ModuleNotFoundError:
        return "this source tree was never installed"
