"""Out of a local minimum: how often batch, mini-batch and stochastic descent leave its basin.

All runs start in the basin of the higher minimum B that the picture "minima" finds on the surface
of a small network. Each run starts at a different point near the minimum, where J is higher by a
relative 1e-4. The runs differ in η, the batch size and the order of the events, but η × steps is
the same for all. A run has left the basin if batch descent with a small η, started from its end,
leads to a different minimum.

Every η is well below 2/λ, where λ is the largest curvature at B. The runs can therefore leave only
by the gradient noise, which grows as η (1/B − 1/m).
"""

from __future__ import annotations

import numpy as np

from steepest.lecture.data import LectureData
from steepest.lecture.effort import Effort
from steepest.lecture.live import Walk, settled, walk
from steepest.lecture.pictures import minima
from steepest.lecture.pictures.escapes_figure import figure
from steepest.lecture.pictures.escapes_numbers import Escapes, Rattle, Share
from steepest.lecture.pictures.escapes_text import text
from steepest.lecture.quadratic import hessian
from steepest.objective import Batch, ModelObjective
from steepest.training import TrainingCallback

__all__ = ["NAME", "TITLE", "Basin", "compute", "figure", "text"]

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


def compute(data: LectureData, seed: int, effort: Effort, callback: TrainingCallback) -> Escapes:
    """Find the two minima, and run from the basin of the higher one.

    Raises
    ------
    NotFound
        The small network has only one minimum.
    """
    found = minima.compute(data, seed, effort, callback)
    objective, batch, run = minima.run_of(data, seed, found, 1, effort, callback)
    basin = Basin(objective, batch, settled(objective, run.end, batch, 200), callback)
    starts = [basin.start(1000 * seed + order) for order in range(effort.escapes)]
    plan = [(part, size) for part in PARTS for size in (*SIZES[part], len(batch))]
    shares, rattles = [], []
    for number, (part, size) in enumerate(plan):
        callback.measured(number, len(plan), "settings")
        runs = [
            _run(basin, part, size, start, 1000 * seed + order)
            for order, start in enumerate(starts)
        ]
        shares.append(_share(basin, part, size, runs))
        if part == PARTS[0] and size in (*SHOWN, len(batch)):
            rattles.append(_rattle(basin, size, runs[0]))
    return Escapes(
        lowest=found.minima[0].loss,
        poorer=basin.loss,
        curvature=2 / basin.bound,
        bound=basin.bound,
        start=float(np.mean([objective.loss(start, batch) for start in starts])),
        time=PARTS[0] * basin.bound * STEPS,
        network=found.network,
        events=len(batch),
        features=found.features,
        rattles=tuple(rattles),
        shares=tuple(shares),
    )


def _run(basin: Basin, part: float, size: int, start: Array, seed: int) -> Walk:
    per_pass = -(-len(basin.batch) // size)
    return walk(
        basin.objective,
        basin.batch,
        rate=part * basin.bound,
        epochs=max(1, round(STEPS * PARTS[0] / part / per_pass)),
        batch_size=size,
        start=start,
        seed=seed,
        callback=basin.callback,
    )


def _share(basin: Basin, part: float, size: int, runs: list[Walk]) -> Share:
    ends = [basin.reached(run) for run in runs]
    return Share.of(
        rate=part * basin.bound,
        batch_size=size,
        steps=int(runs[0].steps[-1]),
        events=len(basin.batch),
        losses=np.array([loss for loss, _ in ends]),
        stays=np.array([stays for _, stays in ends]),
        poorer=basin.loss,
    )


def _rattle(basin: Basin, size: int, run: Walk) -> Rattle:
    rate = PARTS[0] * basin.bound
    losses = np.array([basin.objective.loss(theta, basin.batch) for theta in run.thetas])
    return Rattle(size, rate, rate * run.steps, losses)


class Basin:
    """The basin of a minimum: starting points of runs, and a test whether their ends are in it.

    Parameters
    ----------
    objective, batch
        J, and its events.
    minimum
        θ of the minimum.
    callback
        Is asked whether to stop.
    """

    def __init__(
        self, objective: ModelObjective, batch: Batch, minimum: Array, callback: TrainingCallback
    ) -> None:
        self.objective, self.batch, self.minimum, self.callback = (
            objective,
            batch,
            minimum,
            callback,
        )
        self.eigenvalues, self.vectors = np.linalg.eigh(hessian(objective, minimum, batch))
        self.bound = 2 / float(self.eigenvalues[-1])
        self.loss = objective.loss(minimum, batch)
        self.predictions = objective.predict(minimum, batch)

    def start(self, seed: int) -> Array:
        """Return a point at which the local parabola is higher than the minimum by `KICK` · J*.

        θ = θ* + Σ vₖ uₖ √(2 KICK J*/λₖ) with u uniform on the unit sphere, so that all directions
        contribute equally to the height.
        """
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 43])))
        towards = random.normal(size=len(self.minimum))
        towards /= np.linalg.norm(towards)
        lengths = np.sqrt(2 * KICK * self.loss / self.eigenvalues)
        return self.minimum + self.vectors @ (towards * lengths)

    def reached(self, run: Walk) -> tuple[float, bool]:
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
            if np.linalg.norm(self.objective.loss_and_gradient(theta, self.batch)[1]) < FLAT:
                break
            theta = self._down(theta, LARGE_RATE)
        theta = settled(self.objective, theta, self.batch)
        return self.objective.loss(theta, self.batch), self.is_here(theta, SAME)

    def is_here(self, theta: Array, near: float) -> bool:
        """Whether θ is the minimum, up to a fraction `near` of J.

        Mirrored copies of the minimum, which give the same predictions, count as the same.
        """
        if abs(self.objective.loss(theta, self.batch) - self.loss) > near * self.loss:
            return False
        apart = self.objective.predict(theta, self.batch) - self.predictions
        return float(np.sqrt((apart**2).mean())) < ALIKE

    def _down(self, theta: Array, part: float) -> Array:
        rate = part * self.bound
        return walk(
            self.objective,
            self.batch,
            rate=rate,
            epochs=SETTLING,
            start=theta,
            callback=self.callback,
        ).end
