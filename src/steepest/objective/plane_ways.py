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

__all__ = ["General", "Logistic", "OnLines", "Quadratic", "Way"]

Array = np.ndarray


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
        from steepest.kernels import plane
        from steepest.kernels.layout import BLOCK, Layout
        from steepest.kernels.pointwise import ACTIVATIONS, LOSSES

        self._add_losses, self._block = plane.add_losses, BLOCK
        self._kinds = ACTIVATIONS[model.activation], LOSSES[loss]
        self._layout = Layout(model.widths, basis.dtype)
        self._first, self._mix = _first_layers(model, basis), mix
        self._width = int(self._layout.table[0, plane.PADDED_WIDTH])
        self._packed, self._runs = _packed(plane, self._layout, model, basis)

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        kind = self._mix.dtype
        totals = np.zeros((-(-len(part) // chunk), len(self._mix)))
        targets = np.empty(self._block, part.targets.dtype)
        layout, memory = self._layout, self._layout.memory()
        for total, at in zip(totals, _chunks(len(part), chunk), strict=True):
            found = _sums_of(part.inputs[at], *self._first)
            sums = np.zeros((*found.shape[:2], self._width), dtype=kind)
            sums[:, :, : found.shape[2]] = found
            weights = _weights(part.take(at), kind)
            self._add_losses(
                *self._kinds, layout.table, layout.places, memory, targets, sums.reshape(-1),
                self._packed, self._runs, self._mix, part.targets[at], weights, total,
            )  # fmt: skip
        return totals


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


def _packed(plane: Any, layout: Any, model: Dense, basis: Array) -> tuple[Array, Array]:
    """What `pack` writes for each θ of the basis above the first layer, and where it lies.

    Panels are linear in θ, so those of a point are mixed from these ``(k + 1, numbers)``. The runs
    are ``(runs, 2)``: the first place in memory, and how many numbers follow.
    """
    above = np.ones(model.size, dtype=basis.dtype)
    first = model.layers(above)[0]
    first.weights[...], first.biases[...] = 0, 0
    memory = layout.memory()
    plane.pack_once(above, layout.table, memory)
    written = np.flatnonzero(memory)
    breaks = np.flatnonzero(np.diff(written) > 1) + 1
    groups = np.split(written, breaks) if len(written) else []
    runs = np.array([(group[0], len(group)) for group in groups], dtype=np.int64).reshape(-1, 2)
    packed = np.zeros((len(basis), len(written)), dtype=basis.dtype)
    for row, theta in zip(packed, basis, strict=True):
        memory[...] = 0
        plane.pack_once(theta, layout.table, memory)
        row[:] = memory[written]
    return packed, runs
