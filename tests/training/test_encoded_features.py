"""Categories and missing values from file to prediction."""

# ruff: noqa: E501

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from steepest.errors import EventsError, Interrupted, RecipeError, SteepestError
from steepest.events import load_sample
from steepest.recipe import EventsRecipe
from steepest.run import resume
from steepest.training import TrainingCallback

N = 600
ROW = np.arange(N)
SCORE = np.where(ROW % 7 == 3, -999.0, np.sin(ROW) + ROW % 2)
FEATURES: list[Any] = [
    {"name": "b", "value": "score", "missing": -999, "fill": "median", "indicator": True},
    "process",
    "tagged",
    {"name": "leading", "value": "pt[0]", "fill": "mean"},
]


def jets(**changes: Any) -> dict[str, Any]:
    return {
        "event": ROW,
        "y": ROW % 2,
        "score": SCORE,
        "process": pa.array(np.array(["top", "W", "qcd"])[ROW % 3]).dictionary_encode(),
        "tagged": pa.array(ROW % 5 == 0),
        "pt": pa.array([[100.0 + row % 11] * (row % 4) for row in ROW]),
        "w": 0.5 + ROW % 3,
        **changes,
    }


def recipe_in(folder: Path, features: list[Any], changes: dict[str, Any] | None = None) -> dict:
    path = folder / "jets.parquet"
    pq.write_table(pa.table(jets(**(changes or {}))), path)
    return {
        "events": {"path": str(path), "label": "y", "features": features, "weight": "w",
                   "split": {"by": "event", "validation": 0.2}},
        "model": {"hidden": []},
        "descent": {"epochs": 2, "batch_size": 50, "learning_rate": 0.05},
        "evaluate": {"baseline": False},
    }  # fmt: skip


@pytest.fixture
def table(tmp_path: Path):
    return lambda features=FEATURES, changes=None: recipe_in(tmp_path, features, changes)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> steepest.Run:
    folder = tmp_path_factory.mktemp("encoded")
    return steepest.train(recipe_in(folder, FEATURES), folder / "run")


def raw_of(rows: np.ndarray) -> np.ndarray:
    raw = np.empty((len(rows), 4), dtype=object)
    raw[:, 0] = SCORE[rows]
    raw[:, 1] = np.array(["top", "W", "qcd"])[rows % 3]
    raw[:, 2] = rows % 5 == 0
    raw[:, 3] = [100.0 + row % 11 if row % 4 else None for row in rows]
    return raw


def test_what_is_learnt_is_learnt_on_training_events_and_saved(run) -> None:
    sample = load_sample(run.recipe.events)
    train = sample.of("train")
    rows = train.rows
    present = rows[SCORE[rows] != -999]
    # the weighted median: that of events repeated by their weights, in halves
    b = float(np.median(np.repeat(SCORE[present], (2 * (0.5 + present % 3)).astype(int))))
    has = rows[rows % 4 > 0]
    leading = float(np.average(100.0 + has % 11, weights=0.5 + has % 3))
    saved = json.loads((run.path / "model" / "config.json").read_text())["encoding"]
    assert saved["version"] == 1
    first, process, tagged, last = saved["columns"]
    assert first == {"name": "b", "kind": "number", "missing": -999.0, "indicator": True,
                     "fill": pytest.approx(b, rel=1e-12)}  # fmt: skip
    assert process["categories"] == ["W", "qcd", "top"]
    assert tagged["fill"] is None
    assert last["fill"] == pytest.approx(leading, rel=1e-12)
    names = ["b", "b_missing", "process=W", "process=qcd", "process=top", "tagged", "leading"]
    assert run.metrics["features"] == names
    assert list(run.metrics["model"]["coefficients"]["coefficients"]) == names
    assert run.model.names == ("b", "process", "tagged", "leading")


def test_raw_values_are_predicted_as_the_sample_is(run) -> None:
    test = load_sample(run.recipe.events).of("test")
    scores = run.predict(raw_of(test.rows))
    assert np.array_equal(scores, run.predict(raw_of(test.rows).tolist()))
    auc = steepest.evaluate.auc(test.labels, scores, test.weights).value
    assert run.metrics["merits"]["model"]["auc"]["value"] == auc
    assert run.evaluate()["merits"]["model"]["auc"]["value"] == auc


class StopsSoon(TrainingCallback):
    def round(self, state: Any, values: Any) -> None:
        self.interrupted = True


def test_a_resumed_run_is_the_uninterrupted_one(run, table, tmp_path) -> None:
    with pytest.raises(Interrupted):
        steepest.train(table(), tmp_path / "run", callback=StopsSoon())
    resumed = resume(tmp_path / "run")
    for name in ("config.json", "model.safetensors", "scaling.safetensors"):
        found = (resumed.path / "model" / name).read_bytes()
        assert found == (run.path / "model" / name).read_bytes()
    assert resumed.metrics["merits"] == run.metrics["merits"]


