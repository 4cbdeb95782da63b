"""Vectors in machine code: loads, stores and sums of a processor's registers, and views of arrays.

A vector has `VECTOR_BYTES`: 64 where the processor has AVX-512, 32 elsewhere (where its registers
are smaller, the compiler takes two for one). The NumPy twins are slices, ``+``, ``*`` and ``sum``
of so many numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from steepest.kernels.compiled import intrinsic

__all__ = [
    "VECTOR_BYTES", "Masked", "Vectors", "added_across", "aligned", "aligned_copy", "claim",
    "prefetch", "view",
]  # fmt: skip

VECTOR_BYTES = 64 if binding.get_host_cpu_features().get("avx512f") else 32
_INDEX, _BYTE = ir.IntType(64), ir.IntType(8)
_FUSED = ("contract",)
_APART = 128  # bytes: two lines of the cache, which processors fetch together


class Vectors:
    """Loads and stores of vectors from a Numba array, at places counted in elements."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        self.builder = builder
        self.bytes = kind.dtype.bitwidth // 8
        self.lanes = VECTOR_BYTES // self.bytes
        self.type = ir.VectorType(context.get_data_type(kind.dtype), self.lanes)
        self.data = context.make_array(kind)(context, builder, array).data
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)

    def pointer(self, place: Any, vector: int = 0) -> Any:
        """Where the vector is that begins so many vectors after a place."""
        place = self.builder.add(place, _INDEX(vector * self.lanes))
        return self.builder.bitcast(self.builder.gep(self.data, [place]), self.type.as_pointer())

    def load(self, place: Any, vector: int = 0) -> Any:
        """The vector there."""
        return self.load_at(self.pointer(place, vector))

    def load_at(self, pointer: Any) -> Any:
        """The vector that a pointer leads to."""
        value = self.builder.load(pointer)
        value.align = self.bytes
        return value

    def store(self, value: Any, place: Any, vector: int = 0) -> None:
        """Write a vector there."""
        self.builder.store(value, self.pointer(place, vector)).align = self.bytes

    def ask(self, place: Any, near: int = 2) -> None:
        """Ask for the line of an element, into the second cache (the first: 3); do not wait."""
        self.builder.call(*_asked(self.builder, self.data, place, near))

    def spread(self, value: Any) -> Any:
        """A number in all lanes."""
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        return self.shuffled(first, undefined, [0] * self.lanes)

    def broadcast(self, place: Any) -> Any:
        """One element in all lanes."""
        return self.spread(self.builder.load(self.builder.gep(self.data, [place])))

    def shuffled(self, one: Any, two: Any, order: list[int]) -> Any:
        """Lanes of two vectors, by their numbers."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
        return self.builder.shuffle_vector(one, two, mask)

    def keep_positive(self, register: Any, signs: Any) -> None:
        """Set a register to zero where the other vector is not positive, and is a number."""
        below = self.builder.fcmp_ordered("<=", signs, self.zero)
        value = self.builder.select(below, self.zero, self.builder.load(register))
        self.builder.store(value, register)

    def add_product(self, register: Any, one: Any, two: Any) -> None:
        """Add a product to a register, with one rounding where the processor can."""
        product = self.builder.fmul(one, two, flags=_FUSED)
        total = self.builder.fadd(self.builder.load(register), product, flags=_FUSED)
        self.builder.store(total, register)


class Masked(Vectors):
    """Vectors of which the last of a row has fewer lanes: it is read and written under a mask."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any, rest: Any) -> None:
        super().__init__(context, builder, kind, array)
        spread = ir.VectorType(_INDEX, self.lanes)
        first = builder.insert_element(ir.Constant(spread, ir.Undefined), rest, ir.IntType(32)(0))
        count = self.shuffled(first, ir.Constant(spread, ir.Undefined), [0] * self.lanes)
        numbers = ir.Constant(spread, list(range(self.lanes)))
        self.mask = builder.icmp_signed("<", numbers, count)

    def load_first(self, place: Any) -> Any:
        """The first lanes under the mask, and zeros."""
        return self.first_at(self.pointer(place))

    def first_at(self, pointer: Any) -> Any:
        """The same that a pointer leads to."""
        return self.load_under(self.mask, pointer, self.zero)

    def load_under(self, mask: Any, pointer: Any, others: Any) -> Any:
        """Lanes under a mask, and others."""
        function = self._masked("load", self.type, [ir.IntType(32), mask.type, self.type])
        align = ir.IntType(32)(self.bytes)
        return self.builder.call(function, [pointer, align, mask, others])

    def store_first(self, value: Any, place: Any) -> None:
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


def added_across(v: Vectors, vectors: list[Any]) -> Any:
    """The sum of each vector's lanes, side by side: of two halves, where there are half as many."""
    even, odd = list(range(0, 2 * v.lanes, 2)), list(range(1, 2 * v.lanes, 2))
    while len(vectors) > 1:
        vectors = [
            v.builder.fadd(v.shuffled(a, b, even), v.shuffled(a, b, odd))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors[0]


def _asked(
    builder: Any, data: Any, place: Any, near: int, to_write: bool = False
) -> tuple[Any, list[Any]]:
    word = ir.IntType(32)
    pointer = builder.bitcast(builder.gep(data, [place]), _BYTE.as_pointer())
    kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), word, word, word])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    return function, [pointer, word(int(to_write)), word(near), word(1)]


def aligned(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that share no line of the cache with another array.

    A vector that lies on two lines is loaded twice; two threads that write on one line take it
    from each other each time.

    Examples
    --------
    >>> aligned((2, 3), "float32").ctypes.data % 128
    0
    """
    shape = shape if isinstance(shape, tuple) else (int(shape),)
    return _placed(np.zeros, shape, np.dtype(dtype))


def aligned_copy(values: np.ndarray) -> np.ndarray:
    """A copy that shares no line of the cache with another array."""
    copy = _placed(np.empty, values.shape, values.dtype)
    copy[...] = values
    return copy


def _placed(make: Callable[..., np.ndarray], shape: tuple[int, ...], kind: Any) -> np.ndarray:
    size = kind.itemsize * math.prod(shape)
    raw = make(_APART * (size // _APART + 2), dtype=np.uint8)
    start = -raw.__array_interface__["data"][0] % _APART
    return np.ndarray(shape, kind, raw, start)


@intrinsic
def view(typing, memory, start, size):
    """``memory[start : start + size]``, which stays valid only as long as `memory` does."""
    kind = types.Array(memory.dtype, 1, "C")

    def generate(context, builder, signature, arguments):
        array, start, size = arguments
        whole = make_array(signature.args[0])(context, builder, array)
        part = make_array(kind)(context, builder)
        populate_array(
            part,
            data=builder.gep(whole.data, [start]),
            shape=[size],
            strides=[whole.itemsize],
            itemsize=whole.itemsize,
            meminfo=None,
        )
        return part._getvalue()

    return kind(memory, types.intp, types.intp), generate


@intrinsic
def prefetch(typing, memory, place):
    """Ask for the cache line of an element, and do not wait for it."""
    return types.void(memory, types.intp), _asking(to_write=False)


@intrinsic
def claim(typing, memory, place):
    """The same for a line that is to be written, which other cores then must read again."""
    return types.void(memory, types.intp), _asking(to_write=True)


def _asking(to_write: bool) -> Any:
    def generate(context, builder, signature, arguments):
        array = make_array(signature.args[0])(context, builder, arguments[0])
        builder.call(*_asked(builder, array.data, arguments[1], 3, to_write))
        return context.get_dummy_value()

    return generate
