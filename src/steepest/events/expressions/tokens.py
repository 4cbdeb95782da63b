"""An expression's text, cut into tokens, and the place of each for messages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NoReturn

from steepest.errors import RecipeError

__all__ = ["Token", "Written", "pointed"]

KEYWORDS = {"and", "or", "not", "in", "true", "false"}
HINTS = {
    "=": "two values are compared with ==",
    "&": "conditions are joined with AND or &&",
    "|": "conditions are joined with OR or ||",
    "^": "a power is written **",
    "~": "a condition is negated with NOT or !",
    ":": "x[0] is one element of a list; x[condition] are those that meet a condition",
}
TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
    | `(?P<quoted>[^`]+)`
    | "(?P<double>[^"]*)"
    | '(?P<single>[^']*)'
    | (?P<operator>\*\*|==|!=|<=|>=|&&|\|\||[-+*/%<>!()\[\],])
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Token:
    """A word of the text: what it is, what it says, where it begins and ends."""

    kind: str
    text: str
    start: int
    end: int

    @property
    def operator(self) -> str:
        """The operator or keyword that the token is, in lower case; else nothing."""
        if self.kind == "operator":
            return self.text
        return self.text.lower() if self.kind == "keyword" else ""


def pointed(text: str, start: int, end: int) -> str:
    """Return the line of the text in which `start` lies, and a line of carets under the place.

    Examples
    --------
    >>> print(pointed("pt > > 5", 5, 6))
        pt > > 5
             ^
    """
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", start)
    line = text[first:] if last < 0 else text[first:last]
    carets = max(1, min(end, first + len(line)) - start)
    # Whatever else would move the carets (tabs, control characters) is shown as a blank.
    shown = "".join(letter if letter.isprintable() else " " for letter in line)
    return f"    {shown}\n    {' ' * (start - first)}{'^' * carets}"


@dataclass(frozen=True)
class Written:
    """An expression as it was written, and what it is called in messages."""

    text: str
    role: str

    def tokens(self) -> list[Token]:
        """Return the tokens, with one of kind "end" behind them."""
        tokens, place = [], 0
        while self.text[place:].strip():
            match = TOKEN.match(self.text, place)
            if match is None:
                self._fail_at_letter(place)
            kind = str(match.lastgroup)
            word, start, place = match[kind], match.start(kind), match.end()
            if kind == "number" and re.match(r"[\w.]", self.text[place:]):
                letters = Token(kind, "", start, place + 1)
                self.fail(letters, "a number runs into a name", do="put an operator between them")
            if kind == "name" and word.lower() in KEYWORDS:
                kind = "keyword"
            if kind in ("quoted", "double", "single"):
                start -= 1
            tokens.append(Token(kind, word, start, place))
        return [*tokens, Token("end", "the end", len(self.text.rstrip()), len(self.text))]

    def found(self, token: Token) -> str:
        """Return a token as it is written, in quotes."""
        return "the end" if token.kind == "end" else repr(self.text[token.start : token.end])

    def fail(self, token: Token, message: str, **details: str | None) -> NoReturn:
        """Raise RecipeError with the place of a token."""
        place = pointed(self.text, token.start, token.end)
        raise RecipeError(f"{self.role} cannot be read: {message}.\n{place}", **details)

    def _fail_at_letter(self, place: int) -> NoReturn:
        start = place + len(self.text[place:]) - len(self.text[place:].lstrip())
        letter = self.text[start]
        here = Token("letter", letter, start, start + 1)
        if letter in "\"'`":
            self.fail(here, f"the quote {letter} is not closed", do=f"close it with {letter}")
        self.fail(here, f"{letter!r} has no meaning here", do=HINTS.get(letter))
