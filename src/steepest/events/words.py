"""Counts, lists and quotes, as messages write them."""

from __future__ import annotations

from collections.abc import Iterable


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where it must be.

    Examples
    --------
    >>> counted(1, "row"), counted(12000, "row")
    ('1 row', '12000 rows')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: Iterable[str], most: int) -> str:
    """Return names joined by commas, with a count of those beyond `most`.

    Examples
    --------
    >>> listed(["pt", "eta", "phi"], 2)
    'pt, eta and 1 more'
    """
    names = list(names)
    text = ", ".join(names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def quoted(text: str) -> str:
    """Return text in quotes that it does not contain, as a recipe (TOML) takes it.

    Examples
    --------
    >>> print(quoted('process == "top"'), quoted("process == 'top'"))
    'process == "top"' "process == 'top'"
    """
    marks = ("'", '"', "'''")
    mark = next((mark for mark in marks if mark not in text and "\n" not in text), "'''")
    return f"{mark}{text}{mark}"
