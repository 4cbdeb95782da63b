"""A random order of the numbers 0 … n − 1: NumPy's own, to the bit, in compiled code.

From the last place down, each is exchanged with a random one of those up to it (Fisher and Yates).
The random numbers are those of the generator PCG64 (O'Neill, Harvey Mudd College HMC-CS-2014-0905):
a state of 128 bits is multiplied and added to, and its halves are mixed into 64 bits, which give
two numbers; of these as many of the last bits are taken as i has, until they are not above i.

The NumPy twin is ``Generator(PCG64(…)).permutation(n)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import entry, intrinsic, part

__all__ = ["permutation"]

_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645
_WORD, _LONG = ir.IntType(64), ir.IntType(128)
_DRAWN = 512
"""Random numbers that are drawn at once."""
_LOW = np.uint64(0xFFFFFFFF)
_HALF, _TOP, _ALL = np.uint64(32), np.uint64(58), np.uint64(63)


def permutation(generator: np.random.Generator, count: int) -> np.ndarray:
    """The order that a new generator gives, int64 ``(count,)``; its own state stays as it is.

    Examples
    --------
    >>> seeded = np.random.Generator(np.random.PCG64(3))
    >>> permutation(seeded, 5).tolist() == seeded.permutation(5).tolist()
    True
    """
    state: Any = generator.bit_generator.state
    words = [
        np.uint64(state["state"][name] >> shift & (2**64 - 1))
        for name in ("state", "inc")
        for shift in (64, 0)
    ]
    order = np.empty(count, dtype=np.int64)
    _permute(order, *words, np.empty(_DRAWN, dtype=np.uint64))
    return order


@intrinsic
def _advanced(typing, high, low, more_high, more_low):
    """The next state: high and low half."""
    pair = types.UniTuple(types.uint64, 2)

    def generate(context, builder, signature, arguments):
        high, low, more_high, more_low = (builder.zext(word, _LONG) for word in arguments)
        state, more = (
            builder.or_(builder.shl(top, _LONG(64)), bottom)
            for top, bottom in ((high, low), (more_high, more_low))
        )
        state = builder.add(builder.mul(state, _LONG(_MULTIPLIER)), more)
        halves = (builder.trunc(builder.lshr(state, _LONG(n)), _WORD) for n in (64, 0))
        return cgutils.pack_array(builder, list(halves))

    return pair(*[types.uint64] * 4), generate


@part
def _draw(drawn, high, low, more_high, more_low):
    """Fill with random numbers of 32 bits; return the state after them."""
    for i in range(0, len(drawn), 2):
        high, low = _advanced(high, low, more_high, more_low)
        mixed, turn = high ^ low, high >> _TOP
        mixed = (mixed >> turn) | (mixed << ((~turn + np.uint64(1)) & _ALL))
        drawn[i], drawn[i + 1] = mixed & _LOW, mixed >> _HALF
    return high, low


@entry
def _permute(order, high, low, more_high, more_low, drawn):
    """Without a branch on random numbers: with one too large a place changes with itself."""
    for i in range(len(order)):
        order[i] = i
    at, i, mask = len(drawn), len(order) - 1, 1
    while mask < i:
        mask = 2 * mask + 1
    while mask > 0:
        half = mask >> 1
        while i > half:
            if at == len(drawn):
                high, low = _draw(drawn, high, low, more_high, more_low)
                at = 0
            j = np.int64(drawn[at]) & mask
            at += 1
            fits = j <= i
            j = j if fits else i
            order[i], order[j] = order[j], order[i]
            i -= np.int64(fits)
        mask = half
    return at
