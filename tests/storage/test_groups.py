"""Jagged arrays and named groups: rows are events, in memory and on disk."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.errors import InputError
from steepest.groups import Groups, Jagged, join_inputs, select_inputs, split_inputs
from steepest.storage import DiskArray, blocks, on_disk, thinned

LENGTHS = st.lists(st.integers(0, 4), min_size=1, max_size=30)


def jagged(lengths: list[int]) -> Jagged:
    count = sum(lengths)
    return Jagged.of_lengths(np.arange(2.0 * count).reshape(count, 2), np.array(lengths))


def lists(array: Jagged) -> list[list[list[float]]]:
    """The particles of each event, by the definition."""
    values = np.asarray(array.values[:])
    return [values[start:end].tolist() for start, end in pairwise(array.offsets)]


def stored(array: Jagged, folder) -> Jagged:
    disk = DiskArray(folder, np.float64, (2,))
    disk.append(np.asarray(array.values))
    return array.with_values(disk)


@given(LENGTHS, st.data())
def test_events_are_picked_as_from_lists(lengths, data):
    array, events = jagged(lengths), len(lengths)
    whole = lists(array)
    rows = data.draw(st.lists(st.integers(0, events - 1), max_size=40))
    assert lists(array[np.array(rows, dtype=int)]) == [whole[row] for row in rows]
    bounds = st.integers(-events - 1, events + 1) | st.none()
    part = slice(data.draw(bounds), data.draw(bounds), data.draw(st.sampled_from([1, 2, -1])))
    assert lists(array[part]) == whole[part]
    assert lists(join_inputs([array[:3], array[3:]])) == whole


@given(LENGTHS, st.data())
def test_parts_hold_each_event_once(lengths, data):
    groups = Groups({"particles": jagged(lengths), "event": np.arange(len(lengths))[:, None]})
    part = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(groups),
                                       max_size=len(groups))), dtype=np.int8)  # fmt: skip
    parts = split_inputs(groups, part, (0, 1, 2))
    for number, of_part in parts.items():
        events = np.flatnonzero(part == number)
        assert of_part["event"][:, 0].tolist() == events.tolist()
        assert lists(of_part["particles"]) == [lists(groups["particles"])[e] for e in events]
        assert lists(select_inputs(groups, part == number)["particles"]) == lists(
            of_part["particles"]
        )


def test_on_disk_as_in_memory(tmp_path):
    lengths = np.random.default_rng(0).integers(0, 5, 500).tolist()
    memory = Groups({"particles": jagged(lengths), "event": np.arange(500.0)[:, None]})
    disk = Groups({"particles": stored(memory["particles"], tmp_path), "event": memory["event"]})
    assert (on_disk(memory), on_disk(disk)) == (False, True)
    assert (disk.folder, disk.nbytes) == (tmp_path, memory.nbytes)
    for pick in (slice(10, 90), slice(0, 500, 7), np.array([400, 3, 3, 77])):
        assert lists(disk[pick]["particles"]) == lists(memory[pick]["particles"])
        assert not on_disk(disk[pick])
    part = np.arange(500) % 3
    ours, theirs = (split_inputs(groups, part, (0, 1, 2)) for groups in (memory, disk))
    assert on_disk(theirs[1])
    assert lists(ours[1]["particles"]) == lists(theirs[1]["particles"])
    assert lists(thinned(disk, 100)["particles"]) == lists(memory[::5]["particles"])
    together = join_inputs([block for (block,) in blocks(disk)])
    assert lists(together["particles"]) == lists(memory["particles"])


def test_offsets_that_do_not_fit():
    with pytest.raises(InputError) as caught:
        Jagged(np.zeros((3, 1)), np.array([2, 0, 1]))
    assert str(caught.value) == (
        "The offsets of a jagged array do not fit its values.\n"
        "  expected: numbers that ascend from 0 to 3, the particles\n"
        "  found:    3 offsets, the first and last of them [2, 1]\n"
        "  cause:    lengths given in place of offsets, or offsets of other events\n"
        "  do:       Jagged.of_lengths(values, lengths) makes them from numbers of particles"
    )
    for offsets in ([0, 2, 1, 3], [0, 3, 5], []):
        with pytest.raises(InputError, match="do not fit"):
            Jagged(np.zeros((3, 1)), np.array(offsets, dtype=int))


def test_groups_of_different_events():
    with pytest.raises(InputError, match=r"(?s)same events.*jet: 2, particles: 3"):
        Groups({"jet": np.zeros((2, 1)), "particles": jagged([1, 0, 2])})
    with pytest.raises(InputError, match=r"(?s)same events.*none"):
        Groups({})
