"""J at many points of a plane in the space of θ, in one compiled call for a chunk of events.

The first layer's sums are linear in a point's coordinates c, so they are given, and only mixed; so
are the weights of the other layers, in the panels that the products take them from::

    Z₁(c) = Z₁(θ₀) + Σₖ cₖ Z₁(dₖ),   A₁ = a(Z₁),   Zₗ = Aₗ₋₁ Wₗ(c) + bₗ(c),   Σ w ℓ(z_L, y)

The NumPy twin is `steepest.objective.plane.losses_one_by_one`. The layers above the first are those
of `steepest.kernels.layers`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.kernels import layout
from steepest.kernels.compiled import entry, part
from steepest.kernels.layers import forward as _forward
from steepest.kernels.layers import pack_forward as _pack
from steepest.kernels.pointwise import activate, add_up
from steepest.kernels.steps import copy
from steepest.kernels.vector import view

__all__ = ["PADDED_WIDTH", "add_losses", "pack_once"]

Array = np.ndarray
_BLOCK, _N, PADDED_WIDTH = layout.BLOCK, layout.N, layout.NP
_SUMS, _INPUT, _SIGNAL = layout.SUMS, layout.INPUT, layout.SIGNAL


@entry
def pack_once(theta, table, memory):
    """Copy weights and biases into panels."""
    _pack(theta, table, memory, True)


@part
def _add_two(start, one, two, share, other, out):
    for i in range(len(out)):
        out[i] = start[i] + share * one[i] + other * two[i]


@part
def _add_one(share, source, out):
    for i in range(len(out)):
        out[i] += share * source[i]


@part
def _mixed(flat: Any, length: int, first: int, shares: Any, out: Any) -> None:
    """A part of the arrays of `length` numbers that lie one after the other, mixed."""
    count = len(out)
    start = view(flat, first, count)
    if len(shares) == 3:
        _add_two(start, view(flat, length + first, count), view(flat, 2 * length + first, count),
                 shares[1], shares[2], out)  # fmt: skip
        return
    copy(out, 0, start, 0, count)
    for k in range(1, len(shares)):
        _add_one(shares[k], view(flat, k * length + first, count), out)


@part
def _mix_panels(packed, size, runs, shares, memory):
    """Weights and biases at a point."""
    first = 0
    for run in range(len(runs)):
        _mixed(packed, size, first, shares, view(memory, runs[run, 0], runs[run, 1]))
        first += runs[run, 1]


@entry
def add_losses(activation, loss, table, places, memory, block_targets, sums, packed, runs, mix,
               targets, weights, totals):  # fmt: skip
    """Add Σ w ℓ over a chunk's events to `totals`, at each point.

    Parameters
    ----------
    activation, loss, table, places, memory, block_targets
        As for `steepest.kernels.network.accumulate`.
    sums
        Z₁(θ₀), Z₁(d₁) … one after the other, each ``(events, padded width)``, flat.
    packed, runs
        Panels and biases above the first layer of θ₀, d₁, … ``(k + 1, numbers)``, and where they
        belong in `memory`: places and lengths ``(runs, 2)``.
    mix
        1 and the coordinates of each point, ``(points, k + 1)``.
    targets, weights
        ``(events,)``; no weights are an empty array.
    totals
        ``(points,)`` float64.
    """
    width, last = table[0, PADDED_WIDTH], len(table) - 1
    length, one = len(targets) * width, memory.dtype.type(1.0)
    flat, size = packed.reshape(-1), packed.shape[1]
    for point in range(len(mix)):
        _mix_panels(flat, size, runs, mix[point], memory)
        for start in range(0, len(targets), _BLOCK):
            count = min(_BLOCK, len(targets) - start)
            first = view(memory, table[0, _SUMS], count * width)
            _mixed(sums, length, start * width, mix[point], first)
            if last > 0:
                activate(activation, first, view(memory, table[1, _INPUT], count * width))
                _forward(activation, table, memory, view(memory, 0, 0), count, 1)
            for i in range(count):
                block_targets[i] = targets[start + i]
                memory[places[0] + i] = weights[start + i] if len(weights) else one
            size_of_block = count * table[last, PADDED_WIDTH]
            totals[point] += add_up(
                loss, view(memory, table[last, _SUMS], size_of_block), table[last, _N],
                view(block_targets, 0, count), view(memory, places[0], count),
                view(memory, table[last, _SIGNAL], size_of_block), view(memory, places[1], count),
            )  # fmt: skip
