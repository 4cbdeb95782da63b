"""Products of small matrices in registers: C = S + A B, tile by tile.

The formula, for a tile of h rows and one panel of columns (two vectors wide, the last one or two):

    C[i, j] = S[i, j] + Σₚ A[i, p] B[p, j]

and its NumPy twin is ``C = S + A @ B``. All operands but B lie in one array `memory`, each at a
place and with strides, so that A may be taken transposed without a copy, S may be C itself (to add
to it) or one row for all (a bias, or zeros: stride 0). The sums of a tile stay in registers while p
runs; each is taken in the order of p with fused multiplications, so that an element's bits do not
depend on the tile that it lies in. Before it is written, a sum may be rectified (negative ones are
zero), or be kept only where C was positive: both ways through a layer of ReLUs cost no pass of
their own.

A BLAS library packs its operands and asks for threads at each call, which costs more than the
arithmetic of matrices this small. A tile has as many sums as keep two multipliers busy and the
registers hold (Goto and van de Geijn, ACM Trans. Math. Softw. 34 (2008) 12).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic, part
from steepest.kernels.vector import VECTOR_BYTES, Vectors

__all__ = ["KEPT", "PANEL", "PLAIN", "RECTIFIED", "copy_vectors", "product", "transpose_square"]

PANEL = 2
"""Vectors in one row of a panel."""
PLAIN, RECTIFIED, KEPT = range(3)
"""What becomes of a sum: itself, what is positive of it, or itself where C was positive."""
_TALL = 8 if VECTOR_BYTES == 64 else 6  # rows of a tile: 16 of 32 registers, 12 of 16
_EVEN = 8 if _TALL == 6 else 0  # rows left that two tiles of four serve better
_INDEX = ir.IntType(64)


def _tile_of(rows: int, vectors: int) -> Any:
    """C = S + A B for so many rows and one panel of so many vectors."""

    @intrinsic
    def tile(typing, memory, a, a_row, a_depth, other, b, b_depth, depth, c, c_row, s, s_row, end):
        places = (a, a_row, a_depth, other, b, b_depth, depth, c, c_row, s, s_row)
        signature = types.void(memory, *places, types.intp)

        def generate(context, builder, signature, arguments):
            array, a, a_row, a_depth, other, b, b_depth, depth, *rest = arguments
            c, c_row, s, s_row, end = rest
            tile = Vectors(context, builder, signature.args[0], array)
            given = Vectors(context, builder, signature.args[4], other)
            places = [(i, v) for i in range(rows) for v in range(vectors)]

            def row(start: Any, stride: Any, number: int) -> Any:
                return builder.add(start, builder.mul(stride, _INDEX(number)))

            sums = {place: cgutils.alloca_once(builder, tile.type) for place in places}
            for i, v in places:
                builder.store(tile.load(row(s, s_row, i), v), sums[i, v])
            with cgutils.for_range(builder, depth) as loop:
                across = builder.add(b, builder.mul(loop.index, b_depth))
                columns = [given.load(across, v) for v in range(vectors)]
                down = builder.add(a, builder.mul(loop.index, a_depth))
                for i in range(rows):
                    value = tile.broadcast(row(down, a_row, i))
                    for v, column in enumerate(columns):
                        tile.add_product(sums[i, v], value, column)
            itself = builder.icmp_signed("==", end, _INDEX(RECTIFIED))
            with builder.if_then(builder.icmp_signed("!=", end, _INDEX(PLAIN)), likely=False):
                for i, v in places:
                    before = tile.load(row(c, c_row, i), v)
                    signs = builder.select(itself, builder.load(sums[i, v]), before)
                    tile.keep_positive(sums[i, v], signs)
            for i, v in places:
                tile.store(builder.load(sums[i, v]), row(c, c_row, i), v)
            return context.get_dummy_value()

        return signature, generate

    return tile


_tall, _four, _one = (_tile_of(rows, PANEL) for rows in (_TALL, 4, 1))
_tall_narrow, _four_narrow, _one_narrow = (_tile_of(rows, 1) for rows in (_TALL, 4, 1))


@part
def product(
    memory, rows, columns, depth, a, a_row, a_depth, other, b, b_column, b_depth, c, c_row, s,
    s_row, end=PLAIN,
):  # fmt: skip
    """C = S + A B with B in an `other` array; `end` is what becomes of the sums.

    `columns` are whole vectors. Panel by panel, B's columns start at ``b + j · b_column``: 1 for
    rows of B that lie `b_depth` apart, `depth` for panels one after the other, whose rows follow
    each other (`b_depth` is then not looked at).
    """
    lanes = VECTOR_BYTES // memory.itemsize
    for j in range(0, columns, PANEL * lanes):
        wide = columns - j > lanes
        start, i = b + j * b_column, 0
        step = b_depth if b_column == 1 else (PANEL * lanes if wide else lanes)
        while i < rows:
            left = rows - i
            x, y, z = a + i * a_row, c + i * c_row + j, s + i * s_row + j
            if left >= _TALL and left != _EVEN:
                if wide:
                    _tall(memory, x, a_row, a_depth, other, start, step, depth, y, c_row, z,
                          s_row, end)  # fmt: skip
                else:
                    _tall_narrow(memory, x, a_row, a_depth, other, start, step, depth, y, c_row,
                                 z, s_row, end)  # fmt: skip
                i += _TALL
            elif left >= 4:
                if wide:
                    _four(memory, x, a_row, a_depth, other, start, step, depth, y, c_row, z,
                          s_row, end)  # fmt: skip
                else:
                    _four_narrow(memory, x, a_row, a_depth, other, start, step, depth, y, c_row,
                                 z, s_row, end)  # fmt: skip
                i += 4
            else:
                if wide:
                    _one(memory, x, a_row, a_depth, other, start, step, depth, y, c_row, z,
                          s_row, end)  # fmt: skip
                else:
                    _one_narrow(memory, x, a_row, a_depth, other, start, step, depth, y, c_row,
                                 z, s_row, end)  # fmt: skip
                i += 1


@intrinsic
def copy_vectors(typing, target, to, source, start, count):
    """Copy so many whole vectors, from one array to another."""

    def generate(context, builder, signature, arguments):
        target, to, source, start, count = arguments
        one = Vectors(context, builder, signature.args[0], target)
        two = Vectors(context, builder, signature.args[2], source)
        with cgutils.for_range(builder, count) as loop:
            shift = builder.mul(loop.index, _INDEX(one.lanes))
            one.store(two.load(builder.add(start, shift)), builder.add(to, shift))
        return context.get_dummy_value()

    return types.void(target, types.intp, source, types.intp, types.intp), generate


@intrinsic
def transpose_square(typing, target, to, to_row, source, start, row):
    """``target[i, j] = source[j, i]`` for as many rows and columns as a vector has lanes.

    Rows lie `row` apart in the source and `to_row` in the target. Interleaving row i with row
    i + half, for all i, moves the last bit of a column's number before the first of a row's: after
    as many times as these have bits, rows and columns have changed places.
    """

    def generate(context, builder, signature, arguments):
        target, to, to_row, source, start, row = arguments
        out = Vectors(context, builder, signature.args[0], target)
        given = Vectors(context, builder, signature.args[3], source)
        lanes = given.lanes
        half = lanes // 2
        low = [lane for i in range(half) for lane in (i, i + lanes)]
        high = [lane for i in range(half, lanes) for lane in (i, i + lanes)]
        vectors = [
            given.load(builder.add(start, builder.mul(row, _INDEX(i)))) for i in range(lanes)
        ]
        for _ in range(half.bit_length()):
            vectors = [
                given.shuffled(vectors[i], vectors[i + half], order)
                for i in range(half)
                for order in (low, high)
            ]
        for i, vector in enumerate(vectors):
            out.store(vector, builder.add(to, builder.mul(to_row, _INDEX(i))))
        return context.get_dummy_value()

    return types.void(target, types.intp, types.intp, source, types.intp, types.intp), generate
