"""Notes about markers of missing values and about leaks, and samples that have neither."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import steepest
from steepest.errors import EventsError
from steepest.events import Sample, load_sample
from steepest.recipe import Derived, Recipe
from steepest.training.data_notes import data_notes

DATA = Path(os.environ.get("STEEPEST_DATA", "../shared/data"))
EVENTS = 3000


def sample(task: str = "binary", **columns: Any) -> Sample:
    """Three plain features and those given; label, weights and tables are keys, too."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, EVENTS)
    keys = {name: columns.pop(name) for name in ("weights", "tables") if name in columns}
    if task == "regression":
        labels = random.normal(100, 10, EVENTS)
    plain = {
        "pt": random.exponential(50, EVENTS) + 10 * (labels == 1),
        "eta": random.normal(0, 1.5, EVENTS),
        "n_jets": random.poisson(3, EVENTS).astype(float),
    }
    given = {n: c(labels, random) if callable(c) else c for n, c in columns.items()}
    features = {**plain, **given}
    return Sample(
        np.column_stack(list(features.values())), labels, part=np.zeros(EVENTS, np.int8),
        names=tuple(features), classes=("0", "1") if task == "binary" else (), task=task, **keys,
    )  # fmt: skip


def marked(value: float, scale: float = 1.0, share: int = 10) -> Any:
    def column(labels: Any, random: Any) -> np.ndarray:
        values = scale * random.random(EVENTS)
        values[::share] = value
        return values

    return column


@pytest.mark.parametrize(
    ("value", "scale", "told"),
    [
        (-999.0, 1.0, "−999"), (-999.0, 5000.0, "−999"), (-9999.0, 1.0, "−9999"),
        (9999.0, 100.0, "9999"), (-1e30, 100.0, "−1e+30"), (-1000.0, 1.0, "−1000"),
        (-99.0, 1000.0, "−99"), (-1.1, 1.0, "−1.1"),
    ],
)  # fmt: skip
def test_a_marker_of_missing_values_is_told(value: float, scale: float, told: str) -> None:
    (note,) = data_notes(sample(tag=marked(value, scale)))
    assert note.startswith(f"{told} looks like a marker of missing values: tag (300 of 3000 events")
    assert f"set events.missing = {value:.10g}, or for one feature alone" in note


def test_two_markers_and_two_columns() -> None:
    def both(labels: Any, random: Any) -> np.ndarray:
        values = random.random(EVENTS)
        values[::10], values[5::10] = -999.0, -9999.0
        return values

    notes = data_notes(sample(tag=both, other=marked(-999.0, 10.0)))
    assert [note.split(" ")[0] for note in notes] == ["−9999", "−999"]
    assert "other" not in notes[0].replace("others", "")
    assert "tag (300 of 3000" in notes[1]
    assert "other (300 of 3000" in notes[1]


def test_what_is_declared_or_is_no_marker_is_not_told() -> None:
    declared = Derived(name="tag", value="tag", missing=-999, fill="median")
    assert data_notes(sample(tag=marked(-999.0), tables={"tag": declared})) == []
    usual = {
        "flag": lambda labels, random: random.integers(0, 2, EVENTS).astype(float),
        "charge": lambda labels, random: random.choice([-1.0, 1.0], EVENTS),
        "code": lambda labels, random: random.choice([11.0, 13.0, 211.0, 2212.0], EVENTS),
        "tail": lambda labels, random: random.pareto(0.7, EVENTS),
        "isolation": lambda labels, random: np.maximum(random.normal(0, 1, EVENTS), 0),
        "parton": lambda labels, random: random.choice([21.0, *range(-4, 6)], EVENTS),
        "few": marked(-999.0, share=1000),
        "round": lambda labels, random: random.poisson(1000, EVENTS).astype(float),
    }
    for name, column in usual.items():
        assert data_notes(sample(**{name: column})) == [], name


