"""Products of a matrix with vectors: z = X w + b, and g ← g + Xᵀ d.

X is row-major and given flat. Both go by `ROWS` rows at a time, in loops over the columns that LLVM
vectorises on any processor. A row rarely fills whole vectors, so the loops run over `width` ≥ n
columns: what they read behind a row, the next one's first numbers, is multiplied by weights that
are zero, and is added to entries of g that nobody reads. So `width` columns must lie behind the
last row, and they must be finite. Indices are unsigned: Numba then leaves out its test for negative
ones, which would keep the loops from being vectorised.

The NumPy twins are ``X @ w + b`` and ``g + X.T @ d``.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, reduction

__all__ = ["ROWS", "add_products", "logits", "width_of"]

ROWS = 8
_BYTES = 32
"""Columns are padded to whole multiples of so many bytes, a vector of AVX2."""


@helper
def width_of(n, itemsize):
    """The number of columns that the loops run over, for n features."""
    unit = _BYTES // itemsize
    return (n + unit - 1) // unit * unit


@reduction
def logits(x, count, n, weights, bias, out):
    """Write z = X w + b of `count` rows, a multiple of `ROWS`; `weights` are padded by zeros."""
    a = np.uint64(n)
    b = a + a
    c, d = b + a, b + b
    e, f, g = d + a, d + b, d + b + a
    for i in range(0, count, ROWS):
        rows, z = x[i * n :], out[i : i + ROWS]
        z0 = z1 = z2 = z3 = z4 = z5 = z6 = z7 = bias
        for j in range(np.uint64(len(weights))):
            w = weights[j]
            z0 += rows[j] * w
            z1 += rows[a + j] * w
            z2 += rows[b + j] * w
            z3 += rows[c + j] * w
            z4 += rows[d + j] * w
            z5 += rows[e + j] * w
            z6 += rows[f + j] * w
            z7 += rows[g + j] * w
        z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7] = z0, z1, z2, z3, z4, z5, z6, z7


@reduction
def add_products(x, count, n, factors, out):
    """Add Xᵀ d of `count` rows, a multiple of `ROWS`; of the `width` entries the first n count."""
    a = np.uint64(n)
    b = a + a
    c, d = b + a, b + b
    e, f, g = d + a, d + b, d + b + a
    for i in range(0, count, ROWS):
        rows, s = x[i * n :], factors[i : i + ROWS]
        s0, s1, s2, s3, s4, s5, s6, s7 = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
        for j in range(np.uint64(len(out))):
            out[j] += (
                (s0 * rows[j] + s1 * rows[a + j])
                + (s2 * rows[b + j] + s3 * rows[c + j])
                + (s4 * rows[d + j] + s5 * rows[e + j])
                + (s6 * rows[f + j] + s7 * rows[g + j])
            )
