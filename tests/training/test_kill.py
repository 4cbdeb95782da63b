"""`kill -9` at random moments, resumed each time, gives the bits of the undisturbed run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from steepest.recipe import Recipe

COMMAND = [sys.executable, "-c", "from steepest.cli import main; main()", "train"]
WRITTEN = (
    "model/model.safetensors",
    "model/scaling.safetensors",
    "model/config.json",
    "path.safetensors",
)


def start(*arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors


def outcome(run: Path) -> tuple:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    del metrics["seconds"]
    history = pq.read_table(run / "history.parquet").drop(["seconds"])
    return metrics, history, [(run / name).read_bytes() for name in WRITTEN]


def kill_and_compare(tmp_path: Path, table: dict, kills: int, seed: int) -> None:
    table["descent"] |= {
        "epochs": 60,
        "batch_size": 8,
        "learning_rate": 0.002,
        "checkpoint": {"steps": 50},
        "schedule": "cosine",
    }
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(Recipe.from_dict(table).to_toml(), encoding="utf-8")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    finish(start(str(recipe), "--out", str(undisturbed)))

    moments = random.Random(seed)
    process = start(str(recipe), "--out", str(killed))
    done, steps_seen = 0, set()
    while done < kills:
        while not (killed / "recipe.toml").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.0, 2.5))
        if process.poll() is not None:  # it came to its end first
            break
        process.kill()
        process.communicate()
        done += 1
        steps_seen |= {entry.name for entry in (killed / "checkpoints").glob("step-*")}
        process = start("--resume", str(killed))
    finish(process)
    assert done >= min(kills, 2)
    assert steps_seen, "no kill came after a checkpoint"
    metrics, history, files = outcome(killed)
    expected_metrics, expected_history, expected_files = outcome(undisturbed)
    assert files == expected_files
    assert metrics == expected_metrics
    assert history.equals(expected_history)


def test_four_kills(tmp_path: Path, recipe_table: dict):
    kill_and_compare(tmp_path, recipe_table, kills=4, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_twenty_five_kills(tmp_path: Path, recipe_table: dict, seed: int):
    kill_and_compare(tmp_path, recipe_table, kills=25, seed=seed)
