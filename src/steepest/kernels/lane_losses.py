"""Functions of whole vectors that steps of linear models are made of: a loss and its slope.

e^{−|z|} is 2ᵏ 2ʳ with |r| ≤ ½ and a Taylor polynomial for 2ʳ, of degree 7 in float32 and 13 in
float64, so that the slopes of sure predictions keep their digits; log(1 + t) is the series of
`steepest.kernels.elementary`. Polynomials are taken in pairs, which are ready earlier than Horner's
scheme is. The formulas, and the NumPy twins, are those of `steepest.losses`.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from steepest.kernels.pointwise import BinaryEntropy, SquaredError
from steepest.kernels.vector import Vectors

__all__ = ["LOSSES", "VECTOR", "Lanes"]

VECTOR = 32
"""Bytes of a vector where steps wait for each other: wider ones take more products, and wait as
long."""
_INDEX, _WORD = ir.IntType(64), ir.IntType(32)


class Lanes(Vectors):
    """Vectors with the functions that a step needs."""

    def __init__(
        self, context: Any, builder: Any, kind: Any, array: Any, width: int = VECTOR
    ) -> None:
        super().__init__(context, builder, kind, array)
        self.lanes = width // self.bytes
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
        builder = self.builder
        return self.series(builder.fdiv(t, builder.fadd(self.constant(2.0), t)))

    def series(self, s: Any) -> Any:
        """Log(1 + t) of s = t/(2 + t)."""
        builder, terms = self.builder, 8 if self.single else 17
        series = [2.0 / (2 * j + 1) for j in range(terms)]
        return builder.fmul(s, self.polynomial(series, builder.fmul(s, s)))

    def _unary(self, name: str, value: Any) -> Any:
        kind = ir.FunctionType(self.type, [self.type])
        name = f"llvm.{name}.v{self.lanes}{'f32' if self.single else 'f64'}"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [value])


class _BinaryEntropy:
    """log(1 + eᶻ) − y z, and s ((1 − y) σ(z) − y σ(−z)) with one division."""

    def __init__(self, v: Lanes, targets: Any, scales: Any) -> None:
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

    def value_and_slope(self, z: Any) -> tuple[Any, Any]:
        """Both, with one division for three quotients; what is no number stays so."""
        v, builder = self.v, self.v.builder
        tail, above = v.exponential(z), builder.fcmp_ordered(">=", z, v.zero)
        one, two = (builder.fadd(v.constant(c), tail) for c in (1.0, 2.0))
        share = builder.fdiv(v.constant(1.0), builder.fmul(one, two))
        whole = builder.select(above, self.of_zero, self.of_one)
        part = builder.select(above, self.of_one, self.of_zero)
        slope = builder.fmul(builder.fmul(v.fused(part, tail, whole), two), share)
        logarithm = v.series(builder.fmul(builder.fmul(tail, one), share))
        positive = builder.select(above, z, v.zero)
        value = builder.fadd(v.minus(self.targets, z, positive), logarithm)
        return value, builder.select(builder.fcmp_unordered("uno", z, z), z, slope)


class _SquaredError:
    """(z − y)², and 2 s (z − y)."""

    def __init__(self, v: Lanes, targets: Any, scales: Any) -> None:
        self.v, self.targets = v, targets
        self.factors = v.builder.fadd(scales, scales)

    def slope(self, z: Any) -> Any:
        return self.v.builder.fmul(self.factors, self.v.builder.fsub(z, self.targets))

    def value(self, z: Any) -> Any:
        residual = self.v.builder.fsub(z, self.targets)
        return self.v.builder.fmul(residual, residual)

    def value_and_slope(self, z: Any) -> tuple[Any, Any]:
        return self.value(z), self.slope(z)


LOSSES: dict[type, Any] = {BinaryEntropy: _BinaryEntropy, SquaredError: _SquaredError}
"""The terms of a loss, by its type."""
