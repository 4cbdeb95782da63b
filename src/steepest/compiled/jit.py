"""How kernels are compiled: Numba's `njit`, with machine code kept on disk where that is possible.

What to use when: `kernel` for a function that Python calls, `helper` for one that only kernels
call, `reduction` for a helper that is a sum. None of them holds Python's lock.

Additions and multiplications may be fused, which keeps infinities and NaN, and the order of sums:
the same numbers give the same bits. A `reduction` may also be reordered, in one way that the
compiler fixes, so that it runs in vector registers.

Numba's cache looks at the file of the kernel alone. Whoever edits a helper in another file has to
empty it; the tests use a cache of their own for each state of this package.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from typing import Any

import numpy as np
from numba import njit
from numba.core import event

from steepest.compiled.clock import compilation_ended, compilation_started

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_FUSED = {"contract"}
_REORDERED = {"contract", "reassoc", "nsz"}
_FIRST_CALLS = threading.RLock()
"""Held where a call may compile: Numba can fail where two threads compile at the same time."""


class _Compilation(event.Listener):
    """Tells the clock, by Numba's event interface, when something is compiled."""

    def on_start(self, event: event.Event) -> None:
        compilation_started()

    def on_end(self, event: event.Event) -> None:
        compilation_ended()


event.register("numba:compile", _Compilation())


def helper(function: Callable) -> Any:
    """Compile a function that kernels call."""
    return njit(fastmath=_FUSED, **_OPTIONS)(function)


def reduction(function: Callable) -> Any:
    """Compile a helper whose sums may be reordered."""
    return njit(fastmath=_REORDERED, **_OPTIONS)(function)


def kernel(function: Callable) -> Any:
    """Compile a function that Python calls.

    Its machine code is kept beside the package or in the user's cache folder. Where neither is
    writable, the disk is full or a file there is damaged, each process compiles it anew.

    Examples
    --------
    >>> kernel(lambda x: x + 1)(1)
    2
    """

    def uncached() -> Any:
        return njit(fastmath=_FUSED, **_OPTIONS)(function)

    try:
        compiled: Any = njit(cache=True, fastmath=_FUSED, **_OPTIONS)(function)
    except RuntimeError:  # no folder is writable
        return uncached()

    known: set[Any] = set()

    @wraps(function)
    def call(*arguments: Any) -> Any:
        kinds = tuple(map(_kind, arguments))
        with nullcontext() if kinds in known else _FIRST_CALLS:
            result = attempt(*arguments)
        known.add(kinds)
        return result

    def attempt(*arguments: Any) -> Any:
        nonlocal compiled
        try:
            return compiled(*arguments)
        except (MemoryError, TypeError):
            raise
        except Exception:  # whatever reading or writing a cache file can raise
            compiled = uncached()
            return compiled(*arguments)

    return call


def _kind(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_kind, value))
    return (value.dtype, value.ndim) if isinstance(value, np.ndarray) else type(value)
