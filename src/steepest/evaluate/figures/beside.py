"""A figure of several runs in the same axes: colours that tell them apart, and one legend.

The figure functions draw each run as if it were alone. What a later run added then takes the next
colours, line styles and markers that the axes do not have yet, what both have in common is drawn
once, the limits hold both, and the legend puts the name of its run before each entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.figures.style import COLOURS, LINE_STYLES, MARKERS, SMALLEST, short, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FIGURES = ("descent", "folds", "roc", "scores", "calibration", "significance", "bins")
"""The figures, or the beginnings of their names, in which several runs can be told apart."""

_LEGENDS: ContextVar[dict[Axes, dict[str, Any]] | None] = ContextVar("legends", default=None)
_ATTRIBUTE = "_steepest_shared"
"""Of axes: the `Shared` that is drawn there."""


def legend(axes: Axes, **options: Any) -> None:
    """Draw the legend with Matplotlib's options, which are those of several runs too."""
    legends = _LEGENDS.get()
    if legends is not None:
        legends[axes] = options
    axes.legend(**options)


@dataclass
class _View:
    """The limits, the scale and the legend of axes as the figure function left them."""

    x: tuple[float, float]
    y: tuple[float, float]
    is_log: bool
    legend: dict[str, Any] | None
    """Matplotlib's options."""


@dataclass
class _Drawing:
    """What one run added to the axes."""

    of: str | Path
    labels: dict[Any, str]
    """Its artists, and what the legend says of each where there is no other run."""
    places: set[int]
    """Where its colours, line styles and markers stand in the lists of `style`, see `_restyle`."""
    views: list[_View]
    """One for each panel."""


@dataclass
class Shared:
    """One figure, of one or several runs, and the axes that it is in."""

    figure: str
    drawn: Any
    """The axes given: one, an array of them, or None; then those that the figure function took."""
    drawings: list[_Drawing] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    """Of each panel: what the legend of one run takes of it, where room is left for it."""

    @classmethod
    def of(cls, axes: Any, figure: str) -> Shared:
        """Return what an earlier call drew of this figure into these axes, or a new one."""
        found = None if axes is None else getattr(np.ravel(axes)[0], _ATTRIBUTE, None)
        if found is None or found.figure != figure:
            return cls(figure, axes)
        for drawing in found.drawings:  # the user may have removed some, by `axes.clear()`, say
            drawing.labels = {a: said for a, said in drawing.labels.items() if _first(a).axes}
        found.drawings = [drawing for drawing in found.drawings if drawing.labels]
        return found

    @property
    def panels(self) -> list[Axes]:
        """The axes, one after the other."""
        return [] if self.drawn is None else list(np.ravel(self.drawn))

    @contextmanager
    def another(self, of: str | Path) -> Iterator[None]:
        """Context in which a run is drawn, and `drawn` set; one that is there is drawn anew.

        `of` is the run's folder, or a name that others may have too.
        """
        if not self.figure.startswith(FIGURES):
            yield
            return
        self._remove(of)
        given = self.panels
        before = {artist for axes in given for artist in _artists(axes)}
        for axes in given:
            if getattr(axes, _ATTRIBUTE, None) is self:  # the figure function scales them again
                axes.set_yscale("linear")
                axes.autoscale(True)
        legends: dict[Axes, dict[str, Any]] = {}
        token = _LEGENDS.set(legends)
        try:
            yield
        finally:
            _LEGENDS.reset(token)
        for axes in (*given, *self.panels):
            setattr(axes, _ATTRIBUTE, self)
        views = [
            _View(axes.get_xlim(), axes.get_ylim(), axes.get_yscale() == "log", legends.get(axes))
            for axes in self.panels
        ]
        new = [a for axes in self.panels for a in _artists(axes) if a not in before]
        if self.drawings:
            new = _without_twins(new, before)
        else:
            self.heights = [
                _share(axes)[1] if "loc" in legends.get(axes, ()) else 0.0 for axes in self.panels
            ]
        places = _restyle(new, {place for drawing in self.drawings for place in drawing.places})
        labels = {artist: str(artist.get_label()) for artist in new}
        self.drawings.append(_Drawing(of, labels, places, views))
        if len(self.drawings) > 1:
            self._join()

    def _remove(self, of: str | Path) -> None:
        """Remove what was drawn of the same run."""
        for drawing in [each for each in self.drawings if isinstance(of, Path) and each.of == of]:
            self.drawings.remove(drawing)
            for artist in drawing.labels:
                if _first(artist).axes:  # else it went with its container
                    artist.remove()

    def _join(self) -> None:
        """Say in the legends which run each is of, and let the axes hold all of them."""
        names = _names([drawing.of for drawing in self.drawings])
        for drawing, name in zip(self.drawings, names, strict=True):
            for artist, said in drawing.labels.items():
                if said and not said.startswith("_") and _places(artist):  # else of no run
                    artist.set_label(f"{name}: {said}")
        of_panels = zip(*(drawing.views for drawing in self.drawings), strict=True)
        with style(**{"mathtext.fontset": "dejavusans"}):
            for axes, height, views in zip(self.panels, self.heights, of_panels, strict=True):
                _show_all(axes, views, height)


