"""Arrays on disk are read as arrays in memory are, and a full disk is told."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest import storage
from steepest.errors import EventsError
from steepest.storage import Column, DiskArray, compressed, in_memory, map_blocks, split, total

VALUES = np.random.default_rng(1).normal(size=(10_000, 3))


@pytest.fixture
def on_disk(tmp_path):
    array = DiskArray(tmp_path, np.float64, (3,))
    for start in range(0, len(VALUES), 999):
        array.append(VALUES[start : start + 999])
    return array


def test_shape_and_slices(on_disk):
    assert (on_disk.shape, on_disk.ndim, len(on_disk)) == ((10_000, 3), 2, 10_000)
    for rows in (
        slice(None),
        slice(5, 17),
        slice(None, None, 7),
        slice(9_990, 20_000),
        slice(3, 3),
    ):
        assert np.array_equal(on_disk[rows], VALUES[rows])


@given(rows=st.lists(st.integers(0, 9_999), max_size=50))
def test_rows_in_any_order_and_twice(rows):
    array = DiskArray("/tmp", np.float64, (3,))
    array.append(VALUES)
    assert np.array_equal(array[np.array(rows, dtype=np.int64)], VALUES[rows])


def test_what_is_made_of_blocks_does_not_depend_on_where_they_lie(on_disk, monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", 777)
    mask = VALUES[:, 0] > 0
    weights = DiskArray(on_disk.folder, np.float64)
    weights.append(VALUES[:, 1])
    assert np.array_equal(in_memory(compressed(on_disk, mask)), VALUES[mask])
    assert np.array_equal(in_memory(map_blocks(np.exp, on_disk)), map_blocks(np.exp, VALUES))
    assert total(weights) == total(VALUES[:, 1])


def test_an_empty_array_is_mapped():
    assert map_blocks(lambda block: block[:, 0], VALUES[:0]).shape == (0,)


def test_a_column_moves_to_disk_and_goes_on(tmp_path):
    column = Column()
    column.append(VALUES[:10])
    column.spill(tmp_path)
    column.append(VALUES[10:])
    whole = column.finish()
    assert isinstance(whole, DiskArray)
    assert np.array_equal(whole[:], VALUES)
    assert list(tmp_path.iterdir()) == []  # the file has no name


@pytest.mark.parametrize(
    ("number", "found"), [(errno.ENOSPC, "a full disk"), (errno.EIO, "[Errno 5] broken")]
)
def test_a_disk_that_cannot_be_written(tmp_path, monkeypatch, number, found):
    class Broken:
        def __init__(self, file):
            self.seek, self.close = file.seek, file.close

        def write(self, _):
            raise OSError(number, "broken")

    array = DiskArray(tmp_path, np.float64)
    monkeypatch.setattr(array, "_file", Broken(array._file))
    with pytest.raises(EventsError) as error:
        array.append(np.ones(3))
    assert str(error.value) == (
        "The events do not fit into memory, and cannot be kept on disk either.\n"
        f"  expected: room in {tmp_path}\n"
        f"  found:    {found}\n"
        "  do:       free some space, train into a folder on another disk, or raise events.memory"
    )


@pytest.mark.parametrize(("dtype", "stored"), [(np.float64, np.float32), (np.int64, np.int16)])
def test_a_smaller_type_on_disk(tmp_path, dtype, stored):
    values = np.arange(-3_000, 3_000, dtype=stored).reshape(-1, 2)
    column = Column(dtype, stored)
    column.append(values[:100])
    column.append(values[100:1_000])
    in_memory_bytes = column.nbytes
    column.spill(tmp_path)
    assert column.nbytes == in_memory_bytes == 2_000 * np.dtype(dtype).itemsize
    column.append(values[1_000:])
    whole = column.finish()
    assert isinstance(whole, DiskArray)
    assert (whole.dtype, whole.stored) == (np.dtype(dtype), np.dtype(stored))
    assert whole.nbytes == values.nbytes
    assert whole[:].tobytes() == values.astype(dtype).tobytes()
    assert whole[np.array([7, 2_999, 0])].dtype == dtype
    mask = values[:, 0] % 3 == 0
    kept = compressed(whole, mask)
    assert isinstance(kept, DiskArray)
    assert kept.stored == stored
    assert np.array_equal(kept[:], values[mask])


def test_a_column_that_is_on_disk_from_the_start(tmp_path):
    column = Column(np.float64)
    column.spill(tmp_path)
    column.append(VALUES)
    assert np.array_equal(column.finish()[:], VALUES)
    assert isinstance(column.finish(), DiskArray)


def test_groups_in_one_pass(on_disk, monkeypatch):
    monkeypatch.setattr(storage, "BLOCK", 777)
    group = np.random.default_rng(2).integers(0, 3, len(VALUES)).astype(np.int8)
    parts, same = split(on_disk, group, (0, 2)), split(VALUES, group, (0, 2))
    assert list(parts) == list(same) == [0, 2]
    for number in parts:
        assert np.array_equal(in_memory(parts[number]), VALUES[group == number])
        assert np.array_equal(same[number], VALUES[group == number])
