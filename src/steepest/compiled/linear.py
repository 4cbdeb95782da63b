"""Linear models with one output: the gradient over many events, and many steps in one call.

    z = X w + b;  J = 1/m Σ v ℓ(z, y);  d = v/m ∂ℓ/∂z;  ∂J/∂w = Xᵀ d,  ∂J/∂b = 1ᵀ d;  θ = (w, b)

with event weights v. The events go by in blocks of some 4 KiB, which stay in the first cache
between the products z = X w + b and g ← g + Xᵀ d, so that X is read from memory once. While g is
added to, nothing is asked of memory, so that the blocks must be short: of 28 KiB they take 1.3
times as long with AVX-512. Sums over 512 events are taken in the dtype of θ, and those over all in
float64.

X is row-major and given flat. Products go by `ROWS` rows at a time, in loops over the columns that
LLVM vectorises. A row rarely fills whole vectors, so the loops run over `width` ≥ n
columns: what they read behind a row, the next one's first numbers, is multiplied by weights that
are zero, and is added to entries of g that nobody reads. So `width` columns must lie behind the
last row, and they must be finite. Indices are unsigned: Numba then leaves out its test for negative
ones, which would keep the loops from being vectorised.

Each step on a single event waits for the one before: for a product, a loss and an update of so few
numbers that the loops must consist of whole vectors. So they run over x̃ = (x, 1, 0, …), which is
read from the rows as they lie: the numbers behind x are multiplied by zero.

The NumPy twins are ``X @ w + b`` and ``g + X.T @ d``, `DenseObjective` on fewer events than it has
compiled code for, and `steepest.descent.steps.one_by_one`.
"""

from __future__ import annotations

import numpy as np

from steepest.compiled.jit import helper, kernel, reduction
from steepest.compiled.pointwise import loss_and_slope, write_slopes
from steepest.compiled.rules import CODES, SGD
from steepest.compiled.updates import (
    CONSTANTS,
    copy,
    record,
    square,
    squared_distance,
    update,
    write_constants,
)

ROWS = 8
_BYTES = 32
"""Columns are padded to whole multiples of so many bytes, a vector of AVX2."""


@helper
def width_of(n, itemsize):
    """The number of columns that the loops run over, for n features."""
    unit = _BYTES // itemsize
    return (n + unit - 1) // unit * unit


@reduction
def logits(x, start, count, n, weights, bias, out):
    """Write z = X w + b of `count` rows from `start` on; `weights` are padded by zeros.

    Rows are read, and `out` written, up to a multiple of `ROWS`.
    """
    a = np.uint64(n)
    b = a + a
    c, d = b + a, b + b
    e, f, g = d + a, d + b, d + c
    for i in range(np.uint64(0), np.uint64(count), np.uint64(ROWS)):
        first, z = np.uint64(start) + i * a, out[i:]
        z0 = z1 = z2 = z3 = z4 = z5 = z6 = z7 = bias
        for j in range(np.uint64(len(weights))):
            k, w = first + j, weights[j]
            z0 += x[k] * w
            z1 += x[k + a] * w
            z2 += x[k + b] * w
            z3 += x[k + c] * w
            z4 += x[k + d] * w
            z5 += x[k + e] * w
            z6 += x[k + f] * w
            z7 += x[k + g] * w
        z[0], z[1], z[2], z[3], z[4], z[5], z[6], z[7] = z0, z1, z2, z3, z4, z5, z6, z7


@helper  # as a reduction it would add to `out` first of all, and wait for the rows before
def add_products(x, start, count, n, factors, out):
    """Add Xᵀ d of `count` rows from `start` on; of the `width` entries the first n count.

    Rows and factors are read up to a multiple of `ROWS`. The rows are no slices of x: LLVM then
    looks only once a call, and not for each eight rows, whether `out` overlaps with them.
    """
    a = np.uint64(n)
    b = a + a
    c, d = b + a, b + b
    e, f, g = d + a, d + b, d + c
    for i in range(np.uint64(0), np.uint64(count), np.uint64(ROWS)):
        first, s = np.uint64(start) + i * a, factors[i:]
        s0, s1, s2, s3, s4, s5, s6, s7 = s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7]
        for j in range(np.uint64(len(out))):
            k = first + j
            out[j] += ((s0 * x[k] + s1 * x[k + a]) + (s2 * x[k + b] + s3 * x[k + c])) + (
                (s4 * x[k + d] + s5 * x[k + e]) + (s6 * x[k + f] + s7 * x[k + g])
            )


SUMMED, MOST, LEAST, BLOCK_BYTES = 512, 256, 32, 4096
"""Events summed in the dtype of θ; those of a block at most and at least, and its bytes."""


