"""From the tree to a Polars expression, with a type: what may stand where is decided here.

A type is a Polars data type: ``Float64``, ``Int64``, ``UInt64``, ``Int128``, ``Boolean`` or
``String``. Only bare integer columns and literals, ``%`` of two integers and ``where`` of two
integers are integers; they compare exactly, beyond 2⁵³ too. All other arithmetic is float64.

Comparisons follow IEEE 754, as NumPy's do: NaN compares false, and ``!=`` true. (Polars alone takes
NaN as equal to NaN and larger than every number.) A null operand makes the result null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError, RecipeError, SteepestError, nearest
from steepest.events.functions import FUNCTIONS, elementwise
from steepest.events.grammar import pointed
from steepest.events.nodes import (
    Arithmetic,
    Call,
    Column,
    Comparison,
    Logic,
    Membership,
    Negation,
    Node,
    Not,
    Number,
    Text,
    Truth,
)
from steepest.events.words import listed

__all__ = ["Typed", "column_type", "type_tree"]

Float, Condition, String = pl.Float64(), pl.Boolean(), pl.String()
Short, Unsigned, Wide = pl.Int64(), pl.UInt64(), pl.Int128()
INTEGERS = (Short, Unsigned, Wide)
WORDS = {Float: "a number", Condition: "a condition", String: "text"}


@dataclass(frozen=True)
class Typed:
    """A Polars expression and the type of its values; `value` where it is a literal number."""

    expr: pl.Expr
    dtype: pl.DataType
    value: int | float | None = None

    @property
    def is_integer(self) -> bool:
        """Whether the values are integers that are exact."""
        return self.dtype in INTEGERS

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.is_integer or self.dtype == Float

    @property
    def words(self) -> str:
        """The type as it is called in messages."""
        return WORDS.get(self.dtype, "a number")

    @property
    def real(self) -> pl.Expr:
        """The values as float64."""
        if self.value is not None:
            return pl.lit(float(self.value), dtype=pl.Float64)
        return self.expr if self.dtype == Float else self.expr.cast(pl.Float64)


def column_type(arrow: pa.DataType) -> pl.DataType | None:
    """Return the type that a column of this Arrow type has in an expression; None if it has none.

    Examples
    --------
    >>> column_type(pa.int8()), column_type(pa.float16()), column_type(pa.list_(pa.float32()))
    (Int64, Float64, None)
    """
    if pa.types.is_dictionary(arrow):
        arrow = arrow.value_type
    if pa.types.is_boolean(arrow):
        return Condition
    if pa.types.is_integer(arrow):
        return Unsigned if arrow == pa.uint64() else Short
    if pa.types.is_floating(arrow) or pa.types.is_decimal(arrow):
        return Float
    if pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or arrow == pa.string_view():
        return String
    return None


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
        A column is missing or holds lists; values of the wrong type meet.
    RecipeError
        There is no such function, or it takes another number of arguments.
    """
    return _Typing(text, role, schema).of(tree)


