"""Rows that lie anywhere in memory, copied side by side: out = X[rows].

A loop that does nothing but ask for later rows and copy those that have come keeps many of them on
their way; steps in between would not.

The NumPy twin is ``X[rows]``.
"""

from __future__ import annotations

from typing import Any

from numba import types

from steepest.kernels.compiled import entry, intrinsic
from steepest.kernels.steps import copy
from steepest.kernels.vector import Vectors

__all__ = ["AHEAD", "gather_rows"]

AHEAD = 64
"""Rows that are asked for before they are copied."""
_LINE = 64
"""Bytes of a line of the cache."""


@intrinsic
def _ask(typing, memory, place):
    """Ask for the line of an element, into the second cache, and do not wait for it."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        Vectors(context, builder, signature.args[0], arguments[0]).ask(arguments[1])
        return context.get_dummy_value()

    return types.void(memory, types.intp), generate


@entry
def gather_rows(inputs, n, rows, out):
    """Copy rows of n numbers, n ≥ 1; `inputs` and `out` are flat."""
    line = _LINE // inputs.itemsize
    for i in range(len(rows)):
        if i + AHEAD < len(rows):
            later = rows[i + AHEAD] * n
            for j in range(0, n, line):
                _ask(inputs, later + j)
            _ask(inputs, later + n - 1)
        copy(out, i * n, inputs, rows[i] * n, n)
