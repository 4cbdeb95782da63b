"""Tables and code in Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table.

    Examples
    --------
    >>> print(table(["name", "unit"], [["pt", "GeV"]]))
    | name | unit |
    | --- | --- |
    | pt | GeV |
    """
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def code(value: Any) -> str:
    """Return a text or a value as code.

    Examples
    --------
    >>> code("pt > 500"), code(3), code("`x`")
    ('`pt > 500`', '`3`', '`` `x` ``')
    """
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"
