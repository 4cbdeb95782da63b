"""Friends: columns of other files, row by row or by key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import steepest
from steepest.errors import EventsError, InputError, RecipeError
from steepest.events import MemoryBudget, load_sample
from steepest.recipe import EventsRecipe, Recipe
from steepest.storage import in_memory

ROWS = {"a": 700, "b": 500}


def events(name: str) -> dict[str, np.ndarray]:
    random = np.random.default_rng(ROWS[name])
    number = np.arange(ROWS[name])
    return {
        "run": np.full(ROWS[name], len(ROWS) + ord(name)),
        "event": number,
        "pt": random.exponential(50, ROWS[name]),
        "signal": random.integers(0, 2, ROWS[name]),
    }


def scores(name: str) -> dict[str, Any]:
    given = events(name)
    return {
        "event": given["event"],
        "score": given["pt"] * 2.0,
        "lists": [[p] * 2 for p in given["pt"]],
        "w": given["event"] % 3 + 1.0,
    }


@pytest.fixture
def folder(tmp_path: Path, write: Callable[..., str]) -> Path:
    for name in ROWS:
        write(events(name), f"{name}.parquet", row_group_size=150)
        write(scores(name), f"scores/{name}.parquet", row_group_size=64)
    joined = {k: np.concatenate([events(n)[k] for n in ROWS]) for k in ("run", "event", "pt")}
    order = np.random.default_rng(1).permutation(sum(ROWS.values()))
    joined["bdt"] = joined.pop("pt") * 3.0
    write({name: column[order] for name, column in joined.items()}, "keyed.parquet")
    return tmp_path


def recipe(folder: Path, friends: list[Any], **keys: Any) -> EventsRecipe:
    table = {"path": str(folder / "[ab].parquet"), "label": "signal", "features": ["pt"]}
    return Recipe.from_dict({"events": {**table, "friends": friends, **keys}}).events


@pytest.mark.parametrize("path", ["scores/{stem}.parquet", "scores/*.parquet"])
def test_the_columns_of_a_friend_stand_beside_those_of_the_events(folder: Path, path: str) -> None:
    features = ["pt", "score", {"name": "total", "value": "sum(lists)"}]
    keys = {"weight": "w", "label": "score > 60", "select": "score > 20 AND pt < 90"}
    chosen = recipe(folder, [str(folder / path)], features=features, **keys)
    sample = load_sample(chosen)
    pt = np.concatenate([events(name)["pt"] for name in ROWS])
    weights = np.concatenate([scores(name)["w"] for name in ROWS])
    kept = (2 * pt > 20) & (pt < 90)
    np.testing.assert_array_equal(sample.features, np.column_stack([pt, 2 * pt, 2 * pt])[kept])
    np.testing.assert_array_equal(sample.labels, (2 * pt > 60)[kept])
    np.testing.assert_array_equal(sample.weights, weights[kept])
    assert [len(file["friends"]) for file in sample.source["files"]] == [1, 1]


def test_a_friend_with_a_key_may_have_another_order(folder: Path) -> None:
    key = {"path": str(folder / "keyed.parquet"), "key": ["run", "event"]}
    chosen = recipe(
        folder, [key, str(folder / "scores/{stem}.parquet")], features=["pt", "bdt", "w"]
    )
    sample = load_sample(chosen)
    np.testing.assert_array_equal(sample.features[:, 1], 3.0 * sample.features[:, 0])
    assert len(sample) == sum(ROWS.values())


def test_events_that_are_kept_on_disk_have_friends(folder: Path, tmp_path: Path) -> None:
    key = {"path": str(folder / "keyed.parquet"), "key": ["run", "event"]}
    chosen = recipe(folder, [key, str(folder / "scores/{stem}.parquet")],
                    features=["pt", "bdt", "score"])  # fmt: skip
    stored = load_sample(chosen, budget=MemoryBudget(1000, tmp_path))
    assert stored.on_disk
    np.testing.assert_array_equal(in_memory(stored.features), load_sample(chosen).features)


def test_friend_trees_of_root_files(folder: Path) -> None:
    uproot: Any = pytest.importorskip("uproot")
    for name in ROWS:
        with uproot.recreate(folder / f"{name}.root") as file:
            file["events"], file["friends"] = events(name), {"score": scores(name)["score"]}
    table = {
        "path": str(folder / "[ab].root:events"),
        "label": "signal",
        "features": ["pt", "score"],
    }
    for select in (None, "pt > 20", "score > 20"):
        friends = [str(folder / "[ab].root:friends")]
        given = {**table, "friends": friends} | ({"select": select} if select else {})
        values = load_sample(Recipe.from_dict({"events": given}).events).features
        pt = np.concatenate([events(name)["pt"] for name in ROWS])
        kept = {None: pt > 0, "pt > 20": pt > 20, "score > 20": 2 * pt > 20}[select]
        np.testing.assert_array_equal(values, np.column_stack([pt, 2 * pt])[kept])


def test_events_without_a_row_in_a_friend(folder: Path, write: Any, refused: Any) -> None:
    given = events("b")
    path = write({"event": given["event"][:600:2], "bdt": given["pt"][::2]}, "half.parquet")
    friend: dict[str, Any] = {"path": path, "key": "event"}
    refused(
        EventsError,
        """