def _names(of: Sequence[str | Path]) -> list[str]:
    """Return the names of folders, as long as it takes to differ; those that agree get a number.

    What long names have in common at their ends is left out.

    Examples
    --------
    >>> _names([Path("/a/one"), Path("/a/two")]), _names([Path("/a/one"), Path("/b/one")])
    (['one', 'two'], ['a/one', 'b/one'])
    >>> _names(["Classifier", "Classifier"])
    ['Classifier 1', 'Classifier 2']
    >>> _names(["2026-11-30-tagging-wide-second", "2026-11-30-tagging-wild-second"])
    ['…wide…', '…wild…']
    """
    every = [each.parts if isinstance(each, Path) else (each,) for each in of]
    names: list[str] = []
    for parts in every:
        longer = range(1, len(parts) + 1)
        alone = (n for n in longer if sum(other[-n:] == parts[-n:] for other in every) == 1)
        names.append("/".join(parts[-next(alone, 1) :]))
    if max(map(len, names)) > LONGEST and len(set(names)) > 1:
        names = [short(name, LONGEST) for name in _without_common_ends(names)]
    return [
        name if names.count(name) == 1 else f"{name} {names[: index + 1].count(name)}"
        for index, name in enumerate(names)
    ]


LONGEST = 24
"""Characters of a run's name."""


def _without_common_ends(names: Sequence[str]) -> list[str]:
    """Return names without the words that all begin and end with."""
    words = [re.findall(r"[^\W_]+|[\W_]+", name) for name in names]
    first = _alike(words)
    last = _alike([own[first:][::-1] for own in words])
    left = ["".join(own[first : len(own) - last]) for own in words]
    if not all(left):
        return list(names)
    return [f"{'…' if first else ''}{name}{'…' if last else ''}" for name in left]


