"""The early questions: the decay as it will be, and what the hook must not keep."""

from __future__ import annotations

import gc
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest

from steepest.simulate import extra
from steepest.simulate.generator import Generator
from steepest.simulate.processes import PROCESSES, Process
from steepest.simulate.veto import MATCH_RADIUS, decays_of, fits, moved_decays


def test_the_decay_is_foreseen_before_it_is_showered():
    """The b quark leaves its top as foreseen; the W boson's quarks feel its recoil, a little."""
    process = PROCESSES["top"]
    generator = Generator(process, seed=6)
    distances = []
    for _ in range(8):
        assert generator.batch(1).count == 1
        record, event = generator.pythia.process, generator.pythia.event
        foreseen = list(moved_decays(extra.pythia(), record, event, process.decay))
        happened = list(decays_of(event, process.decay))
        assert [len(one) for one in foreseen] == [len(one) for one in happened] == [4, 4]
        for before, after in zip(foreseen, happened, strict=True):
            apart = [[math.dist(a, b) for b in before] for a in after]
            distances.append(np.sort(np.min(apart, axis=1)))
    nearest, second, third, farthest = np.transpose(distances)
    assert np.all(nearest < 1e-6)  # the top itself
    assert np.all(second < 1e-6)  # the b quark
    assert np.median(third) < 0.1
    assert np.median(farthest) < 0.1


@pytest.mark.parametrize(
    ("directions", "axes", "expected"),
    [
        ([(0.0, 3.1), (0.3, -3.1)], [(0.0, 3.1)], True),  # across the seam
        ([(0.0, 0.0), (0.0, MATCH_RADIUS + 0.01)], [(0.0, 0.0)], False),
        ([(0.0, 0.0), (0.0, MATCH_RADIUS - 0.01)], [(5.0, 0.0), (0.0, 0.0)], True),
        ([(0.0, 0.0)], [], False),
    ],
)
def test_all_must_lie_around_one_axis(directions, axes, expected):
    assert fits(iter([directions]), axes) is expected


def showers_per_event(process: Process) -> float:
    """Count how many events of `process` reach the last question for each one that passes it."""
    generator = Generator(process, seed=5)
    hook, reached = type(generator.hook), 0
    question = hook.doVetoPartonLevel

    def counted(self, event) -> bool:
        nonlocal reached
        reached += 1
        return question(self, event)

    hook.doVetoPartonLevel = counted
    count = generator.batch(24).count
    return reached / count


@pytest.mark.slow
def test_the_early_question_saves_most_showers():
    process = PROCESSES["top"]
    assert showers_per_event(process) < 1.8
    assert showers_per_event(replace(process, early_pt=None)) > 2.2


@pytest.mark.parametrize("name", ["top", "qcd"])
def test_a_generator_that_is_let_go_is_gone(name):
    generator = Generator(PROCESSES[name], seed=1)
    pythia = weakref.ref(generator.pythia)
    del generator
    gc.collect()
    assert pythia() is None
