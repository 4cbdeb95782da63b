"""Parse the text of an expression into a tree of Python's `ast`. Nothing is evaluated.

The syntax is Python's, plus ``AND``, ``OR`` and ``NOT`` in any case, ``&&``, ``||``, ``!``, names
with dots, and names in backticks. The text is split into tokens and rewritten as Python, which
`ast.parse` then parses. Names are replaced by placeholders meanwhile, so that a column may be
called ``class`` or ``jet.pt``.

The order of the tokens is checked during the rewriting: an error says what was expected, and points
at the place in the user's text.
"""

from __future__ import annotations

import ast
import itertools
import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from steepest.errors import RecipeError

TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    | \.(?P<attribute>[^\W\d]\w*)
    | `(?P<quoted>[^`]+)`
    | "(?P<double>[^"]*)"
    | '(?P<single>[^']*)'
    | (?P<operator>\*\*|==|!=|<=|>=|&&|\|\||[-+*/%<>!&|()\[\],])
    )""",
    re.VERBOSE,
)
KEYWORDS = {"and", "or", "not", "in", "true", "false"}
PYTHON = {"&&": "and", "||": "or", "!": "~", "true": "True", "false": "False"}
"""Tokens that Python spells differently. ``!`` binds tighter than ``*``, as Python's ``~`` does."""
JOINS = {"&&", "||", "and", "or"}
COMPARISONS = {"==", "!=", "<", "<=", ">", ">=", "in", "not"}
INFIX = {*JOINS, *COMPARISONS, "+", "-", "*", "/", "%", "**", "&", "|"}
BEFORE_NOT = {*JOINS, "", "not", "(", "[", ","}
"""What may precede ``not`` in Python. Elsewhere (``flag == NOT x``) it needs parentheses."""
HINTS = {
    "=": "two values are compared with ==",
    "^": "a power is written **",
    "~": "a condition is negated with NOT or !",
    ":": "x[0] is one element of a list; x[condition] are those that meet a condition",
}
SYMBOLS: dict[type[ast.AST], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=",
    ast.Gt: ">", ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in", ast.And: "AND", ast.Or: "OR",
}  # fmt: skip
JOINED = {ast.BitAnd: "AND or &&", ast.BitOr: "OR or ||"}
COMPONENTS = ("pt", "eta", "phi", "mass")
"""p4(Jet) is p4(Jet_pt, Jet_eta, Jet_phi, Jet_mass); or what is there in place of these."""
MOST_NESTED = 60
"""More open brackets are refused, so that no text can exhaust the interpreter's stack."""
DEEPEST = 120
"""Levels of the tree, which x[0][0][0]… deepens without nesting."""
MOST_PARTS = 2_000
EXACT = 1e30
"""Literals without a point below this are integers; the largest column holds 1.8e19."""


@dataclass(frozen=True)
class Token:
    """A token: its kind, its text without quotes, and where it begins and ends."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def operator(self) -> str:
        """The operator or keyword that the token is, in lower case; else nothing."""
        return self.text.lower() if self.kind in ("operator", "keyword") else ""


def parse_tree(text: str, role: str, names: Collection[str] = ()) -> ast.expr:
    """Return the tree of an expression.

    Its nodes are ``Constant``, ``Name`` (a column), ``UnaryOp``, ``BinOp``, ``BoolOp``,
    ``Compare``, ``Call``, ``Subscript``, ``Attribute`` and, on the right of ``in``, ``List``.
    ``col_offset`` and ``end_col_offset`` are the place in the text that an error about a node
    points at: the operator, the function's name, or the whole. `names` are the columns there are.

    Raises
    ------
    RecipeError
        The text is no expression; the message points at the place.

    Examples
    --------
    >>> ast.unparse(parse_tree("pt > 5 && NOT tight", "The expression"))
    'pt > 5 and (not tight)'
    """
    folded = {name.lower(): name for name in reversed(list(names))}
    return _Parser(text, role, folded | {name: name for name in names}).tree()


@dataclass
class _Parser:
    """Rewrites a text as Python, parses it, and sets the positions of the tree to the text's."""

    text: str
    role: str
    columns: Mapping[str, str] = field(default_factory=dict)
    """The columns that there are, by their names and by these in lower case."""
    python: str = ""
    names: list[str] = field(default_factory=list)
    written: dict[int, Token] = field(default_factory=dict)
    """The token that begins at an offset of the Python text."""
    ends: dict[int | None, int] = field(default_factory=dict)
    """Where the token that ends at an offset of the Python text ends in the user's text."""
    brackets: list[tuple[str, Token]] = field(default_factory=list)
    """Open brackets, each with its kind: group, call, index, list, or not (see `BEFORE_NOT`)."""
    before: Token = Token("start", "", 0, 0)
    complete: str = ""
    """The kind of the operand that ends here, so that an operator may follow; else empty."""
    parts: int = 0

    def tree(self) -> ast.expr:
        tokens = list(self.tokens())
        if tokens[0].kind == "end":
            self.fail(tokens[0], "it is empty", "a column, a number or a condition")
        for token in tokens:
            if self.complete:
                self.operator(token)
            else:
                self.operand(token)
            self.before = token
        try:
            tree = ast.parse(self.python, mode="eval").body
        except (RecursionError, MemoryError):
            tree = None
        if tree is None or _depth(tree) > DEEPEST:
            self.fail(tokens[0], f"it is more than {DEEPEST} levels deep", do="simplify it")
        for node in ast.walk(tree):  # parents first: they look at where their children lie
            if isinstance(node, ast.Compare):
                self.check(node)
            if isinstance(node, ast.expr):
                self.locate(node)
        for node in ast.walk(tree):
            match node:
                case ast.Call(func=ast.Name(id="p4"), args=[ast.Name() as name]):
                    node.args = [_component(name, one, self.columns) for one in COMPONENTS]
        return tree

    def tokens(self) -> Iterator[Token]:
        """Yield the tokens, and one of kind "end" behind them."""
        place = 0
        while self.text[place:].strip():
            match = TOKEN.match(self.text, place)
            if match is None:
                self.fail_at_letter(len(self.text) - len(self.text[place:].lstrip()))
            kind = str(match.lastgroup)
            word, start, place = match[kind], match.start(kind), match.end()
            if kind == "number" and re.match(r"[\w.]", self.text[place:]):
                letters = Token(kind, "", start, place + 1)
                self.fail(letters, "a number runs into a name", do="put an operator between them")
            if kind == "name" and word.lower() in KEYWORDS:
                kind = "keyword"
            if kind in ("quoted", "double", "single", "attribute"):
                start -= 1
            yield Token(kind, word, start, place)
        yield Token("end", "the end", len(self.text.rstrip()), len(self.text))

    def fail_at_letter(self, start: int) -> NoReturn:
        letter = self.text[start]
        here = Token("letter", letter, start, start + 1)
        if letter in "\"'`":
            self.fail(here, f"the quote {letter} is not closed", do=f"close it with {letter}")
        self.fail(here, f"{letter!r} has no meaning here", do=HINTS.get(letter))

    # --- from tokens to Python -------------------------------------------------------------------

    def operand(self, token: Token) -> None:
        """Rewrite a token where an operand is expected."""
        self.parts += 1
        if self.parts > MOST_PARTS:
            self.fail(token, f"it has more than {MOST_PARTS} parts", do="simplify it")
        last, self.complete = self.before.operator, ""
        in_list = bool(self.brackets) and self.brackets[-1][0] == "list"
        match token.operator or token.kind:
            case "(" | "[" if last == "in":
                self.open("list", token)
            case _ if last == "in":
                self.fail(token, "'in' is followed by a list", 'a list such as [1, 2] or ["a"]')
            case "number":
                self.write(repr(self.number(token)), token, "literal")
            case "double" | "single":
                self.write(ascii(token.text), token, "literal")
            case "-" | "+" as sign:
                self.write(sign, token)
            case _ if in_list:
                self.fail(token, "a list holds numbers or text in quotes", found=True)
            case "true" | "false" as word:
                self.write(PYTHON[word], token, "literal")
            case "name" | "quoted" as kind:
                self.write(f"_{len(self.names)}", token, kind)
                self.names.append(token.text)
            case "(":
                self.open("group", token)
            case ")" if last == "(" and self.brackets[-1][0] == "call":
                self.close(token)
            case "!":
                self.write("~", token)
            case "not":
                if last not in BEFORE_NOT:
                    self.open("not", token)
                self.write("not", token)
            case _:
                expected = "a column, a number, text in quotes or ("
                self.fail(token, "something is missing here", expected, found=True)

    def operator(self, token: Token) -> None:
        """Rewrite a token that follows an operand."""
        operator = token.operator
        if self.before.operator == "not" and operator != "in":
            self.fail(token, "'not' between two values is followed by 'in'", "not in")
        if operator in JOINS or operator not in INFIX | {"(", "["}:
            while self.brackets and self.brackets[-1][0] == "not":
                self.close(self.before)
        kind, opened = self.brackets[-1] if self.brackets else ("", self.before)
        closing = {"(": ")", "[": "]"}.get(opened.text, "")
        follows = INFIX if self.complete != "list" else JOINS | COMPARISONS
        if operator in follows and kind != "list":
            negated = operator == "not"  # its `in` comes next
            self.write(PYTHON.get(operator, operator), token, self.complete if negated else "")
        elif token.kind == "attribute" and self.complete in ("call", "group", "index"):
            self.write(f".{token.text}", token, "index")
        elif operator == "(" and self.complete == "name":
            self.open("call", token)
        elif operator == "[" and self.complete not in ("literal", "list"):
            self.open("index", token)
        elif operator == "," and kind in ("call", "list"):
            self.write(",", token)
        elif kind and operator == closing:
            self.close(token)
        elif kind:
            expected = f"{closing!r}, to close the {opened.text!r} at place {opened.start + 1}"
            self.fail(token, f"{closing!r} is missing", expected, found=True)
        elif token.kind != "end":
            message = f"{token.text!r} does not continue what stands before it"
            self.fail(token, message, "an operator, or the end")

    def open(self, kind: str, token: Token) -> None:
        self.brackets.append((kind, token))
        if len(self.brackets) > MOST_NESTED:
            self.fail(token, f"it is nested more than {MOST_NESTED} deep", do="simplify it")
        self.write("[" if kind in ("index", "list") else "(", token)

    def close(self, token: Token) -> None:
        kind, _ = self.brackets.pop()
        self.write("]" if kind in ("index", "list") else ")", token, kind)

    def write(self, python: str, token: Token, complete: str = "") -> None:
        self.written[len(self.python)] = token
        self.python += python
        self.ends[len(self.python)] = token.end
        self.python += " "
        self.complete = complete

    def number(self, token: Token) -> int | float:
        value = float(token.text)
        if not math.isfinite(value):
            self.fail(token, "a number is too large", "less than 1.8e308 (float64)")
        is_integer = token.text.isdecimal() and value < EXACT
        return int(token.text.lstrip("0") or "0") if is_integer else value

    # --- from Python to the user's text ----------------------------------------------------------

    def check(self, node: ast.Compare) -> None:
        """Refuse chains of comparisons that are legal in Python but not here."""
        chain = zip(itertools.pairwise(node.ops), node.comparators, strict=False)
        for operators, between in chain:
            if any(isinstance(operator, ast.In | ast.NotIn) for operator in operators):
                self.fail(
                    self.after(between),
                    "'in' is not chained with other comparisons",
                    do="put one of the two in parentheses",
                )
            in_brackets = self.python[: between.col_offset].endswith("( ")
            match between:
                case ast.BinOp(left=left, op=ast.BitAnd() | ast.BitOr() as bits) if not in_brackets:
                    self.fail(
                        self.after(left),
                        f"'{SYMBOLS[type(bits)]}' binds tighter than a comparison",
                        do=f"conditions are joined with {JOINED[type(bits)]}; bits go in "
                        "parentheses",
                    )

    def locate(self, node: ast.expr) -> None:
        """Set a node's position to that in the user's text, and a placeholder to its name."""
        token, end = self.written[node.col_offset], self.ends[node.end_col_offset]
        match node:
            case ast.Name():
                node.id = self.names[int(node.id[1:])]
            case ast.BinOp(left=left) | ast.Compare(left=left) | ast.BoolOp(values=[left, *_]):
                token = self.after(left)
                end = token.end
            case ast.Call(func=function):
                end = self.ends[function.end_col_offset]
        node.col_offset, node.end_col_offset = token.start, end

    def after(self, operand: ast.expr) -> Token:
        """Return the operator that follows an operand and its closing parentheses."""
        offset = operand.end_col_offset or 0
        while self.python[offset] in " )":
            offset += 1
        return self.written[offset]

    # --- errors ----------------------------------------------------------------------------------

    def fail(
        self,
        token: Token,
        message: str,
        expected: str | None = None,
        *,
        found: bool = False,
        do: str | None = None,
    ) -> NoReturn:
        """Raise RecipeError with the place of a token; with the token, if it is to be named."""
        place = pointed(self.text, token.start, token.end)
        word = self.text[token.start : token.end]
        raise RecipeError(
            f"{self.role} cannot be read: {message}.\n{place}",
            expected=expected,
            found=(repr(word) if token.kind != "end" else "the end") if found else None,
            do=do,
        )


