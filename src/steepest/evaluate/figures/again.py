"""Figures drawn again: from their numbers in JSON, and into axes that the user gives."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.figures.beside import Shared
from steepest.evaluate.figures.style import TARGET


def drawn_again(function: str, numbers: Any, options: Sequence[Any] = ()) -> Callable[[], Any]:
    """Return what draws a figure from its numbers as JSON has them.

    `function` is its name, such as "roc_figure"; `numbers` are what `as_numbers` gave, of a
    function that takes several a dict by their names.
    """
    from steepest.evaluate import figures

    draw = getattr(figures, function)
    hints = get_type_hints(draw, localns={"Figure": object})
    first, *_ = inspect.signature(draw).parameters
    given = numbers if isinstance(numbers, dict) and first in numbers else {first: numbers}
    read = [from_numbers(hints[name], value) for name, value in given.items()]
    return partial(draw, *read, *options)


def drawn_into(
    draw: Callable[[], Any], axes: Any = None, figure: str = "", of: str | Path = ""
) -> Any:
    """Draw a figure into axes, or into a new figure of Pyplot, which notebooks show.

    `draw` calls one of the ``…_figure`` functions. Several panels divide the place of the axes;
    one panel or an array of several is returned, which is taken instead of axes too.

    Where an earlier call drew the same `figure`, by its name in the report, of another run, both
    are told apart, see `Shared`. `of` is the folder of the run, or what the legend calls it.
    """
    shared = Shared.of(axes, figure)
    target = _Target(shared.drawn)
    token = TARGET.set(target)
    try:
        with shared.another(of):
            draw()
            shared.drawn = target.drawn
    finally:
        TARGET.reset(token)
    return target.drawn


class _Target:
    """Stands for the figure that a function of this room fills."""

    def __init__(self, axes: Any) -> None:
        self.axes, self.drawn = axes, None
        self.figure: Any = None if axes is None else np.ravel(axes)[0].figure

    def __call__(self, width: float, height: float) -> _Target:
        if self.figure is None:
            import matplotlib.pyplot as plt

            self.figure = plt.figure(figsize=(width, height))
        return self

    def subplots(self, rows: int = 1, columns: int = 1, **options: Any) -> Any:
        """Return the axes that were given, or panels in their place."""
        given = np.ravel(self.axes)
        if self.axes is None:
            self.drawn = self.figure.subplots(rows, columns, **options)
        elif len(given) == rows * columns:
            self.drawn = given[0] if len(given) == 1 else self.axes
        elif len(given) == 1:
            place: Any = given[0].get_subplotspec() or self.figure.add_gridspec(1, 1)[0]
            ratios = {name: options.pop(name) for name in list(options) if name.endswith("ratios")}
            grid = place.subgridspec(rows, columns, **ratios, **options.pop("gridspec_kw", {}))
            given[0].set_axis_off()
            self.drawn = grid.subplots(**options)
        else:
            raise InputError(
                "The figure does not fit into these axes.",
                expected=f"one Matplotlib axes, or {rows * columns}",
                found=f"{len(given)}",
                do="give one, whose place is divided",
            )
        return self.drawn

    def __getattr__(self, name: str) -> Any:
        return getattr(self.figure, name)


def from_numbers(kind: Any, value: Any) -> Any:
    """Return what `as_numbers` was given, by its type; numbers that were not finite are NaN.

    Examples
    --------
    >>> from_numbers(tuple[float, ...], [0.5, None])
    (0.5, nan)
    """
    origin: Any = get_origin(kind) or kind
    inner = get_args(kind)
    if origin in (Union, UnionType):
        kind = next(each for each in inner if each is not type(None))
        return None if value is None else from_numbers(kind, value)
    if origin is np.ndarray:
        return np.array(value, dtype=np.float64).astype(get_args(inner[1])[0])  # None is NaN
    if is_dataclass(origin):
        hints = get_type_hints(origin)
        read = {name: from_numbers(hints[name], each) for name, each in value.items()}
        return kind(**read)
    if origin in (dict, Mapping):
        return {key: from_numbers(inner[1], each) for key, each in value.items()}
    if origin in (tuple, list, Sequence):
        kinds = inner if origin is tuple and Ellipsis not in inner else inner[:1] * len(value)
        return tuple(from_numbers(each, v) for each, v in zip(kinds, value, strict=True))
    return math.nan if value is None and origin is float else value
