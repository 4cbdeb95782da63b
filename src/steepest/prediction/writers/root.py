"""ROOT through uproot: a TTree, where ``nNAME`` counts the items of lists NAME, or an RNTuple."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.events import extra
from steepest.prediction.writers.contract import Batches, Metadata, Writer, refused

__all__ = ["RNTUPLE", "ROOT"]

TREE = "events"


def write_tree(
    path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata
) -> None:
    """Write a new file with the tree `part`, or ``events``; the metadata are strings beside it."""
    taken = set(schema.names)

    def counter(name: str) -> str:
        counter = f"n{name}"
        while counter in taken:
            counter += "_"
        return counter

    def make(directory: Any, name: str, empty: Any) -> Any:
        types = {column: str(empty[column].type.content) for column in schema.names}
        return directory.mktree(name, types, counter_name=counter)

    _write(path, part, schema, batches, metadata, make)


def write_ntuple(
    path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata
) -> None:
    """Write a new file with the RNTuple `part`, or ``events``; the metadata are strings."""

    def make(directory: Any, name: str, empty: Any) -> Any:
        return directory.mkrntuple(name, empty.layout.form)

    _write(path, part, schema, batches, metadata, make)


def _write(
    path: Path,
    part: str,
    schema: pa.Schema,
    batches: Batches,
    metadata: Metadata,
    make: Callable[[Any, str, Any], Any],
) -> None:
    uproot = extra.load("uproot", "root", "Writing ROOT files")
    *folders, name = (part or TREE).strip("/").split("/")
    with uproot.recreate(path) as file:
        directory = file.mkdir("/".join(folders)) if folders else file
        tree = make(directory, name, _awkward(pa.RecordBatch.from_pylist([], schema)))
        for batch in batches:
            events = _awkward(batch)
            tree.extend({column: events[column] for column in schema.names})
        for key, text in metadata.items():
            file[key] = text


def _awkward(batch: pa.RecordBatch) -> Any:
    """Return the columns, which lack no value, without option types."""
    ak = extra.load("awkward", "root", "Writing ROOT files")
    arrays = [_required(array) for array in batch.columns]
    names = zip(batch.schema.names, arrays, strict=True)
    fields = [pa.field(name, array.type, nullable=False) for name, array in names]
    return ak.from_arrow(pa.record_batch(arrays, schema=pa.schema(fields)))


def _required(array: pa.Array) -> pa.Array:
    """Return an array whose type says that no item of its lists is missing."""
    if not pa.types.is_list(array.type):
        return array
    items = _required(array.values)
    kind = pa.list_(pa.field("item", items.type, nullable=False))
    return pa.ListArray.from_arrays(array.offsets, items, type=kind)


def _refused_by_ntuple(name: str, arrow: pa.DataType) -> str | None:
    if "." in name:
        return f"a name that RNTuple takes for a path: {name!r}"
    return refused(arrow, 99, texts_in_lists=True, half=False)


ROOT = Writer(
    name="ROOT",
    suffixes=(".root",),
    parts=True,
    nulls=False,
    refusal=lambda name, arrow: refused(arrow, 1, half=False),
    write=write_tree,
    extra="root",
    packages=("uproot", "awkward"),
)
RNTUPLE = Writer(
    name="ROOT (RNTuple)",
    suffixes=(".root",),
    parts=True,
    nulls=False,
    refusal=_refused_by_ntuple,
    write=write_ntuple,
    extra="root",
    packages=("uproot", "awkward"),
)
