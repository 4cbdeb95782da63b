"""Products with single vectors, on one read of the rows: z = X w and g ← g + Xᵀ d.

Both take rows ``(count, n)`` of a C-ordered matrix, given as a flat array and a place in it. As
many rows as a vector has lanes (16 of float32 with AVX-512) are multiplied at once; their sums are
added up pairwise at the end, so that no row pays for a sum across lanes of its own. The end of a
row that does not fill a vector is read under a mask: rows need no padding.

The NumPy twins are ``X @ w`` and ``g + X.T @ d``.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic, part
from steepest.kernels.vector import VECTOR_BYTES, Masked, Vectors, added_across

__all__ = ["add_products", "dots"]

_INDEX = ir.IntType(64)


class _Rows(Masked):
    """As many rows as there are lanes, in whole vectors and one under a mask."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, n: Any) -> None:
        lanes = _INDEX(Vectors(context, builder, kind, array).lanes)
        self.n, self.whole = n, builder.sdiv(n, lanes)
        self.place_of_rest = builder.mul(self.whole, lanes)
        rest = builder.sub(n, self.place_of_rest)
        self.has_rest = builder.icmp_signed("!=", rest, _INDEX(0))
        super().__init__(context, builder, kind, array, rest)

    def columns(self, work: Any) -> None:
        """Do the work on every vector of a row: ``work(place, load)``."""
        with cgutils.for_range(self.builder, self.whole) as loop:
            work(self.builder.mul(loop.index, _INDEX(self.lanes)), self.load)
        with self.builder.if_then(self.has_rest):
            work(self.place_of_rest, self.load_first)

    def row(self, start: Any, number: int, place: Any) -> Any:
        """Where a row's element is."""
        before = self.builder.mul(self.n, _INDEX(number))
        return self.builder.add(self.builder.add(start, before), place)


@intrinsic
def _dots(typing, rows, start, n, weights, out, place):
    """Z = X w for as many rows as there are lanes."""

    def generate(context, builder, signature, arguments):
        array, start, n, weights, out, place = arguments
        X = _Rows(context, builder, signature.args[0], array, n)
        w = _Rows(context, builder, signature.args[3], weights, n)
        sums = [cgutils.alloca_once_value(builder, X.zero) for _ in range(X.lanes)]

        def work(column, load):
            other = w.load if load == X.load else w.load_first
            factor = other(column)
            for number, register in enumerate(sums):
                X.add_product(register, load(X.row(start, number, column)), factor)

        X.columns(work)
        z = Vectors(context, builder, signature.args[4], out)
        z.store(added_across(X, [builder.load(register) for register in sums]), place)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, weights, out, types.intp), generate


def _columns_of(vectors: int, masked: bool) -> Any:
    """G ← g + Xᵀ d on so many vectors of columns, the last under a mask; sums stay in registers.

    Even and odd rows have sums of their own, so that more additions are under way at once.
    """

    @intrinsic
    def columns(typing, rows, start, count, n, factors, out, column):
        def generate(context, builder, signature, arguments):
            array, start, count, n, factors, out, column = arguments
            left = builder.sub(n, column)  # in the last vector: 1 to as many as it has lanes
            kinds = signature.args
            lanes = Vectors(context, builder, kinds[0], array).lanes
            rest = builder.sub(left, _INDEX((vectors - 1) * lanes))
            X = Masked(context, builder, kinds[0], array, rest)
            g = Masked(context, builder, kinds[5], out, rest)
            d = Vectors(context, builder, kinds[4], factors)
            last = vectors - 1 if masked else vectors

            def load(of: Any, place: Any, number: int) -> Any:
                if number < last:
                    return of.load(place, number)
                return of.load_first(builder.add(place, _INDEX(number * lanes)))

            sums = [
                [cgutils.alloca_once_value(builder, load(g, column, v)) for v in range(vectors)],
                [cgutils.alloca_once_value(builder, X.zero) for _ in range(vectors)],
            ]

            def add_row(number: Any, registers: list[Any]) -> None:
                place = builder.add(builder.add(start, builder.mul(number, n)), column)
                value = d.broadcast(number)
                for v, register in enumerate(registers):
                    X.add_product(register, load(X, place, v), value)

            with cgutils.for_range(builder, builder.lshr(count, _INDEX(1))) as loop:
                even = builder.shl(loop.index, _INDEX(1))
                add_row(even, sums[0])
                add_row(builder.add(even, _INDEX(1)), sums[1])
            with builder.if_then(builder.trunc(count, ir.IntType(1))):
                add_row(builder.sub(count, _INDEX(1)), sums[0])
            for v, (one, two) in enumerate(zip(*sums, strict=True)):
                total = builder.fadd(builder.load(one), builder.load(two))
                if v < last:
                    g.store(total, column, v)
                else:
                    g.store_first(total, builder.add(column, _INDEX(v * lanes)))
            return context.get_dummy_value()

        counts = types.intp, types.intp, types.intp
        return types.void(rows, *counts, factors, out, types.intp), generate

    return columns


_whole = _columns_of(4, masked=False)
_one, _two, _three, _four = (_columns_of(vectors, masked=True) for vectors in (1, 2, 3, 4))


@part
def dots(rows, start, count, n, weights, bias, out):
    """Write z = X w + b, for `count` rows from the element `start` of a flat array on."""
    lanes = VECTOR_BYTES // rows.itemsize
    whole = count - count % lanes
    for i in range(0, whole, lanes):
        _dots(rows, start + i * n, n, weights, out, i)
    for i in range(whole, count):
        total = rows.dtype.type(0.0)
        for j in range(n):
            total += rows[start + i * n + j] * weights[j]
        out[i] = total
    for i in range(count):
        out[i] += bias


@part
def add_products(rows, start, count, n, factors, out):
    """G ← g + Xᵀ d, for `count` rows from the element `start` of a flat array on."""
    lanes, column = VECTOR_BYTES // rows.itemsize, 0
    while n - column > 4 * lanes:
        _whole(rows, start, count, n, factors, out, column)
        column += 4 * lanes
    left = n - column
    if left > 3 * lanes:
        _four(rows, start, count, n, factors, out, column)
    elif left > 2 * lanes:
        _three(rows, start, count, n, factors, out, column)
    elif left > lanes:
        _two(rows, start, count, n, factors, out, column)
    elif left > 0:
        _one(rows, start, count, n, factors, out, column)
