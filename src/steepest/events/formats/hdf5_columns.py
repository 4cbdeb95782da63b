"""Columns of HDF5 datasets, their Arrow types, and a piece of one as an Arrow array."""

from __future__ import annotations

import pickletools
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events import extra
from steepest.events.formats.damage import unreadable_column
from steepest.events.formats.nested import nested, nested_type, unreadable, unreadable_name
from steepest.events.remote import FilePath

Records = dict[tuple[str, int], np.ndarray]
"""Rows of whole datasets, by the dataset and the first row."""


@dataclass(frozen=True)
class Column:
    """A dataset, or a field of one, or what has one index in its last dimension."""

    name: str
    dataset: str
    type: pa.DataType
    dtype: np.dtype
    """Of one number or text, with what h5py has attached to it."""
    field: str | None = None
    """Of a compound dataset."""
    index: int | None = None
    """In the last of two or three dimensions."""
    said: dict[str, str] | None = None
    """The attributes of its dataset that are a title or a unit."""


def dataset_columns(dataset: Any) -> list[Column]:
    """Return the columns of a dataset.

    A compound dataset has its fields. Another one is a column of its name, with lists for more
    dimensions; of two or three dimensions, also ``x_0``, ``x_1``, … along the last one.
    """
    dtype, shape = dataset.dtype, dataset.shape
    path, name = dataset.name, dataset.name.rsplit("/", 1)[-1]
    if dtype.names:
        columns = [_field(path, dtype[field], field, len(shape) - 1) for field in dtype.names]
        return _of_pandas_table(dataset, columns)
    columns = [Column(name, path, _arrow(dtype, len(shape) - 1), dtype, said=_said(dataset))]
    if len(shape) in (2, 3):
        single = _arrow(dtype, len(shape) - 2)
        columns += [Column(f"{name}_{i}", path, single, dtype, index=i) for i in range(shape[-1])]
    return columns


def _said(dataset: Any) -> dict[str, str] | None:
    """Return the attributes that are a title or a unit, as far as they can be read."""
    found = {}
    with suppress(OSError, RuntimeError, KeyError, ValueError):
        for name in ("title", "long_name", "unit", "units"):
            if name in dataset.attrs:
                value = dataset.attrs[name]
                text = value.decode() if isinstance(value, bytes) else value
                found |= {name: text} if isinstance(text, str) else {}
    return found or None


def _of_pandas_table(dataset: Any, columns: list[Column]) -> list[Column]:
    """Return the columns of a table of pandas by their own names, without its index."""
    if "values_block_0_kind" not in dataset.attrs:
        return columns
    named = []
    for column in columns:
        names = _names_of_pandas(dataset.attrs.get(f"{column.name}_kind"))
        block = column.type.value_type if pa.types.is_list(column.type) else column.type
        if dataset.attrs.get(f"{column.name}_dtype") == b"bool":
            block = pa.bool_()
        if column.name == "index":
            continue
        if not column.name.startswith("values_block_") or not names:
            named.append(column)
            continue
        named += [
            Column(name, column.dataset, block, column.dtype, column.field, i)
            for i, name in enumerate(names)
        ]
    return named


def _names_of_pandas(pickled: Any) -> list[str]:
    """Return the names in a pickled list of names, which is not unpickled: that could run code."""
    content = bytes(pickled) if isinstance(pickled, bytes | np.bytes_) else b""
    try:
        operations = [(code.name, value) for code, value, _ in pickletools.genops(content)]
    except ValueError:
        return []
    names = [str(value) for name, value in operations if "UNICODE" in name or "INT" in name]
    return names if len(set(names)) == len(names) else []


def pandas_columns(group: Any) -> list[Column]:
    """Return the columns of a data frame that pandas wrote in its fixed format."""
    columns = []
    for number in range(int(group.attrs["nblocks"])):
        items, values = group[f"block{number}_items"], group[f"block{number}_values"]
        names = [
            item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in items[...]
        ]
        if values.ndim != 2 or values.shape[1] != len(names):
            kind = unreadable("text, which pandas has pickled")
            columns += [Column(name, values.name, kind, values.dtype) for name in names]
            continue
        arrow = _arrow(values.dtype, 0)
        columns += [
            Column(name, values.name, arrow, values.dtype, index=i) for i, name in enumerate(names)
        ]
    return columns


