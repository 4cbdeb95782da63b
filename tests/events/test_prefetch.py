"""Prefetched items come in order, raise in their place, and leave no thread behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from steepest.errors import EventsError
from steepest.events import load_sample
from steepest.events.reading.prefetch import prefetch
from steepest.recipe import EventsRecipe


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("steepest")]


def test_order_and_one_at_a_time() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    for taken, number in enumerate(prefetch(items())):
        assert number == taken
        assert len(made) <= taken + 2  # the one in use, and one more
    assert len(made) == 50
    assert threads() == []


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def items() -> Iterator[int]:
        yield 0
        yield 1
        raise EventsError("The third is damaged.")

    numbers = prefetch(items())
    assert [next(numbers), next(numbers)] == [0, 1]
    with pytest.raises(EventsError, match="The third is damaged"):
        next(numbers)
    assert threads() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_left_early(error) -> None:
    closed = []

    def items() -> Iterator[int]:
        try:
            yield from range(1_000)
        finally:
            closed.append(threading.current_thread())

    def taken_until_it_breaks() -> None:
        inner = prefetch(items())
        with closing(inner), closing(prefetch(inner)) as outer:
            for number in outer:
                if number == 3:
                    raise error

    with pytest.raises(error):
        taken_until_it_breaks()
    assert closed == [threading.current_thread()]
    assert threads() == []


def test_a_progress_that_is_interrupted_ends_the_reading(write) -> None:
    rows = 5_000
    columns = {"x": np.arange(rows, dtype=np.float32), "y": np.arange(rows) % 2}
    path = write(columns, row_group_size=100)
    seen = []

    def interrupted(done: int, _: int) -> None:
        seen.append(done)
        if done >= 1_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_sample(EventsRecipe(path=path, label="y"), progress=interrupted)
    assert seen == list(range(100, 1_001, 100))
    assert threads() == []