@dataclass(frozen=True)
class _Typing:
    """Types and translates the tree of one expression for events of one schema."""

    text: str
    role: str
    schema: pa.Schema

    def of(self, node: Node) -> Typed:
        """Return the typed Polars expression of a node."""
        match node:
            case Number(value):
                return _literal(value)
            case Text(value):
                return Typed(pl.lit(value, dtype=pl.String), String)
            case Truth(value):
                return Typed(pl.lit(value, dtype=pl.Boolean), Condition)
            case Column(name):
                return self.column(node, name)
            case Negation(operand, negative):
                number = self.number(operand, "the sign")
                return Typed(-number.real if negative else number.real, Float)
            case Arithmetic(first, rest):
                return self.arithmetic(first, rest)
            case Comparison():
                return self.comparison(node)
            case Membership():
                return self.membership(node)
            case Logic(operator, terms):
                conditions = [self.condition(term, operator.upper()).expr for term in terms]
                join = pl.all_horizontal if operator == "and" else pl.any_horizontal
                return Typed(join(conditions), Condition)
            case Not(operand):
                return Typed(~self.condition(operand, "NOT").expr, Condition)
            case Call("where"):
                return self.where(node)
            case Call():
                return self.call(node)
        raise TypeError(f"no such node: {node!r}")

    # --- operands of one type -------------------------------------------------------------------

    def number(self, node: Node, user: str) -> Typed:
        typed = self.of(node)
        if not typed.is_number:
            do = "where(condition, 1, 0) is a number" if typed.dtype == Condition else None
            self.mistyped(node, f"{user} takes numbers", found=typed.words, do=do)
        return typed

    def condition(self, node: Node, user: str) -> Typed:
        typed = self.of(node)
        if typed.dtype != Condition:
            self.mistyped(
                node, f"{user} takes conditions", found=typed.words, do="compare it, as in x > 0"
            )
        return typed

    # --- nodes ----------------------------------------------------------------------------------

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
            self.fail(
                EventsError,
                node,
                f"the column {name!r} holds no plain values",
                expected="numbers, booleans or text, one value an event",
                found=str(arrow),
            )
        return Typed(pl.col(name).cast(dtype), dtype)

    def arithmetic(self, first: Node, rest: tuple[tuple[str, Node], ...]) -> Typed:
        left = self.number(first, rest[0][0])
        for operator, node in rest:
            left = _operate(operator, left, self.number(node, operator))
        return left

    def comparison(self, node: Comparison) -> Typed:
        typed = [self.of(operand) for operand in node.operands]
        pairs = []
        for i, operator in enumerate(node.operators):
            self.check_pair(node.operands[i + 1], typed[i], operator, typed[i + 1])
            pairs.append(_compare(typed[i], operator, typed[i + 1]))
        return Typed(pairs[0] if len(pairs) == 1 else pl.all_horizontal(pairs), Condition)

    def check_pair(self, node: Node, left: Typed, operator: str, right: Typed) -> None:
        if left.words != right.words:
            self.mistyped(
                node,
                f"{left.words} is compared with {right.words}",
                expected="two values of one type",
                do=_how_to_compare({left.words, right.words}),
            )
        if left.dtype == Condition and operator not in ("==", "!="):
            self.mistyped(node, f"two conditions are compared with {operator}",
                          expected="== or !=")  # fmt: skip

    def membership(self, node: Membership) -> Typed:
        operand = self.of(node.operand)
        values = [self.of(value) for value in node.values]
        for value, place in zip(values, node.values, strict=True):
            self.check_pair(place, operand, "==", value)
        if operand.dtype == String:
            texts = [value.value for value in node.values]
            inside = operand.expr.is_in(pl.Series(texts, dtype=pl.String).implode())
        else:
            inside = pl.any_horizontal([_compare(operand, "==", value) for value in values])
        return Typed(~inside if node.negated else inside, Condition)

    def where(self, node: Call) -> Typed:
        if len(node.arguments) != 3:
            self.wrong_count(node, "3 arguments: where(condition, a, b)")
        condition = self.condition(node.arguments[0], "where").expr
        then, otherwise = (self.of(argument) for argument in node.arguments[1:])
        if then.words != otherwise.words:
            self.mistyped(
                node.arguments[2],
                f"where chooses between {then.words} and {otherwise.words}",
                expected="two values of one type",
            )
        then, otherwise, dtype = _common(then, otherwise)
        # Polars takes a null condition as false; here nothing follows from it.
        chosen = pl.when(condition).then(then).when(~condition).then(otherwise).otherwise(None)
        return Typed(chosen, dtype)

    def call(self, node: Call) -> Typed:
        function = FUNCTIONS.get(node.function)
        if function is None:
            known = [*FUNCTIONS, "where"]
            guess = nearest(node.function, known)
            self.fail(
                RecipeError,
                node,
                f"there is no function {node.function!r}",
                expected=f"one of {', '.join(sorted(known))}",
                do=f"write {guess}" if guess else None,
            )
        count = len(node.arguments)
        if count < function.least or (function.most is not None and count > function.most):
            self.wrong_count(node, function.arity)
        numbers = [self.number(argument, node.function).real for argument in node.arguments]
        return Typed(function.build(*numbers), Condition if function.condition else Float)

    # --- errors ---------------------------------------------------------------------------------

    def wrong_count(self, node: Call, expected: str) -> NoReturn:
        self.fail(
            RecipeError,
            node,
            f"{node.function} has the wrong number of arguments",
            expected=expected,
            found=str(len(node.arguments)),
        )

    def mistyped(self, node: Node, message: str, **details: str | None) -> NoReturn:
        self.fail(EventsError, node, message, **details)

    def fail(
        self, error: type[SteepestError], node: Node, message: str, **details: str | None
    ) -> NoReturn:
        place = pointed(self.text, node.start, node.end)
        raise error(f"{self.role}: {message}.\n{place}", **details)


