"""A network of two hidden ReLU layers along a straight line in the space of θ, for one event.

Along a line, at coordinate a, everything below the second ReLU is a polynomial in a, whose
coefficients change only where a unit of the first layer goes on or off, once at most for each::

    s(a) = Σ_{j on} (pⱼ + a qⱼ) (vⱼ + a v′ⱼ) + biases = c₀ + a c₁ + a² c₂
    a unit goes on or off:  c₀ ± p v,  c₁ ± (p v′ + q v),  c₂ ± q v′
    z(a) = Σₖ max(sₖ(a), 0) uₖ(a)

p + a q are the first layer's sums, v + a v′ the rows of the second layer's weights, u(a) the third
layer's. The coefficients stay in registers, for as many units of the second layer as there is room.
`steepest.kernels.relu_plane` calls it for every line and event, and has the NumPy twin.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array

from steepest.kernels.compiled import intrinsic, part
from steepest.kernels.vector import Vectors, view

__all__ = ["LINE_BYTES", "MOST_VECTORS", "WORD", "first_bit", "signs", "walk"]

LINE_BYTES = 64
"""Of one vector here: a line of the cache."""
MOST_VECTORS = 4
"""Vectors of second-layer units that go along a line together: their 12 coefficients, and what is
multiplied with them, fill the registers of AVX-512."""
WORD = 64
"""Units of the first layer whose signs are the bits of one number."""
_INDEX, _SHORT = ir.IntType(64), ir.IntType(32)


class _Wide(Vectors):
    """Vectors of a line of the cache."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        super().__init__(context, builder, kind, array)
        self.lanes = LINE_BYTES // self.bytes
        self.type = ir.VectorType(context.get_data_type(kind.dtype), self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)

    def fused(self, one: Any, two: Any, more: Any) -> Any:
        """Return one · two + more, with one rounding where the processor can."""
        product = self.builder.fmul(one, two, flags=("contract",))
        return self.builder.fadd(product, more, flags=("contract",))

    def spread(self, value: Any) -> Any:
        """A number in all lanes."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, value, _SHORT(0))
        return self.shuffled(first, undefined, [0] * self.lanes)

    def add_lanes(self, value: Any, place: Any) -> None:
        """Add the sum of the lanes, in an order that the compiler fixes, to a number."""
        kind = "f32" if self.bytes == 4 else "f64"
        name = f"llvm.vector.reduce.fadd.v{self.lanes}{kind}"
        signature = ir.FunctionType(self.type.element, [self.type.element, self.type])
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        to = self.builder.gep(self.data, [place])
        arguments = [self.builder.load(to), value]
        self.builder.store(self.builder.call(function, arguments, fastmath=("reassoc",)), to)


@intrinsic
def first_bit(typing, word):
    """The place of the lowest bit that is set."""

    def generate(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), generate


@intrinsic
def signs(typing, p, q, first, a):
    """Bit j is set where pⱼ + a qⱼ > 0, for a word of units."""

    def generate(context, builder, signature, arguments):
        p, q = (
            _Wide(context, builder, kind, array)
            for kind, array in zip(signature.args[:2], arguments[:2], strict=True)
        )
        first, at = arguments[2], p.spread(arguments[3])
        word, narrow = _INDEX(0), ir.IntType(p.lanes)
        for v in range(WORD // p.lanes):
            value = p.fused(at, q.load(first, v), p.load(first, v))
            bits = builder.bitcast(builder.fcmp_ordered(">", value, p.zero), narrow)
            shift = _INDEX(v * p.lanes)
            word = builder.or_(word, builder.shl(builder.zext(bits, _INDEX), shift))
        return word

    return types.uint64(p, q, types.intp, p.dtype), generate


class _Line:
    """The instructions that lead along a line."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        count, kinds, given = signature.args[0].literal_value, signature.args[2:], arguments[2:]
        self.builder, self.row = builder, arguments[1]
        self.c, self.v, self.slope, self.u, self.p, self.q, self.a, self.out = (
            _Wide(context, builder, kind, array)
            for kind, array in zip(kinds[:8], given[:8], strict=True)
        )
        self.heads, self.following, self.units = (
            make_array(kind)(context, builder, array).data
            for kind, array in zip(kinds[8:], given[8:], strict=True)
        )
        self.change = cgutils.alloca_once(builder, _INDEX)
        self.registers = [
            [cgutils.alloca_once(builder, self.c.type) for _ in range(count)] for _ in range(3)
        ]
        for power, registers in enumerate(self.registers):
            place = builder.mul(self.row, _INDEX(power))
            for number, register in enumerate(registers):
                builder.store(self.c.load(place, number), register)

    def changes(self, index: Any) -> None:
        """Take what goes on or off at a point into the coefficients."""
        builder = self.builder
        builder.store(self._listed(self.heads, index), self.change)
        test, body, end = (builder.append_basic_block(name) for name in ("test", "body", "end"))
        builder.branch(test)
        builder.position_at_end(test)
        number = builder.load(self.change)
        builder.cbranch(builder.icmp_signed(">=", number, _INDEX(0)), body, end)
        builder.position_at_end(body)
        at = builder.mul(self._listed(self.units, number), self.row)
        value, rise = self.p.broadcast(number), self.q.broadcast(number)
        for vector, (c0, c1, c2) in enumerate(zip(*self.registers, strict=True)):
            weights, slopes = self.v.load(at, vector), self.slope.load(at, vector)
            self.c.add_product(c0, value, weights)
            self.c.add_product(c1, value, slopes)
            self.c.add_product(c1, rise, weights)
            self.c.add_product(c2, rise, slopes)
        builder.store(self._listed(self.following, number), self.change)
        builder.branch(test)
        builder.position_at_end(end)

    def value(self, index: Any) -> None:
        """Add Σₖ max(sₖ, 0) uₖ at a point; what is not a number stays so."""
        builder, vectors = self.builder, self.c
        at, total = self.a.broadcast(index), vectors.zero
        place = builder.mul(index, self.row)
        for vector, registers in enumerate(zip(*self.registers, strict=True)):
            c0, c1, c2 = (builder.load(register) for register in registers)
            value = vectors.fused(at, vectors.fused(at, c2, c1), c0)
            off = builder.fcmp_ordered("<", value, vectors.zero)
            value = builder.select(off, vectors.zero, value)
            total = vectors.fused(value, self.u.load(place, vector), total)
        self.out.add_lanes(total, index)

    def _listed(self, numbers: Any, index: Any) -> Any:
        return self.builder.load(self.builder.gep(numbers, [index]))


