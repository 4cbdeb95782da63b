"""Out of a local minimum: how often batch, mini-batch and stochastic descent leave its basin.

Runs of different η and batch size, but the same η × steps, start near the higher minimum B that the
picture "minima" finds. A run has left the basin if batch descent with a small η, started from its
end, leads to a different minimum. Every η is well below 2/λ, where λ is the largest curvature at B,
so the runs can leave only by the gradient noise, which grows as η (1/B − 1/m).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.figures.style import BLUE, GREY, ORANGE, RED
from steepest.evaluate.intervals import clopper_pearson
from steepest.lecture import minima
from steepest.lecture.data import Effort, LectureData
from steepest.lecture.descents import Descent, Problem
from steepest.lecture.minima import labelled, three_panels
from steepest.training import TrainingCallback

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Array = np.ndarray

NAME = "escapes"
TITLE = "Out of a local minimum"

PARTS = (1 / 2, 1 / 4, 1 / 8)
"""η as fractions of 2/λ."""
SIZES = {1 / 2: (1, 2, 4, 8), 1 / 4: (1, 2, 4), 1 / 8: (1, 2)}
"""Batch sizes for each η, besides all events, down to the same noise."""
STEPS = 1_000
"""Steps with the largest η; a smaller η needs more steps for the same η × steps."""
KICK = 1e-4
"""Relative increase of J from the minimum B to the start of a run."""
SHOWN = (1, 4)
"""Batch sizes for which one run is drawn, besides all events."""
SMALL_RATE, LARGE_RATE = 1 / 8, 1 / 2
"""η of the descents from the ends of the runs, as fractions of 2/λ."""
SETTLING, LONGEST = 500, 60
"""Steps of these descents per round, and the maximum number of rounds."""
FLAT = 1e-4
"""‖∇J‖ at which these descents stop."""
NEAR, SAME, ALIKE = 1e-4, 1e-3, 0.02
"""B is reached if J is within this fraction of its value (during the descent, at the end), and the
predictions deviate by less than that (root mean square)."""


@dataclass(frozen=True, eq=False)
class Share:
    """How many runs with the same η and batch size have left the basin."""

    rate: float  # η
    batch_size: int
    steps: int  # of each run
    noise: float  # η (1/B − 1/m), see `noise_scale`
    runs: int  # each with its own start and order of the events
    left: int  # batch descent with a small η from their end leads to another minimum than B
    lower: int  # of these: reached a minimum below B
    diverged: int  # of these: diverged
    fraction: float  # left/runs
    low: float  # its Clopper–Pearson interval of 68.27 %
    high: float
    losses: Array  # (runs,): J of the minimum that each run leads to; NaN if it diverged

    @classmethod
    def of(
        cls, rate: float, batch_size: int, steps: int, events: int, losses: Array, stays: Array,
        poorer: float,
    ) -> Share:  # fmt: skip
        """Return the counts from the `losses` of the reached minima, and which of these are B."""
        runs, left = len(losses), int((~stays).sum())
        lower, diverged = int((~stays & (losses < poorer)).sum()), int(np.isnan(losses).sum())
        low, high = map(float, clopper_pearson(left, runs))
        return cls(rate, batch_size, steps, noise_scale(rate, batch_size, events), runs, left,
                   lower, diverged, left / runs, low, high, losses)  # fmt: skip


@dataclass(frozen=True, eq=False)
class OneRun:
    """J of all events along one of the runs."""

    batch_size: int
    rate: float
    passed: Array  # (points,): η × steps
    losses: Array  # (points,)


@dataclass(frozen=True, eq=False)
class Escapes:
    """Runs of all batch sizes and η from the basin of the higher minimum."""

    lowest: float  # J of the minimum A of the picture "minima"
    poorer: float  # J of B
    curvature: float  # the largest eigenvalue λ of ∇²J at B
    bound: float  # 2/λ, above which batch descent leaves B as well
    start: float  # mean of J at the starts of the runs
    time: float  # η × steps of each run
    network: str
    events: int
    features: tuple[str, ...]
    rattles: tuple[OneRun, ...]  # the first run of some batch sizes with the largest η
    shares: tuple[Share, ...]  # by η, then by batch size

    @property
    def rates(self) -> list[float]:
        """The learning rates, descending."""
        return sorted({share.rate for share in self.shares}, reverse=True)

    def at(self, rate: float) -> list[Share]:
        """Return the shares with one η, without batch descent."""
        return [share for share in self.shares if share.rate == rate and share.noise > 0]


def noise_scale(rate: float, batch_size: int, events: int) -> float:
    """Return η (1/B − 1/m), the strength of the noise of steps with B of m events.

    The gradient of B events drawn without replacement has the covariance C (1/B − 1/m) m/(m − 1),
    where C is that of single events. Over a time η × steps, the diffusion of θ is proportional to η
    times this covariance (arXiv:1710.06451, arXiv:1711.04623).

    Examples
    --------
    >>> noise_scale(0.5, 1, 40), noise_scale(0.5, 40, 40)
    (0.4875, 0.0)
    """
    return rate * (1 / batch_size - 1 / events)


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Escapes:
    """Find the two minima, and run from the basin of the higher one.

    NotFound if the small network has only one minimum.
    """
    found = minima.compute(data, seed, effort, callback)
    fit, run = minima.run_of(data, seed, found, 1, effort, callback)
    basin, events = Basin(fit, fit.settled(run.end, 200)), len(fit.events)
    starts = [basin.start(1000 * seed + order) for order in range(effort.escapes)]
    plan = [(part, size) for part in PARTS for size in (*SIZES[part], events)]
    shares, rattles = [], []
    for number, (part, size) in enumerate(plan):
        callback.measured(number, len(plan), "settings")
        rate, per_pass = part * basin.bound, -(-events // size)
        epochs = max(1, round(STEPS * PARTS[0] / part / per_pass))
        runs = [
            fit.descend(rate=rate, epochs=epochs, batch_size=size, start=start,
                        seed=1000 * seed + order)
            for order, start in enumerate(starts)
        ]  # fmt: skip
        losses, stays = map(np.array, zip(*map(basin.reached, runs), strict=True))
        steps = int(runs[0].steps[-1])
        shares.append(Share.of(rate, size, steps, events, losses, stays, basin.loss))
        if part == PARTS[0] and size in (*SHOWN, events):
            along = np.array([fit.loss(theta) for theta in runs[0].thetas])
            rattles.append(OneRun(size, rate, rate * runs[0].steps, along))
    return Escapes(
        lowest=found.minima[0].loss,
        poorer=basin.loss,
        curvature=2 / basin.bound,
        bound=basin.bound,
        start=float(np.mean([fit.loss(start) for start in starts])),
        time=PARTS[0] * basin.bound * STEPS,
        network=found.network,
        events=events,
        features=found.features,
        rattles=tuple(rattles),
        shares=tuple(shares),
    )


class Basin:
    """The basin of a minimum: starting points of runs, and a test whether their ends are in it."""

    def __init__(self, fit: Problem, minimum: Array) -> None:
        self.fit, self.minimum = fit, minimum
        self.eigenvalues, self.vectors = np.linalg.eigh(fit.hessian(minimum))
        self.bound = 2 / float(self.eigenvalues[-1])
        self.loss = fit.loss(minimum)
        self.predictions = fit.objective.predict(minimum, fit.events)

    def start(self, seed: int) -> Array:
        """Return a point at which the local parabola is higher than the minimum by `KICK` · J*.

        θ = θ* + Σ vₖ uₖ √(2 KICK J*/λₖ) with u uniform on the unit sphere, so that all directions
        contribute equally to the height.
        """
        towards = np.random.default_rng([seed, 43]).normal(size=len(self.minimum))
        towards /= np.linalg.norm(towards)
        lengths = np.sqrt(2 * KICK * self.loss / self.eigenvalues)
        return self.minimum + self.vectors @ (towards * lengths)

    def reached(self, run: Descent) -> tuple[float, bool]:
        """Return J of the minimum that a run leads to (NaN if it diverged), and whether it is this.

        The minimum is found by batch descent from the end of the run: first with small steps, which
        stay in the basin of the end, then with larger ones. Newton steps refine the last digits.
        """
        if run.diverged_at is not None:
            return float("nan"), False
        theta = self._down(run.end, SMALL_RATE)
        for _ in range(LONGEST):
            if self.is_here(theta, NEAR):
                return self.loss, True
            if np.linalg.norm(self.fit.loss_and_gradient(theta)[1]) < FLAT:
                break
            theta = self._down(theta, LARGE_RATE)
        theta = self.fit.settled(theta)
        return self.fit.loss(theta), self.is_here(theta, SAME)

    def is_here(self, theta: Array, near: float) -> bool:
        """Whether θ is the minimum, up to a fraction `near` of J.

        Mirrored copies of the minimum, which give the same predictions, count as the same.
        """
        if abs(self.fit.loss(theta) - self.loss) > near * self.loss:
            return False
        apart = self.fit.objective.predict(theta, self.fit.events) - self.predictions
        return float(np.sqrt((apart**2).mean())) < ALIKE

    def _down(self, theta: Array, part: float) -> Array:
        return self.fit.descend(rate=part * self.bound, epochs=SETTLING, start=theta).end


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
    low, middle, high = np.transpose([(s.low, s.fraction, s.high) for s in shares])
    errors = [middle - low, high - middle]
    axes.errorbar(places, middle, errors, **look, markersize=7, linewidth=1.4,
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


def text(numbers: Escapes) -> list[str]:
    """What there is to see."""
    whole = [share for share in numbers.shares if share.noise == 0]
    gone, runs = sum(share.left for share in whole), sum(share.runs for share in whole)
    largest = numbers.at(numbers.rates[0])
    counts = "; ".join(_counted(share) for share in largest)
    return [
        f"The network {numbers.network} is that of the local minima, on the same {numbers.events} "
        f"events. All runs start near the minimum B (J = {numbers.poorer:.5f} at B and "
        f"{numbers.start:.5f} at the starts) and have the same η × steps. A run has left the basin "
        "if batch descent with a small η from its end leads to a different minimum. Batch descent "
        f"itself, with η at most half of 2/λ = {numbers.bound:.3g}, leaves in {gone} of {runs} "
        "runs.",
        f"Runs with η = {numbers.rates[0]:.3g} that have left after {largest[0].steps:,} steps, "
        f"with the 68 % confidence interval: {counts}.",
        f"{_same_noise(numbers)} {_where(numbers)}",
    ]


def _counted(share: Share) -> str:
    events = "1 event" if share.batch_size == 1 else f"{share.batch_size} events"
    low, high = 100 * share.low, 100 * share.high
    return f"with {events} per step {share.left} of {share.runs} ({low:.0f}–{high:.0f} %)"


def _same_noise(numbers: Escapes) -> str:
    """Compare different settings with the same η/B."""
    wanted = zip(numbers.rates, (4, 2, 1), strict=True)
    found = [s for rate, size in wanted for s in numbers.at(rate) if s.batch_size == size]
    counts = ", ".join(str(share.left) for share in found)
    noise = ", ".join(f"{share.noise:.3g}" for share in found)
    return (
        "The strength of the gradient noise is η (1/B − 1/m). It is nearly the same if η and B are "
        f"halved together ({noise} with 4, 2 and 1 events per step): {counts} of {found[0].runs} "
        "runs have left."
    )


def _where(numbers: Escapes) -> str:
    noisy = [share for share in numbers.shares if share.noise > 0]
    left, lower = sum(share.left for share in noisy), sum(share.lower for share in noisy)
    diverged = sum(share.diverged for share in noisy)
    if not left:
        return "No run has left: the noise is too weak to leave the basin of B."
    rest = "the others to a higher one" + (f" or to none ({diverged} diverged)" if diverged else "")
    return (
        f"The new minimum is not always lower: of the {left} runs that left, {lower} led to a "
        f"lower minimum, {rest}."
    )


def table(numbers: dict[str, Any]) -> list[list[str]]:
    """Return how many runs left a local minimum, by batch size and η, as a header and rows.

    Examples
    --------
    >>> share = {"batch_size": 2, "rate": 0.5, "noise": 0.2375, "steps": 1000, "left": 3,
    ...          "runs": 30, "lower": 1, "low": 0.047, "high": 0.19}
    >>> table({"shares": [share]})[1]
    ['2', '0.5', '0.237', '1,000', '3 of 30', '5–19 %', '1']
    """
    head = ["events a step", "η", "noise", "steps", "left", "68 % interval", "to a lower minimum"]
    rows = [
        [f"{one['batch_size']:,}", f"{one['rate']:.3g}", f"{one['noise']:.3g}",
         f"{one['steps']:,}", f"{one['left']} of {one['runs']}",
         f"{100 * one['low']:.0f}–{100 * one['high']:.0f} %", f"{one['lower']}"]
        for one in numbers["shares"]
    ]  # fmt: skip
    return [head, *rows]
