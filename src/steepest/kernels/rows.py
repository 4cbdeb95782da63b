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
from steepest.kernels.vector import VECTOR_BYTES, Vectors

__all__ = ["add_products", "dots"]

_INDEX = ir.IntType(64)


class _Masked(Vectors):
    """Vectors of which the last of a row has fewer lanes: it is read and written under a mask."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, rest: Any) -> None:
        super().__init__(context, builder, kind, array)
        spread = ir.VectorType(_INDEX, self.lanes)
        first = builder.insert_element(ir.Constant(spread, ir.Undefined), rest, ir.IntType(32)(0))
        count = self.shuffled(first, ir.Constant(spread, ir.Undefined), [0] * self.lanes)
        numbers = ir.Constant(spread, list(range(self.lanes)))
        self.mask = builder.icmp_signed("<", numbers, count)

    def load_rest(self, place: Any) -> Any:
        """The first lanes under the mask, and zeros."""
        function = self._masked("load", self.type, [ir.IntType(32), self.mask.type, self.type])
        align = ir.IntType(32)(self.bytes)
        return self.builder.call(function, [self.pointer(place), align, self.mask, self.zero])

    def store_rest(self, value: Any, place: Any) -> None:
        """Write the lanes under the mask."""
        function = self._masked("store", ir.VoidType(), [ir.IntType(32), self.mask.type])
        align = ir.IntType(32)(self.bytes)
        self.builder.call(function, [value, self.pointer(place), align, self.mask])

    def _masked(self, what: str, result: Any, rest: list[Any]) -> Any:
        pointer = self.type.as_pointer()
        before = [self.type, pointer] if what == "store" else [pointer]
        kind = "f32" if self.bytes == 4 else "f64"
        name = f"llvm.masked.{what}.v{self.lanes}{kind}.p0"
        signature = ir.FunctionType(result, [*before, *rest])
        return cgutils.get_or_insert_function(self.builder.module, signature, name)


class _Rows(_Masked):
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
            work(self.place_of_rest, self.load_rest)

    def row(self, start: Any, number: int, place: Any) -> Any:
        """Where a row's element is."""
        before = self.builder.mul(self.n, _INDEX(number))
        return self.builder.add(self.builder.add(start, before), place)

    def added_across(self, vectors: list[Any]) -> Any:
        """The sum of each vector's lanes, side by side."""
        even, odd = list(range(0, 2 * self.lanes, 2)), list(range(1, 2 * self.lanes, 2))
        while len(vectors) > 1:
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [
                self.builder.fadd(self.shuffled(a, b, even), self.shuffled(a, b, odd))
                for a, b in pairs
            ]
        return vectors[0]


@intrinsic
def _dots(typing, rows, start, n, weights, out, place):
    """Z = X w for as many rows as there are lanes."""

    def generate(context, builder, signature, arguments):
        array, start, n, weights, out, place = arguments
        X = _Rows(context, builder, signature.args[0], array, n)
        w = _Rows(context, builder, signature.args[3], weights, n)
        sums = [cgutils.alloca_once_value(builder, X.zero) for _ in range(X.lanes)]

        def work(column, load):
            other = w.load if load == X.load else w.load_rest
            factor = other(column)
            for number, register in enumerate(sums):
                X.add_product(register, load(X.row(start, number, column)), factor)

        X.columns(work)
        z = Vectors(context, builder, signature.args[4], out)
        z.store(X.added_across([builder.load(register) for register in sums]), place)
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
            X = _Masked(context, builder, kinds[0], array, rest)
            g = _Masked(context, builder, kinds[5], out, rest)
            d = Vectors(context, builder, kinds[4], factors)
            last = vectors - 1 if masked else vectors

            def load(of: Any, place: Any, number: int) -> Any:
                if number < last:
                    return of.load(place, number)
                return of.load_rest(builder.add(place, _INDEX(number * lanes)))

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
                    g.store_rest(total, builder.add(column, _INDEX(v * lanes)))
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
