"""J at many points of a plane in the space of θ, on the same events.

Any objective is evaluated point by point. One that can do better offers a method
``losses_on_plane(origin, directions, coordinates, batch)``, which is then used in its place, and a
method ``neuron_groups()`` that says which entries of θ are the weights of one unit.
"""

from __future__ import annotations

import numpy as np

from steepest.losses import Loss
from steepest.models.dense import Dense
from steepest.objective.base import Batch, Objective
from steepest.objective.summed import summed_losses

__all__ = ["dense_losses_on_plane", "losses_on_plane", "neuron_groups"]

Array = np.ndarray

CACHE = 1024 * 1024
"""Bytes of one layer's values that are worked on at once: they stay in a core's cache."""
ROWS = 1024
"""Events whose first layer's sums are held at once."""


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
    taken k + 1 times, not once for every point. The other layers are products of stacks of
    matrices, of as many points at once as stay in the cache.
    """
    basis = np.stack([origin, *directions])
    mix = np.column_stack([np.ones(len(coordinates)), coordinates])
    total = np.zeros(len(mix))
    narrow = basis.astype(dtype), mix.astype(dtype)
    with np.errstate(all="ignore"):
        for block in batch.blocks():
            for start in range(0, len(block), ROWS):
                total += _sums(model, loss, *narrow, block.take(slice(start, start + ROWS)))
        return total / len(batch) + _penalties(l2, basis[:, model.weight_mask()], mix)


def _sums(model: Dense, loss: Loss, basis: Array, mix: Array, part: Batch) -> Array:
    """Σ w ℓ over the events of a block, at each point."""
    first = [model.layers(theta)[0] for theta in basis]
    sums = np.stack([part.inputs @ layer.weights + layer.biases for layer in first])
    flat = sums.reshape(len(basis), -1)
    widest = max(model.widths[1:]) * len(part) * flat.itemsize
    at_once = max(1, CACHE // widest)
    room = [np.empty((at_once, len(part), width), flat.dtype) for width in model.widths[1:]]
    totals = np.empty(len(mix))
    for start in range(0, len(mix), at_once):
        rows = mix[start : start + at_once]
        values = [array[: len(rows)] for array in room]  # the same memory again: it is in the cache
        np.matmul(rows, flat, out=values[0].reshape(len(rows), -1))
        logits = _upper_layers(model, rows @ basis, values)
        totals[start : start + len(rows)] = summed_losses(loss, logits, part.targets, part.weights)
    return totals


def _upper_layers(model: Dense, thetas: Array, room: list[Array]) -> Array:
    """Logits ``(points, events, outputs)`` from the first layer's sums, which `room` begins with.

    For ReLU the biases are not added to each event: max(z + b, 0) = max(z, −b) + b, and the last b
    goes into the next layer's biases as bᵀW.
    """
    values, carried = room[0], np.zeros((len(thetas), 1, model.widths[1]), thetas.dtype)
    rectified = model.activation == "relu"
    for (weights, biases), out in zip(model.stacked_layers(thetas)[1:], room[1:], strict=True):
        if rectified:
            np.maximum(values, -carried, out=values)
        else:
            values = model.function.value(values + carried)
        np.matmul(values, weights, out=out)
        below = carried @ weights if rectified else 0
        values, carried = out, biases[:, None, :] + below
    values += carried
    return values


def _penalties(l2: float, weights: Array, mix: Array) -> Array:
    """(λ/2) ‖W(c)‖², a quadratic form in the coordinates."""
    if not l2:
        return np.zeros(len(mix))
    return 0.5 * l2 * np.einsum("pi,ij,pj->p", mix, weights @ weights.T, mix)
