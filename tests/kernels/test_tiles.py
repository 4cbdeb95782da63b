"""Products in tiles against NumPy in float64, where the processor has tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.kernels.compiled import entry
from steepest.kernels.tiles import begin_tiles, cut, end_tiles, tiled, tiles_are_there

pytestmark = pytest.mark.skipif(not tiles_are_there(), reason="this processor has no tiles")


@entry
def run_cut(source, one, two, target, to, apart):
    cut(source, one, two, target, to, apart)


@entry
def run_tiled(memory, rows, columns, depth, a, b, c, c_row, bias):
    begin_tiles()
    tiled(memory, rows, columns, depth, a, b, c, c_row, bias)
    end_tiles()


def pieces_of(numbers: np.ndarray) -> np.ndarray:
    """Three numbers of bfloat16 for each, in float32, ``(3, …)``, by `cut`."""
    out = np.zeros(48, np.float32)
    run_cut(numbers.astype(np.float32).ravel(), 0, 16, out, 0, 16)
    halves = out.view(np.uint32).reshape(3, 16)
    sides = [halves << np.uint32(16), halves & np.uint32(0xFFFF0000)]
    return np.stack([side.view(np.float32) for side in sides], axis=1).reshape(3, 32)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_three_pieces_are_the_number(scale: float):
    numbers = (scale * np.random.default_rng(0).normal(size=32)).astype(np.float32)
    np.testing.assert_array_equal(pieces_of(numbers).astype(float).sum(axis=0), numbers)


def test_pieces_at_the_edge_of_zero_leave_their_neighbours_alone():
    numbers = np.ones(32, np.float32)
    numbers[16:] = 1.2345e-37
    np.testing.assert_array_equal(pieces_of(numbers)[:, :16].sum(axis=0), numbers[:16])
    numbers[3] = np.nan
    assert np.isnan(pieces_of(numbers).sum(axis=0)[3])


@settings(max_examples=20, deadline=None)
@given(
    rows=st.sampled_from([32, 64]),
    columns=st.sampled_from([32, 64, 96]),
    depth=st.sampled_from([32, 64, 160]),
    gap=st.sampled_from([0, 16]),
    scale=st.sampled_from([1e-3, 1.0, 1e6]),
    seed=st.integers(0, 99),
)
def test_tiled_products_are_numpy_s(rows, columns, depth, gap, scale, seed):
    random = np.random.default_rng(seed)
    A = random.normal(size=(rows, depth)).astype(np.float32)
    B = (scale * random.normal(size=(depth, columns))).astype(np.float32)
    bias = (scale * random.normal(size=columns)).astype(np.float32)
    of_a, of_b = rows * depth * 3 // 2, depth * columns * 3 // 2
    memory = np.zeros(of_a + of_b + rows * (columns + gap) + columns, np.float32)
    for i in range(rows):
        for j in range(0, depth, 32):
            run_cut(A[i].copy(), j, j + 16, memory, (i * depth + j) * 3 // 2, 16)
    for j in range(0, columns, 16):
        for p in range(0, depth, 32):
            for i in range(16):
                tile = of_a + (j * depth + 16 * p) * 3 // 2 + 16 * i
                place = (p + i) * columns + j
                run_cut(B.ravel(), place, place + 16 * columns, memory, tile, 256)
    memory[-columns:] = bias
    c, row = of_a + of_b, columns + gap
    run_tiled(memory, rows, columns, depth, 0, of_a, c, row, len(memory) - columns)
    found = memory[c : c + rows * row].reshape(rows, row)
    size = np.abs(A.astype(float)) @ np.abs(B) + np.abs(bias)
    assert (np.abs(found[:, :columns] - (A.astype(float) @ B + bias)) <= 1e-6 * size).all()
    assert not found[:, columns:].any()
