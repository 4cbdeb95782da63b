"""Update rules in compiled code: those of `steepest.compiled.rules`, compiled as they stand there.

A rule is chosen by its type, so that Numba compiles what a run needs and no more. The NumPy twin is
the rule's own function.
"""

from __future__ import annotations

import math
from typing import Any

from numba import types
from numba.core import cgutils

from steepest.compiled.rules import RULES, root
from steepest.kernels.compiled import intrinsic, overload, part
from steepest.kernels.vector import view

__all__ = ["narrowed", "numbers", "update", "window"]


@overload(root)
def _root(x):
    def run(x):
        return math.sqrt(x)

    return run


def numbers(rule: Any, rate: float, step: float) -> Any:
    """The constants of a rule's step, as its own function gives them."""
    raise NotImplementedError  # compiled only


def update(rule: Any, constants: Any, theta: Any, gradient: Any, slots: Any) -> None:
    """Take a rule's step in place, on vectors ``(n,)`` of parameters, gradient and slots."""
    raise NotImplementedError  # compiled only


@overload(numbers)
def _numbers(rule, rate, step):
    function = part(RULES[rule.instance_class].constants)

    def run(rule, rate, step):
        return function(rule, rate, step)

    return run


@overload(update)
def _update(rule, constants, theta, gradient, slots):
    function = part(RULES[rule.instance_class].update)

    def none(rule, constants, theta, gradient, slots):
        for i in range(len(theta)):
            theta[i] = function(theta[i], gradient[i], (), constants)[0]

    def one(rule, constants, theta, gradient, slots):
        first = slots[0]
        for i in range(len(theta)):
            theta[i], (first[i],) = function(theta[i], gradient[i], (first[i],), constants)

    def two(rule, constants, theta, gradient, slots):
        first, second = slots
        for i in range(len(theta)):
            theta[i], (first[i], second[i]) = function(
                theta[i], gradient[i], (first[i], second[i]), constants
            )

    return (none, one, two)[RULES[rule.instance_class].state]


def window(slots: Any, start: int, size: int) -> Any:
    """Views of a part of each slot."""
    raise NotImplementedError  # compiled only


@overload(window)
def _window(slots, start, size):
    def none(slots, start, size):
        return ()

    def one(slots, start, size):
        return (view(slots[0], start, size),)

    def two(slots, start, size):
        return view(slots[0], start, size), view(slots[1], start, size)

    return (none, one, two)[len(slots)]


@intrinsic
def narrowed(typing, values, like):
    """The numbers of a tuple in the type of `like`: so that float32 arithmetic stays that."""
    kind = types.UniTuple(like, len(values))

    def generate(context, builder, signature, arguments):
        items = [
            context.cast(builder, item, source, like)
            for item, source in zip(
                cgutils.unpack_tuple(builder, arguments[0]), values.types, strict=True
            )
        ]
        return context.make_tuple(builder, kind, items)

    return kind(values, like), generate
