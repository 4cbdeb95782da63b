"""`steepest share` without a Hub: what it would send, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from steepest import load

pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")


def test_a_dry_run_shows_the_card_and_sends_nothing(steepest, trained: Path):
    done = steepest("share", trained, "--to", "dl4phys/top-tagger", "--dry-run", "--merits", "auc")
    assert done.code == 0
    assert "| AUC |" in done.out
    assert "Nothing was sent to dl4phys/top-tagger." in done.out
    said = steepest("share", trained, "--to", "dl4phys/top-tagger", "--dry-run", "--json")
    assert "README.md" in json.loads(said.out)["files"]


def test_a_folder_to_look_at(steepest, trained: Path, tmp_path: Path):
    done = steepest("share", trained, "--to", "a/b", "--folder", tmp_path / "model")
    assert done.out == f"Written: {tmp_path / 'model'}\n"
    assert load(tmp_path / "model").names == ("pt", "mass", "ratio")
    assert (
        (tmp_path / "model" / "README.md").read_text().startswith("---\nlibrary_name: steepest\n")
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Say where: --to ORG/NAME, or --onnx FILE."),
        (("--to", "../x"), "steepest: ../x is no name of a model on the Hub."),
        (
            ("--to", "a/b", "--dry-run", "--merits", "aux"),
            "does not hold the figure of merit 'aux'",
        ),
    ],
)
def test_bad_input(steepest, trained: Path, arguments: tuple[str, ...], says: str):
    done = steepest("share", trained, *arguments)
    assert done.code in (1, 2)
    assert says in " ".join(done.err.split())


def test_one_run_at_a_time(steepest):
    done = steepest("share", "a", "b", "--to", "a/b")
    assert done.code == 2
    assert "files of events go with --data" in " ".join(done.err.split())


def test_a_model_as_onnx(steepest, trained: Path, tmp_path: Path):
    pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")
    done = steepest("share", trained, "--onnx", tmp_path / "x.onnx")
    assert done.code == 0
    assert "output: score." in done.out
    told = json.loads(steepest("share", trained, "--onnx", tmp_path / "x.onnx", "--json").out)
    assert told["largest_difference"] <= told["allowed"] == 1e-12
    refused = steepest("share", trained, "--onnx", tmp_path / "absent" / "x.onnx")
    assert refused.code == 1
    assert "Traceback" not in refused.err
    assert "--float32 and --for go with --onnx" in steepest("share", trained, "--float32").err


def test_events_as_a_dataset(steepest, tmp_path: Path):
    for name, rows in (("jets_train", 3), ("other", 2)):
        (tmp_path / f"{name}.csv").write_text("pt\n" + "1.5\n" * rows)
    files = tmp_path / "jets_train.csv", f"test={tmp_path / 'other.csv'}"
    done = steepest("share", "--data", *files, "--to", "dl4phys/jets", "--dry-run")
    assert done.code == 0
    assert "| `test` | 2 | 1 |" in done.out
    assert "Nothing was sent to dl4phys/jets." in done.out
    done = steepest("share", "--data", *files, "--to", "dl4phys/jets", "--folder", tmp_path / "d")
    assert done.out == f"Written: {tmp_path / 'd'}\n"
    assert (tmp_path / "d" / "data" / "train-00000-of-00001.parquet").is_file()
    for wrong in (["--onnx", tmp_path / "x.onnx"], ["--merits", "auc"]):
        refused = steepest("share", "--data", *files, "--to", "a/b", *wrong)
        assert refused.code == 2
        assert "--onnx and --merits are of a model" in " ".join(refused.err.split())
