"""Samples of a recipe: files by process, their labels, weights, selections and sums of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steepest.errors import EventsError, RecipeError
from steepest.events import MemoryBudget, events_by_sample, load_events, load_sample
from steepest.recipe import EventsRecipe, Recipe
from steepest.storage import in_memory

SIZES = {"signal_1": 300, "signal_2": 200, "ttbar": 400, "dy": 350}


def columns(name: str, generator: bool = True) -> dict[str, np.ndarray]:
    random = np.random.default_rng(len(name))
    count = SIZES[name]
    weights = np.where(random.random(count) < 0.2, -1.0, 1.0) * (1 + random.random(count))
    events = {
        "pt": random.exponential(50, count),
        "mass": random.normal(100, 20, count),
        "number": np.arange(count) + 1000 * len(name),
    }
    return {**events, "gen": weights} if generator else events


@pytest.fixture
def files(write) -> dict[str, str]:
    return {name: write(columns(name), f"{name}.parquet") for name in SIZES}


def recipe(files: dict[str, str], **keys: Any) -> EventsRecipe:
    folder = Path(files["dy"]).parent
    samples = [
        {"name": "signal", "path": str(folder / "signal_*.parquet"), "cross_section": 0.05},
        {"name": "ttbar", "path": files["ttbar"], "cross_section": 800.0},
        {"name": "dy", "path": files["dy"], "cross_section": 2000.0},
    ]
    for sample in samples:
        sample.update(keys.pop(sample["name"], {}))
    table = {"samples": samples, "features": ["pt", "mass"], "weight": "gen", **keys}
    return Recipe.from_dict({"events": table}).events


def test_weights_sum_to_cross_section_times_luminosity(files) -> None:
    sample = load_sample(recipe(files, luminosity=140.0, signal={"label": 1}))
    assert (sample.task, sample.classes) == ("binary", ("0", "1"))
    assert sample.sample_names == ("signal", "ttbar", "dy")
    for index, cross_section in enumerate((0.05, 800.0, 2000.0)):
        of_sample = sample.weights[sample.sample == index]
        assert of_sample.sum() == pytest.approx(cross_section * 140.0 * 1000.0, rel=1e-12)
    np.testing.assert_array_equal(sample.labels, sample.sample == 0)


def test_the_sum_of_weights_is_taken_before_the_selection(files) -> None:
    chosen = recipe(files, luminosity=2.0, select="pt > 30", ttbar={"select": "mass < 100"})
    sample = load_sample(chosen)
    for index, names in enumerate((("signal_1", "signal_2"), ("ttbar",), ("dy",))):
        given = [columns(name) for name in names]
        pt, mass, w = (np.concatenate([g[key] for g in given]) for key in ("pt", "mass", "gen"))
        kept = (pt > 30) & ((mass < 100) | (index != 1))
        expected = w[kept] * (0.05, 800.0, 2000.0)[index] * 2000.0 / w.sum()
        np.testing.assert_allclose(sample.weights[sample.sample == index], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "total"),
    [
        (1234.5, 1234.5),
        ("abs(gen)", np.abs(columns("dy")["gen"]).sum()),
        (None, columns("dy")["gen"].sum()),
    ],
)
def test_where_the_sum_of_weights_is_from(files, given, total) -> None:
    keys = {} if given is None else {"sum_of_weights": given}
    sample = load_sample(recipe(files, luminosity=1.0, dy=keys))
    summed = sample.weights[sample.sample == 2].sum()
    assert summed == pytest.approx(2000.0 * 1000.0 * columns("dy")["gen"].sum() / total)


def test_the_sum_of_weights_in_another_tree_and_in_a_histogram(tmp_path: Path) -> None:
    uproot = pytest.importorskip("uproot")
    for name in SIZES:
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            file["Events"] = columns(name)
            file["Runs"] = {"genEventSumw": np.array([70.0, 30.0])}
            file["cutflow"] = np.histogram([0.5] * 60 + [1.5] * 25, bins=2, range=(0, 2))
    table = {
        "features": ["pt"],
        "weight": "gen",
        "luminosity": 1.0,
        "select": 'tree == "Events" AND (sample == "dy" OR file != "dy.root")',
        "samples": [
            {
                "name": "signal",
                "path": f"{tmp_path}/signal_*.root:Events",
                "cross_section": 1.0,
                "sum_of_weights": "Runs:genEventSumw",
            },
            {
                "name": "dy",
                "path": f"{tmp_path}/dy.root:Events",
                "cross_section": 1.0,
                "sum_of_weights": "cutflow:2",
            },
        ],
    }
    sample = load_sample(Recipe.from_dict({"events": table}).events)
    signal = np.concatenate([columns("signal_1")["gen"], columns("signal_2")["gen"]])
    of = [sample.weights[sample.sample == index] for index in (0, 1)]
    np.testing.assert_allclose(of[0], signal * 1000.0 / 200.0)
    np.testing.assert_allclose(of[1], columns("dy")["gen"] * 1000.0 / 25.0)
    wrong = {**table, "samples": [*table["samples"]]}
    wrong["samples"][1] = {**wrong["samples"][1], "sum_of_weights": "cutflow:9"}
    with pytest.raises(EventsError, match="no bin 9 of a histogram 'cutflow'"):
        load_sample(Recipe.from_dict({"events": wrong}).events)


def test_names_are_the_classes_where_no_label_is_given(files) -> None:
    sample = load_sample(recipe(files))
    assert (sample.task, sample.classes) == ("multiclass", ("signal", "ttbar", "dy"))
    np.testing.assert_array_equal(sample.labels, sample.sample)


def test_of_two_samples_without_labels_the_first_is_the_signal(files) -> None:
    two = [{"name": "zz", "path": files["dy"]}, {"name": "aa", "path": files["ttbar"]}]
    chosen = Recipe.from_dict({"events": {"samples": two, "features": ["pt"]}}).events
    sample = load_sample(chosen)
    assert (sample.task, sample.classes) == ("binary", ("aa", "zz"))
    assert "'zz' is taken as the signal" in sample.notes[-1]
    np.testing.assert_array_equal(sample.labels == 1, sample.sample == 0)


def test_a_label_may_use_the_sample(files) -> None:
    sample = load_sample(recipe(files, label='sample in ["signal", "dy"]'))
    np.testing.assert_array_equal(sample.labels == 1, sample.sample != 1)


def test_on_disk_and_in_memory_are_one(files, tmp_path: Path) -> None:
    chosen = recipe(files, luminosity=3.0, dy={"select": "pt > 20"})
    kept = load_sample(chosen)
    budget = MemoryBudget(2000, tmp_path)
    stored = load_sample(chosen, budget=budget)
    assert stored.on_disk
    for part, events in stored.parts().items():
        same = kept.of(part)
        for name in ("features", "labels", "weights", "sample"):
            np.testing.assert_array_equal(in_memory(getattr(events, name)), getattr(same, name))


def test_default_features_are_those_that_all_samples_have(files, write) -> None:
    other = write({**columns("dy"), "extra": np.ones(350)}, "other.parquet")
    table = {
        "samples": [{"name": "a", "path": other}, {"name": "b", "path": files["ttbar"]}],
        "weight": "gen",
        "split": {"by": "number"},
    }
    sample = load_sample(Recipe.from_dict({"events": table}).events)
    assert sample.names == ("pt", "mass")
    assert any("extra (not in " in note for note in sample.notes)


def test_samples_without_weights_beside_others_weigh_one(files, write) -> None:
    plain = write(columns("dy", generator=False), "plain.parquet")
    table = {
        "features": ["pt"],
        "samples": [
            {"name": "a", "path": files["ttbar"], "weight": "gen"},
            {"name": "b", "path": plain},
        ],
    }
    sample = load_sample(Recipe.from_dict({"events": table}).events)
    np.testing.assert_array_equal(sample.weights[sample.sample == 0], columns("ttbar")["gen"])
    assert set(sample.weights[sample.sample == 1]) == {1.0}


def test_a_recipe_reads_its_own_samples_again(files) -> None:
    chosen = recipe(files, luminosity=1.0)
    again = load_events(chosen, None, ("signal", "ttbar", "dy"), "multiclass")
    np.testing.assert_array_equal(again.labels, again.sample)


CLASSES = ("signal", "ttbar", "dy")


def test_other_events_of_the_samples(files) -> None:
    chosen = recipe(files, luminosity=1.0)
    given = events_by_sample(chosen, [f"dy={files['dy']}", f"signal={files['signal_1']}",
                                     f"signal={files['signal_2']}"])  # fmt: skip
    sample = load_events(chosen, given, CLASSES, "multiclass")
    own = load_events(chosen, None, CLASSES, "multiclass")
    kept = own.labels != 1  # no ttbar
    np.testing.assert_array_equal(sample.labels, own.labels[kept])
    np.testing.assert_array_equal(sample.weights, own.weights[kept])
    assert sample.sample_names == ("signal", "dy")


def test_other_events_with_a_label_of_their_own(files) -> None:
    where = 'where(pt > 20, "dy", "ttbar")'
    sample = load_events(recipe(files), files["dy"], CLASSES, "multiclass", label=where)
    expected = np.where(sample.features[:, 0] > 20, 2, 1)
    np.testing.assert_array_equal(sample.labels, expected)
    assert set(expected) == {1, 2}


def test_other_events_without_a_class(files, refused) -> None:
    message = """
