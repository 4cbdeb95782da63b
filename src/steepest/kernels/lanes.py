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

The NumPy twin is the loop over single steps.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from steepest.kernels.compiled import intrinsic
from steepest.kernels.lane_losses import LOSSES, VECTOR, Lanes

__all__ = ["VECTOR", "add_products", "descend", "fetch", "take_together"]

FAR, NEAR = 48, 8
"""How far ahead of the fetched events others are asked for, into the second cache and the first."""
_INDEX, _WORD, _BYTE = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_LINE = 64
"""Bytes of a line of the cache."""


class _Source:
    """The sample: where events are fetched from, in the order of `rows`."""

    def __init__(self, context: Any, builder: Any, kinds: Any, arguments: Any) -> None:
        names = ("inputs", "targets", "weights", "rows", "rates", "n")
        self.context, self.builder = context, builder
        self.kinds: dict[str, Any] = dict(zip(names, kinds, strict=True))
        self.arguments: dict[str, Any] = dict(zip(names, arguments, strict=True))
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
        x = Lanes(self.context, builder, self.kinds["inputs"], self.arguments["inputs"])
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
        name: Lanes(context, builder, kind, value)
        for name, kind, value in zip(names, kinds, arguments, strict=True)
    }


@intrinsic
def fetch(typing, inputs, targets, weights, rows, rates, n, at, events, width, of_targets,
          of_weights, scales, place):  # fmt: skip
    """Copy event number `at` to a place of the blocks, with its target, weight and η v."""

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        source = _Source(context, builder, kinds[:6], arguments[:6])
        x = Lanes(context, builder, kinds[7], arguments[7])
        beside = _beside(context, builder, kinds[9:12], arguments[9:12])
        at, width, place = arguments[6], arguments[8], arguments[12]
        source.fetch(at, x, builder.mul(place, width), beside, place)
        return context.get_dummy_value()

    sample = (inputs, targets, weights, rows, rates, types.intp, types.intp)
    room = (events, types.intp, of_targets, of_weights, scales, types.intp)
    return types.void(*sample, *room), generate


def _add_row(x: Lanes, vectors: Any, start: Any, width: Any, i: int, out: Lanes, to: Any) -> None:
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
        x = Lanes(context, builder, signature.args[0], array)
        out = Lanes(context, builder, signature.args[3], gram)
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
            Lanes(context, builder, kind, value)
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
        terms = LOSSES[kinds[0].instance_class](x, y, s)
        steps, c = [], x.zero
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
            Lanes(context, builder, kind, out).store(vector, _INDEX(0))
        return context.get_dummy_value()

    sample = (loss, inputs, targets, weights, rows, rates, types.intp, types.intp)
    room = (events, types.intp, of_targets, of_weights, scales, types.UniTuple(types.intp, 3))
    result = (gram, types.intp, theta, logits, factors, values)
    return types.void(*sample, *room, *result), generate


def _dots(x: Lanes, t: Lanes, vectors: Any, start: Any, width: Any) -> list[Any]:
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
        t = Lanes(context, builder, signature.args[0], theta)
        x = Lanes(context, builder, signature.args[1], events)
        c = Lanes(context, builder, signature.args[3], factors)
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
