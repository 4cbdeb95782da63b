"""The numbers of a landscape, for landscape.json."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from steepest.landscape.curvature import Point, all_named, barrier, measured, slice_points
from steepest.landscape.directions import Directions
from steepest.landscape.estimate import Anchors, losses_at
from steepest.landscape.input import LandscapeInput
from steepest.landscape.lanczos import Spectrum
from steepest.landscape.surface import Surface
from steepest.objective import Batch

__all__ = ["summary"]

Array = np.ndarray

LINE_POINTS = 41
"""Number of points on the line between two runs."""
PLAIN = ("sgd",)
"""Update rules that are stable up to a learning rate of 2/λmax."""


def summary(
    source: LandscapeInput,
    directions: Directions,
    surface: Surface,
    spectrum: Spectrum | None,
    events: Batch,
    curved: Batch,
    anchors: Anchors,
) -> dict[str, Any]:
    """Return the entries ``surface``, ``end``, ``points`` and ``barriers`` of landscape.json.

    Parameters
    ----------
    source, directions, surface, spectrum
        The landscape; `spectrum` is at the trained θ, None if it is not finite.
    events, curved, anchors
        Events of the surface, events of the Hessian–vector products, and the anchors that correct
        all losses.
    """
    end = measured(source.objective, directions, directions.offset, curved)
    found = slice_points(source.objective, directions, surface, curved)
    points = all_named([*found, *([end] if end else [])], directions, surface)
    if points:  # their losses are from fewer events
        thetas = directions.theta_at(np.array([point.coordinates for point in points]))
        losses = losses_at(source.objective, thetas, events, anchors)
        points = [replace(p, loss=float(J)) for p, J in zip(points, losses, strict=True)]
    ended = points.pop() if end else None
    return {
        "surface": _surface(surface),
        "end": _end(source, spectrum, ended, events, curved, anchors),
        "points": [point.to_json() for point in points if point.kind != "slope"],
        "barriers": _barriers(source, directions, events, anchors),
    }


def _surface(surface: Surface) -> dict[str, Any]:
    coordinates, lowest = surface.lowest()
    finite = surface.losses[surface.finite]
    return {
        "lowest": {"coordinates": coordinates.tolist(), "loss": lowest},
        "highest": float(finite.max()) if finite.size else float("nan"),
        "not_finite": int((~surface.finite).sum()),
    }


def _end(
    source: LandscapeInput,
    spectrum: Spectrum | None,
    ended: Point | None,
    events: Batch,
    curved: Batch,
    anchors: Anchors,
) -> dict[str, Any]:
    """Return loss, gradient and curvature at the trained model, and 2/η."""
    objective, theta = source.objective, source.theta.astype(source.objective.dtype)
    with np.errstate(all="ignore"):
        (loss,) = losses_at(objective, source.theta[None], events, anchors)
        gradient = objective.loss_and_gradient(theta, curved)[1].astype(np.float64)
    rate = source.learning_rate
    bound = 2.0 / rate if rate else None
    sharpness = float(spectrum.values[-1]) if spectrum is not None else None
    return {
        "loss": float(loss),
        "gradient_norm": float(np.linalg.norm(gradient)),
        "sharpness": sharpness,
        "highest_curvatures": _ends(spectrum, -2),
        "lowest_curvatures": _ends(spectrum, 2),
        "lanczos": None
        if spectrum is None
        else {"products": spectrum.iterations, "converged": spectrum.converged},
        "kept_step": source.kept_step,
        "optimizer": source.optimizer,
        "learning_rate": rate,
        "two_over_learning_rate": bound,
        "sharpness_over_bound": sharpness / bound
        if sharpness is not None and bound is not None
        else None,
        "bound_holds_for_optimizer": source.optimizer in PLAIN,
        "in_the_slice": ended.to_json() if ended is not None else None,
    }


def _ends(spectrum: Spectrum | None, count: int) -> list[dict[str, float]] | None:
    """Return up to two eigenvalues at an end of the spectrum, the extreme one first."""
    if spectrum is None:
        return None
    order = range(min(2, len(spectrum.values))) if count > 0 else range(-1, -3, -1)
    order = [i for i in order if -len(spectrum.values) <= i]
    return [
        {"value": float(spectrum.values[i]), "residual": float(spectrum.residuals[i])}
        for i in order
    ]


def _barriers(
    source: LandscapeInput, directions: Directions, events: Batch, anchors: Anchors
) -> list[dict[str, Any]]:
    """Return the barriers between each pair of points of the slice."""
    if directions.kind != "through":
        return []
    found = []
    for one, other in combinations(directions.marks, 2):
        start, stop = (directions.theta_at(np.array(m.coordinates)) for m in (one, other))
        line = np.linspace(0.0, 1.0, LINE_POINTS)[:, None]
        losses = losses_at(source.objective, start + line * (stop - start), events, anchors)
        ends = {"from": one.label, "to": other.label}
        distance = float(np.linalg.norm(stop - start))
        found.append({**ends, "distance": distance, **barrier(losses)})
    return found
