"""The columns of a file of jets: names, types, units and meaning, and the code that fills them.

The schema and the writer use the table `COLUMNS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steepest.simulate.jets.jets import Jets
from steepest.simulate.jets.particles import Constituents
from steepest.simulate.jets.substructure import Substructure, measure_all

__all__ = [
    "COLUMNS",
    "MANTISSA_BITS",
    "Column",
    "JetRows",
    "concatenate",
    "jet_rows",
    "keep_bits",
    "schema",
    "to_table",
]

MANTISSA_BITS = 23
"""Bits of the mantissa of a float32, without the implicit leading bit."""

_KINEMATICS = ("pt", "eta", "phi", "mass", "energy")
_MOMENTA = ("px", "py", "pz", "energy")

PROCESS_TYPE = pa.dictionary(pa.int8(), pa.string())


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
    _part(
        "class",
        "",
        "0 charged hadron, 1 neutral hadron, 2 photon, 3 electron, 4 muon",
        pa.int8(),
    ),
    _part("d0", "mm", "transverse impact parameter, 0 if neutral"),
    _part("dz", "mm", "longitudinal impact parameter, 0 if neutral"),
    Column("is_top", pa.int8(), "", "1 for a top quark's jet, 0 for any other"),
    Column("process", PROCESS_TYPE, "", "name of the simulated process"),
    Column("event_number", pa.int64(), "", "seed * 10^9 + row"),
    _jet("weight", "", "event weight"),
)
"""All columns, in the order of the file."""


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


@dataclass(frozen=True, slots=True)
class JetRows:
    """Selected jets before they become rows, with one list entry per jet.

    Parameters
    ----------
    jets
        ``pt, eta, phi, mass, energy`` and the substructure of each jet, by column name.
    counts
        Number of constituents of each jet, all of them.
    parts
        Leading constituents of each jet, by column name.
    """

    jets: list[dict[str, float]]
    counts: list[int]
    parts: list[dict[str, NDArray[Any]]]

    def __len__(self) -> int:
        return len(self.jets)

    def reordered(self, order: Sequence[int]) -> JetRows:
        """Return the jets at these indices, in this order."""
        return JetRows(
            [self.jets[place] for place in order],
            [self.counts[place] for place in order],
            [self.parts[place] for place in order],
        )


def concatenate(pieces: Sequence[JetRows]) -> JetRows:
    """Return the jets of all `pieces` as one."""
    return JetRows(
        [jet for piece in pieces for jet in piece.jets],
        [count for piece in pieces for count in piece.counts],
        [part for piece in pieces for part in piece.parts],
    )


def jet_rows(
    jets: Jets, selected: NDArray[np.bool_], constituents: Constituents, leading: int | None
) -> JetRows:
    """Compute the columns of the selected jets.

    The substructure uses all constituents; the lists have only the `leading` ones.
    """
    places = np.flatnonzero(selected)
    if len(places) == 0:
        return JetRows([], [], [])
    kinematics = [getattr(jets, name)[places].tolist() for name in _KINEMATICS]
    owned = [_by_pt(constituents.take(jets.members[place])) for place in places.tolist()]
    counts = [len(own) for own in owned]
    px, py, pz, energy = (
        np.concatenate([getattr(own, name) for own in owned]) for name in _MOMENTA
    )
    shapes = measure_all((px, py, pz, energy), np.array(counts))
    return JetRows(
        [
            dict(zip(_KINEMATICS, values, strict=True)) | _named(shape)
            for *values, shape in zip(*kinematics, shapes, strict=True)
        ],
        counts,
        [_part_columns(own, leading) for own in owned],
    )


def _by_pt(own: Constituents) -> Constituents:
    return own.take(np.argsort(-own.pt, kind="stable"))


def _named(shape: Substructure) -> dict[str, float]:
    named = {f.name: getattr(shape, f.name) for f in fields(shape) if f.name != "tau"}
    return named | {f"tau{n}": value for n, value in enumerate(shape.tau, start=1)}


def _part_columns(own: Constituents, leading: int | None) -> dict[str, NDArray[Any]]:
    columns = {
        "part_pt": own.pt,
        "part_eta": own.eta,
        "part_phi": own.phi,
        "part_energy": own.energy,
        "part_charge": own.charge,
        "part_class": own.kind,
        "part_d0": own.d0,
        "part_dz": own.dz,
    }
    return {name: values[:leading] for name, values in columns.items()}


def keep_bits(values: NDArray[np.float32], bits: int | None) -> NDArray[np.float32]:
    """Return `values` rounded to `bits` bits of mantissa, to nearest, ties to even.

    The relative error is at most ``2^-(bits + 1)``. Rounded values compress better.

    Parameters
    ----------
    values
        Finite numbers, float32, any shape.
    bits
        From 1 to 23; None or 23 returns the values unchanged.

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


def to_table(
    rows: JetRows,
    labels: NDArray[np.int8],
    processes: Sequence[tuple[str, int]],
    event_number: NDArray[np.int64],
    bits: int | None,
) -> pa.Table:
    """Return the jets as a table with all columns of `COLUMNS`.

    Parameters
    ----------
    rows
        The jets, in the order of the file.
    labels
        Index of the process of each jet in `processes`, int8.
    processes
        Name and ``is_top`` of each process.
    event_number
        One per jet, int64.
    bits
        Bits of mantissa kept in the constituents' float columns; None for all.
    """
    names, tops = zip(*processes, strict=True)
    special: dict[str, pa.Array] = {
        "n_constituents": _array(np.array(rows.counts, dtype=np.int32)),
        "is_top": _array(np.array(tops, dtype=np.int8)[labels]),
        "process": pa.DictionaryArray.from_arrays(_array(labels), _texts(names)),
        "event_number": _array(event_number),
        "weight": _array(np.ones(len(rows), dtype=np.float32)),
    }
    arrays = [
        special[c.name]
        if c.name in special
        else _lists(rows, c, bits)
        if pa.types.is_list(c.type)
        else _array(np.array([jet[c.name] for jet in rows.jets], dtype=np.float32))
        for c in COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=schema())


def _lists(rows: JetRows, column: Column, bits: int | None) -> pa.Array:
    own = [part[column.name] for part in rows.parts]
    offsets = np.cumsum([0, *map(len, own)], dtype=np.int32)
    kind = column.type.value_type
    flat = np.concatenate(own) if own else np.zeros(0)
    flat = flat.astype(kind.to_pandas_dtype())
    if pa.types.is_floating(kind):
        flat = keep_bits(flat, bits)
    return pa.ListArray.from_arrays(_array(offsets), _array(flat))


def _array(values: NDArray[Any]) -> pa.Array:
    """Return numbers as an Arrow array, without ``pa.array``, which imports pandas if installed."""
    data = pa.py_buffer(np.ascontiguousarray(values))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, data])


def _texts(values: Sequence[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    data = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), data)
