"""The logits of events, each with the same bits whichever other events there are.

A BLAS adds up the rows at the edges of a matrix in another order than those in its middle. Here
events are columns, and all that is done is loops over columns: one event's arithmetic is the same
at any place. Weights of two outputs and four inputs stay in registers meanwhile.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel
from steepest.compiled.network.layout import BIASES, WEIGHTS, K, N
from steepest.compiled.pointwise import activate

_COLUMNS = 256
"""Events at once."""


@helper
def _add_inputs(W, A, p, j, out, other):
    """Add inputs p … p + 3 to outputs j and j + 1."""
    a0, a1, a2, a3 = A[p], A[p + 1], A[p + 2], A[p + 3]
    w00, w01, w02, w03 = W[p, j], W[p + 1, j], W[p + 2, j], W[p + 3, j]
    w10, w11, w12, w13 = W[p, j + 1], W[p + 1, j + 1], W[p + 2, j + 1], W[p + 3, j + 1]
    for i in range(len(out)):
        x0, x1, x2, x3 = a0[i], a1[i], a2[i], a3[i]
        out[i] = out[i] + w00 * x0 + w01 * x1 + w02 * x2 + w03 * x3
        other[i] = other[i] + w10 * x0 + w11 * x1 + w12 * x2 + w13 * x3


@helper
def _add_input(w, a, out):
    for i in range(len(out)):
        out[i] += w * a[i]


@helper
def _multiply(W, biases, A, Z):
    """Z = Wᵀ A + b, with A ``(inputs, events)`` and Z ``(outputs, events)``."""
    k, n = W.shape
    for j in range(n):
        for i in range(Z.shape[1]):
            Z[j, i] = biases[j]
    for j in range(0, n - n % 2, 2):
        for p in range(0, k - k % 4, 4):
            _add_inputs(W, A, p, j, Z[j], Z[j + 1])
        for p in range(k - k % 4, k):
            _add_input(W[p, j], A[p], Z[j])
            _add_input(W[p, j + 1], A[p], Z[j + 1])
    if n % 2:
        for p in range(k):
            _add_input(W[p, n - 1], A[p], Z[n - 1])


@kernel
def write_logits(network, theta, inputs, out):
    """Write the logits of `inputs` ``(events, features)`` to `out` ``(events, outputs)``."""
    table, last = network.table, len(network.table) - 1
    width = table[0, K]
    for layer in range(last + 1):
        width = max(width, table[layer, N])
    one, two = np.empty(width * _COLUMNS, theta.dtype), np.empty(width * _COLUMNS, theta.dtype)
    slopes = np.empty(width * _COLUMNS, theta.dtype)
    for first in range(0, len(inputs), _COLUMNS):
        count = min(_COLUMNS, len(inputs) - first)
        A = one[: table[0, K] * count].reshape((table[0, K], count))
        for i in range(count):
            for j in range(len(A)):
                A[j, i] = inputs[first + i, j]
        for layer in range(last + 1):
            k, n, start = table[layer, K], table[layer, N], table[layer, WEIGHTS]
            Z = two[: n * count].reshape((n, count))
            W = theta[start : start + k * n].reshape((k, n))
            _multiply(W, theta[table[layer, BIASES] : table[layer, BIASES] + n], A, Z)
            if layer < last:
                activate(network.activation, two[: n * count], slopes[: n * count])
            A, one, two = Z, two, one
        for i in range(count):
            for j in range(len(A)):
                out[first + i, j] = A[j, i]
