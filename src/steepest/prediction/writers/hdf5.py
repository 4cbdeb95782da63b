"""HDF5: a group with a dataset for each column, lists of any length as variable-length ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.events import extra
from steepest.prediction.writers.contract import Batches, Metadata, Writer, refused

__all__ = ["HDF5"]

GROUP = "events"
CHUNK = 16_384
"""Rows of a chunk."""


def write(path: Path, part: str, schema: pa.Schema, batches: Batches, metadata: Metadata) -> None:
    """Write a new file with the group `part`, or ``/events``; the metadata are its attributes."""
    with _h5py().File(path, "w") as file:
        group = file.require_group(part.strip("/") or GROUP)
        group.attrs.update(metadata)
        datasets = [_dataset(group, field) for field in schema]
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


def _dataset(group: Any, field: pa.Field) -> Any:
    h5py = _h5py()
    if pa.types.is_list(field.type):
        dtype = h5py.vlen_dtype(np.dtype(field.type.value_type.to_pandas_dtype()))
    elif pa.types.is_string(field.type):
        dtype = h5py.string_dtype("utf-8")
    else:
        dtype = np.dtype(field.type.to_pandas_dtype())
    return group.create_dataset(field.name, (0,), dtype, maxshape=(None,), chunks=(CHUNK,))


def _write_lists(dataset: Any, row: int, column: pa.Array) -> None:
    """Write lists from a row on, by HDF5 itself: h5py takes lists of one length for a matrix."""
    h5py, count = _h5py(), len(column)
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


def _refusal(name: str, arrow: pa.DataType) -> str | None:
    if "/" in name or name in (".", ".."):
        return f"a name that HDF5 takes for a path: {name!r}"
    return refused(arrow, 1)


def _h5py() -> Any:
    return extra.load("h5py", "hdf5", "Writing HDF5 files")


HDF5 = Writer(
    name="HDF5",
    suffixes=(".h5", ".hdf5", ".hdf"),
    parts=True,
    nulls=False,
    refusal=_refusal,
    write=write,
    extra="hdf5",
    packages=("h5py",),
)
