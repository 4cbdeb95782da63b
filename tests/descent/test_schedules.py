"""Schedules against their formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steepest import recipe as spec
from steepest.recipe.descent import SCHEDULES
from steepest.schedules import Plateau, Schedule

TOTAL, PER_EPOCH = 200, 10


def factors(options: spec.Schedule) -> np.ndarray:
    return Schedule(options, TOTAL, PER_EPOCH).factors(0, TOTAL)


def test_formulas():
    t = np.arange(TOTAL)
    e = t / PER_EPOCH
    assert (factors(spec.Constant()) == 1).all()
    np.testing.assert_allclose(factors(spec.InverseTime(decay=0.5)), 1 / (1 + 0.5 * e))
    np.testing.assert_allclose(factors(spec.Step(every=4, factor=0.3)), 0.3 ** np.floor(e / 4))
    np.testing.assert_allclose(factors(spec.Exponential(factor=0.8)), 0.8**e)
    np.testing.assert_allclose(
        factors(spec.Cosine(final=0.1)), 0.1 + 0.9 * (1 + np.cos(np.pi * t / TOTAL)) / 2
    )


def test_one_cycle_rises_and_falls():
    values = factors(spec.OneCycle(warmup=0.25, start=0.1, final=0.01))
    assert values[0] == pytest.approx(0.1)
    assert values.argmax() == 50
    assert values[50] == pytest.approx(1.0)
    assert (np.diff(values[:51]) > 0).all()
    assert (np.diff(values[50:]) < 0).all()
    assert values[-1] == pytest.approx(0.01 + 0.99 * (1 + math.cos(math.pi * 149 / 150)) / 2)


@pytest.mark.parametrize("kind", [k for k in SCHEDULES if k is not spec.OneCycle])
def test_warm_up_rises_linearly_and_shifts_the_rest(kind):
    warm = Schedule(kind(warmup=0.1), TOTAL, PER_EPOCH)
    values = warm.factors(0, TOTAL)
    np.testing.assert_allclose(values[:20], (np.arange(20) + 1) / 21)
    shorter = Schedule(kind(), TOTAL - 20, PER_EPOCH).factors(0, TOTAL - 20)
    np.testing.assert_allclose(values[20:], shorter)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_any_stretch_gives_the_same_factors(kind):
    schedule = Schedule(kind(warmup=0.15), TOTAL, PER_EPOCH)
    pieces = [schedule.factors(first, count) for first, count in ((0, 7), (7, 93), (100, 100))]
    assert np.concatenate(pieces).tobytes() == schedule.factors(0, TOTAL).tobytes()


def test_plateau_counts_only_failures_to_improve():
    options = spec.ReduceOnPlateau(patience=2, factor=0.1, threshold=0.01)
    plateau, seen = Plateau(), []
    for loss in (1.0, 0.999, 0.98, 0.98, 0.975, 0.9, 0.9, 0.9):
        plateau = plateau.after(loss, options)
        seen.append(plateau.factor)
    assert seen == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.01])
    assert Plateau().after(1.0, spec.Constant()) == Plateau()
