"""Networks of particles by a recipe: trained, resumed, scored from files; momenta by any names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from samples import write_jets
from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.evaluate.figures.jets import AREA
from steepest.groups import Groups
from steepest.training.callback import TrainingCallback
from steepest.training.inputs import prepare
from steepest.training.jet_features import NAMES, jet_features

pytest.importorskip("torch")

RECIPE = {
    "events": {"path": "jets.parquet", "label": "y"},
    "model": {"name": "deep-sets", "per_particle": [16, 16], "per_jet": [16], "dropout": 0.1},
    "descent": {
        "epochs": 6,
        "batch_size": 32,
        "learning_rate": 0.01,
        "optimizer": {"name": "adam"},
    },
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_jets(tmp_path / "jets.parquet")
    return tmp_path


FIRST_STEP = """
import sys
import torch
import steepest
from steepest.objective import autograd

cloud_of = autograd.cloud_of
def first(*given):
    if torch.is_grad_enabled():
        print(*{name.partition(".")[0] for name in sys.modules})
        sys.exit(0)
    return cloud_of(*given)

autograd.cloud_of = first
steepest.train("recipe.toml", "run", progress=False)
"""


@pytest.mark.slow  # a process that imports PyTorch
def test_the_first_step_waits_for_no_package_that_it_does_not_need(folder: Path):
    table = recipe_with(split={"validation": 0.0, "test": 0.0})
    (folder / "recipe.toml").write_text(steepest.Recipe.from_dict(table).to_toml(), "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STEP], capture_output=True, text=True, check=False
    )
    loaded = set(done.stdout.split())
    assert {"torch", "polars", "steepest"} <= loaded, done.stderr
    heavy = {"scipy", "pandas", "numba", "matplotlib", "sklearn", "rich", "jinja2", "sympy"}
    assert not heavy & loaded


def recipe_with(**events: object) -> dict:
    return {**RECIPE, "events": {**RECIPE["events"], **events}}


def test_a_recipe_trains_deep_sets_and_its_scores_come_from_files(folder: Path):
    steepest.train(steepest.Recipe.from_dict(RECIPE), folder / "run")
    log = (folder / "run" / "log.txt").read_text(encoding="utf-8")
    assert "Particles are read from part_pt, part_eta, part_phi, part_energy." in log
    assert "8 events had no particle." in log
    read = {name: f"part_{name}" for name in ("pt", "eta", "phi", "energy")}
    assert steepest.load(folder / "run").momenta == read
    scores = folder / "scores.parquet"
    steepest.predict(folder / "run", "jets.parquet", scores)
    table = pq.read_table(scores)
    y, score = table["y"].to_numpy(), table["score"].to_numpy()
    order = np.argsort(score)
    ranks = np.empty(len(score))
    ranks[order] = np.arange(1, len(score) + 1)
    signal = np.count_nonzero(y)
    measured = (ranks[y == 1].sum() - signal * (signal + 1) / 2) / (signal * (len(y) - signal))
    assert measured > 0.9


@pytest.mark.slow
def test_names_of_momenta_and_patterns_give_the_same_scores(folder: Path):
    """The same jets as lists of px, py, pz, E, as expressions, and as padded columns."""
    lists = write_jets(folder / "jets.parquet", 120)
    pt, eta, phi, energy = (
        lists[f"part_{n}"].values.to_numpy() for n in ("pt", "eta", "phi", "energy")
    )
    offsets = lists["part_pt"].offsets
    momenta = {"E": energy, "PX": pt * np.cos(phi), "PY": pt * np.sin(phi), "PZ": pt * np.sinh(eta)}
    table = pq.read_table("jets.parquet").select(["y"])
    for name, values in momenta.items():
        table = table.append_column(name, pa.ListArray.from_arrays(offsets, pa.array(values)))
    lengths, width = np.diff(offsets.to_numpy()), 12
    for name, values in momenta.items():
        padded = np.zeros((len(lengths), width))
        padded[np.arange(width) < lengths[:, None]] = values
        for i in range(width):
            table = table.append_column(f"{name}_{i}", pa.array(padded[:, i]))
    pq.write_table(table, "other.parquet")
    thetas = []
    cartesian = {"px": "PX", "py": "PY", "pz": "PZ", "energy": "E"}
    for name, particles in {
        "lists": cartesian,
        "expressions": {**cartesian, "energy": "sqrt(PX**2 + PY**2 + PZ**2)"},
        "patterns": {n: f"{c}_{{i}}" for n, c in cartesian.items()},
    }.items():
        recipe = recipe_with(path="other.parquet", particles=particles)
        recipe["descent"] = {**RECIPE["descent"], "epochs": 1}
        run = steepest.train(steepest.Recipe.from_dict(recipe), folder / name)
        thetas.append(run.model.theta)
    for theta in thetas[1:]:
        np.testing.assert_allclose(theta, thetas[0], atol=1e-4)


@pytest.mark.parametrize(
    ("particles", "message"),
    [
        ({"px": "a", "py": "a", "pz": "a", "energy": "nothing"}, "no column .a."),
        ({"px": "Q_{i}", "py": "a", "pz": "a", "energy": "a"}, "matches no row of columns"),
        ({"px": "y", "py": "part_pt", "pz": "part_pt", "energy": "part_pt"}, "list of numbers"),
        (
            {"pt": "part_pt[part_pt > 5]", "eta": "part_eta", "phi": "part_phi", "mass": "part_pt"},
            "differ in length",
        ),
    ],
)
def test_particles_that_cannot_be_read_are_refused(folder: Path, particles, message: str):
    recipe = steepest.Recipe.from_dict(recipe_with(particles=particles))
    with pytest.raises((EventsError, RecipeError), match=message):
        steepest.train(recipe, folder / "run")


def test_half_a_momentum_is_refused():
    with pytest.raises(RecipeError, match="px, py, pz and energy"):
        steepest.Recipe.from_dict(recipe_with(particles={"pt": "part_pt"}))


def test_events_without_particles_are_refused(folder: Path):
    table = pq.read_table("jets.parquet").select(["y"])
    pq.write_table(table.append_column("pt", pa.array(np.ones(len(table)))), "flat.parquet")
    recipe = steepest.Recipe.from_dict(recipe_with(path="flat.parquet"))
    with pytest.raises(EventsError, match="no particles of a usual name"):
        steepest.train(recipe, folder / "run")


FURTHER = ["part_charge", {"name": "near", "value": "abs(part_eta) < 0.2"}]


def write_charges(folder: Path, bad: float | None = None) -> np.ndarray:
    """Add lists of charges to the jets; `bad` is put in the place of one."""
    table = pq.read_table(folder / "jets.parquet")
    offsets = table["part_pt"].combine_chunks().offsets
    charges = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], offsets[-1].as_py())
    if bad is not None:
        charges[17] = bad
    lists = pa.ListArray.from_arrays(offsets, pa.array(charges))
    pq.write_table(table.append_column("part_charge", lists), folder / "jets.parquet")
    return charges


@pytest.mark.slow
def test_further_features_of_particles(folder: Path):
    """They follow the seven, of the particles that are kept; scores from files have them too."""
    charges = write_charges(folder)
    events = {"particles": {"features": FURTHER, "most": 5}}
    events["split"] = {"validation": 0.0, "test": 0.0}  # the events in the order of the file
    recipe = steepest.Recipe.from_dict(recipe_with(**events))
    table = pq.read_table("jets.parquet")
    eta = table["part_eta"].combine_chunks().values.to_numpy()
    pt = table["part_pt"].combine_chunks()
    starts = pt.offsets.to_numpy()
    kept = [
        starts[i] + np.sort(np.argsort(-np.array(one))[:5])
        for i, one in enumerate(pt.to_pylist())
        if one
    ]
    expected = np.column_stack([charges, np.abs(eta) < 0.2])[np.concatenate(kept)]
    parts, schema = prepare(recipe, TrainingCallback(), folder)
    assert schema.names[7:9] == ("particles.part_charge", "particles.near")
    groups = parts[0].features
    assert isinstance(groups, Groups)
    np.testing.assert_array_equal(groups["particles"].values[:, 7:], expected)

    run = steepest.train(recipe, folder / "run")
    steepest.predict(folder / "run", "jets.parquet", folder / "scores.parquet")
    assert len(pq.read_table(folder / "scores.parquet")) == len(table)
    assert run.model.model.config()["inputs"]["particles"][-1] == "near"


@pytest.mark.parametrize(
    ("features", "bad", "message"),
    [
        (["nothing"], None, "no column .nothing."),
        (["y"], None, "list of numbers"),
        (["part_charge[part_pt > 5]"], None, "differ in length"),
        (
            ["part_charge"],
            np.nan,
            "'part_charge' is not finite in .*jets.parquet at row 4, particle 0",
        ),
        (["part_charge", "part_charge"], None, "different names"),
    ],
)
def test_further_features_that_cannot_be_read_are_refused(folder, features, bad, message):
    write_charges(folder, bad)
    with pytest.raises((EventsError, RecipeError), match=message):
        steepest.train(
            steepest.Recipe.from_dict(recipe_with(particles={"features": features})), folder / "run"
        )


def test_further_features_of_columns_of_one_particle_are_refused(folder: Path):
    columns = {
        f"{c}_{i}": pa.array(np.full(20, 2.0)) for c in ("E", "PX", "PY", "PZ") for i in (0, 1)
    }
    pq.write_table(pa.table({"y": pa.array([0, 1] * 10), **columns}), "other.parquet")
    recipe = recipe_with(path="other.parquet", particles={"features": ["E_0"]})
    with pytest.raises(EventsError, match="need lists"):
        steepest.train(steepest.Recipe.from_dict(recipe), folder / "run")


def test_a_run_draws_its_jets(folder: Path):
    """The figure of the report names events; each is drawn alone, by its number and as a jet."""
    run = steepest.train(steepest.Recipe.from_dict(RECIPE), folder / "run")
    table = json.loads((folder / "run" / "figures" / "jets.json").read_text())
    assert len(table["jets"]) == 6
    assert [jet["group"] for jet in table["jets"]] == [0, 0, 0, 1, 1, 1]
    worst = table["jets"][0]
    number = int(re.findall(r"event ([\d,]+):", worst["title"])[0].replace(",", ""))
    axes = run.draw(number)
    assert axes.get_title() == worst["title"]
    places = np.asarray(axes.collections[0].get_offsets())
    np.testing.assert_allclose(places[:, 0], worst["delta_eta"])
    row = pq.read_table("jets.parquet").slice(1, 1).to_pylist()[0]
    jet = {name: np.array(row[f"part_{name}"]) for name in ("pt", "eta", "phi", "energy")}
    axes = run.draw(jet)
    np.testing.assert_allclose(
        axes.collections[0].get_sizes(), AREA * jet["pt"] / jet_pt(jet), rtol=1e-5
    )
    for wrong, message in ((400, "no event 400"), ({"pt": [1.0]}, "no particles")):
        with pytest.raises(EventsError, match=message):
            run.draw(wrong)


def jet_pt(jet: dict[str, np.ndarray]) -> float:
    px, py = jet["pt"] @ np.cos(jet["phi"]), jet["pt"] @ np.sin(jet["phi"])
    return float(np.hypot(px, py))


def test_a_run_without_particles_draws_no_jet(folder: Path):
    pq.write_table(pa.table({"y": [0, 1] * 60, "x": np.arange(120.0)}), "flat.parquet")
    table = {"events": {"path": "flat.parquet", "label": "y"}, "model": {"hidden": []}}
    run = steepest.train(steepest.Recipe.from_dict(table), folder / "flat")
    with pytest.raises(RunFolderError, match="reads no particles"):
        run.draw(0)


def test_features_of_events_beside_the_particles(folder: Path):
    """A number of the event that tells the classes apart, where the particles do not."""
    random = np.random.default_rng(5)
    label = random.integers(0, 2, 400)
    table = pq.read_table("jets.parquet").set_column(0, "y", pa.array(label))
    hint = pa.array(label + random.normal(0, 0.2, 400))
    pq.write_table(table.append_column("hint", hint), "hints.parquet")
    hints = [{"name": "twice", "value": "2 * hint"}]
    recipe = steepest.Recipe.from_dict(recipe_with(path="hints.parquet", features=hints))
    run = steepest.train(recipe, folder / "run")
    assert run.metrics is not None
    assert run.metrics["merits"]["model"]["auc"]["value"] > 0.9
    assert "twice" in run.metrics["baseline"]["coefficients"]["coefficients"]
    assert "features.twice" in run.model.names
    steepest.predict(folder / "run", "hints.parquet", folder / "scores.parquet")
    scores = pq.read_table(folder / "scores.parquet")["score"].to_numpy()
    assert scores[label == 1].mean() > scores[label == 0].mean() + 0.3


def test_the_baseline_reads_numbers_of_the_jet(folder: Path):
    """Mass, width and the rest of a jet against sums of four-vectors; it beats a guess."""
    run = steepest.train(steepest.Recipe.from_dict(RECIPE), folder / "run")
    assert run.metrics is not None
    merits = run.metrics["merits"]
    assert merits["baseline"]["auc"]["value"] > 0.8  # two prongs are heavy and wide
    assert "gain" in merits
    parts, _ = prepare(run.recipe, TrainingCallback(), folder)
    groups = parts[0].features
    assert isinstance(groups, Groups)
    found: dict[str, np.ndarray] = dict(zip(NAMES, jet_features(groups).T, strict=True))
    values, offsets = groups["particles"].values.astype(float), groups["particles"].offsets
    jet = int(np.argmax(np.diff(offsets)))
    log_pt, _, log_share, _, delta_r, eta, phi = values[offsets[jet] : offsets[jet + 1]].T
    pt = np.exp(log_pt)
    p = np.array([pt @ np.cosh(eta), pt @ np.cos(phi), pt @ np.sin(phi), pt @ np.sinh(eta)])
    expected = {
        "particles": len(pt),
        "pt": (log_pt - log_share)[0],
        "mass": 0.5 * np.log(p[0] ** 2 - p[1:] @ p[1:]),
        "width": pt @ delta_r / pt.sum(),
        "dispersion": np.sqrt(pt @ pt) / pt.sum(),
        "hardest": pt.max() / pt.sum(),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name][jet], value, rtol=1e-6, err_msg=name)
    empty = np.flatnonzero(np.diff(offsets) == 0)
    assert len(empty)
    assert not jet_features(groups)[empty].any()
