"""The card: what the Hub reads of it, and that it claims what the run holds and no more."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import tomli_w
import yaml

import steepest
from share.particle_models import model_of
from steepest.errors import InputError, RunFolderError
from steepest.evaluate import Merit
from steepest.folder import RunFolder
from steepest.share.card import card_of_model, card_of_run, claims, eval_results
from steepest.share.run import prepare

pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")
NAME = "dl4phys/top-tagger"


@pytest.fixture(scope="module")
def text(trained: Path) -> str:
    return card_of_run(RunFolder(trained), NAME, license="bsd-3-clause")


def test_the_hub_reads_its_metadata(text: str, trained: Path):
    from huggingface_hub import ModelCard

    card = ModelCard(text)
    data = card.data.to_dict()
    assert (data["library_name"], data["license"]) == ("steepest", "bsd-3-clause")
    assert data["pipeline_tag"] == "tabular-classification"
    assert "particle-physics" in data["tags"]
    metrics = steepest.Run(trained).metrics
    assert metrics is not None
    held = metrics["merits"]["model"]
    told = {result.metric_type: result for result in card.data.eval_results or ()}
    assert told.keys() == {n for n, m in held.items() if not Merit.from_json(m).is_limit}
    for name, result in told.items():
        merit = Merit.from_json(held[name])
        assert result.metric_value == merit.rounded().value
        assert result.dataset_split == "test"


def test_each_figure_stands_there_with_its_uncertainty(text: str, trained: Path):
    metrics = steepest.Run(trained).metrics
    assert metrics is not None
    for entry in metrics["merits"]["model"].values():
        merit = Merit.from_json(entry)
        assert f"| {merit.title} | {merit.format()} |" in text
    assert f"{metrics['parts']['test']['events']:,} events" in text
    for warning in metrics["warnings"]:
        assert f"- {warning}" in text


def test_the_lines_that_use_it_name_it(text: str):
    assert f'steepest.load("hf://{NAME}")' in text
    assert f"steepest predict hf://{NAME} events.parquet" in text
    assert "@software{steepest," in text


def test_it_refuses_a_figure_that_the_run_does_not_hold(trained: Path):
    folder = RunFolder(trained)
    card = card_of_run(folder, NAME, merits=["accuracy"])
    assert "| accuracy |" in card
    assert "| AUC |" not in card
    with pytest.raises(InputError, match=r"does not hold the figure of merit 'background_rejec"):
        card_of_run(folder, NAME, merits=["background_rejection_at_0.99"])
    with pytest.raises(InputError, match="do:       write accuracy"):
        card_of_run(folder, NAME, merits=["acuracy"])


def test_a_figure_without_a_value_is_not_told():
    absent = {"value": None, "reason": "no background passed"}
    metrics = {"merits": {"model": {"auc": absent}}}
    assert claims(metrics, None, Path("runs/x")) == {}
    with pytest.raises(InputError, match="found:    no background passed"):
        claims(metrics, ["auc"], Path("runs/x"))


def test_a_run_that_is_not_complete(trained_copy: Path):
    (trained_copy / "manifest.json").unlink()
    metrics = json.loads((trained_copy / "metrics.json").read_text())
    (trained_copy / "metrics.json").write_text(json.dumps({**metrics, "status": "diverged"}))
    with pytest.raises(RunFolderError, match='found:    "status": "diverged"'):
        prepare(trained_copy, NAME)


def test_verdict_pictures_and_results_on_the_hub(trained_copy: Path):
    folder = RunFolder(trained_copy)
    finding = {"sentence": "η is 3 times below the best.", "severity": 1}
    folder.write_json(
        "explanation.json",
        {"format": "steepest-explanation", "version": 1, "verdict": "It crawled.",
         "findings": [finding], "checks": []},
    )  # fmt: skip
    for name in ("figures/roc.png", "landscape/random/contour.png", "landscape/random/path.png"):
        (trained_copy / name).parent.mkdir(parents=True, exist_ok=True)
        (trained_copy / name).write_bytes(b"picture")
    metrics = folder.metrics
    assert metrics is not None
    file = {**metrics["source"]["files"][0], "dataset": "dl4phys/jets", "revision": "a" * 40}
    folder.write_json("metrics.json", {**metrics, "source": {**metrics["source"], "files": [file]}})
    prepared = prepare(trained_copy, NAME, merits=["auc"])
    assert "It crawled." in prepared.card
    assert "- η is 3 times below the best." in prepared.card
    assert "![ROC curve](figures/roc.png)" in prepared.card
    assert "](figures/landscape.png)" in prepared.card
    assert prepared.files["figures/roc.png"] == 7
    assert "datasets:\n- dl4phys/jets\n" in prepared.card
    ((name, text),) = eval_results(folder, ["auc"]).items()
    assert name == ".eval_results/dl4phys--jets.yaml"
    assert name in prepared.files
    (entry,) = yaml.safe_load(text)
    merit = Merit.from_json(metrics["merits"]["model"]["auc"])
    assert entry["value"] == merit.rounded().value != merit.value
    assert entry["dataset"] == {"id": "dl4phys/jets", "task_id": "auc", "revision": "a" * 40}
    assert merit.format() in entry["notes"]


def test_what_a_fine_tuned_model_is_from(trained_copy: Path):
    recipe = tomllib.loads((trained_copy / "recipe.toml").read_text())
    recipe["model"] = {"name": "deep-sets", "initial": "hf://org/base@v1"}
    RunFolder(trained_copy).write_text("recipe.toml", tomli_w.dumps(recipe))
    assert "base_model: org/base\n" in card_of_run(RunFolder(trained_copy), NAME)


def test_the_card_of_a_network_of_particles():
    pytest.importorskip("torch", reason="needs the extra [torch]")
    further = [{"name": "d", "value": "tanh(part_d0)"}, "part_charge"]
    particles = {name: f"part_{name}" for name in ("pt", "eta", "phi", "mass")}
    names = ("d", "part_charge")
    model = model_of("deep-sets", particles={**particles, "features": further}, further=names)
    card = card_of_model(model, NAME)
    assert "\nDeep Sets, trained with steepest." in card
    assert "are read from `part_pt` (pt), `part_eta` (eta)" in card
    assert "| `d` | `tanh(part_d0)` |\n| `part_charge` |  |" in card
    assert "steepest[hub,torch]" in card
    unnamed = card_of_model(model_of("deep-sets"), NAME)
    assert "lists of the usual names, such as `part_px`" in unnamed
    found = replace(model_of("deep-sets"), momenta={n: f"part_{n}" for n in ("pt", "eta", "phi")})
    assert "are read from `part_pt` (pt), `part_eta` (eta)" in card_of_model(found, NAME)


def test_columns_stand_for_themselves(text: str):
    assert "| `pt` |\n| `mass` |\n" in text
    assert "# pt, mass, ratio\n" in text
