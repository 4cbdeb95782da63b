"""J at many points of a plane in the space of θ, on the same events.

Any objective is evaluated point by point. One that can do better offers a method
``losses_on_plane(origin, directions, coordinates, batch)``, which is then used in its place, and a
method ``neuron_groups()`` that says which entries of θ are the weights of one unit.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from steepest.losses import Loss
from steepest.models.dense import Dense
from steepest.objective.base import Batch, Objective
from steepest.objective.threads import Crew

__all__ = ["dense_losses_on_plane", "losses_on_plane", "neuron_groups"]

Array = np.ndarray

CACHE = 768 * 1024
"""Bytes of the first layer's sums that are held at once: they stay in a core's cache."""
MOST_ROWS = 65_536
"""Events of one chunk at most."""
POINT_GROUPS = 32
"""Pieces that the points are shared out in."""
_CREW = Crew()


def losses_on_plane(
    objective: Objective, origin: Array, directions: Array, coordinates: Array, batch: Batch
) -> Array:
    """J(θ₀ + Σₖ cₖ dₖ) at each of the coordinates c.

    Parameters
    ----------
    objective, batch
        J, and the events.
    origin
        θ₀ ``(size,)``, float64.
    directions
        dₖ ``(k, size)``, float64.
    coordinates
        c ``(points, k)``, float64.

    Returns
    -------
    ``(points,)`` float64; where J cannot be held by the objective's dtype, infinity or NaN.

    Examples
    --------
    >>> from steepest.losses import MeanSquaredError
    >>> from steepest.objective import DenseObjective
    >>> objective = DenseObjective(Dense(inputs=1), MeanSquaredError())
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> losses_on_plane(objective, np.zeros(2), np.eye(2)[:1], np.array([[0.0], [2.0]]), events)
    array([4., 0.])
    """
    faster = getattr(objective, "losses_on_plane", None)
    if faster is not None:
        return faster(origin, directions, coordinates, batch)
    return losses_one_by_one(objective, origin, directions, coordinates, batch)


def losses_one_by_one(
    objective: Objective, origin: Array, directions: Array, coordinates: Array, batch: Batch
) -> Array:
    """What `losses_on_plane` gives, by `Objective.loss` alone."""
    losses = np.empty(len(coordinates))
    with np.errstate(all="ignore"):
        for index, place in enumerate(coordinates):
            theta = (origin + place @ directions).astype(objective.dtype)
            losses[index] = objective.loss(theta, batch)
    return losses


def neuron_groups(objective: Objective) -> list[Array]:
    """The entries of θ that are the weights of one unit, as arrays of indices.

    An objective that does not say has one group: all its weights.
    """
    known = getattr(objective, "neuron_groups", None)
    if known is not None:
        return known()
    return [np.flatnonzero(objective.weight_mask)]


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
    """What `losses_on_plane` gives, for a dense network.

    The first layer's sums are linear in the coordinates: Z(c) = Z(θ₀) + Σₖ cₖ Z(dₖ). They are
    taken k + 1 times, not once for every point. The other layers are compiled; threads share the
    points, where that is measured to pay.
    """
    basis = np.stack([origin, *directions])
    mix = np.column_stack([np.ones(len(coordinates)), coordinates])
    with np.errstate(all="ignore"):
        plane = _Plane(model, loss, basis.astype(dtype), mix.astype(dtype))
        total = np.zeros(len(mix))
        for block in batch.blocks():
            for start in range(0, len(block), plane.rows):
                total += plane.sums(block.take(slice(start, start + plane.rows)))
        return total / len(batch) + _penalties(l2, basis[:, model.weight_mask()], mix)


class _Plane:
    """A dense network at many points: what its kernel takes.

    Parameters
    ----------
    model, loss
        The network, and ℓ.
    basis
        θ₀, d₁, … ``(k + 1, size)``.
    mix
        1 and the coordinates of each point, ``(points, k + 1)``.
    """

    def __init__(self, model: Dense, loss: Loss, basis: Array, mix: Array) -> None:
        from steepest.kernels import plane
        from steepest.kernels.network import BLOCK, Layout
        from steepest.kernels.pointwise import ACTIVATIONS, LOSSES

        self._add_losses, self._block = plane.add_losses, BLOCK
        self._kinds = ACTIVATIONS[model.activation], LOSSES[loss.name]
        self._layout = Layout(model.widths, basis.dtype)
        self._first = [model.layers(theta)[0] for theta in basis]
        self._basis, self._mix = basis, mix
        self._width = int(self._layout.table[0, 3])
        per_row = len(basis) * self._width * basis.itemsize
        self.rows = BLOCK * max(1, min(CACHE // per_row, MOST_ROWS) // BLOCK)
        pieces = max(1, min(POINT_GROUPS, len(mix)))
        edges = np.linspace(0, len(mix), pieces + 1).astype(int)
        self._groups = [slice(a, b) for a, b in pairwise(edges.tolist())]

    def sums(self, part: Batch) -> Array:
        """Σ w ℓ over a chunk of events, at each point, float64."""
        kind = self._basis.dtype
        sums = np.zeros((len(self._basis), len(part), self._width), dtype=kind)
        for out, layer in zip(sums, self._first, strict=True):
            out[:, : layer.weights.shape[1]] = part.inputs @ layer.weights + layer.biases
        weights = np.empty(0, kind) if part.weights is None else part.weights

        def at_points(group: slice) -> Array:
            mix = self._mix[group]
            totals, targets = np.zeros(len(mix)), np.empty(self._block, part.targets.dtype)
            layout = self._layout
            self._add_losses(
                *self._kinds, layout.table, layout.places, layout.memory(), targets,
                sums.reshape(-1), mix @ self._basis, mix, part.targets, weights, totals,
            )  # fmt: skip
            return totals

        return np.concatenate(_CREW.map(at_points, self._groups))


def _penalties(l2: float, weights: Array, mix: Array) -> Array:
    """(λ/2) ‖W(c)‖², a quadratic form in the coordinates."""
    if not l2:
        return np.zeros(len(mix))
    return 0.5 * l2 * np.einsum("pi,ij,pj->p", mix, weights @ weights.T, mix)