def read(
    file: Any,
    column: Column,
    start: int,
    stop: int,
    records: Records,
    path: FilePath,
    whole: Collection[str] = (),
) -> pa.Array:
    """Return the rows from `start` to `stop` of a column; `whole` are datasets to read at once.

    Raises
    ------
    EventsError
        The column's type is none that can be read, or its text is not UTF-8.
    """
    kind = unreadable_name(column.type)
    if kind is not None:
        raise unreadable_column(repr(column.name), str(path), kind)
    try:
        alone = column.dataset not in whole
        values = _values(file, column, slice(start, stop), records, alone)
        return _to_arrow(values, column.dtype, column.type)
    except UnicodeDecodeError as error:
        raise EventsError(
            f"The column {column.name!r} of {path} is not text in UTF-8 "
            f"(rows {start} to {stop - 1}).",
            expected="UTF-8",
            found=repr(error.object[:20]),
            cause="bytes that are no text, or another encoding",
            do="write it again as UTF-8",
        ) from None


def _values(file: Any, column: Column, rows: slice, records: Records, alone: bool) -> np.ndarray:
    """Return a column's values; what lies interleaved is read once, and kept in `records`."""
    if alone and column.index is not None and column.field is None:
        dataset = file[column.dataset]
        chunks = dataset.chunks
        if chunks is None or chunks[-1] == 1:
            return dataset[rows, ..., column.index]
    key = column.dataset, rows.start
    if key not in records:
        records[key] = file[column.dataset][rows]
    values = records[key] if column.field is None else records[key][column.field]
    return values if column.index is None else values[..., column.index]


def _field(path: str, dtype: np.dtype, field: str, dimensions: int) -> Column:
    base, shape = dtype.subdtype or (dtype, ())
    return Column(field, path, _arrow(base, dimensions + len(shape)), base, field=field)


def _arrow(dtype: np.dtype, dimensions: int) -> pa.DataType:
    """Return the Arrow type of a NumPy type with so many dimensions beyond the rows."""
    h5py = _h5py()
    items = _items(dtype)
    if h5py.check_string_dtype(dtype) is not None:
        return nested_type(pa.string(), dimensions)
    if h5py.check_enum_dtype(dtype) is not None:
        return nested_type(pa.string(), dimensions)
    if items is not None and not items.isnative:
        # h5py 3.16 hands out such items as they lie in the file, but calls them native.
        return unreadable(f"lists of {items.str}, whose bytes h5py does not swap")
    if items is not None and dimensions == 0 and items.kind in "biuf":
        return pa.list_(pa.from_numpy_dtype(items))
    if dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize <= 8):
        return nested_type(pa.from_numpy_dtype(dtype.newbyteorder("=")), dimensions)
    return unreadable(str(dtype) if dtype.kind != "O" else "references or objects")


def _items(dtype: np.dtype) -> np.dtype | None:
    """Return the type of the items of lists of any length; None if these are none."""
    h5py = _h5py()
    return None if h5py.check_string_dtype(dtype) is not None else h5py.check_vlen_dtype(dtype)


def _to_arrow(values: np.ndarray, dtype: np.dtype, arrow: pa.DataType) -> pa.Array:
    h5py = _h5py()
    if _items(dtype) is not None:
        return _jagged(values, arrow)
    inner = arrow
    while pa.types.is_list(inner):
        inner = inner.value_type
    names = h5py.check_enum_dtype(dtype)
    if names is not None:
        values = _named(values, {value: name for name, value in names.items()})
    elif h5py.check_string_dtype(dtype) is not None:
        values = _text(values)
    elif pa.types.is_boolean(inner):
        values = values.astype(bool)
    else:
        values = values.astype(dtype.newbyteorder("="), copy=False)
    return nested(values, inner)


def _jagged(values: np.ndarray, arrow: pa.DataType) -> pa.Array:
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum([len(value) for value in values], out=offsets[1:])
    flat = np.concatenate(values) if len(values) else np.empty(0)
    native = flat.astype(arrow.value_type.to_pandas_dtype(), copy=False)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(native, arrow.value_type))


def _text(values: np.ndarray) -> np.ndarray:
    texts = [v.decode("utf-8") if isinstance(v, bytes) else v for v in values.reshape(-1)]
    flat = np.empty(len(texts), dtype=object)
    flat[:] = texts
    return flat.reshape(values.shape)


def _named(values: np.ndarray, names: dict[int, str]) -> np.ndarray:
    """Return an enumeration's names; a number without a name stays a number, written out."""
    flat = np.empty(values.size, dtype=object)
    flat[:] = [names.get(int(value), str(int(value))) for value in values.reshape(-1)]
    return flat.reshape(values.shape)


def _h5py() -> Any:
    return extra.load("h5py", "hdf5", "Reading HDF5 files")
