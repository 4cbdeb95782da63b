"""Threads that take the same steps together, and wait for each other between their parts.

Each thread (a member) runs the same compiled function on arrays that all share. Between what one
writes and another reads stands `wait`: nobody goes on before all have come. Who waits looks at the
count again and again, since the others are some hundred nanoseconds away; after a while it lets
others use the core in between. ``words[0]`` counts the arrivals, ``words[1]`` is not zero when a
member has failed and nobody must wait any more; the numbers between keep the two apart in the
cache.

For one member `wait` is nothing at all; this is also its plain twin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic, part
from steepest.kernels.vector import aligned

__all__ = ["new_words", "wait"]

_LOOKS = 4096
"""Looks before the core is offered to others, some microseconds."""
_STOPPED = 16
_WORD = ir.IntType(64)


def new_words() -> np.ndarray:
    """What the members of a team count in, ``(32,)`` int64."""
    return aligned(32, np.int64)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


@intrinsic
def _arrive(typing, words):
    """Add one to the count; return what it was."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], arguments[0], _WORD(0))
        return builder.atomic_rmw("add", pointer, _WORD(1), "seq_cst")

    return types.int64(words), generate


@intrinsic
def _look(typing, words, place):
    """A word as it is now."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.load_atomic(pointer, "seq_cst", 8)

    return types.int64(words, types.intp), generate


@intrinsic
def _give_way(typing):
    """Let another thread use this core (POSIX)."""

    def generate(context, builder, signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), generate


@part
def wait(words, members):
    """Return when all members have called it as often; False if one has failed."""
    if members == 1:
        return True
    goal = (_arrive(words) // members + 1) * members
    looks = 0
    while _look(words, 0) < goal:
        if _look(words, _STOPPED) != 0:
            return False
        looks += 1
        if looks > _LOOKS:
            _give_way()
    return True
