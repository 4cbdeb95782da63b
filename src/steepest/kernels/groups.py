"""Products and losses of groups of events: as many together as a vector has lanes.

=========================  =========================================================================
`dots_of_group(…)`         z = X w + b
`slopes_of_group(…)`       s ← s + v ℓ(z, y);  d = c v ∂ℓ/∂z(z, y);  t ← t + d
`add_group(…)`             g ← g + Xᵀ d
=========================  =========================================================================

Each row is multiplied by w in lanes of its own, and what the lanes of all rows hold is added up
pairwise, so that no row pays for a sum across lanes; from then on a lane is an event. The end of a
row that does not fill a vector is read under a mask: rows need no padding. Short rows, of half a
vector or less, lie in one vector by twos.

Memory is the limit, so it must not wait for arithmetic: between the products the processor is asked
for the lines of a later group, evenly, because it forgets some where it is asked for many at once.
Each of the two products asks for one half of them: of a group far behind, into the second cache,
and of one nearby, into the first.

The NumPy twins are ``X @ w + b``, those of `steepest.losses`, and ``g + X.T @ d``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic
from steepest.kernels.lane_losses import LOSSES, Lanes
from steepest.kernels.vector import VECTOR_BYTES, Masked, Vectors, added_across

__all__ = ["add_group", "dots_of_group", "lanes_of", "slopes_of_group"]

TARGETS_AHEAD = 1024
"""Events whose targets are asked for before they are needed."""
_INDEX, _WIDE = ir.IntType(64), ir.DoubleType()
_LINE = 64
"""Bytes of a line of the cache."""


@intrinsic
def lanes_of(typing, array):
    """How many of the array's numbers a vector holds."""
    lanes = _INDEX(VECTOR_BYTES * 8 // array.dtype.bitwidth)
    return types.intp(array), lambda *_: lanes


class _Rows:
    """The group's rows ``(lanes, n)``, from an element of a flat array on.

    Half of the group's lines are asked for from the element `near` on, into the first cache, and
    from `far` on, into the second.
    """

    def __init__(self, X: Masked, start: Any, n: Any, near: Any, far: Any) -> None:
        self.X, self.builder = X, X.builder
        self.start, self.n, self.near, self.far = start, n, near, far

    def pointers(self, column: Any) -> list[Any]:
        """Where each row's elements from a column on are.

        Every fourth is one that the compiler knows nothing about: it would keep sixteen multiples
        of n, for which there are no registers.
        """
        builder, pointers = self.builder, []
        place = builder.gep(self.X.data, [builder.add(self.start, column)])
        kind = ir.FunctionType(place.type, [place.type])
        for number in range(self.X.lanes):
            if number and number % 4 == 0:
                place = builder.gep(place, [builder.mul(self.n, _INDEX(4))])
            if number % 4 == 0:
                place = builder.asm(kind, "", "=r,0", [place], side_effect=False)
            pointers.append(builder.gep(place, [builder.mul(self.n, _INDEX(number % 4))]))
        return [builder.bitcast(pointer, self.X.type.as_pointer()) for pointer in pointers]

    def ask(self, column: Any, number: int) -> None:
        """Ask for half of what the vectors of a column take: for a line with every other one."""
        before = number * VECTOR_BYTES // 2
        if before % _LINE == 0:
            place = self.builder.mul(column, _INDEX(self.X.lanes // 2))
            place = self.builder.add(place, _INDEX(before // self.X.bytes))
            self.X.ask(self.builder.add(self.far, place))
            self.X.ask(self.builder.add(self.near, place), 3)

    def ask_for_rest(self, column: Any, number: int) -> None:
        """The same for the last columns, whose vectors are not full: for no line twice."""
        builder, half = self.builder, self.X.lanes // 2
        first = _INDEX(number * VECTOR_BYTES // 2 // self.X.bytes)
        end = builder.mul(builder.sub(self.n, column), _INDEX(half))
        with builder.if_then(builder.icmp_signed("<", first, end)):
            self.ask(column, number)

    def registers(self, *values: Any) -> list[Any]:
        """Registers that hold the values."""
        return [cgutils.alloca_once_value(self.builder, value) for value in values]

    def total(self, registers: list[Any]) -> Any:
        """What two registers hold together."""
        return self.builder.fadd(*(self.builder.load(register) for register in registers))


class _Long(_Rows):
    """Rows of more than half a vector: each vector holds columns of one row."""

    def columns(self, work: Callable[[Any, bool], None]) -> None:
        """Do the work on every vector of columns: ``work(column, masked)``."""
        builder, lanes = self.builder, _INDEX(self.X.lanes)
        whole = builder.sdiv(self.n, lanes)
        with cgutils.for_range(builder, whole) as loop:
            work(builder.mul(loop.index, lanes), False)
        end = builder.mul(whole, lanes)
        with builder.if_then(builder.icmp_signed("<", end, self.n)):
            work(end, True)

    def dots(self, w: Masked) -> Any:
        """⟨x, w⟩ of each row."""
        X = self.X
        sums = self.registers(*[X.zero] * X.lanes)

        def work(column: Any, masked: bool) -> None:
            factor = (w.load_first if masked else w.load)(column)
            load = X.first_at if masked else X.load_at
            ask = self.ask_for_rest if masked else self.ask
            for number, pointer in enumerate(self.pointers(column)):
                ask(column, number)
                X.add_product(sums[number], load(pointer), factor)

        self.columns(work)
        return added_across(X, [self.builder.load(register) for register in sums])

    def add_products(self, d: Vectors, place: Any, g: Vectors) -> None:
        """G ← g + Xᵀ d; even and odd rows have sums of their own, that are under way at once."""
        X = self.X
        factors = [d.broadcast(self.builder.add(place, _INDEX(i))) for i in range(X.lanes)]

        def work(column: Any, masked: bool) -> None:
            sums = self.registers(g.load(column), X.zero)
            load = X.first_at if masked else X.load_at
            ask = self.ask_for_rest if masked else self.ask
            for number, pointer in enumerate(self.pointers(column)):
                ask(column, number)
                X.add_product(sums[number % 2], load(pointer), factors[number])
            g.store(self.total(sums), column)

        self.columns(work)


class _Short(_Rows):
    """Rows of half a vector at most: each vector holds two."""

    def pairs(self) -> list[Any]:
        """Two rows each. The second is read from half a vector before it on: without a shuffle."""
        X, builder = self.X, self.builder
        half, pointers = X.lanes // 2, self.pointers(_INDEX(0))
        high = X.shuffled(X.mask, X.mask, [*range(half, X.lanes), *range(half)])
        vectors = []
        for one, two in zip(pointers[::2], pointers[1::2], strict=True):
            before = builder.gep(builder.bitcast(two, X.data.type), [_INDEX(-half)])
            before = builder.bitcast(before, one.type)
            vectors.append(X.load_under(high, before, X.first_at(one)))
        return vectors

    def dots(self, w: Masked) -> Any:
        """⟨x, w⟩ of each row."""
        first, products = w.load_first(_INDEX(0)), []
        factor = w.shuffled(first, first, [*range(w.lanes // 2)] * 2)
        for number, pair in enumerate(self.pairs()):
            self.ask(_INDEX(0), number)
            products.append(self.builder.fmul(pair, factor))
        return added_across(self.X, products)

    def add_products(self, d: Vectors, place: Any, g: Vectors) -> None:
        """G ← g + Xᵀ d, where g is the sum of both halves."""
        X, half, column = self.X, self.X.lanes // 2, _INDEX(0)
        factors, sums = d.load(place), self.registers(g.load(column), X.zero)
        for number, pair in enumerate(self.pairs()):
            self.ask(column, number)
            lanes = [2 * number] * half + [2 * number + 1] * half
            X.add_product(sums[number % 2], pair, X.shuffled(factors, factors, lanes))
        g.store(self.total(sums), column)


def _on_rows(context: Any, builder: Any, kind: Any, arguments: Any, work: Any) -> None:
    """Do the work on the rows given by ``(array, start, n, near, far)``, be they short or long."""
    array, start, n, near, far = arguments
    X = _masked(context, builder, kind, array, n)
    short = builder.icmp_signed("<=", n, _INDEX(X.lanes // 2))
    with builder.if_else(short) as (then, otherwise):
        with then:
            work(_Short(X, start, n, near, far))
        with otherwise:
            work(_Long(X, start, n, near, far))


def _masked(context: Any, builder: Any, kind: Any, array: Any, n: Any) -> Masked:
    lanes = _INDEX(VECTOR_BYTES * 8 // kind.dtype.bitwidth)
    return Masked(context, builder, kind, array, builder.srem(n, lanes))


_ROWS = (types.intp, types.intp, types.intp, types.intp)
"""The types of start, n, near and far."""


@intrinsic
def dots_of_group(typing, rows, start, n, near, far, theta, out, place):
    """Write z = X w + b, with θ = (w, b), for the rows from the element `start` on."""

    def generate(context, builder, signature, arguments):
        kinds, n, place = signature.args, arguments[2], arguments[7]
        w = _masked(context, builder, kinds[5], arguments[5], n)
        z = Vectors(context, builder, kinds[6], arguments[6])

        def work(group: Any) -> None:
            z.store(builder.fadd(group.dots(w), w.broadcast(n)), place)

        _on_rows(context, builder, kinds[0], arguments[:5], work)
        return context.get_dummy_value()

    return types.void(rows, *_ROWS, theta, out, types.intp), generate


@intrinsic
def add_group(typing, rows, start, n, near, far, upstream, place, out):
    """G ← g + Xᵀ d, in whole vectors; of short rows g is the sum of both halves of a vector."""

    def generate(context, builder, signature, arguments):
        kinds, place = signature.args, arguments[6]
        d = Vectors(context, builder, kinds[5], arguments[5])
        g = Vectors(context, builder, kinds[7], arguments[7])
        _on_rows(context, builder, kinds[0], arguments[:5],
                 lambda group: group.add_products(d, place, g))  # fmt: skip
        return context.get_dummy_value()

    return types.void(rows, *_ROWS, upstream, types.intp, out), generate


@intrinsic
def slopes_of_group(typing, loss, logits, targets, weights, scale, place, upstream, sums):
    """Write d = c v ∂ℓ/∂z over the logits; add d and v ℓ (in float64) to what the lanes hold."""

    def generate(context, builder, signature, arguments):
        kinds, scale, place = signature.args, arguments[4], arguments[5]
        z, v, t = (
            Lanes(context, builder, kinds[number], arguments[number], VECTOR_BYTES)
            for number in (1, 3, 6)
        )
        weight = v.load(place)
        y = _targets(context, builder, kinds[2], arguments[2], place, z)
        factors = builder.fmul(weight, z.spread(scale))
        terms = LOSSES[kinds[0].instance_class](z, y, factors)
        value, slope = terms.value_and_slope(z.load(place))
        z.store(slope, place)
        t.store(builder.fadd(t.load(_INDEX(0)), slope), _INDEX(0))
        _add_wide(context, builder, kinds[7], arguments[7], builder.fmul(value, weight), z)
        return context.get_dummy_value()

    sample = loss, logits, targets, weights, logits.dtype, types.intp
    return types.void(*sample, upstream, sums), generate


def _targets(context: Any, builder: Any, kind: Any, array: Any, place: Any, v: Lanes) -> Any:
    """The group's targets, in the type of the logits: class indices serve too."""
    y = Vectors(context, builder, kind, array)
    y.ask(builder.add(place, _INDEX(TARGETS_AHEAD)))
    y.type = ir.VectorType(y.type.element, v.lanes)
    values = y.load(place)
    if kind.dtype in types.signed_domain:
        return builder.sitofp(values, v.type)
    if kind.dtype in types.unsigned_domain:
        return builder.uitofp(values, v.type)
    return values


def _add_wide(context: Any, builder: Any, kind: Any, array: Any, values: Any, v: Lanes) -> None:
    """Add the lanes to float64 numbers."""
    out = Vectors(context, builder, kind, array)
    out.type = ir.VectorType(_WIDE, v.lanes)
    values = builder.fpext(values, out.type) if v.single else values
    out.store(builder.fadd(out.load(_INDEX(0)), values), _INDEX(0))
