"""The formats that scores are written in, each a `Writer` of `WRITERS`, chosen by the suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from steepest.events import extra
from steepest.events.formats.nested import plain_type, unreadable_name

Batches = Iterator[pa.RecordBatch]
Metadata = Mapping[str, str]

INSIDE = "events"
"""Name of a tree or group that ``file:part`` does not name."""
ROW_GROUP, ROW_GROUP_BYTES = 131_072, 2**26
"""A row group of Parquet ends at so many rows or bytes, whichever is first."""
HDF5_CHUNK = 16_384


@dataclass(frozen=True)
class Writer:
    """A format that scores are written in."""

    name: str  # in messages
    suffixes: tuple[str, ...]
    refusal: Callable[[str, pa.DataType], str | None]  # why a column (name, type) cannot be written
    write: Callable[[Path, str, pa.Schema, Batches, Metadata], None]  # a new file; str: what inside
    parts: bool = False  # whether ``file:part`` names what is written inside
    nulls: bool = False  # whether a value may be missing
    extra: str = ""  # installs `packages`, which are needed
    packages: tuple[str, ...] = ()
    metadata: Callable[[Path, str], Metadata] = lambda path, part: {}  # of a file, as was written

    def require(self) -> None:
        """Raise MissingExtraError unless the format's packages are installed."""
        for package in self.packages:
            extra.load(package, self.extra, f"Writing {self.name} files")


def plain(arrow: pa.DataType) -> pa.DataType:
    """Return the type with text as ``string`` and lists as 32-bit lists, without dictionaries.

    Examples
    --------
    >>> str(plain(pa.dictionary(pa.int8(), pa.large_string())))
    'string'
    """
    if pa.types.is_dictionary(arrow):
        return plain(arrow.value_type)
    return pa.string() if arrow == pa.string_view() else plain_type(arrow)


def refused(
    arrow: pa.DataType, depth: int, *, texts_in_lists: bool = False, half: bool = True
) -> str | None:
    """Return the name of a type that is not numbers, text or lists of them to a depth, else None.

    Lists of text and numbers of 16 bits are for the formats that have them.

    Examples
    --------
    >>> refused(pa.date32(), 0), refused(pa.list_(pa.float32()), 0), refused(pa.int8(), 0)
    ('date32[day]', 'list<item: float>', None)
    """
    inner, nesting = plain(arrow), 0
    while pa.types.is_list(inner):
        inner, nesting = inner.value_type, nesting + 1
    types = pa.types
    number = types.is_boolean(inner) or types.is_integer(inner) or types.is_floating(inner)
    text = types.is_string(inner) and (texts_in_lists or nesting == 0)
    if nesting <= depth and (text or (number and (half or inner != pa.float16()))):
        return None
    return unreadable_name(plain(arrow)) or str(plain(arrow))


def write_parquet(
    path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata
) -> None:
    """Write every column as it was, and the metadata in the schema's."""
    schema = schema.with_metadata(dict(metadata))
    # Of numbers a dictionary gains little and costs most of the time.
    dictionaries: list[str] = [
        field.name
        for field in schema
        if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type)
    ]
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": dictionaries}
    with pq.ParquetWriter(path, schema, write_page_checksum=True, **options) as writer:
        pending, rows, size = [], 0, 0
        for batch in batches:
            pending.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= ROW_GROUP or size >= ROW_GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(pending, schema), ROW_GROUP)
                pending, rows, size = [], 0, 0
        if pending:
            writer.write_table(pa.Table.from_batches(pending, schema), ROW_GROUP)


def write_csv(
    path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata
) -> None:
    """Write single values without metadata; a null is an empty cell, text is quoted."""
    options = arrow_csv.WriteOptions(delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    with arrow_csv.CSVWriter(path, schema, write_options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)


def write_hdf5(
    path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata
) -> None:
    """Write a dataset for each column into the group `part`; the metadata are its attributes."""
    import h5py

    with h5py.File(path, "w") as file:
        group = file.require_group(part.strip("/") or INSIDE)
        group.attrs.update(metadata)
        datasets = []
        for field in schema:
            if pa.types.is_list(field.type):  # of any length
                dtype = h5py.vlen_dtype(np.dtype(field.type.value_type.to_pandas_dtype()))
            elif pa.types.is_string(field.type):
                dtype = h5py.string_dtype("utf-8")
            else:
                dtype = np.dtype(field.type.to_pandas_dtype())
            options = {"maxshape": (None,), "chunks": (HDF5_CHUNK,)}
            datasets.append(group.create_dataset(field.name, (0,), dtype, **options))
        row = 0
        for batch in batches:
            stop = row + batch.num_rows
            for dataset, column in zip(datasets, batch.columns, strict=True):
                dataset.resize((stop,))
                if pa.types.is_list(column.type):
                    _write_lists(dataset, row, column)
                else:
                    dataset[row:stop] = column.to_numpy(zero_copy_only=False)
            row = stop


def _write_lists(dataset: Any, row: int, column: pa.Array) -> None:
    """Write lists from a row on, by HDF5 itself: h5py takes lists of one length for a matrix."""
    import h5py

    count = len(column)
    if count == 0:
        return
    flat = column.flatten().to_numpy(zero_copy_only=False)
    ends = np.cumsum(column.value_lengths().to_numpy(zero_copy_only=False), dtype=np.int64)
    lists = (flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True))
    values = np.fromiter(lists, dtype=object, count=count).astype(dataset.dtype)
    place = dataset.id.get_space()
    place.select_hyperslab((row,), (count,))
    memory = h5py.h5s.create_simple((count,))
    dataset.id.write(memory, place, values, h5py.h5t.py_create(dataset.dtype))


