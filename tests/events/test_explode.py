"""One row for each element of lists: for each jet of an event."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from steepest import evaluate
from steepest.errors import EventsError
from steepest.evaluate import roc_curve
from steepest.evaluate.figures import rejection_curve
from steepest.events import MemoryBudget, load_sample
from steepest.recipe import EventsRecipe, Recipe
from steepest.storage import in_memory
from steepest.training.importance import importance_of
from steepest.training.scored import Scored

EVENTS = 600
DATA = Path(os.environ.get("STEEPEST_DATA", "../shared/data"))


def jagged() -> dict[str, ak.Array]:
    """Events with 0 to 4 jets and other leptons, as awkward arrays."""
    random = np.random.default_rng(5)
    jets, leptons = random.integers(0, 5, EVENTS), random.integers(0, 3, EVENTS)
    return {
        "Jet_pt": ak.unflatten(random.exponential(50, jets.sum()), jets),
        "Jet_flavour": ak.unflatten(random.integers(0, 2, jets.sum()), jets),
        "Lepton_pt": ak.unflatten(random.exponential(30, leptons.sum()), leptons),
        "MET": ak.Array(np.sort(random.exponential(40, EVENTS))),
        "gen": ak.Array(random.uniform(0.5, 1.5, EVENTS)),
    }


@pytest.fixture
def path(write: Callable[..., str]) -> str:
    columns = {name: column.to_list() for name, column in jagged().items()}
    return write(columns, "events.parquet", row_group_size=70)


def recipe(path: str, **keys: Any) -> EventsRecipe:
    table = {"path": path, "label": "Jet_flavour", "explode": "Jet", "features": ["Jet_pt", "MET"]}
    return Recipe.from_dict({"events": {**table, **keys}}).events


def flat(select: Callable[[dict[str, ak.Array]], ak.Array] | None = None) -> dict[str, np.ndarray]:
    """What awkward makes of the jets that are selected."""
    events = jagged()
    events["row"] = ak.Array(np.arange(EVENTS))
    events["leptons"] = ak.num(events.pop("Lepton_pt"))
    events["index"] = ak.local_index(events["Jet_pt"])
    wide = {
        name: ak.broadcast_arrays(column, events["Jet_pt"])[0] for name, column in events.items()
    }
    kept = ak.ones_like(events["Jet_pt"], dtype=bool) if select is None else select(wide)
    return {name: ak.flatten(column[kept]).to_numpy() for name, column in wide.items()}


def test_each_jet_is_a_row(path: str) -> None:
    leptons = {"name": "leptons", "value": "count(Lepton_pt)"}
    features = ["Jet_pt", "MET", leptons, "Jet_index", "event_row"]
    chosen = recipe(path, features=features, weight="gen", select="Jet_pt > 20 AND MET < 60")
    sample = load_sample(chosen)
    expected = flat(lambda wide: (wide["Jet_pt"] > 20) & (wide["MET"] < 60))
    names = ("Jet_pt", "MET", "leptons", "index", "row")
    np.testing.assert_array_equal(sample.features, np.column_stack([expected[n] for n in names]))
    np.testing.assert_array_equal(sample.labels, expected["Jet_flavour"])
    np.testing.assert_array_equal(sample.weights, expected["gen"])
    assert sample.read["row_groups"] < sample.read["row_groups_total"]  # MET is sorted
    jets = int(ak.num(jagged()["Jet_pt"]).to_numpy().sum())
    assert any(note.startswith(f"Each row is one Jet: {jets} rows of 600") for note in sample.notes)


def test_the_jets_of_an_event_are_in_one_part(path: str) -> None:
    sample = load_sample(recipe(path, features=["Jet_pt", "event_row"]))
    events = sample.features[:, 1]
    for event in np.unique(events):
        assert len(np.unique(sample.part[events == event])) == 1
    shares = np.bincount(sample.part, minlength=3) / len(sample)
    np.testing.assert_allclose(shares, [0.7, 0.1, 0.2], atol=0.06)
    single = recipe(path, explode=None, label="MET > 20", features=["MET"])
    of_events = load_sample(single).part  # an event's part does not depend on its having rows
    np.testing.assert_array_equal(sample.part, of_events[events.astype(int)])


def test_default_features_and_wildcards_leave_places_out(path: str) -> None:
    assert load_sample(recipe(path, features=None)).names == ("Jet_pt", "MET")
    assert load_sample(recipe(path, features=["Jet_*"], label="MET")).names == (
        "Jet_pt",
        "Jet_flavour",
    )


def test_rows_on_disk(path: str, tmp_path: Path) -> None:
    stored = load_sample(recipe(path), budget=MemoryBudget(1000, tmp_path))
    assert stored.on_disk
    expected = flat()
    np.testing.assert_array_equal(in_memory(stored.features)[:, 0], expected["Jet_pt"])


def test_the_sum_of_weights_is_that_of_events(path: str) -> None:
    one = {"name": "ttbar", "path": path, "cross_section": 2.0}
    table = {"samples": [one], "label": "Jet_flavour", "weight": "gen", "luminosity": 3.0}
    given = {**table, "explode": "Jet", "features": ["Jet_pt"]}
    sample = load_sample(Recipe.from_dict({"events": given}).events)
    total = jagged()["gen"].to_numpy().sum()
    np.testing.assert_allclose(sample.weights, flat()["gen"] * 6000.0 / total, rtol=1e-12)


@pytest.mark.parametrize("split", [{}, pytest.param({"folds": 3}, marks=pytest.mark.slow)])
def test_scores_have_the_place_of_their_jet(path: str, tmp_path: Path, split: Any) -> None:
    table = recipe(path, split=split, select="Jet_pt > 5").model_dump(exclude_none=True)
    given = {"events": table, "model": {"hidden": []}, "evaluate": {"baseline": False}}
    run = steepest.train(given, out=tmp_path / "run", progress=False)
    steepest.predict(run.path, path, tmp_path / "all.parquet", progress=False)
    written, expected = pq.read_table(tmp_path / "all.parquet"), flat()
    for name, column in {"event_row": "row", "Jet_index": "index", "Jet_pt": "Jet_pt"}.items():
        np.testing.assert_array_equal(written[name], expected[column])
    assert written["Lepton_pt"].type == pa.list_(pa.float64())
    inputs = np.column_stack([expected["Jet_pt"], expected["MET"]])
    if not split:
        np.testing.assert_array_equal(written["score"], run.predict(inputs))
    options = {"columns": "none", "select": "Jet_pt > 30", "progress": False}
    steepest.predict(run.path, path, tmp_path / "none.parquet", **options)
    bare, kept = pq.read_table(tmp_path / "none.parquet"), expected["Jet_pt"] > 30
    assert bare.column_names == ["file", "event_row", "Jet_index", "score"]
    np.testing.assert_array_equal(bare["event_row"], expected["row"][kept])
    np.testing.assert_array_equal(bare["score"], np.asarray(written["score"])[kept])
    if split:  # each jet is scored by the model of its event's fold, whose test part it is in
        sample = load_sample(recipe(path, split=split, features=["Jet_pt", "MET"]))
        for fold in range(3):
            mine = sample.of_fold(fold).part == 2
            models = steepest.Run(run.path / "folds" / str(fold))
            scores = models.predict(inputs[mine])
            np.testing.assert_array_equal(np.asarray(written["score"])[mine], scores)


def test_lists_that_do_not_fit(write: Any, refused: Any) -> None:
    path = write({"Jet_pt": [[1.0], [2.0, 3.0]], "Jet_eta": [[1.0], [2.0]], "y": [0, 1]})
    refused(
        EventsError,
        """
