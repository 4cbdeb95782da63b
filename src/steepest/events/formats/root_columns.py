"""Columns of a TTree or an RNTuple: their Arrow types, and their entries as Arrow arrays."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.events import extra
from steepest.events.formats.nested import nested_type, plain_type, unreadable

NUMBERS = {
    "bool": pa.bool_(),
    "char": pa.int8(),
    "float": pa.float32(),
    "double": pa.float64(),
    "std::byte": pa.uint8(),
    "std::string": pa.string(),
    **{f"std::int{bits}_t": pa.type_for_alias(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"std::uint{bits}_t": pa.type_for_alias(f"uint{bits}") for bits in (8, 16, 32, 64)},
}
MOST_THREADS = 4
"""That unpack baskets, which is most of the work and holds no other thread up."""
LIST, RECORD = 1, 2
"""Roles of a field of an RNTuple: as many of another as there are, and what only holds others."""
LISTS = re.compile(r"(?:std::vector|ROOT::VecOps::RVec|std::array|std::set)<(.+?)(?:,\s*\d+)?>")
WRAPPED = re.compile(r"(?:ROOT::RNTupleCardinality|std::optional|std::atomic)<(.+)>")


@dataclass(frozen=True)
class Column:
    """A branch or field, or one leaf of a branch."""

    name: str
    path: Any
    """Of a branch with its parents, ``"Jet/Jet.PT"``; of a field ``("met", "pt")``."""
    type: pa.DataType
    leaf: str | None = None
    title: str = ""
    """Of a branch, as it is in the file."""


def is_ntuple(tree: Any) -> bool:
    """Whether it is an RNTuple; else it is a TTree."""
    return "RNTuple" in tree.classname


def branches_of(tree: Any) -> list[Column]:
    """Return the columns of a TTree: each branch that has no branches below.

    A branch below another one has its own name where no other has it (Delphes: ``Jet.PT``), else
    the whole path (``Jet/Jet.PT``). A branch of several leaves gives ``branch.leaf`` each.
    """
    branches = {path: b for path, b in tree.items(recursive=True) if len(b.branches) == 0}
    names = Counter(branch.name for branch in branches.values())
    columns = []
    for path, branch in branches.items():
        name = branch.name if names[branch.name] == 1 else path
        arrow = _branch_type(branch)
        if tree[path] is not branch:
            arrow = unreadable("one of several branches with this name")
        if pa.types.is_struct(arrow):
            columns += [Column(f"{name}.{f.name}", path, f.type, leaf=f.name) for f in arrow]
        else:
            columns.append(Column(name, path, arrow, title=str(branch.title)))
    return columns


def fields_of(ntuple: Any) -> list[Column]:
    """Return the columns of an RNTuple: its fields, and of a record ``record.field`` each.

    Of a list of records, as uproot writes a jagged array of them, ``Jet.pt`` is a list. Collections
    by which a converter only counts, ``_collection1``, are left out. Types follow from the fields'
    C++ names; building uproot's own forms takes seconds for a thousand fields.
    """
    return [column for field in ntuple.fields for column in _columns(field, (field.name,))]


def _columns(field: Any, path: tuple[str, ...], lists: int = 0) -> Iterator[Column]:
    """Yield the columns of a field that lies in so many lists."""
    role = field.record.struct_role
    counts_only = path[0].startswith("_") and not field.typename
    if role == RECORD or (role == LIST and field.fields and not counts_only):
        for inner in field.fields:
            yield from _columns(inner, (*path, inner.name), lists + _lists_around(inner, field))
    elif not counts_only:
        arrow = _field_type(field.typename)
        is_read = not isinstance(arrow, pa.OpaqueType)
        yield Column(".".join(path), path, nested_type(arrow, lists) if is_read else arrow)


def _lists_around(inner: Any, field: Any) -> int:
    """Return how many lists hold a field of the records in another one, which may be a list.

    Fields without a name, ``_0``, lie between a list and what it holds; uproot passes them over.
    """
    lists, holder = 0, inner.parent
    while holder is not field:
        lists, holder = lists + (holder.record.struct_role == LIST), holder.parent
    return lists + (field.record.struct_role == LIST)


def _field(ntuple: Any, path: tuple[str, ...]) -> Any:
    """Return the field of a path; names may have dots in them, so that they cannot be joined."""
    found = ntuple
    for name in path:
        found = next(field for field in found.fields if field.name == name)
    return found


def _needed(ntuple: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield the fields to read for one; all of a pair or tuple, whose parts have no names."""
    yield _field(ntuple, path)
    for depth in range(1, len(path)):
        record = _field(ntuple, path[:depth])
        if all(part.name.lstrip("_").isdigit() for part in record.fields):
            yield from record.fields


