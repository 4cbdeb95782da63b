"""Auxiliary heads: columns that a network regresses beside the label, up to predictions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
import undrawn
from samples import make_events, small_recipe, write_jets
from steepest.errors import EventsError, Interrupted, RecipeError
from steepest.losses import Head, MeanSquaredError, WithHeads, loss_named
from steepest.ranks import Ranks
from steepest.recipe import Recipe
from steepest.training import TrainingCallback, train
from thread_ranks import on_ranks

torch = pytest.importorskip("torch")

HEADS = [
    {"value": "jet_pt", "weight": 0.5},
    {"name": "width", "value": "sqrt(spread2)", "weight": 0.1},
]
LOSSES = ("mean-squared-error", "binary-cross-entropy", "cross-entropy")


def table_of(path: Path, **rooms: Any) -> dict[str, Any]:
    table: dict[str, Any] = {
        "events": {
            "path": str(path / "jets.parquet"), "label": "y", "weight": "w",
            "units": {"jet_pt": "GeV"},
        },
        "model": {"name": "deep-sets", "per_particle": [16, 16], "per_jet": [16], "heads": HEADS},
        "descent": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
        "evaluate": {"baseline": False},
    }  # fmt: skip
    for room, changes in rooms.items():
        table[room] = {**table[room], **changes}
    return table


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Jets with the sum of their pT and their squared width in η, and a run on them."""
    path = tmp_path_factory.mktemp("heads")
    lists = write_jets(path / "jets.parquet")
    pt, eta = (lists[f"part_{name}"].to_pylist() for name in ("pt", "eta"))
    columns = {
        "jet_pt": np.array([sum(one) for one in pt]),
        "spread2": np.array([np.var(one) if one else 0.0 for one in eta]),
        "w": np.random.default_rng(3).uniform(0.5, 1.5, len(pt)),
    }
    table = pq.read_table(path / "jets.parquet")
    for name, values in columns.items():
        table = table.append_column(name, pa.array(values))
    pq.write_table(table, path / "jets.parquet")
    with undrawn.undrawn_figures():
        steepest.train(Recipe.from_dict(table_of(path)), path / "run", progress=False)
    return path


@pytest.fixture
def run(folder: Path) -> steepest.Run:
    return steepest.Run(folder / "run")


@pytest.mark.parametrize("name", LOSSES)
def test_the_sum_and_its_derivatives(name: str):
    """Value against PyTorch's, gradient and curvature against numerical derivatives."""
    from steepest.objective.torch_losses import parts_of

    random = np.random.default_rng(1)
    outputs = 3 if name == "cross-entropy" else 1
    loss = WithHeads(loss_named(name), (Head("a", "a", 0.3), Head("b", "b", 2.0)))
    logits, direction = random.normal(size=(2, 20, outputs + 2))
    targets = np.column_stack(
        [random.integers(0, max(outputs, 2), 20), random.normal(size=(20, 2))]
    )
    of_torch = parts_of(loss, torch.from_numpy(logits), torch.from_numpy(targets))
    np.testing.assert_allclose(of_torch[0], loss.value(logits, targets), rtol=1e-12)
    parts = torch.stack(of_torch[1:], 1).numpy()
    np.testing.assert_allclose(parts, loss.parts(logits, targets), rtol=1e-9, atol=1e-14)
    h = 1e-6
    ends = [loss.value(logits + s * h * direction, targets) for s in (1, -1)]
    slope = (loss.gradient(logits, targets) * direction).sum(axis=1)
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), slope, rtol=1e-6, atol=1e-8)
    ends = [loss.gradient(logits + s * h * direction, targets) for s in (1, -1)]
    bend = loss.curvature(logits, targets, direction)
    np.testing.assert_allclose((ends[0] - ends[1]) / (2 * h), bend, rtol=1e-6, atol=1e-8)
    assert loss.curvature_bound >= 4.0


def test_each_loss_is_in_the_history(run: steepest.Run):
    """The sum is the label's part and the weighted parts of the heads; those are learnt."""
    rows = [row for row in run.history.to_dicts() if row["training_loss"] is not None]
    for part in ("training", "validation"):
        parts = np.array(
            [[row[f"{part}_loss_{name}"] for name in ("label", "jet_pt", "width")] for row in rows]
        )
        total = [row[f"{part}_loss"] for row in rows]
        np.testing.assert_allclose(parts @ [1.0, 0.5, 0.1], total, rtol=1e-6)
        assert (parts[-1] < 0.7 * parts[0]).all()
    assert "The head jet_pt learns jet_pt as (y − " in (run.path / "log.txt").read_text("utf-8")


