"""The numbers of landscape.json in words, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

__all__ = ["sentences"]


def sentences(numbers: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the subject and the text of each line.

    Parameters
    ----------
    numbers
        The content of landscape.json.
    """
    flat = "line" if len(numbers["grid"]) == 1 else "plane"
    yield "surface", _surface(numbers)
    yield "events", _events(numbers["events"], numbers["part"])
    if numbers["path"] is not None:
        yield "path", _path(numbers["path"], flat)
        if numbers["path"]["largest_gap"] is not None:
            yield "path_projection", _gap(numbers["path"]["largest_gap"])
    else:
        yield "path", "none was recorded"
    yield "end", _end(numbers["end"])
    if numbers["end"]["sharpness"] is not None:
        yield "sharpness", _sharpness(numbers["end"])
    for point in numbers["points"][:5]:
        yield f"{point['kind']}", _point(point)
    for barrier in numbers["barriers"]:
        yield "barrier", _barrier(barrier)


def _surface(numbers: dict[str, Any]) -> str:
    shape = " × ".join(str(axis["points"]) for axis in numbers["grid"])
    surface = numbers["surface"]
    text = (
        f"{shape} points, J from {surface['lowest']['loss']:.4g} at "
        f"{_place(surface['lowest']['coordinates'])} to {surface['highest']:.4g}"
    )
    bad = surface["not_finite"]
    return text + (f"; not finite at {bad:,}" if bad else "")


def _events(events: dict[str, Any], part: str) -> str:
    text = f"{events['used']:,} of {events['all']:,} of the {part} part"
    if events["used"] < events["all"]:
        text += f"; standard error at most {100 * events['largest_standard_error']:.2g} % of J"
    return text


def _path(path: dict[str, Any], flat: str) -> str:
    return (
        f"{path['points']:,} points; the {flat} holds {100 * path['share_of_length']:.3g} % of its "
        f"length and {100 * path['share_of_variance']:.3g} % of its variance; at most "
        f"{path['largest_distance']:.3g} away from it"
    )


def _gap(gap: dict[str, Any]) -> str:
    return (
        f"at worst, at step {gap['step']:,}, the true loss was {gap['loss']:.4g}, and the surface "
        f"under it is at {gap['surface_loss']:.4g}"
    )


def _end(end: dict[str, Any]) -> str:
    text = f"J = {end['loss']:.5g}, ‖∇J‖ = {end['gradient_norm']:.3g}"
    if end["in_the_slice"] is None:
        return text
    kind = end["in_the_slice"]["kind"]
    return text + (f"; in the slice on a {kind}" if kind == "slope" else f"; in the slice a {kind}")


def _sharpness(end: dict[str, Any]) -> str:
    lowest = end["lowest_curvatures"][0]
    text = f"λmax = {end['sharpness']:.4g}, lowest {lowest['value']:.3g} ± {lowest['residual']:.1g}"
    if end["two_over_learning_rate"] is None:
        return text
    text += f"; 2/η = {end['two_over_learning_rate']:.4g}"
    if not end["bound_holds_for_optimizer"]:
        text += f" (bounds plain gradient descent, not {end['optimizer']})"
    return text


def _point(point: dict[str, Any]) -> str:
    curvatures = ", ".join(f"{value:.3g}" for value in point["curvatures"])
    return f"J = {point['loss']:.5g} at {_place(point['coordinates'])}, curvatures {curvatures}"


def _barrier(barrier: dict[str, Any]) -> str:
    return (
        f"{barrier['height']:.4g} between {barrier['from']} and {barrier['to']}, at "
        f"{barrier['at']:.2f} of the way (J = {barrier['loss']:.4g})"
    )


def _place(coordinates: list[float]) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in coordinates) + ")"
