"""A descent that begins from a trained model: body, head, scaling; and models that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from samples import write_jets
from steepest.errors import RecipeError, RunFolderError

pytest.importorskip("torch")
MODEL = {"name": "particle-net", "convolutions": [[3, [8]]], "hidden": 8}


def recipe_of(events: dict, descent: dict, **model: object) -> steepest.Recipe:
    table = {
        "events": {"path": "jets.parquet", "label": "y", **events},
        "model": {**MODEL, **model},
        "descent": {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, **descent},
        "evaluate": {"baseline": False},
    }
    return steepest.Recipe.from_dict(table)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Jets of two classes and of three, and a run on the first."""
    path = tmp_path_factory.mktemp("fine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        write_jets(path / "jets.parquet")
        table = pq.read_table("jets.parquet")
        three = table["y"].to_numpy() + (np.arange(len(table)) % 2) * table["y"].to_numpy()
        names = pa.array(np.array(["qcd", "w", "top"])[three])
        pq.write_table(table.set_column(0, "y", names), "three.parquet")
        steepest.train(recipe_of({}, {}), path / "first")
    return path


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def parts_of(run: steepest.Run) -> tuple[dict, dict]:
    """Parameters of the body, and of the head."""
    named = run.model.model.named(run.model.theta)
    head = {name: v for name, v in named.items() if name.startswith("out.")}
    return {name: v for name, v in named.items() if name not in head}, head


def test_it_begins_where_the_model_is(folder: Path, tmp_path: Path):
    """Steps of no length leave the parameters as they were, with the model's scaling."""
    first = steepest.Run("first")
    recipe = recipe_of({"select": "y >= 0"}, {"learning_rate": 1e-30}, initial="first")
    run = steepest.train(recipe, tmp_path / "run")
    np.testing.assert_array_equal(run.model.theta, first.model.theta)
    assert run.model.scaling.to_json() == first.model.scaling.to_json()
    assert "Starts from the model" in (run.path / "log.txt").read_text()
    assert Path(run.recipe.to_dict()["model"]["initial"]).is_absolute()


def test_a_frozen_body_and_a_slow_one(tmp_path: Path):
    first, _ = parts_of(steepest.Run("first"))
    moved = {}
    for rate in (0.0, 0.1, 1.0):
        recipe = recipe_of({}, {"epochs": 1}, initial="first", body_rate=rate)
        body, head = parts_of(steepest.train(recipe, tmp_path / str(rate)))
        moved[rate] = sum(float(np.abs(body[name] - first[name]).sum()) for name in first)
        assert any((head[n] != v).any() for n, v in parts_of(steepest.Run("first"))[1].items())
    assert moved[0.0] == 0.0
    assert 0 < moved[0.1] < 0.5 * moved[1.0]


@pytest.mark.slow
def test_other_classes_have_a_new_head(tmp_path: Path):
    """Of three classes in place of two; the body is the same, and the run goes on when resumed."""
    recipe = recipe_of({"path": "three.parquet"}, {}, initial="first/model", body_rate=0)
    run = steepest.train(recipe, tmp_path / "run")
    body, head = parts_of(run)
    assert head["out.weight"].shape == (3, 8)
    for name, values in parts_of(steepest.Run("first"))[0].items():
        np.testing.assert_array_equal(body[name], values)
    longer = run.resume("descent.epochs=3")
    for name, values in parts_of(longer)[0].items():
        np.testing.assert_array_equal(body[name], values)


@pytest.mark.parametrize(
    ("model", "events", "found"),
    [
        ({"name": "particle-transformer", "convolutions": None}, {}, "particle-transformer"),
        ({"hidden": 9}, {}, "hidden.weight of the shape"),
        ({"convolutions": [[3, [8, 8]]]}, {}, "of the shape"),
        ({}, {"particles": {"features": ["part_charge"]}}, "the features .*part_charge"),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path, model, events, found):
    table = pq.read_table("jets.parquet")
    pq.write_table(table.append_column("part_charge", table["part_eta"]), tmp_path / "c.parquet")
    given = {**MODEL, **model, "initial": "first"}
    if given["convolutions"] is None:
        given = {"name": given["name"], "initial": "first"}
    table = recipe_of({"path": str(tmp_path / "c.parquet"), **events}, {}).to_dict()
    table["model"] = given
    with pytest.raises(RecipeError, match=found):
        steepest.train(steepest.Recipe.from_dict(table), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_there_is_no_model(tmp_path: Path):
    with pytest.raises(RunFolderError, match="no model"):
        steepest.train(recipe_of({}, {}, initial="nowhere"), tmp_path / "run")