Jet_pt and Jet_eta differ in length in DIR/jets.parquet at row 1.
  expected: lists of one length in each event, to make a row of each element
  found:    2 and 1 elements
  cause:    lists of different objects whose names begin alike
  do:       leave Jet_pt out, or rename it in the file
""",
        load_sample,
        recipe(path, label="y", features=["Jet_pt", "Jet_eta"]),
    )
    refused(
        EventsError,
        """
There are no lists Muon_… in DIR/jets.parquet (events.explode).
  expected: one of Jet
  found:    Jet_pt, Jet_eta, y
  do:       give the name before the underscore: Jet of Jet_pt
""",
        load_sample,
        recipe(path, explode="Muon"),
    )
    path = write({"Jet_pt": [[1.0]], "Jet_index": [[1.0]], "y": [0]})
    with pytest.raises(EventsError, match="have a column 'Jet_index', as"):
        load_sample(recipe(path))


def test_lists_that_are_null_and_lists_of_lists(write: Any) -> None:
    lists = pa.array([[[1.0], [2.0, 3.0]], None, [], [[4.0]], [[7.0]]])
    columns = {
        "Jet_parts": lists,
        "Jet_n": [[1, 2], None, [], [1], [3]],
        "y": [0.5, 1.0, 2.0, 5.0, 6.0],
    }
    total = {"name": "total", "value": "sum(Jet_parts)"}
    path = write(columns)
    split = {"validation": 0.0, "test": 0.0}
    sample = load_sample(recipe(path, label="y", features=[total, "Jet_n"], split=split))
    np.testing.assert_array_equal(sample.features, [[1, 1], [5, 2], [4, 1], [7, 3]])
    np.testing.assert_array_equal(sample.labels, [0.5, 0.5, 5, 6])


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no files in {DATA}")
@pytest.mark.parametrize(
    ("file", "name", "columns"),
    [
        ("nanoAOD_2015_CMS_Open_Data_ttbar.root", "Jet", ("Jet_pt", "Jet_mass", "MET_pt")),
        ("pfnano.root", "FatJet", ("FatJet_pt", "FatJet_msoftdrop", "MET_pt")),
    ],
)
def test_files_of_experiments(file: str, name: str, columns: tuple[str, ...]) -> None:
    uproot: Any = pytest.importorskip("uproot")
    with uproot.open(DATA / file) as opened:
        events = opened["Events"].arrays([*columns, "run", "event"])
    wide = [ak.broadcast_arrays(events[c], events[columns[0]])[0] for c in columns]
    expected = np.column_stack([ak.flatten(column).to_numpy() for column in wide])
    keys = {"label": columns[0], "features": list(columns[1:])}
    split = {"validation": 0.0, "test": 0.0}
    given = recipe(f"{DATA / file}:Events", explode=name, split=split, **keys)
    sample = load_sample(given)
    np.testing.assert_array_equal(sample.labels, expected[:, 0])
    np.testing.assert_array_equal(sample.features, expected[:, 1:])


@pytest.fixture(scope="module")
def clustered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Events whose jets all have the label and a good part of the features of the event."""
    random = np.random.default_rng(7)
    count = 900
    jets, label = random.integers(1, 7, count), random.integers(0, 2, count)
    common = np.repeat(label + random.normal(0, 1, count), jets)
    columns = {
        "Jet_pt": ak.unflatten(50 + 10 * (common + random.normal(0, 0.3, jets.sum())), jets),
        "Jet_eta": ak.unflatten(random.normal(0, 1, jets.sum()), jets),
        "signal": ak.Array(label),
        "number": ak.Array(np.arange(count)),
    }
    path = tmp_path_factory.mktemp("clustered") / "events.parquet"
    pq.write_table(pa.table({name: column.to_list() for name, column in columns.items()}), path)
    return {
        "events": {
            "path": str(path), "label": "signal", "explode": "Jet",
            "features": ["Jet_pt", "Jet_eta"], "split": {"validation": 0.2, "test": 0.4},
        },
        "model": {"hidden": [4]},
        "descent": {"epochs": 3, "batch_size": 128, "learning_rate": 0.02},
        "evaluate": {"bins": [{"column": "Jet_eta", "edges": [-1.0, 0.0, 1.0]}]},
    }  # fmt: skip