def test_each_head_has_figures_of_merit(run: steepest.Run, folder: Path):
    """They are a regression's, on the test part; evaluate and the report give the same."""
    assert run.metrics is not None
    heads = {head["name"]: head for head in run.metrics["heads"]}
    assert heads["jet_pt"]["unit"] == "GeV"
    assert heads["width"]["value"] == "sqrt(spread2)"
    assert heads["jet_pt"]["merits"]["r_squared"]["value"] > 0.5
    again = run.evaluate(progress=False)
    assert again["heads"] == run.metrics["heads"]
    assert run.metrics["merits"]["model"].keys() == again["merits"]["model"].keys()
    report = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Auxiliary heads" in report
    assert "sqrt(spread2)" in report
    kept = run.metrics["descent"]["kept_step"]
    rows = {row["step"]: row for row in run.history.to_dicts()}
    assert run.metrics["losses"]["validation"] == pytest.approx(
        rows[kept]["validation_loss"], rel=1e-5
    )


def test_predictions_stand_beside_the_score(run: steepest.Run, folder: Path, tmp_path: Path):
    written = steepest.predict(
        run.path, folder / "jets.parquet", tmp_path / "out.parquet", progress=False
    )
    assert written.scores == ["score", "prediction_jet_pt", "prediction_width"]
    table = pq.read_table(tmp_path / "out.parquet")
    jet_pt, predicted = (table[n].to_numpy() for n in ("jet_pt", "prediction_jet_pt"))
    assert np.corrcoef(jet_pt, predicted)[0, 1] > 0.7
    assert abs(np.mean(predicted - jet_pt)) < 0.2 * jet_pt.std()
    assert ((table["score"].to_numpy() > 0) & (table["score"].to_numpy() < 1)).all()
    from steepest.training.inputs import prepare

    parts, _ = prepare(run.recipe, TrainingCallback(), tmp_path)
    features = parts[0].features
    of_heads = run.model.predict_heads(features)
    assert list(of_heads) == ["jet_pt", "width"]
    # of other batches, whose bits PyTorch's kernels do not promise
    nearest = np.abs(of_heads["jet_pt"][:, None] - predicted).min(axis=1)
    assert nearest.max() < 1e-5 * jet_pt.std()
    assert run.model.logits(features).shape == (len(features), 1)
    assert run.model.predict(features).shape == (len(features),)


def test_the_saved_model_says_its_heads(run: steepest.Run):
    config = json.loads((run.path / "model" / "config.json").read_text("utf-8"))
    assert config["version"] == 4
    assert [head["name"] for head in config["heads"]] == ["jet_pt", "width"]
    loss = run.model.loss
    assert isinstance(loss, WithHeads)
    assert loss.heads[0].target.width > 1.0
    assert run.model.predict_heads(_one_jet(run)).keys() == {"jet_pt", "width"}


def _one_jet(run: steepest.Run) -> Any:
    from steepest.training.inputs import prepare

    parts, _ = prepare(run.recipe, TrainingCallback(), run.path)
    return parts[0].features[:1]


class _Says(TrainingCallback):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


