"""Files for other programs: read back by other means than they were written by."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pq

from objectives import WithACliff, some_events
from steepest.landscape import result as files
from steepest.landscape.directions import Directions, grid_of
from steepest.landscape.input import PathPoints
from steepest.landscape.path_projection import projected_path
from steepest.landscape.surface import evaluate

SLICE = Directions.spanned("random", np.zeros(3), np.eye(3)[:2], ("x", "y"))
GRID = grid_of(SLICE, (-2, 2, -1, 1), 5)
SURFACE, _ = evaluate(WithACliff(), SLICE, GRID, some_events(), 4000)
POINTS = PathPoints(np.array([0, 3]), np.eye(3)[:2])
PATH = projected_path(WithACliff(), SLICE, POINTS, some_events())


def parsed(file: Path) -> tuple[ElementTree.Element, dict[str, np.ndarray]]:
    """The XML of a VTK file without its appended data, and the arrays by name."""
    raw = file.read_bytes()
    head, _, rest = raw.partition(b'<AppendedData encoding="raw">\n_')
    root = ElementTree.fromstring(head + b"</VTKFile>")
    assert root.attrib["byte_order"] == "LittleEndian"
    assert root.attrib["header_type"] == "UInt64"
    assert rest.endswith(b"\n</AppendedData>\n</VTKFile>\n")
    arrays = {}
    for element in root.iter("DataArray"):
        start = int(element.attrib["offset"])
        length = int(np.frombuffer(rest[start : start + 8], "<u8")[0])
        kind = {"Float64": "<f8", "Int64": "<i8"}[element.attrib["type"]]
        values = np.frombuffer(rest[start + 8 : start + 8 + length], kind)
        width = int(element.attrib.get("NumberOfComponents", "1"))
        arrays[element.attrib["Name"]] = values.reshape(-1, width) if width > 1 else values
    return root, arrays


def test_the_surface_as_vtk(tmp_path: Path):
    files.write_vti(SURFACE, tmp_path / "surface.vti")
    root, arrays = parsed(tmp_path / "surface.vti")
    image = root.find("ImageData")
    assert image is not None
    assert image.attrib["WholeExtent"] == "0 4 0 4 0 0"
    assert [float(v) for v in image.attrib["Origin"].split()] == [-2, -1, 0]
    assert [float(v) for v in image.attrib["Spacing"].split()] == [1, 0.5, 1]
    losses = arrays["loss"].reshape(5, 5)  # y, x
    np.testing.assert_array_equal(losses.T, SURFACE.losses)
    assert np.isinf(losses[:, 4]).all()
    np.testing.assert_array_equal(arrays["standard_error"].reshape(5, 5).T, SURFACE.standard_errors)


def test_the_path_as_vtk(tmp_path: Path):
    files.write_vtp(PATH, tmp_path / "path.vtp")
    root, arrays = parsed(tmp_path / "path.vtp")
    assert root.attrib["type"] == "PolyData"
    np.testing.assert_array_equal(arrays["points"], [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(arrays["connectivity"], [0, 1])
    np.testing.assert_array_equal(arrays["offsets"], [2])
    np.testing.assert_array_equal(arrays["step"], [0, 3])
    np.testing.assert_array_equal(arrays["loss"], PATH.losses)


def test_a_line_as_vtk(tmp_path: Path):
    line = Directions.spanned("random", np.zeros(3), np.eye(3)[:1], ("x",))
    grid = grid_of(line, (-1, 1), 3)
    surface, _ = evaluate(WithACliff(), line, grid, some_events(), 2000)
    files.write_vti(surface, tmp_path / "line.vti")
    root, arrays = parsed(tmp_path / "line.vti")
    image = root.find("ImageData")
    assert image is not None
    assert image.attrib["WholeExtent"] == "0 2 0 0 0 0"
    np.testing.assert_allclose(arrays["loss"], [0, 1, 0], atol=1e-12)


def test_tables(tmp_path: Path):
    files.write_parquet(files.surface_table(SURFACE), tmp_path / "surface.parquet")
    table = pq.read_table(tmp_path / "surface.parquet")
    assert table.column_names == ["x", "y", "loss", "standard_error"]
    assert re.search(b'"steepest-landscape"', table.schema.metadata[b"steepest"])
    x, y, loss = (table[name].to_numpy() for name in ("x", "y", "loss"))
    np.testing.assert_allclose(loss[x < 1.5], ((x**2 - 1) ** 2 + y**2 / 2)[x < 1.5])
    assert files.path_table(PATH).column_names == [
        "step", "x", "y", "loss", "surface_loss", "distance", "displacement",
    ]  # fmt: skip
