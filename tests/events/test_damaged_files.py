"""Damaged files: an EventsError or nothing at all; no crash, no hang, no error of a library.

Bytes are flipped, overwritten, erased and cut out at random places, with fixed seeds.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from steepest.errors import EventsError
from steepest.events import load_sample, open_events
from steepest.events.formats import first_look
from steepest.recipe import EventsRecipe

ROWS = 300
LISTS = [[float(row)] * (row % 4) for row in range(ROWS)]
TEXT = [f"t{row % 3}" for row in range(ROWS)]


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "pt": random.exponential(50, ROWS),
        "eta": random.normal(size=ROWS).astype("f4"),
        "n": random.integers(0, 9, ROWS),
        "y": random.integers(0, 2, ROWS),
    }


def write_hdf5(path: Path, libver: str, **options) -> None:
    h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")
    with h5py.File(path, "w", libver=libver) as file:
        for name, values in columns().items():
            file.create_dataset(name, data=values, **options)
        file["pt"].attrs["unit"], file["text"] = "GeV", TEXT
        lists = file.create_dataset("list", (ROWS,), dtype=h5py.vlen_dtype(np.float32))
        for row, values in enumerate(LISTS):
            lists[row] = values


def write_root(path: Path, ntuple: bool) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
    ak = pytest.importorskip("awkward", reason="needs the extra [root]")
    values = {**columns(), "list": ak.Array(LISTS), "text": ak.Array(TEXT)}
    with uproot.recreate(path) as file:
        if ntuple:
            file.mkrntuple("events", values)
            return
        types = {name: column.dtype for name, column in columns().items()}
        tree = file.mktree("events", {**types, "list": "var * float64", "text": "string"})
        for start in range(0, ROWS, 100):
            tree.extend({name: column[start : start + 100] for name, column in values.items()})


def write_parquet(path: Path, compression: str) -> None:
    values = pa.table({**columns(), "list": LISTS, "text": TEXT})
    pyarrow.parquet.write_table(values, path, row_group_size=100, compression=compression)


def write_numpy(path: Path) -> None:
    if path.suffix == ".npz":
        np.savez_compressed(path, **columns())  # pyright: ignore[reportArgumentType]
        return
    rows = np.zeros(ROWS, [(name, values.dtype) for name, values in columns().items()])
    for name, values in columns().items():
        rows[name] = values
    np.save(path, rows)


CASES = {
    "hdf5": ("jets.h5", lambda path: write_hdf5(path, "earliest")),
    "hdf5, chunks": (
        "jets.h5", lambda path: write_hdf5(path, "latest", chunks=(50,), compression="gzip")
    ),
    "ttree": ("jets.root", lambda path: write_root(path, ntuple=False)),
    "rntuple": ("jets.root", lambda path: write_root(path, ntuple=True)),
    "parquet": ("jets.parquet", lambda path: write_parquet(path, "none")),
    "parquet, zstd": ("jets.parquet", lambda path: write_parquet(path, "zstd")),
    "npy": ("jets.npy", write_numpy),
    "npz": ("jets.npz", write_numpy),
}  # fmt: skip


def mutated(content: bytes, seed: int) -> bytes:
    random = np.random.default_rng(seed)
    changed = bytearray(content)
    place, count = int(random.integers(len(content) - 8)), int(random.integers(1, 200))
    if seed % 5 == 0:
        for each in random.integers(len(content), size=int(random.integers(1, 6))):
            changed[each] ^= 1 << int(random.integers(8))
    elif seed % 5 == 1:
        changed[place : place + count] = random.bytes(len(changed[place : place + count]))
    elif seed % 5 == 2:
        width = int(random.choice([1, 2, 4, 8]))
        changed[place : place + width] = b"\xff" * width
    elif seed % 5 == 3:
        del changed[place : place + count]
    else:
        changed[place : place + count] = bytes(len(changed[place : place + count]))
    return bytes(changed)


def read(path: Path) -> None:
    """Read each column alone, then a sample, with expressions of lists."""
    source = open_events(str(path))
    for name in source.schema.names:
        for block in source.batches([name], batch_rows=64):
            block.batch.to_pydict()
    features: list = ["pt", "n"]
    if "list" in source.schema.names:
        features += [{"name": "sum", "value": "sum(list[list > 1])", "fill": "median"}]
    select = "pt > 20" if path.suffix == ".parquet" else None  # which asks for the statistics
    load_sample(EventsRecipe(path=str(path), label="y", features=features, select=select))


def check(case: str, seeds: range, folder: Path) -> None:
    name, write = CASES[case]
    whole, path = folder / f"whole-{name}", folder / name
    write(whole)
    content, harmless = whole.read_bytes(), 0
    for seed in seeds:
        path.write_bytes(mutated(content, seed))
        try:
            read(path)
            harmless += 1
        except EventsError:
            continue
        except BaseException as error:
            raise AssertionError(f"seed {seed} of {case}") from error
    assert harmless < len(seeds), "most damage is noticed"


@pytest.mark.parametrize("case", CASES)
def test_damage_is_an_error_of_ours_or_harmless(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(first_look, "LIMIT", 0.5)
    check(case, range(20), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_a_thousand_damaged_files(case, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(first_look, "LIMIT", 2.0)
    check(case, range(1000), tmp_path)


@pytest.mark.parametrize(("seed", "column"), [(451, "list"), (667, "text"), (6, "text")])
def test_lists_longer_than_their_file_are_not_given_memory(
    seed: int, column: str, tmp_path: Path, refused
) -> None:
    """Each claims gigabytes in a file of some 40 kB, of which HDF5 asked for 2 to 14."""
    path = tmp_path / "jets.h5"
    write_hdf5(path, "earliest")
    path.write_bytes(mutated(path.read_bytes(), seed))
    message = f"""