class _StopAt(TrainingCallback):
    """Interrupts after so many validations."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.left = rounds

    def round(self, state: Any, values: Any) -> None:
        self.left -= 1
        self.interrupted = self.left <= 0


def test_a_resumed_run_has_the_same_bits(run: steepest.Run, folder: Path, tmp_path: Path):
    recipe = Recipe.from_dict(table_of(folder))
    with undrawn.undrawn_figures():
        with pytest.raises(Interrupted):
            train(recipe, tmp_path / "run", _StopAt(4))
        again = steepest.resume(tmp_path / "run", progress=False)
    np.testing.assert_array_equal(again.model.theta, run.model.theta)
    assert again.metrics is not None
    assert run.metrics is not None
    assert again.metrics["heads"] == run.metrics["heads"]
    timed = ["seconds", "events_per_second"]
    assert again.history.drop(timed).equals(run.history.drop(timed), null_equal=True)


def test_two_ranks_are_one(folder: Path, tmp_path: Path):
    """Losses of the parts, and figures of merit, over two ranks of half the batch."""
    options = {"epochs": 2, "dtype": "float64"}

    def trained(batch: int, out: str) -> Any:
        descent = {**options, "batch_size": batch}
        return train(Recipe.from_dict(table_of(folder, descent=descent)), tmp_path / out)

    def on_rank(_: Ranks) -> Any:
        return trained(16, "two")

    with undrawn.undrawn_figures():
        one, (two, other) = trained(32, "one"), on_ranks(on_rank)
    for found in (two, other):
        if isinstance(found, Exception):
            raise found
    for name in one.history.column_names:
        if "loss" in name:
            a, b = (np.asarray(h.history[name], dtype=float) for h in (one, two))
            np.testing.assert_allclose(a, b, rtol=1e-9, err_msg=name)
    merits = [folder.metrics["heads"][0]["merits"]["r_squared"]["value"] for folder in (one, two)]
    assert merits[0] == pytest.approx(merits[1], rel=1e-7)


@pytest.mark.slow
def test_three_classes_folds_and_a_landscape(folder: Path, tmp_path: Path):
    """Cross entropy with a head, in folds: all events together have figures of the head too."""
    table = pq.read_table(folder / "jets.parquet")
    three = table["y"].to_numpy() * (1 + np.arange(len(table)) % 2)
    names = pa.array(np.array(["qcd", "w", "top"])[three])
    pq.write_table(table.set_column(0, "y", names), tmp_path / "jets.parquet")
    recipe = table_of(
        tmp_path,
        events={"split": {"folds": 2}},
        model={"heads": ["jet_pt"]},
        descent={"epochs": 2},
    )
    with undrawn.undrawn_figures():
        run = steepest.train(Recipe.from_dict(recipe), tmp_path / "run", progress=False)
    assert run.metrics is not None
    assert run.metrics["heads"][0]["merits"].keys() >= {"r_squared"}
    assert run.metrics["heads"][0]["merits"]["r_squared"]["counts"]["events"] == len(table)
    written = steepest.predict(
        run.path, tmp_path / "jets.parquet", tmp_path / "s.parquet", progress=False
    )
    assert written.scores[-2:] == ["predicted", "prediction_jet_pt"]
    fold = steepest.Run(run.path / "folds" / "0")
    said = _Says()
    drawn = fold.landscape("random", points=5, callback=said, progress=False)
    assert "5 points an axis, on 155 of 155 events" in " ".join(said.sentences)
    assert np.isfinite(drawn.surface.losses).all()


@pytest.mark.slow
def test_fine_tuning_gives_other_heads_a_new_last_layer(folder: Path, tmp_path: Path):
    with undrawn.undrawn_figures():
        for heads, said in ((HEADS, "the head too"), (["jet_pt"], "a new head of 2 outputs")):
            model = {"heads": heads, "initial": str(folder / "run")}
            recipe = table_of(folder, model=model, descent={"epochs": 1})
            out = steepest.train(Recipe.from_dict(recipe), tmp_path / said, progress=False)
            assert said in (out.path / "log.txt").read_text("utf-8")


def test_a_column_without_spread_is_learnt_as_it_is(folder: Path, tmp_path: Path):
    table = pq.read_table(folder / "jets.parquet")
    constant = pa.array(np.full(len(table), 7.0))
    table = table.set_column(table.column_names.index("jet_pt"), "jet_pt", constant)
    pq.write_table(table, tmp_path / "jets.parquet")
    recipe = table_of(tmp_path, model={"heads": ["jet_pt"]}, descent={"epochs": 1})
    with undrawn.undrawn_figures():
        run = steepest.train(Recipe.from_dict(recipe), tmp_path / "run", progress=False)
    assert isinstance(run.model.loss, WithHeads)
    assert run.model.loss.heads[0].target == MeanSquaredError()


def test_dense_models_say_why_they_have_none(tmp_path: Path):
    pq.write_table(pa.table(make_events(100)), tmp_path / "events.parquet")
    table = small_recipe(tmp_path / "events.parquet")
    table["model"]["heads"] = ["mass"]
    with pytest.raises(RecipeError, match=r"'dense' has no auxiliary heads[\s\S]*one target"):
        train(Recipe.from_dict(table), tmp_path / "run")


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (["sqrt(jet_pt)"], "letters, digits and _"),
        ([{"name": "label", "value": "jet_pt"}], "other than 'label'"),
        (["jet_pt", "jet_pt"], "different names"),
        ([{"value": "jet_pt", "weight": 0.0}], "greater than 0"),
        ([], "at least 1"),
    ],
)
def test_heads_that_make_no_sense_are_refused(folder: Path, heads: Any, message: str):
    with pytest.raises(RecipeError, match=message):
        Recipe.from_dict(table_of(folder, model={"heads": heads}))


def test_columns_that_cannot_be_predicted_are_refused(folder: Path, tmp_path: Path):
    with pytest.raises(EventsError, match="no column 'nothing'"):
        train(Recipe.from_dict(table_of(folder, model={"heads": ["nothing"]})), tmp_path / "a")
    given = table_of(folder, events={"features": ["jet_pt"]})
    with pytest.raises(RecipeError, match="is to predict 'jet_pt', which is a feature"):
        train(Recipe.from_dict(given), tmp_path / "b")
    table = pq.read_table(folder / "jets.parquet")
    values = table["jet_pt"].to_numpy().copy()
    values[17] = np.nan
    table = table.set_column(table.column_names.index("jet_pt"), "jet_pt", pa.array(values))
    pq.write_table(table, tmp_path / "jets.parquet")
    with pytest.raises(EventsError, match=r"'jet_pt'[\s\S]*row 17"):
        train(Recipe.from_dict(table_of(tmp_path)), tmp_path / "c")


def test_arrays_have_no_columns_for_heads():
    awkward = pytest.importorskip("awkward")
    from steepest.estimators.particles import ParticleClassifier

    jets = awkward.Array([{"pt": [1.0], "eta": [0.1], "phi": [0.0], "mass": [0.0]}] * 8)
    given = {"per_particle": [4], "per_jet": [4], "heads": ["jet_pt"]}
    with pytest.raises(EventsError, match="columns that the auxiliary heads predict"):
        ParticleClassifier("deep-sets", options=given, epochs=1).fit(jets, [0, 1] * 4)
