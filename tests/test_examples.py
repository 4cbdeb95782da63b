"""Every example of `examples/jets` trains, on few jets and for few epochs."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest
import undrawn
from events.small_hub import small_hub
from steepest.recipe import Recipe
from steepest.simulate import simulate_jets
from steepest.terminal import show_results

EXAMPLES = Path(__file__).parents[1] / "examples" / "jets"
JETS = 3_000
PARTICLES = ("deep-sets", "particle-net-lite")
LOCAL = ("parquet", "root", "hdf5", "jet-mass", "negative-weights")
AUC = {"parquet": 0.94, "root": 0.87, "hdf5": 0.94, "negative-weights": 0.88}
"""What even 3,000 jets and a few epochs reach."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Files of jets, beside copies of the recipes."""
    pytest.importorskip("uproot", reason="needs the extra [root]")
    pytest.importorskip("h5py", reason="needs the extra [hdf5]")
    path = tmp_path_factory.mktemp("jets")
    for recipe in EXAMPLES.glob("*.toml"):
        (path / recipe.name).write_text(recipe.read_text())
    spec = importlib.util.spec_from_file_location("make_events", EXAMPLES / "make_events.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    jets = module.embedded(JETS)
    module.write_root(jets, path / "jets.root")
    module.write_hdf5(jets, path / "jets.h5")
    module.write_weighted(jets, path / "weighted.parquet")
    return path


@pytest.mark.parametrize("name", LOCAL)
def test_it_trains(folder, tmp_path, name) -> None:
    recipe = Recipe.from_toml(folder / f"{name}.toml", settings=["descent.epochs=5"])
    run = steepest.train(recipe, tmp_path / "run")
    assert run.metrics is not None
    merits = run.metrics["merits"]["model"]
    if name == "jet-mass":
        spread = pl.read_parquet(folder / "weighted.parquet")["mass"].to_numpy().std()
        assert merits["resolution"]["value"] < 0.3 * spread
        assert len(run.metrics["bins"]) == 1
    else:
        assert merits["auc"]["value"] > AUC[name]
    total = sum(part["events"] for part in run.metrics["parts"].values())
    rows = 24_000 if name in ("parquet", "jet-mass") else JETS
    assert 0.95 * rows < total <= rows


def test_samples_with_cross_sections(tmp_path) -> None:
    """Made as the recipe's first lines say; the command prints the yields."""
    pytest.importorskip("uproot", reason="needs the extra [root]")
    examples = EXAMPLES.parent / "samples"
    make = [sys.executable, str(examples / "make_events.py"), "--events", "6000"]
    subprocess.run([*make, "--out", str(tmp_path)], check=True, timeout=300)
    (tmp_path / "recipe.toml").write_text((examples / "recipe.toml").read_text())
    recipe = Recipe.from_toml(tmp_path / "recipe.toml", settings=["descent.batch_size=128"])
    run = steepest.train(recipe, tmp_path / "run")
    assert run.metrics is not None
    merits = run.metrics["merits"]["model"]
    assert merits["auc"]["value"] > 0.9
    yields = {one["name"]: one["all"]["yield"] for one in run.metrics["samples"]}
    assert 5_000 < yields["signal"] < 0.048 * 140_000
    assert 1e8 < yields["ttbar"] < 831.76 * 140_000
    assert "significance" in merits
    show_results(run.metrics, run.report)


def test_the_files_hold_the_same_jets(folder) -> None:
    """Labels and masses in ROOT and HDF5, as in the Parquet that they are made of."""
    from steepest.events import open_events

    expected = pl.read_parquet(folder / "weighted.parquet", columns=["mass", "is_top"])
    for name in ("jets.root:jets", "jets.h5:jets"):
        blocks = open_events(str(folder / name)).batches(["mass", "is_top"])
        table = pl.concat([pl.DataFrame(pl.from_arrow(block.batch)) for block in blocks])
        assert np.array_equal(table["mass"], expected["mass"])
        assert np.array_equal(table["is_top"], expected["is_top"])


@pytest.mark.slow
def test_a_dataset_of_the_hub(tmp_path) -> None:
    """The recipe, but for the owner's name, against a Hub on the loopback address."""
    pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, JETS)
    tau = np.sort(rng.uniform(0.05, 1.0, (JETS, 3)), axis=1)[:, ::-1]
    columns = {"pT": rng.uniform(550, 650, JETS), "mass": rng.normal(90 + 80 * label, 30)}
    columns |= {f"tau_{i + 1}_1": tau[:, i] for i in range(3)} | {"label": label}
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    recipe = (EXAMPLES / "hub.toml").read_text()
    given = "dl4phys/top_tagging_nsubjettiness"
    assert recipe.count(given) == 1
    (tmp_path / "hub.toml").write_text(recipe.replace(given, "o/public"))
    with small_hub({"train.parquet": buffer.getvalue()}) as url:
        environment = {"HF_ENDPOINT": url, "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, str(undrawn.COMMAND), "train", "hub.toml", "--out", "run", "--json"],
            env=os.environ | environment | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"},
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["merits"]["model"]["auc"]["value"] > 0.9


@pytest.mark.parametrize(
    "name", ["deep-sets", pytest.param("particle-net-lite", marks=pytest.mark.slow)]
)
def test_networks_of_particles(tmp_path, name) -> None:
    """An epoch on a tenth of the embedded jets tells most tops from QCD."""
    pytest.importorskip("torch", reason="needs the extra [torch]")
    settings = [
        "events.select=event_number % 10 == 0 AND n_constituents > 3",
        "events.particles.most=12",
        "descent.batch_size=64",
        "descent.epochs=1",
        "evaluate.baseline=false",
    ]
    recipe = Recipe.from_toml(EXAMPLES / f"{name}.toml", settings=settings)
    run = steepest.train(recipe, tmp_path / "run")
    assert run.metrics is not None
    assert run.metrics["merits"]["model"]["auc"]["value"] > 0.8
    assert "particles.d0" in run.metrics["features"]


def momenta(events: int, particles: int) -> dict[str, np.ndarray]:
    """E, px, py and pz ``(events, particles)`` of massless particles."""
    rng = np.random.default_rng(0)
    pt = rng.exponential(20.0, (events, particles)) + 1.0
    eta, phi = rng.normal(0, 0.3, (2, events, particles))
    return {
        "energy": pt * np.cosh(eta),
        "px": pt * np.cos(phi),
        "py": pt * np.sin(phi),
        "pz": pt * np.sinh(eta),
    }


def test_the_reference_set_of_top_tagging(tmp_path, monkeypatch) -> None:
    """The recipe on a file with the columns of the set, a smaller network and a batch that fits."""
    pytest.importorskip("torch", reason="needs the extra [torch]")
    columns = {"is_signal_new": np.arange(60) % 2}
    for name, values in momenta(60, 20).items():
        values[::3, 12:] = 0.0  # the padding of the set
        title = {"energy": "E", "px": "PX", "py": "PY", "pz": "PZ"}[name]
        columns |= {f"{title}_{i}": values[:, i] for i in range(20)}
    pl.DataFrame(columns).write_parquet(tmp_path / "train.parquet")
    recipe = (EXAMPLES / "top-tagging.toml").read_text()
    given = "hf://datasets/dl4phys/top_tagging/train.parquet"
    (tmp_path / "r.toml").write_text(recipe.replace(f'path = "{given}"', 'path = "train.parquet"'))
    small = ["descent.batch_size=16", "descent.epochs=1", "model.convolutions=[[4, [8]]]"]
    run = steepest.train(Recipe.from_toml(tmp_path / "r.toml", settings=small), tmp_path / "run")
    assert run.metrics is not None
    assert sum(part["events"] for part in run.metrics["parts"].values()) == 60


@pytest.mark.slow
def test_jetclass(tmp_path) -> None:
    """The recipe on files with the trees of JetClass, a few jets each, and a smaller network."""
    pytest.importorskip("torch", reason="needs the extra [torch]")
    uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
    ak = pytest.importorskip("awkward", reason="needs the extra [root]")
    text = (EXAMPLES / "jetclass.toml").read_text()
    folder = tmp_path / "JetClass"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, name in enumerate(re.findall(r"JetClass/(\w+)_00\?.root", text)):
        lists = {f"part_{n}": v for n, v in momenta(20, 8).items()}
        lists |= {f"part_{n}": rng.normal(0, 2, (20, 8)) for n in ("charge", "d0val", "dzval")}
        lists |= {f"part_{n}": rng.exponential(1, (20, 8)) for n in ("d0err", "dzerr")}
        for kind in ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon"):
            lists[f"part_is{kind}"] = rng.integers(0, 2, (20, 8)).astype(bool)
        lists["part_pz"] += number
        lists["part_energy"] += number
        with uproot.recreate(folder / f"{name}_000.root") as file:
            file["tree"] = {n: ak.from_regular(v) for n, v in lists.items()}
    (tmp_path / "jetclass.toml").write_text(text)
    small = [
        "model.layers=1",
        "model.token_layers=1",
        "model.embedding=[16]",
        "model.attention_heads=2",
    ]
    settings = [*small, "model.pair_widths=[8]", "descent.batch_size=32", "descent.epochs=1"]
    recipe = Recipe.from_toml(tmp_path / "jetclass.toml", settings=settings)
    run = steepest.train(recipe, tmp_path / "run")
    assert run.metrics is not None
    assert len(run.metrics["classes"]) == 10
    assert len([f for f in run.metrics["features"] if f.startswith("particles.")]) == 17


@pytest.mark.slow
def test_classes_of_jets(tmp_path) -> None:
    """Made as the recipe's first lines say, but for the number of jets."""
    pytest.importorskip("pythia8mc", reason="needs the extra [simulate]")
    pytest.importorskip("fastjet", reason="needs the extra [simulate]")
    text = (EXAMPLES / "classes.toml").read_text()
    (tmp_path / "classes.toml").write_text(text)
    names = re.search(r"--processes (\S+)", text)
    assert names is not None
    processes = names[1].split(",")
    simulate_jets(tmp_path / "classes.parquet", 150, seed=1, processes=processes, workers=2)
    recipe = Recipe.from_toml(tmp_path / "classes.toml", settings=["descent.batch_size=16"])
    run = steepest.train(recipe, tmp_path / "run")
    assert run.metrics is not None
    assert sorted(run.metrics["classes"]) == sorted(processes)
    assert run.metrics["merits"]["model"]["accuracy"]["value"] > 0.4, "a guess has 0.2"
    rest = [name for name in run.metrics["merits"]["model"] if name.startswith("auc")]
    assert len(rest) >= len(processes)


def test_each_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == {
        *LOCAL,
        *PARTICLES,
        "hub",
        "classes",
        "jetclass",
        "top-tagging",
    }
