"""A landscape for other programs: Parquet tables, and VTK files that ParaView reads.

``surface.vti`` is a uniform grid (ImageData) with ``loss`` and ``standard_error`` at its points. In
ParaView, *Warp By Scalar* turns it into a relief. ``path.vtp`` is the path as a line (PolyData).
Both store their arrays as raw bytes after the XML (little-endian float64, each preceded by its
length as UInt64), which preserves NaN where J is not finite.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steepest.landscape.path_projection import ProjectedPath
from steepest.landscape.surface import Surface

__all__ = ["path_table", "surface_table", "write_parquet", "write_vti", "write_vtp"]

Array = np.ndarray

FORMAT = {b"steepest": b'{"format": "steepest-landscape", "version": 1}'}


def surface_table(surface: Surface) -> pa.Table:
    """Return a row for each grid point: ``x``, ``y`` (of a plane), ``loss``, ``standard_error``."""
    values = {"loss": surface.losses.ravel(), "standard_error": surface.standard_errors.ravel()}
    return pa.table({**_places(surface.grid.points()), **values})


def path_table(path: ProjectedPath) -> pa.Table:
    """Return a row for each path point: step, coordinates, true loss, surface loss, distance."""
    values = {"loss": path.losses, "surface_loss": path.surface_losses,
              "distance": path.distances, "displacement": path.displacements}  # fmt: skip
    return pa.table({"step": path.steps, **_places(path.coordinates), **values})


def _places(coordinates: Array) -> dict[str, Array]:
    """Columns ``x`` and, in a plane, ``y``."""
    return dict(zip("xy", np.ascontiguousarray(coordinates.T), strict=False))


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table, with the name and version of the format."""
    pq.write_table(table.replace_schema_metadata(FORMAT), path)


def write_vti(surface: Surface, path: Path) -> None:
    """Write a surface as VTK ImageData; a line is a grid of one row."""
    missing = 3 - len(surface.grid.axes)
    axes = [axis.tolist() for axis in surface.grid.axes]
    origin = " ".join(repr(value) for value in [axis[0] for axis in axes] + [0.0] * missing)
    steps = [axis[1] - axis[0] for axis in axes] + [1.0] * missing
    extent = " ".join([f"0 {len(axis) - 1}" for axis in axes] + ["0 0"] * missing)
    scalars = {  # in VTK the first coordinate varies fastest
        "loss": surface.losses.T.ravel(),
        "standard_error": surface.standard_errors.T.ravel(),
    }
    head, data = _arrays(scalars)
    body = (
        f'<ImageData WholeExtent="{extent}" Origin="{origin}" '
        f'Spacing="{" ".join(map(repr, steps))}">\n<Piece Extent="{extent}">\n'
        f'<PointData Scalars="loss">\n{head}</PointData>\n<CellData/>\n</Piece>\n</ImageData>\n'
    )
    _write(path, "ImageData", body, data)


def write_vtp(path_points: ProjectedPath, path: Path) -> None:
    """Write a path as VTK PolyData, in the plane z = 0 (*Warp By Scalar* lifts it too)."""
    count = len(path_points.steps)
    places = np.zeros((count, 3))
    places[:, : path_points.coordinates.shape[1]] = path_points.coordinates
    scalars = {
        "loss": path_points.losses,
        "surface_loss": path_points.surface_losses,
        "distance": path_points.distances,
        "step": path_points.steps.astype(np.float64),
    }
    head, data = _arrays(scalars)
    points_head, points = _arrays({"points": places}, len(data))
    line = {"connectivity": np.arange(count), "offsets": np.array([count])}
    lines_head, lines = _arrays(line, len(data) + len(points))
    body = (
        f'<PolyData>\n<Piece NumberOfPoints="{count}" NumberOfLines="1">\n'
        f'<PointData Scalars="loss">\n{head}</PointData>\n<Points>\n{points_head}</Points>\n'
        f"<Lines>\n{lines_head}</Lines>\n</Piece>\n</PolyData>\n"
    )
    _write(path, "PolyData", body, data + points + lines)


def _arrays(arrays: dict[str, Array], start: int = 0) -> tuple[str, bytes]:
    """Return the XML elements that describe the arrays, and their bytes, which begin at `start`."""
    head, data = "", b""
    for name, values in arrays.items():
        kind = "Int64" if values.dtype == np.int64 else "Float64"
        width = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
        head += (
            f'<DataArray type="{kind}" Name="{name}"{width} format="appended" '
            f'offset="{start + len(data)}"/>\n'
        )
        raw = np.ascontiguousarray(values, dtype="<i8" if kind == "Int64" else "<f8").tobytes()
        data += np.array(len(raw), dtype="<u8").tobytes() + raw
    return head, data


def _write(path: Path, kind: str, body: str, data: bytes) -> None:
    head = (
        f'<?xml version="1.0"?>\n<VTKFile type="{kind}" version="1.0" byte_order="LittleEndian" '
        f'header_type="UInt64">\n{body}<AppendedData encoding="raw">\n_'
    )
    path.write_bytes(head.encode() + data + b"\n</AppendedData>\n</VTKFile>\n")
