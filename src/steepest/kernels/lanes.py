"""A few consecutive steps of single events at once: as many as a vector has lanes.

Plain stochastic gradient descent on a linear model, θ ← θ − η v ∂ℓ/∂z x, waits for itself: each
step needs the θ that the one before leaves. But of L events x₀ … x_{L−1}, with θ before the first,

    z_j = ⟨x_j, θ⟩ − Σ_{i<j} cᵢ ⟨xᵢ, x_j⟩,   cᵢ = ηᵢ vᵢ ∂ℓ/∂z(zᵢ, yᵢ),   θ ← θ − Σ cᵢ xᵢ

is the same, and here only cᵢ waits for cᵢ₋₁: the products are taken before. L is 8 in float32 and 4
in float64. Events lie side by side in blocks of L, `width` numbers each (whole vectors: the
features, a one for the bias, zeros). Three blocks take turns: while the steps of one wait for each
other, the products of the next are taken, and the events of the one after are fetched, an event
with each step, so that the processor finds both in the same few hundred instructions.

==================================  ================================================================
`fetch(…)`                          one event, with its target and ηᵢ vᵢ, into a place of a block
`add_products(…)`                   ⟨xᵢ, x_j⟩ for i < j of a block, zero for i ≥ j: ``(L, L)``
`take_together(loss, …)`            z, c, ℓ and the new θ of a block, and what the next ones need
`descend(theta, …)`                 θ ← θ − Σ cᵢ xᵢ over some events of a block, in their order
==================================  ================================================================

The NumPy twin is the loop over single steps. e⁻ˣ is 2ᵏ 2ʳ with |r| ≤ ½ and a Taylor polynomial for
2ʳ, of degree 7 in float32 and 13 in float64, so that the slopes of sure predictions keep their
digits; log(1 + t) is the series of `steepest.kernels.elementary`. Polynomials are taken in pairs,
which are ready earlier than Horner's scheme is.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic
from steepest.kernels.pointwise import BinaryEntropy, SquaredError
from steepest.kernels.vector import Vectors

__all__ = ["VECTOR", "add_products", "descend", "fetch", "take_together"]

VECTOR = 32
"""Bytes of a vector."""
FAR, NEAR = 48, 8
"""How far ahead of the fetched events others are asked for, into the second cache and the first."""
_INDEX, _WORD, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_LINE = 64
"""Bytes of a line of the cache."""


class _Lanes(Vectors):
    """Vectors with the functions that a step needs."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        super().__init__(context, builder, kind, array)
        self.lanes = VECTOR // self.bytes  # wider ones take more products and wait as long
        self.type = ir.VectorType(context.get_data_type(kind.dtype), self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)
        self.single = self.bytes == 4
        self.integers = ir.VectorType(ir.IntType(8 * self.bytes), self.lanes)

    def constant(self, value: float) -> Any:
        """A number in all lanes."""
        return ir.Constant(self.type, [value] * self.lanes)

    def fused(self, one: Any, two: Any, three: Any) -> Any:
        """One · two + three, with one rounding where the processor can."""
        kind = ir.FunctionType(self.type, [self.type] * 3)
        name = f"llvm.fmuladd.v{self.lanes}{'f32' if self.single else 'f64'}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [one, two, three])

    def ended(self, place: Any, count: Any) -> Any:
        """So many numbers, fewer than a vector's, then a one, then zeros."""
        builder, spread = self.builder, ir.VectorType(_INDEX, self.lanes)
        first = builder.insert_element(ir.Constant(spread, ir.Undefined), count, _WORD(0))
        counts = self.shuffled(first, first, [0] * self.lanes)
        numbers = ir.Constant(spread, list(range(self.lanes)))
        after = builder.icmp_signed("==", numbers, counts)
        end = builder.select(after, self.constant(1.0), self.zero)
        mask, pointer = builder.icmp_signed("<", numbers, counts), self.pointer(place)
        kind = ir.FunctionType(self.type, [pointer.type, _WORD, mask.type, self.type])
        name = f"llvm.masked.load.v{self.lanes}{'f32' if self.single else 'f64'}.p0"
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        return builder.call(function, [pointer, _WORD(self.bytes), mask, end])

    def minus(self, one: Any, two: Any, three: Any) -> Any:
        """Three − one · two."""
        return self.fused(self.builder.fneg(one), two, three)

    def splat(self, vector: Any, lane: int) -> Any:
        """One lane's number in all."""
        return self.shuffled(vector, vector, [lane] * self.lanes)

    def polynomial(self, coefficients: list[float], x: Any) -> Any:
        """c₀ + c₁ x + c₂ x² + …, by pairs, and pairs of these."""
        terms: list[Any] = [self.constant(c) for c in coefficients]
        while len(terms) > 1:
            pairs = [terms[i : i + 2] for i in range(0, len(terms), 2)]
            terms = [self.fused(p[1], x, p[0]) if len(p) == 2 else p[0] for p in pairs]
            x = self.builder.fmul(x, x)
        return terms[0]

    def summed(self, vectors: list[Any]) -> Any:
        """The sum of each vector's lanes, side by side; None is zeros."""
        even, odd = list(range(0, 2 * self.lanes, 2)), list(range(1, 2 * self.lanes, 2))
        while len(vectors) > 1:
            vectors = [
                None
                if one is None and two is None
                else self._added(one or self.zero, two or self.zero, even, odd)
                for one, two in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        return vectors[0]

    def _added(self, one: Any, two: Any, even: list[int], odd: list[int]) -> Any:
        return self.builder.fadd(self.shuffled(one, two, even), self.shuffled(one, two, odd))

    def exponential(self, z: Any) -> Any:
        """e^{−|z|}, from the edge of what the type holds on taken there; NaN may give anything."""
        builder, bits = self.builder, 23 if self.single else 52
        magic, lowest = self.constant(1.5 * 2.0**bits), -87.0 if self.single else -708.0
        log2e = self.constant(math.log2(math.e))
        below = builder.fneg(self._unary("fabs", z))
        low = self.constant(lowest)
        below = builder.select(builder.fcmp_ordered("<", below, low), low, below)
        shifted = self.fused(below, log2e, magic)
        k = builder.fsub(shifted, magic)
        r = self.fused(below, log2e, builder.fneg(k))
        degree = 7 if self.single else 13
        p = self.polynomial([math.log(2) ** n / math.factorial(n) for n in range(degree + 1)], r)
        shift = ir.Constant(self.integers, [bits] * self.lanes)
        exponent = builder.shl(builder.bitcast(shifted, self.integers), shift)
        return builder.bitcast(builder.add(builder.bitcast(p, self.integers), exponent), self.type)

    def logarithm(self, t: Any) -> Any:
        """Log(1 + t) for 0 ≤ t ≤ 1."""
        builder, terms = self.builder, 8 if self.single else 17
        s = builder.fdiv(t, builder.fadd(self.constant(2.0), t))
        series = [2.0 / (2 * j + 1) for j in range(terms)]
        return builder.fmul(s, self.polynomial(series, builder.fmul(s, s)))

    def _unary(self, name: str, value: Any) -> Any:
        kind = ir.FunctionType(self.type, [self.type])
        name = f"llvm.{name}.v{self.lanes}{'f32' if self.single else 'f64'}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [value])


class _BinaryEntropy:
    """log(1 + eᶻ) − y z, and s ((1 − y) σ(z) − y σ(−z)) with one division."""

    def __init__(self, v: _Lanes, targets: Any, scales: Any) -> None:
        self.v, self.targets = v, targets
        self.of_zero = v.builder.fmul(v.builder.fsub(v.constant(1.0), targets), scales)
        self.of_one = v.builder.fneg(v.builder.fmul(targets, scales))

    def slope(self, z: Any) -> Any:
        """The two σ share a denominator, 1 + e^{−|z|}; the larger has one for numerator."""
        v, builder = self.v, self.v.builder
        tail, above = v.exponential(z), builder.fcmp_ordered(">=", z, v.zero)
        whole = builder.select(above, self.of_zero, self.of_one)
        part = builder.select(above, self.of_one, self.of_zero)
        return builder.fdiv(v.fused(part, tail, whole), builder.fadd(v.constant(1.0), tail))

    def value(self, z: Any) -> Any:
        """max(z, 0) − y z + log(1 + e^{−|z|})."""
        v, builder = self.v, self.v.builder
        part = builder.select(builder.fcmp_ordered("<=", z, v.zero), v.zero, z)
        linear = builder.fsub(part, builder.fmul(self.targets, z))
        return builder.fadd(linear, v.logarithm(v.exponential(z)))


class _SquaredError:
    """(z − y)², and 2 s (z − y)."""

    def __init__(self, v: _Lanes, targets: Any, scales: Any) -> None:
        self.v, self.targets = v, targets
        self.factors = v.builder.fadd(scales, scales)

    def slope(self, z: Any) -> Any:
        return self.v.builder.fmul(self.factors, self.v.builder.fsub(z, self.targets))

    def value(self, z: Any) -> Any:
        residual = self.v.builder.fsub(z, self.targets)
        return self.v.builder.fmul(residual, residual)


_LOSSES: dict[type, Any] = {BinaryEntropy: _BinaryEntropy, SquaredError: _SquaredError}


class _Source:
    """The sample: where events are fetched from, in the order of `rows`."""

    def __init__(self, context: Any, builder: Any, kinds: Any, arguments: Any) -> None:
        names = ("inputs", "targets", "weights", "rows", "rates", "n")
        self.context, self.builder = context, builder
        self.kinds = dict(zip(names, kinds, strict=True))
        self.arguments = dict(zip(names, arguments, strict=True))
        self.n = self.arguments["n"]

    def array(self, name: str) -> Any:
        """One of the arrays."""
        return self.context.make_array(self.kinds[name])(
            self.context, self.builder, self.arguments[name]
        )

    def number(self, name: str, place: Any) -> Any:
        """An element of one of the arrays."""
        return self.builder.load(self.builder.gep(self.array(name).data, [place]))

    def row(self, at: Any) -> Any:
        """The row that is taken as number `at`; the last one for what is beyond."""
        size = self.builder.extract_value(self.array("rows").shape, 0)
        last = self.builder.sub(size, _INDEX(1))
        beyond = self.builder.icmp_signed(">", at, last)
        return self.number("rows", self.builder.select(beyond, last, at))

    def ask(self, at: Any, near: bool) -> None:
        """Ask for an event's lines, into the first cache or the second, and do not wait."""
        builder, row = self.builder, self.row(at)
        inputs = self.array("inputs")
        line = _INDEX(_LINE // (self.kinds["inputs"].dtype.bitwidth // 8))
        first = builder.mul(row, self.n)
        last = builder.sub(builder.add(first, self.n), _INDEX(1))
        lines = builder.udiv(builder.add(self.n, builder.sub(line, _INDEX(1))), line)
        with cgutils.for_range(builder, lines) as loop:
            place = builder.add(first, builder.mul(loop.index, line))
            self._prefetch(inputs.data, place, near)
        self._prefetch(inputs.data, last, near)
        self._prefetch(self.array("targets").data, row, near)
        if self.kinds["weights"] != types.none:
            self._prefetch(self.array("weights").data, row, near)

    def _prefetch(self, data: Any, place: Any, near: bool) -> None:
        pointer = self.builder.bitcast(self.builder.gep(data, [place]), _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), _WORD, _WORD, _WORD])
        function = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(function, [pointer, _WORD(0), _WORD(3 if near else 2), _WORD(1)])

    def fetch(self, at: Any, events: Any, to: Any, beside: dict[str, Any], place: Any) -> None:
        """Copy event number `at`: its features, a one and zeros; target, weight and η v beside."""
        builder, row = self.builder, self.row(at)
        x = _Lanes(self.context, builder, self.kinds["inputs"], self.arguments["inputs"])
        start, lanes = builder.mul(row, self.n), _INDEX(x.lanes)
        whole = builder.udiv(self.n, lanes)
        with cgutils.for_range(builder, whole) as loop:
            step = builder.mul(loop.index, lanes)
            events.store(x.load(builder.add(start, step)), builder.add(to, step))
        done = builder.mul(whole, lanes)
        last = x.ended(builder.add(start, done), builder.sub(self.n, done))
        events.store(last, builder.add(to, done))
        rate = self.number("rates", self.clipped(at))
        weight = x.type.element(1.0)
        if self.kinds["weights"] != types.none:
            weight = self.number("weights", row)
        if x.single:
            rate = builder.fptrunc(rate, x.type.element)
        target = self.context.cast(  # class indices serve too
            builder, self.number("targets", row), self.kinds["targets"].dtype,
            self.kinds["inputs"].dtype,
        )  # fmt: skip
        found = {"targets": target, "weights": weight, "scales": builder.fmul(rate, weight)}
        for name, value in found.items():
            builder.store(value, builder.gep(beside[name].data, [place]))

    def clipped(self, at: Any) -> Any:
        """`at`, or the last step's number for what is beyond."""
        size = self.builder.extract_value(self.array("rates").shape, 0)
        last = self.builder.sub(size, _INDEX(1))
        return self.builder.select(self.builder.icmp_signed(">", at, last), last, at)


