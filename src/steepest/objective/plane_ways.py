"""The ways to the sums of a dense network's losses at the points of a plane.

Each takes a part of the events and gives Σ w ℓ for each chunk of them at each point. The first
layer's sums are taken chunk by chunk, so that a chunk's bits do not depend on what else is in the
part. Where a way cannot hold what it computes, the sums are not finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from steepest.models.dense import Dense
from steepest.objective.base import Batch
from steepest.objective.plane_lines import Lines

__all__ = ["General", "Logistic", "OnLines", "Quadratic", "Tiled", "Way"]

Array = np.ndarray

GROUP_BYTES = 262_144
"""Panels of a group of points: they are to stay in a core's second cache."""
LINE = 32
"""Numbers on one line of the cache or two."""


class Way(Protocol):
    """A way to the sums."""

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ of each chunk at each point, ``(chunks, points)`` float64."""
        ...


class Quadratic:
    """Linear regression: with r = z₀ − y, Σ w (r + Σₖ cₖ zₖ)² is a quadratic form in (1, c).

    Sums that the dtype of θ cannot hold are NaN, as single squares may be infinite there.

    Parameters
    ----------
    model
        Without a hidden layer, with one output.
    basis
        θ₀, d₁, … ``(k + 1, size)``.
    mix
        1 and the coordinates of each point, ``(points, k + 1)``.
    """

    def __init__(self, model: Dense, basis: Array, mix: Array) -> None:
        self._first, self._mix = _first_layers(model, basis), mix.astype(np.float64)
        self._largest = float(np.finfo(basis.dtype).max)

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        rows = list(_chunks(len(part), chunk))
        out = np.empty((len(rows), len(self._mix)))
        for total, at in zip(out, rows, strict=True):
            residuals = _sums_of(part.inputs[at], *self._first)[:, :, 0].astype(np.float64)
            residuals[0] -= part.targets[at]
            weighted = residuals if part.weights is None else residuals * part.weights[at]
            total[:] = ((self._mix @ (weighted @ residuals.T)) * self._mix).sum(axis=1)
            total[np.abs(total) > self._largest] = np.nan
        return out


class Logistic:
    """Logistic regression; the parameters are those of `Quadratic`, with one or two directions."""

    def __init__(self, model: Dense, basis: Array, mix: Array) -> None:
        from steepest.kernels import logistic_plane

        self._kernel, self._first = logistic_plane, _first_layers(model, basis)
        self._points = np.zeros((2, len(mix)), dtype=basis.dtype)
        self._points[: len(basis) - 1] = mix[:, 1:].T

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        kind = self._points.dtype
        sums = np.zeros((3, len(part)), dtype=kind)
        for at in _chunks(len(part), chunk):
            found = _sums_of(part.inputs[at], *self._first)
            sums[: len(found), at] = found[:, :, 0]
        totals = np.zeros((-(-len(part) // chunk), self._points.shape[1]))
        memory = np.empty(2 * self._kernel.POINTS, dtype=kind)
        self._kernel.add_losses(
            sums, part.targets.astype(kind, copy=False), _weights(part, kind), self._points,
            chunk, memory, totals,
        )  # fmt: skip
        return totals


class OnLines:
    """Two hidden ReLU layers and one output, on lines of points.

    Parameters
    ----------
    model, loss
        The network, and the loss's name.
    basis
        θ in the middle of the grid, the direction along the lines, and that across them,
        ``(3, size)``.
    lines
        The points.
    """

    def __init__(self, model: Dense, loss: str, basis: Array, lines: Lines) -> None:
        from steepest.kernels import relu_plane
        from steepest.kernels.pointwise import LOSSES

        self._add_losses, self._loss, self._lines = relu_plane.add_losses, LOSSES[loss], lines
        kind, (first, second) = basis.dtype, model.hidden
        units = relu_plane.WORD * -(-first // relu_plane.WORD)
        lanes = relu_plane.LINE_BYTES // kind.itemsize
        row = lanes * -(-second // lanes)
        weights, biases = _first_layers(model, basis)
        padding = (0, units - first)
        self._first = (
            np.pad(weights, ((0, 0), (0, 0), padding)), np.pad(biases, ((0, 0), padding))
        )  # fmt: skip
        layers = [model.layers(theta)[1:] for theta in basis]
        self._weights = np.zeros((3, first, row), dtype=kind)
        self._biases = np.zeros((3, row), dtype=kind)
        self._above = np.zeros((3, row + 1), dtype=kind)
        for power, (middle, last) in enumerate(layers):
            self._weights[power, :, :second] = middle.weights
            self._biases[power, :second] = middle.biases
            self._above[power, :second] = last.weights[:, 0]
            self._above[power, row] = last.biases[0]
        self._weights = self._weights.reshape(3, -1)

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ; NaN for a chunk whose first-layer sums are not finite."""
        kind, lines = self._biases.dtype, self._lines
        sums = np.empty((3, len(part), self._first[1].shape[1]), dtype=kind)
        known = []
        for at in _chunks(len(part), chunk):
            sums[:, at] = found = _sums_of(part.inputs[at], *self._first)
            known.append(bool(np.isfinite(found).all()))
        totals = np.zeros((len(known), len(lines.along)))
        self._add_losses(
            self._loss, sums, self._weights, self._biases, self._above, lines.along, lines.across,
            lines.inverses, lines.starts, part.targets.astype(kind, copy=False),
            _weights(part, kind), chunk, totals,
        )  # fmt: skip
        totals[~np.array(known)] = np.nan
        out = np.empty_like(totals)
        out[:, lines.order] = totals
        return out


