"""A loss and its gradient over as many events as a vector has lanes, on one read of their rows.

    z = X w + b;  s ← s + v ℓ(z, y);  d = c v ∂ℓ/∂z(z, y);  g ← g + Xᵀ d;  t ← t + d

Each row is multiplied by w in lanes of its own, and what the lanes of all rows hold is added up
pairwise, so that no row pays for a sum across lanes; from then on a lane is an event. The end of a
row that does not fill a vector is read under a mask: rows need no padding. Short rows, of half a
vector or less, lie in one vector by twos.

Memory is the limit, so it must never wait for arithmetic: between the products the processor is
asked for the lines of a later group, evenly. It forgets some where it is asked for many at once,
and what it finds by itself ends with each page.

The NumPy twin is `steepest.kernels.dense` without a hidden layer, with `steepest.losses`.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic
from steepest.kernels.lane_losses import LOSSES, Lanes
from steepest.kernels.vector import VECTOR_BYTES, Masked, Vectors, added_across

__all__ = ["add_group", "lanes_of"]

_INDEX, _WIDE = ir.IntType(64), ir.DoubleType()
_LINE = 64
"""Bytes of a line of the cache."""


@intrinsic
def lanes_of(typing, array):
    """How many of the array's numbers a vector holds."""
    lanes = VECTOR_BYTES * 8 // array.dtype.bitwidth
    return types.intp(array), lambda *_: _INDEX(lanes)


class _Rows:
    """The group's rows ``(lanes, n)``, from an element of a flat array on."""

    def __init__(self, X: Masked, start: Any, n: Any) -> None:
        self.X, self.builder, self.start, self.n = X, X.builder, start, n

    def pointers(self, column: Any) -> list[Any]:
        """Where each row's elements from a column on are.

        Every fourth is one that the compiler knows nothing about: it would keep sixteen multiples
        of n, for which there are no registers.
        """
        builder, pointers = self.builder, []
        place = builder.gep(self.X.data, [builder.add(self.start, column)])
        for number in range(self.X.lanes):
            if number % 4 == 0:
                place = builder.gep(place, [builder.mul(self.n, _INDEX(4))]) if number else place
                kind = ir.FunctionType(place.type, [place.type])
                place = builder.asm(kind, "", "=r,0", [place], side_effect=False)
            pointers.append(builder.gep(place, [builder.mul(self.n, _INDEX(number % 4))]))
        return [builder.bitcast(pointer, self.X.type.as_pointer()) for pointer in pointers]


