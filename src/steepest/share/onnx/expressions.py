"""Expressions over columns as nodes of a graph, so that derived features are inside it.

Every function of one value an event has a form here; lists and four-vectors have none, and are
refused by name. What a column holds follows from its use: a condition in ``flag AND pt > 5``, an
integer in ``bit(flags, 3)``, a text in ``channel == "e"``; else it is a number. Integers are
float64 in arithmetic and comparisons, exact up to 2⁵³.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import NoReturn

import numpy as np

from steepest.errors import InputError
from steepest.events.expressions.expression import Expression, column, parse
from steepest.events.expressions.parse import SYMBOLS, literal_value, operands, pointed
from steepest.groups import FEATURES
from steepest.share.onnx import functions
from steepest.share.onnx.graph import FLAG, INTEGER, NUMBER, TEXT, Graph
from steepest.trained import TrainedModel

_OPERATORS: dict[str, Callable[[Graph, str, str], str]] = {
    "+": Graph.add, "-": Graph.subtract, "*": Graph.multiply, "/": Graph.divide,
    "%": functions.modulo, "**": lambda g, a, b: g.node("Pow", a, b),
}  # fmt: skip
_COMPARISONS = {
    "==": "Equal", "<": "Less", "<=": "LessOrEqual", ">": "Greater", ">=": "GreaterOrEqual",
}  # fmt: skip
_PLAIN = {
    "abs": "Abs", "sqrt": "Sqrt", "exp": "Exp", "log": "Log", "sin": "Sin", "cos": "Cos",
    "tanh": "Tanh", "floor": "Floor", "ceil": "Ceil", "sign": "Sign", "round": "Round",
    "pow": "Pow",
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., str]] = {
    **{
        name: (lambda g, *x, operator=operator: g.node(operator, *x))
        for name, operator in _PLAIN.items()
    },
    "log1p": functions.log1p, "log10": functions.log10, "tan": functions.tan,
    "arcsin": functions.arcsin, "arccos": functions.arccos, "arctan": functions.arctan,
    "sinh": functions.sinh, "cosh": functions.cosh, "arcsinh": functions.arcsinh,
    "arccosh": functions.arccosh, "arctanh": functions.arctanh, "atan2": functions.arctan2,
    "hypot": functions.hypot, "delta_phi": functions.delta_phi, "delta_r": functions.delta_r,
    "deltaPhi": functions.delta_phi, "deltaR": functions.delta_r,
    "min": lambda g, *x: reduce(lambda a, b: g.node("Min", a, b), x),
    "max": lambda g, *x: reduce(lambda a, b: g.node("Max", a, b), x),
}  # fmt: skip
"""Of numbers; `where`, `bit`, `isfinite` and `isnan` take or give something else."""
CONDITIONS: dict[str, Callable[[Graph, str], str]] = {
    "isfinite": functions.is_finite,
    "isnan": lambda g, x: g.node("IsNaN", x),
}


@dataclass(frozen=True)
class Translation:
    """Translates expressions, in columns alone, into one graph."""

    graph: Graph
    kinds: Mapping[str, str]
    """What each column holds, by `kinds_of`."""

    def number(self, expression: Expression) -> str:
        """Return the node of an expression's number, a condition as 0 or 1."""
        return _Nodes(self, expression).number(expression.tree)


def expressions_of(model: TrainedModel) -> dict[str, Expression]:
    """Return the expression of each feature, in columns alone.

    Examples
    --------
    >>> expressions_of(model)["tau32"].text  # doctest: +SKIP
    'tau3 / tau2'
    """
    found, features = {}, model.features
    if isinstance(features, Mapping):
        features = features.get(FEATURES, ())
    for feature in features:
        if isinstance(feature, str):
            found[feature] = column(feature, f"The feature {feature!r}")
        else:
            name = feature["name"]
            found[name] = parse(feature["value"], f"The feature {name!r}")
    tables = {f["name"] for f in features if not isinstance(f, str)}
    # a name that a feature's own expression has is that of a column
    named = {name for name in tables if name not in found[name].columns}
    for _ in named:  # as often as one may be in another
        found = {
            name: e.substituted({used: found[used] for used in e.columns & named})
            if e.columns & named and name in tables
            else e
            for name, e in found.items()
        }
    return found