def _literal(value: int | float) -> Typed:
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        dtype = Short if value < 2**63 else Unsigned
        return Typed(pl.lit(value, dtype=dtype), dtype, value)
    return Typed(pl.lit(float(value), dtype=pl.Float64), Float, float(value))


def _operate(operator: str, left: Typed, right: Typed) -> Typed:
    if operator == "%" and left.is_integer and right.is_integer:
        dtype = Short if left.dtype == right.dtype == Short else Wide
        return Typed(left.expr.cast(dtype) % right.expr.cast(dtype), dtype)
    operate: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
        "+": lambda x, y: x + y,
        "-": lambda x, y: x - y,
        "*": lambda x, y: x * y,
        "/": lambda x, y: elementwise(np.divide, x, y),
        "%": lambda x, y: elementwise(np.mod, x, y),
        "**": lambda x, y: elementwise(np.power, x, y),
    }
    return Typed(operate[operator](left.real, right.real), Float)


def _compare(left: Typed, operator: str, right: Typed) -> pl.Expr:
    left, right = _exact(left, right), _exact(right, left)
    compare: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
        "==": lambda x, y: x == y,
        "!=": lambda x, y: x != y,
        "<": lambda x, y: x < y,
        "<=": lambda x, y: x <= y,
        ">": lambda x, y: x > y,
        ">=": lambda x, y: x >= y,
    }
    if not left.is_number:
        return compare[operator](left.expr, right.expr)
    if left.is_integer and right.is_integer:
        dtype = Short if left.dtype == right.dtype == Short else Wide
        return compare[operator](left.expr.cast(dtype), right.expr.cast(dtype))
    plain = compare[operator](left.real, right.real)
    # Where Polars' NaN, equal to itself and above all, would answer otherwise than IEEE's.
    guarded = right if operator in ("<", "<=") else left
    if guarded.is_integer or guarded.value is not None:
        return plain
    if operator == "!=":
        return plain | guarded.real.is_nan()
    return plain & guarded.real.is_not_nan()


def _exact(literal: Typed, other: Typed) -> Typed:
    """Return a literal such as 1e3 as an integer where it meets integers; else as it is."""
    if other.is_integer and isinstance(literal.value, float) and literal.value.is_integer():
        return _literal(int(literal.value))
    return literal


def _common(left: Typed, right: Typed) -> tuple[pl.Expr, pl.Expr, pl.DataType]:
    if left.dtype == right.dtype:
        return left.expr, right.expr, left.dtype
    if left.is_integer and right.is_integer:
        return left.expr.cast(Wide), right.expr.cast(Wide), Wide
    return left.real, right.real, Float


def _how_to_compare(words: set[str]) -> str | None:
    if "a condition" in words:
        return "a boolean is a condition already: write flag or NOT flag"
    return 'text goes in quotes: process == "top"; a number does not'


def _quotes(name: str) -> str:
    return f'check the name; text goes in quotes: "{name}"'
