"""J of a dense network at many points of a surface, for each chunk of events.

The first layer's sums are linear in the coordinates: Z(c) = Z(θ₀) + Σₖ cₖ Z(dₖ). They are computed
k + 1 times, not once for every point. What remains depends on the network:

==========================  ===================================================================
network                     for each event at each point
==========================  ===================================================================
linear, squared error       nothing: Σ w (z − y)² is a quadratic form in the coordinates
logistic                    z and the loss (`steepest.compiled.surface.logistic`)
two hidden ReLU layers      on the lines of a grid: the second layer's sums from three vectors that
                            change where a unit switches (`steepest.compiled.surface.relu_lines`)
any other                   the layers above the first (`steepest.compiled.surface.layers`)
==========================  ===================================================================

Sums that one of the first three cannot hold are computed again by the last, for those points alone.
The lines are not used where they are so long that rounding along them moves what happens near their
middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from steepest.compiled.blas import one_blas_thread
from steepest.compiled.threads import WorkerPool
from steepest.losses import Loss
from steepest.models.dense import Dense
from steepest.objective.base import Batch

Array = np.ndarray

CHUNK = 256
"""Events whose losses are summed together where nobody says how many."""
ROWS = 65_536
"""Events at once, at most."""
NUMBERS = 4_194_304
"""Losses of chunks at points that are held at once, at most."""
PIECE, PIECES = 8, 16
"""Chunks that a thread takes at once, at most, and how many pieces are made where that is fewer."""
SHORTEST = 8
"""Points of a line from which on going along it pays."""
FARTHEST = 1e-3
"""How far rounding along a line may move a first-layer sum, as a part of its size in the middle."""


class DenseSurface:
    """A dense network at the points of a surface.

    Parameters
    ----------
    model, loss, l2, dtype
        J, as for `steepest.objective.DenseObjective`.
    origin, directions, coordinates
        The points, as for `steepest.objective.losses_on_surface`.
    """

    def __init__(
        self,
        model: Dense,
        loss: Loss,
        l2: float,
        dtype: str,
        origin: Array,
        directions: Array,
        coordinates: Array,
    ) -> None:
        self._basis = np.stack([origin, *directions])
        self._shares = np.column_stack([np.ones(len(coordinates)), coordinates])
        self._model, self._loss, self._dtype = model, loss, np.dtype(dtype)
        with np.errstate(all="ignore"):
            self._penalties = _penalties(l2, self._basis[:, model.weight_mask()], self._shares)
            self._method = self._quickest(coordinates)

    def losses(self, batch: Batch) -> Array:
        """J at each point, ``(points,)`` float64."""
        total = np.zeros(len(self._shares))
        rows = self._rows(CHUNK)
        with np.errstate(all="ignore"):
            for start in range(0, len(batch), rows):
                total += self._sums(batch.take(slice(start, start + rows)), CHUNK).sum(axis=0)
            return total / len(batch) + self._penalties

    def losses_of_chunks(self, batch: Batch, chunk: int) -> Array:
        """J of each chunk of events at each point, ``(chunks, points)`` float64."""
        rows = self._rows(chunk)
        losses = np.empty((-(-len(batch) // chunk), len(self._shares)))
        for start in range(0, len(batch), rows):
            sums = self._sums(batch.take(slice(start, start + rows)), chunk)
            losses[start // chunk : start // chunk + len(sums)] = sums
        counts = np.diff(np.minimum(np.arange(len(losses) + 1) * chunk, len(batch)))
        with np.errstate(all="ignore"):
            losses /= counts[:, None]
            losses += self._penalties
        return losses

    def _rows(self, chunk: int) -> int:
        """How many events at once, in whole chunks."""
        return chunk * max(1, min(ROWS // chunk, NUMBERS // max(1, len(self._shares))))

    def _sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ of each chunk at each point."""
        chunks = -(-len(part) // chunk)
        together = max(1, min(PIECE, chunks // PIECES))
        starts = range(0, chunks, together)

        def sums_from(first: int) -> Array:
            return self._sums_of(part.take(slice(first * chunk, (first + together) * chunk)), chunk)

        with one_blas_thread():
            return np.concatenate(WorkerPool().map(sums_from, starts))

    def _sums_of(self, piece: Batch, chunk: int) -> Array:
        with np.errstate(all="ignore"):  # each thread has its own
            sums = self._method.sums(piece, chunk)
            unknown = ~np.isfinite(sums)
            if unknown.any() and not isinstance(self._method, _Layers):
                for number in np.flatnonzero(unknown.any(axis=1)):
                    events = piece.take(slice(number * chunk, (number + 1) * chunk))
                    points = np.flatnonzero(unknown[number])
                    sums[number, points] = self._layers(points).sums(events, chunk)[0]
        return sums

    def _quickest(self, coordinates: Array) -> SurfaceMethod:
        """The method with the fewest operations that the network and the points allow."""
        model, basis = self._model, self._basis.astype(self._dtype)
        if model.outputs > 1 or coordinates.shape[1] not in (1, 2) or not np.isfinite(basis).all():
            return self._layers(slice(None))
        if not model.hidden:
            method = _OF_LINEAR_MODELS.get(self._loss.name)
            return method(model, basis, self._shares) if method else self._layers(slice(None))
        if len(model.hidden) == 2 and model.activation == "relu":
            lines = _Lines.of(coordinates)
            if lines is not None and self._reach(lines):
                return _ReLULines(model, self._loss.name, self._basis, lines, self._dtype)
        return self._layers(slice(None))

    def _reach(self, lines: _Lines) -> bool:
        """Whether rounding along the lines leaves their middle alone."""
        origin, along, _ = lines.basis(self._basis).astype(self._dtype)
        layers = [self._model.layers(row)[0] for row in (origin, along)]
        middle, slope = (np.linalg.norm([*layer.weights, layer.biases]) for layer in layers)
        moved = np.finfo(self._dtype).eps * slope * np.abs(lines.along).max()
        return bool(moved <= FARTHEST * middle)

    def _layers(self, points: Array | slice) -> SurfaceMethod:
        basis, shares = self._basis.astype(self._dtype), self._shares[points].astype(self._dtype)
        return _Layers(self._model, self._loss.name, basis, shares)


class SurfaceMethod(Protocol):
    """How the sums of a network's losses at the points of a surface are computed.

    The first layer's sums are taken chunk by chunk, so that a chunk's bits do not depend on what
    else is in the part. What cannot be held is not finite.
    """

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ of each chunk at each point, ``(chunks, points)`` float64."""
        ...


class _Quadratic:
    """Linear regression: with r = z₀ − y, Σ w (r + Σₖ cₖ zₖ)² is a quadratic form in (1, c).

    Sums that the dtype of θ cannot hold are NaN, as single squares may be infinite there.
    """

    def __init__(self, model: Dense, basis: Array, shares: Array) -> None:
        self._first, self._shares = _FirstLayer(model, basis), shares
        self._largest = float(np.finfo(basis.dtype).max)

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        rows = _chunks(len(part), chunk)
        out = np.empty((len(rows), len(self._shares)))
        for total, at in zip(out, rows, strict=True):
            residuals = self._first.of(part.inputs[at]).astype(np.float64)  # (events, k + 1)
            residuals[:, 0] -= part.targets[at]
            weighted = residuals if part.weights is None else residuals * part.weights[at, None]
            total[:] = ((self._shares @ (weighted.T @ residuals)) * self._shares).sum(axis=1)
            total[np.abs(total) > self._largest] = np.nan
        return out


class _Logistic:
    """Logistic regression, with one direction or two."""

    def __init__(self, model: Dense, basis: Array, shares: Array) -> None:
        self._first = _FirstLayer(model, basis)
        self._points = np.zeros((2, len(shares)), dtype=basis.dtype)
        self._points[: len(basis) - 1] = shares[:, 1:].T

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        from steepest.compiled.surface import logistic

        kind = self._points.dtype
        z = np.zeros((3, len(part)), dtype=kind)
        rows = _chunks(len(part), chunk)
        for at in rows:
            found = self._first.of(part.inputs[at])
            z[: found.shape[1], at] = found.T
        totals = np.zeros((len(rows), self._points.shape[1]))
        weights = np.empty(0, kind) if part.weights is None else part.weights
        logistic.add_losses(z, _cast(part.targets, kind), weights, self._points, chunk, totals)
        return totals


class _ReLULines:
    """Two hidden ReLU layers and one output, on the lines of a grid."""

    def __init__(
        self, model: Dense, loss: str, rows: Array, lines: _Lines, dtype: np.dtype
    ) -> None:
        from steepest.compiled.pointwise import LOSSES
        from steepest.compiled.surface.relu_lines import VECTOR

        self._loss, basis = LOSSES[loss], lines.basis(rows).astype(dtype)
        self._first, self._units = _FirstLayer(model, basis), model.hidden[0]
        self._along, self._across = lines.along.astype(dtype), lines.across.astype(dtype)
        padding = (0, -model.hidden[1] % VECTOR)
        layers = [model.layers(row)[1:] for row in basis]
        weights = np.stack([middle.weights for middle, _ in layers])
        self._weights = np.pad(weights, ((0, 0), (0, 0), padding))
        self._biases = np.pad(np.stack([m.biases for m, _ in layers]), ((0, 0), padding))
        above = np.pad(np.stack([last.weights[:, 0] for _, last in layers]), ((0, 0), padding))
        self._above = np.column_stack([above, [last.biases[0] for _, last in layers]])

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ; NaN for a chunk whose first-layer sums are not finite."""
        from steepest.compiled.surface import relu_lines

        kind, rows = self._biases.dtype, _chunks(len(part), chunk)
        z = np.empty((len(part), 3, self._units), dtype=kind)
        known = np.empty(len(rows), dtype=bool)
        for number, at in enumerate(rows):
            z[at] = self._first.of(part.inputs[at]).reshape(-1, 3, self._units)
            known[number] = np.isfinite(z[at]).all()
        totals = np.zeros((len(rows), len(self._across), len(self._along)))
        relu_lines.add_losses(
            self._loss, z, self._weights, self._biases, self._above, self._along, self._across,
            _cast(part.targets, kind), _weights(part, kind), chunk, totals,
        )  # fmt: skip
        totals[~known] = np.nan
        return totals.reshape(len(rows), -1)


class _Layers:
    """Any dense network, at any points."""

    def __init__(self, model: Dense, loss: str, basis: Array, shares: Array) -> None:
        from steepest.compiled.pointwise import ACTIVATIONS, LOSSES

        self._kinds = ACTIVATIONS[model.activation], LOSSES[loss]
        self._first, self._shares = _FirstLayer(model, basis), shares
        self._widths = np.array(model.widths[1:], dtype=np.int64)
        self._upper = basis[:, (model.widths[0] + 1) * model.widths[1] :].copy()

    def sums(self, part: Batch, chunk: int) -> Array:
        """Σ w ℓ."""
        from steepest.compiled.surface import layers

        kind, rows = self._shares.dtype, _chunks(len(part), chunk)
        targets, weights = _cast(part.targets, kind), _weights(part, kind)
        totals, sums = np.zeros((len(rows), len(self._shares))), np.empty(len(self._shares))
        for total, at in zip(totals, rows, strict=True):
            for start in range(at.start, at.stop, CHUNK):
                block = slice(start, min(start + CHUNK, at.stop))
                first = self._first.of_features(part.inputs[block])
                layers.add_losses(
                    *self._kinds, self._widths, first.reshape(len(self._upper), -1), self._upper,
                    self._shares, targets[block], weights[block], sums,
                )  # fmt: skip
                total += sums
        return totals


class _FirstLayer:
    """The first layer's sums at each θ of the basis, in one product."""

    def __init__(self, model: Dense, basis: Array) -> None:
        layers = [model.layers(theta)[0] for theta in basis]
        self._weights = np.hstack([layer.weights for layer in layers])
        self._biases = np.concatenate([layer.biases for layer in layers])

    def of(self, inputs: Array) -> Array:
        """``(events, (k + 1) · units)``."""
        return inputs @ self._weights + self._biases

    def of_features(self, inputs: Array) -> Array:
        """The same, feature-major."""
        return self._weights.T @ inputs.T + self._biases[:, None]


@dataclass(frozen=True, eq=False)
class _Lines:
    """The points of a grid as lines along their last coordinate."""

    along: Array  # the points' last coordinate, ascending and evenly spaced, the same on every line
    across: Array  # the lines' other coordinate; zero where there is none
    shift: Array  # what both are measured from, ``(2,)``: the middle of the grid

    @classmethod
    def of(cls, coordinates: Array) -> _Lines | None:
        """None where the points ``(points, 1 or 2)`` are no such grid, or the lines too short."""
        padded = np.column_stack([np.zeros(len(coordinates)), coordinates])[:, -2:]
        if not len(padded) or not np.isfinite(padded).all():
            return None
        length = int(np.cumprod(padded[:, 0] == padded[0, 0]).sum())
        if length < SHORTEST or len(padded) % length:
            return None
        grid = padded.reshape(-1, length, 2)
        along, across = grid[0, :, 1], grid[:, 0, 0]
        step = (along[-1] - along[0]) / (length - 1)
        even = np.abs(along - (along[0] + step * np.arange(length))).max() <= 1e-6 * step
        if not even or (grid != np.stack(np.meshgrid(across, along, indexing="ij"), -1)).any():
            return None
        shift = np.array([(axis.min() + axis.max()) / 2 for axis in (across, along)])
        return cls(along - shift[1], across - shift[0], shift)

    def basis(self, rows: Array) -> Array:
        """θ in the middle of the grid, and the directions along and across the lines."""
        origin, *directions = rows
        across, along = [np.zeros_like(origin), *directions][-2:]
        return np.stack([origin + self.shift[0] * across + self.shift[1] * along, along, across])


_OF_LINEAR_MODELS = {"mean-squared-error": _Quadratic, "binary-cross-entropy": _Logistic}
"""The methods that need no product of matrices at each point, by the loss that they are for."""


def _chunks(events: int, chunk: int) -> list[slice]:
    return [slice(start, min(start + chunk, events)) for start in range(0, events, chunk)]


def _cast(targets: Array, kind: Any) -> Array:
    return targets.astype(kind, copy=False)


def _weights(part: Batch, kind: Any) -> Array:
    return np.ones(len(part), dtype=kind) if part.weights is None else part.weights


def _penalties(l2: float, weights: Array, shares: Array) -> Array:
    """(λ/2) ‖W(c)‖², a quadratic form in the coordinates."""
    if not l2:
        return np.zeros(len(shares))
    return 0.5 * l2 * np.einsum("pi,ij,pj->p", shares, weights @ weights.T, shares)
