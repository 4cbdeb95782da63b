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

__all__ = ["add_group", "dots_of_group", "lanes_of", "slopes_of_group"]

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

    def add_products(self, d: Vectors, place: Any, g: Vectors, asked: Any) -> None:
        """G ← g + Xᵀ d; even and odd rows have sums of their own, that are under way at once."""
        X, builder = self.X, self.builder
        factors = [d.broadcast(builder.add(place, _INDEX(number))) for number in range(X.lanes)]

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

    def add_products(self, d: Vectors, place: Any, g: Vectors, asked: Any) -> None:
        """G ← g + Xᵀ d."""
        X, builder = self.X, self.builder
        factors, zero = d.load(place), _INDEX(0)
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


def _either(builder: Any, X: Masked, start: Any, n: Any, work: Any) -> None:
    """Do the work on rows that are short, or on such as are not."""
    short = builder.icmp_signed("<=", n, _INDEX(X.lanes // 2))
    with builder.if_else(short) as (then, otherwise):
        with then:
            work(_Short(X, start, n))
        with otherwise:
            work(_Long(X, start, n))


def _rows(context: Any, builder: Any, kind: Any, array: Any, n: Any) -> Masked:
    lanes = _INDEX(VECTOR_BYTES * 8 // kind.dtype.bitwidth)
    return Masked(context, builder, kind, array, builder.srem(n, lanes))


@intrinsic
def dots_of_group(typing, rows, start, n, theta, out, place, asked):
    """Write z = X w + b, with w and b in θ. Half a group's lines are asked for, from `asked` on."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        start, n, place, asked = (arguments[i] for i in (1, 2, 4 + 1, 6))
        X = _rows(context, builder, kinds[0], arguments[0], n)
        w = _rows(context, builder, kinds[3], arguments[3], n)
        z = Vectors(context, builder, kinds[4], arguments[4])

        def work(group: Any) -> None:
            z.store(builder.fadd(group.dots(w, asked), w.broadcast(n)), place)

        _either(builder, X, start, n, work)
        return context.get_dummy_value()

    places = types.intp, types.intp
    return types.void(rows, *places, theta, out, types.intp, types.intp), generate


@intrinsic
def slopes_of_group(typing, loss, logits, targets, weights, scale, place, upstream, sums):
    """Write d over the logits; add d and v ℓ (in float64) to what the lanes hold."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args

        def lanes(number: int) -> Lanes:
            return Lanes(context, builder, kinds[number], arguments[number], VECTOR_BYTES)

        v, d, place = lanes(1), lanes(6), arguments[5]
        weight = lanes(3).load(place)
        lanes(2).ask(builder.add(place, _INDEX(1024)))
        y = _targets(v, kinds[2], arguments[2], context, place)
        terms = LOSSES[kinds[0].instance_class](v, y, builder.fmul(weight, v.spread(arguments[4])))
        value, slope = terms.value_and_slope(v.load(place))
        v.store(slope, place)
        d.store(builder.fadd(d.load(_INDEX(0)), slope), _INDEX(0))
        _add_wide(context, builder, kinds[7], arguments[7], builder.fmul(value, weight), v)
        return context.get_dummy_value()

    sample = loss, logits, targets, weights
    return types.void(*sample, logits.dtype, types.intp, upstream, sums), generate


@intrinsic
def add_group(typing, rows, start, n, upstream, place, out, asked):
    """G ← g + Xᵀ d, in whole vectors; of short rows g is the sum of both halves of a vector."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        start, n, place, asked = (arguments[i] for i in (1, 2, 4, 6))
        X = _rows(context, builder, kinds[0], arguments[0], n)
        d = Vectors(context, builder, kinds[3], arguments[3])
        g = Vectors(context, builder, kinds[5], arguments[5])
        _either(builder, X, start, n, lambda group: group.add_products(d, place, g, asked))
        return context.get_dummy_value()

    places = types.intp, types.intp
    return types.void(rows, *places, upstream, types.intp, out, types.intp), generate


def _add_wide(context: Any, builder: Any, kind: Any, array: Any, values: Any, v: Lanes) -> None:
    """Add the lanes to float64 numbers."""
    data = context.make_array(kind)(context, builder, array).data
    wide = ir.VectorType(_WIDE, v.lanes)
    pointer = builder.bitcast(data, wide.as_pointer())
    before = builder.load(pointer)
    before.align = 8
    values = builder.fpext(values, wide) if v.bytes == 4 else values
    builder.store(builder.fadd(before, values), pointer).align = 8
