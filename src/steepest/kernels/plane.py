"""J at many points of a plane in the space of θ, in one compiled call for a chunk of events.

The first layer's sums are linear in a point's coordinates c, so they are given, and only mixed::

    Z₁(c) = Z₁(θ₀) + Σₖ cₖ Z₁(dₖ),   A₁ = a(Z₁),   Zₗ = Aₗ₋₁ Wₗ(c) + bₗ(c),   Σ w ℓ(z_L, y)

The NumPy twin is `steepest.objective.plane.losses_one_by_one`. The layers above the first are those
of `steepest.kernels.network`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.kernels import network
from steepest.kernels.compiled import entry, part
from steepest.kernels.pointwise import activate, add_up
from steepest.kernels.steps import copy
from steepest.kernels.vector import view

__all__ = ["add_losses"]

Array = np.ndarray
_BLOCK, _forward, _pack = network.BLOCK, network.forward, network.pack
_N, _NP, _SUMS, _INPUT, _SIGNAL = (
    network.COLUMNS[name] for name in ("n", "padded_n", "sums", "input", "signal")
)


@part
def _mixed(sums: Any, length: int, first: int, shares: Any, out: Any) -> None:
    """Z₁ of some events at one point."""
    copy(out, 0, sums, first, len(out))
    for k in range(1, len(shares)):
        share, source = shares[k], view(sums, k * length + first, len(out))
        for i in range(len(out)):
            out[i] += share * source[i]


@entry
def add_losses(activation, loss, table, places, memory, block_targets, sums, thetas, mix, targets,
               weights, totals):  # fmt: skip
    """Add Σ w ℓ over a chunk's events to `totals`, at each point.

    Parameters
    ----------
    activation, loss, table, places, memory, block_targets
        As for `steepest.kernels.network.accumulate`.
    sums
        Z₁(θ₀), Z₁(d₁) … one after the other, each ``(events, padded width)``, flat.
    thetas
        θ at each point, ``(points, size)``.
    mix
        1 and the coordinates of each point, ``(points, k + 1)``.
    targets, weights
        ``(events,)``; no weights are an empty array.
    totals
        ``(points,)`` float64.
    """
    width, last = table[0, _NP], len(table) - 1
    length, one = len(targets) * width, memory.dtype.type(1.0)
    for point in range(len(mix)):
        _pack(thetas[point], table, memory)
        for start in range(0, len(targets), _BLOCK):
            count = min(_BLOCK, len(targets) - start)
            first = view(memory, table[0, _SUMS], count * width)
            _mixed(sums, length, start * width, mix[point], first)
            if last > 0:
                activate(activation, first, view(memory, table[1, _INPUT], count * width))
                _forward(activation, table, memory, count, 1)
            for i in range(count):
                block_targets[i] = targets[start + i]
                memory[places[0] + i] = weights[start + i] if len(weights) else one
            size = count * table[last, _NP]
            totals[point] += add_up(
                loss, view(memory, table[last, _SUMS], size), table[last, _N],
                view(block_targets, 0, count), view(memory, places[0], count),
                view(memory, table[last, _SIGNAL], size), view(memory, places[1], count),
            )  # fmt: skip
