"""Activations without their slopes, for what only looks forward: tanh in whole vectors.

In float32 tanh is a rational function of x between ±8.32, where it is one up to two units in the
last place, and is taken at that edge beyond::

    tanh x = x P(x²) / Q(x²),   P and Q of degree 4

Its coefficients are those for which the largest relative error is smallest, 10⁻⁸; with rounding
the result is within seven units in the last place. Two vectors share a reciprocal r of Q Q′, since
1/Q = Q′ / (Q Q′). It begins with the bits of Q Q′ taken from a constant (off by 5 % at most), and
goes on by e → e³ and e → e², with e = 1 − Q Q′ r. There is no division: one takes as long as all
of this. NaN stays NaN, and makes its neighbour NaN; −0 stays −0.

What else there is comes from `steepest.kernels.pointwise`. The NumPy twins are those of
`steepest.kernels.activations`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from steepest.kernels.compiled import intrinsic, overload, part
from steepest.kernels.pointwise import Tanh, activate
from steepest.kernels.vector import VECTOR_BYTES, Vectors

__all__ = ["bend", "bend_sum"]

_EDGE = float(np.float32(8.32))
_OVER = (
    0.9999999904563893, 0.13424617210083564, 0.0035476636907331906, 2.1482780429791814e-05,
    1.4610072489805025e-08,
)  # fmt: skip
_UNDER = (
    1.0, 0.4675794184940373, 0.026074268773565615, 0.00033714518291509123, 8.280070009346798e-07
)  # fmt: skip
_ROUGH = 0x7EF311C7
"""Less a number's bits, these are the bits of about its reciprocal."""
_TOGETHER = 4
"""Vectors between which a processor finds work while it waits for one."""
_INDEX, _WORD = ir.IntType(64), ir.IntType(32)


