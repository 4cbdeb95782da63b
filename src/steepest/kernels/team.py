"""Threads that take the same steps together, and wait for each other between their parts.

Each thread (a member) runs the same compiled function on arrays that all share. Between what one
writes and another reads stands `wait`: nobody goes on before all have come. Who waits looks at the
count again and again, since the others are some hundred nanoseconds away; after a while it lets
others use the core in between. ``words[0]`` counts the arrivals, ``words[1]`` is not zero when a
member has failed and nobody must wait any more; the numbers between keep the two apart in the
cache.

Between two stretches of steps a member other than the first lingers at the `words`, for about a
millisecond: waking up a thread costs as much as several steps of a small network. The first member
tells it by `begin` that there are steps again, and waits in `leave` until it lingers: at both times
the first one is in compiled code, so that the other need not wait for Python's lock.

For one member `wait` is nothing at all; this is also its plain twin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import entry, intrinsic, part
from steepest.kernels.vector import aligned

__all__ = ["COUNTED", "begin", "begun", "leave", "linger", "new_words", "ring", "wait"]

_LOOKS = 4096
"""Looks before the core is offered to others, some microseconds."""
_LINGERING = 384 * _LOOKS
"""Looks while a member lingers, about a millisecond. In between it seldom offers the core: where
others want it, each offer may take as long as they work."""
_STOPPED, _BEGUN, _LINGERS = 16, 32, 48
COUNTED = 32
"""So many words count within a stretch, and are zero when it begins."""
_WORD = ir.IntType(64)


def new_words() -> np.ndarray:
    """What the members of a team count in, ``(64,)`` int64."""
    return aligned(64, np.int64)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [place])


@intrinsic
def _add_one(typing, words, place):
    """Add one to a word; return what it was."""

    def generate(context, builder, signature, arguments):
        pointer = _pointer(context, builder, signature.args[0], *arguments)
        return builder.atomic_rmw("add", pointer, _WORD(1), "seq_cst")

    return types.int64(words, types.intp), generate


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
    goal = (_add_one(words, 0) // members + 1) * members
    looks = 0
    while _look(words, 0) < goal:
        if _look(words, _STOPPED) != 0:
            return False
        looks += 1
        if looks > _LOOKS:
            _give_way()
    return True


@part
def begin(words, member):
    """Say, as the first member, that a stretch begins."""
    if member == 0:
        words[_LINGERS] = 0
        _add_one(words, _BEGUN)


@part
def leave(words, member, members):
    """Wait, as the first member, until the others linger again; not for long."""
    looks = 0
    while member == 0 and looks < _LOOKS and _look(words, _LINGERS) < members - 1:
        looks += 1
        if looks > _LOOKS // 4:
            _give_way()


@entry
def linger(words, begun):
    """Return when more than `begun` stretches have begun, or after about a millisecond."""
    _add_one(words, _LINGERS)
    looks = 0
    while _look(words, _BEGUN) == begun and looks < _LINGERING:
        looks += 1
        if looks % _LOOKS == 0:
            _give_way()
    return looks


def begun(words: np.ndarray) -> int:
    """How many stretches have begun, as `linger` counts them."""
    return int(words[_BEGUN])


def ring(words: np.ndarray) -> None:
    """Call who lingers away, to something else than a stretch."""
    words[_BEGUN] += 1