def test_other_events_use_what_was_learnt(run, tmp_path) -> None:
    other = tmp_path / "other.parquet"
    kept = pa.table(jets()).filter(pa.array((ROW % 3 != 1) & (ROW < 100)))
    pq.write_table(kept, other)  # a category less, and another share of missing values
    found = run.evaluate(str(other))
    rows = ROW[(ROW % 3 != 1) & (ROW < 100)]
    auc = steepest.evaluate.auc(rows % 2, run.predict(raw_of(rows)), 0.5 + rows % 3).value
    assert found["merits"]["model"]["auc"]["value"] == auc


def test_plain_features_have_no_encoding(table, tmp_path) -> None:
    run = steepest.train(table(["score", "tagged"]), tmp_path / "run")
    assert run.model.encoding is None
    config = json.loads((tmp_path / "run" / "model" / "config.json").read_text())
    assert config["encoding"] is None
    assert config["features"] == ["score", "tagged"]
    # a sentinel that is not declared is just a value
    assert load_sample(run.recipe.events).features[3, 0] == -999.0


def test_an_unseen_category_names_value_file_and_row(run, tmp_path) -> None:
    names = np.array(["top", "W", "qcd"])[ROW % 3].tolist()
    names[17] = names[40] = "Z"
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table(jets(process=names)), path)
    with pytest.raises(EventsError) as caught:
        run.evaluate(str(path))
    assert (
        str(caught.value)
        == """\
The feature 'process' has a category that training had not for 2 of 600 events, first in \
other.parquet at row 17.
  expected: one of 'W', 'qcd', 'top'
  found:    'Z'
  do:       train on events of that category too, or set unseen = "zeros" for the feature"""
    )


# --- refused before anything is trained ---------------------------------------------------------

GAPS = pa.array([None if row % 9 == 5 else 1.0 * row for row in ROW])
REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any], type[SteepestError], str]] = {
    "missing without a fill": ({}, {"missing": -999}, EventsError, """
The feature 'f' has no value for 86 of 600 selected events, first in DIR/jets.parquet at row 3.
  expected: a finite number for each event
  found:    86 -999.0
  cause:    a value that the recipe declares as missing
  do:       exclude these events: select = 'score != -999'; or say how to fill the feature: fill = "median"
"""),
    "null without a fill": ({"score": GAPS}, {}, EventsError, """
The feature 'f' is not a finite number for 67 of 600 selected events, first in DIR/jets.parquet at row 5.
  expected: a finite number for each event
  found:    67 null
  cause:    a value that is missing in the file
  do:       exclude these events: select = 'isfinite(score)'; or say how to fill the feature: fill = "median"
"""),
    "infinity with a fill": ({"score": np.where(ROW == 8, np.inf, 1.0 * ROW)}, {"fill": 0}, EventsError, """
The feature 'f' is not a finite number for 1 of 600 selected events, first in DIR/jets.parquet at row 8.
  expected: a finite number for each event
  found:    1 infinite
  cause:    the job that wrote the file left a value out, or divided by zero
  do:       exclude these events: select = 'isfinite(score)'
"""),
    "text that is missing": ({}, {"value": "process", "missing": "W"}, EventsError, """
The feature 'f' has no value for 200 of 600 selected events, first in DIR/jets.parquet at row 1.
  expected: text for each event
  found:    200 'W'
  cause:    a value that the recipe declares as missing
  do:       exclude these events: select = "process != 'W'"; or say how to fill the feature: fill = "none"
"""),
    "a mean of text": ({}, {"value": "process", "fill": "mean"}, RecipeError, """
The feature 'f' is text, which cannot be filled so.
  expected: a category in quotes
  found:    fill = 'mean'
"""),
    "a number filled with text": ({}, {"fill": "none"}, RecipeError, """
The feature 'f' is a number, which cannot be filled so.
  expected: a number, "mean" or "median"
  found:    fill = 'none'
"""),
    "a sentinel of another type": ({}, {"missing": "-999", "fill": 0}, RecipeError, """
The feature 'f' is a number, but its `missing` is not.
  expected: missing = a number
  found:    '-999'
"""),
    "unseen numbers": ({}, {"unseen": "zeros"}, RecipeError, """
The feature 'f' is a number, and has no categories.
  expected: `unseen` for text only
  found:    unseen = 'zeros'
  do:       leave `unseen` out
"""),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_features_that_cannot_be_encoded(case: str, table, tmp_path: Path) -> None:
    changes, options, kind, message = REFUSED[case]
    features = [{"name": "f", "value": "score", **options}]
    with pytest.raises(kind) as caught:
        steepest.train(table(features, changes), tmp_path / "run")
    assert str(caught.value).replace(str(tmp_path), "DIR") == message.strip("\n")
    assert not (tmp_path / "run").exists()


def test_a_sample_has_codes_and_gaps(table) -> None:
    recipe = EventsRecipe(**table(changes={"score": GAPS})["events"])
    sample = load_sample(recipe)
    assert sample.categories == {"process": ("W", "qcd", "top")}
    assert np.array_equal(sample.features[:, 1], np.array([2, 0, 1])[ROW % 3])
    assert np.array_equal(np.isnan(sample.features[:, 0]), ROW % 9 == 5)
    assert sample.locate(5) == "in jets.parquet at row 5"