@helper
def block_of(n, itemsize):
    """The number of events of a block, a power of two."""
    events = MOST
    while events > LEAST and events * n * itemsize > BLOCK_BYTES:
        events //= 2
    return events


@helper
def new_buffers(theta):
    """Buffers of `add_batch`: the last rows, the weights of θ, sums of Xᵀ d; z, d and v."""
    n, kind = len(theta) - 1, theta.dtype
    width, block = width_of(n, theta.itemsize), block_of(n, theta.itemsize)
    rows, w = np.zeros(2 * block * n + width, kind), np.zeros(width, kind)
    sums, z = np.zeros(width, kind), np.zeros(block, kind)
    return rows, w, sums, z, np.zeros(block, kind), np.ones(block, kind)


@helper
def _add_blocks(loss, x, theta, targets, weights, first, last, scale, gradient, w, sums, z, d, v):
    """As `add_batch`, of the events from `first` to `last`, whose rows are those of x.

    It is called once for many blocks: where it is called, Numba counts references to each array,
    which takes as long as a block.
    """
    n, block, total = len(theta) - 1, len(z), 0.0
    for i in range(first, last, block):
        start, count = (i - first) * n, min(block, last - i)
        logits(x, start, count, n, w, theta[n], z)
        for j in range(count if len(weights) else 0):
            v[j] = weights[i + j]
        value, slopes = write_slopes(loss, z, targets, i, v, scale, count, d)
        total += value
        gradient[n] += np.float64(slopes)
        for j in range(count, block):
            d[j] = 0.0
        add_products(x, start, count, n, d, sums)
        if (i + block) % SUMMED == 0 or i + block >= len(targets):
            for j in range(n):
                gradient[j] += np.float64(sums[j])
            sums[:] = 0.0
    return total


@helper
def add_batch(loss, theta, inputs, targets, weights, scale, gradient, buffers):
    """Add `scale` times the events' gradient to a float64 one ``(n + 1,)``; return Σ v ℓ.

    `inputs` is flat; of the weights none are an empty array.
    """
    rows, w, sums, z, d, v = buffers
    n, events, block = len(theta) - 1, len(targets), len(z)
    copy(theta, n, w)
    whole = max(0, len(inputs) - len(w)) // (block * n) * block
    inside = min(whole, events)  # of blocks with `width` columns behind them
    begin = np.int64(0)  # for a literal 0, Numba would compile `_add_blocks` twice
    total = _add_blocks(loss, inputs, theta, targets, weights, begin, inside, scale, gradient,
                        w, sums, z, d, v)  # fmt: skip
    if inside < events:  # what is behind the last row must be finite
        for j in range((events - inside) * n):
            rows[j] = inputs[inside * n + j]
        total += _add_blocks(loss, rows, theta, targets, weights, inside, events, scale, gradient,
                             w, sums, z, d, v)  # fmt: skip
    return total


FEW_EVENTS, FEW_FEATURES = 64, 8
"""Up to these, slices and buffers cost more than what `add_few` does with single numbers."""


@helper
def add_few(loss, theta, inputs, targets, weights, first, last, scale, gradient):
    """As `add_batch`, of a few events of few features, number by number."""
    n, kind = len(theta) - 1, theta.dtype.type
    total = kind(0.0)
    for i in range(first, last):
        z = theta[n]
        for j in range(n):
            z += inputs[i * n + j] * theta[j]
        value, slope = loss_and_slope(loss, z, targets[i])
        weight = weights[i] if len(weights) else kind(1.0)
        total += weight * value
        slope *= weight * scale
        for j in range(n):
            gradient[j] += np.float64(slope * inputs[i * n + j])
        gradient[n] += np.float64(slope)
    return np.float64(total)


@kernel
def add_gradient(loss, theta, inputs, targets, weights, scale, gradient):
    """Add `scale` times the events' gradient to a float64 one ``(n + 1,)``; return Σ v ℓ.

    `inputs` ``(events * n,)``, targets and weights (none are an empty array) are of the dtype of θ.
    """
    buffers = new_buffers(theta)
    return add_batch(loss, theta, inputs, targets, weights, scale, gradient, buffers)


