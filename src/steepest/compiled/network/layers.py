"""A block of events through a dense network and back.

    forward    Zₗ = Aₗ₋₁ Wₗ + bₗ,  Aₗ = a(Zₗ)
    backward   ∂J/∂Wₗ = Aₗ₋₁ᵀ Dₗ,  ∂J/∂bₗ = 1ᵀ Dₗ,  Dₗ₋₁ = (Dₗ Wₗᵀ) ∘ a′(Zₗ₋₁)

Events are rows, and the products are BLAS's: on 64 × 64 weights it is near the processor's peak,
and loops that LLVM vectorises are at half of it. Wᵀ of a small layer is copied once a step, since a
product with the transpose of a small matrix takes up to twice as long. Layers of one output are
loops.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, reduction
from steepest.compiled.network import layout
from steepest.compiled.network.layout import (
    BIASES,
    INPUT,
    OUTPUT,
    SIGNAL,
    SLOPES,
    WEIGHTS,
    K,
    N,
    matrix,
)
from steepest.compiled.pointwise import RELU, activate, differentiate

_LARGE = 16_384
"""Weights of a layer from which on a product with Wᵀ costs no more than one with W."""


@helper
def gather(network, memory, events, first, count):
    """Copy events first … first + count − 1 of those selected, or of all, to a block."""
    k = network.table[0, K]
    inputs = matrix(memory, network.table[0, INPUT], count, k)
    targets, weights = network.places[layout.TARGETS], network.places[layout.WEIGHT]
    for i in range(count):
        row = events.selected[first + i] if len(events.selected) else first + i
        for j in range(k):
            inputs[i, j] = events.inputs[row, j]
        memory[targets + i] = events.targets[row]
        memory[weights + i] = events.weights[row] if len(events.weights) else 1.0


@reduction
def _single_output(A, weights, bias, out):
    for i in range(len(A)):
        total = bias
        for j in range(len(weights)):
            total += A[i, j] * weights[j]
        out[i] = total


@helper
def forward(network, theta, memory, count):
    """Z of the last layer, with A and a′ of all layers before."""
    table, last = network.table, len(network.table) - 1
    for layer in range(last + 1):
        k, n = table[layer, K], table[layer, N]
        A = matrix(memory, table[layer, INPUT], count, k)
        out, start = table[layer, OUTPUT], table[layer, WEIGHTS]
        if n == 1:
            bias = theta[table[layer, BIASES]]
            _single_output(A, theta[start : start + k], bias, memory[out : out + count])
        else:
            Z = matrix(memory, out, count, n)
            biases = theta[table[layer, BIASES] : table[layer, BIASES] + n]
            np.dot(A, matrix(theta, start, k, n), Z)
            for i in range(count):
                for j in range(n):
                    Z[i, j] += biases[j]
        if layer < last:
            slopes, size = table[layer, SLOPES], count * n
            activate(network.activation, memory[out : out + size], memory[slopes : slopes + size])


@helper
def _transposed(source, target):
    """Target = sourceᵀ."""
    for i in range(target.shape[0]):
        for j in range(target.shape[1]):
            target[i, j] = source[j, i]


@helper
def _feature_major(network, memory, count):
    """The logits as ``(outputs, events)``: a copy, or for one output where they lie."""
    last = len(network.table) - 1
    n, out = network.table[last, N], network.table[last, OUTPUT]
    if n == 1:
        return matrix(memory, out, 1, count)
    logits = matrix(memory, network.places[layout.LOGITS], n, count)
    _transposed(matrix(memory, out, count, n), logits)
    return logits


@helper
def signal_of_block(network, memory, count, scale):
    """Σ w ℓ, and D of the last layer: `scale` w ∂ℓ/∂z."""
    last = len(network.table) - 1
    n, signal = network.table[last, N], network.table[last, SIGNAL]
    logits = _feature_major(network, memory, count)
    upstream = matrix(memory, signal if n == 1 else network.places[layout.UPSTREAM], n, count)
    targets, weights = network.places[layout.TARGETS], network.places[layout.WEIGHT]
    total = differentiate(
        network.loss, logits, memory[targets : targets + count], memory[weights : weights + count],
        scale, upstream, matrix(memory, network.places[layout.WORK], 3, count),
    )  # fmt: skip
    if n > 1:
        _transposed(upstream, matrix(memory, signal, count, n))
    return total


@helper
def transpose(network, theta, memory):
    """Copy Wᵀ of each small layer but the first to `memory`, for `backward`."""
    table, transposed = network.table, network.places[layout.TRANSPOSED]
    for layer in range(1, len(table)):
        k, n, start = table[layer, K], table[layer, N], table[layer, WEIGHTS]
        if k * n <= _LARGE or n == 1:
            W = matrix(theta, start, k, n)
            _transposed(W, matrix(memory, transposed + start, n, k))


@helper
def _multiply_by_slopes(activation, signal, values, slopes):
    """D ← D ∘ a′; for ReLU a′ is known by a."""
    if activation == RELU:
        zero = type(signal[0])(0.0)
        for i in range(len(signal)):
            signal[i] = signal[i] if values[i] > zero else zero
    else:
        for i in range(len(signal)):
            signal[i] *= slopes[i]


@helper
def _add_scaled_rows(A, d, out):
    """Out = Aᵀ d; four rows at once, so that `out` is read and written less."""
    for j in range(len(out)):
        out[j] = 0.0
    whole = len(A) - len(A) % 4
    for i in range(0, whole, 4):
        a0, a1, a2, a3 = A[i], A[i + 1], A[i + 2], A[i + 3]
        d0, d1, d2, d3 = d[i], d[i + 1], d[i + 2], d[i + 3]
        for j in range(len(out)):
            out[j] += d0 * a0[j] + d1 * a1[j] + d2 * a2[j] + d3 * a3[j]
    for i in range(whole, len(A)):
        for j in range(len(out)):
            out[j] += d[i] * A[i, j]


@helper
def backward(network, theta, memory, count, gradient):
    """Write the block's gradient ``(size,)``, from D of the last layer and Wᵀ by `transpose`."""
    table, transposed = network.table, network.places[layout.TRANSPOSED]
    for layer in range(len(table) - 1, -1, -1):
        k, n, start = table[layer, K], table[layer, N], table[layer, WEIGHTS]
        A = matrix(memory, table[layer, INPUT], count, k)
        D = matrix(memory, table[layer, SIGNAL], count, n)
        biases = gradient[table[layer, BIASES] : table[layer, BIASES] + n]
        _add_scaled_rows(D, network.ones, biases)
        if n == 1:
            d = memory[table[layer, SIGNAL] : table[layer, SIGNAL] + count]
            _add_scaled_rows(A, d, gradient[start : start + k])
        else:
            np.dot(A.T, D, matrix(gradient, start, k, n))
        if layer == 0:
            break
        below, size = table[layer - 1, SIGNAL], count * k
        S = matrix(memory, below, count, k)
        if n == 1:
            for i in range(count):
                for j in range(k):
                    S[i, j] = D[i, 0] * memory[transposed + start + j]
        elif k * n > _LARGE:
            np.dot(D, matrix(theta, start, k, n).T, S)
        else:
            np.dot(D, matrix(memory, transposed + start, n, k), S)
        values, slopes = table[layer, INPUT], table[layer - 1, SLOPES]
        _multiply_by_slopes(
            network.activation, memory[below : below + size], memory[values : values + size],
            memory[slopes : slopes + size],
        )  # fmt: skip
