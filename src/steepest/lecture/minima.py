"""Local minima and a plateau on the surface of a small network, found from many starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.stationary import barrier
from steepest.lecture.data import Effort, LectureData, NotFound
from steepest.lecture.descents import Descent, Problem, problem, scaled
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray
Numbers = TypeVar("Numbers")

NAME = "minima"
TITLE = "Local minima and a plateau"

EVENTS = 40
HIDDEN = 2
L2 = 1e-3
"""L2 term, without which some minima are at infinite weights."""
RATE = 2.0
SETTLED = 1e-5
"""‖∇J‖ at which a run stops."""
REACHED = 1e-3
"""A run has reached a minimum if J is within this fraction of it."""
DIFFERENT = 0.01
"""Minima are different if their J differ by more than this fraction; else they may be mirrored."""
SLOPE = 0.2
"""On a plateau, the decrease of ln J per step is below this fraction of the mean to the end."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum, and the start that leads to it."""

    seed: int  # of the start
    loss: float  # J at the minimum, refined by Newton steps
    gradient: float  # ‖∇J‖ there
    eigenvalues: Array  # of ∇²J there, all of them, ascending
    moved: float  # J at the end of the run minus J at the minimum
    losses: Array  # (steps,): J before each step of the run


@dataclass(frozen=True, eq=False)
class Plateau:
    """A part of a run in which J hardly falls, although it falls later."""

    seed: int  # of the start
    sample: int  # number of the sample of events
    first: int  # first and last step of the plateau
    last: int
    loss_before: float  # J at the first and last step
    loss_after: float
    loss_end: float  # J at the end of the run
    gradient: float  # the smallest ‖∇J‖ on the plateau
    lowest: float  # eigenvalue of ∇²J where ‖∇J‖ is smallest: negative near a saddle point
    highest: float
    losses: Array  # (steps,): J before each step of the run
    gradients: Array  # (steps,): ‖∇J‖


@dataclass(frozen=True, eq=False)
class Minima:
    """Two minima of one surface, the line between them, and the longest plateau of all runs."""

    minima: tuple[Minimum, Minimum]  # the lowest minimum, and another one
    line: Array  # J on the straight line from the first (0) to the second (1), evenly spaced
    barrier: dict[str, float]  # on this line, see `barrier`
    plateau: Plateau | None  # None if no run had a plateau
    ends: Array  # J of the minimum that each start leads to, by seed
    network: str  # its widths
    events: int
    sample: int  # number of the sample: 0, 1, …
    features: tuple[str, ...]


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Minima:
    """Train a small network from many starts, on several samples until all effects are found.

    NotFound if all starts led to the same minimum, in all samples.
    """
    minima: Minima | None = None
    plateau: Plateau | None = None
    for sample in range(effort.samples):
        fit = _network(data, seed + 1000 * sample, callback)
        runs = []
        for start in range(effort.starts):
            done = sample * effort.starts + start
            callback.measured(done, effort.samples * effort.starts, "starts")
            runs.append(_run(fit, 1000 * seed + start, effort))
        if minima is None:
            minima = _two_minima(data, fit, runs, 1000 * seed, sample)
        here = _longest_plateau(fit, runs, 1000 * seed, sample)
        if plateau is None or (here is not None and minima is not None):
            plateau = here  # preferably one on the sample of the minima
        if minima is not None and plateau is not None:
            break
    if minima is None:
        raise NotFound(
            f"{effort.starts} starts in each of {effort.samples} samples of {EVENTS} events led "
            "to one minimum each time"
        )
    return replace(minima, plateau=plateau)


def run_of(
    data: LectureData, seed: int, numbers: Minima, which: int, effort: Effort,
    callback: TrainingCallback,
) -> tuple[Problem, Descent]:  # fmt: skip
    """Return the problem of the minima, and the run that led to one of them.

    `numbers` is the result of `compute` for the same data, seed and effort; A is 0, B is 1.
    """
    fit = _network(data, seed + 1000 * numbers.sample, callback)
    return fit, _run(fit, numbers.minima[which].seed, effort)


def _run(fit: Problem, seed: int, effort: Effort) -> Descent:
    return fit.descend(rate=RATE, epochs=effort.steps, seed=seed, settled_below=SETTLED)


def _network(data: LectureData, seed: int, callback: TrainingCallback) -> Problem:
    events = data.drawn(EVENTS, seed)
    inputs = scaled(events.features[:, list(data.pair)], events.weights)
    return problem(inputs, events.labels, events.weights, "binary-cross-entropy", callback,
                   l2=L2, hidden=(HIDDEN,), activation="tanh")  # fmt: skip


