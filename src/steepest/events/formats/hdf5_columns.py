"""Columns of HDF5 datasets, their Arrow types, and a piece of one as an Arrow array."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events import extra
from steepest.events.formats.damage import unreadable_column
from steepest.events.formats.nested import nested, nested_type, unreadable, unreadable_name
from steepest.events.remote import FilePath

__all__ = ["Column", "Records", "dataset_columns", "read"]

Records = dict[tuple[str, int], np.ndarray]
"""Rows of whole datasets, by the dataset and the first row."""


@dataclass(frozen=True)
class Column:
    """A dataset, or a field of one, or one of its columns, with a value for each row."""

    name: str
    dataset: str
    type: pa.DataType
    field: str | None = None
    """Of a compound dataset."""
    index: int | None = None
    """Of a dataset of two dimensions."""


def dataset_columns(dataset: Any) -> list[Column]:
    """Return the columns of a dataset.

    A compound dataset has its fields. Another one is a column of its name: of two dimensions, a
    list for each row, and also each of its columns alone, ``x_0``, ``x_1``, …; of more, lists of
    lists.
    """
    path, name = dataset.name, dataset.name.rsplit("/", 1)[-1]
    if dataset.dtype.names:
        return [_field(dataset, field) for field in dataset.dtype.names]
    columns = [Column(name, path, _arrow(dataset.dtype, len(dataset.shape) - 1))]
    if len(dataset.shape) == 2:
        single = _arrow(dataset.dtype, 0)
        columns += [Column(f"{name}_{i}", path, single, index=i) for i in range(dataset.shape[1])]
    return columns


def read(
    file: Any, column: Column, start: int, stop: int, records: Records, path: FilePath
) -> pa.Array:
    """Return the rows from `start` to `stop` of a column.

    Raises
    ------
    EventsError
        The column's type is none that can be read, or its text is not UTF-8.
    """
    kind = unreadable_name(column.type)
    if kind is not None:
        raise unreadable_column(repr(column.name), str(path), kind)
    dataset = file[column.dataset]
    base = dataset.dtype if column.field is None else dataset.dtype[column.field]
    values = _values(dataset, column, slice(start, stop), records)
    try:
        return _to_arrow(values, base.base if base.subdtype else base, column.type)
    except UnicodeDecodeError as error:
        raise EventsError(
            f"The column {column.name!r} of {path} is not text in UTF-8 "
            f"(rows {start} to {stop - 1}).",
            expected="UTF-8",
            found=repr(error.object[:20]),
            cause="bytes that are no text, or another encoding",
            do="write it again as UTF-8",
        ) from None


def _values(dataset: Any, column: Column, rows: slice, records: Records) -> np.ndarray:
    """Return a column's values; what lies interleaved is read once, and kept in `records`."""
    alone = column.index is not None and (dataset.chunks is None or dataset.chunks[1] == 1)
    if alone:
        return dataset[rows, column.index]
    key = column.dataset, rows.start
    if key not in records:
        records[key] = dataset[rows]
    values = records[key]
    if column.field is not None:
        return values[column.field]
    return values if column.index is None else values[:, column.index]


def _field(dataset: Any, field: str) -> Column:
    dtype = dataset.dtype[field]
    base, shape = dtype.subdtype or (dtype, ())
    dimensions = len(shape) + len(dataset.shape) - 1
    return Column(field, dataset.name, _arrow(base, dimensions), field=field)


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