def pointed(text: str, start: int, end: int) -> str:
    """Return the line of the text in which `start` lies, and a line of carets under the place.

    Examples
    --------
    >>> print(pointed("pt > > 5", 5, 6))
        pt > > 5
             ^
    """
    first = text.rfind("\n", 0, start) + 1
    line = text[first:].partition("\n")[0]
    carets = max(1, min(end, first + len(line)) - start)
    # Whatever else would move the carets (tabs, control characters) is shown as a blank.
    shown = "".join(letter if letter.isprintable() else " " for letter in line)
    return f"    {shown}\n    {' ' * (start - first)}{'^' * carets}"


def literal_value(node: ast.AST) -> int | float | str | None:
    """Return the value of a number, with its signs, or of text in quotes; else None."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            value = literal_value(operand)
            if isinstance(value, int | float):
                return -value if isinstance(sign, ast.USub) else value
    return None


def operands(node: ast.expr) -> list[ast.expr]:
    """Return a node's operands, from left to right; a chain ``a + b - c`` has three.

    Examples
    --------
    >>> [ast.unparse(node) for node in operands(parse_tree("a + b / c - d", "The expression"))]
    ['a', 'b / c', 'd']
    """
    if isinstance(node, ast.Call):
        return node.args
    if not isinstance(node, ast.BinOp):
        return [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
    found: list[ast.expr] = []
    while isinstance(node, ast.BinOp):
        found.append(node.right)
        node = node.left
    return [node, *reversed(found)]


def nodes_of(tree: ast.expr) -> Iterator[ast.expr]:
    """Yield a node and all operands below it; names of functions are not among them."""
    nodes = [tree]
    while nodes:
        yield (node := nodes.pop())
        nodes += operands(node)


def _component(name: ast.Name, component: str, columns: Mapping[str, str]) -> ast.Name:
    """Return the column of a component of what a name stands for, at the name's place."""
    usual = f"{name.id}_{component}"
    others = (usual, f"{name.id}.{component}".lower(), usual.lower())
    column = next((columns[other] for other in others if other in columns), usual)
    return ast.Name(
        column, ast.Load(), lineno=1,
        col_offset=name.col_offset, end_col_offset=name.end_col_offset or 0,
    )  # fmt: skip


def component_of(node: ast.Name, text: str) -> tuple[str, str]:
    """Return the name and component that a column stands for by ``p4(Jet)``, else empty ones.

    Examples
    --------
    >>> tree = parse_tree("p4(Jet).pt + Jet_pt", "The expression")
    >>> names = [node for node in nodes_of(tree) if isinstance(node, ast.Name)]
    >>> sorted({component_of(node, "p4(Jet).pt + Jet_pt") for node in names})
    [('', ''), ('Jet', 'eta'), ('Jet', 'mass'), ('Jet', 'phi'), ('Jet', 'pt')]
    """
    written = text[node.col_offset : node.end_col_offset].strip("`")
    stem, _, component = node.id.rpartition("_")
    return (stem, component) if written == stem and component in COMPONENTS else ("", "")


def _depth(tree: ast.expr) -> int:
    """Return how many levels a tree has, without recursion."""
    depth, level = 0, [tree]
    while level:
        depth += 1
        level = [child for node in level for child in operands(node)]
    return depth
