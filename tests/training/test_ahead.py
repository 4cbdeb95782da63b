"""Machine code for the end of a run, made by a second process: all of it, and never in the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from steepest.kernels import compiled
from steepest.recipe import Recipe
from steepest.training import TrainingCallback
from steepest.training.ahead import compiling_ahead, what_to_compile
from steepest.training.events import Prepared, prepare

AHEAD = """
from steepest.training.ahead import compile_as_asked
compile_as_asked()
"""
TRAIN = """
import json, sys
import steepest
steepest.train(json.load(sys.stdin), sys.argv[1])
from steepest.kernels import linear, network
entries = (linear.accumulate, network.logits, network.losses)
print([len(entry.stats.cache_misses) for entry in entries])
"""


def ask(code: str, given: dict, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / "run")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(folder / "kernels")},
    )
    return done.stdout.strip()


def prepared(table: dict, folder: Path) -> tuple[Recipe, Prepared]:
    recipe = Recipe.from_dict(table)
    return recipe, prepare(recipe, TrainingCallback(), folder)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list:
    """Work for the time of a compilation, as if one were under way."""
    given: list = []
    monkeypatch.setattr(compiled, "while_compiling", given.append)
    monkeypatch.setattr("steepest.training.second.usable_cores", lambda: 2)
    return given


@pytest.mark.slow
def test_the_end_of_a_run_finds_its_machine_code(recipe_table: dict, tmp_path: Path):
    many = {**recipe_table, "events": {"path": "embedded:top-jets", "label": "is_top"}}
    many["events"] |= {"features": ["pt", "mass"], "weight": "weight"}
    asked = what_to_compile(*prepared(many, tmp_path))
    assert ask(AHEAD, asked, tmp_path) == ""
    assert ask(TRAIN, many, tmp_path) == "[0, 1, 1]"  # what is left is in float32


@pytest.mark.parametrize("program", ["/no/such/program", "/bin/false", "/bin/cat"])
@pytest.mark.skipif(os.name != "posix", reason="programs of POSIX")
def test_another_process_that_fails_is_not_missed(
    recipe_table: dict, tmp_path: Path, begun: list, monkeypatch: pytest.MonkeyPatch, program: str
):
    monkeypatch.setattr(sys, "executable", program)
    with compiling_ahead(*prepared(recipe_table, tmp_path)):
        begun[0]()


@pytest.mark.skipif(os.name != "posix", reason="a program of POSIX")
def test_the_other_process_ends_with_the_run(
    recipe_table: dict, tmp_path: Path, begun: list, monkeypatch: pytest.MonkeyPatch
):
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho > {tmp_path}/begun\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    with compiling_ahead(*prepared(recipe_table, tmp_path)):
        thread = threading.Thread(target=begun[0])
        thread.start()
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
    thread.join(timeout=30)
    assert not thread.is_alive()
    begun[0]()  # a run that has ended begins nothing


def test_a_linear_model_is_compiled_by_one_process(recipe_table: dict, tmp_path: Path, begun: list):
    recipe_table["model"] = {"hidden": []}
    with compiling_ahead(*prepared(recipe_table, tmp_path)):
        assert begun == []