def kinds_of(expressions: Mapping[str, Expression], texts: Mapping[str, object]) -> dict[str, str]:
    """Return what each column holds, as the expressions use it.

    Examples
    --------
    >>> from steepest.events.expressions.expression import parse
    >>> kinds_of({"x": parse('where(tight AND channel == "e", pt, 0)')}, {})
    {'tight': 'condition', 'channel': 'text', 'pt': 'number'}
    """
    found: dict[str, str] = dict.fromkeys(texts, TEXT)
    for expression in expressions.values():
        _note(expression.tree, NUMBER, found)
    return found


_RANK = (NUMBER, INTEGER, FLAG, TEXT)


def _note(node: ast.expr, wanted: str, found: dict[str, str]) -> None:
    """Note what the columns below a node hold, of which one of a kind is wanted."""
    match node:
        case ast.Name(id=name):
            known = found.get(name, NUMBER)
            found[name] = max(known, wanted, key=_RANK.index)
        case ast.BoolOp(values=terms):
            for term in terms:
                _note(term, FLAG, found)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            _note(operand, FLAG, found)
        case ast.Compare(left=left, comparators=others):
            sides = [left, *itertools.chain(*([o.elts if isinstance(o, ast.List) else [o]
                                              for o in others]))]  # fmt: skip
            kind = TEXT if any(isinstance(literal_value(s), str) for s in sides) else NUMBER
            if any(_is_condition(side) for side in sides):
                kind = FLAG
            for side in sides:
                _note(side, kind, found)
        case ast.Call(func=ast.Name(id="where"), args=[condition, *values]):
            _note(condition, FLAG, found)
            for value in values:
                _note(value, wanted, found)
        case ast.Call(func=ast.Name(id="bit"), args=[flags, *_]):
            _note(flags, INTEGER, found)
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            for operand in operands(node):
                _note(operand, INTEGER, found)
        case _:
            for operand in operands(node):
                _note(operand, NUMBER, found)


def _is_condition(node: ast.expr) -> bool:
    """Whether a node is a condition, whatever the columns hold."""
    match node:
        case ast.BoolOp() | ast.Compare() | ast.Constant(value=bool()):
            return True
        case ast.UnaryOp(op=ast.Not() | ast.Invert()):
            return True
        case ast.Call(func=ast.Name(id=name)):
            return name in CONDITIONS or name == "bit"
    return False