class General:
    """Any dense network, at any points; the parameters are those of `Quadratic`, and the loss."""

    def __init__(self, model: Dense, loss: str, basis: Array, mix: Array) -> None:
        from steepest.kernels.layout import BLOCK, Layout
        from steepest.kernels.plane import PADDED_WIDTH
        from steepest.kernels.pointwise import ACTIVATIONS, LOSSES

        self._layout, self._mix, self._block = Layout(model.widths, basis.dtype), mix, BLOCK
        self._kinds = ACTIVATIONS[model.activation], LOSSES[loss]
        self._first = _first_layers(model, basis)
        self._width = int(self._layout.table[0, PADDED_WIDTH])
        self._packed, self._above = self._pack(model, basis)
        of_point = max(1, self._packed[0].nbytes)
        self._group = max(1, min(GROUP_BYTES // of_point, len(mix)))

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        from steepest.kernels.vector import aligned

        kind, layout = self._mix.dtype, self._layout
        rows = list(_chunks(len(part), chunk))
        sums = aligned((len(self._packed), len(part), self._width), kind)
        for at in rows:
            for whole, weights, biases in zip(sums, *self._first, strict=True):
                found = whole[at, : len(biases)]
                np.matmul(part.inputs[at], weights, out=found)
                found += biases
        totals = np.zeros((len(rows), len(self._mix)))
        self._kernel().add_losses(
            *self._kinds, layout.table, self._above, layout.places,
            layout.memory(more=self._room()), np.empty(self._block, part.targets.dtype),
            sums.reshape(-1), self._packed, self._group, self._mix, part.targets,
            _weights(part, kind), chunk, totals,
        )  # fmt: skip
        return totals

    def _kernel(self) -> Any:
        from steepest.kernels import plane

        return plane

    def _room(self) -> int:
        """How many numbers the kernel needs beside the layout's."""
        return self._group * self._packed.shape[1]

    def _pack(self, model: Dense, basis: Array) -> tuple[Array, Array]:
        """Panels and biases above the first layer for each θ of the basis, and where each is.

        They are linear in θ, so that those of a point are mixed from these ``(k + 1, numbers)``;
        each array begins on a line of the cache.
        """
        packed, above, parts = self._rows(len(basis))
        memory = self._layout.memory()
        for row, theta in zip(packed, basis, strict=True):
            self._kernel().pack_once(theta, self._layout.table, memory)
            for to, first, size in parts:
                row[to : to + size] = memory[first : first + size]
        return packed, above

    def _rows(self, count: int) -> tuple[Array, Array, list[tuple[int, int, int]]]:
        """Room for `_pack`, the places in a row, and those with the layout's places and sizes."""
        from steepest.kernels.vector import aligned

        layout, parts, end = self._layout, [], 0
        above = np.zeros((len(layout.table), 2), dtype=np.int64)
        for layer, places in enumerate(layout.panels_and_biases()):
            for which, (first, size) in enumerate(places if layer else ()):
                above[layer, which] = end
                parts.append((end, first, size))
                end += LINE * -(-size // LINE)
        return aligned((count, end), layout.dtype), above, parts


class Tiled(General):
    """The same with a processor's tiles, where `Tiled.serves`."""

    @staticmethod
    def serves(model: Dense, kind: Any) -> bool:
        """Whether the network is made of whole tiles, and there are such."""
        if kind != np.float32 or model.outputs > 1 or len(model.hidden) < 2:
            return False
        from steepest.kernels.tiles import ROWS, tiles_are_there

        return all(width % ROWS == 0 for width in model.hidden) and tiles_are_there()

    def _kernel(self) -> Any:
        from steepest.kernels import tile_plane

        return tile_plane

    def _room(self) -> int:
        size, widest = self._packed.shape[1], max(self._layout.table[1:, 0].tolist())
        cut = self._kernel().cut_size
        return size + self._block * cut(widest) + self._group * cut(size)

    def _pack(self, model: Dense, basis: Array) -> tuple[Array, Array]:
        packed, above, _ = self._rows(len(basis))
        for row, theta in zip(packed, basis, strict=True):
            for (weights, biases), layer in zip(above[1:], model.layers(theta)[1:], strict=True):
                row[weights : weights + layer.weights.size] = layer.weights.ravel()
                row[biases : biases + layer.biases.size] = layer.biases
        return packed, above


def _chunks(events: int, chunk: int) -> Iterator[slice]:
    for start in range(0, events, chunk):
        yield slice(start, min(start + chunk, events))


def _weights(part: Batch, kind: Any) -> Array:
    return np.empty(0, dtype=kind) if part.weights is None else part.weights


def _first_layers(model: Dense, basis: Array) -> tuple[Array, Array]:
    """The first layer at each θ of the basis: weights ``(k + 1, n, units)`` and biases."""
    layers = [model.layers(theta)[0] for theta in basis]
    return np.stack([layer.weights for layer in layers]), np.stack([la.biases for la in layers])


def _sums_of(inputs: Array, weights: Array, biases: Array) -> Array:
    """Z of some events for each θ of the basis, ``(k + 1, events, units)``."""
    return np.stack([inputs @ w + b for w, b in zip(weights, biases, strict=True)])
