"""Products in the tiles of AMX: C = b + A B in float32, from numbers cut into three of 8 bits.

A tile is 16 rows of 64 bytes. One instruction takes tiles of bfloat16, whose products are exact in
float32, and adds 16 · 16 · 32 of them up in float32, sixteen times as many as a vector would. A
number of float32 has 24 bits, and is the sum of three of bfloat16: a = a₀ + a₁ + a₂, exactly. Of
the nine products the three smallest are left out, which are below 2⁻²²::

    a b ≈ a₀ b₀ + a₀ b₁ + a₁ b₀ + a₀ b₂ + a₁ b₁ + a₂ b₀

Operands are laid out in pieces. A row of A has for each `DEPTH` columns three lines: a₀, a₁, a₂ of
columns j and 16 + j side by side. B has for each 16 columns and `DEPTH` rows three tiles: rows i
and 16 + i side by side. What is infinite becomes NaN. The NumPy twin is ``b + A @ B``.
"""

from __future__ import annotations

import ctypes
import platform
from functools import cache
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.np.arrayobj import make_array

from steepest.kernels.compiled import intrinsic, part
from steepest.kernels.vector import VECTOR_BYTES, Vectors

__all__ = [
    "DEPTH", "LINE", "PIECES", "ROWS", "begin_tiles", "cut", "end_tiles", "tiled", "tiles_are_there"
]  # fmt: skip

LINE = 16
"""Numbers of a row of a tile, and rows of a tile."""
DEPTH = 2 * LINE
"""Products that are added up by one instruction, for each number of a tile."""
PIECES = 3
"""Numbers of 8 bits that one of 24 is cut into: two of them lie in the place of one of float32."""
ROWS = 2 * LINE
"""Rows, and columns, of the four tiles whose sums are taken together."""
_ORDER = ((0, 0), (0, 2), (0, 1), (1, 1), (1, 0), (2, 0))
"""Which pieces of A and B are multiplied, in turn: one of both stays from one to the next."""
_REQUEST, _TILE_DATA, _CALL = 0x1023, 18, 158
_BYTE, _WORD, _INDEX = ir.IntType(8), ir.IntType(32), ir.IntType(64)


@cache
def tiles_are_there() -> bool:
    """Whether the processor has tiles of bfloat16, and the system lets this process have them."""
    known = binding.get_host_cpu_features()
    if not all(known.get(name) for name in ("amx-tile", "amx-bf16", "avx512f")):
        return False
    if platform.system() != "Linux" or platform.machine() != "x86_64" or VECTOR_BYTES != 64:
        return False
    asked = ctypes.CDLL(None, use_errno=True).syscall(_CALL, _REQUEST, _TILE_DATA)
    return asked == 0


def _call(builder: Any, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [argument.type for argument in arguments])
    builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.{name}"), arguments
    )


@intrinsic
def begin_tiles(typing):
    """Give this thread eight tiles of 16 rows of 64 bytes."""

    def generate(context, builder, signature, arguments):
        shape = [1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[LINE] * 8, *[0] * 8]
        kind = ir.ArrayType(_BYTE, 64)
        place = cgutils.alloca_once(builder, kind)
        builder.store(ir.Constant(kind, bytearray(shape)), place)
        _call(builder, "ldtilecfg", builder.bitcast(place, _BYTE.as_pointer()))
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def end_tiles(typing):
    """Give them back."""

    def generate(context, builder, signature, arguments):
        _call(builder, "tilerelease")
        return context.get_dummy_value()

    return types.void(), generate


