"""Out of a local minimum: what is counted, and that what leaves is where it is said to be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import beta

from steepest.evaluate.figures import as_numbers, save
from steepest.evaluate.merit import ONE_SIGMA
from steepest.lecture import Effort, LectureData, escapes, minima
from steepest.lecture.data import NotFound
from steepest.lecture.descents import Descent
from steepest.lecture.escapes import Escapes, Share, table
from steepest.training import TrainingCallback

EFFORT = Effort(escapes=4)


@pytest.fixture(
    scope="module", params=[pytest.param(runs, marks=pytest.mark.slow) for runs in (2, 4)]
)
def runs(request: pytest.FixtureRequest) -> int:
    """Runs of each setting."""
    return request.param


@pytest.fixture(scope="module")
def found(jets: LectureData, runs: int) -> Escapes:
    return escapes.compute(jets, 0, Effort(escapes=runs), TrainingCallback())


@pytest.fixture(scope="module")
def both(jets: LectureData) -> minima.Minima:
    return minima.compute(jets, 0, EFFORT, TrainingCallback())


@pytest.fixture(scope="module")
def basin(jets: LectureData, both: minima.Minima) -> escapes.Basin:
    fit, run = minima.run_of(jets, 0, both, 1, EFFORT, TrainingCallback())
    poorer = fit.settled(run.end, 200)
    assert fit.loss(poorer) == pytest.approx(both.minima[1].loss)
    return escapes.Basin(fit, poorer)


def ended(theta: np.ndarray, diverged_at: int | None = None) -> Descent:
    nothing = np.empty(0)
    return Descent(np.zeros(1, int), theta[None], nothing, nothing, diverged_at, 0.0)


@pytest.mark.slow
def test_all_settings_take_the_same_time_and_batch_descent_stays(found: Escapes, runs) -> None:
    assert len(found.rates) == len(escapes.PARTS)
    for share, size in zip(found.at(found.rates[0]), escapes.SIZES[1 / 2], strict=True):
        assert share.batch_size == size
    for share in found.shares:
        assert share.runs == runs
        assert share.rate * share.steps == pytest.approx(found.time)
        assert share.rate < found.bound
        assert share.noise == pytest.approx(share.rate * (1 / share.batch_size - 1 / found.events))
        assert (share.left > 0) <= (share.noise > 0)
    assert found.lowest < found.poorer < found.start < found.poorer * (1 + 2 * escapes.KICK)


def test_strong_noise_leads_out_and_weak_noise_does_not(found: Escapes, runs: int) -> None:
    ordered = sorted(found.shares, key=lambda share: share.noise)
    assert ordered[-1].left == runs
    assert sum(share.left for share in ordered[:6]) < sum(share.left for share in ordered[-6:])
    for share in found.shares:
        assert share.left >= share.lower + share.diverged
        assert (share.losses == found.poorer).sum() <= share.runs - share.left
        below = share.losses < (1 - escapes.SAME) * found.poorer
        assert below.sum() <= share.lower


def test_shares_have_their_interval() -> None:
    losses = np.array([0.2, 0.1, 0.3, np.nan])
    share = Share.of(0.5, 2, 100, 10, losses, np.array([True, False, False, False]), 0.2)
    assert (share.runs, share.left, share.lower, share.diverged) == (4, 3, 1, 1)
    tail = (1 - ONE_SIGMA) / 2
    assert share.fraction == 0.75
    assert share.low == pytest.approx(beta.ppf(tail, 3, 2))
    assert share.high == pytest.approx(beta.ppf(1 - tail, 4, 1))


def test_runs_begin_as_high_above_the_minimum_as_is_said(basin: escapes.Basin) -> None:
    starts = np.array([basin.start(seed) for seed in range(20)])
    steps = starts - basin.minimum
    height = 0.5 * ((steps @ basin.vectors) ** 2 @ basin.eigenvalues)
    np.testing.assert_allclose(height, escapes.KICK * basin.loss, rtol=1e-10)
    assert len(np.unique(starts, axis=0)) == 20
    for start in starts:
        assert basin.reached(ended(start)) == (basin.loss, True)


def test_a_mirrored_copy_is_the_same_minimum(basin: escapes.Basin) -> None:
    """Units exchanged, and the signs of one turned: tanh is odd."""
    mirrored = basin.minimum.copy()
    into, out = basin.fit.objective.model.layers(mirrored)
    into.weights[...] = into.weights[:, ::-1].copy()
    into.biases[...] = into.biases[::-1].copy()
    out.weights[...] = out.weights[::-1].copy()
    into.weights[:, 0] *= -1
    into.biases[0] *= -1
    out.weights[0] *= -1
    assert np.linalg.norm(mirrored - basin.minimum) > 1
    assert basin.is_here(mirrored, 1e-12)
    assert basin.reached(ended(mirrored)) == (basin.loss, True)


def test_another_network_with_the_same_loss_is_not(jets: LectureData, both, basin) -> None:
    """On the way down to A, J passes that of B."""
    fit, run = minima.run_of(jets, 0, both, 0, EFFORT, TrainingCallback())
    lower = fit.settled(run.end, 200)
    top = lower + both.barrier["at"] * (basin.minimum - lower)
    place = brentq(lambda t: fit.loss(lower + t * (top - lower)) - basin.loss, 0, 1, xtol=1e-13)
    theta = lower + place * (top - lower)
    assert fit.loss(theta) == pytest.approx(basin.loss, rel=1e-9)
    assert not basin.is_here(theta, escapes.NEAR)
    loss, stays = basin.reached(ended(theta))
    assert loss == pytest.approx(both.minima[0].loss, rel=1e-6)
    assert not stays


@pytest.mark.slow
def test_where_a_run_leads_is_where_long_batch_descent_ends(basin) -> None:
    """Large steps may leave a shallow minimum near the end of a run: one run in six, at most."""
    agree = 0
    for seed in range(6):
        run = basin.fit.descend(rate=0.25 * basin.bound, epochs=50, batch_size=1,
                                start=basin.start(seed), seed=seed)  # fmt: skip
        loss, stays = basin.reached(run)
        slow = basin.fit.descend(rate=0.02 * basin.bound, epochs=150_000, start=run.end,
                                 settled_below=1e-6)  # fmt: skip
        agree += basin.fit.loss(slow.end) == pytest.approx(loss, rel=1e-3)
        assert stays == (abs(loss - basin.loss) < escapes.SAME * basin.loss)
    assert agree >= 5


def test_an_exploded_run_has_left(basin: escapes.Basin) -> None:
    loss, stays = basin.reached(ended(np.full(len(basin.minimum), 1e6), diverged_at=10))
    assert np.isnan(loss)
    assert not stays


def test_the_text_says_the_counts(found: Escapes, runs: int) -> None:
    first, second, third = escapes.text(found)
    assert f"leaves in 0 of {3 * runs} runs" in first
    least = {2: 40, 4: 63}[runs]
    assert f"with 1 event per step {runs} of {runs} ({least}–100 %)" in second
    noisy = [share for share in found.shares if share.noise > 0]
    left, lower = sum(s.left for s in noisy), sum(s.lower for s in noisy)
    assert third.endswith(
        f"of the {left} runs that left, {lower} led to a lower minimum, the others to a higher one."
    )


def test_other_outcomes_are_said_and_drawn(found: Escapes, tmp_path) -> None:
    nothing = tuple(
        replace(share, left=0, lower=0, fraction=0.0, low=0.0) for share in found.shares
    )
    none = replace(found, shares=nothing)
    assert escapes.text(none)[2].endswith("the noise is too weak to leave the basin of B.")
    exploded = replace(found, shares=tuple(replace(s, diverged=1) for s in found.shares))
    assert "or to none (9 diverged)." in escapes.text(exploded)[2]
    for numbers in (found, none, exploded):
        assert save(escapes.figure(numbers), tmp_path / "escapes.png").exists()


def test_the_table_has_each_setting(found: Escapes, runs: int) -> None:
    head, *rows = table(as_numbers(found))
    assert head[0] == "events a step"
    assert len(rows) == len(found.shares)
    assert rows[0][:2] == ["1", f"{found.rates[0]:.3g}"]
    assert rows[0][4] == f"{runs} of {runs}"


@pytest.mark.slow
def test_same_seed_same_numbers(jets: LectureData) -> None:
    effort = replace(EFFORT, escapes=1)
    first, again = (
        as_numbers(escapes.compute(jets, 0, effort, TrainingCallback())) for _ in range(2)
    )
    assert first == again


def test_one_minimum_has_no_neighbour(small, callback, monkeypatch) -> None:
    monkeypatch.setattr(minima, "DIFFERENT", 1e6)
    with pytest.raises(NotFound, match="led to one minimum each time"):
        escapes.compute(small, 0, Effort(samples=1, starts=2, steps=20), callback)
