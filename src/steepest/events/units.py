"""Titles and units of columns: what the recipe says, else what the file itself says.

A file says it in the metadata of a column's field: Parquet has such; those of ROOT files are made
of the branches' titles, those of HDF5 files of the datasets' attributes. No unit is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from steepest.events.expressions.expression import Expression
from steepest.recipe import UnitRecipe

__all__ = ["Units", "units_of"]

Units = dict[str, dict[str, str]]
"""For each name what there is of "title" and "unit"."""
KEYS = {"title": ("title", "long_name"), "unit": ("unit", "units")}
LONGEST = 40
"""Letters of a file's title; a longer one is a description."""
LEAVES = re.compile(r"[\w.]+(\[.*\])*(/[A-Za-z])?(:.*)?")
"""What ROOT makes the title of a branch that is given none: the list of its leaves."""
COUNTED = re.compile(r"([cd])2")
"""Names that are C₂ and D₂ of a jet in figures, or the second of columns that are counted."""
IN_BRACKETS = re.compile(r"(?P<title>.*\S)\s*\[(?P<unit>[^\[\]]+)\]")


def units_of(
    given: Mapping[str, UnitRecipe] | None, schema: pa.Schema, named: Mapping[str, Expression]
) -> Units:
    """Return titles and units of features, label and other expressions, as far as they are known.

    What is a column of the file and no more has what the file says, where the recipe says nothing.
    ``c2`` beside ``c0``, ``c1`` or ``c3``, as in a table without a header, is called that.

    Examples
    --------
    >>> from steepest.events.expressions.expression import parse
    >>> field = pa.field("pt", pa.float32(), metadata={"title": "jet pT [GeV]"})
    >>> units_of(None, pa.schema([field]), {"pt": parse("pt"), "x": parse("2 * pt")})
    {'pt': {'title': 'jet pT', 'unit': 'GeV'}}
    """
    units = {}
    for name, expression in named.items():
        column = expression.column
        found = {}
        if column is not None and column in schema.names:
            found = _of_field(schema.field(column))
        counted = COUNTED.fullmatch(name)
        if counted and any(f"{counted[1]}{k}" in schema.names for k in (0, 1, 3)):
            found = {"title": name} | found
        for key in (column or name, name):
            if given is not None and key in given:
                found |= given[key].said()
        if found:
            units[name] = found
    return units


def _of_field(field: pa.Field) -> dict[str, str]:
    metadata = {k.decode().lower(): v.decode() for k, v in (field.metadata or {}).items()}
    found = {}
    for what, keys in KEYS.items():
        text = next((metadata[key].strip() for key in keys if metadata.get(key)), "")
        if text:
            found[what] = text
    title = found.get("title", "")
    if "unit" not in found and (match := IN_BRACKETS.fullmatch(title)):
        title, found["unit"] = match["title"], match["unit"].strip()
    if not title or LEAVES.fullmatch(title) or len(title) > LONGEST or "#" in title:
        found.pop("title", None)
    else:
        found["title"] = title
    return found
