"""What `steepest.kernels.plane` does, with the products in tiles (`steepest.kernels.tiles`).

For networks of one output whose hidden layers are whole tiles, in float32. What is infinite on the
way is NaN in the end. The NumPy twin is `steepest.objective.plane.losses_one_by_one`.
"""

from __future__ import annotations

from steepest.kernels import layout
from steepest.kernels.bends import bend
from steepest.kernels.compiled import entry, part
from steepest.kernels.plane import PADDED_WIDTH, first_layer, loss_of_sums, mixed, take_events
from steepest.kernels.rows import dots
from steepest.kernels.steps import copy
from steepest.kernels.tiles import (
    DEPTH,
    LINE,
    PIECES,
    ROWS,
    begin_tiles,
    cut,
    end_tiles,
    tiled,
)
from steepest.kernels.vector import view

__all__ = ["add_losses", "cut_size"]

_BLOCK, _K, _N, _FAN_IN = layout.BLOCK, layout.K, layout.N, layout.KP
_SUMS, _INPUT = layout.SUMS, layout.INPUT


def cut_size(size):
    """How many places of float32 so many numbers take when they are cut: half as many more.

    Examples
    --------
    >>> cut_size(64)
    96
    """
    return size * PIECES // 2


_cut_size = part(cut_size)


@part
def _cut_rows(memory, rows, row, columns, first, to):
    """A: for each `DEPTH` columns of a row three lines."""
    for i in range(rows):
        for j in range(0, columns, DEPTH):
            place = first + i * row + j
            cut(memory, place, place + LINE, memory, to + _cut_size(i * columns + j), LINE)


@part
def _cut_columns(memory, k, n, first, to):
    """B: for each `LINE` columns, and `DEPTH` rows of these, three tiles."""
    for j in range(0, n, LINE):
        for p in range(0, k, DEPTH):
            tile = to + _cut_size(j * k + p * LINE)
            for i in range(LINE):
                place = first + (p + i) * n + j
                cut(memory, place, place + LINE * n, memory, tile + i * LINE, LINE * LINE)


@part
def _prepare(table, above, memory, first, to):
    """Cut the weights of a point, which lie from `first` on."""
    for layer in range(1, len(table)):
        k, n, fan_in = table[layer, _K], table[layer, _N], table[layer, _FAN_IN]
        weights, biases = above[layer, 0], above[layer, 1]
        copy(memory, to + _cut_size(biases), memory, first + biases, n)
        if layer == len(table) - 1:
            copy(memory, to + _cut_size(weights), memory, first + weights, fan_in)
        else:
            _cut_columns(memory, k, n, first + weights, to + _cut_size(weights))


@part
def _upper_layers(activation, table, above, memory, numbers, room, first, count):
    """Z of the last layer for so many rows of a block, from A₁."""
    last, rows = len(table) - 1, ROWS * -(-count // ROWS)
    for layer in range(1, last + 1):
        k, n, below = table[layer, _K], table[layer, _N], table[layer, _FAN_IN]
        row, inputs, out = table[layer, PADDED_WIDTH], table[layer, _INPUT], table[layer, _SUMS]
        weights = numbers + _cut_size(above[layer, 0])
        bias = numbers + _cut_size(above[layer, 1])
        if layer == 1:
            inputs += first * below
        if layer == last:
            dots(memory, inputs, count, below, view(memory, weights, below), memory[bias],
                 view(memory, out + first, count))  # fmt: skip
            return
        _cut_rows(memory, count, below, k, inputs, room)
        tiled(memory, rows, n, k, room, weights, out, row, bias)
        to = table[layer + 1, _INPUT]
        bend(activation, view(memory, out, count * row), view(memory, to, count * row))


@entry
def add_losses(activation, loss, table, above, places, memory, block_targets, sums, packed, group,
               mix, targets, weights, chunk, totals):  # fmt: skip
    """Add Σ w ℓ of each chunk of events to `totals`, at each point; see `steepest.kernels.plane`.

    `packed` has the weights as they are, each layer's row by row. After the working arrays,
    `memory` has room for as many numbers of a point, a block's rows when cut, and a group's.
    """
    width, size, flat = table[0, PADDED_WIDTH], packed.shape[1], packed.reshape(-1)
    numbers, length = len(memory) - group * _cut_size(size), len(targets) * width
    widest = 0
    for layer in range(1, len(table)):
        widest = max(widest, table[layer, _K])
    room = numbers - _BLOCK * _cut_size(widest)
    begin_tiles()
    for first in range(0, len(mix), group):
        points = min(group, len(mix) - first)
        for number in range(points):
            mixed(flat, size, 0, mix[first + number], view(memory, room - size, size))
            _prepare(table, above, memory, room - size, numbers + number * _cut_size(size))
        for index in range(len(totals)):
            end = min((index + 1) * chunk, len(targets))
            for start in range(index * chunk, end, _BLOCK):
                count = min(_BLOCK, end - start)
                take_events(targets, weights, start, places, memory, block_targets, count)
                for number in range(points):
                    of_block = count * width
                    first_layer(activation, sums, length, start * width, mix[first + number],
                                view(memory, table[0, _SUMS], of_block),
                                view(memory, table[1, _INPUT], of_block))  # fmt: skip
                    for at in range(0, count, ROWS):  # for few of them all is at hand
                        _upper_layers(
                            activation, table, above, memory, numbers + number * _cut_size(size),
                            room, at, min(ROWS, count - at),
                        )  # fmt: skip
                    totals[index, first + number] += loss_of_sums(
                        loss, table, places, memory, block_targets, count
                    )
    end_tiles()
