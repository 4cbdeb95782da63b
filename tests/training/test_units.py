"""Titles and units of columns: from the recipe, from the files, in figures, tables and models."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from steepest.errors import RecipeError
from steepest.evaluate.figures import axis_label, title_of
from steepest.events import load_sample, open_events
from steepest.folder import load_model
from steepest.recipe import Recipe

RANDOM = np.random.default_rng(4)
COLUMNS = {name: RANDOM.exponential(50, 400) for name in ("pt", "met", "x")}


def recipe(path: Path, **keys: Any) -> Recipe:
    mass = {"name": "m", "value": "pt + met"}
    events = {"path": str(path), "label": "x", "features": ["pt", "met", mass], **keys}
    return Recipe.from_dict({"events": events, "model": {"hidden": []}})


def parquet(path: Path) -> Path:
    metadata = {"pt": {"unit": "GeV", "title": "Jet pT"}, "met": {"units": "MeV"}, "x": {}}
    fields = [pa.field(n, pa.float64(), metadata=m) for n, m in metadata.items()]
    pq.write_table(pa.table(COLUMNS, schema=pa.schema(fields)), path / "events.parquet")
    return path / "events.parquet"


def hdf5(path: Path) -> Path:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "events.h5", "w") as file:
        for name, values in COLUMNS.items():
            file[name] = values
        file["pt"].attrs["unit"], file["pt"].attrs["long_name"] = "GeV", "Jet pT"
        file["met"].attrs["units"] = np.bytes_("MeV")
        file["x"].attrs["unit"] = 7
    return path / "events.h5"


def root(path: Path) -> Path:
    uproot: Any = pytest.importorskip("uproot")
    with uproot.recreate(path / "events.root") as file:
        tree = file.mktree("events", dict.fromkeys(COLUMNS, "float64"))
        tree.extend(COLUMNS)
    return path / "events.root"


@pytest.mark.parametrize("write", [parquet, hdf5])
def test_files_say_titles_and_units(tmp_path: Path, write: Any) -> None:
    sample = load_sample(recipe(write(tmp_path)).events)
    assert sample.units == {"pt": {"title": "Jet pT", "unit": "GeV"}, "met": {"unit": "MeV"}}


def test_the_list_of_leaves_is_no_title(tmp_path: Path) -> None:
    path = root(tmp_path)
    titles = [field.metadata for field in open_events(str(path)).schema]
    assert any(titles)  # ROOT's own: pt/D
    assert load_sample(recipe(path).events).units == {}


def test_titles_of_branches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uproot: Any = pytest.importorskip("uproot")
    said = {"pt": "Jet pT [GeV]", "met": "a long description of what was measured there, in MeV"}
    title = uproot.TBranch.title.fget
    monkeypatch.setattr(uproot.TBranch, "title", property(lambda b: said.get(b.name, title(b))))
    sample = load_sample(recipe(root(tmp_path)).events)
    assert sample.units == {"pt": {"title": "Jet pT", "unit": "GeV"}}


def test_the_recipe_counts_before_the_file(tmp_path: Path) -> None:
    units = {"pt": {"title": "$p_T$"}, "met": "GeV", "m": "TeV", "absent": "kg"}
    chosen = recipe(parquet(tmp_path), units=units)
    assert load_sample(chosen.events).units == {
        "pt": {"title": "$p_T$", "unit": "GeV"}, "met": {"unit": "GeV"}, "m": {"unit": "TeV"},
    }  # fmt: skip
    assert chosen.to_dict()["events"]["units"] == {**units, "pt": {"title": "$p_T$"}}
    assert Recipe.from_dict(tomllib.loads(chosen.to_toml())) == chosen


def test_a_unit_is_not_guessed() -> None:
    assert (axis_label("jet_pt"), axis_label("mass")) == ("$p_{T}$", "$m$")
    units = {"pt": {"unit": "MeV"}, "x": {"title": "cost in $", "unit": "M$"}}
    assert axis_label("pt", units=units) == "$p_{T}$ [MeV]"
    assert title_of("x", units) == r"cost in \$"


@pytest.mark.parametrize(("beside", "drawn"), [("c1", "c2"), ("mass", "$C_{2}$")])
def test_columns_that_are_counted_are_no_jet_substructure(tmp_path: Path, beside, drawn) -> None:
    path = tmp_path / "events.parquet"
    pq.write_table(pa.table({"c2": COLUMNS["pt"], beside: COLUMNS["met"], "x": COLUMNS["x"]}), path)
    units = load_sample(recipe(path, features=["c2"]).events).units
    assert axis_label("c2", units=units) == drawn


def test_units_in_tables_figures_and_the_saved_model(tmp_path: Path) -> None:
    label = {"name": "$M$", "value": "x + pt", "unit": "GeV"}
    bins = [{"column": "met", "edges": [0, 40, 400]}]
    table = recipe(parquet(tmp_path), label=label, units={"x": "GeV"}).to_dict()
    table["evaluate"] = {"bins": bins, "baseline": False}
    run = steepest.train(table, out=tmp_path / "run", progress=False)
    assert run.metrics is not None
    merits = run.metrics["merits"]["model"]
    assert (merits["bias"]["unit"], merits["mean_squared_error"]["unit"]) == ("GeV", "GeV²")
    model = load_model(run.path).model
    assert (model.label, model.unit) == ("x + pt", "GeV")
    assert model.units["x + pt"] == {"title": "$M$", "unit": "GeV"}
    assert model.units["pt"] == {"title": "Jet pT", "unit": "GeV"}
    residuals = json.loads((run.path / "figures" / "residuals.json").read_text())
    assert residuals["unit"] == "GeV"
    left, right = run.plot.residuals()[:2]
    assert left.get_xlabel() == "True $M$ [GeV]"
    assert right.get_xlabel() == "Predicted − true $M$ [GeV]"
    features = [axes.get_xlabel() for axes in np.ravel(run.plot.features())]
    assert {"Jet pT [GeV]", "$p_{T}^{miss}$ [MeV]", "$m$"} <= set(features)
    bottom = np.ravel(run.plot.bins("met"))[-1]
    assert bottom.get_xlabel() == "$p_{T}^{miss}$ [MeV]"
    assert bottom.get_ylabel() == "Resolution of $M$ [GeV]"


def test_the_name_of_a_class(tmp_path: Path) -> None:
    given = recipe(parquet(tmp_path), label={"value": "x > 40", "name": "Heavy"})
    assert given.events.label == "x > 40"
    run = steepest.train(given, out=tmp_path / "run", progress=False)
    legend = run.plot.scores().get_legend_handles_labels()[1]
    assert any("Heavy" in text for text in legend)
    assert any("Not Heavy" in text for text in legend)


@pytest.mark.parametrize("label", [{"name": "M"}, {"value": 3}, {"value": "x", "units": "GeV"}])
def test_labels_that_are_refused(tmp_path: Path, label: Any) -> None:
    with pytest.raises(RecipeError, match="text, or a table with value, and"):
        recipe(tmp_path, label=label)