def _two_minima(
    data: LectureData, fit: Problem, runs: list[Descent], seed: int, sample: int
) -> Minima | None:
    """Return the lowest minimum and the next one behind a barrier, or None."""
    thetas = [fit.settled(run.end, 200) for run in runs]
    ends = np.array([fit.loss(theta) for theta in thetas])
    found = {}
    for k in np.argsort(ends).tolist():
        loss, gradient = fit.loss_and_gradient(thetas[k])
        values = np.linalg.eigvalsh(fit.hessian(thetas[k]))
        size, moved = float(np.linalg.norm(gradient)), fit.loss(runs[k].end) - loss
        if moved < REACHED * loss and size < 1e-8 and values[0] > 0:
            found[k] = Minimum(seed + k, loss, size, values, moved, runs[k].losses)
    for (a, lower), (b, higher) in combinations(found.items(), 2):
        line = fit.line(thetas[a], thetas[b] - thetas[a], np.linspace(0, 1, 201))
        between = line.max() > (1 + REACHED) * higher.loss  # a barrier above the higher minimum
        if higher.loss > (1 + DIFFERENT) * lower.loss and between:
            network = "→".join(map(str, fit.objective.model.details()["widths"]))
            features = tuple(data.names[i] for i in data.pair)
            return Minima((lower, higher), line, barrier(line), None, ends, network,
                          len(fit.events), sample, features)  # fmt: skip
    return None


def _longest_plateau(fit: Problem, runs: list[Descent], seed: int, sample: int) -> Plateau | None:
    found = {k: ends for k, run in enumerate(runs) if (ends := plateau_of(run.losses))}
    if not found:
        return None
    k, (first, last) = max(found.items(), key=lambda item: (item[1][1] - item[1][0], item))
    losses, gradients = runs[k].losses, runs[k].gradients
    at = first + int(gradients[first:last].argmin())
    theta = fit.descend(rate=RATE, epochs=max(at, 1), seed=seed + k).end
    values = np.linalg.eigvalsh(fit.hessian(theta)).tolist()
    before, after, end = losses[[first, last, -1]].tolist()
    return Plateau(seed + k, sample, first, last, before, after, end, float(gradients[at]),
                   values[0], values[-1], losses, gradients)  # fmt: skip


def plateau_of(losses: Array) -> tuple[int, int] | None:
    """Return the longest part in which J hardly falls although it falls later, or None.

    Step k belongs to a plateau if the decrease of ln J in this step is less than a fifth of the
    mean decrease per step from there to the end. The end is the step at which 99 % of the decrease
    is reached.

    Examples
    --------
    >>> flat_then_down = np.concatenate([np.full(50, 1.0), np.geomspace(1.0, 0.01, 50)])
    >>> plateau_of(flat_then_down)
    (0, 50)
    >>> plateau_of(np.geomspace(1.0, 0.01, 100)) is None
    True
    """
    logs = np.log(losses)
    done = int((logs <= logs[-1] + 0.01 * (logs[0] - logs[-1])).argmax())
    if done < 2:
        return None
    k = np.arange(done)
    later = (logs[:done] - logs[done]) / (done - k)
    flat = -np.diff(logs[: done + 1]) < SLOPE * later
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    if not len(lengths) or lengths.max() < 0.1 * done:
        return None
    longest = int(lengths.argmax())
    return int(edges[2 * longest]), int(edges[2 * longest + 1])


def three_panels(numbers: Numbers, *draw: Callable[[Axes, Numbers], None]) -> Figure:
    """Return a figure with three panels, one drawn by each function."""
    with style():
        drawn = new_figure(14.0, 5.0)
        for axes, draw_on in zip(drawn.subplots(1, 3), draw, strict=True):
            draw_on(axes, numbers)
        return laid_out(drawn)


