"""Arrow types and arrays of values with more than one number an event."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

VENDOR = "steepest"


def nested_type(value: pa.DataType, dimensions: int) -> pa.DataType:
    """Return lists of lists … of a type.

    Examples
    --------
    >>> str(nested_type(pa.float32(), 2))
    'list<item: list<item: float>>'
    """
    for _ in range(dimensions):
        value = pa.list_(value)
    return value


def nested(array: np.ndarray, value: pa.DataType) -> pa.Array:
    """Return an array of shape (rows, a, b, …) as lists of lists … of values.

    Examples
    --------
    >>> nested(np.array([[1.0, 2.0], [3.0, 4.0]]), pa.float64()).to_pylist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    flat = pa.array(np.ascontiguousarray(array).reshape(-1), value)
    for axis in range(array.ndim - 1, 0, -1):
        count = int(np.prod(array.shape[:axis]))
        offsets = np.arange(count + 1, dtype=np.int32) * np.int32(array.shape[axis])
        flat = pa.ListArray.from_arrays(pa.array(offsets), flat)
    return flat


def plain_type(arrow: pa.DataType) -> pa.DataType:
    """Return the type with 32-bit lists of any length, and text as ``string``, at all depths."""
    if pa.types.is_struct(arrow):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in arrow])
    if (
        pa.types.is_list(arrow)
        or pa.types.is_large_list(arrow)
        or pa.types.is_fixed_size_list(arrow)
    ):
        return pa.list_(plain_type(arrow.value_type))
    return pa.string() if pa.types.is_large_string(arrow) else arrow


def unreadable(name: str) -> pa.DataType:
    """Return the type of a column that is there but cannot be read, with the name of its own type.

    Examples
    --------
    >>> unreadable_name(unreadable("TLorentzVector")), unreadable_name(pa.int8())
    ('TLorentzVector', None)
    """
    return pa.opaque(pa.null(), type_name=name, vendor_name=VENDOR)


def unreadable_name(arrow: pa.DataType) -> str | None:
    """Return the name of the type of a column that cannot be read; None if it can."""
    return arrow.type_name if isinstance(arrow, pa.OpaqueType) else None
