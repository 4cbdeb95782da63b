"""Samples: features, labels, weights, parts, and where each event came from."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.errors import EventsError
from steepest.events import load_events, load_sample
from steepest.events.reading.reading import gather
from steepest.recipe import EventsRecipe

N = 400
ROW = np.arange(N)


def jets(**changes: Any) -> dict[str, Any]:
    return {
        "event": ROW * 3,
        "pt": (ROW + 1.0).astype(np.float32),
        "mass": np.sqrt(ROW + 1.0),
        "charge": (ROW % 3 - 1).astype(np.int8),
        "w": 0.5 + ROW % 2,
        "is_top": (ROW % 2).astype(np.int8),
        "tagged": ROW % 4 == 0,
        "kind": np.array(["qcd", "w", "top"])[ROW % 3],
        "hits": [[1.0]] * N,
        **changes,
    }


@pytest.fixture
def recipe(write):
    def recipe(changes: dict[str, Any] | None = None, **keys: Any) -> EventsRecipe:
        path = write(jets(**(changes or {})), row_group_size=100)
        return EventsRecipe(**{"path": path, "label": "is_top", "features": ["pt", "mass"], **keys})

    return recipe


def test_arrays_and_their_types(recipe) -> None:
    sample = load_sample(recipe(weight="w"))
    assert sample.features.dtype == np.float64
    assert sample.features.flags.c_contiguous
    assert sample.features.flags.writeable
    assert sample.features.shape == (N, 2)
    assert np.array_equal(sample.features, np.column_stack([ROW + 1.0, np.sqrt(ROW + 1.0)]))
    assert sample.names == ("pt", "mass")
    assert sample.labels.dtype == np.int64
    assert np.array_equal(sample.labels, ROW % 2)
    assert sample.weights is not None
    assert sample.weights.dtype == np.float64
    assert np.array_equal(sample.weights, 0.5 + ROW % 2)
    assert sample.part.dtype == np.int8
    assert sample.rows.dtype == np.int64
    assert np.array_equal(sample.rows, ROW)
    assert (sample.file == 0).all()
    assert (sample.task, sample.classes, sample.label) == ("binary", ("0", "1"), "is_top")


def test_parts(recipe) -> None:
    sample = load_sample(recipe(weight="w"))
    parts = [sample.of(name) for name in ("train", "validation", "test")]
    assert sum(len(part.labels) for part in parts) == N
    assert np.array_equal(np.sort(np.concatenate([part.rows for part in parts])), ROW)
    for index, part in enumerate(parts):
        assert np.array_equal(part.rows, ROW[sample.part == index])
        assert np.array_equal(part.features[:, 0], part.rows + 1.0)
        assert np.array_equal(part.labels, part.rows % 2)
        assert part.weights is not None
        assert np.array_equal(part.weights, 0.5 + part.rows % 2)
        assert np.array_equal(sample.of(index).rows, part.rows)
        assert (part.file == 0).all()
    assert load_sample(recipe()).of("train").weights is None
    with pytest.raises(ValueError, match="not in tuple"):
        sample.of("training")  # not a user's input: a name in the code


def test_derived_features_and_booleans(recipe) -> None:
    features = [
        "tagged",
        {"name": "ratio", "value": "mass / pt"},
        {"name": "heavy", "value": "mass > 10"},
        {"name": "one", "value": "1"},
    ]
    sample = load_sample(recipe(features=features))
    assert sample.names == ("tagged", "ratio", "heavy", "one")
    mass = np.sqrt(ROW + 1.0)
    expected = np.column_stack([ROW % 4 == 0, mass / (ROW + 1.0), mass > 10, np.ones(N)])
    assert np.array_equal(sample.features, expected)


def test_features_left_out(recipe) -> None:
    sample = load_sample(recipe(features=None, weight="w", split={"by": "event"}))
    assert sample.names == ("pt", "mass", "charge")
    assert sample.notes == [
        "Features are not named, so every numeric column is one: pt, mass, charge.",
        "Columns left out: event (the split's column); w (the weight); is_top (the label); "
        "tagged (true or false: name it to take it); kind (text: name it to take it); "
        "hits (lists: name an element or a reduction, as x[0] or sum(x)).",
        "The task is binary: the label is 0 or 1.",
    ]


def test_selection(recipe) -> None:
    sample = load_sample(recipe(select="100 < pt <= 250 AND NOT tagged", weight="w"))
    expected = ROW[(ROW + 1 > 100) & (ROW + 1 <= 250) & (ROW % 4 != 0)]
    assert np.array_equal(sample.rows, expected)
    assert np.array_equal(sample.features[:, 0], expected + 1.0)
    assert np.array_equal(sample.labels, expected % 2)
    assert sample.read == {
        "columns": ["is_top", "mass", "pt", "tagged", "w"],
        "row_groups": 2,
        "row_groups_total": 4,
        "rows": 200,
        "rows_total": N,
        "selected": len(expected),
    }


def test_a_null_answer_is_not_selected_and_is_noted(recipe) -> None:
    cut = pa.array([None if row < 5 else float(row) for row in ROW])
    sample = load_sample(recipe({"cut": cut}, select="NOT cut > 300"))
    assert sample.rows.min() == 5
    assert sample.notes[0] == (
        "The selection has no answer for 5 events, where a value is null; they are not selected."
    )


def test_many_files_know_their_rows(write) -> None:
    a = write(jets(), "a.parquet", row_group_size=64)
    b = write(jets(pt=ROW + 1000.0), "b.parquet", row_group_size=64)
    with pytest.raises(Exception, match="has another type"):
        load_sample(EventsRecipe(path=[a, b], label="is_top", features=["pt"]))
    b = write(jets(pt=(ROW + 1000.0).astype(np.float32)), "b.parquet", row_group_size=64)
    sample = load_sample(
        EventsRecipe(path=[a, b], label="is_top", features=["pt"], select="pt > 350")
    )
    first = sample.file == 0
    assert np.array_equal(sample.features[first, 0], sample.rows[first] + 1.0)
    assert np.array_equal(sample.features[~first, 0], sample.rows[~first] + 1000.0)
    assert [file["name"] for file in sample.source["files"]] == ["a.parquet", "b.parquet"]
    assert sample.source["rows"] == 2 * N


def test_a_column_of_any_name(write) -> None:
    columns = {"jet-pt [GeV]": ROW + 1.0, "is top?": ROW % 2, "m c": np.ones(N), "x": ROW * 2.0}
    sample = load_sample(
        EventsRecipe(
            path=write(columns),
            label="is top?",
            weight="m c",
            features=["jet-pt [GeV]", {"name": "r", "value": "x / `jet-pt [GeV]`"}],
            select="`jet-pt [GeV]` > 10",
        )
    )
    assert sample.names == ("jet-pt [GeV]", "r")
    assert len(sample.rows) == N - 10


def test_progress_ends_at_all_rows(recipe) -> None:
    calls: list[tuple[int, int]] = []
    load_sample(recipe(select="pt > 200"), progress=lambda *call: calls.append(call))
    assert calls == [(100, N), (200, N), (N, N)]


def test_weights_may_be_an_expression_and_negative(recipe) -> None:
    sample = load_sample(recipe(weight="w * where(charge == 0, -0.1, 1)"))
    assert sample.weights is not None
    assert np.array_equal(sample.weights, (0.5 + ROW % 2) * np.where(ROW % 3 == 1, -0.1, 1))
    assert (sample.weights < 0).any()


# --- the task -----------------------------------------------------------------------------------

MSE, BCE, CE = "mean-squared-error", "binary-cross-entropy", "cross-entropy"
NAMED, THREE = "descent.loss is ", "the label is an integer with 3 values"
TASKS: list[tuple[str, Any, str | None, str, tuple[str, ...], str]] = [
    ("y", ROW % 2 == 0, None, "binary", ("0", "1"), "the label is a condition"),
    ("y", ROW % 2, None, "binary", ("0", "1"), "the label is 0 or 1"),
    ("y", (ROW % 2).astype(np.uint8), None, "binary", ("0", "1"), "the label is 0 or 1"),
    ("y", (ROW % 2).astype(np.float32), None, "binary", ("0", "1"), "the label is 0 or 1"),
    ("y == 3", ROW % 4, None, "binary", ("0", "1"), "the label is a condition"),
    ("y", ROW % 3 * 5, None, "multiclass", ("0", "5", "10"), THREE),
    ("y - 1", ROW % 3, None, "multiclass", ("-1", "0", "1"), THREE),
    (
        "where(mass > 15, 2, where(mass > 10, 1, 0))", ROW, None, "multiclass", ("0", "1", "2"),
        THREE,
    ),
    (
        "y", np.array(["b", "c", "a"])[ROW % 3], None, "multiclass", ("a", "b", "c"),
        "the label is text with 3 values",
    ),
    (
        "y", pa.array(["t", "q"] * 200).dictionary_encode(), None, "binary", ("q", "t"),
        "the label has two values, of which 't' is taken as the signal and 'q' as the background; "
        "label = 'y == \"q\"' says otherwise",
    ),
    ("y", np.array(["t", "q"])[ROW % 2], CE, "multiclass", ("q", "t"), NAMED + CE),
    (
        "y", ROW, None, "regression", (),
        "the label is an integer with 400 values, more than 100",
    ),
    ("y", ROW / 7, None, "regression", (), "the label is a number with other values than 0 and 1"),
    (
        "y", (ROW % 3).astype(float), None, "regression", (),
        "the label is a number with other values than 0 and 1",
    ),
    ("y", ROW % 2, MSE, "regression", (), NAMED + MSE),
    ("y", ROW % 2 == 0, MSE, "regression", (), NAMED + MSE),
    ("y", ROW % 2, BCE, "binary", ("0", "1"), NAMED + BCE),
    ("y", ROW % 2, CE, "multiclass", ("0", "1"), NAMED + CE),
    ("y", ROW % 2 == 0, CE, "multiclass", ("0", "1"), NAMED + CE),
    ("y", ROW % 2 * 2 - 1, CE, "multiclass", ("-1", "1"), NAMED + CE),
    ("y", ROW % 200, CE, "multiclass", tuple(map(str, range(200))),
     NAMED + CE),
    ("y", (ROW % 3) * 1.0, CE, "multiclass", ("0", "1", "2"),
     NAMED + CE),
]  # fmt: skip


@pytest.mark.parametrize(("label", "values", "loss", "task", "classes", "reason"), TASKS)
def test_the_task(recipe, label, values, loss, task, classes, reason) -> None:
    split = {"validation": 0.0, "test": 0.0}
    sample = load_sample(recipe({"y": values}, label=label, split=split), loss=loss)
    assert (sample.task, sample.classes) == (task, classes)
    assert sample.labels.dtype == (np.float64 if task == "regression" else np.int64)
    assert sample.notes[-1] == f"The task is {task}: {reason}."
    if task != "regression":
        assert set(sample.labels.tolist()) == set(range(len(classes)))


def test_class_indices_are_those_of_the_sorted_names(recipe) -> None:
    sample = load_sample(recipe(label="kind"))
    assert sample.classes == ("qcd", "top", "w")
    names = np.array(["qcd", "w", "top"])[ROW % 3]
    assert [sample.classes[label] for label in sample.labels] == names.tolist()


def test_integers_sort_as_numbers(recipe) -> None:
    sample = load_sample(recipe({"y": np.array([10, 9, -1])[ROW % 3]}, label="y"))
    assert sample.classes == ("-1", "9", "10")
    assert np.array_equal(sample.labels, np.array([2, 1, 0])[ROW % 3])


def test_a_class_that_is_absent_from_a_part_is_noted(recipe) -> None:
    rare = np.where(ROW == 0, "rare", np.where(ROW % 2 == 0, "a", "b"))
    sample = load_sample(recipe({"y": rare}, label="y"))
    assert sample.part[0] == 0
    assert sample.notes[1:] == [
        "The validation part has no event of the class 'rare'.",
        "The test part has no event of the class 'rare'.",
    ]


def test_what_looks_like_a_leak_is_noted(recipe) -> None:
    sample = load_sample(recipe(label="pt + mass > 200", features=["pt", "mass"], weight="mass"))
    assert sample.notes == [
        "The label 'pt + mass > 200' can be computed from the features alone.",
        "The weight 'mass' and the features share columns.",
        "The task is binary: the label is a condition.",
    ]


def test_columns_that_features_are_made_of_do_not_give_the_label(recipe) -> None:
    product: Any = {"name": "product", "value": "pt * mass"}
    made = "Features are made of all columns of the label 'pt + mass > 200': mass, pt."
    for features in ([product], ["mass", product]):
        assert made in load_sample(recipe(label="pt + mass > 200", features=features)).notes


# --- other events -------------------------------------------------------------------------------


def test_other_events_are_all_the_test_part(recipe, write) -> None:
    trained = recipe(label="kind", weight="w", select="pt > 10", split={"by": "event"})
    other = jets(kind=["w"] * N)
    del other["event"]
    sample = load_events(trained, write(other, "o.parquet"), ("qcd", "top", "w"), "multiclass")
    assert (sample.part == 2).all()
    assert len(sample.of("test").labels) == N - 10
    assert (sample.labels == 2).all()
    assert sample.classes == ("qcd", "top", "w")
    assert sample.source["files"][0]["name"] == "o.parquet"
    assert sample.notes == ["All 390 selected events are the test part."]


def test_other_events_default_to_the_recipes(recipe) -> None:
    assert len(load_events(recipe(), None, ("0", "1"), "binary").rows) == N


def test_other_events_take_the_runs_features(recipe, write) -> None:
    trained = recipe(features=None)
    path = write({**jets(), "extra": ROW * 1.0}, "o.parquet")
    sample = load_events(trained, [path], ("0", "1"), "binary", names=("mass", "pt"))
    assert sample.names == ("mass", "pt")
    assert np.array_equal(sample.features[:, 1], ROW + 1.0)


@pytest.mark.parametrize(
    ("values", "task", "classes", "expected"),
    [
        (ROW % 2 == 0, "binary", ("0", "1"), 1 - ROW % 2),
        ((ROW % 2) * 1.0, "binary", ("0", "1"), ROW % 2),
        (np.ones(N, np.int64), "binary", ("0", "1"), np.ones(N)),
        (np.array([10, 9])[ROW % 2], "multiclass", ("-1", "9", "10"), np.array([2, 1])[ROW % 2]),
        (ROW * 0.5, "regression", (), ROW * 0.5),
        (np.ones(N), "regression", (), np.ones(N)),
        (ROW % 2 == 0, "regression", (), 1.0 - ROW % 2),
    ],
)
def test_labels_of_other_events(recipe, values, task, classes, expected) -> None:
    sample = load_events(recipe({"y": values}, label="y"), None, classes, task)
    assert np.array_equal(sample.labels, expected)
    assert sample.labels.dtype == (np.float64 if task == "regression" else np.int64)


# --- properties ---------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(group=st.integers(1, 500), batch=st.integers(1, 500))
def test_batches_do_not_matter(tmp_path_factory, group, batch) -> None:
    import pyarrow.parquet as pq

    from steepest.events.formats.registry import open_events
    from steepest.events.reading.plan import plan_of
    from steepest.events.sample.labels import encode

    path = tmp_path_factory.mktemp("batches") / "jets.parquet"
    pq.write_table(pa.table(jets()), path, row_group_size=group)
    made: Any = {"name": "r", "value": "mass ** 1.3 / pt"}
    recipe = EventsRecipe(
        path=str(path),
        label="kind",
        weight="w",
        features=["pt", made],
        select="charge >= 0 AND pt < 390",
    )
    source = open_events(str(path))
    whole = source.batches
    source.batches = partial(whole, batch_rows=batch)  # type: ignore[method-assign]
    found, seen = gather([(source, plan_of(recipe, source))])
    keep = (ROW % 3 - 1 >= 0) & (ROW + 1 < 390)
    assert np.array_equal(found.rows, ROW[keep])
    mass, pt = np.sqrt(ROW + 1.0)[keep], (ROW + 1.0)[keep]
    assert np.array_equal(found.features, np.column_stack([pt, np.power(mass, 1.3) / pt]))
    names = np.array(["qcd", "w", "top"])[ROW % 3][keep]
    classes = ("top", "qcd", "w")
    codes = encode(seen.counts, "label", "multiclass", classes, found.locate)(found.labels)
    assert np.array_equal(np.array(classes)[codes], names)
    assert np.array_equal(found.weights, (0.5 + ROW % 2)[keep])


def test_columns_that_are_no_features_are_carried_along(recipe) -> None:
    table = recipe(weight="w", split={"validation": 0.2, "test": 0.3}, select="pt > 10")
    sample = load_sample(table, extra=["charge", "sqrt(pt) + w", "pt"])
    assert list(sample.extra) == ["charge", "sqrt(pt) + w", "pt"]
    assert sample.names == ("pt", "mass")
    assert sample.read["columns"] == ["charge", "is_top", "mass", "pt", "w"]
    for values in sample.extra.values():
        assert values.dtype == np.float64
        assert values.flags.c_contiguous
    assert np.array_equal(sample.extra["charge"], sample.rows % 3 - 1)
    assert np.array_equal(sample.extra["pt"], sample.features[:, 0])
    for name in ("train", "validation", "test"):
        part = sample.of(name)
        expected = np.sqrt(part.features[:, 0]) + part.weights
        assert part.extra["sqrt(pt) + w"] == pytest.approx(expected)
    other = load_events(table, None, sample.classes, sample.task, extra=["charge"])
    assert np.array_equal(other.extra["charge"], other.rows % 3 - 1)
    assert load_sample(table).extra == {}


def test_numbers_weights_and_truth_are_no_default_features(recipe, write) -> None:
    columns = {"pt": ROW * 0.5, "is_top": ROW % 2}
    others = ("eventNumber", "run", "LumiBlock", "index", "__index_level_0__", "genWeight")
    others += ("mc_weight", "gen_pt", "truthMass", "nGenJet", "Unnamed: 0")
    columns |= dict.fromkeys(others, ROW * 1.0)
    sample = load_sample(recipe(columns, features=None))
    assert "pt" in sample.names
    assert not set(others) & set(sample.names)
    (told,) = [note for note in sample.notes if note.startswith("Columns left out")]
    assert "index, __index_level_0__, Unnamed: 0 (a number of events or rows)" in told
    assert "genWeight, mc_weight (a weight, by its name)" in told
    assert "gen_pt, truthMass, nGenJet (truth, by its name)" in told


def test_truth_of_a_list_is_left_out_of_its_wildcard(recipe) -> None:
    truth = ("jet_genJetIdx", "jet_hadronFlavour", "jet_partonFlavour", "jet.Flavor")
    columns = dict.fromkeys(("jet_pt", "jet_btagDeepFlavB", "jet_nGood", *truth), ROW * 1.0)
    sample = load_sample(recipe(columns | {"y": ROW % 2}, features=["jet[_.]*"], label="y"))
    assert sample.names == ("jet_pt", "jet_btagDeepFlavB", "jet_nGood")
    (note,) = [note for note in sample.notes if note.startswith("The features ")]
    assert note.endswith(f"It leaves out {', '.join(truth)} (truth, by its name).")


def test_an_index_that_pandas_names_is_no_default_feature(write) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"pt": ROW * 0.5, "y": ROW % 2}, index=pandas.Index(ROW, name="key"))
    path = write(pa.Table.from_pandas(frame))
    sample = load_sample(EventsRecipe(path=path, label="y"))
    assert sample.names == ("pt",)


def test_wildcards(recipe) -> None:
    columns = {"jet_pt": ROW * 1.0, "jet_eta": ROW * 0.5, "jet_label": ROW % 2, "y": ROW % 2}
    given = recipe(columns, features=["jet_*", "pt"], label="jet_label")
    sample = load_sample(given)
    assert sample.names == ("jet_pt", "jet_eta", "pt")
    assert (
        "The features 'jet_*' are jet_pt, jet_eta. It leaves out jet_label (the label)."
        in sample.notes
    )
    assert load_sample(recipe(columns, features=["jet_p*", "jet_pt", "pt"])).names[0] == "jet_pt"
    with pytest.raises(EventsError, match="There is no column 'muon_\\*'"):
        load_sample(recipe(columns, features=["muon_*"]))
    with pytest.raises(EventsError) as caught:
        load_sample(recipe(columns, features=["jet_l*"], label="jet_label"))
    assert caught.value.details["found"] == "jet_label (the label)"


def test_a_wildcard_leaves_out_what_only_counts(recipe) -> None:
    columns = {"pt": ROW * 0.5, "event": ROW, "weight_sf": ROW * 1.0, "y": ROW % 2}
    sample = load_sample(recipe(columns, features=["*"], label="y"))
    assert not {"event", "weight_sf", "y"} & set(sample.names)
    (note,) = [note for note in sample.notes if note.startswith("The features '*' are")]
    assert "event (a number of events or rows)" in note
    assert "weight_sf (a weight, by its name)" in note
    assert "(lists: name an element" in note
    assert load_sample(recipe(columns, features=["pt", "weight*"])).names == ("pt", "weight_sf")


def test_copies_of_an_event_go_to_one_part(write) -> None:
    random = np.random.default_rng(2)
    x = random.normal(size=(1000, 3))
    again = np.concatenate([x, x[:150]])
    columns = {name: again[:, i] for i, name in enumerate("abc")}
    columns["y"] = (np.concatenate([x[:, 0], x[:150, 0]]) > 0).astype(int)
    sample = load_sample(EventsRecipe(path=write(columns), label="y"))
    np.testing.assert_array_equal(sample.part[:150], sample.part[1000:])
    (note,) = [note for note in sample.notes if "copy" in note]
    assert note.startswith("300 events have a copy")
    plain = load_sample(
        EventsRecipe(path=write({k: v[:1000] for k, v in columns.items()}), label="y")
    )
    np.testing.assert_array_equal(sample.part[150:1000], plain.part[150:])
    assert not [note for note in plain.notes if "copy" in note]


def test_one_missing_value_for_all_features(write) -> None:
    columns = {"a": np.where(ROW % 5 == 0, -999.0, ROW), "b": ROW * 2.0, "y": ROW % 2}
    given = EventsRecipe(path=write(columns), label="y", missing=-999.0, fill="mean")
    sample = load_sample(given)
    assert {name: table.fill for name, table in sample.tables.items()} == {"a": "mean", "b": "mean"}
    assert sample.tables["a"].missing == -999.0
