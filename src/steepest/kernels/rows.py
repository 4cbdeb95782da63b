"""Products with single vectors on a few rows: z = X w + b and g ← g + Xᵀ d.

Both take rows ``(count, n)`` of a C-ordered matrix, given as a flat array and a place in it. For
many rows there is `steepest.kernels.groups`; these serve for those that do not fill a group.

The NumPy twins are ``X @ w + b`` and ``g + X.T @ d``.
"""

from __future__ import annotations

from steepest.kernels.compiled import part, sums
from steepest.kernels.vector import view

__all__ = ["add_products", "dot", "dots"]


@sums
def dot(row, weights):
    """⟨x, w⟩."""
    total = row.dtype.type(0.0)
    for j in range(len(row)):
        total += row[j] * weights[j]
    return total


@part
def dots(rows, start, count, n, weights, bias, out):
    """Write z = X w + b, for `count` rows from the element `start` of a flat array on."""
    weights = view(weights, 0, n)
    for i in range(count):
        out[i] = dot(view(rows, start + i * n, n), weights) + bias


@part
def add_products(rows, start, count, n, factors, out):
    """G ← g + Xᵀ d, for `count` rows from the element `start` of a flat array on."""
    out = view(out, 0, n)
    for i in range(count):
        row, factor = view(rows, start + i * n, n), factors[i]
        for j in range(n):
            out[j] += factor * row[j]
