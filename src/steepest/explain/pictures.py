"""The pictures of an explanation from its numbers: ``figures/explain-NAME.png`` and ``.json``.

Each takes numbers that `steepest.explain.spectrum` and the other measurements return.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, drawing
from steepest.explain.layers import Layers
from steepest.explain.measured import Measured
from steepest.explain.sharpness import Noise, Sharpness
from steepest.explain.spectrum import PathNumbers, SpectrumNumbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Picture = tuple[str, Callable[[], Any], Any]
"""A picture's name, what draws it, and its numbers as JSON has them."""


def pictures_of(measured: Measured) -> Iterator[Picture]:
    """Yield those whose numbers were measured."""
    if measured.spectrum is not None and len(measured.spectrum.eigenvalues) > 1:
        one = measured.spectrum
        yield "spectrum", partial(spectrum_figure, one), _plain(one)
    if measured.path is not None:
        yield "path", partial(path_figure, measured.path), _plain(measured.path)
    looks = [one for one in measured.sharpness if np.isfinite(one.largest)]
    if len(looks) > 1:
        yield "sharpness", partial(sharpness_figure, looks), [one.to_json() for one in looks]
    if measured.noises:
        noises = measured.noises
        yield "noise", partial(noise_figure, noises), [one.to_json() for one in noises]
    layers = measured.layers
    if layers is not None and layers.end:
        yield "units", partial(units_figure, layers), layers.to_json()


def _plain(numbers: Any) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(numbers).items()
    }


def spectrum_figure(numbers: SpectrumNumbers) -> Figure:
    """Eigenvalues by size, with the largest stable one."""
    with drawing(7.0, 4.6) as figure:
        draw_spectrum(figure.subplots(), numbers)
    return figure


def draw_spectrum(axes: Axes, numbers: SpectrumNumbers) -> None:
    """The same, into given axes."""
    from matplotlib.ticker import MaxNLocator

    values = numbers.eigenvalues[::-1]
    index = np.arange(1, len(values) + 1)
    positive = values > 0
    axes.plot(index[positive], values[positive], "o", color=BLUE, markersize=5, label="λ > 0")
    if (~positive).any():
        size = np.maximum(-values[~positive], 1e-300)
        axes.plot(index[~positive], size, "o", color=BLUE, markerfacecolor="none",
                  markersize=5, label="|λ|, λ < 0")  # fmt: skip
    if numbers.largest_stable is not None:
        axes.axhline(numbers.largest_stable, color=RED, linestyle="--",
                     label=f"Largest stable λ = {numbers.largest_stable:.3g}")  # fmt: skip
    axes.set_yscale("log")
    shown = np.abs(values[np.abs(values) > 1e-12 * np.abs(values).max()])
    top = max(float(shown.max()), numbers.largest_stable or 0.0)
    axes.set_ylim(0.3 * float(shown.min()), 300 * top)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    which = "all" if numbers.whole else f"the highest and lowest of {numbers.parameters:,}"
    axes.set_xlabel(f"Eigenvalue, by size ({which})")
    axes.set_ylabel(r"$\lambda$ of $\nabla^2 J$")
    axes.legend(loc="upper right")


def path_figure(numbers: PathNumbers) -> Figure:
    """J − J* (or J) along the path, with its prediction."""
    with drawing(7.0, 4.6) as figure:
        draw_path(figure.subplots(), numbers)
    return figure


def draw_path(axes: Axes, numbers: PathNumbers) -> None:
    """The same, into given axes."""
    known = np.isfinite(numbers.lowest)
    lowest = numbers.lowest if known else 0.0
    losses, predicted = numbers.losses - lowest, numbers.predicted - lowest
    axes.plot(numbers.steps, losses, "o", color=BLUE, markersize=5, label="Run")
    axes.plot(numbers.steps, predicted, color="black", linestyle="--",
              label=f"Predicted by the {numbers.by}")  # fmt: skip
    both = np.concatenate([losses, predicted])
    both = both[np.isfinite(both)]
    if known and (losses > 0).any():
        axes.set_yscale("log")
        floor = float(losses[losses > 0].min())
        axes.set_ylim(0.3 * max(floor, 1e-16 * float(both.max())), 10 * float(both.max()))
    else:
        span = float(np.ptp(losses[np.isfinite(losses)])) or 1.0
        axes.set_ylim(float(losses.min()) - 0.5 * span, float(losses.max()) + 0.4 * span)
    axes.set_xlabel("Step")
    axes.set_ylabel("$J - J^*$" if known else "$J$")
    axes.legend(loc="upper right")


def sharpness_figure(looks: Sequence[Sharpness]) -> Figure:
    """ηλmax against the step, and its bound."""
    steps = np.array([one.step for one in looks]) + 1
    with drawing(7.0, 4.6) as figure:
        axes = figure.subplots()
        axes.plot(steps, [one.rate * one.largest for one in looks], "o-", color=BLUE,
                  label=r"$\eta\lambda_{max}$")  # fmt: skip
        bound = looks[0].bound
        axes.axhline(bound, color=RED, linestyle="--", label=f"Bound {bound:.3g}")
        axes.set_xscale("log")
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 2, high * 12)
        axes.set_xlabel("Step + 1")
        axes.set_ylabel(r"$\eta\lambda_{max}$")
        axes.legend(loc="upper right")
    return figure


def noise_figure(noises: Sequence[Noise]) -> Figure:
    """The noise scale against the step, and the batch size."""
    finite = [one for one in noises if np.isfinite(one.scale)]
    with drawing(7.0, 4.6) as figure:
        axes = figure.subplots()
        steps = [one.step + 1 for one in finite]
        axes.plot(steps, [one.scale for one in finite], "o-", color=BLUE, label="Noise scale")
        axes.axhline(noises[0].batch, color=ORANGE, linestyle="--",
                     label=f"Batch size {noises[0].batch:,}")  # fmt: skip
        for one in noises:
            if not np.isfinite(one.scale):
                axes.axvline(one.step + 1, color=GREY, linestyle=":",
                             label=f"Infinite at step {one.step:,}")  # fmt: skip
        axes.set_xscale("log")
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(low / 2, high * 12)
        axes.set_xlabel("Step + 1")
        axes.set_ylabel("Events")
        axes.legend(loc="upper right")
    return figure


def units_figure(layers: Layers) -> Figure:
    """Dead units and saturated values by layer."""
    count = len(layers.end)
    places = np.arange(count)
    bars = (
        ("Dead, start", [one.dead for one in layers.start], BLUE, 0.45),
        ("Dead, end", [one.dead for one in layers.end], BLUE, 1.0),
        ("Saturated, start", [one.saturated for one in layers.start], RED, 0.45),
        ("Saturated, end", [one.saturated for one in layers.end], RED, 1.0),
    )
    curved = any(one.activation not in ("relu", "") for one in layers.end)
    shown = bars if curved else bars[:2]
    width = 0.8 / len(shown)
    with drawing(max(7.0, 1.1 * count), 4.6) as figure:
        axes = figure.subplots()
        for number, (label, values, colour, alpha) in enumerate(shown):
            at = places + (number - (len(shown) - 1) / 2) * width
            axes.bar(at, 100 * np.array(values), width, color=colour, alpha=alpha, label=label)
        names = [one.name or f"hidden {i + 1}" for i, one in enumerate(layers.end)]
        axes.set_xticks(places, names, fontsize=11)
        axes.minorticks_off()
        axes.set_ylim(0, 145)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_ylabel("Units, values [%]" if curved else "Units [%]")
        axes.legend(loc="upper left", ncols=len(shown), fontsize=11)
    return figure