def type_name(tree: Any, column: Column) -> str:
    """Return the C++ type of a column, as the file has it."""
    node = _field(tree, column.path) if is_ntuple(tree) else tree[column.path]
    return node.typename or "a type without a name"


def baskets_are_intact(tree: Any, column: Column, row: int) -> bool:
    """Whether the baskets of a branch can be unpacked, from a row on, whatever is in them."""
    if is_ntuple(tree):
        return False
    branch = tree[column.path]
    try:
        for number, _ in branch.entries_to_ranges_or_baskets(row, branch.num_entries):
            branch.basket(number)
    except Exception:  # uproot meets damage with whatever it stumbles over
        return False
    return True


def pieces(
    tree: Any, columns: Sequence[Column], rows: int, start: int = 0
) -> Iterator[list[pa.Array]]:
    """Yield the columns as Arrow arrays, at most so many rows at once.

    `start` is the row at which one of the pieces from row 0 on begins.

    Baskets of a TTree that reach over the end of a piece are kept for the next one. Of an RNTuple,
    whose pages are read by clusters, the used columns of one cluster are in memory.
    """
    read = _clusters if is_ntuple(tree) else _baskets
    with ThreadPoolExecutor(_cores(), thread_name_prefix="steepest-unpack") as threads:
        for arrays in read(tree, columns, rows, start, threads):
            yield [_to_arrow(arrays[column.path], column) for column in columns]


def _cores() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(usable or 1, MOST_THREADS)


def _baskets(
    tree: Any, columns: Sequence[Column], rows: int, start: int, threads: Executor
) -> Iterator[dict[str, Any]]:
    # Pairs with an interpretation are looked up by the whole path, and are what the arrays go by.
    paths = dict.fromkeys(column.path for column in columns)
    yield from tree.iterate(
        [(path, tree[path].interpretation) for path in paths],
        entry_start=start,
        step_size=rows,
        library="ak",
        how=dict,
        decompression_executor=threads,
    )


def _clusters(
    ntuple: Any, columns: Sequence[Column], rows: int, start: int, threads: Executor
) -> Iterator[dict[str, Any]]:
    paths = {column.path for column in columns}
    fields = {id(field) for path in paths for field in _needed(ntuple, path)}
    for cluster in ntuple.cluster_summaries:
        first = cluster.num_first_entry
        stop = first + cluster.num_entries
        if stop <= start:
            continue
        read = ntuple.arrays(
            filter_field=lambda field: id(field) in fields,
            entry_start=first,
            entry_stop=stop,
            decompression_executor=threads,
        )
        arrays = {path: reduce(lambda array, name: array[name], path, read) for path in paths}
        for place in range(max(start - first, 0), stop - first, rows):
            yield {path: array[place : place + rows] for path, array in arrays.items()}


def _to_arrow(array: Any, column: Column) -> pa.Array:
    ak = extra.load("awkward", "root", "Reading ROOT files")
    if column.leaf is not None:
        array = array[column.leaf]
    arrow = ak.to_arrow(array, list_to32=True, string_to32=True, extensionarray=False)
    return arrow.cast(column.type)


def _branch_type(branch: Any) -> pa.DataType:
    try:
        interpretation = branch.interpretation
        kind = type(interpretation).__name__
        if kind == "AsStrings":
            return pa.string()
        if kind == "AsDtype":
            return _numpy_type(interpretation.to_dtype)
        if kind == "AsJagged" and type(interpretation.content).__name__ == "AsDtype":
            content = _numpy_type(interpretation.content.to_dtype)
            is_struct = pa.types.is_struct(content)
            return unreadable(branch.typename) if is_struct else pa.list_(content)
        return _form_type(interpretation.awkward_form(branch.file))
    except Exception:  # uproot and Awkward refuse types of other kinds in many ways
        return unreadable(branch.typename or "a type that uproot does not know")


def _form_type(form: Any) -> pa.DataType:
    ak = extra.load("awkward", "root", "Reading ROOT files")
    empty = ak.Array(form.length_zero_array())
    return plain_type(ak.to_arrow(empty, extensionarray=False).type)


def _numpy_type(dtype: np.dtype) -> pa.DataType:
    base, shape = dtype.subdtype or (dtype, ())
    if base.names:
        return pa.struct([pa.field(name, _numpy_type(base[name])) for name in base.names])
    return nested_type(pa.from_numpy_dtype(base.newbyteorder("=")), len(shape))


def _field_type(name: str) -> pa.DataType:
    if name in NUMBERS:
        return NUMBERS[name]
    wrapped, inner = WRAPPED.fullmatch(name), LISTS.fullmatch(name)
    if wrapped:
        return _field_type(wrapped[1])
    if inner:
        value = _field_type(inner[1])
        return unreadable(name) if isinstance(value, pa.OpaqueType) else pa.list_(value)
    return unreadable(name or "a collection without a type")
