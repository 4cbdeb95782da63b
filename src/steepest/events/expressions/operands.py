"""What any part of an expression may ask of its operands: one type, one length, or an error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

import pyarrow as pa

from steepest.errors import EventsError, RecipeError, SteepestError
from steepest.events.expressions.lists import Mismatch, Place, lifted
from steepest.events.expressions.nodes import Call, Column, Index, Node
from steepest.events.expressions.tokens import pointed
from steepest.events.expressions.types import Condition, Typed

__all__ = ["Operands"]


@dataclass(frozen=True)
class Operands(ABC):
    """The parts of one expression, for events of one schema; what they are is for a subclass."""

    text: str
    role: str
    schema: pa.Schema
    mismatches: list[Mismatch] = field(default_factory=list)

    @abstractmethod
    def of(self, node: Node) -> Typed:
        """Return the typed Polars expression of a node."""

    def lift(self, node: Node, build: Callable[..., Typed], *operands: Typed) -> Typed:
        """Apply an operation on single values, elementwise where an operand is a list."""
        return lifted(build, operands, self.where_lists_meet(node))

    def origin(self, node: Node) -> Node:
        """Return the node that made a list of an expression: a column, or elements of one."""
        if isinstance(node, Column | Index):
            return node
        return next(self.origin(child) for child in node.children if self.of(child).is_list)

    def number(self, node: Node, user: str) -> Typed:
        """Return a node's typed expression; EventsError unless it is of numbers."""
        typed = self.of(node)
        if typed.element_words != "a number":
            do = None
            if typed.element == Condition:
                do = "where(condition, 1, 0) is a number"
            self.mistyped(node, f"{user} takes numbers", found=typed.words, do=do)
        return typed

    def condition(self, node: Node, user: str) -> Typed:
        """Return a node's typed expression; EventsError unless it is of conditions."""
        typed = self.of(node)
        if typed.element != Condition:
            self.mistyped(
                node, f"{user} takes conditions", found=typed.words, do="compare it, as in x > 0"
            )
        return typed

    def check_pair(self, node: Node, left: Typed, operator: str, right: Typed) -> None:
        """Refuse two values of different types, with the place of the right one."""
        if left.element_words != right.element_words:
            self.mistyped(
                node,
                f"{left.words} is compared with {right.words}",
                expected="two values of one type",
                do=_how_to_compare({left.element_words, right.element_words}),
            )
        if left.element == Condition and operator not in ("==", "!="):
            self.mistyped(node, f"two conditions are compared with {operator}",
                          expected="== or !=")  # fmt: skip

    # --- errors ----------------------------------------------------------------------------------

    def wrong_count(self, node: Call, expected: str) -> NoReturn:
        """Raise RecipeError: a function has more arguments or fewer than it takes."""
        self.fail(
            RecipeError,
            node,
            f"{node.function} has the wrong number of arguments",
            expected=expected,
            found=str(len(node.arguments)),
        )

    def mistyped(self, node: Node, message: str, **details: str | None) -> NoReturn:
        """Raise EventsError with the place of a node."""
        self.fail(EventsError, node, message, **details)

    def where_lists_meet(self, node: Node) -> Place:
        """Return where lists are combined, for what is found when they are read."""
        return Place(self.role, self.place(node), self.mismatches)

    def place(self, node: Node) -> str:
        """Return the line with a node, and carets under it."""
        return pointed(self.text, node.start, node.end)

    def fail(
        self, error: type[SteepestError], node: Node, message: str, **details: str | None
    ) -> NoReturn:
        """Raise an error with the place of a node."""
        raise error(f"{self.role}: {message}.\n{self.place(node)}", **details)


def _how_to_compare(words: set[str]) -> str | None:
    if "a condition" in words:
        return "a boolean is a condition already: write flag or NOT flag"
    return 'text goes in quotes: process == "top"; a number does not'