_SAMPLE = ("inputs", "targets", "weights", "rows", "rates")


def _beside(context: Any, builder: Any, kinds: Any, arguments: Any) -> dict[str, Any]:
    names = ("targets", "weights", "scales")
    return {
        name: _Lanes(context, builder, kind, value)
        for name, kind, value in zip(names, kinds, arguments, strict=True)
    }


@intrinsic
def fetch(typing, inputs, targets, weights, rows, rates, n, at, events, width, of_targets,
          of_weights, scales, place):  # fmt: skip
    """Copy event number `at` to a place of the blocks, with its target, weight and η v."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        source = _Source(context, builder, kinds[:6], arguments[:6])
        x = _Lanes(context, builder, kinds[7], arguments[7])
        beside = _beside(context, builder, kinds[9:12], arguments[9:12])
        at, width, place = arguments[6], arguments[8], arguments[12]
        source.fetch(at, x, builder.mul(place, width), beside, place)
        return context.get_dummy_value()

    sample = (inputs, targets, weights, rows, rates, types.intp, types.intp)
    room = (events, types.intp, of_targets, of_weights, scales, types.intp)
    return types.void(*sample, *room), generate


def _add_row(x: _Lanes, vectors: Any, start: Any, width: Any, i: int, out: _Lanes, to: Any) -> None:
    """Write ⟨xᵢ, x_j⟩ of the block that starts there, zero for j ≤ i."""
    builder = x.builder
    sums = {j: cgutils.alloca_once(builder, x.type) for j in range(i + 1, x.lanes)}
    for register in sums.values():
        builder.store(x.zero, register)
    with cgutils.for_range(builder, vectors) as loop:
        column = builder.add(start, builder.mul(loop.index, _INDEX(x.lanes)))
        own = x.load(builder.add(column, builder.mul(width, _INDEX(i))))
        for j, register in sums.items():
            other = x.load(builder.add(column, builder.mul(width, _INDEX(j))))
            builder.store(x.fused(own, other, builder.load(register)), register)
    row = [builder.load(sums[j]) if j > i else None for j in range(x.lanes)]
    out.store(x.summed(row), builder.add(to, _INDEX(i * x.lanes)))


@intrinsic
def add_products(typing, events, width, block, gram, to):
    """Write ⟨xᵢ, x_j⟩ of a block for i < j, and zeros for the others, into place `to` of `gram`."""

    def generate(context, builder, signature, arguments):
        array, width, block, gram, to = arguments
        x = _Lanes(context, builder, signature.args[0], array)
        out = _Lanes(context, builder, signature.args[3], gram)
        vectors = builder.udiv(width, _INDEX(x.lanes))
        start = builder.mul(builder.mul(block, _INDEX(x.lanes)), width)
        for i in range(x.lanes - 1):
            _add_row(x, vectors, start, width, i, out, builder.mul(to, _INDEX(x.lanes**2)))
        return context.get_dummy_value()

    return types.void(events, types.intp, types.intp, gram, types.intp), generate


@intrinsic
def take_together(typing, loss, inputs, targets, weights, rows, rates, n, at, events, width,
                  of_targets, of_weights, scales, blocks, gram, turn, theta, logits, factors,
                  values):  # fmt: skip
    """Take the steps of a block, with the first half of `theta` before and the other half after.

    `blocks` are the numbers of this block, the next and the one after, whose events, number `at`
    and following, are fetched; `turn` (0 or 1) is the place of this block's products.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        (at, events, width), (blocks, gram, turn, theta, *outs) = arguments[7:10], arguments[13:]
        source = _Source(context, builder, kinds[1:7], arguments[1:7])
        beside = _beside(context, builder, kinds[10:13], arguments[10:13])
        x, g, t = (
            _Lanes(context, builder, kind, value)
            for kind, value in ((kinds[8], events), (kinds[14], gram), (kinds[16], theta))
        )
        lanes = _INDEX(x.lanes)
        own, following, later = (
            builder.mul(b, lanes) for b in cgutils.unpack_tuple(builder, blocks)
        )
        vectors, start = builder.udiv(width, lanes), builder.mul(own, width)
        of_next = builder.mul(following, width)
        square = _INDEX(x.lanes**2)
        products = builder.mul(turn, square)
        others = builder.sub(square, products)

        z = x.summed(_dots(x, t, vectors, start, width))
        y, s = beside["targets"].load(own), beside["scales"].load(own)
        terms = _LOSSES[kinds[0].instance_class](x, y, s)
        steps = []
        for i in range(x.lanes):
            c = terms.slope(z)
            steps.append(x.splat(c, i))
            if i < x.lanes - 1:
                z = x.minus(steps[-1], g.load(builder.add(products, _INDEX(i * x.lanes))), z)
                _add_row(x, vectors, of_next, width, i, g, others)
            number, place = builder.add(at, _INDEX(i)), builder.add(later, _INDEX(i))
            source.fetch(number, x, builder.mul(place, width), beside, place)
            source.ask(builder.add(number, _INDEX(NEAR)), near=True)
            source.ask(builder.add(number, _INDEX(FAR)), near=False)
        with cgutils.for_range(builder, vectors) as loop:
            column = builder.mul(loop.index, lanes)
            value = t.load(column)
            for i, step in enumerate(steps):
                place = builder.add(builder.mul(width, _INDEX(i)), builder.add(start, column))
                value = x.minus(step, x.load(place), value)
            t.store(value, builder.add(width, column))
        for kind, out, vector in zip(kinds[17:], outs, (z, c, terms.value(z)), strict=True):
            _Lanes(context, builder, kind, out).store(vector, _INDEX(0))
        return context.get_dummy_value()

    sample = (loss, inputs, targets, weights, rows, rates, types.intp, types.intp)
    room = (events, types.intp, of_targets, of_weights, scales, types.UniTuple(types.intp, 3))
    result = (gram, types.intp, theta, logits, factors, values)
    return types.void(*sample, *room, *result), generate