def test_a_feature_that_gives_the_label_away() -> None:
    leak = sample(truth=lambda labels, random: labels + random.normal(0, 0.2, EVENTS))
    area = roc_auc_score(leak.labels, leak.features[:, 3])
    signal = int(leak.labels.sum())
    (note,) = data_notes(leak)
    assert note.startswith(
        f"The feature 'truth' alone has an AUC of {area:.4f} on 3000 training events "
        f"({signal} + {EVENTS - signal}), the next one 0."
    )
    assert data_notes(sample(good=lambda y, random: y + random.normal(0, 0.5, EVENTS))) == []


def test_a_feature_with_values_of_one_class_each() -> None:
    def process(labels: Any, random: Any) -> np.ndarray:
        return np.where(labels == 1, 3.0, random.choice([2.0, 5.0], EVENTS))

    (note,) = data_notes(sample(process=process))
    assert note.startswith(
        "The feature 'process' tells the classes apart by itself: each of its 3 values has events "
        "of one class, of 3000 training events."
    )


def test_many_strong_features_are_no_leak() -> None:
    strong: dict[str, Any] = {
        f"x{i}": lambda y, random: y + random.normal(0, 0.2, EVENTS) for i in range(3)
    }
    assert data_notes(sample(**strong)) == []


def test_a_feature_that_is_a_function_of_the_label_or_the_weight() -> None:
    given = sample("regression", copy=lambda labels, random: np.exp(labels / 20))
    (note,) = data_notes(given)
    assert note.startswith("The feature 'copy' is nearly a function of the label: their rank corr")
    assert f"is {spearmanr(given.labels, given.features[:, 3])[0]:.5f} on 3000" in note
    weights = np.random.default_rng(9).exponential(1.0, EVENTS)
    (note,) = data_notes(sample(w=-2 * weights, weights=weights))
    assert note.startswith("The feature 'w' ranks events as their weights do (rank correlation -1")


def test_notes_stand_in_the_log_and_look_at_the_training_part_alone(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    y = random.integers(0, 2, 500)
    x = np.where(np.arange(500) % 9 == 0, -999, random.normal(size=500).round(3))
    words = np.where(np.arange(500) == 7, "missing", random.integers(0, 5, 500).astype(str))
    lines = [f"{a},{b},{c}" for a, b, c in zip(x, words, y, strict=True)]
    (tmp_path / "events.csv").write_text("\n".join(["x,code,y", *lines]))
    events = {"path": str(tmp_path / "events.csv"), "label": "y", "features": ["x", "code"]}
    filled = {"name": "code", "value": "code", "fill": "0"}
    table = {"events": {**events, "features": ["x", filled]}, "model": {"hidden": []}}
    run = steepest.train(table, out=tmp_path / "run", progress=False)
    log = (run.path / "log.txt").read_text(encoding="utf-8")
    assert "−999 looks like a marker of missing values: x (56 of 500 events, the others" in log
    assert "The feature 'code' is text, of 6 categories: besides numbers it has 'missing'." in log


def test_words_in_a_column_of_numbers_are_named_as_the_cause(tmp_path: Path) -> None:
    values = np.random.default_rng(1).normal(size=400).round(6).astype(str)
    values[50] = "missing"
    lines = [f"{value},{i % 2}" for i, value in enumerate(values)]
    (tmp_path / "events.csv").write_text("\n".join(["x,y", *lines]))
    table = {"events": {"path": str(tmp_path / "events.csv"), "label": "y", "features": ["x"]}}
    with pytest.raises(EventsError, match="'missing' in a column that is else of numbers"):
        steepest.train(table, out=tmp_path / "run", progress=False)


def test_healthy_samples_have_no_note() -> None:
    keys = [{"label": "is_top"}, {"label": "mass"}, {"label": "is_top", "weight": "pt"}]
    given = [{"path": "embedded:top-jets", **key} for key in keys]
    if DATA.is_dir():
        given += [
            {"path": str(DATA / "higgs.train"), "label": "c0"},
            {"path": str(DATA / "Zmumu_Run2011A.csv"), "label": "pt1"},
            {"path": str(DATA / "uproot-Zmumu.root"), "label": "M"},
        ]
    for events in given:
        assert data_notes(load_sample(Recipe.from_dict({"events": events}).events)) == [], events
