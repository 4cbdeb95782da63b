"""The expressions' grammar: tokens → tree. Nothing is evaluated here.

From the loosest to the tightest::

    OR ||                   left
    AND &&                  left
    NOT                     prefix
    == != < <= > >= in      chained: a < b < c is (a < b) AND (b < c)
    + -                     left
    * / %                   left
    - + !                   prefix
    **                      right; -x ** 2 is -(x ** 2), 2 ** -1 is 0.5
    x[...]                  postfix, after a column, a call or a parenthesis; x[0] ** 2, -x[0]

The parser is Pratt's (Top Down Operator Precedence, 1973, doi:10.1145/512927.512931): an operator
has a binding power, and a subexpression takes in all operators that bind tighter than what stands
on its left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NoReturn

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
from steepest.events.expressions.tokens import Token, Written

__all__ = ["parse_tree"]

OR, AND, NOT, COMPARE, SUM, PRODUCT, PREFIX, POWER = range(1, 9)
INFIX = {
    "||": OR, "or": OR,
    "&&": AND, "and": AND,
    "==": COMPARE, "!=": COMPARE, "<": COMPARE, "<=": COMPARE, ">": COMPARE, ">=": COMPARE,
    "in": COMPARE, "not": COMPARE,  # x not in [...]
    "+": SUM, "-": SUM,
    "*": PRODUCT, "/": PRODUCT, "%": PRODUCT,
    "**": POWER,
}  # fmt: skip
MOST_NESTED = 60
"""Deeper nesting is refused, so that no text can exhaust the interpreter's stack."""
MOST_NODES = 2_000
DEEPEST = 120
"""Levels of the tree, which x[0][0][0]… deepens without nesting."""
EXACT = 1e30
"""Literals without a point below this are integers; the largest column holds 1.8e19."""


def parse_tree(text: str, role: str = "The expression") -> Node:
    """Return the tree of an expression; RecipeError, with the place, if it is not one."""
    return _Parser(Written(text, role)).whole()


