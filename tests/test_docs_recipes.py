"""Every recipe in the documentation trains, on a small sample that has its columns."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from test_docs import recipes

COUNT = 2_000


def jets(seed: int = 0) -> dict:
    """The columns that recipes of the documentation name."""
    random = np.random.default_rng(seed)
    top = random.integers(0, 2, COUNT)
    tau = np.sort(random.uniform(0.1, 1.0, (COUNT, 3)), axis=1)[:, ::-1]
    jet_b = np.where(random.random(COUNT) < 0.1, -999.0, top + random.normal(size=COUNT))
    numbers = random.integers(2, 5, COUNT)  # of particles, muons and jets: two at least
    parts = [random.uniform(31, 100, size=number) for number in numbers]
    angles = [random.uniform(-2, 2, size=number) for number in numbers]
    lists = {f"{name}_{part}": angles for name in ("Mu", "Jet") for part in ("eta", "phi")}
    lists |= {"Mu_pt": parts, "Jet_pt": parts, "Jet_mass": parts}
    return {
        **lists,
        "event_number": np.arange(COUNT, dtype=np.int64) + COUNT * seed,
        "pt": random.uniform(551, 650, COUNT),
        "eta": random.uniform(-1.9, 1.9, COUNT),
        "mass": 80 + 90 * top + 20 * random.normal(size=COUNT),
        **{f"tau{i + 1}": tau[:, i] for i in range(3)},
        "jets": random.integers(1, 8, COUNT),
        "mc_weight_scale_up": random.uniform(0.5, 1.5, COUNT),
        "mc_weight": random.uniform(0.5, 1.5, COUNT),
        "genWeight": random.choice([1.0, 1.0, 1.0, -1.0], COUNT),
        "jet_b": jet_b,
        "process": random.choice(["zz", "ww"], COUNT),
        "part_pt": parts,
        "is_top": top,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with the files that the recipes name."""
    for seed, name in enumerate(
        ("jets.parquet", "jets/a.parquet", "top/a.parquet", "qcd/a.parquet", "herwig/a.parquet")
    ):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(jets(seed)), file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_root(path: Path, tree: str, seed: int) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
    path.parent.mkdir(exist_ok=True)
    columns = {
        name: column
        for name, column in jets(seed).items()
        if name != "process" and not isinstance(column, list)
    }
    with uproot.recreate(path) as file:
        file[tree] = columns
        file["Runs"] = {"genEventSumw": np.array([columns["genWeight"].sum()])}


@pytest.mark.parametrize("code", recipes())
def test_it_trains(code: str, folder: Path):
    table = tomllib.loads(code)
    events = {"path": "jets.parquet", "label": "is_top"} | table.get("events", {})
    if "samples" in events:
        del events["path"], events["label"]
    if ".root" in code:
        for seed, (name, tree) in enumerate(
            {"jets.root": "jets", "signal/a.root": "Events", "ttbar-a.root": "Events"}.items()
        ):
            write_root(folder / name, tree, seed)
    table["events"] = events
    run = steepest.train(table, folder / "run", settings=["descent.epochs=1"])
    assert run.metrics is not None
    assert run.metrics["status"] == "complete"
