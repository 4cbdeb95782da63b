"""Every recipe in the documentation trains, on a small sample that has its columns."""

from __future__ import annotations

import shutil
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
    lists |= {f"Muon_{part}": lists[f"Mu_{part}"] for part in ("pt", "eta", "phi")}
    lists |= {"Muon_mass": [0.1 + 0.0 * part for part in parts]}
    lists |= {"Muon_charge": [np.resize([1, -1], len(part)) for part in parts]}
    lists |= {"Jet_hadronFlavour": [random.choice([0, 5], len(part)) for part in parts]}
    lists |= {"part_eta": angles, "part_phi": angles, "part_energy": [5 * part for part in parts]}
    lists |= {"part_charge": lists["Muon_charge"], "part_d0": angles}
    return {
        **lists,
        "run": np.full(COUNT, 1 + seed),
        "event": np.arange(COUNT),
        "MET_pt": random.uniform(0, 80, COUNT),
        "MET_phi": random.uniform(-3, 3, COUNT),
        "met": random.uniform(0, 80, COUNT),
        "energy": random.uniform(200, 300, COUNT),
        "p": random.uniform(10, 190, COUNT),
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
        "scale_up": np.linspace(0.9, 1.1, COUNT),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the recipes name."""
    made = tmp_path_factory.mktemp("made")
    for seed, name in enumerate(
        ("jets.parquet", "jets/a.parquet", "top/a.parquet", "qcd/a.parquet", "herwig/a.parquet")
    ):
        file = made / name
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(jets(seed)), file)
    return made


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same files in a folder of one's own."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_root(path: Path, tree: str, seed: int, lists: bool = False) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
    path.parent.mkdir(exist_ok=True)
    columns = {
        name: column
        for name, column in jets(seed).items()
        if name != "process" and (lists or not isinstance(column, list))
    }
    if lists:
        import awkward

        grouped = [name for name in columns if name.startswith(("Jet_", "Muon_"))]
        arrays = {name: awkward.Array(columns.pop(name)) for name in grouped}
        columns = {n: c for n, c in columns.items() if not isinstance(c, list)} | arrays
    columns["is_signal"] = columns["is_top"]
    with uproot.recreate(path) as file:
        file[tree] = columns
        file["Runs"] = {"genEventSumw": np.array([columns["genWeight"].sum()])}


def write_friends(folder: Path) -> None:
    """Two files of events, a friend of each with a score, and a table by run and event."""
    uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
    (folder / "scores").mkdir()
    keys: dict[str, list[np.ndarray]] = {"run": [], "event": []}
    for seed, name in enumerate(("a", "b")):
        write_root(folder / f"ntuples/{name}.root", "events", seed)
        events = jets(seed)
        with uproot.recreate(folder / f"scores/{name}.root") as file:
            file["scores"] = {"bdt": events["is_top"] + events["eta"]}
        for key, found in keys.items():
            found.append(events[key])
    table = {key: np.concatenate(found) for key, found in keys.items()}
    pq.write_table(pa.table({**table, "correction": np.ones(2 * COUNT)}),
                   folder / "corrections.parquet")  # fmt: skip


@pytest.mark.parametrize("code", recipes())
def test_it_trains(code: str, folder: Path):
    table = tomllib.loads(code)
    events = {"path": "jets.parquet", "label": "is_top"} | table.get("events", {})
    if str(events["path"]).startswith("hf://"):  # the columns are the same
        events["path"] = "jets.parquet"
    if "samples" in events:
        del events["path"], events["label"]
    if ".root" in code:
        for seed, (name, tree) in enumerate(
            {"jets.root": "jets", "signal/a.root": "Events", "ttbar-a.root": "Events"}.items()
        ):
            write_root(folder / name, tree, seed)
    if "nano" in code:
        write_root(folder / "nano-a.root", "Events", 0, lists=True)
    if "friends" in code:
        write_friends(folder)
    if "particles" in events:
        table.setdefault("model", {"name": "deep-sets"})
    table["events"] = events
    settings = ["descent.epochs=1"]
    if "name" in table.get("model", {}):  # of PyTorch: trial runs take seconds
        settings.append("descent.learning_rate=0.001")
    run = steepest.train(table, folder / "run", settings=settings)
    assert run.metrics is not None
    assert run.metrics["status"] == "complete"