def write_root(
    make: Callable[[Any, str, Any], Any],
    path: Path,
    part: str,
    schema: pa.Schema,
    batches: Batches,
    metadata: Metadata,
) -> None:
    """Write what `make` makes, named `part`, by uproot; the metadata are strings beside it."""
    import uproot

    *folders, name = (part or INSIDE).strip("/").split("/")
    with uproot.recreate(path) as file:
        directory = file.mkdir("/".join(folders)) if folders else file
        tree = make(directory, name, _awkward(pa.RecordBatch.from_pylist([], schema)))
        for batch in batches:
            events = _awkward(batch)
            tree.extend({column: events[column] for column in schema.names})
        for key, text in metadata.items():
            file[key] = text


def _tree(directory: Any, name: str, empty: Any) -> Any:
    """Make a TTree, in which ``nNAME`` counts the items of the lists NAME."""

    def counter(column: str) -> str:
        count = f"n{column}"
        while count in empty.fields:
            count += "_"
        return count

    types = {column: str(empty[column].type.content) for column in empty.fields}
    return directory.mktree(name, types, counter_name=counter)


def _ntuple(directory: Any, name: str, empty: Any) -> Any:
    return directory.mkrntuple(name, empty.layout.form)


def _awkward(batch: pa.RecordBatch) -> Any:
    """Return the columns, which lack no value, without option types."""
    import awkward as ak

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


def _refused_by_hdf5(name: str, arrow: pa.DataType) -> str | None:
    if "/" in name or name in (".", ".."):
        return f"a name that HDF5 takes for a path: {name!r}"
    return refused(arrow, 1)


def _refused_by_ntuple(name: str, arrow: pa.DataType) -> str | None:
    if "." in name:
        return f"a name that RNTuple takes for a path: {name!r}"
    return refused(arrow, 99, texts_in_lists=True, half=False)


def _parquet_metadata(path: Path, part: str) -> Metadata:
    found = pq.read_schema(path).metadata or {}
    return {key.decode(): text.decode() for key, text in found.items() if key == b"steepest"}


def _hdf5_metadata(path: Path, part: str) -> Metadata:
    import h5py

    with h5py.File(path) as file:
        return dict(file[part.strip("/") or INSIDE].attrs.items())


def _root_metadata(path: Path, part: str) -> Metadata:
    import uproot

    opened: Any = uproot.open(path)
    with opened as file:
        return {"steepest": str(file["steepest"])} if "steepest" in file else {}


PARQUET = Writer(
    "Parquet",
    (".parquet", ".pq"),
    lambda name, arrow: unreadable_name(arrow),  # what could not be read
    write_parquet,
    nulls=True,
    metadata=_parquet_metadata,
)
ROOT = Writer(
    "ROOT",
    (".root",),
    lambda name, arrow: refused(arrow, 1, half=False),
    partial(write_root, _tree),
    parts=True,
    extra="root",
    packages=("uproot", "awkward"),
    metadata=_root_metadata,
)
RNTUPLE = replace(
    ROOT, name="ROOT (RNTuple)", refusal=_refused_by_ntuple, write=partial(write_root, _ntuple)
)
HDF5 = Writer(
    "HDF5",
    (".h5", ".hdf5", ".hdf"),
    _refused_by_hdf5,
    write_hdf5,
    parts=True,
    extra="hdf5",
    packages=("h5py",),
    metadata=_hdf5_metadata,
)
CSV = Writer("CSV", (".csv", ".tsv"), lambda name, arrow: refused(arrow, 0), write_csv, nulls=True)
WRITERS = (PARQUET, ROOT, HDF5, CSV)