It is not said which class the events of DIR/dy.parquet have: in the recipe, the samples say it.
  expected: the sample that they are of (signal, ttbar, dy), or their label
  found:    neither
  do:       --events signal=FILE for each sample, or --label COLUMN (or expression); in Python \
events={"signal": "FILE", …} or label="COLUMN"; steepest predict needs no label
""".replace("\\\n", "")
    chosen = recipe(files)
    refused(EventsError, message, load_events, chosen, files["dy"], CLASSES, "multiclass")
    with pytest.raises(EventsError, match="and others are not"):
        events_by_sample(chosen, [f"dy={files['dy']}", files["ttbar"]])
    with pytest.raises(EventsError, match="has no sample 'top'"):
        load_events(chosen, {"top": files["dy"]}, CLASSES, "multiclass")


def test_what_is_refused(files, write) -> None:
    with pytest.raises(EventsError, match="of the sample 'dy' sum to 0"):
        load_sample(recipe(files, dy={"sum_of_weights": "pt - pt"}))
    with pytest.raises(RecipeError, match="leaves theirs open"):
        load_sample(recipe(files, dy={"label": 2}))
    with pytest.raises(RecipeError, match="are numbers and text"):
        load_sample(recipe(files, dy={"label": 2}, ttbar={"label": "x"}, signal={"label": 1}))
    with pytest.raises(RecipeError, match="label of the sample ttbar is a condition") as caught:
        load_sample(recipe(files, ttbar={"label": "pt > 50"}))
    assert "\"sample == 'ttbar' AND (pt > 50)\"" in str(caught.value.details["do"])
    text = write({**columns("dy"), "pt": ["a"] * 350}, "text.parquet")
    with pytest.raises(EventsError, match="'pt' is text in the sample 'dy'"):
        load_sample(recipe(files, dy={"path": text}))
    with pytest.raises(EventsError, match="there is no column 'nowhere'"):
        load_sample(recipe(files, dy={"weight": "nowhere * 2"}))
    with pytest.raises(EventsError, match="is a condition"):
        load_sample(recipe(files, dy={"sum_of_weights": "pt > 3"}))
    with pytest.raises(EventsError, match="there is no column 'sample'"):
        load_sample(
            recipe(files, features=[{"name": "leak", "value": 'where(sample == "dy", 1, 0)'}])
        )
