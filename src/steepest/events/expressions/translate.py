"""From the tree to a Polars expression, with a type: what may stand where is decided here.

The rules of single values are in `steepest.events.expressions.functions`, those of lists in
`steepest.events.expressions.lists`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NoReturn

import polars as pl
import pyarrow as pa

from steepest.errors import EventsError, RecipeError, SteepestError, nearest
from steepest.events.expressions.functions import FUNCTIONS, all_of, any_of, compared, operated
from steepest.events.expressions.lists import (
    REDUCTIONS,
    Mismatch,
    element,
    filtered,
    lifted,
    ordered,
    paired,
    reduced,
)
from steepest.events.expressions.parse import (
    COMPONENTS,
    SYMBOLS,
    component_of,
    literal_value,
    operands,
    pointed,
)
from steepest.events.expressions.types import (
    INTEGERS,
    Condition,
    Float,
    String,
    Typed,
    column_type,
    is_nested,
    literal,
)
from steepest.events.expressions.vectors import (
    ATTRIBUTES,
    BETWEEN,
    FROM_PT,
    MEMBERS,
    OF_VECTORS,
    P4,
    computed,
)
from steepest.events.words import listed


def translate(tree: ast.expr, text: str, role: str, schema: pa.Schema, scalar: bool) -> Typed:
    """Return the Polars expression and type of a parsed text, for events of a schema.

    `role` is what it is called in messages; `scalar` refuses a list for each event. See
    `steepest.events.expressions.expression.Expression.typed` for the errors.
    """
    translation = _Translation(text, role, schema)
    typed = translation.of(tree)
    if scalar and typed.is_list:
        place = translation.origin(tree)
        translation.mistyped(
            place,
            "a list stands where one value an event is needed",
            expected="one value an event: x[0], sum(x), count(x), mean(x), min(x), max(x), "
            "any(condition) or all(condition) of a list x",
            found=translation.of(place).words,
        )
    return replace(typed, mismatches=translation.mismatches)


@dataclass(frozen=True)
class _Translation:
    """Translates the tree of one expression for events of one schema."""

    text: str
    role: str
    schema: pa.Schema
    mismatches: list[Mismatch] = field(default_factory=list)

    def of(self, node: ast.expr) -> Typed:
        """Return the typed Polars expression of a node."""
        match node:
            case ast.Constant(value=bool() as value):
                return Typed(pl.lit(value, dtype=pl.Boolean), Condition)
            case ast.Constant(value=str() as value):
                return Typed(pl.lit(value, dtype=pl.String), String)
            case ast.Name(id=name):
                return self.column(node, name)
            case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
                condition = self.checked(operand, "NOT", "conditions")
                return self.lift(node, lambda x: Typed(~x.expr, Condition), condition)
            case ast.Constant() | ast.UnaryOp():
                return self.signed(node)
            case ast.Compare(ops=[ast.In() | ast.NotIn()]):
                return self.membership(node)
            case ast.Compare():
                return self.comparison(node)
            case ast.BoolOp(op=operator, values=terms):
                symbol = SYMBOLS[type(operator)]
                conditions = [self.checked(term, symbol, "conditions") for term in terms]
                build = all_of if isinstance(operator, ast.And) else any_of
                return self.lift(node, build, *conditions)
            case ast.Attribute(value=operand, attr=name):
                return self.attribute(node, operand, name)
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in BETWEEN and any(
                map(self.is_vector, arguments)
            ):
                return self.between(node, name, arguments)
            case ast.Call() | ast.Subscript() | ast.BinOp() if self.is_vector(node):
                self.vector(node)  # what is wrong within it goes first
                known = ", ".join(ATTRIBUTES)
                message = "a four-vector stands where a number is needed"
                self.mistyped(node, message, expected=f"p4(…).mass, or another of {known}")
            case ast.BinOp():
                return self.arithmetic(node)
            case ast.Subscript(value=operand, slice=index):
                return self.index(operand, index)
            case ast.Call(func=ast.Name(id="sort"), args=arguments):
                return self.sorted(node, arguments)
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in MEMBERS:
                lists = self.pair(node, arguments)
                return paired(MEMBERS[name], lists, partial(self.note_pairs, node))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self.call(node, name, arguments)
        raise TypeError(f"no such node: {ast.dump(node)}")

    def lift(self, node: ast.expr, build: Callable[..., Typed], *values: Typed) -> Typed:
        """Apply an operation on single values, elementwise where an operand is a list."""
        return lifted(build, values, lambda *found: self.note(node, *found))

    def note(self, node: ast.expr, row: int, lengths: tuple[int, ...]) -> None:
        """Note that lists which meet at a node differ in length."""
        self.mismatches.append(Mismatch(self.role, self.place(node), row, lengths))

    def note_pairs(self, node: ast.expr, row: int, pairs: int) -> None:
        """Note that the lists of an event have too many pairs."""
        self.mismatches.append(Mismatch(self.role, self.place(node), row, (), pairs))

    def origin(self, node: ast.expr) -> ast.expr:
        """Return the node that made a list of an expression: a column, or elements of one."""
        plain = isinstance(node, ast.Name | ast.Subscript | ast.Attribute)
        if plain or any(map(self.is_vector, operands(node))):
            return node
        return next(self.origin(child) for child in operands(node) if self.of(child).is_list)

    # --- nodes -----------------------------------------------------------------------------------

    def refuse_component(self, node: ast.expr, name: str) -> None:
        """Raise EventsError for a column that p4(Jet) lacks."""
        stem, component = component_of(node, self.text) if isinstance(node, ast.Name) else ("", "")
        if not component:
            return
        names = self.schema.names
        stems = [known[:-3] for known in names if re.search("[._]pt$", known, re.IGNORECASE)]
        others = sorted(known for known in names if known.startswith((f"{stem}_", f"{stem}.")))
        guess = nearest(stem, [known for known in stems if known != stem])
        self.mistyped(
            node,
            f"there is no column {name!r}",
            expected=f"p4({stem}) is p4({', '.join(f'{stem}_{each}' for each in COMPONENTS)})",
            found=listed(others, 12) if others else f"no column {stem}_… or {stem}.…",
            do="write p4(pt, eta, phi, mass) with the columns there are; a mass may be a number: 0"
            if others
            else (f"write p4({guess})" if guess else None),
        )

    def column(self, node: ast.expr, name: str) -> Typed:
        names = self.schema.names
        if name not in names:
            self.refuse_component(node, name)
            guess = nearest(name, names)
            self.mistyped(
                node,
                f"there is no column {name!r}",
                expected=f"one of {listed(names, 12)}",
                do=f"write {guess}" if guess else f'check the name; text goes in quotes: "{name}"',
            )
        if names.count(name) > 1:
            self.mistyped(node, f"there is more than one column {name!r}",
                          do="rename one of them in the file")  # fmt: skip
        arrow = self.schema.field(name).type
        dtype = column_type(arrow)
        if dtype is None:
            nested = is_nested(arrow)
            self.mistyped(
                node,
                f"the column {name!r} holds " + ("lists of lists" if nested else "no plain values"),
                expected="numbers, booleans or text, one value or one list of them an event",
                found=str(arrow),
                do="write one list an event: flatten it, or give each part a column"
                if nested
                else None,
            )
        return Typed(pl.col(name).cast(dtype), dtype)

    def signed(self, node: ast.Constant | ast.UnaryOp) -> Typed:
        value = literal_value(node)
        if isinstance(value, int | float):
            return literal(value)
        assert isinstance(node, ast.UnaryOp)
        negative = isinstance(node.op, ast.USub)
        number = self.checked(node.operand, "the sign", "numbers")
        return self.lift(node, lambda x: Typed(-x.real if negative else x.real, Float), number)

    def arithmetic(self, node: ast.BinOp) -> Typed:
        chain = [node]  # a + b + c + …, without recursion
        while isinstance(chain[-1].left, ast.BinOp):
            chain.append(chain[-1].left)
        left = self.of(chain[-1].left)
        for node in reversed(chain):
            symbol = SYMBOLS[type(node.op)]
            takes = "integers" if symbol in ("&", "|") else "numbers"
            self.check(node.left, left, symbol, takes)
            right = self.checked(node.right, symbol, takes)
            left = self.lift(node, partial(operated, symbol), left, right)
        return left

    def comparison(self, node: ast.Compare) -> Typed:
        left, pairs = self.of(node.left), []
        for operator, operand in zip(node.ops, node.comparators, strict=True):
            symbol, right = SYMBOLS[type(operator)], self.of(operand)
            self.check_pair(operand, left, symbol, right)
            pairs.append(self.lift(node, partial(compared, symbol), left, right))
            left = right
        return pairs[0] if len(pairs) == 1 else self.lift(node, all_of, *pairs)

    def membership(self, node: ast.Compare) -> Typed:
        operand, places = self.of(node.left), operands(node.comparators[0])
        values = [self.of(place) for place in places]
        for value, place in zip(values, places, strict=True):
            self.check_pair(place, operand, "==", value)

        def inside(x: Typed) -> Typed:
            if x.dtype == String:
                texts = pl.Series([literal_value(place) for place in places], dtype=pl.String)
                met = x.expr.is_in(texts.implode())
            else:
                met = any_of(*(compared("==", x, value) for value in values)).expr
            return Typed(met if isinstance(node.ops[0], ast.In) else ~met, Condition)

        return self.lift(node, inside, operand)

    def index(self, operand: ast.expr, index: ast.expr) -> Typed:
        return self.indexed(operand, self.of(operand), index, self.of(index))

    def indexed(self, operand: ast.expr, values: Typed, index: ast.expr, at: Typed) -> Typed:
        if not values.is_list:
            self.mistyped(operand, "[...] takes an element of a list", found=values.words,
                          expected="a column of lists")  # fmt: skip
        if at.is_list and at.element == Condition:
            return filtered(values, at, lambda *found: self.note(index, *found))
        if not at.is_integer:
            self.mistyped(
                index,
                "an index is an integer, or a list of conditions",
                found=at.words,
                do="x[0] is the first element, x[-1] the last, x[x > 5] what meets the condition",
            )
        return element(values, at)

    # --- four-vectors ----------------------------------------------------------------------------

    def attribute(self, node: ast.Attribute, operand: ast.expr, name: str) -> Typed:
        """Return what a four-vector has, such as its mass."""
        if name not in ATTRIBUTES:
            self.mistyped(node, f"a four-vector has no {name!r}",
                          expected=f"one of {', '.join(ATTRIBUTES)}")  # fmt: skip
        return self.lift(node, computed(ATTRIBUTES[name]), *self.vector(operand).parts)

    def is_vector(self, node: ast.expr) -> bool:
        """Whether a node is a four-vector, or a list of them."""
        while True:
            match node:
                case ast.BinOp(op=ast.Add() | ast.Sub(), left=inner) | ast.Subscript(value=inner):
                    node = inner
                case ast.Call(func=ast.Name(id="p4" | "pairs")):
                    return True
                case ast.Call(func=ast.Name(id=name), args=[first, *rest]) if name in OF_VECTORS:
                    node = rest[0] if rest and name == "second" else first
                case _:
                    return False

    def vector(self, node: ast.expr) -> P4:
        """Return the four-vector of a node: p4(…), a sum of them, an element, or some of a list."""
        match node:
            case ast.Call(func=ast.Name(id="p4"), args=[_, _, _, _] as arguments):
                values = [self.checked(argument, "p4", "numbers") for argument in arguments]
                px, py, pz, energy = (self.lift(node, computed(f), *values) for f in FROM_PT)
                return P4((px, py, pz, energy))
            case ast.Call(func=ast.Name(id="p4")):
                expected = "4 arguments: p4(pt, eta, phi, mass), or p4(Jet) for p4(Jet_pt, …)"
                return self.miscounted(node, "p4", expected)
            case ast.BinOp(op=ast.Add() | ast.Sub() as op, left=left, right=right):
                return self.added(node, SYMBOLS[type(op)], self.vector(left), self.vector(right))
            case ast.Call(func=ast.Name(id="sum"), args=[operand]):
                return self.list_of(operand, "sum of one argument").each(do=partial(reduced, "sum"))
            case ast.Call(func=ast.Name(id="sort"), args=[operand, by]):
                key = self.checked(by, "sort", "numbers")
                return self.list_of(operand, "sort").each(
                    do=lambda part: ordered(part, key, lambda *found: self.note(node, *found))
                )
            case ast.Call(func=ast.Name(id="pairs"), args=arguments):
                for argument in arguments:
                    if not self.is_vector(argument):
                        do = "of numbers, first(x) and second(x) are the members of each pair"
                        self.mistyped(argument, "pairs takes lists of four-vectors, p4(…)", do=do)
                first, second = (self.members(node, side, arguments) for side in (0, 1))
                return self.added(node, "+", first, second)
            case ast.Call(func=ast.Name(id="first" | "second" as name), args=arguments):
                return self.members(node, MEMBERS[name], arguments)
            case ast.Subscript(value=operand, slice=index):
                return self.vector(operand).each(
                    do=lambda part: self.indexed(operand, part, index, self.of(index))
                )
            case _:
                expected = "p4(pt, eta, phi, mass), a sum of these, or elements of a list of them"
                return self.mistyped(node, "only a four-vector has components", expected=expected)

    def added(self, node: ast.expr, symbol: str, left: P4, right: P4) -> P4:
        """Return the sum or difference of two four-vectors."""
        return left.each(right, do=lambda a, b: self.lift(node, partial(operated, symbol), a, b))

    def list_of(self, node: ast.expr, user: str) -> P4:
        """Return a list of four-vectors."""
        vector = self.vector(node)
        if not vector.parts[0].is_list:
            self.mistyped(node, f"{user} takes a list of four-vectors")
        return vector

    def between(self, node: ast.Call, name: str, arguments: list[ast.expr]) -> Typed:
        """Return a function of two four-vectors, such as their distance."""
        if len(arguments) != 2:
            self.miscounted(node, name, f"2 four-vectors: {name}(a, b)")
        values = [
            self.lift(node, computed(ATTRIBUTES[component]), *vector.parts)
            for vector in map(self.vector, arguments)
            for component in BETWEEN[name]
        ]
        function = "delta_r" if len(values) == 4 else "delta_phi"
        return self.lift(node, FUNCTIONS[function].build, *values)

    def members(self, node: ast.Call, side: int, arguments: list[ast.expr]) -> P4:
        """Return the first or second four-vector of each pair."""
        lists = self.pair(node, arguments)
        own = min(side, len(lists) - 1)

        def of(part: Typed) -> Typed:
            given = [part if i == own else x for i, x in enumerate(lists)]
            return paired(side, given, partial(self.note_pairs, node))

        return self.vector(arguments[own]).each(do=of)

    def pair(self, node: ast.Call, arguments: list[ast.expr]) -> list[Typed]:
        """Return the lists whose elements are paired; of four-vectors, their first component."""
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if len(arguments) not in (1, 2):
            self.miscounted(node, name, f"1 list, or 2: {name}(x), {name}(x, y)")
        lists = []
        for argument in arguments:
            is_vector = self.is_vector(argument)
            typed = self.vector(argument).parts[0] if is_vector else self.of(argument)
            if not typed.is_list:
                self.mistyped(argument, f"{name} takes lists", found=typed.words)
            lists.append(typed)
        return lists

    # --- calls -----------------------------------------------------------------------------------

    def call(self, node: ast.Call, name: str, arguments: list[ast.expr]) -> Typed:
        function, count = FUNCTIONS.get(name), len(arguments)
        if name in REDUCTIONS and (function is None or count == 1):
            return self.reduction(node, name, arguments)
        if function is None:
            known = sorted(FUNCTIONS.keys() | REDUCTIONS.keys() | BETWEEN.keys() | set(OF_VECTORS))
            guess = nearest(name, known)
            self.fail(
                RecipeError,
                node,
                f"there is no function {name!r}",
                expected=f"one of {', '.join(known)}",
                do=f"write {guess}" if guess else None,
            )
        if count < function.least or (function.most is not None and count > function.most):
            self.miscounted(
                node, name, ("1 list, or " if name in REDUCTIONS else "") + function.arity
            )
        if name == "where":
            values = self.where(*arguments)
        elif name == "bit":
            values = self.bit(*arguments)
        else:
            values = [self.checked(argument, name, "numbers") for argument in arguments]
        return self.lift(node, function.build, *values)

    def sorted(self, node: ast.Call, arguments: list[ast.expr]) -> Typed:
        """Return the elements of a list in falling order of another one, or of its own."""
        if len(arguments) not in (1, 2):
            self.miscounted(node, "sort", "1 list, or 2: sort(x, by)")
        values = [self.of(argument) for argument in arguments]
        for argument, typed in zip(arguments, values, strict=True):
            if not typed.is_list:
                self.mistyped(argument, "sort takes lists", found=typed.words)
        self.check(arguments[-1], values[-1], "sort", "numbers")
        return ordered(values[0], values[-1], lambda *found: self.note(node, *found))

    def reduction(self, node: ast.Call, name: str, arguments: list[ast.expr]) -> Typed:
        if len(arguments) != 1:
            self.miscounted(node, name, "1 list")
        typed = self.of(arguments[0])
        if not typed.is_list:
            self.mistyped(
                arguments[0],
                f"{name} of one argument takes a list",
                found=typed.words,
                do=f"{name}(a, b) is of several numbers" if name in FUNCTIONS else None,
            )
        self.check(arguments[0], typed, name, REDUCTIONS[name].takes)
        return reduced(name, typed)

    def where(self, condition: ast.expr, a: ast.expr, b: ast.expr) -> list[Typed]:
        values = [self.checked(condition, "where", "conditions"), self.of(a), self.of(b)]
        if values[1].element_words != values[2].element_words:
            self.mistyped(
                b,
                f"where chooses between {values[1].words} and {values[2].words}",
                expected="two values of one type",
            )
        return values

    def bit(self, flags: ast.expr, number: ast.expr) -> list[Typed]:
        values = [self.checked(flags, "bit", "integers"), self.of(number)]
        place = values[1].value
        if not isinstance(place, int) or not 0 <= place < 64:
            self.mistyped(
                number,
                "the second argument of bit is not the number of a bit",
                expected="0 (the lowest) to 63",
            )
        return values

    # --- what operands must be -------------------------------------------------------------------

    def checked(self, node: ast.expr, user: str, takes: str) -> Typed:
        """Return a node's typed expression, checked as `check` does."""
        typed = self.of(node)
        self.check(node, typed, user, takes)
        return typed

    def check(self, node: ast.expr, typed: Typed, user: str, takes: str) -> None:
        """Raise EventsError unless values are "numbers", "integers", "conditions" or "elements"."""
        found, expected, do = typed.words, None, None
        if takes == "numbers" and typed.element_words != "a number":
            do = "where(condition, 1, 0) is a number" if typed.element == Condition else None
        elif takes == "integers" and typed.element not in INTEGERS:
            expected = "integers, such as a column of flags"
            found = "numbers of float64" if typed.element == Float else found
            joins = {"&": "AND or &&", "|": "OR or ||"}
            do = f"conditions are joined with {joins[user]}" if user in joins else None
        elif takes == "conditions" and typed.element != Condition:
            do = "compare it, as in x > 0"
        else:
            return
        self.mistyped(node, f"{user} takes {takes}", expected=expected, found=found, do=do)

    def check_pair(self, node: ast.expr, left: Typed, symbol: str, right: Typed) -> None:
        """Refuse two values of different types, with the place of the right one."""
        words = {left.element_words, right.element_words}
        if len(words) == 2:
            self.mistyped(
                node,
                f"{left.words} is compared with {right.words}",
                expected="two values of one type",
                do="a boolean is a condition already: write flag or NOT flag"
                if "a condition" in words
                else 'text goes in quotes: process == "top"; a number does not',
            )
        if left.element == Condition and symbol not in ("==", "!="):
            self.mistyped(node, f"two conditions are compared with {symbol}",
                          expected="== or !=")  # fmt: skip

    # --- errors ----------------------------------------------------------------------------------

    def place(self, node: ast.expr) -> str:
        """Return the line with a node, and carets under it."""
        return pointed(self.text, node.col_offset, node.end_col_offset or 0)

    def miscounted(self, node: ast.Call, name: str, expected: str) -> NoReturn:
        """Raise RecipeError: a function has more arguments or fewer than it takes."""
        message = f"{name} has the wrong number of arguments"
        self.fail(RecipeError, node, message, expected=expected, found=str(len(node.args)))

    def mistyped(self, node: ast.expr, message: str, **details: str | None) -> NoReturn:
        """Raise EventsError with the place of a node."""
        self.fail(EventsError, node, message, **details)

    def fail(
        self, error: type[SteepestError], node: ast.expr, message: str, **details: str | None
    ) -> NoReturn:
        """Raise an error with the place of a node."""
        raise error(f"{self.role}: {message}.\n{self.place(node)}", **details)
