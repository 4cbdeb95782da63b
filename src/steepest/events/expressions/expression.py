"""Expressions over columns, for selections, derived features, labels and weights.

``parse(text)`` gives an `Expression`. The syntax is in `parse`, the types in `types`, what NaN and
null do in `functions` and `lists`. Nothing in a text is ever executed: a text is parsed to a tree,
and the tree is translated to a Polars expression.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.events.expressions.lists import refuse_mismatch
from steepest.events.expressions.parse import SYMBOLS, literal_value, nodes_of, parse_tree
from steepest.events.expressions.translate import translate
from steepest.events.expressions.types import Typed
from steepest.events.formats.contract import Condition

MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


@dataclass(frozen=True)
class Expression:
    """A parsed expression: its text and its tree.

    `role` begins the sentence of an error about it, such as ``events.select``.
    """

    text: str
    tree: ast.expr = field(compare=False)
    role: str = "The expression"

    @property
    def columns(self) -> frozenset[str]:
        """The names of the columns that it needs."""
        return frozenset(node.id for node in nodes_of(self.tree) if isinstance(node, ast.Name))

    @property
    def column(self) -> str | None:
        """The name of the column that it is, if it is a column and no more."""
        return self.tree.id if isinstance(self.tree, ast.Name) else None

    @property
    def functions(self) -> frozenset[str]:
        """The names of the functions that it calls."""
        calls = (node.func for node in nodes_of(self.tree) if isinstance(node, ast.Call))
        return frozenset(function.id for function in calls if isinstance(function, ast.Name))

    @property
    def texts(self) -> list[str]:
        """The texts in quotes that it has."""
        values = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Constant))
        return [value for value in values if isinstance(value, str)]

    @property
    def operators(self) -> frozenset[str]:
        """The operators between numbers that it has, such as ``/``."""
        nodes = ast.walk(self.tree)
        return frozenset(SYMBOLS[type(node.op)] for node in nodes if isinstance(node, ast.BinOp))

    def same_as(self, other: Expression) -> bool:
        """Whether two expressions say the same, wherever it stands in their texts.

        Examples
        --------
        >>> parse("a && b > 1").same_as(parse("(a) AND `b` > 1.0"))
        True
        """
        return _shape(self.tree) == _shape(other.tree)

    def substituted(self, expressions: Mapping[str, Expression]) -> Expression:
        """Return the expression with columns replaced by expressions, in parentheses.

        Examples
        --------
        >>> parse("2 * ratio").substituted({"ratio": parse("tau3 / tau2")}).text
        '2 * (tau3 / tau2)'
        """
        text = self.text
        columns = [node for node in nodes_of(self.tree) if isinstance(node, ast.Name)]
        places: dict[int, list[ast.Name]] = {}  # p4(Jet) has four columns at one
        for node in columns:
            places.setdefault(node.col_offset, []).insert(0, node)
        for start in sorted(places, reverse=True):
            at = places[start]
            if any(node.id in expressions for node in at):
                inner = (
                    f"({expressions[n.id].text})" if n.id in expressions else f"`{n.id}`"
                    for n in at
                )
                text = f"{text[:start]}{', '.join(inner)}{text[at[0].end_col_offset :]}"
        return parse(text, self.role)

    def typed(self, schema: pa.Schema) -> Typed:
        """Return its Polars expression and type for events of this schema.

        Raises
        ------
        EventsError
            A column is missing or holds lists of lists; a number stands where a condition must, …
        RecipeError
            There is no such function, or it takes another number of arguments.
        """
        return translate(self.tree, self.text, self.role, schema, scalar=False)

    def scalar(self, schema: pa.Schema) -> Typed:
        """Return what `typed` returns, of an expression with one value for each event.

        Raises
        ------
        EventsError, RecipeError
            As `typed` does; also if there is a list for each event.
        """
        return translate(self.tree, self.text, self.role, schema, scalar=True)

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


def parse(text: str, role: str = "The expression", names: Collection[str] = ()) -> Expression:
    """Parse an expression; the columns and types are checked once a schema is known.

    ``p4(Jet)`` has the columns ``Jet_pt``, …; where `names` has no such column, the one ``Jet.pt``
    that it has instead (an RNTuple), without regard to case (Delphes: ``Jet.PT``).

    Raises
    ------
    RecipeError
        The text is no expression; the message points at the place.

    Examples
    --------
    >>> sorted(parse("sqrt(px**2 + py**2)").columns)
    ['px', 'py']
    >>> sorted(parse("p4(Mu).mass", names=["Mu.PT", "Mu.Eta", "Mu.Phi", "Mu.Mass"]).columns)
    ['Mu.Eta', 'Mu.Mass', 'Mu.PT', 'Mu.Phi']
    >>> parse("pt > AND")
    Traceback (most recent call last):
    steepest.errors.RecipeError: The expression cannot be read: something is missing here.
        pt > AND
             ^^^
      expected: a column, a number, text in quotes or (
      found:    'AND'
    """
    return Expression(text, parse_tree(text, role, names), role)


def column(name: str, role: str = "The expression") -> Expression:
    """Return the expression that is one column, whatever letters its name has.

    Examples
    --------
    >>> column("jet-pt [GeV]").columns
    frozenset({'jet-pt [GeV]'})
    """
    tree = ast.Name(name, ast.Load(), lineno=1, col_offset=0, end_col_offset=len(name))
    return Expression(name, tree, role)


def frame(batch: pa.RecordBatch) -> pl.DataFrame:
    """Return a record batch as a data frame, without a copy where the types allow it."""
    rows = pl.from_arrow(batch)
    assert isinstance(rows, pl.DataFrame)  # what Polars returns for a record batch
    return rows


def _shape(tree: ast.expr) -> list[tuple]:
    """Return a tree as a list, by which trees are compared: 1 equals 1.0, but not true.

    `ast.dump` is recursive, which a sum of a thousand terms is too deep for, and tells 1 from 1.0.
    """
    shape = []
    for node in ast.walk(tree):
        name = getattr(node, "id", None) or getattr(node, "attr", None)
        says = node.value if isinstance(node, ast.Constant) else name
        children = len(list(ast.iter_child_nodes(node)))
        shape.append((type(node), isinstance(says, bool), says, children))
    return shape


def _conditions(node: ast.expr) -> Iterator[Condition]:
    match node:
        case ast.BoolOp(op=ast.And(), values=terms):
            for term in terms:
                yield from _conditions(term)
        case ast.Name(id=name):
            yield Condition(name, "==", True)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=ast.Name(id=name)):
            yield Condition(name, "==", False)
        case ast.Compare(
            left=ast.Name(id=name), ops=[ast.In()], comparators=[ast.List(elts=values)]
        ):
            yield Condition(name, "in", tuple(literal_value(value) for value in values))
        case ast.Compare(left=left, ops=operators, comparators=operands):
            pairs = itertools.pairwise([left, *operands])
            for (first, second), operator in zip(pairs, operators, strict=True):
                yield from _pair(first, SYMBOLS[type(operator)], second)


def _pair(left: ast.expr, operator: str, right: ast.expr) -> Iterator[Condition]:
    if operator not in MIRRORED:
        return
    if literal_value(left) is not None:
        left, operator, right = right, MIRRORED[operator], left
    value = literal_value(right)
    match left, value:
        case ast.Name(id=name), int() | float() | str():
            yield Condition(name, operator, value)
        case (
            ast.Call(func=ast.Name(id="abs"), args=[ast.Name(id=name)]),
            int() | float(),
        ) if operator in ("<", "<=", "=="):
            bound = "<=" if operator == "==" else operator
            yield Condition(name, bound, value)
            yield Condition(name, MIRRORED[bound], -value)