@intrinsic(prefer_literal=True)
def _walk(typing, count, row, c, v, slope, u, p, q, a, out, heads, following, units):
    """`walk` for a constant number of vectors."""
    given = c, v, slope, u, p, q, a, out, heads, following, units

    def generate(context, builder, signature, arguments):
        line = _Line(context, builder, signature, arguments)
        length = make_array(signature.args[8])(context, builder, arguments[8]).nitems
        with cgutils.for_range(builder, length) as loop:
            line.changes(loop.index)
            line.value(loop.index)
        return context.get_dummy_value()

    return types.void(count, types.intp, *given), generate


@part
def walk(row, c, v, slope, u, p, q, a, out, heads, following, units):
    """Go along the points of a line and add z(a) to `out`. All arrays are flat.

    Parameters
    ----------
    row : int
        Units of the second layer, in whole vectors: from one row to the next.
    c
        c₀, c₁ and c₂ at the first point, in rows.
    v, slope
        vⱼ and v′ⱼ, in rows.
    u
        u at each point, in rows.
    p, q
        Of each change: p and q of the unit that goes on, or −p and −q of one that goes off.
    a, out
        Coordinates of the points, and z there.
    heads, following
        The first change at each point, and for each change the next one there; −1 for none.
    units
        The unit of each change.
    """
    lanes = LINE_BYTES // c.itemsize
    for start in range(0, row, MOST_VECTORS * lanes):
        vectors = min((row - start) // lanes, MOST_VECTORS)
        c_, v_ = view(c, start, len(c) - start), view(v, start, len(v) - start)
        slope_, u_ = view(slope, start, len(slope) - start), view(u, start, len(u) - start)
        if vectors == 4:
            _walk(4, row, c_, v_, slope_, u_, p, q, a, out, heads, following, units)
        elif vectors == 3:
            _walk(3, row, c_, v_, slope_, u_, p, q, a, out, heads, following, units)
        elif vectors == 2:
            _walk(2, row, c_, v_, slope_, u_, p, q, a, out, heads, following, units)
        else:
            _walk(1, row, c_, v_, slope_, u_, p, q, a, out, heads, following, units)