The structure of DIR/jets.h5 cannot be read.
  expected: an HDF5 file
  found:    /{column} has a list or text that claims to be longer than the file
  cause:    the file was damaged while it was copied or stored
  do:       copy it again, and compare its checksum with the original's
"""
    refused(EventsError, message, open_events, str(path))


def test_a_process_that_crashes_or_hangs_is_told(tmp_path, monkeypatch, refused) -> None:
    path = tmp_path / "jets.h5"
    write_hdf5(path, "earliest")
    script = tmp_path / "script.py"
    monkeypatch.setattr(first_look, "__file__", str(script))
    monkeypatch.setattr(first_look, "LIMIT", 0.2)
    ends = {"import os; os._exit(9)": "HDF5 crashed (9)",
            "import time; time.sleep(60)": "HDF5 was not done after 0.2 s"}  # fmt: skip
    for end, found in ends.items():
        first_look.stop()
        script.write_text(f"input()\nprint('ready', flush=True)\n{end}\n")
        message = f"""
The structure of DIR/jets.h5 cannot be read.
  expected: an HDF5 file
  found:    {found}
  cause:    the file was damaged while it was copied or stored
  do:       copy it again, and compare its checksum with the original's
"""
        refused(EventsError, message, open_events, str(path))
    monkeypatch.undo()
    first_look.stop()
    assert open_events(str(path)).rows == ROWS


def test_one_process_looks_at_all_files(tmp_path, monkeypatch) -> None:
    paths = [tmp_path / f"{number}.h5" for number in range(3)]
    for path in paths:
        write_hdf5(path, "earliest")
    started, popen = [], subprocess.Popen
    first_look.stop()
    monkeypatch.setattr(
        first_look.subprocess, "Popen", lambda *a, **k: started.append(1) or popen(*a, **k)
    )
    assert [first_look.look(path) for path in paths] == [None] * 3
    assert started == [1]


def test_a_trusted_file_is_looked_at_once_it_has_changed(tmp_path, monkeypatch) -> None:
    path, looked = tmp_path / "trusted.h5", []
    write_hdf5(path, "earliest")
    first_look.trust(path)
    monkeypatch.setattr(first_look, "_running", lambda: looked.append(1))
    first_look.look(path)
    assert not looked
    path.write_bytes(path.read_bytes() + b"0")
    first_look.look(path)
    assert looked
