"""Local minima and a plateau, found in the surface of a small network by starting many times."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED, laid_out, new_figure, style
from steepest.landscape.curvature import barrier
from steepest.lecture.data import LectureData
from steepest.lecture.effort import Effort
from steepest.lecture.errors import NotFound
from steepest.lecture.live import Walk, hessian, scaled, settled, walk
from steepest.losses import loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, losses_on_plane
from steepest.training import TrainWatch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "NAME",
    "TITLE",
    "Minima",
    "Minimum",
    "Plateau",
    "compute",
    "figure",
    "plateau_of",
    "text",
]

Array = np.ndarray

NAME = "minima"
TITLE = "Local minima and a plateau"

EVENTS = 40
HIDDEN = 2
L2 = 1e-3
"""Keeps minima from running away to infinite weights."""
RATE = 2.0
REACHED = 1e-3
"""A run has reached a minimum when J is within this part of it."""
DIFFERENT = 0.01
"""Minima whose J differ by this part are two; below they may be one, mirrored."""
SLOPE = 0.1
"""On a plateau ln J falls, step by step, less than this part of its mean fall to the end."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """A minimum, and the start that leads to it.

    Attributes
    ----------
    seed : int
        Of the start.
    loss, gradient : float
        J and ‖∇J‖ at the minimum, which Newton steps have refined.
    eigenvalues
        Of ∇²J there, ascending, all of them.
    moved : float
        J at the end of the run less J at the minimum.
    losses
        J before each step of the run.
    """

    seed: int
    loss: float
    gradient: float
    eigenvalues: Array
    moved: float
    losses: Array


@dataclass(frozen=True, eq=False)
class Plateau:
    """A stretch of a run in which J hardly falls, before it does.

    Attributes
    ----------
    seed, first, last : int
        Of the start; the steps between which it lies.
    loss_before, loss_after : float
        J at its ends.
    loss_end : float
        J at the end of the run.
    gradient : float
        The least ‖∇J‖ on it.
    lowest, highest : float
        Eigenvalues of ∇²J where ‖∇J‖ is least: the lowest is below zero beside a saddle.
    losses, gradients
        J and ‖∇J‖ before each step of the run.
    """

    seed: int
    first: int
    last: int
    loss_before: float
    loss_after: float
    loss_end: float
    gradient: float
    lowest: float
    highest: float
    losses: Array
    gradients: Array


@dataclass(frozen=True, eq=False)
class Minima:
    """Two minima of one surface, the line between them, and the longest plateau of all runs.

    Attributes
    ----------
    minima : tuple[Minimum, Minimum]
        The lowest, and another.
    line
        J on the straight line from the first (0) to the second (1), evenly spaced.
    barrier : dict
        How high J rises on it above the straight line between its ends.
    plateau : Plateau or None
        None where no run had one.
    ends
        J of the minimum that each start leads to, by seed.
    network, events, sample
        The network's widths, its events, and the how manyth sample of them it is.
    """

    minima: tuple[Minimum, Minimum]
    line: Array
    barrier: dict[str, float]
    plateau: Plateau | None
    ends: Array
    network: str
    events: int
    sample: int
    features: tuple[str, ...]


def compute(data: LectureData, seed: int, effort: Effort, watch: TrainWatch) -> Minima:
    """Start a small network many times; take other samples until two minima are found.

    Raises
    ------
    NotFound
        All starts led to one minimum, in all samples.
    """
    for sample in range(effort.samples):
        objective, batch = _network(data, seed + 1000 * sample)
        runs, thetas = [], []
        for start in range(effort.starts):
            watch.measured(sample * effort.starts + start, effort.samples * effort.starts, "starts")
            run = walk(objective, batch, rate=RATE, epochs=effort.steps, seed=1000 * seed + start,
                       watch=watch)  # fmt: skip
            runs.append(run)
            thetas.append(settled(objective, run.end, batch, 200))
        found = _pair(objective, batch, runs, thetas)
        if found is not None:
            return _numbers(data, objective, batch, runs, thetas, found, seed, sample)
    raise NotFound(
        f"{effort.starts} starts in each of {effort.samples} samples of {EVENTS} events led to "
        "one minimum each time"
    )


def _network(data: LectureData, seed: int) -> tuple[DenseObjective, Batch]:
    events = data.drawn(EVENTS, seed)
    inputs = scaled(events.features[:, list(data.pair)], events.weights)
    shape = Dense(inputs=2, hidden=(HIDDEN,), activation="tanh")
    objective = DenseObjective(shape, loss_named("binary-cross-entropy"), l2=L2)
    return objective, Batch.of(inputs, events.labels, events.weights, objective.dtype)


def _pair(
    objective: DenseObjective, batch: Batch, runs: list[Walk], thetas: list[Array]
) -> tuple[int, int] | None:
    """The lowest minimum and the next that is another, with a barrier between; None if none."""
    losses = [objective.loss(theta, batch) for theta in thetas]
    kept = [
        k for k in np.argsort(losses).tolist()
        if objective.loss(runs[k].end, batch) - losses[k] < REACHED * losses[k]
        and _is_minimum(objective, batch, thetas[k])
    ]  # fmt: skip
    for a, b in combinations(kept, 2):
        if losses[b] > (1 + DIFFERENT) * losses[a]:
            line = _line(objective, batch, thetas[a], thetas[b])
            if barrier(line)["height"] > 0:
                return a, b
    return None


def _is_minimum(objective: DenseObjective, batch: Batch, theta: Array) -> bool:
    gradient = objective.loss_and_gradient(theta, batch)[1]
    values = np.linalg.eigvalsh(hessian(objective, theta, batch))
    return bool(np.linalg.norm(gradient) < 1e-8 and values[0] > 0)


def _line(objective: DenseObjective, batch: Batch, first: Array, second: Array) -> Array:
    t = np.linspace(0, 1, 201)[:, None]
    return losses_on_plane(objective, first, (second - first)[None], t, batch)


def _numbers(
    data: LectureData,
    objective: DenseObjective,
    batch: Batch,
    runs: list[Walk],
    thetas: list[Array],
    found: tuple[int, int],
    seed: int,
    sample: int,
) -> Minima:
    minima = []
    for k in found:
        loss, gradient = objective.loss_and_gradient(thetas[k], batch)
        values = np.linalg.eigvalsh(hessian(objective, thetas[k], batch))
        moved = objective.loss(runs[k].end, batch) - loss
        minima.append(Minimum(1000 * seed + k, loss, float(np.linalg.norm(gradient)), values, moved,
                              runs[k].losses))  # fmt: skip
    line = _line(objective, batch, thetas[found[0]], thetas[found[1]])
    return Minima(
        minima=(minima[0], minima[1]),
        line=line,
        barrier=barrier(line),
        plateau=_longest_plateau(objective, batch, runs, 1000 * seed),
        ends=np.array([objective.loss(theta, batch) for theta in thetas]),
        network="→".join(map(str, objective.model.widths)),
        events=len(batch),
        sample=sample,
        features=tuple(data.names[i] for i in data.pair),
    )


def plateau_of(losses: Array) -> tuple[int, int] | None:
    """The longest stretch in which J hardly falls although it falls later; None if there is none.

    Step k belongs to a plateau where ln J falls per step by less than a tenth of the mean fall from
    there to the end of the descent, which is taken to be where 99 % of the fall are done.

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


