"""Loss and learning rate against the step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from steepest.errors import InputError
from steepest.evaluate.arrays import Floats
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class DescentCurves:
    """The descent in numbers."""

    steps: Floats  # shape (records,)
    training_loss: Floats
    smoothed_loss: Floats | None  # running mean of the training loss if it is noisy, otherwise None
    learning_rate: Floats
    validation_steps: Floats  # shape (validations,)
    validation_loss: Floats
    kept_step: float | None  # step whose parameters were kept, or None
    diverged_step: float | None  # step at which the descent diverged, or None


def descent_curves(
    steps: ArrayLike,
    training_loss: ArrayLike,
    learning_rate: ArrayLike,
    validation_steps: ArrayLike = (),
    validation_loss: ArrayLike = (),
    kept_step: float | None = None,
    diverged_step: float | None = None,
) -> DescentCurves:
    """Return the numbers of `descent_figure`.

    The training loss is smoothed by a centred running mean over a fiftieth of the records if its
    total variation is more than four times its range. Losses that are not finite are left out of
    the curve.

    Steps ascend, with one entry a record or validation. The steps whose parameters were kept,
    and at which the descent diverged, are marked if given. InputError for lengths that differ,
    or no records.

    Examples
    --------
    >>> curves = descent_curves([1, 2, 3], [0.9, 0.5, 0.4], [0.1, 0.1, 0.1])
    >>> curves.smoothed_loss is None
    True
    """
    step, loss, rate, at, validation = (
        np.asarray(values, dtype=np.float64)
        for values in (steps, training_loss, learning_rate, validation_steps, validation_loss)
    )
    if not (step.size == loss.size == rate.size > 0 and at.size == validation.size):
        raise InputError(
            "the records of the descent have different lengths.",
            expected="a loss and a learning rate for each of at least one step",
            found=f"{step.size} steps, {loss.size} losses, {rate.size} learning rates; "
            f"{at.size} validation steps, {validation.size} validation losses",
            cause="columns of different histories",
            do="take all columns from one history",
        )
    smooth = _smoothed(loss) if _is_noisy(loss) else None
    return DescentCurves(step, loss, smooth, rate, at, validation, kept_step, diverged_step)


def _is_noisy(loss: Floats) -> bool:
    finite = loss[np.isfinite(loss)]
    if finite.size < 50:
        return False
    scaled = finite / max(float(np.abs(finite).max()), 1e-300)  # a diverged loss may be near 1e308
    return float(np.abs(np.diff(scaled)).sum()) > 4 * float(np.ptp(scaled))


def _smoothed(loss: Floats) -> Floats:
    """Return the centred running mean over finite entries; the window shrinks at the start.

    At the end of the curve, where the result is read off, only the right half of the window
    shrinks.
    """
    half = max(2, loss.size // 100)
    finite = np.isfinite(loss)
    sums = np.concatenate([[0.0], np.cumsum(np.where(finite, loss, 0.0))])
    numbers = np.concatenate([[0], np.cumsum(finite)])
    index = np.arange(loss.size)
    reach = np.minimum(index, half)
    first, last = index - reach, np.minimum(index + reach + 1, loss.size)
    mean = (sums[last] - sums[first]) / np.maximum(numbers[last] - numbers[first], 1)
    return np.where(finite, mean, np.nan)


def descent_figure(curves: DescentCurves) -> Figure:
    """Return the figure of loss (above) and learning rate (below) against the step.

    The numbers are those of `descent_curves`.
    """
    with drawing(7.5, 6.0) as figure:
        axes = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
        _draw_losses(axes[0], curves)
        _draw_rate(axes[1], curves)
        axes[1].set_xlim(left=0.0)
        figure.align_ylabels(axes)
    return figure


def _draw_losses(axes: Axes, curves: DescentCurves) -> None:
    raw, smooth = curves.training_loss, curves.smoothed_loss
    if smooth is not None:
        axes.plot(curves.steps, raw, color=BLUE, alpha=0.3, linewidth=0.7, label="_raw")
    shown = raw if smooth is None else smooth
    label = "Training" if smooth is None else "Training (running mean)"
    axes.plot(curves.steps, shown, color=BLUE, label=label, **_points_if_few(curves.steps))
    if curves.validation_steps.size:
        every = max(1, curves.validation_steps.size // 30)
        axes.plot(curves.validation_steps, curves.validation_loss, color=RED, linestyle="--",
                  marker="o", markersize=5, label="Validation", markevery=every)  # fmt: skip
    _draw_ends(axes, curves)
    _scale_losses(axes, curves)
    axes.set_ylabel("Loss")
    legend(axes)


def _points_if_few(steps: Floats) -> dict[str, Any]:
    return {"marker": "s", "markersize": 4} if steps.size <= 20 else {}


def _draw_ends(axes: Axes, curves: DescentCurves) -> None:
    if curves.kept_step is not None:
        at = curves.kept_step
        axes.axvline(at, color=GREY, linestyle=":", label=f"Kept (step {at:g})", zorder=0)
    if curves.diverged_step is not None:
        at = curves.diverged_step
        axes.axvline(at, color=ORANGE, linestyle="-.", label=f"Diverged (step {at:g})", zorder=0)


def _scale_losses(axes: Axes, curves: DescentCurves) -> None:
    """Use a logarithmic axis if the loss spans more than a factor of 30.

    A diverging loss is shown up to ten thousand times the first one.
    """
    losses = np.concatenate([curves.training_loss, curves.validation_loss])
    losses = losses[np.isfinite(losses)]
    positive = losses[losses > 0]
    if not positive.size or losses.min() < 0 or positive.max() / 30 <= positive.min():
        return
    low, high = float(positive.min()), float(min(positive.max(), 1e4 * positive[0]))
    margin = (high / low) ** 0.05
    axes.set_ylim(low / margin, high * margin)
    axes.set_yscale("log")


def _draw_rate(axes: Axes, curves: DescentCurves) -> None:
    axes.plot(curves.steps, curves.learning_rate, color="black", **_points_if_few(curves.steps))
    positive = curves.learning_rate[curves.learning_rate > 0]
    if positive.size and positive.max() > 30 * positive.min():
        axes.set_yscale("log")
    elif positive.size and positive.max() < 1.001 * positive.min():
        axes.set_ylim(0, 1.6 * positive.max())
    for step, colour, dashes in (
        (curves.kept_step, GREY, ":"),
        (curves.diverged_step, ORANGE, "-."),
    ):
        if step is not None:
            axes.axvline(step, color=colour, linestyle=dashes, zorder=0)
    axes.set_xlabel("Step")
    axes.set_ylabel(r"Learning rate $\eta$", fontsize="small")
