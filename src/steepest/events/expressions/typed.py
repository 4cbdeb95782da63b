"""From the tree to a Polars expression, with a type: what may stand where is decided here.

What the types are is in `steepest.events.expressions.types`, the rules of arithmetic and
comparisons in `steepest.events.expressions.operators`, those of lists in
`steepest.events.expressions.lists` and `steepest.events.expressions.reductions`; what every part
asks of its operands in `steepest.events.expressions.operands`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pyarrow as pa

from steepest.errors import EventsError, RecipeError, nearest
from steepest.events.expressions.functions import FUNCTIONS, Function
from steepest.events.expressions.lists import element, filtered
from steepest.events.expressions.nodes import (
    Arithmetic,
    Call,
    Column,
    Comparison,
    Index,
    Logic,
    Membership,
    Negation,
    Node,
    Not,
    Number,
    Text,
    Truth,
)
from steepest.events.expressions.operands import Operands
from steepest.events.expressions.operators import all_of, any_of, chosen, compared, operated
from steepest.events.expressions.reductions import REDUCTIONS, reduced
from steepest.events.expressions.types import (
    Condition,
    Float,
    String,
    Typed,
    column_type,
    is_nested,
    literal,
)
from steepest.events.words import listed

__all__ = ["TO_ONE_VALUE", "type_scalar", "type_tree"]

TO_ONE_VALUE = (
    "one value an event: x[0], sum(x), count(x), mean(x), min(x), max(x), any(condition) or "
    "all(condition) of a list x"
)


def type_tree(tree: Node, text: str, role: str, schema: pa.Schema) -> Typed:
    """Return the Polars expression and type of a tree, for events of a schema.

    Parameters
    ----------
    tree
        The parsed expression.
    text, role
        What it was parsed from and what it is called, for messages.
    schema
        The events' columns.

    Raises
    ------
    EventsError
        A column is missing or holds lists of lists; values of the wrong type meet.
    RecipeError
        There is no such function, or it takes another number of arguments.
    """
    typing = _Typing(text, role, schema)
    return replace(typing.of(tree), mismatches=typing.mismatches)


def type_scalar(tree: Node, text: str, role: str, schema: pa.Schema) -> Typed:
    """Return what `type_tree` returns, of a tree with one value for each event.

    Raises
    ------
    EventsError
        The tree gives a list for each event; the message points at what made it one.
    """
    typing = _Typing(text, role, schema)
    typed = typing.of(tree)
    if typed.is_list:
        place = typing.origin(tree)
        typing.fail(
            EventsError,
            place,
            "a list stands where one value an event is needed",
            expected=TO_ONE_VALUE,
            found=typing.of(place).words,
        )
    return replace(typed, mismatches=typing.mismatches)


class _Typing(Operands):
    """Types and translates the tree of one expression for events of one schema."""

    def of(self, node: Node) -> Typed:
        """Return the typed Polars expression of a node."""
        match node:
            case Number(value):
                return literal(value)
            case Text(value):
                return Typed(pl.lit(value, dtype=pl.String), String)
            case Truth(value):
                return Typed(pl.lit(value, dtype=pl.Boolean), Condition)
            case Column(name):
                return self.column(node, name)
            case Negation(operand, negative):
                return self.lift(
                    node,
                    lambda x: Typed(-x.real if negative else x.real, Float),
                    self.number(operand, "the sign"),
                )
            case Arithmetic(first, rest):
                return self.arithmetic(node, first, rest)
            case Comparison():
                return self.comparison(node)
            case Membership():
                return self.membership(node)
            case Logic(operator, terms):
                return self.logic(node, operator, terms)
            case Not(operand):
                return self.lift(
                    node, lambda x: Typed(~x.expr, Condition), self.condition(operand, "NOT")
                )
            case Index(operand, index):
                return self.index(operand, index)
            case Call("where"):
                return self.where(node)
            case Call():
                return self.call(node)
        raise TypeError(f"no such node: {node!r}")

    def column(self, node: Node, name: str) -> Typed:
        if name not in self.schema.names:
            guess = nearest(name, self.schema.names)
            self.fail(
                EventsError,
                node,
                f"there is no column {name!r}",
                expected=f"one of {listed(self.schema.names, 12)}",
                do=f"write {guess}" if guess else _quotes(name),
            )
        if self.schema.names.count(name) > 1:
            self.fail(EventsError, node, f"there is more than one column {name!r}",
                      do="rename one of them in the file")  # fmt: skip
        arrow = self.schema.field(name).type
        dtype = column_type(arrow)
        if dtype is None:
            nested = is_nested(arrow)
            self.fail(
                EventsError,
                node,
                f"the column {name!r} holds " + ("lists of lists" if nested else "no plain values"),
                expected="numbers, booleans or text, one value or one list of them an event",
                found=str(arrow),
                do="write one list an event: flatten it, or give each part a column"
                if nested
                else None,
            )
        return Typed(pl.col(name).cast(dtype), dtype)

    def arithmetic(self, node: Node, first: Node, rest: tuple[tuple[str, Node], ...]) -> Typed:
        left = self.number(first, rest[0][0])
        for operator, right in rest:
            left = self.lift(
                node,
                lambda x, y, operator=operator: operated(operator, x, y),
                left,
                self.number(right, operator),
            )
        return left

    def comparison(self, node: Comparison) -> Typed:
        typed = [self.of(operand) for operand in node.operands]
        pairs = []
        for i, operator in enumerate(node.operators):
            self.check_pair(node.operands[i + 1], typed[i], operator, typed[i + 1])
            pairs.append(
                self.lift(
                    node,
                    lambda x, y, operator=operator: compared(operator, x, y),
                    typed[i],
                    typed[i + 1],
                )
            )
        return pairs[0] if len(pairs) == 1 else self.lift(node, all_of, *pairs)

    def membership(self, node: Membership) -> Typed:
        operand = self.of(node.operand)
        values = [self.of(value) for value in node.values]
        for value, place in zip(values, node.values, strict=True):
            self.check_pair(place, operand, "==", value)

        def inside(x: Typed) -> Typed:
            if x.dtype == String:
                texts = [value.value for value in node.values]
                met = x.expr.is_in(pl.Series(texts, dtype=pl.String).implode())
            else:
                met = pl.any_horizontal([compared("==", x, value).expr for value in values])
            return Typed(~met if node.negated else met, Condition)

        return self.lift(node, inside, operand)

    def logic(self, node: Node, operator: str, terms: tuple[Node, ...]) -> Typed:
        conditions = [self.condition(term, operator.upper()) for term in terms]
        return self.lift(node, all_of if operator == "and" else any_of, *conditions)

    def index(self, operand: Node, index: Node) -> Typed:
        values, at = self.of(operand), self.of(index)
        if not values.is_list:
            self.mistyped(operand, "[...] takes an element of a list", found=values.words,
                          expected="a column of lists")  # fmt: skip
        if at.is_list and at.element == Condition:
            return filtered(values, at, self.where_lists_meet(index))
        if not at.is_integer:
            self.mistyped(
                index,
                "an index is an integer, or a list of conditions",
                found=at.words,
                do="x[0] is the first element, x[-1] the last, x[x > 5] what meets the condition",
            )
        return element(values, at)

    def where(self, node: Call) -> Typed:
        if len(node.arguments) != 3:
            self.wrong_count(node, "3 arguments: where(condition, a, b)")
        condition = self.condition(node.arguments[0], "where")
        then, otherwise = (self.of(argument) for argument in node.arguments[1:])
        if then.element_words != otherwise.element_words:
            self.mistyped(
                node.arguments[2],
                f"where chooses between {then.words} and {otherwise.words}",
                expected="two values of one type",
            )
        return self.lift(node, chosen, condition, then, otherwise)

    def call(self, node: Call) -> Typed:
        reduction = node.function in REDUCTIONS
        function = FUNCTIONS.get(node.function)
        if reduction and (function is None or len(node.arguments) == 1):
            return self.reduction(node)
        if function is None:
            known = sorted({*FUNCTIONS, *REDUCTIONS, "where"})
            guess = nearest(node.function, known)
            self.fail(
                RecipeError,
                node,
                f"there is no function {node.function!r}",
                expected=f"one of {', '.join(known)}",
                do=f"write {guess}" if guess else None,
            )
        count = len(node.arguments)
        if count < function.least or (function.most is not None and count > function.most):
            listed_too = "1 list, or " if reduction else ""
            self.wrong_count(node, listed_too + function.arity)
        numbers = [self.number(argument, node.function) for argument in node.arguments]
        return self.lift(node, _applied(function), *numbers)

    def reduction(self, node: Call) -> Typed:
        name = node.function
        if len(node.arguments) != 1:
            self.wrong_count(node, "1 list")
        argument, takes = node.arguments[0], REDUCTIONS[name].takes
        typed = self.of(argument)
        if not typed.is_list:
            self.mistyped(
                argument,
                f"{name} of one argument takes a list",
                found=typed.words,
                do=f"{name}(a, b) is of several numbers" if name in FUNCTIONS else None,
            )
        if takes == "numbers":
            typed = self.number(argument, name)
        elif takes == "conditions":
            typed = self.condition(argument, name)
        return reduced(name, typed)


def _applied(function: Function) -> Callable[..., Typed]:
    dtype = Condition if function.condition else Float
    return lambda *numbers: Typed(function.build(*(number.real for number in numbers)), dtype)


def _quotes(name: str) -> str:
    return f'check the name; text goes in quotes: "{name}"'
