"""The numbers of a landscape, for landscape.json, and the same in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from steepest.curvature import Spectrum
from steepest.landscape.directions import Directions
from steepest.landscape.input import LandscapeInput
from steepest.landscape.stationary import Point, all_named, barrier, measured, slice_points
from steepest.landscape.surface import Anchors, Surface, losses_at
from steepest.objective import Batch

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
    anchors: Anchors,
) -> dict[str, Any]:
    """Return the entries ``surface``, ``end``, ``points`` and ``barriers`` of landscape.json.

    `spectrum` is at the trained θ, None if it is not finite. `events` are those of the surface; the
    anchors correct all losses.
    """
    precise, curved = source.curved(events)
    end = measured(precise, directions, directions.offset, curved)
    found = slice_points(precise, directions, surface, curved)
    points = all_named([*found, *([end] if end else [])], directions, surface)
    if points:  # their losses are from fewer events
        thetas = directions.theta_at(np.array([point.coordinates for point in points]))
        losses = losses_at(source.objective, thetas, events, anchors)
        points = [replace(p, loss=float(J)) for p, J in zip(points, losses, strict=True)]
    ended = points.pop() if end else None
    coordinates, lowest = surface.lowest()
    finite = surface.losses[surface.finite]
    return {
        "surface": {
            "lowest": {"coordinates": coordinates.tolist(), "loss": lowest},
            "highest": float(finite.max()) if finite.size else float("nan"),
            "not_finite": int((~surface.finite).sum()),
        },
        "end": _end(source, spectrum, ended, events, anchors),
        "points": [point.to_json() for point in points if point.kind != "slope"],
        "barriers": _barriers(source, directions, events, anchors),
    }


def _end(
    source: LandscapeInput,
    spectrum: Spectrum | None,
    ended: Point | None,
    events: Batch,
    anchors: Anchors,
) -> dict[str, Any]:
    """Return loss, gradient and curvature at the trained model, and 2/η."""
    objective, curved = source.curved(events)
    with np.errstate(all="ignore"):
        (loss,) = losses_at(source.objective, source.theta[None], events, anchors)
        theta = source.theta.astype(objective.dtype)
        gradient = objective.loss_and_gradient(theta, curved)[1].astype(np.float64)
    rate = source.learning_rate
    bound = 2.0 / rate if rate else None
    sharpness, lanczos, values = None, None, None
    if spectrum is not None:
        sharpness = float(spectrum.values[-1])
        lanczos = {"products": spectrum.iterations, "converged": spectrum.converged}
        pairs = zip(spectrum.values.tolist(), spectrum.residuals.tolist(), strict=True)
        values = [{"value": value, "residual": residual} for value, residual in pairs]
    return {
        "loss": float(loss),
        "gradient_norm": float(np.linalg.norm(gradient)),
        "sharpness": sharpness,
        "highest_curvatures": values and values[:-3:-1],  # two at each end, the extreme one first
        "lowest_curvatures": values and values[:2],
        "lanczos": lanczos,
        "kept_step": source.kept_step,
        "optimizer": source.optimizer,
        "learning_rate": rate,
        "two_over_learning_rate": bound,
        "sharpness_over_bound": None if sharpness is None or bound is None else sharpness / bound,
        "bound_holds_for_optimizer": source.optimizer in PLAIN,
        "in_the_slice": ended.to_json() if ended is not None else None,
    }


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
        ends = {"from": one.label, "to": other.label, "distance": np.linalg.norm(stop - start)}
        found.append({**ends, **barrier(losses)})
    return found


def sentences(numbers: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the subject and the text of each line, from the content of landscape.json."""
    flat = "line" if len(numbers["grid"]) == 1 else "plane"
    shape = " × ".join(str(axis["points"]) for axis in numbers["grid"])
    surface, events, path, end = (numbers[key] for key in ("surface", "events", "path", "end"))
    lowest, bad = surface["lowest"], surface["not_finite"]
    heights = f"J from {lowest['loss']:.4g} at {_place(lowest['coordinates'])}"
    where = f"; not finite at {bad:,}" if bad else ""
    yield "surface", f"{shape} points, {heights} to {surface['highest']:.4g}{where}"
    error = f"; standard error at most {100 * events['largest_standard_error']:.2g} % of J"
    used = f"{events['used']:,} of {events['all']:,} of the {numbers['part']} part"
    yield "events", used + (error if events["used"] < events["all"] else "")
    if path is None:
        yield "path", "none was recorded"
    else:
        shares = 100 * path["share_of_length"], 100 * path["share_of_variance"]
        held = f"{shares[0]:.3g} % of its length and {shares[1]:.3g} % of its variance"
        away = f"at most {path['largest_distance']:.3g} away from it"
        yield "path", f"{path['points']:,} points; the {flat} holds {held}; {away}"
        if (gap := path["largest_gap"]) is not None:
            true = f"at worst, at step {gap['step']:,}, the true loss was {gap['loss']:.4g}"
            under = f"the surface under it is at {gap['surface_loss']:.4g}"
            yield "gap", f"{true}, and {under}"
    kind = (end["in_the_slice"] or {}).get("kind")
    where = f"; in the slice {'on a' if kind == 'slope' else 'a'} {kind}" if kind else ""
    yield "end", f"J = {end['loss']:.5g}, ‖∇J‖ = {end['gradient_norm']:.3g}{where}"
    if end["sharpness"] is not None:
        yield "sharpness", _sharpness(end)
    for point in numbers["points"][:5]:
        curvatures = ", ".join(f"{value:.3g}" for value in point["curvatures"])
        place = _place(point["coordinates"])
        yield point["kind"], f"J = {point['loss']:.5g} at {place}, curvatures {curvatures}"
    for one in numbers["barriers"]:
        between = f"{one['height']:.4g} between {one['from']} and {one['to']}"
        yield "barrier", f"{between}, at {one['at']:.2f} of the way (J = {one['loss']:.4g})"


def _sharpness(end: dict[str, Any]) -> str:
    lowest = end["lowest_curvatures"][0]
    text = f"λmax = {end['sharpness']:.4g}, lowest {lowest['value']:.3g} ± {lowest['residual']:.1g}"
    if end["two_over_learning_rate"] is None:
        return text
    text += f"; 2/η = {end['two_over_learning_rate']:.4g}"
    if not end["bound_holds_for_optimizer"]:
        text += f" (bounds plain gradient descent, not {end['optimizer']})"
    return text


def _place(coordinates: list[float]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in coordinates) + ")"
