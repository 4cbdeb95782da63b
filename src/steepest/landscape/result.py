"""The result of a landscape: arrays, numbers, figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate.figures import as_numbers
from steepest.folder import LandscapeFolder
from steepest.landscape import files
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

__all__ = ["Landscape"]


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
        table = files.surface_table(surface)
        folder.write("surface.parquet", lambda file: files.write_parquet(table, file))
        folder.write("surface.vti", lambda file: files.write_vti(surface, file))
        if path is not None:
            points = files.path_table(path)
            folder.write("path.parquet", lambda file: files.write_parquet(points, file))
            folder.write("path.vtp", lambda file: files.write_vtp(path, file))
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
