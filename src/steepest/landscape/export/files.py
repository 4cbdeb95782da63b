"""A landscape for other programs: Parquet tables, and VTK files that ParaView reads.

``surface.vti`` is a uniform grid (ImageData) with ``loss`` and ``standard_error`` at its points. In
ParaView, *Warp By Scalar* turns it into a relief. ``path.vtp`` is the path as a line (PolyData).
Both store their arrays as raw bytes after the XML (little-endian float64, each preceded by its
length as UInt64), which preserves NaN where J is not finite.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steepest.landscape.path_projection import HonestPath
from steepest.landscape.surface import Surface

__all__ = ["path_table", "surface_table", "write_parquet", "write_vti", "write_vtp"]

Array = np.ndarray

FORMAT = {b"steepest": b'{"format": "steepest-landscape", "version": 1}'}


def surface_table(surface: Surface) -> pa.Table:
    """Return a row for each grid point: ``x``, ``y`` (of a plane), ``loss``, ``standard_error``."""
    points = surface.grid.points()
    columns = dict(zip("xy", points.T, strict=False))
    columns |= {"loss": surface.losses.ravel(), "standard_error": surface.standard_errors.ravel()}
    return pa.table({name: np.ascontiguousarray(values) for name, values in columns.items()})


def path_table(path: HonestPath) -> pa.Table:
    """Return a row for each path point: step, coordinates, true loss, surface loss, distance."""
    places = dict(zip("xy", path.coordinates.T, strict=False))
    return pa.table(
        {
            "step": path.steps,
            **{name: np.ascontiguousarray(values) for name, values in places.items()},
            "loss": path.losses,
            "surface_loss": path.surface_losses,
            "distance": path.distances,
            "displacement": path.displacements,
        }
    )


def write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table, with the name and version of the format."""
    pq.write_table(table.replace_schema_metadata(FORMAT), path)


def write_vti(surface: Surface, path: Path) -> None:
    """Write a surface as VTK ImageData; a line is a grid of one row."""
    axes = surface.grid.axes
    counts = [len(axis) for axis in axes] + [1] * (3 - len(axes))
    origin = [float(axis[0]) for axis in axes] + [0.0] * (3 - len(axes))
    spacing = [float(axis[1] - axis[0]) for axis in axes] + [1.0] * (3 - len(axes))
    extent = " ".join(f"0 {count - 1}" for count in counts)
    scalars = {  # in VTK the first coordinate varies fastest
        "loss": surface.losses.T.ravel(),
        "standard_error": surface.standard_errors.T.ravel(),
    }
    head, data = _arrays(scalars)
    _write(
        path,
        "ImageData",
        f"<ImageData WholeExtent={quoteattr(extent)} Origin={quoteattr(_numbers(origin))} "
        f"Spacing={quoteattr(_numbers(spacing))}>\n"
        f"<Piece Extent={quoteattr(extent)}>\n"
        f'<PointData Scalars="loss">\n{head}</PointData>\n<CellData/>\n</Piece>\n</ImageData>\n',
        data,
    )


def write_vtp(path_points: HonestPath, path: Path) -> None:
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
    lines_head, lines = _arrays(
        {
            "connectivity": np.arange(count, dtype=np.int64),
            "offsets": np.array([count], dtype=np.int64),
        },
        len(data) + len(points),
    )
    _write(
        path,
        "PolyData",
        f'<PolyData>\n<Piece NumberOfPoints="{count}" NumberOfLines="1">\n'
        f'<PointData Scalars="loss">\n{head}</PointData>\n<Points>\n{points_head}</Points>\n'
        f"<Lines>\n{lines_head}</Lines>\n</Piece>\n</PolyData>\n",
        data + points + lines,
    )


def _arrays(arrays: dict[str, Array], start: int = 0) -> tuple[str, bytes]:
    """Return the XML elements that describe the arrays, and their bytes, which begin at `start`."""
    head, data = "", b""
    for name, values in arrays.items():
        kind = "Int64" if values.dtype == np.int64 else "Float64"
        width = f' NumberOfComponents="{values.shape[1]}"' if values.ndim == 2 else ""
        head += (
            f'<DataArray type="{kind}" Name={quoteattr(name)}{width} format="appended" '
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


def _numbers(values: list[float]) -> str:
    return " ".join(repr(value) for value in values)
