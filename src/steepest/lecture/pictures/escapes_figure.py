"""The figure of `steepest.lecture.pictures.escapes`: runs, shares by batch size, by noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED
from steepest.lecture.pictures.escapes_numbers import Escapes, Share
from steepest.lecture.pictures.panels import labelled, three_panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = ["figure"]

SHARE = "Share of runs that left (68 % intervals)"
_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": RED, "marker": "o", "linestyle": "-"},
    {"color": ORANGE, "marker": "s", "linestyle": "--"},
    {"color": BLUE, "marker": "^", "linestyle": ":"},
)


def figure(numbers: Escapes) -> Figure:
    """Return J along single runs, and the share of runs that left by batch size and by noise."""
    return three_panels(numbers, _runs, _by_size, _by_noise)


def _runs(axes: Axes, numbers: Escapes) -> None:
    looks = {1: (RED, "-", 1.0), numbers.events: (BLUE, "-", 2.2)}
    for rattle in sorted(numbers.rattles, key=lambda r: r.batch_size):
        colour, dashes, width = looks.get(rattle.batch_size, (ORANGE, "-", 1.4))
        name = f"{rattle.batch_size} events" if rattle.batch_size > 1 else "1 event"
        name = "All events" if rattle.batch_size == numbers.events else name
        axes.plot(rattle.passed, rattle.losses, color=colour, linestyle=dashes, linewidth=width,
                  label=f"{name} a step")  # fmt: skip
    for level, letter, shift in ((numbers.lowest, "A", -10), (numbers.poorer, "B", 2)):
        axes.axhline(level, color="black", linestyle=":", linewidth=1.2)
        axes.annotate(letter, (1, level), xycoords=("axes fraction", "data"), xytext=(4, shift),
                      textcoords="offset points", fontsize=13, annotation_clip=False)  # fmt: skip
    axes.set_yscale("log")
    highest = max(float(rattle.losses.max()) for rattle in numbers.rattles)
    axes.set_ylim(0.8 * numbers.lowest, 4 * highest)  # with room for the legend
    _plain(axes.yaxis)
    axes.set_xlim(0, numbers.time)
    title = rf"One run each, $\eta$ = {numbers.rates[0]:.3g}"
    labelled(axes, title, r"$\eta$ × steps", "Loss $J$ of all events")


def _by_size(axes: Axes, numbers: Escapes) -> None:
    for rate, look in zip(numbers.rates, _LOOKS, strict=True):
        shares = numbers.at(rate)
        _points(axes, [s.batch_size for s in shares], shares, look, rf"$\eta$ = {rate:.3g}")
    sizes = sorted({share.batch_size for share in numbers.shares})
    for share in numbers.shares:
        if share.noise == 0:
            number = numbers.rates.index(share.rate)
            beside = share.batch_size * 1.15 ** (number - 1)  # shifted, so that all are visible
            _points(axes, [beside], [share], {**_LOOKS[number], "linestyle": ""})
    axes.set_xscale("log", base=2)
    axes.set_xticks(sizes, [f"{s}" if s < numbers.events else f"all ({s})" for s in sizes])
    axes.minorticks_off()
    _from_none_to_all(axes)
    labelled(axes, "How many leave the basin of B", "Events a step $B$", SHARE)


def _by_noise(axes: Axes, numbers: Escapes) -> None:
    for rate, look in zip(numbers.rates, _LOOKS, strict=True):
        shares = numbers.at(rate)
        _points(axes, [s.noise for s in shares], shares, {**look, "linestyle": ""})
    axes.set_xscale("log")
    _plain(axes.xaxis)
    _from_none_to_all(axes)
    noise = r"Noise of a step $\eta\,(1/B - 1/m)$"
    labelled(axes, "The same against the noise", noise, SHARE, legend=False)


def _points(
    axes: Axes, places: list[float], shares: list[Share], look: dict[str, Any], label: str = ""
) -> None:
    middle = [share.fraction for share in shares]
    below = [share.fraction - share.low for share in shares]
    above = [share.high - share.fraction for share in shares]
    axes.errorbar(places, middle, [below, above], **look, markersize=7, linewidth=1.4,
                  elinewidth=1.4, capsize=3, markeredgecolor="black", clip_on=False,
                  label=label or None)  # fmt: skip


def _plain(axis: Axis) -> None:
    """Label the axis with plain numbers such as 0.5 and 2 instead of powers of ten."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def _from_none_to_all(axes: Axes) -> None:
    axes.set_ylim(0, 1)
    axes.axhline(0, color=GREY, linewidth=0.8, zorder=0)