@dataclass(frozen=True)
class _Nodes:
    """The nodes of one expression."""

    whole: Translation
    expression: Expression

    @property
    def graph(self) -> Graph:
        return self.whole.graph

    def number(self, node: ast.expr) -> str:
        """A number for each event."""
        g = self.graph
        if self.is_condition(node):
            return g.cast(self.condition(node), np.float64)
        match node:
            case ast.Name(id=name):
                return self.column(node, name)
            case ast.Constant() | ast.UnaryOp() if (value := literal_value(node)) is not None:
                if isinstance(value, str):
                    self.refuse(node, "a text where a number is")
                return g.constant(float(value))
            case ast.UnaryOp(op=sign, operand=operand):
                number = self.number(operand)
                return g.node("Neg", number) if isinstance(sign, ast.USub) else number
            case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
                return g.cast(self.integer(node), np.float64)
            case ast.BinOp():
                return self.arithmetic(node)
            case ast.Call(func=ast.Name(id="where"), args=[condition, a, b]):
                return g.where(self.condition(condition), self.number(a), self.number(b))
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in FUNCTIONS:
                if len(arguments) == 1 and name in ("min", "max"):
                    self.refuse(node, f"{name} of a list")
                return FUNCTIONS[name](g, *map(self.number, arguments))
            case ast.Call(func=ast.Name(id=name)):
                self.refuse(node, f"the function {name}")
            case ast.Attribute(attr=name):
                self.refuse(node, f"{name} of a four-vector")
        return self.refuse(node, "an element of a list")

    def arithmetic(self, node: ast.BinOp) -> str:
        first, *chain = _chain(node)
        value = self.number(first.left)
        for each in (first, *chain):
            value = _OPERATORS[SYMBOLS[type(each.op)]](self.graph, value, self.number(each.right))
        return value

    def column(self, node: ast.Name, name: str) -> str:
        kind = self.whole.kinds[name]
        if kind == TEXT:
            self.refuse(node, f"the text {name} as a number")
        value = self.graph.column(name, kind)
        is_double = kind == NUMBER and self.graph.input_dtype == np.float64
        return value if is_double else self.graph.cast(value, np.float64)

    def is_condition(self, node: ast.expr) -> bool:
        named = isinstance(node, ast.Name) and self.whole.kinds[node.id] == FLAG
        return _is_condition(node) or named

    def condition(self, node: ast.expr) -> str:
        """Whether each event meets a condition."""
        g = self.graph
        match node:
            case ast.Constant(value=bool() as value):
                return g.constant(value, bool)
            case ast.Name(id=name):
                return g.column(name, FLAG)
            case ast.UnaryOp(operand=operand):
                return g.node("Not", self.condition(operand))
            case ast.BoolOp(op=operator, values=terms):
                join = "And" if isinstance(operator, ast.And) else "Or"
                return reduce(lambda a, b: g.node(join, a, b), map(self.condition, terms))
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() as op], comparators=[one]):
                met = self.member(left, operands(one))
                return met if isinstance(op, ast.In) else g.node("Not", met)
            case ast.Compare(left=left, ops=operators, comparators=others):
                pairs = zip(itertools.pairwise([left, *others]), operators, strict=True)
                met = [self.compared(SYMBOLS[type(op)], a, b) for (a, b), op in pairs]
                return reduce(lambda a, b: g.node("And", a, b), met)
            case ast.Call(func=ast.Name(id="bit"), args=[flags, place]):
                mask = g.constant(1 << int(literal_value(place) or 0), np.int64)
                bits = g.node("BitwiseAnd", self.integer(flags), mask)
                return g.node("Not", g.node("Equal", bits, g.constant(0, np.int64)))
            case ast.Call(func=ast.Name(id=name), args=[argument]) if name in CONDITIONS:
                return CONDITIONS[name](g, self.number(argument))
        return self.refuse(node, "a number where a condition is")

    def compared(self, symbol: str, left: ast.expr, right: ast.expr) -> str:
        g = self.graph
        for text, other in ((left, right), (right, left)):
            if isinstance(literal_value(text), str):
                met = self.member(other, [text])
                return met if symbol == "==" else g.node("Not", met)
        if self.is_condition(left) or self.is_condition(right):
            unequal = g.node("Xor", self.condition(left), self.condition(right))
            return g.node("Not", unequal) if symbol == "==" else unequal
        a, b = self.number(left), self.number(right)
        if symbol == "!=":
            return g.node("Not", g.node("Equal", a, b))
        return g.node(_COMPARISONS[symbol], a, b)

    def member(self, node: ast.expr, values: list[ast.expr]) -> str:
        g, known = self.graph, [literal_value(value) for value in values]
        if all(isinstance(value, str) for value in known):
            if not isinstance(node, ast.Name):
                self.refuse(node, "a text that is computed")
            return g.cast(encoded(g, g.column(node.id, TEXT), [str(v) for v in known], 1, 0), bool)
        number = self.number(node)
        met = [g.node("Equal", number, self.number(value)) for value in values]
        return reduce(lambda a, b: g.node("Or", a, b), met)

    def integer(self, node: ast.expr) -> str:
        g = self.graph
        match node:
            case ast.Name(id=name):
                return g.column(name, INTEGER)
            case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() as op, right=right):
                operator = "BitwiseAnd" if isinstance(op, ast.BitAnd) else "BitwiseOr"
                return g.node(operator, self.integer(left), self.integer(right))
        value = literal_value(node)
        if not isinstance(value, int) or not -(2**63) <= value < 2**63:
            self.refuse(node, "bits of what is no column of integers")
        return g.constant(value, np.int64)

    def refuse(self, node: ast.expr, what: str) -> NoReturn:
        text = self.expression.text
        place = pointed(text, node.col_offset, node.end_col_offset or 0)
        raise InputError(
            f"{self.expression.role} cannot be written as ONNX: it has {what}.\n{place}",
            expected="operators and functions of one value an event: "
            + ", ".join(sorted({*FUNCTIONS, *CONDITIONS, "where", "bit"})),
            do="write the feature into the files, and train on that column",
        )


def encoded(g: Graph, text: str, keys: list[str], value: int | list[int], other: int) -> str:
    """Return the number of each text: its value if it is a key, else `other`."""
    values = [value] * len(keys) if isinstance(value, int) else value
    return g.node("LabelEncoder", text, domain="ai.onnx.ml", keys_strings=keys,
                  values_int64s=values, default_int64=other)  # fmt: skip


def _chain(node: ast.BinOp) -> list[ast.BinOp]:
    """Return a + b − c … from left to right, without recursion."""
    chain = [node]
    while isinstance(chain[-1].left, ast.BinOp) and type(chain[-1].left.op) not in (
        ast.BitAnd,
        ast.BitOr,
    ):
        chain.append(chain[-1].left)
    return chain[::-1]
