from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.simulate.columns import COLUMNS, keep_bits, label, schema, tabulate
from steepest.simulate.jets import Jets
from steepest.simulate.particles import Constituents

finite = st.floats(-(2.0**100), 2.0**100, width=32).filter(lambda v: v == 0 or abs(v) > 2.0**-100)


@given(st.lists(finite, min_size=1), st.integers(1, 23))
def test_rounding_keeps_the_stated_precision(values, bits):
    exact = np.array(values, dtype=np.float32)
    rounded = keep_bits(exact, bits)
    assert np.all(np.abs(rounded - exact) <= np.abs(exact) * 2.0 ** -(bits + 1))
    np.testing.assert_array_equal(keep_bits(rounded, bits), rounded)
    assert not np.any(rounded.view(np.uint32) & np.uint32((1 << (23 - bits)) - 1))


@given(st.lists(finite, min_size=2), st.integers(1, 23))
def test_rounding_keeps_the_order(values, bits):
    ascending = np.sort(np.array(values, dtype=np.float32))
    assert np.all(np.diff(keep_bits(ascending, bits)) >= 0)


@pytest.mark.parametrize("bits", [None, 23])
def test_all_bits_is_no_change(bits):
    values = np.array([0.1, -2.7], dtype=np.float32)
    assert keep_bits(values, bits) is values


def test_every_column_says_its_unit_and_meaning():
    units = {c.name: c.unit for c in COLUMNS}
    assert (units["pt"], units["phi"], units["part_d0"], units["tau1"]) == ("GeV", "rad", "mm", "")
    assert all(c.meaning for c in COLUMNS)
    assert schema().field("part_dz").metadata[b"unit"] == b"mm"


def test_labels_are_added_to_the_jets():
    jets = pa.table({c.name: pa.nulls(3, c.type) for c in COLUMNS}).drop_columns("is_top")
    jets = jets.set_column(0, "pt", pa.array([1.0, 0.0, 2.0], pa.float32()))
    labels = np.array([1, 0, 1], dtype=np.int8)
    table = label(jets, labels, [("top", 1), ("qcd", 0)], np.array([7, 8, 9]))
    assert table.schema.equals(schema())
    assert table["pt"].to_pylist() == [1.0, 0.0, 2.0]
    assert table["process"].to_pylist() == ["qcd", "top", "qcd"]
    assert table["is_top"].to_pylist() == [0, 1, 0]
    assert table["event_number"].to_pylist() == [7, 8, 9]
    assert table["weight"].to_pylist() == [1.0, 1.0, 1.0]


def test_no_jet_is_an_empty_table():
    none = [np.zeros(0)] * 5
    constituents = Constituents(*none, *none[:4])
    empty = tabulate(Jets(*none, np.zeros(0, object)), np.zeros(0, bool), constituents, None, None)
    assert len(empty) == 0
    assert empty.column_names == [c.name for c in COLUMNS][:-4]
