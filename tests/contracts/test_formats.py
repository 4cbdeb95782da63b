"""A table: every registered format of events × every property of a format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from steepest.errors import EventsError
from steepest.events import open_events
from steepest.events.formats.registry import FORMATS

NAMES = [format.NAME for format in FORMATS]
ROWS = 300


def write_root(table: pa.Table, path: Path) -> str:
    uproot = pytest.importorskip("uproot")
    with uproot.recreate(path) as file:
        file.mktree("events", {name: table[name].to_numpy() for name in table.column_names})
    return f"{path}:events"


def write_hdf5(table: pa.Table, path: Path) -> str:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name in table.column_names:
            file.create_dataset(f"events/{name}", data=table[name].to_numpy())
    return f"{path}:events"


def write_parquet(table: pa.Table, path: Path) -> str:
    pyarrow.parquet.write_table(table, path, row_group_size=100)
    return str(path)


def write_numpy(table: pa.Table, path: Path) -> str:
    rows = np.zeros(table.num_rows, [(n, table[n].to_numpy().dtype) for n in table.column_names])
    for name in table.column_names:
        rows[name] = table[name].to_numpy()
    np.save(path, rows)
    return str(path)


def write_csv(table: pa.Table, path: Path) -> str:
    pyarrow.csv.write_csv(table, path)
    return str(path)


WRITERS = {
    "Parquet": write_parquet,
    "ROOT": write_root,
    "HDF5": write_hdf5,
    "NumPy": write_numpy,
    "CSV": write_csv,
}


@pytest.fixture
def table() -> pa.Table:
    random = np.random.default_rng(0)
    return pa.table(
        {
            "pt": random.exponential(50.0, ROWS),
            "eta": random.normal(size=ROWS),
            "label": random.integers(0, 2, ROWS),
        }
    )


def written(name: str, table: pa.Table, folder: Path) -> str:
    format = FORMATS[NAMES.index(name)]
    return WRITERS[name](table, folder / f"events{format.SUFFIXES[0]}")


def test_every_format_is_written_here():
    assert set(NAMES) == set(WRITERS)


@pytest.mark.parametrize("name", NAMES)
def test_all_rows_come_back_in_their_order(name, table, tmp_path):
    source = open_events(written(name, table, tmp_path))
    assert source.rows == ROWS
    blocks = list(source.batches(["eta", "label"], batch_rows=70))
    for column in ("eta", "label"):
        values = np.concatenate([block.batch[column].to_numpy() for block in blocks])
        np.testing.assert_array_equal(values, table[column].to_numpy())
    firsts = np.cumsum([0, *(len(block.batch) for block in blocks)])[:-1]
    assert [block.first_row for block in blocks] == firsts.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_only_the_columns_that_are_asked_for(name, table, tmp_path):
    source = open_events(written(name, table, tmp_path))
    assert set(source.schema.names) >= set(table.column_names)
    assert next(source.batches(["pt"])).batch.schema.names == ["pt"]


@pytest.mark.parametrize("name", NAMES)
def test_reading_from_the_middle(name, table, tmp_path):
    source = open_events(written(name, table, tmp_path))
    rest = [block.batch["pt"].to_numpy() for block in source.batches(["pt"], start=123)]
    np.testing.assert_array_equal(np.concatenate(rest), table["pt"].to_numpy()[123:])


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_knows_the_events(name, table, tmp_path):
    path = written(name, table, tmp_path)
    before = open_events(path).fingerprint()
    assert open_events(path).fingerprint() == before
    changed = table.set_column(0, "pt", pa.array(table["pt"].to_numpy() + 1.0))
    assert open_events(written(name, changed, tmp_path)).fingerprint() != before


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_file_is_an_error(name, tmp_path):
    path = tmp_path / f"empty{FORMATS[NAMES.index(name)].SUFFIXES[0]}"
    path.touch()
    with pytest.raises(EventsError, match="empty"):
        open_events(str(path))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "CSV"])
def test_a_file_that_is_cut_is_an_error(name, table, tmp_path):
    path = Path(written(name, table, tmp_path).rsplit(":", 1)[0])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    part = ":events" if name in ("ROOT", "HDF5") else ""
    with pytest.raises(EventsError):
        for _ in open_events(f"{path}{part}").batches(["pt", "eta", "label"]):
            pass
