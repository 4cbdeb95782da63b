"""The result of a landscape: arrays, numbers, figures, and files for other programs.

``surface.vti`` is a uniform grid (ImageData) with ``loss`` and ``standard_error`` at its points. In
ParaView, *Warp By Scalar* turns it into a relief. ``path.vtp`` is the path as a line (PolyData).
Both store their arrays as raw bytes after the XML (little-endian float64, each preceded by its
length as UInt64), which preserves NaN where J is not finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steepest.evaluate.figures import as_numbers
from steepest.folder import LandscapeFolder
from steepest.landscape.directions import Directions
from steepest.landscape.figures import (
    Picture,
    contour_figure,
    path_figure,
    profile_figure,
    relief_figure,
)
from steepest.landscape.path_projection import ProjectedPath
from steepest.landscape.summary import sentences
from steepest.landscape.surface import Surface

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray

FORMAT = {b"steepest": b'{"format": "steepest-landscape", "version": 1}'}


@dataclass(frozen=True, eq=False)
class Landscape:
    """A loss surface with the path of the training.

    Attributes
    ----------
    directions
        The slice: `directions.origin`, `.vectors`, `.coordinates_of`, `.theta_at`.
    surface
        `surface.losses` and `.standard_errors` on `surface.grid.axes`.
    path
        The path with its true losses and those of the surface; None if none was recorded.
    numbers : dict
        The content of landscape.json.
    kept_step : int or None
        The step whose parameters are the trained model.
    """

    folder: LandscapeFolder
    directions: Directions
    surface: Surface
    path: ProjectedPath | None
    numbers: dict[str, Any]
    kept_step: int | None = None

    @property
    def where(self) -> Path:
        """The folder of the files."""
        return self.folder.path

    @property
    def axes(self) -> tuple[np.ndarray, ...]:
        """The coordinates along each axis."""
        return self.surface.grid.axes

    @property
    def losses(self) -> np.ndarray:
        """J on the grid; the first index is along the first axis."""
        return self.surface.losses

    @property
    def picture(self) -> Picture:
        """The numbers of the figures."""
        loss, part = self.numbers["loss"], self.numbers["part"]
        return Picture.of(self.directions, self.surface, self.path, loss, part, self.kept_step)

    def sentences(self) -> list[tuple[str, str]]:
        """The results in words: pairs of a subject and a sentence."""
        return list(sentences(self.numbers))

    def figures(self) -> Iterator[tuple[str, Figure]]:
        """Yield name and figure of each picture of the landscape."""
        if self.directions.dimensions == 2:
            yield "contour", self.contour()
            yield "relief", self.relief()
        else:
            yield "profile", self.profile()
        if self.path is not None:
            yield "path", self.path_projection()

    def contour(self) -> Figure:
        """Contours of the plane, with the path."""
        return contour_figure(self.picture)

    def relief(self) -> Figure:
        """The plane as a relief, with the path at its true losses."""
        return relief_figure(self.picture)

    def profile(self) -> Figure:
        """J along the line."""
        return profile_figure(self.picture)

    def path_projection(self) -> Figure:
        """The true losses and those of the surface, and the distance of the path from the slice."""
        return path_figure(self.picture)

    def write_numbers(self) -> None:
        """Write landscape.json, directions, tables and VTK files."""
        folder, dimensions = self.folder, self.directions.dimensions
        folder.write_arrays("directions.safetensors", self.directions.to_arrays())
        surface, path = self.surface, self.path
        table = surface_table(surface)
        folder.write("surface.parquet", lambda file: write_parquet(table, file))
        folder.write("surface.vti", lambda file: write_vti(surface, file))
        if path is not None:
            points = path_table(path)
            folder.write("path.parquet", lambda file: write_parquet(points, file))
            folder.write("path.vtp", lambda file: write_vtp(path, file))
        other = ("profile",) if dimensions == 2 else ("contour", "relief", "descent")
        kinds = ("png", "pdf", "gif", "mp4")
        folder.remove(tuple(f"{name}.{kind}" for name in other for kind in kinds))
        folder.write_json("landscape.json", as_numbers(self.numbers))

    def write_figures(self) -> list[Path]:
        """Write each figure as PNG and PDF; return the paths of the PNGs."""
        from steepest.evaluate.figures import save

        written = []
        for name, figure in self.figures():
            for kind in ("png", "pdf"):
                self.folder.write(f"{name}.{kind}", lambda file, f=figure: save(f, file))
            written.append(self.where / f"{name}.png")
        return written

    def write_page(self) -> Path:
        """Write the interactive page; MissingExtraError if Plotly is not installed."""
        from steepest.landscape.figures.page import page

        text = page(self.picture, f"Loss landscape of {self.numbers['run']}")
        self.folder.write("landscape.html", lambda file: file.write_text(text, encoding="utf-8"))
        return self.where / "landscape.html"

    def write_animation(self) -> list[Path]:
        """Write the descent as GIF and, if FFmpeg is installed, as MP4; InputError without path."""
        from steepest.landscape.figures import animation

        picture = self.picture
        self.folder.write("descent.gif", lambda file: animation.write_gif(picture, file))
        written = [self.where / "descent.gif"]
        if animation.has_ffmpeg():
            self.folder.write("descent.mp4", lambda file: animation.write_mp4(picture, file))
            written.append(self.where / "descent.mp4")
        return written


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
