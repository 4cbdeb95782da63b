"""J of a dense network at many points of a plane, for each chunk of events.

The first layer's sums are linear in the coordinates: Z(c) = Z(θ₀) + Σₖ cₖ Z(dₖ). They are taken
k + 1 times, not once for every point. What remains depends on the network:

==========================  ===================================================================
network                     for each event at each point
==========================  ===================================================================
linear, squared error       nothing: Σ w (z − y)² is a quadratic form in the coordinates
logistic                    z and the loss (`steepest.kernels.logistic_plane`)
two hidden ReLU layers      the second layer's sums from three vectors that change where a unit
                            goes on or off (`steepest.kernels.relu_plane`), on lines of points
any other                   the layers above the first (`steepest.kernels.plane`), where that can be
                            with the processor's tiles (`steepest.kernels.tile_plane`)
==========================  ===================================================================

Where the quick ways overflow, the general one is taken for those points; and for all of them where
lines reach so far that rounding along them moves what happens near their middle.
"""

from __future__ import annotations

import numpy as np

from steepest.losses import Loss
from steepest.models.dense import Dense
from steepest.objective.base import Batch
from steepest.objective.plane_lines import Lines, lines_of
from steepest.objective.plane_ways import General, Logistic, OnLines, Quadratic, Tiled, Way
from steepest.objective.threads import Crew

__all__ = ["dense_losses_of_chunks", "dense_losses_on_plane"]

Array = np.ndarray

CHUNK = 256
"""Events whose losses are taken together where nobody says how many."""
ROWS = 65_536
"""Events at once, at most."""
NUMBERS = 4_194_304
"""Losses of chunks at points that are held at once, at most."""
PIECE, PIECES = 8, 16
"""Chunks that a thread takes at once, at most, and how many pieces are made where that is fewer."""
FARTHEST = 1e-3
"""How far rounding along a line may move a first-layer sum, against its size in the middle."""
_CREW = Crew()


def dense_losses_on_plane(
    model: Dense,
    loss: Loss,
    l2: float,
    dtype: str,
    origin: Array,
    directions: Array,
    coordinates: Array,
    batch: Batch,
) -> Array:
    """What `steepest.objective.plane.losses_on_plane` gives, for a dense network."""
    plane = _Plane(model, loss, l2, dtype, origin, directions, coordinates)
    total = np.zeros(len(coordinates))
    rows = plane.rows(CHUNK)
    for start in range(0, len(batch), rows):
        part = batch.take(slice(start, start + rows))
        out = np.empty((-(-len(part) // CHUNK), len(total)))
        plane.add_up(part, CHUNK, out)
        with np.errstate(all="ignore"):
            total += out.sum(axis=0)
    with np.errstate(all="ignore"):
        return total / len(batch) + plane.penalties


def dense_losses_of_chunks(
    model: Dense,
    loss: Loss,
    l2: float,
    dtype: str,
    origin: Array,
    directions: Array,
    coordinates: Array,
    batch: Batch,
    chunk: int,
) -> Array:
    """What `steepest.objective.plane.losses_of_chunks` gives, for a dense network."""
    plane = _Plane(model, loss, l2, dtype, origin, directions, coordinates)
    rows = plane.rows(chunk)
    losses = np.empty((-(-len(batch) // chunk), len(coordinates)))
    for start in range(0, len(batch), rows):
        out = losses[start // chunk : (start + rows) // chunk]
        plane.add_up(batch.take(slice(start, start + rows)), chunk, out)
    counts = np.diff(np.minimum(np.arange(len(losses) + 1) * chunk, len(batch)))
    with np.errstate(all="ignore"):
        losses /= counts[:, None]
        losses += plane.penalties
    return losses


class _Plane:
    """A dense network at the points of a plane."""

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
        self._mix = np.column_stack([np.ones(len(coordinates)), coordinates])
        self._model, self._loss, self._dtype = model, loss, np.dtype(dtype)
        with np.errstate(all="ignore"):
            self.penalties = _penalties(l2, self._basis[:, model.weight_mask()], self._mix)
            self._way = self._quickest(coordinates)

    def rows(self, chunk: int) -> int:
        """How many events at once, in whole chunks."""
        return chunk * max(1, min(ROWS // chunk, NUMBERS // max(1, len(self._mix))))

    def add_up(self, part: Batch, chunk: int, out: Array) -> None:
        """Write Σ w ℓ of each chunk at each point to `out`, ``(chunks, points)`` float64."""
        few = min(2, 2 * len(out) // PIECES)  # what is made ready for a point serves two chunks
        together = max(1, few, min(PIECE, len(out) // PIECES))

        def at(first: int) -> None:
            last = first + together
            piece = part.take(slice(first * chunk, last * chunk))
            out[first:last] = self._sums_of(piece, chunk)

        _CREW.map(at, range(0, len(out), together))

    def _sums_of(self, piece: Batch, chunk: int) -> Array:
        with np.errstate(all="ignore"):  # each thread has its own
            sums = self._way.sums(piece, chunk)
            unknown = ~np.isfinite(sums)
            if unknown.any() and type(self._way) is not General:
                for index in np.flatnonzero(unknown.any(axis=1)):
                    events = piece.take(slice(index * chunk, (index + 1) * chunk))
                    points = np.flatnonzero(unknown[index])
                    sums[index, points] = self._general(points).sums(events, chunk)[0]
        return sums

    def _quickest(self, coordinates: Array) -> Way:
        """The way with the fewest operations that the network and the points allow."""
        model, few = self._model, coordinates.shape[1] in (1, 2)
        basis = self._basis.astype(self._dtype)
        if model.outputs > 1 or not few or not np.isfinite(basis).all():
            return self._general(slice(None))
        if not model.hidden:
            kind = Logistic if self._loss.name == "binary-cross-entropy" else Quadratic
            return kind(model, basis, self._mix.astype(self._dtype))
        if len(model.hidden) == 2 and model.activation == "relu":
            lines = lines_of(coordinates, self._dtype)
            if lines is not None:
                return self._on_lines(lines)
        if Tiled.serves(model, self._dtype):
            return Tiled(model, self._loss.name, basis, self._mix.astype(self._dtype))
        return self._general(slice(None))

    def _on_lines(self, lines: Lines) -> Way:
        """Along the lines, unless they reach too far for the dtype."""
        along, across = lines.axis, 1 - lines.axis
        shift = np.zeros(2)
        shift[[along, across]] = lines.middle
        rows = np.vstack([self._basis, np.zeros_like(self._basis)])[:3]  # a line has no across
        origin = rows[0] + shift @ rows[1:]
        basis = np.stack([origin, rows[1 + along], rows[1 + across]]).astype(self._dtype)
        layers = [self._model.layers(row)[0] for row in basis[:2]]
        middle, slope = (np.linalg.norm([*layer.weights, layer.biases]) for layer in layers)
        moved = np.finfo(self._dtype).eps * slope * np.abs(lines.along).max()
        if not moved <= FARTHEST * middle:
            return self._general(slice(None))
        return OnLines(self._model, self._loss.name, basis, lines)

    def _general(self, points: Array | slice) -> Way:
        kind = self._dtype
        return General(
            self._model, self._loss.name, self._basis.astype(kind), self._mix[points].astype(kind)
        )


def _penalties(l2: float, weights: Array, mix: Array) -> Array:
    """(λ/2) ‖W(c)‖², a quadratic form in the coordinates."""
    if not l2:
        return np.zeros(len(mix))
    return 0.5 * l2 * np.einsum("pi,ij,pj->p", mix, weights @ weights.T, mix)
