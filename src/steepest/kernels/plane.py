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
from steepest.kernels.bends import bend, bend_sum
from steepest.kernels.compiled import entry, part
from steepest.kernels.layers import pack_forward as _pack
from steepest.kernels.pointwise import add_up, rectifies
from steepest.kernels.product import PLAIN, RECTIFIED, product
from steepest.kernels.rows import dots
from steepest.kernels.steps import copy
from steepest.kernels.vector import VECTOR_BYTES, view

__all__ = [
    "PADDED_WIDTH", "add_losses", "first_layer", "loss_of_sums", "mixed", "pack_once", "take_events"
]  # fmt: skip

Array = np.ndarray
_BLOCK, _K, _N, _FAN_IN, PADDED_WIDTH = layout.BLOCK, layout.K, layout.N, layout.KP, layout.NP
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
def mixed(flat: Any, length: int, first: int, shares: Any, out: Any) -> None:
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
def first_layer(activation, sums, length, first, shares, room, values):
    """A₁ of a block at a point; room is as long."""
    if len(shares) == 3:
        count = len(values)
        bend_sum(activation, view(sums, first, count), view(sums, length + first, count),
                 view(sums, 2 * length + first, count), shares[1], shares[2], room,
                 values)  # fmt: skip
        return
    mixed(sums, length, first, shares, room)
    bend(activation, room, values)


@part
def _upper_layers(activation, table, above, memory, panels, count):
    """Z of the last layer, from A₁, with what lies from the place `panels` on."""
    last, rows, lanes = len(table) - 1, 4 * -(-count // 4), VECTOR_BYTES // memory.itemsize
    for layer in range(1, last + 1):
        k, row, below = table[layer, _K], table[layer, PADDED_WIDTH], table[layer, _FAN_IN]
        inputs, out = table[layer, _INPUT], table[layer, _SUMS]
        weights, bias, end = panels + above[layer, 0], panels + above[layer, 1], PLAIN
        if row == 1:
            dots(memory, inputs, count, below, view(memory, weights, below), memory[bias],
                 view(memory, out, count))  # fmt: skip
            return
        if layer < last and rectifies(activation):
            out, end = table[layer + 1, _INPUT], RECTIFIED
        columns = lanes * -(-table[layer, _N] // lanes)
        product(memory, rows, columns, k, inputs, below, 1, memory, weights, k, 0, out, row, bias,
                0, end)  # fmt: skip
        if layer < last and not rectifies(activation):
            to = table[layer + 1, _INPUT]
            bend(activation, view(memory, out, count * row), view(memory, to, count * row))


@part
def take_events(targets, weights, start, places, memory, block_targets, count):
    """Targets and weights of a block."""
    for i in range(count):
        block_targets[i] = targets[start + i]
        memory[places[0] + i] = weights[start + i] if len(weights) else memory.dtype.type(1.0)


@part
def loss_of_sums(loss, table, places, memory, block_targets, count):
    """Σ w ℓ of a block whose logits are there."""
    last = len(table) - 1
    size = count * table[last, PADDED_WIDTH]
    return add_up(
        loss, view(memory, table[last, _SUMS], size), table[last, _N],
        view(block_targets, 0, count), view(memory, places[0], count),
        view(memory, table[last, _SIGNAL], size), view(memory, places[1], count),
    )  # fmt: skip


@part
def _loss_of_block(activation, loss, table, above, places, memory, block_targets, panels, sums,
                   length, first, shares, count):  # fmt: skip
    """Σ w ℓ of a block at a point."""
    size = count * table[0, PADDED_WIDTH]
    room = view(memory, table[0, _SUMS], size)
    if len(table) > 1:
        first_layer(activation, sums, length, first, shares, room,
                     view(memory, table[1, _INPUT], size))  # fmt: skip
        _upper_layers(activation, table, above, memory, panels, count)
    else:
        mixed(sums, length, first, shares, room)
    return loss_of_sums(loss, table, places, memory, block_targets, count)


@entry
def add_losses(activation, loss, table, above, places, memory, block_targets, sums, packed, group,
               mix, targets, weights, chunk, totals):  # fmt: skip
    """Add Σ w ℓ of each chunk of events to `totals`, at each point.

    Parameters
    ----------
    activation, loss, table, places, block_targets
        As for `steepest.kernels.network.accumulate`.
    above
        Where a layer's panels and biases lie among the numbers of a point, ``(layers, 2)``.
    memory
        As there, and room for the numbers of a group of points after it.
    sums
        Z₁(θ₀), Z₁(d₁) … one after the other, each ``(events, padded width)``, flat.
    packed
        Panels and biases above the first layer of θ₀, d₁, … ``(k + 1, numbers)``.
    group : int
        Points for which these are mixed before the events go by.
    mix
        1 and the coordinates of each point, ``(points, k + 1)``.
    targets, weights
        ``(events,)``; no weights are an empty array.
    chunk : int
        Events of a chunk; the last one may have fewer.
    totals
        ``(chunks, points)`` float64.
    """
    width, size, flat = table[0, PADDED_WIDTH], packed.shape[1], packed.reshape(-1)
    begin, length = len(memory) - group * size, len(targets) * width
    for first in range(0, len(mix), group):
        points = min(group, len(mix) - first)
        for number in range(points):
            panels = view(memory, begin + number * size, size)
            mixed(flat, size, 0, mix[first + number], panels)
        for index in range(len(totals)):
            end = min((index + 1) * chunk, len(targets))
            for start in range(index * chunk, end, _BLOCK):
                count = min(_BLOCK, end - start)
                take_events(targets, weights, start, places, memory, block_targets, count)
                for number in range(points):
                    totals[index, first + number] += _loss_of_block(
                        activation, loss, table, above, places, memory, block_targets,
                        begin + number * size, sums, length, start * width, mix[first + number],
                        count,
                    )  # fmt: skip
