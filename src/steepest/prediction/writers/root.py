"""ROOT: a TTree, through uproot; for each column of lists a branch ``nNAME`` counts its items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.events import extra
from steepest.prediction.writers.awkward import to_awkward
from steepest.prediction.writers.plain import is_number, is_text, items_of, plain, refused_type

__all__ = ["NAME", "NULLS", "PARTS", "SUFFIXES", "refusal", "require", "write", "write_tree"]

NAME = "ROOT"
SUFFIXES = (".root",)
PARTS = True
NULLS = False

TREE = "events"


def require() -> None:
    """Raise MissingExtraError unless uproot and Awkward Array are installed."""
    extra.load("uproot", "root", "Writing ROOT files")
    extra.load("awkward", "root", "Writing ROOT files")


def refusal(name: str, arrow: pa.DataType) -> str | None:
    """Return why a column cannot be written: neither numbers, text nor lists of numbers."""
    arrow = plain(arrow)
    items = items_of(arrow)
    if pa.float16() in (arrow, items):
        return refused_type(arrow)
    writable = is_number(items) if items is not None else is_number(arrow) or is_text(arrow)
    return None if writable else refused_type(arrow)


def write(
    path: Path,
    part: str,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    metadata: Mapping[str, str],
) -> None:
    """Write a new file with the tree `part`, or ``events``; the metadata are strings beside it."""
    names = set(schema.names)

    def made(directory: Any, tree: str) -> Any:
        types = {field.name: _branch(field.type) for field in schema}
        return directory.mktree(tree, types, counter_name=lambda name: _counter(name, names))

    write_tree(path, part or TREE, batches, metadata, made)


def write_tree(
    path: Path, part: str, batches: Iterator[pa.RecordBatch], metadata: Mapping[str, str], made: Any
) -> None:
    """Write what ``made(directory, name)`` makes, filled with the batches, and the metadata."""
    uproot = extra.load("uproot", "root", "Writing ROOT files")
    *folders, name = part.strip("/").split("/")
    with uproot.recreate(path) as file:
        directory = file.mkdir("/".join(folders)) if folders else file
        tree = made(directory, name)
        for batch in batches:
            columns = zip(batch.schema.names, batch.columns, strict=True)
            tree.extend({name: to_awkward(column) for name, column in columns})
        for key, text in metadata.items():
            file[key] = text


def _branch(arrow: pa.DataType) -> str:
    """Return the type of a branch as uproot takes it."""
    items = items_of(arrow)
    if items is not None:
        return f"var * {_branch(items)}"
    if is_text(arrow):
        return "string"
    return "bool" if pa.types.is_boolean(arrow) else arrow.to_pandas_dtype().__name__


def _counter(name: str, taken: set[str]) -> str:
    """Return the name of the branch that counts a list's items: ``nNAME``, or what is free."""
    counter = f"n{name}"
    while counter in taken:
        counter += "_"
    return counter
