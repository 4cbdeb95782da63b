"""A helper that waits busily between two calls: it is called in time, and by whom it should be."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from steepest.kernels import team
from steepest.kernels.compiled import entry
from steepest.kernels.vector import aligned, aligned_copy
from steepest.objective.cores import Helper
from steepest.objective.threads import together


@entry
def meet(words, member, members):
    team.begin(words, member)
    met = team.wait(words, members)
    team.leave(words, member, members)
    return met


class Place:
    """Where a helper waits; remembers what happened there."""

    def __init__(self) -> None:
        self.words, self.seen = team.new_words(), []

    def mark(self) -> int:
        self.seen.append("mark")
        return team.begun(self.words)

    def wait(self, mark: int) -> None:
        team.linger(self.words, mark)
        self.seen.append("called" if team.begun(self.words) != mark else "late")

    def call(self) -> None:
        self.seen.append("call")
        team.ring(self.words)


@pytest.fixture(autouse=True)
def _compiled():
    """Nothing is compiled while somebody waits, and no helper waits from before."""
    words = team.new_words()
    meet(words, 0, 1)
    team.linger(words, 1)
    time.sleep(0.01)
    Helper._idle.clear()


def test_lingering_ends_by_itself_or_when_steps_begin():
    words = team.new_words()
    assert team.linger(words, 0) > 0  # nobody begins: it gives up
    looks = team.linger(words, 0)
    meet(words, 0, 1)
    assert team.begun(words) == 1
    assert team.linger(words, 0) == 0 < looks
    team.ring(words)
    assert team.linger(words, 1) == 0


def test_members_meet_again_and_again_at_one_place():
    place = Place()
    for turn in range(20):
        place.words[: team.COUNTED] = 0
        work = lambda member: meet(place.words, member, 2)  # noqa: E731
        assert together(work, 2, failed=lambda: place.words.fill(1), at=place)
        assert team.begun(place.words) == turn + 1
    assert "call" not in place.seen  # the work itself calls
    assert len(Helper._idle) == 1


def test_other_work_calls_the_helper_away():
    place, threads = Place(), []
    Helper.call(lambda: threads.append(threading.get_ident()), place).join()
    Helper.call(lambda: threads.append(threading.get_ident())).join()
    assert place.seen[:2] == ["mark", "call"]
    assert len(set(threads)) == 1


def test_a_helper_that_nobody_calls_waits_for_work_as_before():
    place, done = Place(), []
    Helper.call(lambda: done.append(1), place).join()
    patience = time.monotonic() + 30  # a busy machine
    while len(place.seen) < 2 and time.monotonic() < patience:
        time.sleep(0.001)
    assert place.seen == ["mark", "late"]
    Helper.call(lambda: done.append(2), place).join()
    assert done == [1, 2]


@pytest.mark.parametrize("shape", [5, (3, 4), (0,), (2, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_arrays_begin_on_a_line_of_their_own(shape, dtype):
    arrays = [aligned(shape, dtype) for _ in range(4)]
    copies = [aligned_copy(np.arange(7, dtype=dtype)[::2])]
    for array in arrays:
        assert array.shape == (shape if isinstance(shape, tuple) else (shape,))
        assert array.dtype == dtype
        assert not array.any()
        assert array.flags.c_contiguous
        assert array.flags.writeable
    for array in arrays + copies:
        assert array.ctypes.data % 128 == 0
    assert copies[0].tolist() == [0, 2, 4, 6]
