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
        spread = pl.read_parquet(folder / "weighted.parquet")["mass"].std()
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
    assert {path.stem for path in EXAMPLES.glob("*.toml")} == {*LOCAL, "hub", "classes"}