950 events of 1200 have no row in the friend DIR/half.parquet, first in DIR/a.parquet at row 1.
  expected: for each event a row of the same event
  cause:    the friend was made of fewer events, or of others
  do:       missing = "null" of the friend takes its columns as missing there; give the features a \
fill, or select these events away
""".replace("950", "700"),
        load_sample,
        recipe(folder, [friend]),
    )
    friend["missing"] = "null"
    filled = {"name": "b", "value": "bdt", "fill": 0, "indicator": True}
    sample = load_sample(recipe(folder, [friend], features=["event", filled]))
    number = sample.features[:, 0]
    found = (number % 2 == 0) & (number < 500)
    np.testing.assert_array_equal(np.isnan(sample.features[:, 1]), ~found)
    assert any(note.startswith("700 events of 1200 have no row") for note in sample.notes)
    selected = load_sample(recipe(folder, [friend], features=["bdt"], select="isfinite(bdt)"))
    assert len(selected) == found.sum()


def test_a_key_that_is_there_twice(folder: Path, write: Any, refused: Any) -> None:
    path = write({"event": [5, 7, 5, 5], "bdt": np.zeros(4)}, "twice.parquet")
    refused(
        EventsError,
        """
The friend DIR/twice.parquet has 2 rows with a key that an earlier row has, first row 2 with that \
of row 0.
  expected: each event once
  cause:    files that overlap, or numbers that are unique within a run alone
  do:       add the column that tells them apart to the key, as in key = ["run", "event"]; if \
there is none, the friend has these rows twice: write it without
""",
        load_sample,
        recipe(folder, [{"path": path, "key": "event"}]),
    )


def test_keys_of_text_and_of_another_type(folder: Path, write: Any) -> None:
    names = np.array(["qcd", "top", "w"])
    given = events("a")
    main = write({**given, "process": names[given["event"] % 3]}, "text.parquet")
    path = write({"process": names, "xs": [1.0, 2.0, 3.0], "event": ["0", "1", "2"]}, "xs.parquet")
    keys = {"path": main, "friends": [{"path": path, "key": "process"}], "label": "signal"}
    sample = load_sample(Recipe.from_dict({"events": {**keys, "features": ["event", "xs"]}}).events)
    np.testing.assert_array_equal(sample.features[:, 1], sample.features[:, 0] % 3 + 1)
    with pytest.raises(EventsError, match="'event' is text in one of"):
        load_sample(recipe(folder, [{"path": path, "key": "event"}]))


def test_rows_that_are_other_events_are_refused(folder: Path, write: Any, refused: Any) -> None:
    given = {"run": events("a")["run"], **scores("a")}
    given["event"] = given["event"][::-1].copy()
    write(given, "scores/a.parquet")
    refused(
        EventsError,
        """
Row 0 of DIR/a.parquet and of its friend DIR/scores/a.parquet are different events.
  expected: event = 0 in both
  found:    event = 699 in the friend
  cause:    the friend's rows are in another order
  do:       join by key: friends = [{path = "…", key = ["run", "event"]}]
""",
        load_sample,
        recipe(folder, [str(folder / "scores/{stem}.parquet")], features=["score"]),
    )


def test_a_key_needs_a_column(folder: Path) -> None:
    with pytest.raises(RecipeError, match="friends") as caught:
        recipe(folder, [{"path": "keyed.parquet", "key": []}])
    assert "a column, or a list of columns" in str(caught.value)


def test_another_number_of_rows_or_files(folder: Path, refused: Any) -> None:
    message = """
