"""The tree of an expression: one small immutable class a kind of node.

`start` and `end` are the place in the text that an error about the node points at; two trees are
equal if they say the same, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = [
    "Arithmetic",
    "Call",
    "Column",
    "Comparison",
    "Index",
    "Logic",
    "Membership",
    "Negation",
    "Node",
    "Not",
    "Number",
    "Text",
    "Truth",
    "walk",
]


@dataclass(frozen=True)
class Node:
    """A node; `children` are the nodes below it."""

    start: int = field(default=0, compare=False, kw_only=True)
    end: int = field(default=0, compare=False, kw_only=True)

    @property
    def children(self) -> tuple[Node, ...]:
        """The nodes below, from left to right."""
        return ()


@dataclass(frozen=True)
class Number(Node):
    """A number; an integer stays exact whatever its size."""

    value: int | float


@dataclass(frozen=True)
class Text(Node):
    """Text in quotes."""

    value: str


@dataclass(frozen=True)
class Truth(Node):
    """``true`` or ``false``."""

    value: bool


@dataclass(frozen=True)
class Column(Node):
    """A column of the events."""

    name: str


@dataclass(frozen=True)
class Negation(Node):
    """``-x``, or ``+x`` (not `negative`)."""

    operand: Node
    negative: bool = True

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True)
class Arithmetic(Node):
    """Operators of one precedence, taken from the left: ``first op₁ a₁ op₂ a₂ …``."""

    first: Node
    rest: tuple[tuple[str, Node], ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """All operands."""
        return (self.first, *(operand for _, operand in self.rest))


@dataclass(frozen=True)
class Comparison(Node):
    """``a₀ op₁ a₁ op₂ a₂ …``: true if every neighbouring pair compares."""

    operands: tuple[Node, ...]
    operators: tuple[str, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """All operands."""
        return self.operands


@dataclass(frozen=True)
class Membership(Node):
    """``x in [...]`` or ``x not in [...]``."""

    operand: Node
    values: tuple[Number | Text, ...]
    negated: bool

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand and the values."""
        return (self.operand, *self.values)


@dataclass(frozen=True)
class Logic(Node):
    """All of (``and``) or any of (``or``) the terms."""

    operator: str
    terms: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The terms."""
        return self.terms


@dataclass(frozen=True)
class Not(Node):
    """``NOT x``."""

    operand: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True)
class Call(Node):
    """A function of arguments."""

    function: str
    arguments: tuple[Node, ...]

    @property
    def children(self) -> tuple[Node, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True)
class Index(Node):
    """``x[index]``: one element of a list, or those that meet a list of conditions."""

    operand: Node
    index: Node

    @property
    def children(self) -> tuple[Node, ...]:
        """The list and what stands in the brackets."""
        return (self.operand, self.index)


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and all nodes below it."""
    yield node
    for child in node.children:
        yield from walk(child)
