"""Bad particles and missing machines at the command line: what was found, where, and what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import undrawn
from samples import write_jets

torch = pytest.importorskip("torch")

RECIPE = """
[events]
path = "jets.parquet"
label = "y"
{particles}
[model]
name = "deep-sets"
per_particle = [4]
per_jet = [4]
[descent]
epochs = 1
learning_rate = 0.01
{descent}
[evaluate]
baseline = false
"""
Lists = dict[str, list[np.ndarray]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jets(tmp_path / "jets.parquet", events=100)
    return tmp_path


def write(folder: Path, change: Callable[[Lists], None]) -> None:
    table = pq.read_table(folder / "jets.parquet")
    names = table.column_names[1:]
    lists = {name: [np.array(v, float) for v in table[name].to_pylist()] for name in names}
    change(lists)
    columns = {name: [one.tolist() for one in values] for name, values in lists.items()}
    pq.write_table(pa.table({"y": table["y"], **columns}), folder / "jets.parquet")


def recipe(folder: Path, particles: str = "", descent: str = "") -> Path:
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(particles=particles, descent=descent), encoding="utf-8")
    return path


def put(name: str, value: float) -> Callable[[Lists], None]:
    """Particle 1 of event 7 gets a value."""

    def change(lists: Lists) -> None:
        lists[name][7][1] = value

    return change


def shorten(lists: Lists) -> None:
    lists["part_eta"][7] = lists["part_eta"][7][:-1]


BAD = {
    "a momentum that is NaN": (put("part_eta", np.nan), "is not finite", "E, px, py, pz"),
    "an infinite energy": (put("part_energy", np.inf), "is not finite", "E = inf"),
    "E < |p|": (put("part_energy", 0.1), "has less energy than momentum", "E ≥ |p|"),
    "no energy": (put("part_energy", 0.0), "no transverse momentum or no energy", "E > 0"),
    "lists of other lengths": (shorten, "The lists of particles differ in length", "part_eta"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_particle_is_refused_by_its_event(what: str, folder: Path, steepest):
    change, *said = BAD[what]
    write(folder, change)
    ended = steepest("train", recipe(folder), "--out", "run")
    assert ended.code == 1
    assert "jets.parquet at row 7" in " ".join(ended.err.split())
    for text in (said[0], *(said[1:] if what != "lists of other lengths" else ["in eta"])):
        assert text in " ".join(ended.err.split())
    assert "do:" in ended.err
    assert "Traceback" not in ended.err
    assert not (folder / "run").exists()


def test_jets_without_particles_and_with_too_many_are_counted(folder: Path, steepest):
    particles = "[events.particles]\nmost = 4"
    lengths = [len(one) for one in pq.read_table("jets.parquet")["part_pt"].to_pylist()]
    with undrawn.undrawn_figures():
        ended = steepest("train", recipe(folder, particles), "--out", "run")
    assert ended.code == 0, ended.err
    log = (folder / "run" / "log.txt").read_text(encoding="utf-8")
    many = sum(length > 4 for length in lengths)
    assert f"{many} events had more than 4 particles, of which those of the largest pT" in log
    assert f"{lengths.count(0)} events had no particle." in log


def padded(folder: Path, energy: float, px: float) -> None:
    """Two particles an event in columns of their own; the second of event 7 is another."""
    random = np.random.default_rng(0)
    columns = {f"{name}_{i}": random.uniform(1, 2, 60) for name in "XYZ" for i in (0, 1)}
    columns |= {f"E_{i}": np.full(60, 9.0) for i in (0, 1)}
    columns["E_1"][::3] = 0.0  # padding
    for name in "EXYZ":
        columns[f"{name}_1"][1::3] = np.nan  # padding too
    columns["E_1"][7], columns["X_1"][7] = energy, px
    pq.write_table(pa.table({"y": [0, 1] * 30, **columns}), folder / "jets.parquet")


PATTERN = '[events.particles]\npx = "X_{i}"\npy = "Y_{i}"\npz = "Z_{i}"\nenergy = "E_{i}"'


@pytest.mark.parametrize(("energy", "px"), [(np.nan, 1.0), (-9.0, 1.0), (9.0, np.nan)])
def test_only_what_is_known_to_be_padding_is_left_out(folder: Path, steepest, energy, px):
    """Half a momentum is no padding."""
    padded(folder, energy, px)
    ended = steepest("train", recipe(folder, PATTERN), "--out", "run")
    assert ended.code == 1
    assert "at row 7" in ended.err
    padded(folder, 9.0, 1.0)
    table = pq.read_table("jets.parquet")
    for name in ("X_1", "Y_1", "Z_1"):
        values = np.where(np.arange(60) == 7, 1.5, table[name].to_numpy())
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, "jets.parquet")
    with undrawn.undrawn_figures():
        ended = steepest("train", recipe(folder, PATTERN), "--out", "run")
    assert ended.code == 0, ended.err


def test_padding_of_pt_and_mass(folder: Path, steepest):
    """A pattern without energies: pT 0 is padding."""
    random = np.random.default_rng(0)
    columns = {
        f"{name}_{i}": random.uniform(1, 2, 60) for name in ("pt", "eta", "m") for i in (0, 1)
    }
    columns |= {f"phi_{i}": random.uniform(-1, 1, 60) for i in (0, 1)}
    columns["pt_1"][::3] = 0.0
    pq.write_table(pa.table({"y": [0, 1] * 30, **columns}), folder / "jets.parquet")
    names = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}
    lines = [f'{name} = "{column}_{{i}}"' for name, column in names.items()]
    with undrawn.undrawn_figures():
        given = recipe(folder, "\n".join(["[events.particles]", *lines]))
        ended = steepest("train", given, "--out", "run")
    assert ended.code == 0, ended.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_before_any_work(folder: Path, steepest):
    ended = steepest("train", recipe(folder, descent='device = "cuda"'), "--out", "run")
    assert ended.code == 1
    assert "asks for the device 'cuda', and PyTorch finds none" in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert not (folder / "run").exists()


def test_without_pytorch_the_install_line_is_said(folder: Path):
    script = "import sys; sys.modules['torch'] = None; from steepest.cli import main; main()"
    command = [sys.executable, "-c", script, "train", str(recipe(folder)), "--out", "run"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert "pip install 'steepest[torch]'" in ended.stderr
    assert "The model 'deep-sets'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (folder / "run").exists()