def _longest_plateau(
    objective: DenseObjective, batch: Batch, runs: list[Walk], seed: int
) -> Plateau | None:
    found = [
        (ends[1] - ends[0], k, ends) for k, r in enumerate(runs) if (ends := plateau_of(r.losses))
    ]
    if not found:
        return None
    _, k, (first, last) = max(found)
    run = runs[k]
    at = first + int(run.gradients[first:last].argmin())
    theta = walk(objective, batch, rate=RATE, epochs=max(at, 1), seed=seed + k).end
    values = np.linalg.eigvalsh(hessian(objective, theta, batch))
    return Plateau(seed + k, first, last, float(run.losses[first]), float(run.losses[last]),
                   float(run.losses[-1]), float(run.gradients[at]), float(values[0]),
                   float(values[-1]), run.losses, run.gradients)  # fmt: skip


def figure(numbers: Minima) -> Figure:
    """Return the runs, the line between the minima, and the plateau."""
    with style():
        drawn = new_figure(14.0, 5.0)
        runs, line, plateau = drawn.subplots(1, 3)
        _runs(runs, numbers)
        _line_between(line, numbers)
        _plateau(plateau, numbers)
        return laid_out(drawn)


def _runs(axes: Axes, numbers: Minima) -> None:
    looks = ((BLUE, "-", "A"), (ORANGE, "--", "B"))
    for minimum, (colour, dashes, letter) in zip(numbers.minima, looks, strict=True):
        axes.plot(1 + np.arange(len(minimum.losses)), minimum.losses, color=colour,
                  linestyle=dashes, label=f"Start {letter}: $J$ = {minimum.loss:.4f}")  # fmt: skip
        axes.axhline(minimum.loss, color=colour, linestyle=":", linewidth=1.0)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Step")
    axes.set_ylabel("Loss $J$")
    axes.set_title("Two starts, two minima", fontsize=13)
    axes.legend(loc="upper right", fontsize=11)


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
    axes.annotate(f"barrier {height:.2g}", (at, ground + 0.12 * height), xytext=(6, 0),
                  textcoords="offset points", fontsize=12)  # fmt: skip
    axes.set_xlim(-0.06, 1.06)
    axes.set_ylim(0, 1.3 * float(numbers.line.max()))
    axes.set_xlabel("Straight line from A (0) to B (1)")
    axes.set_ylabel("Loss $J$")
    axes.set_title("The section through both", fontsize=13)
    axes.legend(loc="upper right", fontsize=11)


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
    axes.set_xlabel("Step")
    axes.set_ylabel("Loss $J$")
    axes.set_title(f"A plateau on the way of start {one.seed}", fontsize=13)
    beside = axes.twinx()
    beside.plot(steps, one.gradients, color=RED, linestyle="--")
    axes.plot([], [], color=RED, linestyle="--", label=r"Gradient $\Vert\nabla J\Vert$ (right)")
    beside.set_yscale("log")
    beside.set_ylim(0.3 * one.gradient, 3e4 * one.gradient)
    beside.set_ylabel(r"$\Vert\nabla J\Vert$")
    axes.legend(loc="upper right", fontsize=11)


