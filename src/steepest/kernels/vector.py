"""Products of small matrices in registers: C = S + A B, tile by tile.

The formula, for a tile of h rows and one panel of columns (64 bytes: 16 of float32, 8 of float64):

    C[i, j] = S[i, j] + Σₚ A[i, p] B[p, j]

and its NumPy twin is ``C = S + A @ B``. All operands lie in one array `memory`, each at a place and
with strides, so that A may be taken transposed without a copy, S may be C itself (to add to it) or
one row for all (a bias: stride 0). The sums of a tile stay in registers while p runs; each is taken
in the order of p with fused multiplications, so that an element's bits do not depend on the tile
that it lies in.

A BLAS library packs its operands and asks for threads at each call, which costs more than the
arithmetic of matrices this small. Heights of 4 and 6 rows: 8 and 12 sums keep two multipliers busy
(Goto and van de Geijn, ACM Trans. Math. Softw. 34 (2008) 12).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array, populate_array

from steepest.kernels.compiled import intrinsic, part

__all__ = ["PANEL_BYTES", "Vectors", "prefetch", "product", "view"]

PANEL_BYTES = 64
"""Of one row of a panel: two vectors of 32 bytes."""
_VECTORS = 2
_INDEX, _BYTE = ir.IntType(64), ir.IntType(8)
_FUSED = ("contract",)


class Vectors:
    """Loads and stores of vectors of 32 bytes from a Numba array, at places counted in elements."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        self.builder = builder
        self.bytes = kind.dtype.bitwidth // 8
        self.lanes = PANEL_BYTES // _VECTORS // self.bytes
        self.type = ir.VectorType(context.get_data_type(kind.dtype), self.lanes)
        self.data = context.make_array(kind)(context, builder, array).data
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)

    def pointer(self, place: Any, vector: int = 0) -> Any:
        """Where the vector is that begins so many vectors after a place."""
        place = self.builder.add(place, _INDEX(vector * self.lanes))
        return self.builder.bitcast(self.builder.gep(self.data, [place]), self.type.as_pointer())

    def load(self, place: Any, vector: int = 0) -> Any:
        """The vector there."""
        value = self.builder.load(self.pointer(place, vector))
        value.align = self.bytes
        return value

    def store(self, value: Any, place: Any, vector: int = 0) -> None:
        """Write a vector there."""
        self.builder.store(value, self.pointer(place, vector)).align = self.bytes

    def broadcast(self, place: Any) -> Any:
        """One element in all lanes."""
        value = self.builder.load(self.builder.gep(self.data, [place]))
        undefined = ir.Constant(self.type, ir.Undefined)
        first = self.builder.insert_element(undefined, value, ir.IntType(32)(0))
        return self.shuffled(first, undefined, [0] * self.lanes)

    def shuffled(self, one: Any, two: Any, order: list[int]) -> Any:
        """Lanes of two vectors, by their numbers."""
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
        return self.builder.shuffle_vector(one, two, mask)

    def add_product(self, register: Any, one: Any, two: Any) -> None:
        """Add a product to a register, with one rounding where the processor can."""
        product = self.builder.fmul(one, two, flags=_FUSED)
        total = self.builder.fadd(self.builder.load(register), product, flags=_FUSED)
        self.builder.store(total, register)


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

    def generate(context, builder, signature, arguments):
        array = make_array(signature.args[0])(context, builder, arguments[0])
        word = ir.IntType(32)
        pointer = builder.bitcast(builder.gep(array.data, [arguments[1]]), _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [_BYTE.as_pointer(), word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(memory, types.intp), generate


@intrinsic(prefer_literal=True)
def _tile(typing, height, memory, a, a_row, a_depth, b, b_depth, depth, c, c_row, s, s_row):
    """C = S + A B for `height` rows (a constant) and one panel of columns."""
    rows = height.literal_value
    signature = types.void(height, memory, a, a_row, a_depth, b, b_depth, depth, c, c_row, s, s_row)

    def generate(context, builder, signature, arguments):
        _, array, a, a_row, a_depth, b, b_depth, depth, c, c_row, s, s_row = arguments
        vectors = Vectors(context, builder, signature.args[1], array)
        sums = [
            [cgutils.alloca_once(builder, vectors.type) for _ in range(_VECTORS)]
            for _ in range(rows)
        ]
        for i, registers in enumerate(sums):
            place = builder.add(s, builder.mul(s_row, _INDEX(i)))
            for v, register in enumerate(registers):
                builder.store(vectors.load(place, v), register)
        with cgutils.for_range(builder, depth) as loop:
            across = builder.add(b, builder.mul(loop.index, b_depth))
            columns = [vectors.load(across, v) for v in range(_VECTORS)]
            down = builder.add(a, builder.mul(loop.index, a_depth))
            for i, registers in enumerate(sums):
                value = vectors.broadcast(builder.add(down, builder.mul(a_row, _INDEX(i))))
                for register, column in zip(registers, columns, strict=True):
                    vectors.add_product(register, value, column)
        for i, registers in enumerate(sums):
            place = builder.add(c, builder.mul(c_row, _INDEX(i)))
            for v, register in enumerate(registers):
                vectors.store(builder.load(register), place, v)
        return context.get_dummy_value()

    return signature, generate


@part
def product(
    memory, rows, columns, depth, a, a_row, a_depth, b, b_column, b_depth, c, c_row, s, s_row
):
    """C = S + A B: `rows` a multiple of 4 (at least 4), `columns` of the panel.

    Panel by panel, B's columns start at ``b + j · b_column``: 1 for rows of B one after the other,
    `depth` for panels one after the other.
    """
    panel = PANEL_BYTES // memory.itemsize
    for j in range(0, columns, panel):
        start, i = b + j * b_column, 0
        while i < rows:
            left = rows - i
            if left >= 6 and left != 8:
                _tile(
                    6, memory, a + i * a_row, a_row, a_depth, start, b_depth, depth,
                    c + i * c_row + j, c_row, s + i * s_row + j, s_row,
                )  # fmt: skip
                i += 6
            else:
                _tile(
                    4, memory, a + i * a_row, a_row, a_depth, start, b_depth, depth,
                    c + i * c_row + j, c_row, s + i * s_row + j, s_row,
                )  # fmt: skip
                i += 4