def labelled(axes: Axes, title: str, x: str, y: str, *, legend: bool = True) -> None:
    """Set the title, the axis labels and the legend of a panel."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_title(title, fontsize=13)
    if legend:
        axes.legend(loc="upper right", fontsize=11)


def figure(numbers: Minima) -> Figure:
    """Return the figure of the runs, the line between the minima, and the plateau."""
    return three_panels(numbers, _runs, _line_between, _plateau)


def _runs(axes: Axes, numbers: Minima) -> None:
    looks = ((BLUE, "-", "A"), (ORANGE, "--", "B"))
    for minimum, (colour, dashes, letter) in zip(numbers.minima, looks, strict=True):
        axes.plot(1 + np.arange(len(minimum.losses)), minimum.losses, color=colour,
                  linestyle=dashes, label=f"Start {letter}: $J$ = {minimum.loss:.4f}")  # fmt: skip
        axes.axhline(minimum.loss, color=colour, linestyle=":", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    labelled(axes, "Two starts, two minima", "Step", "Loss $J$")


def _line_between(axes: Axes, numbers: Minima) -> None:
    t = np.linspace(0, 1, len(numbers.line))
    first, second = numbers.minima
    axes.plot(t, numbers.line, color="black")
    axes.plot([0, 1], [first.loss, second.loss], color=GREY, linestyle="--")
    look = {"markeredgecolor": "black", "linestyle": "", "markersize": 14, "clip_on": False}
    axes.plot(0, first.loss, marker="*", color=BLUE, label="Minimum A", zorder=4, **look)
    axes.plot(1, second.loss, marker="*", color=ORANGE, label="Minimum B", zorder=4, **look)
    at, height = numbers.barrier["at"], numbers.barrier["height"]
    ground = first.loss + at * (second.loss - first.loss)
    axes.annotate("", (at, ground), (at, ground + height), arrowprops={"arrowstyle": "<->"})
    axes.annotate(f"barrier {height:#.2g}", (at, ground + 0.1 * height), xytext=(6, 0),
                  textcoords="offset points", fontsize=12)  # fmt: skip
    axes.set_xlim(-0.06, 1.06)
    height = float(np.ptp(numbers.line))
    axes.set_ylim(numbers.line.min() - 0.15 * height, numbers.line.max() + 0.4 * height)
    labelled(axes, "The section through both", "Straight line from A (0) to B (1)", "Loss $J$")


def _plateau(axes: Axes, numbers: Minima) -> None:
    one = numbers.plateau
    if one is None:
        axes.text(0.5, 0.5, "No run had a plateau", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    steps = np.arange(len(one.losses))
    axes.axvspan(one.first, one.last, color=GREY, alpha=0.25, linewidth=0,
                 label=f"Plateau ({one.last - one.first:,} steps)")  # fmt: skip
    axes.plot(steps, one.losses, color=BLUE, label="Loss $J$")
    fall = one.loss_before - one.loss_end
    axes.set_ylim(one.loss_end - 1.8 * fall, one.loss_before + 1.2 * fall)
    axes.set_xlim(0, min(len(steps), 2 * one.last))
    beside = axes.twinx()
    beside.plot(steps, one.gradients, color=RED, linestyle="--")
    axes.plot([], [], color=RED, linestyle="--", label=r"Gradient $\Vert\nabla J\Vert$ (right)")
    beside.set_yscale("log")
    beside.set_ylim(0.3 * one.gradient, 3e4 * one.gradient)
    beside.set_ylabel(r"$\Vert\nabla J\Vert$")
    labelled(axes, f"A plateau on the way of start {one.seed}", "Step", "Loss $J$")


def text(numbers: Minima) -> list[str]:
    """Explain the numbers."""
    first, second = numbers.minima
    one = numbers.plateau
    flat = "No run had a plateau."
    if one is not None:
        where = "" if one.sample == numbers.sample else f" on another {numbers.events} events"
        curved = (
            f"the lowest eigenvalue is −{-one.lowest:.2g}, below zero: beside a saddle"
            if one.lowest < 0
            else f"the lowest eigenvalue is {one.lowest:.2g}"
        )
        flat = (
            f"From step {one.first:,} to {one.last:,} of start {one.seed}{where} the loss only "
            f"falls from {one.loss_before:.4f} to {one.loss_after:.4f}, with a gradient down to "
            f"{one.gradient:.2g} ({curved}). Afterwards it falls to {one.loss_end:.4f}."
        )
    return [
        f"A network {numbers.network} (tanh) on {', '.join(numbers.features)} of "
        f"{numbers.events} events, trained from {len(numbers.ends)} starts. The minimum depends on "
        f"the start: start {first.seed} leads to A with J = {first.loss:.4f}, start "
        f"{second.seed} to B with J = {second.loss:.4f}.",
        f"Both are minima: the gradient is zero to {max(first.gradient, second.gradient):.1g} and "
        f"all {len(first.eigenvalues)} eigenvalues of the Hessian are positive (the lowest "
        f"{min(first.eigenvalues[0], second.eigenvalues[0]):.2g}). On the straight line between "
        f"them J rises by {numbers.barrier['height']:#.2g}.",
        flat,
    ]