@pytest.mark.parametrize("folds", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_intervals_take_events_as_the_unit(clustered, folds, tmp_path: Path) -> None:
    table = {**clustered, "events": {**clustered["events"]}}
    if folds:
        table["events"]["split"] = {"folds": folds, "validation": 0.1}
    run = steepest.train(table, tmp_path / "run")
    metrics = run.metrics
    assert metrics is not None
    labels, scores = [], []
    for each in run.folds or [run]:
        test = load_sample(each.recipe.events).of("test")
        labels.append(test.labels)
        scores.append(each.predict(test.features))
    of_rows = evaluate.auc(np.concatenate(labels), np.concatenate(scores))
    merits = metrics["merits"]
    found = merits["model"]["auc"]
    assert found["value"] == pytest.approx(of_rows.value, rel=1e-9)
    assert found["uncertainty"] > 1.4 * of_rows.uncertainty
    for merit in (found, *merits["gain"].values(), merits["baseline"]["auc"]):
        assert "groups of events" in merit["definition"]
    (bins,) = metrics["bins"]
    assert "groups of events" in bins["merits"]["signal_efficiency"][0]["definition"]
    assert run.evaluate()["merits"]["model"]["auc"] == found
    bands_are_of_events(run.path / "figures", np.concatenate(labels), np.concatenate(scores))


def bands_are_of_events(figures: Path, labels: np.ndarray, scores: np.ndarray) -> None:
    curve = json.loads((figures / "roc.json").read_text())[0]
    of_rows = rejection_curve(roc_curve(labels, scores), "rows", minimum_background=3)
    middle = len(of_rows.low) // 2
    assert curve["rejection"][middle] == pytest.approx(of_rows.rejection[middle], rel=1e-9)
    widths = [np.log(high[middle] / low[middle]) for high, low in (
        (curve["high"], curve["low"]), (of_rows.high, of_rows.low)
    )]  # fmt: skip
    assert widths[0] > 1.2 * widths[1]
    curve = json.loads((figures / "calibration.json").read_text())["curves"][0]
    plain = evaluate.calibration_curve(labels, scores)
    of_events = np.array(curve["high"], dtype=float) - np.array(curve["low"], dtype=float)
    assert (of_events > 1.1 * (plain.high - plain.low))[plain.events > 100].all()
    scores_of = json.loads((figures / "scores.json").read_text())
    drawn, rows = scores_of["background_test"], int((labels == 0).sum())
    content, errors = np.array(drawn["contents"]), np.array(drawn["errors"])
    of_rows = np.sqrt(content * rows / np.diff(drawn["edges"])) / rows
    full = content > 0.2 * content.max()
    assert (errors[full] >= of_rows[full] * (1 - 1e-9)).all()
    assert errors[full].mean() > 1.1 * of_rows[full].mean()
    assert scores_of["background_agreement"]["second_effective"] < 0.7 * rows


def test_importance_takes_events_as_the_unit(clustered, tmp_path: Path) -> None:
    run = steepest.train({**clustered, "evaluate": {"importance": True}}, tmp_path / "run")
    assert run.metrics is not None
    of_events = run.metrics["importance"]["Jet_pt"]
    of_rows = importance_of(Scored(run.model, load_sample(run.recipe.events).of("test")))["Jet_pt"]
    assert of_events["value"] == pytest.approx(of_rows["value"], rel=1e-6)
    assert of_events["uncertainty"] > 1.3 * of_rows["uncertainty"]
    assert "events are the unit" in of_events["definition"]
    assert "events are the unit" not in of_rows["definition"]
