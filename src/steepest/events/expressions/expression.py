"""Expressions over columns, for selections, derived features, labels and weights.

``parse(text)`` gives an `Expression`; its grammar is in `steepest.events.expressions.grammar`, what
its types are in `steepest.events.expressions.types`, how NaN and null behave in
`steepest.events.expressions.operators`, and lists in `steepest.events.expressions.lists` and
`steepest.events.expressions.reductions`. Nothing in a text is ever executed: a text is parsed to a
tree, and the tree is translated to a Polars expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.events.expressions.grammar import parse_tree
from steepest.events.expressions.lists import refuse_mismatch
from steepest.events.expressions.nodes import (
    Call,
    Column,
    Comparison,
    Logic,
    Membership,
    Node,
    Not,
    Number,
    Text,
    walk,
)
from steepest.events.expressions.typed import type_scalar, type_tree
from steepest.events.expressions.types import Typed
from steepest.events.formats.contract import Condition

__all__ = ["Expression", "column", "frame", "parse"]

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text and its tree.

    `role` begins the sentence of an error about it, such as ``events.select``.
    """

    text: str
    tree: Node
    role: str = "The expression"

    @property
    def columns(self) -> frozenset[str]:
        """The names of the columns that it needs."""
        return frozenset(node.name for node in walk(self.tree) if isinstance(node, Column))

    def typed(self, schema: pa.Schema) -> Typed:
        """Return its Polars expression and type for events of this schema.

        Raises
        ------
        EventsError
            A column is missing or holds lists of lists; a number stands where a condition must, …
        RecipeError
            There is no such function, or it takes another number of arguments.
        """
        return type_tree(self.tree, self.text, self.role, schema)

    def scalar(self, schema: pa.Schema) -> Typed:
        """Return what `typed` returns, of an expression with one value for each event.

        Raises
        ------
        EventsError, RecipeError
            As `typed` does; also if there is a list for each event.
        """
        return type_scalar(self.tree, self.text, self.role, schema)

    def evaluate(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return its value for each row of a record batch.

        Returns
        -------
        numpy.ndarray
            ``(rows,)``: float64 for numbers (null is NaN), int64 or uint64 for a bare integer
            column without nulls, bool for conditions (null is False), object for text (null is
            None) and for lists (arrays; null is None).

        Raises
        ------
        EventsError, RecipeError
            As `typed` does; also if lists that are combined differ in length in a row.

        Examples
        --------
        >>> batch = pa.record_batch({"tau2": [0.4, 0.5], "tau3": [0.1, 0.25]})
        >>> parse("tau3 / tau2").evaluate(batch)
        array([0.25, 0.5 ])
        >>> parse("0.1 < tau3 < 0.3 AND tau2 > 0").evaluate(batch)
        array([False,  True])
        >>> jets = {"part_pt": [[40.0, 10.0], [7.0]], "part_charge": [[0, 1], [-1]]}
        >>> parse("sum(part_pt[part_charge != 0]) / sum(part_pt)").evaluate(pa.record_batch(jets))
        array([0.2, 1. ])
        """
        typed = self.typed(batch.schema)
        values = self.series(frame(batch), typed)
        refuse_mismatch(typed.mismatches, lambda row: f"at row {row}")
        if typed.dtype == pl.Boolean:
            return values.fill_null(False).to_numpy()
        return values.to_numpy()

    @staticmethod
    def series(rows: pl.DataFrame, typed: Typed) -> pl.Series:
        """Return the values over a data frame, nulls kept; `Typed.mismatches` may grow by it."""
        expr = typed.real if typed.dtype == pl.Int128 else typed.expr
        values = rows.select(expr.alias("value"))["value"]
        return values if len(values) == rows.height else values.new_from_index(0, rows.height)

    def pruning(self) -> tuple[Condition, ...]:
        """Return conditions on single columns that every row which meets the expression meets.

        They are fewer than the expression says: what is not ``column op literal``, joined by AND,
        is left out.

        Examples
        --------
        >>> for condition in parse("pt > 550 AND abs(eta) < 2 AND m / pt > 0.1").pruning():
        ...     print(condition.column, condition.op, condition.value)
        pt > 550
        eta < 2
        eta > -2
        """
        return tuple(_conditions(self.tree))


def parse(text: str, role: str = "The expression") -> Expression:
    """Parse an expression; the columns and types are checked once a schema is known.

    Raises
    ------
    RecipeError
        The text is no expression; the message points at the place.

    Examples
    --------
    >>> sorted(parse("sqrt(px**2 + py**2)").columns)
    ['px', 'py']
    >>> parse("pt > AND")
    Traceback (most recent call last):
    steepest.errors.RecipeError: The expression cannot be read: something is missing here.
        pt > AND
             ^^^
      expected: a column, a number, text in quotes or (
      found:    'AND'
    """
    return Expression(text, parse_tree(text, role), role)


def column(name: str, role: str = "The expression") -> Expression:
    """Return the expression that is one column, whatever letters its name has.

    Examples
    --------
    >>> column("jet-pt [GeV]").columns
    frozenset({'jet-pt [GeV]'})
    """
    return Expression(name, Column(name, end=len(name)), role)


def frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return a record batch as a data frame, without a copy where the types allow it."""
    rows = pl.from_arrow(batch)
    assert isinstance(rows, pl.DataFrame)  # what Polars returns for a record batch
    return rows


def _conditions(node: Node) -> Iterator[Condition]:
    match node:
        case Logic("and", terms):
            for term in terms:
                yield from _conditions(term)
        case Column(name):
            yield Condition(name, "==", True)
        case Not(Column(name)):
            yield Condition(name, "==", False)
        case Membership(Column(name), values, False):
            yield Condition(name, "in", tuple(value.value for value in values))
        case Comparison(operands, operators):
            for left, operator, right in zip(operands, operators, operands[1:], strict=False):
                yield from _pair(left, operator, right)


def _pair(left: Node, operator: str, right: Node) -> Iterator[Condition]:
    if operator not in MIRRORED:
        return
    if isinstance(left, Number | Text):
        left, operator, right = right, MIRRORED[operator], left
    match left, right:
        case Column(name), Number(value) | Text(value):
            yield Condition(name, operator, value)
        case Call("abs", (Column(name),)), Number(value) if operator in ("<", "<=", "=="):
            bound = "<=" if operator == "==" else operator
            yield Condition(name, bound, value)
            yield Condition(name, MIRRORED[bound], -value)
