"""Recipes from weaver's data configurations."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import steepest
from steepest.errors import InputError, MissingExtraError
from steepest.events import parse
from steepest.weaver import from_weaver
from steepest.weaver.expressions import Untranslated, translated

pytest.importorskip("yaml")

JETS = """
treename: tree
selection: (pt > 560) & (np.abs(eta) < 1.5) & ~(n_constituents < 10)
new_variables:
  part_px: part_pt*np.cos(part_phi)
  part_py: part_pt*np.sin(part_phi)
  part_pz: part_pt*np.sinh(part_eta)
  part_mask: ak.ones_like(part_energy)
  part_pt_log: np.log(part_pt)
  part_d0_tanh: np.tanh(part_d0)
  part_isMuon: part_class == 4
  jet_isQCD: is_top == 0
  jet_isTop: is_top == 1
  jet_width: ak.sum(part_pt*np.abs(part_eta - eta), axis=1)/ak.sum(part_pt, axis=1)
preprocess:
  method: manual
inputs:
  pf_points:
    length: 64
    vars: [part_eta, part_phi]
  pf_features:
    length: 64
    vars:
      - [part_pt_log, 1.7, 0.7]
      - [part_d0_tanh, null]
      - [part_d0, 0.5, 2, -1, 1, 0]
      - part_isMuon
  pf_vectors:
    length: 64
    vars: [part_px, part_py, part_pz, part_energy]
  pf_mask:
    length: 64
    vars: [part_mask]
  sv_features:
    length: 5
    vars: [sv_pt]
  jet:
    length: 1
    vars: [[mass, 100, 0.01], jet_width]
labels:
  type: simple
  value: [jet_isQCD, jet_isTop]
observers: [event_number]
weights:
  use_precomputed_weights: true
  weight_branches: [weight]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "data.yaml"
    path.write_text(text)
    return path


def test_each_part_of_a_configuration(tmp_path: Path):
    converted = from_weaver(written(tmp_path, JETS), "embedded:top-jets")
    events = converted.table["events"]
    assert events["path"] == "embedded:top-jets"
    assert events["select"] == ("((pt > 560) AND (abs(eta) < 1.5)) AND (NOT (n_constituents < 10))")
    assert events["label"] == "is_top == 1"
    assert events["train_weights"] == "weight"
    assert events["features"] == [
        {"name": "mass", "value": "min(max((mass - 100) * 0.01, -5), 5)"},
        {"name": "jet_width",
         "value": "sum(part_pt * abs(part_eta - eta)) / sum(part_pt)"},
    ]  # fmt: skip
    assert events["particles"] == {
        "px": "part_pt * cos(part_phi)",
        "py": "part_pt * sin(part_phi)",
        "pz": "part_pt * sinh(part_eta)",
        "energy": "part_energy",
        "most": 64,
        "features": [
            {"name": "part_d0_tanh", "value": "tanh(part_d0)"},
            {"name": "part_d0", "value": "min(max((part_d0 - 0.5) * 2, -1), 1)"},
            {"name": "part_isMuon", "value": "part_class == 4"},
        ],
    }
    assert converted.table["model"] == {"name": "particle-transformer"}
    notes = "\n".join(converted.notes)
    for said in ("0 jet_isQCD, 1 jet_isTop", "part_pt_log", "sv_features is left out", "observers",
                 "shifts, factors and limits", "The network and its training"):  # fmt: skip
        assert said in notes
    assert tomllib.loads(converted.to_toml()) == converted.table


def test_the_recipe_trains_on_simulated_jets(tmp_path: Path, capsys, monkeypatch):
    """Pythia's jets that come with the package; the features are what weaver would compute."""
    pytest.importorskip("torch")
    from steepest.cli import main

    config, out = written(tmp_path, JETS), tmp_path / "recipe.toml"
    arguments = ["recipe", "from-weaver", str(config), "--out", str(out)]
    more = ["--events", "embedded:top-jets", "--model", "deep-sets"]
    monkeypatch.setattr("sys.argv", ["steepest", *arguments, *more])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    said = capsys.readouterr()
    assert "sv_features is left out" in said.err
    assert str(out) in said.out
    settings = ["descent.epochs=2", "model.per_particle=[16]", "model.per_jet=[16]",
                "descent.batch_size=256", "descent.learning_rate=0.01"]  # fmt: skip
    run = steepest.train(out, tmp_path / "run", settings=settings, progress=False)
    assert run.metrics is not None
    assert run.metrics["classes"] == ["0", "1"]
    assert run.metrics["merits"]["model"]["auc"]["value"] > 0.8
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    assert "exists" in capsys.readouterr().err


FLAGS = """
inputs: {jet: {length: 1, vars: [pt, mass]}}
labels: {type: simple, value: [is_a, is_b, is_c]}
weights: {reweight_method: flat, reweight_vars: {pt: [500, 600]}, reweight_classes: [is_a]}
preprocess: {method: auto}
"""


@pytest.mark.parametrize("kind", [bool, np.float32])
def test_many_classes(tmp_path: Path, kind):
    """The number of the class is the place of its flag, be it a truth value or a number."""
    random = np.random.default_rng(0)
    number = random.integers(0, 3, 300)
    flags = {f"is_{name}": (number == i).astype(kind) for i, name in enumerate("abc")}
    events = tmp_path / "events.parquet"
    pl.DataFrame({"pt": random.normal(number, 1.0), "mass": random.normal(size=300), **flags}
                 ).write_parquet(events)  # fmt: skip
    converted = from_weaver(written(tmp_path, FLAGS), str(events))
    assert not [note for note in converted.notes if "taken as numbers" in note]
    table = pl.read_parquet(events).to_arrow().to_batches()[0]
    assert (parse(converted.table["events"]["label"]).evaluate(table) == number).all()
    assert converted.table["model"] == {"name": "dense"}
    assert converted.table["events"]["train_weights"] == "balanced"
    notes = "\n".join(converted.notes)
    assert "reweighting (flat in pt) is left out" in notes
    assert "medians and widths" in notes
    run = steepest.train(converted.recipe, tmp_path / "run", settings=["descent.epochs=1"],
                         progress=False)  # fmt: skip
    assert run.metrics is not None
    assert run.metrics["task"] == "multiclass"


