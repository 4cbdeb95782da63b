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


class _Rows(Vectors):
    """As many rows as there are lanes, in whole vectors and one under a mask."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, n: Any) -> None:
        super().__init__(context, builder, kind, array)
        lanes = _INDEX(self.lanes)
        self.n, self.whole = n, builder.sdiv(n, lanes)
        self.place_of_rest = builder.mul(self.whole, lanes)
        rest = builder.sub(n, self.place_of_rest)
        self.has_rest = builder.icmp_signed("!=", rest, _INDEX(0))
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

    def columns(self, work: Any) -> None:
        """Do the work on every vector of a row: ``work(place, load, store)``."""
        with cgutils.for_range(self.builder, self.whole) as loop:
            place = self.builder.mul(loop.index, _INDEX(self.lanes))
            work(place, self.load, self.store)
        with self.builder.if_then(self.has_rest):
            work(self.place_of_rest, self.load_rest, self.store_rest)

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

        def work(column, load, _):
            other = w.load if load == X.load else w.load_rest
            factor = other(column)
            for number, register in enumerate(sums):
                X.add_product(register, load(X.row(start, number, column)), factor)

        X.columns(work)
        z = Vectors(context, builder, signature.args[4], out)
        z.store(X.added_across([builder.load(register) for register in sums]), place)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, weights, out, types.intp), generate


@intrinsic
def _add_products(typing, rows, start, n, factors, place, out):
    """G ← g + Xᵀ d for as many rows as there are lanes."""

    def generate(context, builder, signature, arguments):
        array, start, n, factors, place, out = arguments
        X = _Rows(context, builder, signature.args[0], array, n)
        d = Vectors(context, builder, signature.args[3], factors)
        g = _Rows(context, builder, signature.args[5], out, n)
        values = [d.broadcast(builder.add(place, _INDEX(i))) for i in range(X.lanes)]

        def work(column, load, _):
            whole = load == X.load
            register = cgutils.alloca_once_value(
                builder, (g.load if whole else g.load_rest)(column)
            )
            for number, value in enumerate(values):
                X.add_product(register, load(X.row(start, number, column)), value)
            (g.store if whole else g.store_rest)(builder.load(register), column)

        X.columns(work)
        return context.get_dummy_value()

    return types.void(rows, types.intp, types.intp, factors, types.intp, out), generate


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
    lanes = VECTOR_BYTES // rows.itemsize
    whole = count - count % lanes
    for i in range(0, whole, lanes):
        _add_products(rows, start + i * n, n, factors, i, out)
    for i in range(whole, count):
        for j in range(n):
            out[j] += factors[i] * rows[start + i * n + j]
