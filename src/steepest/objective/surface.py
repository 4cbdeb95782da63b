"""J at many points of a surface in the space of θ, on the same events.

Any objective is evaluated point by point. One that can do better offers methods, which are then
used instead: ``losses_on_surface(origin, directions, coordinates, batch)``, the same with a last
argument `chunk` as ``losses_of_chunks``, and ``neuron_groups()``, which says which entries of θ are
the weights of one unit.
"""

from __future__ import annotations

import numpy as np

from steepest.objective.base import Batch, Objective

Array = np.ndarray


def losses_on_surface(
    objective: Objective, origin: Array, directions: Array, coordinates: Array, batch: Batch
) -> Array:
    """J(θ₀ + Σₖ cₖ dₖ) at each of the coordinates c.

    With θ₀ ``(size,)``, dₖ ``(k, size)`` and c ``(points, k)`` in float64, the result is
    ``(points,)`` float64; where J cannot be held by the objective's dtype, infinity or NaN.

    Examples
    --------
    >>> from steepest.objective import objective_named
    >>> objective = objective_named("dense", 1, "mean-squared-error")
    >>> events = Batch(np.array([[1.0], [-1.0]]), np.array([2.0, -2.0]))
    >>> losses_on_surface(objective, np.zeros(2), np.eye(2)[:1], np.array([[0.0], [2.0]]), events)
    array([4., 0.])
    """
    faster = getattr(objective, "losses_on_surface", None)
    if faster is not None:
        return faster(origin, directions, coordinates, batch)
    return losses_one_by_one(objective, origin, directions, coordinates, batch)


def losses_one_by_one(
    objective: Objective, origin: Array, directions: Array, coordinates: Array, batch: Batch
) -> Array:
    """What `losses_on_surface` gives, by `Objective.loss` alone."""
    losses = np.empty(len(coordinates))
    with np.errstate(all="ignore"):
        for index, place in enumerate(coordinates):
            theta = (origin + place @ directions).astype(objective.dtype)
            losses[index] = objective.loss(theta, batch)
    return losses


def losses_of_chunks(
    objective: Objective,
    origin: Array,
    directions: Array,
    coordinates: Array,
    batch: Batch,
    chunk: int,
) -> Array:
    """What `losses_on_surface` gives for each `chunk` of events one after the other.

    ``(chunks, points)`` float64; the last chunk may have fewer events. A chunk's losses have the
    same bits whichever chunks are computed with it.
    """
    faster = getattr(objective, "losses_of_chunks", None)
    if faster is not None:
        return faster(origin, directions, coordinates, batch, chunk)
    place = origin, directions, coordinates
    pieces = [batch.take(slice(i, i + chunk)) for i in range(0, len(batch), chunk)]
    return np.stack([losses_on_surface(objective, *place, piece) for piece in pieces])


def neuron_groups(objective: Objective) -> list[Array]:
    """The entries of θ that are the weights of one unit, as arrays of indices.

    An objective that does not say has one group: all its weights.
    """
    known = getattr(objective, "neuron_groups", None)
    if known is not None:
        return known()
    return [np.flatnonzero(objective.weight_mask)]
