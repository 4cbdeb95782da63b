"""Columns beside each other, against NumPy's own way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steepest.events.reading import evaluation
from steepest.events.reading.evaluation import matrix

KINDS = [np.float32, np.float64, np.float16, np.int8, np.uint16, np.int64, np.bool_]


@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=11),
    rows=st.integers(0, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 9),
)
def test_the_bits_of_a_stack(kinds, rows, dtype, seed) -> None:
    random = np.random.default_rng(seed)
    columns = [(100 * random.standard_normal(rows)).astype(kind) for kind in kinds]
    expected = np.stack([column.astype(dtype) for column in columns], axis=1)
    result = matrix(columns, dtype)
    assert (result.dtype, result.flags.c_contiguous) == (np.dtype(dtype), True)
    assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("width", [1, 3, 4, 7])
def test_pieces_meet(monkeypatch, width) -> None:
    monkeypatch.setattr(evaluation, "ROWS_AT_ONCE", 16)
    columns = list(np.random.default_rng(0).standard_normal((width, 100)))
    assert np.array_equal(matrix(columns, np.float64), np.stack(columns, axis=1))


def test_what_is_no_number_keeps_its_bits() -> None:
    columns = [np.array([np.nan, -0.0, np.inf, -np.inf], np.float32)] * 5
    result = matrix(columns, np.float32)
    assert result.tobytes() == np.stack(columns, axis=1).tobytes()