class _Bent(Vectors):
    """Vectors of float32 with their tanh."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        super().__init__(context, builder, kind, array)
        self.integers = ir.VectorType(_WORD, self.lanes)

    def constant(self, value: float) -> Any:
        """A number in all lanes."""
        return ir.Constant(self.type, [float(np.float32(value))] * self.lanes)

    def fused(self, one: Any, two: Any, three: Any) -> Any:
        """One · two + three, with one rounding where the processor can."""
        product = self.builder.fmul(one, two, flags=("contract",))
        return self.builder.fadd(product, three, flags=("contract",))

    def pair(self, one: Any, two: Any) -> tuple[Any, Any]:
        """Tanh of two vectors."""
        builder = self.builder
        (n, d), (m, e) = self._quotient(one), self._quotient(two)
        share = self._reciprocal(builder.fmul(d, e))
        return (
            builder.fmul(n, builder.fmul(share, e)), builder.fmul(m, builder.fmul(share, d))
        )  # fmt: skip

    def _quotient(self, x: Any) -> tuple[Any, Any]:
        builder = self.builder
        for edge, beyond in ((_EDGE, ">"), (-_EDGE, "<")):
            edge = self.constant(edge)
            x = builder.select(builder.fcmp_ordered(beyond, x, edge), edge, x)
        square = builder.fmul(x, x)
        return builder.fmul(x, self._polynomial(_OVER, square)), self._polynomial(_UNDER, square)

    def _polynomial(self, coefficients: tuple[float, ...], x: Any) -> Any:
        value = self.constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = self.fused(value, x, self.constant(coefficient))
        return value

    def _reciprocal(self, value: Any) -> Any:
        builder, one = self.builder, self.constant(1.0)
        rough = ir.Constant(self.integers, [_ROUGH] * self.lanes)
        bits = builder.sub(rough, builder.bitcast(value, self.integers))
        found, minus = builder.bitcast(bits, self.type), builder.fneg(value)
        error = self.fused(minus, found, one)
        found = self.fused(found, self.fused(error, error, error), found)
        return self.fused(found, self.fused(minus, found, one), found)


def _vectors_of(vectors: int, summed: bool) -> Any:
    """Tanh of so many vectors at a place, or of the sums of three arrays there."""

    def bent(out: _Bent, at: Any, sums: list[Any]) -> None:
        pairs = [out.pair(a, b) for a, b in zip(sums[::2], [*sums[1::2], *sums[-1:]], strict=False)]
        found = [value for pair in pairs for value in pair][: len(sums)]
        for number, value in enumerate(found):
            out.store(value, at, number)

    @intrinsic
    def of_one(typing, source, values, at):
        def generate(context, builder, signature, arguments):
            given, out = (
                _Bent(context, builder, kind, array)
                for kind, array in zip(signature.args[:2], arguments[:2], strict=True)
            )
            at = arguments[2]
            bent(out, at, [given.load(at, number) for number in range(vectors)])
            return context.get_dummy_value()

        return types.void(source, values, types.intp), generate

    @intrinsic
    def of_three(typing, start, one, two, share, other, values, at):
        def generate(context, builder, signature, arguments):
            zero, one, two, share, other, values, at = arguments
            zero, one, two, out = (
                _Bent(context, builder, signature.args[index], array)
                for index, array in ((0, zero), (1, one), (2, two), (5, values))
            )
            share, other = out.spread(share), out.spread(other)
            sums = [
                out.fused(
                    other, two.load(at, number),
                    out.fused(share, one.load(at, number), zero.load(at, number)),
                )
                for number in range(vectors)
            ]  # fmt: skip
            bent(out, at, sums)
            return context.get_dummy_value()

        return types.void(start, one, two, share, other, values, types.intp), generate

    return of_three if summed else of_one


_four, _one = _vectors_of(_TOGETHER, summed=False), _vectors_of(1, summed=False)
_four_summed, _one_summed = _vectors_of(_TOGETHER, summed=True), _vectors_of(1, summed=True)
_LANES = VECTOR_BYTES // 4


@part
def _tanh(sums, values):
    whole = len(sums) - len(sums) % (_TOGETHER * _LANES)
    for at in range(0, whole, _TOGETHER * _LANES):
        _four(sums, values, at)
    for at in range(whole, len(sums), _LANES):
        _one(sums, values, at)


@part
def _tanh_of_sum(start, one, two, share, other, values):
    whole = len(values) - len(values) % (_TOGETHER * _LANES)
    for at in range(0, whole, _TOGETHER * _LANES):
        _four_summed(start, one, two, share, other, values, at)
    for at in range(whole, len(values), _LANES):
        _one_summed(start, one, two, share, other, values, at)


def bend(kind: Any, sums: Any, values: Any) -> None:
    """Write a(z) to `values`, both ``(n,)`` of whole vectors; the sums may be lost."""
    raise NotImplementedError  # compiled only


def bend_sum(kind: Any, start: Any, one: Any, two: Any, share: Any, other: Any, room: Any,
             values: Any) -> None:  # fmt: skip
    """Write a(start + share · one + other · two) to `values`; `room` is as long."""
    raise NotImplementedError  # compiled only


def _in_vectors(kind: Any, values: Any) -> bool:
    return kind.instance_class is Tanh and values.dtype == types.float32


@overload(bend)
def _bend(kind, sums, values):
    def vectors(kind, sums, values):
        _tanh(sums, values)

    def others(kind, sums, values):
        activate(kind, sums, values)

    return vectors if _in_vectors(kind, values) else others


@overload(bend_sum)
def _bend_sum(kind, start, one, two, share, other, room, values):
    def vectors(kind, start, one, two, share, other, room, values):
        _tanh_of_sum(start, one, two, share, other, values)

    def others(kind, start, one, two, share, other, room, values):
        for i in range(len(room)):
            room[i] = start[i] + share * one[i] + other * two[i]
        activate(kind, room, values)

    return vectors if _in_vectors(kind, values) else others
