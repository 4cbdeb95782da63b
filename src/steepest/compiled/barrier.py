"""How threads within a kernel wait for each other, by the C library's mutex.

Between what one member of a `steepest.compiled.threads.BarrierGroup` writes and another reads
stands `meet`. Who waits looks at a counter for at most 100 µs, since the others are some
microseconds away, and then sleeps between looks, so that others can use the core. The mutex is
taken before and after, which orders what is read after what was written on any processor.

The functions of the C library come as an argument: Numba keeps a kernel on disk only if no address
is part of it.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import Any

from steepest.compiled.jit import helper
from steepest.compiled.threads import ARRIVED, GENERATION

_LOOKS = 500
"""Looks at the counter before the first yield, of 1 to 5 ns each."""
_YIELDS = 200
"""Times that the core is offered to another thread, of 0.3 to 0.5 µs each, before the first sleep.

Two members may begin on one core. A member that yields lets the other one come at once, and both
are seen to want to run, so that the system moves one to an idle core; members that sleep stay."""
_SLEEP = 20
"""Microseconds."""


@cache
def system_calls() -> tuple[Any, ...]:
    """What `meet` calls: initialise, try to lock, unlock a mutex; return at once; yield; sleep."""
    size, integer = ctypes.c_size_t, ctypes.c_int
    kinds = [
        (integer, size, size), (integer, size), (integer, size), (size,), (integer,),
        (integer, integer),
    ]  # fmt: skip
    if os.name != "posix":  # one thread, which never waits
        return tuple(ctypes.CFUNCTYPE(*kind)(lambda *_: 0) for kind in kinds)
    library, calls = ctypes.CDLL(None), []
    names = "pthread_mutex_init", "pthread_mutex_trylock", "pthread_mutex_unlock", "pthread_self"
    for name, (result, *arguments) in zip((*names, "sched_yield", "usleep"), kinds, strict=True):
        call = getattr(library, name)
        call.restype, call.argtypes = result, arguments
        calls.append(call)
    return tuple(calls)


@helper
def _wait(calls, looks):
    """Wait between two looks, of which there were so many; count them."""
    if looks < _LOOKS:
        calls[3]()  # the compiler must then look at memory again
    elif looks < _LOOKS + _YIELDS:
        calls[4]()
    else:
        calls[5](_SLEEP)
    return looks + 1


@helper
def _lock(calls, mutex):
    """Take the mutex. Its own lock would sleep at once, and waking takes longer than a step."""
    looks = 0
    while calls[1](mutex) != 0:
        looks = _wait(calls, looks)


@helper
def meet(calls, words, members):
    """Wait until all members have come; whether none of them has failed."""
    if members == 1:
        return True
    mutex, unlock = words.ctypes.data, calls[2]
    _lock(calls, mutex)
    generation = words[GENERATION]
    words[ARRIVED] += 1
    if words[ARRIVED] == members and generation >= 0:
        words[ARRIVED] = 0
        words[GENERATION] = generation + 1
        unlock(mutex)
        return True
    unlock(mutex)
    looks = 0
    while generation >= 0 and words[GENERATION] == generation:
        looks = _wait(calls, looks)
    _lock(calls, mutex)
    failed = words[GENERATION] < 0
    unlock(mutex)
    return not failed
