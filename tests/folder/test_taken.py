"""Two trainings into one folder: one has it, the other is refused before it writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import undrawn
from steepest.errors import RunFolderError
from steepest.folder import RunFolder
from steepest.folder.run_folder import in_use
from steepest.recipe import Recipe

HOLD = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1] + "/.lock", os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_folder_that_another_process_has_taken_is_left_as_it_is(
    recipe_table: dict, tmp_path: Path
):
    recipe, run = Recipe.from_dict(recipe_table), tmp_path / "run"
    run.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (run / ".partial-recipe.toml").write_text("half")  # the other one is just writing it
        with pytest.raises(RunFolderError) as error:
            RunFolder.create(run, recipe)
        assert str(error.value) == (
            f"Another process is training in {run}.\n"
            "  do:       wait until it ends, or train into another folder"
        )
        assert sorted(entry.name for entry in run.iterdir()) == [".lock", ".partial-recipe.toml"]
        holder.communicate()
    assert RunFolder.create(run, recipe).recipe == recipe  # a lock alone is an empty folder


def test_the_lock_is_held_as_long_as_the_context(recipe_table: dict, tmp_path: Path):
    recipe, run = Recipe.from_dict(recipe_table), tmp_path / "run"
    assert not in_use(run)
    with RunFolder.create_locked(run, recipe) as folder:
        assert in_use(run) or not Path("/proc/locks").exists()
        with pytest.raises(RunFolderError, match="holds another run"):
            RunFolder.create(run, recipe)
        with pytest.raises(RunFolderError, match="Another process is training"), folder.locked():
            pass
    assert not in_use(run)
    with folder.locked():
        pass


@pytest.mark.slow
def test_of_two_trainings_one_has_the_folder(recipe_table: dict, tmp_path: Path):
    recipe_table["evaluate"] = {"baseline": False}
    recipe_table["descent"]["epochs"] = 1
    recipes = []
    for seed in (1, 2):
        recipe_table["descent"]["seed"] = seed
        file = tmp_path / f"{seed}.toml"
        file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
        recipes.append(file)
    command = [sys.executable, str(undrawn.COMMAND), "train", "--out", str(tmp_path / "run")]
    both = [
        subprocess.Popen([*command, str(file)], stderr=subprocess.PIPE, text=True)
        for file in recipes
    ]
    said = [process.communicate()[1] for process in both]
    codes = [process.returncode for process in both]
    assert sorted(codes) == [0, 1], said
    won = codes.index(0)
    run = RunFolder(tmp_path / "run")
    assert run.recipe.descent.seed == won + 1
    refused = said[1 - won]
    assert "Another process is training in" in refused or "holds another run" in refused