def _dots(x: _Lanes, t: _Lanes, vectors: Any, start: Any, width: Any) -> list[Any]:
    """⟨xᵢ, θ⟩ of a block, not yet summed across lanes."""
    builder = x.builder
    sums = [cgutils.alloca_once(builder, x.type) for _ in range(x.lanes)]
    for register in sums:
        builder.store(x.zero, register)
    with cgutils.for_range(builder, vectors) as loop:
        column = builder.mul(loop.index, _INDEX(x.lanes))
        weights, place = t.load(column), builder.add(start, column)
        for i, register in enumerate(sums):
            value = x.load(builder.add(place, builder.mul(width, _INDEX(i))))
            builder.store(x.fused(value, weights, builder.load(register)), register)
    return [builder.load(register) for register in sums]


@intrinsic
def descend(typing, theta, events, width, factors, first, last):
    """θ ← θ − Σ cᵢ xᵢ over the events from `first` up to `last`, in their order."""

    def generate(context, builder, signature, arguments):
        theta, events, width, factors, first, last = arguments
        t = _Lanes(context, builder, signature.args[0], theta)
        x = _Lanes(context, builder, signature.args[1], events)
        c = _Lanes(context, builder, signature.args[3], factors)
        with cgutils.for_range(builder, builder.sdiv(width, _INDEX(t.lanes))) as loop:
            column = builder.mul(loop.index, _INDEX(t.lanes))
            register = cgutils.alloca_once(builder, t.type)
            builder.store(t.load(column), register)
            with cgutils.for_range(builder, builder.sub(last, first)) as steps:
                i = builder.add(first, steps.index)
                event = x.load(builder.add(builder.mul(width, i), column))
                builder.store(t.minus(c.broadcast(i), event, builder.load(register)), register)
            t.store(builder.load(register), column)
        return context.get_dummy_value()

    places = (types.intp, factors, types.intp, types.intp)
    return types.void(theta, events, *places), generate