def text(numbers: Minima) -> list[str]:
    """What there is to see."""
    first, second = numbers.minima
    one = numbers.plateau
    flat = "None of the runs had a plateau."
    if one is not None:
        curved = (
            f"the lowest eigenvalue is {one.lowest:.2g}, below zero: beside a saddle"
            if one.lowest < 0
            else f"the lowest eigenvalue is {one.lowest:.2g}"
        )
        flat = (
            f"From step {one.first:,} to {one.last:,} of start {one.seed} the loss falls from "
            f"{one.loss_before:.4f} to {one.loss_after:.4f} only, with a gradient down to "
            f"{one.gradient:.2g} ({curved}); then it goes on to {one.loss_end:.4f}."
        )
    return [
        f"A network {numbers.network} (tanh) on {', '.join(numbers.features)} of "
        f"{numbers.events} events, started {len(numbers.ends)} times. Gradient descent ends where "
        f"the start leads it: start {first.seed} in A with J = {first.loss:.4f}, start "
        f"{second.seed} in B with J = {second.loss:.4f}.",
        f"Both are minima: the gradient is zero to {max(first.gradient, second.gradient):.1g} and "
        f"all {len(first.eigenvalues)} eigenvalues of the Hessian are positive (the lowest "
        f"{min(first.eigenvalues[0], second.eigenvalues[0]):.2g}). On the straight line between them "
        f"J rises by {numbers.barrier['height']:.2g}.",
        flat,
    ]