@dataclass
class _Parser:
    written: Written
    position: int = 0
    nested: int = 0
    nodes: int = 0
    tokens: list[Token] = field(default_factory=list)

    def whole(self) -> Node:
        self.tokens = self.written.tokens()
        if self.next.kind == "end":
            self.fail(self.next, "it is empty", expected="a column, a number or a condition")
        tree = self.expression(0)
        if self.next.kind != "end":
            self.fail(
                self.next,
                f"{self.next.text!r} does not continue what stands before it",
                expected="an operator, or the end",
            )
        if _depth(tree) > DEEPEST:
            self.fail(self.tokens[0], f"it is more than {DEEPEST} levels deep", do="simplify it")
        return tree

    @property
    def next(self) -> Token:
        return self.tokens[self.position]

    def advance(self) -> Token:
        token = self.next
        self.position += 1
        return token

    def accept(self, operator: str) -> bool:
        if self.next.operator != operator:
            return False
        self.position += 1
        return True

    def close(self, operator: str, opened: Token) -> None:
        if not self.accept(operator):
            self.fail(
                self.next,
                f"{operator!r} is missing",
                expected=f"{operator!r}, to close the {opened.text!r} at place {opened.start + 1}",
                found=self.written.found(self.next),
            )

    def expression(self, power: int) -> Node:
        """Parse a subexpression with all operators that bind tighter than `power`."""
        self.nested += 1
        if self.nested > MOST_NESTED:
            self.fail(self.next, f"it is nested more than {MOST_NESTED} deep", do="simplify it")
        left = self.prefix()
        while (binding := INFIX.get(self.next.operator, 0)) > power:
            left = self.infix(left, binding)
        self.nested -= 1
        return left

    def prefix(self) -> Node:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            self.fail(self.next, f"it has more than {MOST_NODES} parts", do="simplify it")
        token = self.advance()
        match token.operator or token.kind:
            case "number":
                return self.number(token)
            case "double" | "single":
                return Text(token.text, start=token.start, end=token.end)
            case "quoted":
                return self.indexed(Column(token.text, start=token.start, end=token.end), token)
            case "true" | "false" as word:
                return Truth(word == "true", start=token.start, end=token.end)
            case "name":
                return self.indexed(self.column_or_call(token), token)
            case "(":
                inner = self.expression(0)
                self.close(")", token)
                return self.indexed(inner, token)
            case "-" | "+":
                return self.signed(token)
            case "!":
                return self.negated(token, PREFIX)
            case "not":
                return self.negated(token, NOT)
        self.position -= 1
        return self.fail(
            token, "something is missing here", expected="a column, a number, text in quotes or (",
            found=self.written.found(token),
        )  # fmt: skip

    def number(self, token: Token) -> Number:
        value = float(token.text)
        if not math.isfinite(value):
            self.fail(token, "a number is too large", expected="less than 1.8e308 (float64)")
        if token.text.isdecimal() and value < EXACT:
            value = int(token.text)
        return Number(value, start=token.start, end=token.end)

    def column_or_call(self, token: Token) -> Node:
        opened = self.next
        if not self.accept("("):
            return Column(token.text, start=token.start, end=token.end)
        arguments = []
        if self.next.operator != ")":
            arguments.append(self.expression(0))
            while self.accept(","):
                arguments.append(self.expression(0))
        self.close(")", opened)
        return Call(token.text, tuple(arguments), start=token.start, end=token.end)

    def indexed(self, operand: Node, first: Token) -> Node:
        """Parse the brackets behind what begins at a token, if there are any."""
        while (opened := self.next).operator == "[":
            self.advance()
            index = self.expression(0)
            end = self.next.end
            self.close("]", opened)
            operand = Index(operand, index, start=first.start, end=end)
        return operand

    def signed(self, token: Token) -> Node:
        operand = self.expression(PREFIX)
        if isinstance(operand, Number):
            value = -operand.value if token.text == "-" else operand.value
            return Number(value, start=token.start, end=operand.end)
        # Also +x is a node: it demands a number.
        return Negation(operand, token.text == "-", start=token.start, end=operand.end)

    def negated(self, token: Token, power: int) -> Node:
        operand = self.expression(power)
        return Not(operand, start=token.start, end=operand.end)

    def infix(self, left: Node, binding: int) -> Node:
        if binding == COMPARE:
            return self.compared(left)
        if binding == POWER:
            operator = self.advance()
            right = self.expression(POWER - 1)
            return Arithmetic(
                left, ((operator.text, right),), start=operator.start, end=operator.end
            )
        if binding in (OR, AND):
            return self.joined(left, binding)
        first = self.next
        rest = []
        while INFIX.get(self.next.operator) == binding:
            operator = self.advance().text
            rest.append((operator, self.expression(binding)))
        return Arithmetic(left, tuple(rest), start=first.start, end=first.end)

    def joined(self, left: Node, binding: int) -> Node:
        terms = [left]
        first = self.next
        while INFIX.get(self.next.operator) == binding:
            self.advance()
            terms.append(self.expression(binding))
        return Logic("and" if binding == AND else "or", tuple(terms),
                     start=first.start, end=first.end)  # fmt: skip

    def compared(self, left: Node) -> Node:
        if self.next.operator in ("in", "not"):
            return self.member(left)
        operands, operators = [left], []
        first = self.next
        while INFIX.get(self.next.operator) == COMPARE and self.next.operator not in ("in", "not"):
            operators.append(self.advance().text)
            operands.append(self.expression(COMPARE))
        self.end_of_chain()
        return Comparison(tuple(operands), tuple(operators), start=first.start, end=first.end)

    def member(self, left: Node) -> Node:
        first = self.next
        negated = self.accept("not")
        if not self.accept("in"):
            self.fail(self.next, "'not' between two values is followed by 'in'", expected="not in")
        opened = self.next
        closing = {"[": "]", "(": ")"}.get(opened.operator)
        if closing is None:
            self.fail(
                opened, "'in' is followed by a list", expected='a list such as [1, 2] or ["a"]'
            )
        self.advance()
        values = [self.value()]
        while self.accept(","):
            values.append(self.value())
        self.close(closing, opened)
        self.end_of_chain()
        return Membership(left, tuple(values), negated, start=first.start, end=first.end)

    def end_of_chain(self) -> None:
        if INFIX.get(self.next.operator) == COMPARE:
            self.fail(
                self.next,
                "'in' is not chained with other comparisons",
                do="put one of the two in parentheses",
            )

    def value(self) -> Number | Text:
        token = self.next
        if token.kind in ("number", "double", "single") or token.operator in ("-", "+"):
            value = self.expression(PREFIX)
            if isinstance(value, Number | Text):
                return value
        return self.fail(
            token, "a list holds numbers or text in quotes", found=self.written.found(token)
        )

    def fail(self, token: Token, message: str, **details: str | None) -> NoReturn:
        self.written.fail(token, message, **details)


def _depth(tree: Node) -> int:
    """Return how many levels a tree has, without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in node.children]
    return depth