class _Long(_Rows):
    """Rows of more than half a vector: each vector holds columns of one row."""

    def columns(self, work: Any) -> None:
        """Do the work on every vector of columns: ``work(place, masked)``."""
        builder, lanes = self.builder, _INDEX(self.X.lanes)
        whole = builder.sdiv(self.n, lanes)
        with cgutils.for_range(builder, whole) as loop:
            work(builder.mul(loop.index, lanes), False)
        place = builder.mul(whole, lanes)
        with builder.if_then(builder.icmp_signed("<", place, self.n)):
            work(place, True)

    def dots(self, w: Masked, asked: Any) -> Any:
        """⟨x, w⟩ of each row."""
        X, builder = self.X, self.builder
        sums = [cgutils.alloca_once_value(builder, X.zero) for _ in range(X.lanes)]

        def work(column: Any, masked: bool) -> None:
            factor = (w.load_first if masked else w.load)(column)
            load = X.first_at if masked else X.load_at
            later = builder.add(asked, builder.mul(column, _INDEX(X.lanes // 2)))
            for number, pointer in enumerate(self.pointers(column)):
                self._ask(later, number)
                X.add_product(sums[number], load(pointer), factor)

        self.columns(work)
        return added_across(X, [builder.load(register) for register in sums])

    def add_products(self, d: Vectors, g: Vectors, asked: Any) -> None:
        """G ← g + Xᵀ d; even and odd rows have sums of their own, that are under way at once."""
        X, builder = self.X, self.builder
        factors = [d.broadcast(_INDEX(number)) for number in range(X.lanes)]

        def work(column: Any, masked: bool) -> None:
            sums = [
                cgutils.alloca_once_value(builder, g.load(column)),
                cgutils.alloca_once_value(builder, X.zero),
            ]
            later = builder.add(asked, builder.mul(column, _INDEX(X.lanes // 2)))
            load = X.first_at if masked else X.load_at
            for number, pointer in enumerate(self.pointers(column)):
                self._ask(later, number)
                X.add_product(sums[number % 2], load(pointer), factors[number])
            total = builder.fadd(*(builder.load(register) for register in sums))
            g.store(total, column)

        self.columns(work)

    def _ask(self, place: Any, number: int) -> None:
        """Ask for half of what a column's vectors are: for a line where two of them are done."""
        before = number * VECTOR_BYTES // 2
        if before % _LINE == 0:
            self.X.ask(self.builder.add(place, _INDEX(before // self.X.bytes)))


class _Short(_Rows):
    """Rows of half a vector at most: each vector holds two."""

    def __init__(self, X: Masked, start: Any, n: Any) -> None:
        super().__init__(X, start, n)
        self.half = X.lanes // 2
        swap = [*range(self.half, X.lanes), *range(self.half)]
        self.high = X.shuffled(X.mask, X.mask, swap)

    def pairs(self) -> list[Any]:
        """The second row begins half a vector behind the place that is read: no shuffle."""
        X, pointers = self.X, self.pointers(_INDEX(0))
        pairs = []
        for one, two in zip(pointers[::2], pointers[1::2], strict=True):
            plain = self.builder.bitcast(two, self.X.data.type)
            plain = self.builder.gep(plain, [_INDEX(-self.half)])
            second = self.builder.bitcast(plain, one.type)
            pairs.append(X.load_under(self.high, second, X.first_at(one)))
        return pairs

    def dots(self, w: Masked, asked: Any) -> Any:
        """⟨x, w⟩ of each row."""
        X, builder, products = self.X, self.builder, []
        first = w.load_first(_INDEX(0))
        factor = X.shuffled(first, first, [*range(self.half)] * 2)
        for pair, vector in enumerate(self.pairs()):
            self._ask(asked, pair)
            products.append(builder.fmul(vector, factor))
        return added_across(X, products)

    def add_products(self, d: Vectors, g: Vectors, asked: Any) -> None:
        """G ← g + Xᵀ d."""
        X, builder = self.X, self.builder
        factors, zero = d.load(_INDEX(0)), _INDEX(0)
        sums = [
            cgutils.alloca_once_value(builder, g.load(zero)),
            cgutils.alloca_once_value(builder, X.zero),
        ]
        for pair, vector in enumerate(self.pairs()):
            self._ask(asked, pair)
            lanes = [2 * pair] * self.half + [2 * pair + 1] * self.half
            factor = X.shuffled(factors, factors, lanes)
            X.add_product(sums[pair % 2], vector, factor)
        total = builder.fadd(*(builder.load(register) for register in sums))
        g.store(total, zero)

    def _ask(self, place: Any, pair: int) -> None:
        """Ask for half of what a pair's vector is: for a line where two of them are done."""
        before = pair * VECTOR_BYTES // 2
        if before % _LINE == 0:
            self.X.ask(self.builder.add(place, _INDEX(before // self.X.bytes)))


def _targets(v: Lanes, kind: Any, array: Any, context: Any, place: Any) -> Any:
    """The group's targets; class indices serve too."""
    if kind.dtype in (types.float32, types.float64):
        return Lanes(context, v.builder, kind, array, VECTOR_BYTES).load(place)
    data = context.make_array(kind)(context, v.builder, array).data
    vector = ir.VectorType(context.get_data_type(kind.dtype), v.lanes)
    pointer = v.builder.bitcast(v.builder.gep(data, [place]), vector.as_pointer())
    value = v.builder.load(pointer)
    value.align = kind.dtype.bitwidth // 8
    return (v.builder.sitofp if kind.dtype.signed else v.builder.uitofp)(value, v.type)


@intrinsic
def add_group(typing, loss, rows, start, n, theta, targets, at, weights, of_weight, scale, gradient,
              upstream, sums, asked):  # fmt: skip
    """Add a group's Xᵀ d to `gradient`, in whole vectors; its v ℓ and d to what the lanes hold.

    Of short rows the gradient is the sum of both halves of a vector.

    `rows` is flat, with the group's first row at `start`; its targets are at `at`, its weights at
    `of_weight`. `upstream` has room for d and for the sums of it by lanes, `sums` (float64) those
    of v ℓ. The lines of half a group are asked for from `asked` on, then those of the other.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        (start, n), at, of_weight = arguments[2:4], arguments[6], arguments[8]
        scale, asked = arguments[9], arguments[13]

        def lanes(number: int) -> Lanes:
            return Lanes(context, builder, kinds[number], arguments[number], VECTOR_BYTES)

        def masked(number: int) -> Masked:
            whole = _INDEX(VECTOR_BYTES * 8 // kinds[number].dtype.bitwidth)
            rest = builder.srem(n, whole)
            return Masked(context, builder, kinds[number], arguments[number], rest)

        v, w, d = lanes(1), masked(4), lanes(11)
        lanes(5).ask(builder.add(at, _INDEX(int(__import__("os").environ.get("YA","512")))))
        X, g = masked(1), lanes(10)
        half = builder.lshr(builder.mul(n, _INDEX(X.lanes)), _INDEX(1))
        short = builder.icmp_signed("<=", n, _INDEX(X.lanes // 2))
        register = cgutils.alloca_once(builder, v.type)
        with builder.if_else(short) as (then, otherwise):
            with then:
                builder.store(_Short(X, start, n).dots(w, asked), register)
            with otherwise:
                builder.store(_Long(X, start, n).dots(w, asked), register)
        z = builder.fadd(builder.load(register), w.broadcast(n))
        y = _targets(v, kinds[5], arguments[5], context, at)
        weight = lanes(7).load(of_weight)
        terms = LOSSES[kinds[0].instance_class](v, y, builder.fmul(weight, v.spread(scale)))
        value, slope = terms.value_and_slope(z)
        d.store(slope, _INDEX(0))
        d.store(builder.fadd(d.load(_INDEX(0), 1), slope), _INDEX(0), 1)
        _add_wide(context, builder, kinds[12], arguments[12], builder.fmul(value, weight), v)
        later = builder.add(asked, half)
        with builder.if_else(short) as (then, otherwise):
            with then:
                _Short(X, start, n).add_products(d, g, later)
            with otherwise:
                _Long(X, start, n).add_products(d, g, later)
        return context.get_dummy_value()

    sample = loss, rows, types.intp, types.intp, theta, targets, types.intp, weights, types.intp
    return types.void(*sample, rows.dtype, gradient, upstream, sums, types.intp), generate


def _add_wide(context: Any, builder: Any, kind: Any, array: Any, values: Any, v: Lanes) -> None:
    """Add the lanes to float64 numbers."""
    data = context.make_array(kind)(context, builder, array).data
    wide = ir.VectorType(_WIDE, v.lanes)
    pointer = builder.bitcast(data, wide.as_pointer())
    before = builder.load(pointer)
    before.align = 8
    values = builder.fpext(values, wide) if v.bytes == 4 else values
    builder.store(builder.fadd(before, values), pointer).align = 8
