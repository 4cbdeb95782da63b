"""How many threads a team takes: what else the machine does must not cost it much, nor for long."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from steepest.objective.threads import Team
from steepest.objective.trial import TURN, Trial

Pace = Callable[[int, float], float]
"""Seconds of a step, by how many threads take it and when."""


class Machine:
    """Steps that take as long as the pace says at the time."""

    def __init__(self, pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pace, self.now, self.taken, self.latest = pace, 0.0, {1: 0, 2: 0}, 0
        monkeypatch.setattr("steepest.objective.threads.usable_cores", lambda: 2)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def take(self, total, first, count, members):
        assert first == total
        for _ in range(count):
            self.now += self.pace(members, self.now)
        self.taken[members] += count
        self.latest = members
        return count, total + count

    def work(self, team: Team, seconds: float, steps: int) -> None:
        """Runs of so many steps, until so long."""
        until = self.now + seconds
        while self.now < until:
            assert team.run(steps, self.take, 0) == (steps, steps)


def idle(members: int, now: float) -> float:
    return 6e-4 if members == 2 else 1.2e-3


def busy(members: int, now: float) -> float:
    """Another program wants the second core: who waits there gives it away for milliseconds."""
    return 9e-3 if members == 2 else 1.2e-3


@pytest.mark.parametrize("steps", [1, 4, 64, 1000])
@pytest.mark.parametrize("lasts", [0.002, 0.02, 0.1])
def test_a_moment_in_which_nothing_moves_costs_little_more_than_itself(lasts, steps, monkeypatch):
    for begins in [0.0005 * number for number in range(60)]:

        def pace(members, now, begins=begins):
            halted = lasts if begins <= now < begins + lasts else 0.0
            return idle(members, now) + halted

        machine = Machine(pace, monkeypatch)
        machine.work(Team(2), 0.5, steps)
        done = sum(machine.taken.values()) * idle(2, 0.0)
        assert machine.now - done < lasts + 0.04, begins


@pytest.mark.parametrize("steps", [4, 64, 20_000])
def test_a_busy_machine_soon_has_one_thread_and_an_idle_one_has_two_again(steps, monkeypatch):
    machine = Machine(lambda n, now: (busy if 1.0 <= now < 9.0 else idle)(n, now), monkeypatch)
    team = Team(2)
    machine.work(team, 0.99, steps=4)
    assert team.chosen == 2
    before = machine.taken[2]
    machine.work(team, 1.0, steps)
    assert team.chosen == 1
    assert (machine.taken[2] - before) * busy(2, 1.0) < 1.5
    machine.work(team, max(0.0, 8.0 - machine.now), steps=64)
    lost = machine.taken[2]
    machine.work(team, 9.0 - machine.now, steps=64)
    assert (machine.taken[2] - lost) * busy(2, 1.0) < 0.05  # it seldom looks
    machine.work(team, 6.0, steps=64)
    assert team.chosen == 2


def test_two_threads_that_were_lucky_in_a_turn_are_looked_at_again(monkeypatch):
    lucky = lambda n, now: idle(n, now) if now % 0.03 < 0.01 else busy(n, now)  # noqa: E731
    machine = Machine(lucky, monkeypatch)
    team = Team(2)
    machine.work(team, 1.0, steps=64)
    before = machine.taken.copy()
    machine.work(team, 4.0, steps=64)
    by_one = (machine.taken[1] - before[1]) * idle(1, 0.0)
    assert by_one > 0.8 * 4.0


def test_threads_that_keep_their_pace_are_not_timed_again_for_a_pause(monkeypatch):
    machine = Machine(idle, monkeypatch)
    team = Team(2)
    machine.work(team, 0.1, steps=64)
    before = machine.taken[1]
    for _ in range(5):
        machine.now += 10.0
        machine.work(team, 0.04, steps=16)
    assert machine.taken[1] == before
    machine.pace = busy
    machine.work(team, 0.5, steps=16)
    assert team.chosen == 1


@pytest.mark.parametrize("lasts", [0.1, 0.2, 0.4])
def test_one_thread_chosen_in_a_disturbance_does_not_stay_long(lasts, monkeypatch):
    machine = Machine(lambda n, now: (busy if now < lasts else idle)(n, now), monkeypatch)
    team = Team(2)
    machine.work(team, lasts, steps=64)
    assert team.chosen == 1
    before = machine.taken[1]
    machine.work(team, 1.0, steps=64)
    assert team.chosen == 2
    assert (machine.taken[1] - before) * idle(1, 0.0) < 2.2 * lasts


def test_a_first_step_that_wakes_threads_up_is_not_counted(monkeypatch):
    woken = [0]

    def pace(members, now):
        first = members == 2 and machine.latest != 2 and woken[0] < 100
        woken[0] += first
        machine.latest = members
        return 0.05 if first else idle(members, now)

    machine = Machine(pace, monkeypatch)
    team = Team(2)
    machine.work(team, 1.0, steps=64)
    assert team.chosen == 2
    assert woken[0] < 5


@pytest.mark.parametrize(("most_takes", "verdict"), [(0.6, 2), (0.95, 1), (3.0, 1)])
@pytest.mark.parametrize("chosen", [1, 2])
@pytest.mark.parametrize("disturbed", range(6))
def test_one_disturbed_turn_of_a_trial_changes_nothing(disturbed, chosen, most_takes, verdict):
    trial, turn = Trial(2, chosen), 0
    while trial.verdict is None:
        seconds = 2 * TURN * (most_takes if trial.members == 2 else 1.0)
        trial.add(trial.members, 1, seconds * (5 if turn == disturbed else 1))
        turn += 1
    assert trial.verdict == (chosen if (disturbed < 2 and turn == 2) else verdict)
    assert turn <= 6
