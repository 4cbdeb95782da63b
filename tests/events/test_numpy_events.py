"""Arrays of NumPy: their fields or columns, archives, and what is no table."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from steepest.errors import EventsError
from steepest.events import load_sample, open_events
from steepest.recipe import EventsRecipe

ROW = np.arange(1000)


def table(path: str, batch_rows: int = 300) -> dict[str, list]:
    source = open_events(path)
    found: dict[str, list] = {name: [] for name in source.schema.names}
    for block in source.batches(source.schema.names, batch_rows=batch_rows):
        for name, values in block.batch.to_pydict().items():
            found[name] += values
    return found


@pytest.fixture
def saved(tmp_path):
    def save(array, name: str = "jets.npy") -> str:
        np.save(tmp_path / name, array)
        return str(tmp_path / name)

    return save


@pytest.fixture
def archive(tmp_path):
    def save(**arrays) -> str:
        np.savez_compressed(tmp_path / "jets.npz", **arrays)
        return str(tmp_path / "jets.npz")

    return save


def test_a_structured_array_has_its_fields(saved) -> None:
    fields = [("pt", ">f4"), ("name", "U3"), ("tag", "S3"), ("p4", "f8", (2,)), ("ok", "?")]
    rows = np.zeros(5, fields)
    rows["pt"], rows["name"], rows["tag"] = [1.5, 2, 3, 4, 5], "tää", b"top"
    rows["p4"], rows["ok"] = np.arange(10).reshape(5, 2), [True, False, True, True, False]
    assert table(saved(rows), batch_rows=2) == {
        "pt": [1.5, 2.0, 3.0, 4.0, 5.0], "name": ["tää"] * 5, "tag": ["top"] * 5,
        "p4": rows["p4"].tolist(), "ok": rows["ok"].tolist(),
    }  # fmt: skip


@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_of_a_plain_array_are_counted(order, saved) -> None:
    matrix = np.asarray(np.random.default_rng(0).normal(size=(1000, 3)), order=order)
    found = table(saved(matrix))
    assert found == {f"c{i}": matrix[:, i].tolist() for i in range(3)}
    assert table(saved(ROW)) == {"c0": ROW.tolist()}
    cube = np.arange(24.0).reshape(2, 3, 4)
    assert table(saved(cube)) == {f"c{i}": cube[:, i].tolist() for i in range(3)}


def test_the_arrays_of_an_archive(archive, refused) -> None:
    matrix = ROW[:, None] + np.arange(2)
    path = archive(x=matrix, y=ROW % 2, run=np.float64(3))
    assert table(path) == {
        "x": matrix.tolist(), "x_0": ROW.tolist(), "x_1": (ROW + 1).tolist(),
        "y": (ROW % 2).tolist(),
    }  # fmt: skip
    assert open_events(path).repeated == {"x_0", "x_1"}
    sample = load_sample(EventsRecipe(path=path, label="y", select="x_0 > 500"))
    assert sample.names == ("x_0", "x_1")
    path = archive(pt=ROW, y=ROW[:10], eta=ROW)
    message = """
The arrays of DIR/jets.npz have different lengths.
  expected: a row for each event in each of them
  found:    1000 rows in pt, eta; 10 rows in y
  do:       name one of them: DIR/jets.npz:pt
"""
    refused(EventsError, message, open_events, path)
    assert table(f"{path}:y") == {"y": list(range(10))}
    with pytest.raises(EventsError, match="There is no array 'phi'"):
        open_events(f"{path}:phi")


def test_python_objects_are_never_loaded(saved, tmp_path, refused) -> None:
    class Code:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    rows = np.zeros(2, [("pt", "f8"), ("code", "O")])
    rows["code"] = [Code(), Code()]
    path = saved(rows)
    message = """
The column 'code' of DIR/jets.npy cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    Python objects, which are pickled
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, lambda: list(open_events(path).batches(["code"])))
    assert not (tmp_path / "ran").exists()


def test_no_array(tmp_path, archive, saved, refused) -> None:
    with pytest.raises(EventsError, match="There are no columns in"):
        open_events(saved(np.float64(3)))
    with pytest.raises(EventsError, match="There are no columns in"):
        open_events(archive())
    message = """
There are no columns in DIR/jets.npz.
  expected: an array with a row for each event
  found:    single values: run
"""
    refused(EventsError, message, open_events, archive(run=np.float64(3)))


def test_a_file_that_is_cut(saved) -> None:
    path = saved(ROW)
    Path(path).write_bytes(Path(path).read_bytes()[:4000])
    with pytest.raises(EventsError, match="cannot be read") as caught:
        open_events(path)
    assert caught.value.details["found"] == "4000 bytes, where the header needs 8128"


def test_removed_while_in_use(saved) -> None:
    path = saved(ROW)
    source = open_events(path)
    Path(path).unlink()
    with pytest.raises(EventsError, match="can no longer be opened"):
        list(source.batches(["c0"]))
