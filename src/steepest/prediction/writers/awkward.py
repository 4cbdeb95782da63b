"""Arrow columns without a missing value as Awkward arrays, of types without an option."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from steepest.events import extra
from steepest.prediction.writers.plain import is_text

__all__ = ["form_of", "to_awkward"]


def to_awkward(column: pa.Array) -> Any:
    """Return a column of numbers, texts, or lists of these."""
    ak = extra.load("awkward", "root", "Writing ROOT files")
    return ak.Array(_content(column))


def form_of(schema: pa.Schema) -> Any:
    """Return the form of a record of the schema's columns."""
    ak = extra.load("awkward", "root", "Writing ROOT files")
    contents = [_content(pa.array([], field.type)) for field in schema]
    return ak.contents.RecordArray(contents, schema.names).form


def _content(column: pa.Array) -> Any:
    ak = extra.load("awkward", "root", "Writing ROOT files")
    if is_text(column.type):
        return _text(column)
    if not pa.types.is_list(column.type):
        return ak.contents.NumpyArray(column.to_numpy(zero_copy_only=False))
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    return ak.contents.ListOffsetArray(_offsets(lengths), _content(column.flatten()))


def _text(column: pa.Array) -> Any:
    ak = extra.load("awkward", "root", "Writing ROOT files")
    flat = column.cast(pa.large_binary())
    _, offsets, data = flat.buffers()
    ends = np.frombuffer(offsets, np.int64)[flat.offset : flat.offset + len(flat) + 1]
    letters = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    letters = letters[ends[0] : ends[-1]] if len(ends) else letters[:0]
    content = ak.contents.NumpyArray(letters, parameters={"__array__": "char"})
    offsets = _offsets(np.diff(ends))
    return ak.contents.ListOffsetArray(offsets, content, parameters={"__array__": "string"})


def _offsets(lengths: np.ndarray) -> Any:
    ak = extra.load("awkward", "root", "Writing ROOT files")
    return ak.index.Index64(np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))
