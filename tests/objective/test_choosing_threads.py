"""How many threads work together: what else the machine does must not cost much, nor for long."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

from steepest.objective import threads
from steepest.objective.cores import Helper, this_core, usable_cores
from steepest.objective.threads import SECONDS_BETWEEN, Crew, Team
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


ITEMS = 32


class Pieces:
    """Pieces of 1 ms that a crew works on; by two, they take as long as the pace says."""

    def __init__(self, pace: Pace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pace, self.now, self.shared = pace, 0.0, 0
        monkeypatch.setattr(threads, "usable_cores", lambda: 2)
        monkeypatch.setattr(threads, "_shared", self.by_two)
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def by_two(self, work, items, number):
        assert number == 2
        seconds = self.pace(number, self.now) * len(items)
        self.now += seconds
        self.shared += 1
        return list(items), self.pace(1, self.now) * len(items) / seconds

    def alone(self, item):
        self.now += self.pace(1, self.now)
        return item

    def calls(self, crew: Crew, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            assert crew.map(self.alone, range(ITEMS)) == list(range(ITEMS))


def test_a_crew_begins_with_all_and_stays_so_on_an_idle_machine(monkeypatch):
    pieces = Pieces(lambda n, now: 1e-3 / n, monkeypatch)
    crew = Crew()
    pieces.calls(crew, 1.0)
    assert crew.chosen == 2
    assert pieces.shared == pytest.approx(1.0 / (ITEMS * 5e-4), abs=1)


def test_a_crew_on_a_busy_machine_loses_little_and_soon_has_all_again(monkeypatch):
    pieces = Pieces(lambda n, now: 5e-3 if n == 2 and 1.0 < now < 9.0 else 1e-3 / n, monkeypatch)
    crew = Crew()
    pieces.calls(crew, 2.0)
    assert crew.chosen == 1
    before = pieces.shared
    pieces.calls(crew, 6.5)
    assert (pieces.shared - before) * ITEMS * 5e-3 < 0.05 * 6.5
    pieces.calls(crew, SECONDS_BETWEEN + 1.0)
    assert crew.chosen == 2


def test_a_call_that_something_else_disturbs_changes_nothing(monkeypatch):
    pieces = Pieces(lambda n, now: 5e-3 if 0.5 < now < 0.51 else 1e-3 / n, monkeypatch)
    crew = Crew()
    pieces.calls(crew, 1.0)
    before = pieces.shared
    pieces.calls(crew, 1.0)
    assert crew.chosen == 2
    assert pieces.shared - before == pytest.approx(1.0 / (ITEMS * 5e-4), abs=1)


@pytest.mark.parametrize(("of_helper", "low", "high"), [(0.01, 1.2, 3.0), (0.5, 0.0, 0.9)])
def test_a_call_says_what_the_second_thread_gave(of_helper, low, high):
    caller = threading.get_ident()

    def work(item):
        time.sleep(0.01 if threading.get_ident() == caller else of_helper)
        return item

    results, gain = threads._shared(work, range(20), 2)
    assert results == list(range(20))
    assert low < gain < high


def test_a_crew_of_one_is_never_more():
    idents = set()
    Crew(most=1).map(lambda _: idents.add(threading.get_ident()), range(ITEMS))
    assert idents == {threading.get_ident()}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity") or usable_cores() < 2, reason="one core")
def test_a_helper_is_moved_before_it_is_called():
    """Woken up on the caller's core it would wait there until the caller sleeps."""
    for core in sorted(os.sched_getaffinity(0)):
        seen = []
        Helper.call(lambda seen=seen: seen.append(this_core()), beside=(core, 1)).join()
        assert seen != [core]


def test_cores_that_have_rested_are_not_timed_at_once(monkeypatch):
    began = -1.0

    def pace(members, now):
        return 5e-3 if members == 2 and now < began + 0.04 else idle(members, now)

    machine, team = Machine(pace, monkeypatch), Team(2)
    machine.work(team, 1.0, steps=64)
    before = machine.taken[1]
    for _ in range(30):
        machine.now += 0.1
        began = machine.now
        machine.work(team, 0.15, steps=2)
        assert team.chosen == 2
    assert (machine.taken[1] - before) * idle(1, 0.0) < 0.1 * 30 * 0.15


@pytest.mark.skipif(usable_cores() < 2, reason="one core")
def test_two_pieces_are_shared_where_so_few_are_worth_it():
    both, idents = threading.Barrier(2), set()

    def work(item):
        idents.add(threading.get_ident())
        both.wait(timeout=20)  # breaks, unless another thread has the other piece
        return item

    assert Crew().map(work, range(2), fewest=2) == [0, 1]
    assert len(idents) == 2