def test_without_events_their_place_is_said(tmp_path: Path):
    text = "treename: Events" + FLAGS
    converted = from_weaver(written(tmp_path, text))
    assert converted.table["events"]["path"] == "events.root:Events"
    notes = "\n".join(converted.notes)
    assert "events.path" in notes
    assert "taken as numbers" in notes


EXPRESSIONS = {
    "np.sqrt(a**2 + b**2)": lambda a, b, x: np.sqrt(a**2 + b**2),
    "-a*(b - 1)/2": lambda a, b, x: -a * (b - 1) / 2,
    "np.clip(a, -0.5, 0.5)": lambda a, b, x: np.clip(a, -0.5, 0.5),
    "_clip(a, -0.5, 0.5)": lambda a, b, x: np.clip(a, -0.5, 0.5),
    "np.minimum(a, b) + np.maximum(a, b)": lambda a, b, x: a + b,
    "np.arctan2(a, b) + np.pi": lambda a, b, x: np.arctan2(a, b) + np.pi,
    "np.where((a > 0) | (b > 0), a, b)": lambda a, b, x: np.where((a > 0) | (b > 0), a, b),
    "np.where(~((a > 0) & (b > 0)), 1, 0)": lambda a, b, x: np.where((a > 0) & (b > 0), 0, 1),
    "ak.sum(x, axis=1)": lambda a, b, x: np.array([sum(row) for row in x]),
    "ak.max(x, axis=-1) - ak.num(x)": lambda a, b, x: np.array([max(r) - len(r) for r in x]),
    "x[:, 0] * a": lambda a, b, x: np.array([row[0] for row in x]) * a,
    "ak.sum(x[x > 1], axis=1)": lambda a, b, x: np.array([sum(v for v in r if v > 1) for r in x]),
    "twice + 1": lambda a, b, x: 2 * a + 1,
    "2 - (1 - a)": lambda a, b, x: 1 + a,
    "0 < a < 1": lambda a, b, x: (a > 0) & (a < 1),
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_translated_expressions_have_the_value_of_python(text: str):
    random = np.random.default_rng(3)
    a, b = random.normal(size=(2, 50))
    x = [random.uniform(0, 2, n).tolist() for n in random.integers(1, 5, 50)]
    batch = pa.record_batch({"a": a, "b": b, "x": x})
    found = parse(translated(text, {"twice": "a + a"})).evaluate(batch)
    np.testing.assert_allclose(found, EXPRESSIONS[text](a, b, x), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("np.linalg.norm(a)", "the call np.linalg.norm"),
        ("open('x')", "the function open"),
        ("__import__('os').system('true')", "the call"),
        ("a // 2", "a // 2"),
        ("a.b", "a.b"),
        ("[a, b]", "[a, b]"),
        ("a[0:2]", "0:2"),
        ("lambda x: x", "lambda"),
        ("np.sum(a)", "the function np.sum"),
        ("np.round(a, decimals=2)", "decimals"),
        ("a +", "not Python"),
        ("loop", "defined by itself"),
        ("broken", "is not Python"),
    ],
)
def test_what_has_no_form_in_a_recipe(text: str, found: str):
    with pytest.raises(Untranslated) as caught:
        translated(text, {"loop": "loop + 1", "broken": "1 +"})
    assert found in str(caught.value)


def test_inputs_without_a_form_are_left_out_and_labels_are_errors(tmp_path: Path):
    text = FLAGS.replace("[pt, mass]", "[pt, mass, odd]") + "new_variables: {odd: pt // 2}\n"
    converted = from_weaver(written(tmp_path, text), "x.parquet")
    assert converted.table["events"]["features"] == ["pt", "mass"]
    assert any("The input odd is left out" in note for note in converted.notes)
    bad = FLAGS.replace("is_a, is_b", "odd, is_b") + "new_variables: {odd: pt // 2}\n"
    with pytest.raises(InputError, match="The label odd cannot be carried over"):
        from_weaver(written(tmp_path, bad))


def test_a_custom_label(tmp_path: Path):
    text = FLAGS.replace("type: simple, value: [is_a, is_b, is_c]",
                         "type: custom, value: {target: np.log(m), other: pt}")  # fmt: skip
    converted = from_weaver(written(tmp_path, text), "x.parquet")
    assert converted.table["events"]["label"] == "log(m)"
    assert any("Labels other are left out" in note for note in converted.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "no data configuration"),
        ("inputs: {a: {length: 1, vars: [x]}}", "no table labels"),
        ("inputs: [", "not valid YAML"),
        ("inputs: {a: {vars: [x]}}\nlabels: {type: simple, value: [one]}", "not those of a class"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_bad_files(text: str, message: str, tmp_path: Path):
    with pytest.raises(InputError) as caught:
        from_weaver(written(tmp_path, text))
    assert message in str(caught.value)


def test_no_file_and_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InputError, match="cannot be read"):
        from_weaver(tmp_path / "absent.yaml")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(MissingExtraError) as caught:
        from_weaver(written(tmp_path, FLAGS))
    assert "pip install 'steepest[weaver]'" in str(caught.value)