@kernel
def run_steps(loss, rule, options, inputs, targets, weights, batch_size, theta, first_state,
              second_state, rates, first_step, recorded, values, on_path, path, l2, limit,
              loss_sum):  # fmt: skip
    """Take a step for each rate, in place; return how many were taken, and the sum of losses.

    Fewer than the rates: the loss of the next step is above the limit, or not a number. The
    steps take the events in their order, `batch_size` each, and after the last the first again.
    Numbers and shapes are those of `add_gradient` and
    `steepest.compiled.updates`, with options for the weights and for the bias. Of `values` there
    is a row for each step that is recorded, of `path` one for each step that is on it.
    """
    n, events, kind = len(theta) - 1, len(targets), theta.dtype.type
    buffers, total = new_buffers(theta), np.zeros(n + 1)
    gradient, before = np.zeros_like(theta), np.empty_like(theta)
    constants = np.empty(CONSTANTS, theta.dtype)
    row, point, last = 0, 0, 0
    few = batch_size <= FEW_EVENTS and n <= FEW_FEATURES
    alike = (options[0] == options[1]).all()  # the bias is then one more weight
    for index in range(len(rates)):
        first = last % events
        last = min(first + batch_size, events)
        scale = kind(1.0 / (last - first))
        if few:
            value = add_few(loss, theta, inputs, targets, weights, first, last, scale, total)
        else:
            value = add_batch(loss, theta, inputs[first * n :], targets[first:last],
                              weights[first:last], scale, total, buffers)  # fmt: skip
        for j in range(n + 1):
            gradient[j], total[j] = kind(total[j]), 0.0
        value /= last - first
        if l2 != 0.0:
            for j in range(n):
                gradient[j] += kind(l2) * theta[j]
            value += 0.5 * l2 * square(theta[:n])
        if not abs(value) <= limit:
            return index, loss_sum
        loss_sum += value
        if recorded[index]:
            copy(theta, n + 1, before)
        for part in range(1 if alike else 2):  # the weights, and the bias
            start, stop = (0, n + 1) if alike else (part * n, n + part)
            step = np.float64(first_step + index + 1)
            write_constants(rule, options[part], rates[index], step, constants)
            update(rule, constants, theta, gradient, first_state, second_state, start, stop)
        if recorded[index]:
            record(values[row], value, rates[index], square(gradient),
                   squared_distance(theta, before), square(before))  # fmt: skip
            row += 1
        if on_path[index]:
            copy(theta, n + 1, path[point])
            point += 1
    return len(rates), loss_sum


_SGD = CODES[SGD]


@reduction
def _dot(event, of_event, one, theta):
    total = theta.dtype.type(0.0)
    for j in range(len(theta)):
        total += (event[j] * of_event[j] + one[j]) * theta[j]
    return total


@helper
def _subtract(theta, factor, event, of_event, one):
    for j in range(len(theta)):
        theta[j] -= factor * (event[j] * of_event[j] + one[j])


@helper
def _write_gradient(gradient, factor, event, of_event, one, l2, theta):
    for j in range(len(theta)):
        gradient[j] = factor * (event[j] * of_event[j] + one[j]) + l2 * of_event[j] * theta[j]


@kernel
def run_single_steps(loss, rule, options, inputs, targets, weights, theta, first_state,
                     second_state, rates, first_step, recorded, values, on_path, path, l2, limit,
                     loss_sum):  # fmt: skip
    """Take a step on each event, as `run_steps` does on batches.

    The options for the weights serve for the bias too.
    """
    size, events, kind = len(theta), len(targets), theta.dtype.type
    n, width = size - 1, width_of(size, theta.itemsize)
    of_event, one = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    padded, before = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    gradient, spare = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    constants = np.empty(CONSTANTS, theta.dtype)
    of_event[:n], one[n] = 1.0, 1.0
    copy(theta, size, padded)
    first, second = np.zeros(width, theta.dtype), np.zeros(width, theta.dtype)
    copy(first_state, len(first_state), first)
    copy(second_state, len(second_state), second)
    row, point, taken = 0, 0, 0
    plain, weighted = rule == _SGD and l2 == 0.0, len(weights) > 0
    for index in range(len(rates)):
        place = index % events
        event = inputs[place * n :]
        if len(event) < width:
            copy(event, n, spare)
            event = spare
        weight = weights[place] if weighted else kind(1.0)
        each, slope = loss_and_slope(loss, _dot(event, of_event, one, padded), targets[place])
        slope *= weight
        value = np.float64(each * weight)
        if l2 != 0.0:
            value += 0.5 * l2 * square(padded[:n])
        if not abs(value) <= limit:
            break
        loss_sum += value
        if recorded[index]:
            copy(padded, width, before)
        if recorded[index] or not plain:
            _write_gradient(gradient, slope, event, of_event, one, kind(l2), padded)
        if plain:
            _subtract(padded, kind(rates[index]) * slope, event, of_event, one)
        else:
            step = np.float64(first_step + index + 1)
            write_constants(rule, options[0], rates[index], step, constants)
            update(rule, constants, padded, gradient, first, second, 0, width)
        if recorded[index]:
            record(values[row], value, rates[index], square(gradient),
                   squared_distance(padded, before), square(before))  # fmt: skip
            row += 1
        if on_path[index]:
            copy(padded, size, path[point])
            point += 1
        taken += 1
    copy(padded, size, theta)
    copy(first, len(first_state), first_state)
    copy(second, len(second_state), second_state)
    return taken, loss_sum
