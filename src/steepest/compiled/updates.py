"""The update rules of `steepest.compiled.rules` on slices of θ, compiled as they stand there.

A rule is its code, a number of `steepest.compiled.rules.CODES`, and its options as an array; so
one machine code serves all of them. The state of an optimiser is two vectors, of which those that a
rule does not have are empty.
"""

from __future__ import annotations

import math

import numpy as np
from numba.extending import overload, register_jitable

from steepest.compiled import rules
from steepest.compiled.jit import helper, reduction

CONSTANTS = 8
"""Constants of a step at most."""


@overload(rules.root)
def _root(x):
    def run(x):
        return math.sqrt(x)

    return run


for called in (rules.adam, rules.adam_constants):  # by those of adamw
    register_jitable(called)


_SGD, _MOMENTUM, _NESTEROV, _RMSPROP, _ADAM, _ADAMW = range(len(rules.CODES))
_sgd, _momentum, _nesterov, _rmsprop, _adam, _adamw = (
    helper(rule.update) for rule in rules.RULES.values()
)
_one_rate, _momentum_constants, _, _rmsprop_constants, _adam_constants, _adamw_constants = (
    helper(rule.constants) for rule in rules.RULES.values()
)


@helper
def copy(source, count, target):
    """``target[:count] = source[:count]``."""
    for i in range(count):
        target[i] = source[i]


@helper
def _copy(values, out):
    copy(values, len(values), out)


@reduction
def square(values):
    """Σ v², in float64."""
    total = 0.0
    for i in range(len(values)):
        total += np.float64(values[i]) * np.float64(values[i])
    return total


@reduction
def squared_distance(one, two):
    """‖one − two‖², in float64."""
    total = 0.0
    for i in range(len(one)):
        difference = np.float64(one[i]) - np.float64(two[i])
        total += difference * difference
    return total


@helper
def record(row, value, rate, gradient, change, before):
    """Write loss, η, ‖g‖ and ‖Δθ‖/‖θ‖ to a row of the history, from the squares of the norms."""
    row[0], row[1], row[2] = value, rate, np.sqrt(gradient)
    row[3] = np.sqrt(change) / np.sqrt(before) if before > 0.0 else np.inf


@helper
def write_constants(rule, options, rate, step, out):
    """Write the constants of a step to `out`, ``(CONSTANTS,)`` in the dtype of θ."""
    if rule == _SGD:
        _copy(_one_rate(options, rate, step), out)
    elif rule in (_MOMENTUM, _NESTEROV):
        _copy(_momentum_constants(options, rate, step), out)
    elif rule == _RMSPROP:
        _copy(_rmsprop_constants(options, rate, step), out)
    elif rule == _ADAM:
        _copy(_adam_constants(options, rate, step), out)
    else:
        _copy(_adamw_constants(options, rate, step), out)


@helper
def update(rule, c, theta, gradient, first, second, start, stop):
    """Take a step in place on entries `start` … `stop` − 1, with the step's constants `c`."""
    # Loops from zero over slices: from anywhere else Numba would look for negative indices.
    theta, gradient = theta[start:stop], gradient[start:stop]
    first, second = first[start:stop], second[start:stop]
    if rule == _SGD:
        for i in range(len(theta)):
            theta[i], _ = _sgd(theta[i], gradient[i], (), (c[0],))
    elif rule == _MOMENTUM:
        constants = c[0], c[1]
        for i in range(len(theta)):
            theta[i], (first[i],) = _momentum(theta[i], gradient[i], (first[i],), constants)
    elif rule == _NESTEROV:
        constants = c[0], c[1]
        for i in range(len(theta)):
            theta[i], (first[i],) = _nesterov(theta[i], gradient[i], (first[i],), constants)
    elif rule == _RMSPROP:
        constants = c[0], c[1], c[2], c[3]
        for i in range(len(theta)):
            theta[i], (first[i],) = _rmsprop(theta[i], gradient[i], (first[i],), constants)
    elif rule == _ADAM:
        constants = c[0], c[1], c[2], c[3], c[4], c[5], c[6]
        for i in range(len(theta)):
            state = first[i], second[i]
            theta[i], (first[i], second[i]) = _adam(theta[i], gradient[i], state, constants)
    else:
        constants = c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7]
        for i in range(len(theta)):
            state = first[i], second[i]
            theta[i], (first[i], second[i]) = _adamw(theta[i], gradient[i], state, constants)