def _alike(rows: Sequence[Sequence[str]]) -> int:
    """Return how many of the first words all rows have."""
    columns = zip(*rows, strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _artists(axes: Axes) -> list[Any]:
    """Lines, areas and steps; and points with their intervals, which the legend has as one."""
    return [*axes.containers, *axes.lines, *axes.collections, *axes.patches]


def _first(artist: Any) -> Any:
    """Return the points of points with intervals, and anything else as it is."""
    return artist[0] if isinstance(artist, tuple) else artist


def _is_line(artist: Any) -> bool:
    from matplotlib.lines import Line2D

    return isinstance(artist, Line2D)


def _colours(artist: Any) -> dict[str, str]:
    """Return the colours of an artist as text, by the property; those that are not seen are not."""
    from matplotlib.colors import to_hex, to_rgba_array

    found = {}
    for name in ("color", "markerfacecolor") if _is_line(artist) else ("facecolor", "edgecolor"):
        colours = to_rgba_array(getattr(artist, f"get_{name}")())
        if len(colours) and colours[0, 3] > 0:
            found[name] = to_hex(colours[0])
    return found


def _places(artist: Any) -> set[int]:
    """Return where the colours of an artist stand in `COLOURS`; of black and white none."""
    return {COLOURS.index(c) for c in _colours(_first(artist)).values() if c in COLOURS}


def _restyle(artists: Sequence[Any], taken: set[int]) -> set[int]:
    """Give artists the next colours that are not taken, and return the places of their colours.

    A colour keeps its place where that is free. Lines that are not faint have the line style and
    the marker of the same place; colours, line styles and markers are used again from the seventh.
    """
    own = sorted(set().union(*map(_places, artists)))
    free = (place for place in count() if place not in taken and place not in own)
    moved = {place: next(free) if place in taken else place for place in own}
    for artist in artists:
        if isinstance(artist, tuple) or not taken:
            continue
        colours = _colours(artist)
        if _is_line(artist) and not _places(artist) and str(artist.get_label()).startswith("_"):
            artist.set_color(COLOURS[moved[own[0]] % len(COLOURS)])
        for name, colour in colours.items():
            place = COLOURS.index(colour) if colour in COLOURS else None
            if place is None or moved[place] == place:
                continue
            place = moved[place]
            getattr(artist, f"set_{name}")(COLOURS[place % len(COLOURS)])
            if artist.get_alpha() is None and artist.get_linestyle() != "None":
                line = (place + place // len(COLOURS)) % len(LINE_STYLES)
                artist.set_linestyle(LINE_STYLES[line])
            if _is_line(artist) and artist.get_marker() != "None":
                artist.set_marker(MARKERS[place % len(MARKERS)])
    return set(moved.values())


def _without_twins(artists: Sequence[Any], before: set[Any]) -> list[Any]:
    """Remove the lines without a colour that were there before, such as that of a random guess."""
    kept = []
    for artist in artists:
        twin = _is_line(artist) and not _places(artist)
        if twin and any(_is_twin(artist, other) for other in before if _is_line(other)):
            artist.remove()
        else:
            kept.append(artist)
    return kept


def _is_twin(line: Any, other: Any) -> bool:
    said = (str(each.get_label()) for each in (line, other))
    one, two = ("" if label.startswith("_") else label for label in said)
    same = np.array_equal(line.get_xydata(), other.get_xydata())
    return same and one == two and line.axes is other.axes


def _show_all(axes: Axes, views: Sequence[_View], height: float) -> None:
    """Let axes hold the curves of all runs, and one legend above them.

    Each run leaves room for a legend of that height.
    """
    x, y = (np.array([getattr(view, name) for view in views]) for name in ("x", "y"))
    is_log = any(view.is_log for view in views) and bool((y >= 0).all())
    low, high = y[y > 0].min() if is_log else y.min(), y.max()
    if legends := [view.legend for view in views if view.legend is not None]:
        _draw_legend(axes, legends)
        more = (1 - height) / (1 - min(_share(axes)[1], 0.75))
        ends = np.log10([low, high]) if is_log else np.array([low, high])
        top = ends[0] + np.ptp(ends) * max(more, 1)
        high = 10**top if is_log else top
    axes.set_xlim(x.min(), x.max())
    axes.set_yscale("log" if is_log else "linear")
    axes.set_ylim(low, high)


def _draw_legend(axes: Axes, options: Sequence[dict[str, Any]]) -> None:
    """Draw a legend that is no wider than the axes, unless its letters were too small to read."""
    chosen = {"loc": "upper right", **options[-1]}
    if len({each.get("title") for each in options}) > 1:
        del chosen["title"]
    axes.legend(**chosen)
    legend: Any = axes.get_legend()
    size = legend.get_texts()[0].get_fontsize()
    while _share(axes)[0] > 0.98 and size > SMALLEST:
        if chosen.get("ncols", 1) > 1:
            chosen["ncols"] = 1
        else:
            size -= 0.5
        axes.legend(**{**chosen, "fontsize": size})


def _share(axes: Axes) -> Any:
    """Return width and height of the legend, as shares of the axes."""
    legend: Any = axes.get_legend()
    return np.divide(legend.get_window_extent().size, axes.get_window_extent().size)
