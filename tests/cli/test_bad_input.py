"""Bad input at the command line: the whole message, exit code 1, no traceback, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samples import make_events
from steepest import train
from steepest.errors import RecipeError
from steepest.events import assign_parts
from steepest.recipe import Recipe, SplitRecipe


@pytest.fixture
def refused(tmp_path: Path, recipe_table: dict, steepest):
    """Train with a changed recipe; return the message, and check that nothing was left."""

    def run(changes: dict[str, object] | None = None, **events: object) -> str:
        table = {name: dict(recipe_table[name]) for name in recipe_table}
        for key, value in (changes or {}).items():
            room, name = key.split(".")
            table[room][name] = value
        table["events"] |= events
        file = tmp_path / "recipe.toml"
        file.write_text(Recipe.from_dict(table).to_toml(), encoding="utf-8")
        ended = steepest("train", file, "--out", tmp_path / "run", "--json")
        assert ended.code == 1
        assert ended.out == ""
        assert "Traceback" not in ended.err
        return ended.err.removeprefix("steepest: ").rstrip("\n")

    return run


def written(path: Path, **changes: object) -> str:
    pq.write_table(pa.table(make_events() | changes), path)
    return str(path)


def test_missing_file(refused, tmp_path: Path, events_file: Path):
    message = refused(path=str(tmp_path / "event.parquet"))
    assert message.splitlines()[0] == f"There is no file {tmp_path / 'event.parquet'}."
    assert "'events.parquet'" in message or "events.parquet" in message
    assert not (tmp_path / "run").exists()


def test_not_the_format_its_name_says(refused, tmp_path: Path):
    file = tmp_path / "table.parquet"
    file.write_text("pt,eta\n550,1.2\n")
    message = refused(path=str(file))
    assert message.startswith(f"{file} is named as Parquet but is not Parquet.\n")
    assert "begins with 'pt,eta'" in message


def test_truncated(refused, tmp_path: Path, events_file: Path):
    file = tmp_path / "cut.parquet"
    file.write_bytes(events_file.read_bytes()[:-2000])
    assert "truncated" in refused(path=str(file))


def test_missing_column(refused, events_file: Path):
    message = refused(features=["pt", "mas"])
    assert "'mas'" in message
    assert "'mass'" in message.splitlines()[-1]


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (np.inf, "inf")])
def test_not_finite(refused, tmp_path: Path, value: float, name: str):
    mass = make_events()["mass"]
    mass[[17, 400]] = value
    message = refused(path=written(tmp_path / "bad.parquet", mass=mass))
    assert "'mass'" in message
    assert "row 17" in message
    assert name.lower() in message.lower()


def test_one_class_only(refused, tmp_path: Path):
    path = written(tmp_path / "bad.parquet", is_top=np.ones(1200, dtype=np.int8))
    message = refused(path=path)
    assert "one class" in message
    assert "1: 1200 events" in message


def test_a_number_in_place_of_a_label(refused):
    message = refused(label="0")
    assert message.startswith("The label '0' is a number, the same for all events.\n")
    assert message.endswith("the column at place 0, from 0, is c0")


def test_label_not_0_or_1(refused, tmp_path: Path):
    label = np.where(make_events()["is_top"] == 1, 1, -1)
    message = refused(path=written(tmp_path / "bad.parquet", is_top=label))
    assert "is_top" in message
    assert "is_top == 1" in message.splitlines()[-1]


def test_all_weights_zero(refused, tmp_path: Path):
    message = refused(path=written(tmp_path / "bad.parquet", weight=np.zeros(1200)))
    assert message.startswith("The weights of all selected events sum to 0.\n")
    assert "events.weight" in message


def test_unknown_recipe_key(tmp_path: Path, steepest):
    file = tmp_path / "recipe.toml"
    file.write_text('[events]\npath = "a"\nlabel = "b"\n[descent]\nlearning_rat = 3\n')
    ended = steepest("train", file)
    assert ended.code == 1
    assert ended.err == (
        f"steepest: The recipe {file} has an unknown key 'descent.learning_rat'.\n"
        "  expected: one of accumulate, batch_size, checkpoint, clip_gradient, compile, device, "
        "dtype, ema, epochs, history, keep, l2, learning_rate, log, loss, method, optimizer, "
        "precision, scaling, schedule, seed, stop, validate_every\n"
        "  do:       write 'learning_rate', or remove it\n"
    )


def test_batch_size_over_the_sample(refused):
    message = refused({"descent.batch_size": 5000})
    lines = message.splitlines()
    assert lines[0].startswith("descent.batch_size is 5,000, but there are only ")
    assert lines[-1] == (
        '  do:       set descent.batch_size = "all" for batch gradient descent, or a smaller number'
    )


def test_a_folder_that_holds_another_run(
    tmp_path: Path, recipe_table: dict, steepest, trained_copy: Path
):
    file, run = tmp_path / "recipe.toml", trained_copy
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    before = {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()}
    ended = steepest("train", file, "--out", run)
    assert ended.code == 1
    assert ended.err == (
        f"steepest: {run} holds another run.\n"
        "  expected: a new or empty folder\n"
        "  found:    its recipe.toml\n"
        "  do:       choose another with --out, replace it with --overwrite, or go on with it: "
        f"steepest train --resume {run}\n"
    )
    assert {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file()} == before


@pytest.mark.parametrize("what", ["file", "folder"])
def test_an_occupied_path(tmp_path: Path, recipe_table: dict, steepest, what: str):
    file, run = tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    if what == "file":
        run.write_text("precious")
    else:
        run.mkdir()
        (run / "thesis.tex").write_text("precious")
    ended = steepest("train", file, "--out", run)
    found = "a file" if what == "file" else "a folder with thesis.tex"
    assert (ended.code, ended.err) == (
        1,
        (
            f"steepest: {run} is not empty.\n"
            "  expected: a new or empty folder\n"
            f"  found:    {found}\n"
            "  do:       choose another with --out\n"
        ),
    )


def test_a_folder_that_cannot_be_written(tmp_path: Path, recipe_table: dict, steepest):
    file, parent = tmp_path / "recipe.toml", tmp_path / "not-a-folder"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    parent.write_text("")
    ended = steepest("train", file, "--out", parent / "run", "--json")
    assert (ended.code, ended.err) == (
        1,
        (
            f"steepest: Making the run's folder failed in {parent / 'run'}.\n"
            "  found:    Not a directory\n"
            "  do:       make the folder writable; nothing was done yet\n"
        ),
    )


def test_no_run_there(tmp_path: Path, steepest):
    ended = steepest("evaluate", tmp_path / "nothing")
    assert (ended.code, ended.err) == (
        1,
        (
            f"steepest: There is no run in {tmp_path / 'nothing'}.\n"
            "  expected: a folder with a recipe.toml, as `steepest train` makes it\n"
            "  found:    no such folder\n"
            "  do:       check the path\n"
        ),
    )


def test_events_that_changed_since_the_run_began(
    tmp_path: Path, recipe_table: dict, steepest, events_file: Path
):
    file, run = tmp_path / "recipe.toml", tmp_path / "run"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    assert steepest("train", file, "--out", run).code == 0
    (run / "metrics.json").unlink()
    written(events_file, pt=make_events()["pt"] + 1.0)
    ended = steepest("train", "--resume", run)
    assert ended.code == 1
    lines = [line for line in ended.err.splitlines() if line]
    assert lines[0] == f"steepest: The events of the run {run} have changed since it began."
    assert lines[-1] == "  do:       restore the files, or train anew into another folder"


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("metrics.json", "train --resume"),
        ("environment.json", "evaluate"),
        ("model/config.json", "evaluate"),
        ("model/model.safetensors", "evaluate"),
        ("model/scaling.safetensors", "evaluate"),
    ],
)
def test_a_damaged_folder(trained_copy: Path, steepest, name: str, command: str):
    run = trained_copy
    (run / name).write_bytes((run / name).read_bytes()[:40])
    ended = steepest(*command.split(), run)
    lines = ended.err.splitlines()
    assert ended.code == 1
    assert lines[-5] == f"steepest: {name} of the run {run} is damaged."
    assert lines[-4].startswith("  expected: the ")
    assert lines[-3] == "  found:    40 bytes"
    assert lines[-2] == "  cause:    it was changed, or cut short by a copy"
    assert lines[-1] == "  do:       restore it, or train anew into another folder"


def test_a_refused_recipe_leaves_no_folder(refused, tmp_path: Path):
    refused({"descent.batch_size": 5000})
    refused({"model.initialization": "zeros"})
    assert not (tmp_path / "run").exists()


def test_a_label_of_1e30_is_learnt_as_in_other_units(tmp_path: Path, recipe_table: dict):
    """The label is in units of its spread, so that float32 can hold its square."""
    found = []
    for label in ("mass", "mass * 1e30"):
        recipe_table["events"] |= {"label": label, "features": ["ratio", "pt"]}
        run = train(recipe_table, tmp_path / f"run-{len(found)}")
        assert run.metrics is not None
        found.append(run.metrics["merits"]["model"]["r_squared"]["value"])
    assert found[1] == pytest.approx(found[0], abs=1e-4)


def test_a_test_part_without_one_of_two_classes(refused, tmp_path: Path):
    events = make_events()
    split = SplitRecipe(validation=0.2, test=0.2, by="event_number")
    label = np.where(assign_parts(events["event_number"], split) == 2, 0, events["is_top"])
    message = refused(path=written(tmp_path / "bad.parquet", is_top=label))
    assert message == (
        "The test part has no event of the class '1'.\n"
        "  expected: events of each class to evaluate on\n"
        f"  found:    {int(label.sum())} selected events of it, in other parts\n"
        "  cause:    too few events of that class, or too few values of events.split.by\n"
        "  do:       use more events of it, or change events.split"
    )


def test_too_large_for_the_memory(steepest, monkeypatch, recipe_table: dict, tmp_path: Path):
    def exhausted(*args, **kwargs):
        raise MemoryError("Unable to allocate 7.28 TiB")

    file = tmp_path / "recipe.toml"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    monkeypatch.setattr("steepest.models.Dense.initial", exhausted)
    ended = steepest("train", file, "--out", tmp_path / "run", "--json")
    assert ended.code == 1
    assert ended.err == ("steepest: There is not enough memory: Unable to allocate 7.28 TiB.\n")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 300 kB."""
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(mount)],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_fills_up_while_checkpointing(
    small_disk: Path, tmp_path: Path, recipe_table: dict, steepest
):
    recipe_table["descent"] |= {"epochs": 40, "checkpoint": {"steps": 5}}
    file, run = tmp_path / "recipe.toml", small_disk / "run"
    file.write_text(Recipe.from_dict(recipe_table).to_toml(), encoding="utf-8")
    ended = steepest("train", file, "--out", run, "--json")
    lines = ended.err.splitlines()
    assert ended.code == 1
    assert lines[0].startswith("steepest: Writing checkpoint ")
    assert lines[0].endswith(f" failed in {run}.")
    assert lines[1] == f"  found:    {os.strerror(28)}"
    assert lines[2] == "  cause:    the disk, the quota or the allowed file size is used up"
    assert lines[3].startswith("  do:       free some space; checkpoint ")
    assert lines[3].endswith(f" is kept; go on with `steepest train --resume {run}`")
    subprocess.run(["mount", "-o", "remount,size=50m", str(small_disk)], check=True)
    assert steepest("train", "--resume", run, "--json").code == 0
    undisturbed = tmp_path / "undisturbed"
    assert steepest("train", file, "--out", undisturbed, "--json").code == 0
    name = "model/model.safetensors"
    assert (run / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_model_of_a_newer_release(trained_copy: Path, steepest):
    (trained_copy / "manifest.json").unlink()
    config = trained_copy / "model" / "config.json"
    table = json.loads(config.read_text(encoding="utf-8"))
    table["scaling"]["version"] = 2
    config.write_text(json.dumps(table), encoding="utf-8")
    ended = steepest("evaluate", trained_copy)
    assert ended.code == 1
    assert ended.err.splitlines()[-5:] == [
        "steepest: The saved feature scaling cannot be read.",
        "  expected: version 1 of one of none, standard, min-max, robust, quantile, whiten, asinh",
        "  found:    version 2 of 'asinh'",
        "  cause:    a damaged file, or one written by a newer release",
        "  do:       use the release that wrote it, or train again",
    ]


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("data.root", b"root\x00\x00\xff\xfe", "bytes that are not UTF-8 text"),
        ("jets.parquet", b"PAR1\x15\x00\xff\xfe", "bytes that are not UTF-8 text"),
        ("jets.csv", b"pt,eta\n550,1.2\n", "the suffix .csv, and no TOML"),
    ],
)
def test_events_in_place_of_a_recipe(
    tmp_path: Path, steepest, name: str, content: bytes, found: str
):
    (tmp_path / name).write_bytes(content)
    ended = steepest("train", tmp_path / name, "--out", tmp_path / "run")
    assert ended.code == 1
    assert ended.err == (
        f"steepest: {tmp_path / name} is not a recipe.\n"
        "  expected: a recipe: a TOML file, UTF-8\n"
        f"  found:    {found}\n"
        "  cause:    it is a file of events, which a recipe names\n"
        f'  do:       write a recipe with [events], path = "{name}" and label = "COLUMN", '
        "and train with that\n"
    )
    assert not (tmp_path / "run").exists()


def test_the_text_of_a_recipe_is_not_echoed():
    text = '[events]\npath = "jets.parquet"\nlabel = "is_top"\n' * 20
    with pytest.raises(RecipeError) as error:
        Recipe.from_toml(text)
    assert str(error.value) == (
        "The path of the recipe is not a path.\n"
        "  expected: the path of a TOML file, or the tables of a recipe\n"
        "  found:    960 characters that begin with '[events]'\n"
        "  cause:    the text of a recipe was given\n"
        "  do:       write it to a file, or pass its tables: train(tomllib.loads(text))"
    )


def test_a_folder_in_place_of_a_recipe(tmp_path: Path, steepest):
    ended = steepest("train", tmp_path)
    assert ended.err == (
        f"steepest: The recipe {tmp_path} cannot be read.\n"
        "  expected: a readable TOML file\n"
        "  found:    Is a directory\n"
        "  do:       check the path and its permissions\n"
    )