The friend DIR/scores/a.parquet has not as many files as the events.
  expected: 2 files, one for each file of events
  found:    1 file: DIR/scores/a.parquet
  do:       write {stem} for the name of the file of events, without its suffix, or join by key
"""
    refused(EventsError, message, load_sample, recipe(folder, [str(folder / "scores/a.parquet")]))
    message = """
The friend DIR/scores/b.parquet has not as many rows as DIR/a.parquet.
  expected: 700 rows
  found:    500 rows
  cause:    one of the two was written with a selection
  do:       join by key: friends = [{path = "…", key = ["run", "event"]}]
"""
    swapped = {"path": [str(folder / f"scores/{name}.parquet") for name in "ba"]}
    refused(EventsError, message, load_sample, recipe(folder, [swapped]))


def test_columns_of_one_name(folder: Path, write: Any) -> None:
    for name in ROWS:
        write({"pt": events(name)["pt"] + 1.0}, f"other/{name}.parquet")
    friend = {"path": str(folder / "other/{stem}.parquet")}
    sample = load_sample(recipe(folder, [friend]))
    np.testing.assert_array_equal(sample.features[:700, 0], events("a")["pt"])
    assert any("the events have too, and these count: pt. A prefix" in n for n in sample.notes)
    chosen = recipe(folder, [{**friend, "prefix": "new_"}], features=["pt", "new_pt"])
    values = load_sample(chosen).features
    np.testing.assert_array_equal(values[:, 1], values[:, 0] + 1.0)


def test_samples_have_friends(folder: Path) -> None:
    friends = [str(folder / "scores/{stem}.parquet")]
    samples = [
        {"name": name, "path": str(folder / f"{name}.parquet"), "cross_section": 1.0}
        for name in ROWS
    ]
    samples[1]["friends"] = [{"path": str(folder / "scores/b.parquet")}]
    table = {"samples": samples, "friends": friends, "weight": "w", "luminosity": 2.0}
    sample = load_sample(Recipe.from_dict({"events": {**table, "features": ["score"]}}).events)
    for index, name in enumerate(ROWS):
        of_sample = sample.sample == index
        weights = scores(name)["w"]
        np.testing.assert_allclose(sample.weights[of_sample], weights * 2000.0 / weights.sum())
        np.testing.assert_array_equal(sample.features[of_sample, 0], scores(name)["score"])


def test_scores_are_those_of_events_with_their_friends(folder: Path, write: Any) -> None:
    key = ["run", "event"]
    table = {
        "events": {
            "path": "[ab].parquet",
            "label": "signal",
            "features": ["pt", "score", "bdt"],
            "friends": ["scores/{stem}.parquet", {"path": "keyed.parquet", "key": key}],
        },
        "model": {"hidden": []},
        "descent": {"epochs": 2},
    }
    path = folder / "recipe.toml"
    path.write_text(Recipe.from_dict(table).to_toml())
    run = steepest.train(path, out=folder / "run", progress=False)
    pt = np.concatenate([events(name)["pt"] for name in ROWS])
    expected = run.predict(np.column_stack([pt, 2 * pt, 3 * pt]))
    given = [str(folder / f"{name}.parquet") for name in ROWS]
    options: dict[str, Any] = {"prefix": "dnn_", "progress": False, "overwrite": True}
    out = folder / "scored" / "out.parquet"
    out.parent.mkdir()
    steepest.predict(run.path, given, out, **options)
    written = pq.read_table(out)
    np.testing.assert_array_equal(written["dnn_score"], expected)
    np.testing.assert_array_equal(written["bdt"], 3 * pt)
    friends = [str(folder / "scores/a.parquet"), str(folder / "keyed.parquet")]
    steepest.predict(run.path, given[0], out, friends=friends, columns="none", **options)
    np.testing.assert_array_equal(pq.read_table(out)["dnn_score"], expected[:700])
    whole = write({"pt": pt, "score": 2 * pt, "bdt": 3 * pt}, "whole.parquet")
    steepest.predict(run.path, whole, out, friends=[], **options)
    np.testing.assert_array_equal(pq.read_table(out)["dnn_score"], expected)
    with pytest.raises(InputError, match="not as many friends as the model was trained with"):
        steepest.predict(run.path, given[0], out, friends=friends[:1], **options)
    evaluated = run.evaluate(given, progress=False)
    assert evaluated["events"]["events"] == 1200
