"""The columns of a file of jets: names, types, units and meaning, and the code that fills them.

The schema and the writer use the table `COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steepest.simulate.jets import Jets, offsets_of, substructure
from steepest.simulate.particles import Constituents

MANTISSA_BITS = 23
"""Bits of the mantissa of a float32, without the implicit leading bit."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its Arrow type, unit ("" for dimensionless) and meaning."""

    name: str
    type: pa.DataType
    unit: str
    meaning: str


def _jet(name: str, unit: str, meaning: str) -> Column:
    return Column(name, pa.float32(), unit, meaning)


def _part(name: str, unit: str, meaning: str, kind: pa.DataType | None = None) -> Column:
    return Column(f"part_{name}", pa.list_(kind or pa.float32()), unit, meaning)


_CLASSES = "0 charged hadron, 1 neutral hadron, 2 photon, 3 electron, 4 muon"

COLUMNS: tuple[Column, ...] = (
    _jet("pt", "GeV", "transverse momentum of the jet"),
    _jet("eta", "", "pseudorapidity of the jet"),
    _jet("phi", "rad", "azimuth of the jet, from -pi to pi"),
    _jet("mass", "GeV", "invariant mass of the jet"),
    _jet("energy", "GeV", "energy of the jet"),
    Column("n_constituents", pa.int32(), "", "number of constituents, all of them"),
    *(
        _jet(f"tau{n}", "", f"N-subjettiness, N = {n}, beta = 1, exclusive-kT axes")
        for n in range(1, 5)
    ),
    _jet("e2", "", "normalised two-point energy correlation, beta = 1"),
    _jet("e3", "", "normalised three-point energy correlation, beta = 1"),
    _jet("c2", "", "e3 / e2^2"),
    _jet("d2", "", "e3 / e2^3"),
    _jet("pt_dispersion", "", "pT D = sqrt(sum pT^2) / sum pT of the constituents"),
    _jet("soft_drop_mass", "GeV", "mass after soft drop, z_cut = 0.1, beta = 0"),
    _part("pt", "GeV", "transverse momentum of each constituent, descending"),
    _part("eta", "", "pseudorapidity"),
    _part("phi", "rad", "azimuth, from -pi to pi"),
    _part("energy", "GeV", "energy"),
    _part("charge", "e", "electric charge", pa.int8()),
    _part("class", "", _CLASSES, pa.int8()),
    _part("d0", "mm", "transverse impact parameter, 0 if neutral"),
    _part("dz", "mm", "longitudinal impact parameter, 0 if neutral"),
    Column("is_top", pa.int8(), "", "1 for a top quark's jet, 0 for any other"),
    Column("process", pa.dictionary(pa.int8(), pa.string()), "", "name of the simulated process"),
    Column("event_number", pa.int64(), "", "seed * 10^9 + row"),
    _jet("weight", "", "event weight"),
)
"""All columns, in the order of the file."""

_LABELS = ("is_top", "process", "event_number", "weight")


def schema(metadata: Mapping[str, str] | None = None) -> pa.Schema:
    """Return the schema of a file of jets, with units and meanings in the metadata of the fields.

    Examples
    --------
    >>> schema().field("mass").metadata[b"unit"]
    b'GeV'
    """
    entries = [
        pa.field(c.name, c.type, nullable=False, metadata={"unit": c.unit, "meaning": c.meaning})
        for c in COLUMNS
    ]
    return pa.schema(entries, metadata=dict(metadata) if metadata else None)


def tabulate(
    jets: Jets,
    selected: NDArray[np.bool_],
    constituents: Constituents,
    leading: int | None,
    bits: int | None,
) -> pa.Table:
    """Return the selected jets as a table with all columns but the labels, which `label` adds.

    The substructure uses all constituents; the lists have only the `leading` ones, and their float
    columns keep `bits` bits of mantissa.
    """
    columns = [c for c in COLUMNS if c.name not in _LABELS]
    entries = [schema().field(c.name) for c in columns]
    if not np.any(selected):
        return pa.schema(entries).empty_table()
    members = list(jets.members[selected])
    counts = np.array([len(one) for one in members])
    owner = np.repeat(np.arange(len(counts)), counts)
    own = constituents.take(np.concatenate(members))
    own = own.take(np.lexsort((-own.pt, owner)))  # hardest first in each jet
    values = substructure((own.px, own.py, own.pz, own.energy), counts)
    values |= {n: getattr(jets, n)[selected] for n in ("pt", "eta", "phi", "mass", "energy")}
    values["n_constituents"] = counts
    if leading is not None:
        rank = np.arange(len(own)) - np.repeat(offsets_of(counts)[:-1], counts)
        own, counts = own.take(rank < leading), np.minimum(counts, leading)
    values["part_class"] = own.kind
    values |= {f"part_{n}": getattr(own, n) for n in ("pt", "eta", "phi", "energy")}
    values |= {f"part_{n}": getattr(own, n) for n in ("charge", "d0", "dz")}
    offsets = arrow(offsets_of(counts), pa.int32())
    arrays = []
    for c in columns:
        if pa.types.is_list(c.type):
            flat = values[c.name].astype(c.type.value_type.to_pandas_dtype())
            if pa.types.is_floating(c.type.value_type):
                flat = keep_bits(flat, bits)
            arrays.append(pa.ListArray.from_arrays(offsets, arrow(flat)))
        else:
            arrays.append(arrow(values[c.name], c.type))
    return pa.Table.from_arrays(arrays, schema=pa.schema(entries))


def keep_bits(values: NDArray[np.float32], bits: int | None) -> NDArray[np.float32]:
    """Return `values` rounded to `bits` bits of mantissa, to nearest, ties to even.

    The relative error is at most ``2^-(bits + 1)``. Rounded values compress better.

    `values` are finite; `bits` is from 1 to 23, and None or 23 returns the values unchanged.

    Examples
    --------
    >>> keep_bits(np.array([1.0, 3.14159, -0.3], dtype=np.float32), 3).tolist()
    [1.0, 3.25, -0.3125]
    """
    if bits is None or bits >= MANTISSA_BITS:
        return values
    drop = np.uint32(MANTISSA_BITS - bits)
    pattern = values.view(np.uint32)
    odd = (pattern >> drop) & np.uint32(1)
    half = np.uint32((1 << (int(drop) - 1)) - 1)
    rounded = (pattern + half + odd) >> drop << drop
    return rounded.view(np.float32)


def label(
    jets: pa.Table,
    labels: NDArray[np.int8],
    processes: Sequence[tuple[str, int]],
    event_number: NDArray[np.int64],
) -> pa.Table:
    """Return the jets, made by `tabulate` and in the order of the file, with all of `COLUMNS`.

    `labels` has the index of the process of each jet in `processes`, which are pairs of a name and
    the value of ``is_top``.
    """
    names = pa.concat_arrays([pa.repeat(name, 1) for name, _ in processes])
    tops = np.array([is_top for _, is_top in processes], dtype=np.int8)
    added = {
        "is_top": arrow(tops[labels]),
        "process": pa.DictionaryArray.from_arrays(arrow(labels), names),
        "event_number": arrow(event_number),
        "weight": arrow(np.ones(len(jets), dtype=np.float32)),
    }
    arrays = [added[c.name] if c.name in added else jets[c.name] for c in COLUMNS]
    return pa.Table.from_arrays(arrays, schema=schema())


def arrow(values: NDArray[Any], kind: pa.DataType | None = None) -> pa.Array:
    """Return numbers as an Arrow array, without ``pa.array``, which imports pandas if installed."""
    if kind is not None:
        values = values.astype(kind.to_pandas_dtype())
    data = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, data])
