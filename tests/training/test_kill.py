"""`kill -9` at random moments, resumed each time, gives the bits of the undisturbed run."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import steepest
import undrawn
from steepest.recipe import Recipe

DRAWN = [sys.executable, "-c", "from steepest.cli import main; main()", "train"]
UNDRAWN = [sys.executable, str(undrawn.COMMAND), "train"]
WRITTEN = (
    "model/model.safetensors",
    "model/scaling.safetensors",
    "model/config.json",
    "path.safetensors",
)


def start(command: list[str], *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen) -> None:
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


def outcome(run: Path) -> tuple:
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    del metrics["seconds"]
    history = pq.read_table(run / "history.parquet").drop(["seconds", "events_per_second"])
    return metrics, history, [(run / name).read_bytes() for name in WRITTEN]


def kill_and_compare(
    tmp_path: Path,
    table: dict,
    command: list[str],
    epochs: int,
    kills: int,
    late_kills: int,
    seed: int,
) -> None:
    """Kill at random moments, then while the results are written; compare with no kill at all."""
    table["descent"] |= {
        "epochs": epochs,
        "batch_size": 8,
        "learning_rate": 0.002,
        "checkpoint": {"steps": 50},
        "schedule": "cosine",
        "validate_every": 5,
    }
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(Recipe.from_dict(table).to_toml(), encoding="utf-8")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    table["descent"]["checkpoint"] = {"seconds": 1e9}
    steepest.train(table, undisturbed)

    moments = random.Random(seed)
    process = start(command, str(recipe), "--out", str(killed))
    steps = ["none"]
    for number in range(kills):
        wait_for(process, (killed / "recipe.toml").exists)
        if number % 4 == 3:  # while it starts, and finds its way back
            time.sleep(moments.uniform(0.0, 1.5))
        else:  # once it has gone on
            wait_for(process, lambda: newest_step(killed) != steps[-1])
            time.sleep(moments.uniform(0.0, 0.15))
        process = killed_and_restarted(process, command, killed)
        steps.append(newest_step(killed))
    for _ in range(late_kills):
        wait_for(process, lambda: "Stopped after step" in last_part(killed / "log.txt"))
        time.sleep(moments.uniform(0.0, 0.5 if command is DRAWN else 0.05))
        process = killed_and_restarted(process, command, killed)
    finish(process)
    assert len(set(steps)) > kills // 2, "most kills came at checkpoints of their own"
    metrics, history, files = outcome(killed)
    expected_metrics, expected_history, expected_files = outcome(undisturbed)
    assert files == expected_files
    assert metrics == expected_metrics
    assert history.equals(expected_history)


def wait_for(process: subprocess.Popen, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not happened() and time.monotonic() < deadline:
        assert process.poll() is None, "it came to its end before the kill: more epochs are needed"
        time.sleep(0.005)


def killed_and_restarted(
    process: subprocess.Popen, command: list[str], run: Path
) -> subprocess.Popen:
    assert process.poll() is None, "it came to its end before the kill: more epochs are needed"
    process.kill()
    process.communicate()
    return start(command, "--resume", str(run))


def newest_step(run: Path) -> str:
    return max((entry.name for entry in (run / "checkpoints").glob("step-*")), default="none")


def last_part(log: Path) -> str:
    """What the last process said."""
    return log.read_text(encoding="utf-8").rpartition("The task is")[2] if log.exists() else ""


@pytest.mark.slow
def test_three_kills(tmp_path: Path, recipe_table: dict):
    kill_and_compare(tmp_path, recipe_table, UNDRAWN, epochs=80, kills=2, late_kills=1, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_twenty_five_kills(tmp_path: Path, recipe_table: dict, seed: int):
    kill_and_compare(tmp_path, recipe_table, DRAWN, epochs=1500, kills=22, late_kills=3, seed=seed)