@intrinsic
def cut(typing, source, one, two, target, to, apart):
    """Cut two vectors, at places of an array, into three lines of another, so far apart."""

    def generate(context, builder, signature, arguments):
        source, one, two, target, to, apart = arguments
        given = Vectors(context, builder, signature.args[0], source)
        out = Vectors(context, builder, signature.args[3], target)
        integers = ir.VectorType(_WORD, LINE)
        high = ir.Constant(integers, [0xFFFF0000] * LINE)
        half = ir.Constant(integers, [16] * LINE)
        rests = [given.load(place) for place in (one, two)]
        for piece in range(PIECES):
            bits = [builder.bitcast(rest, integers) for rest in rests]
            kept = [builder.and_(word, high) for word in bits]  # at the edge of zero there is more
            if piece < PIECES - 1:
                rests = [
                    builder.fsub(rest, builder.bitcast(word, given.type))
                    for rest, word in zip(rests, kept, strict=True)
                ]
            both = builder.or_(builder.lshr(bits[0], half), kept[1])
            place = builder.add(to, builder.mul(apart, _INDEX(piece)))
            out.store(builder.bitcast(both, out.type), place)
        return context.get_dummy_value()

    return types.void(source, types.intp, types.intp, target, types.intp, types.intp), generate


@intrinsic
def _square(typing, memory, depth, a, a_row, b, b_column, c, c_row, bias):
    """Two rows of two tiles: tiles 0 to 3 have the sums, 4 and 5 are of A, 6 and 7 of B."""

    def generate(context, builder, signature, arguments):
        array, depth, a, a_row, b, b_column, c, c_row, bias = arguments
        data = make_array(signature.args[0])(context, builder, array).data
        itemsize = _INDEX(4)

        def move(what: str, tile: int, place: Any, stride: Any) -> None:
            pointer = builder.bitcast(builder.gep(data, [place]), _BYTE.as_pointer())
            _call(builder, f"{what}64", _BYTE(tile), pointer, builder.mul(stride, itemsize))

        def further(place: Any, step: Any, number: int) -> Any:
            return builder.add(place, builder.mul(step, _INDEX(number)))

        sums = [(i, j) for i in range(2) for j in range(2)]
        for i, j in sums:
            move("tileloadd", 2 * i + j, further(bias, _INDEX(LINE), j), _INDEX(0))
        with cgutils.for_range(builder, depth) as loop:
            down = further(a, builder.mul(loop.index, _INDEX(PIECES * LINE)), 1)
            across = further(b, builder.mul(loop.index, _INDEX(PIECES * LINE * LINE)), 1)
            before = (-1, -1)
            for pieces in _ORDER:
                for number in range(2):
                    if pieces[0] != before[0]:
                        place = further(down, builder.mul(a_row, _INDEX(LINE)), number)
                        place = builder.add(place, _INDEX(pieces[0] * LINE))
                        move("tileloadd", 4 + number, place, a_row)
                    if pieces[1] != before[1]:
                        place = further(across, b_column, number)
                        place = builder.add(place, _INDEX(pieces[1] * LINE * LINE))
                        move("tileloadd", 6 + number, place, _INDEX(LINE))
                for i, j in sums:
                    tiles = (2 * i + j, 4 + i, 6 + j)
                    _call(builder, "tdpbf16ps", *[_BYTE(tile) for tile in tiles])
                before = pieces
        for i, j in sums:
            place = further(further(c, builder.mul(c_row, _INDEX(LINE)), i), _INDEX(LINE), j)
            move("tilestored", 2 * i + j, place, c_row)
        return context.get_dummy_value()

    places = types.intp, types.intp, types.intp, types.intp, types.intp, types.intp, types.intp
    return types.void(memory, types.intp, *places), generate


@part
def tiled(memory, rows, columns, depth, a, b, c, c_row, bias):
    """C = b + A B for rows and columns in whole `ROWS`, and a depth in whole `DEPTH`.

    A and B are cut, B's tiles lying column of tiles by column of tiles.
    """
    steps = depth // DEPTH
    a_row, b_column = steps * PIECES * LINE, steps * PIECES * LINE * LINE
    for j in range(0, columns, ROWS):
        for i in range(0, rows, ROWS):
            _square(memory, steps, a + i * a_row, a_row, b + (j // LINE) * b_column, b_column,
                    c + i * c_row + j, c_row, bias + j)  # fmt: skip
