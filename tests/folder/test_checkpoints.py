"""Checkpoints: complete or absent, the newest good one found, the disk's errors explained."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save_file

from objectives import DoubleWell, some_events
from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer, Plan, State, descend
from steepest.descent import state as state_module
from steepest.descent.state import Best
from steepest.descent.state import Path as DescentPath
from steepest.errors import RunFolderError
from steepest.folder import FolderCheckpointer, checkpoints, files
from steepest.optimizers import update_rule


def state_at(step: int) -> State:
    theta = np.arange(4, dtype=np.float32) + step
    return State(theta, (theta + 1,), step, Best(theta - 1, 1 / 3 + step, step), 1e6)


def rows(step: int) -> pa.Table:
    return pa.table({"step": [step], "loss": [1.0 / step]})


def path_at(step: int) -> DescentPath:
    return DescentPath(np.array([step]), np.full((1, 4), step, dtype=np.float32))


def saved(checkpointer: FolderCheckpointer, *steps: int) -> None:
    for step in steps:
        checkpointer.save(state_at(step), rows(step), path_at(step))


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_the_newest_two_are_kept_and_come_back_bit_for_bit(tmp_path: Path):
    checkpointer = FolderCheckpointer(tmp_path)
    saved(checkpointer, 1, 2, 3)
    assert names(checkpointer.checkpoints) == ["step-000000000002", "step-000000000003"]
    state = FolderCheckpointer(tmp_path).newest()
    assert state is not None
    expected = state_at(3)
    assert state.scalars() == expected.scalars()
    for name, values in expected.arrays().items():
        assert values.tobytes() == state.arrays()[name].tobytes()
    history, path = checkpointer.history(), checkpointer.path()
    assert history is not None
    assert path is not None
    assert history["step"].to_pylist() == path.steps.tolist() == [1, 2, 3]


def test_nothing_yet(tmp_path: Path):
    checkpointer = FolderCheckpointer(tmp_path)
    assert checkpointer.newest() is None
    assert checkpointer.history() is None
    assert checkpointer.path() is None


@pytest.mark.parametrize("damage", ["truncate", "no-marker", "other-bytes", "no-file"])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path, damage: str):
    saved(FolderCheckpointer(tmp_path), 1, 2)
    folder = tmp_path / "checkpoints" / "step-000000000002"
    target = folder / "state.safetensors"
    content = target.read_bytes()
    match damage:
        case "truncate":
            target.write_bytes(content[:-5])
        case "other-bytes":
            target.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "no-marker":
            (folder / "COMPLETE").unlink()
        case "no-file":
            (folder / "state.json").unlink()
    said: list[str] = []
    checkpointer = FolderCheckpointer(tmp_path, said.append)
    state = checkpointer.newest()
    assert state is not None
    assert state.step == 1
    expected = (
        []
        if damage == "no-marker"
        else ["Checkpoint step-000000000002 is damaged and was passed over."]
    )
    assert said == expected
    # what led beyond the good one is gone, and is made again
    assert names(checkpointer.journal) == [
        "step-000000000001.parquet",
        "step-000000000001.safetensors",
    ]
    saved(checkpointer, 2)
    history = checkpointer.history()
    assert history is not None
    assert history["step"].to_pylist() == [1, 2]


@pytest.mark.parametrize("damage", ["remove", "truncate"])
def test_a_journal_with_a_gap_is_refused(tmp_path: Path, damage: str):
    saved(FolderCheckpointer(tmp_path), 1, 2, 3)
    part = tmp_path / "journal" / "step-000000000002.parquet"
    size = part.stat().st_size
    if damage == "remove":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(RunFolderError) as caught:
        FolderCheckpointer(tmp_path).newest()
    assert str(caught.value) == (
        f"The journal of the run {tmp_path} is damaged: {part.name}.\n"
        f"  expected: {size:,} bytes\n"
        f"  found:    {'no such file' if damage == 'remove' else '100 bytes'}\n"
        "  cause:    it was removed, changed, or cut short by a copy\n"
        "  do:       restore it, or train anew into another folder"
    )


def test_a_checkpoint_of_version_1_is_read_and_continued(tmp_path: Path):
    """Written at step 15 of 32 by release 0.0: a double well, momentum, a cosine."""
    shutil.copytree(Path(__file__).parent / "version_1", tmp_path, dirs_exist_ok=True)
    objective, events = DoubleWell(), some_events(64, spread=0.1)
    rule = update_rule(spec.Momentum(), objective.weight_mask)
    plan = Plan(
        len(events), 8, rule, 0.02, spec.Cosine(), epochs=4, seed=3,
        checkpoint=spec.Checkpoint(steps=5),
    )  # fmt: skip
    checkpointer = FolderCheckpointer(tmp_path)
    state = checkpointer.newest()
    assert state is not None
    assert (state.step, len(state.optimizer_state)) == (15, 1)
    resumed = descend(objective, events, plan, checkpointer, state=state)
    whole = MemoryCheckpointer()
    expected = descend(objective, events, plan, whole)
    assert resumed.theta.tobytes() == expected.theta.tobytes()
    history, path = checkpointer.history(), checkpointer.path()
    assert history is not None
    assert path is not None
    of_whole = pa.concat_tables(whole.history)
    assert history.column_names == of_whole.column_names
    for name in set(history.column_names) - {"seconds", "events_per_second"}:
        one, two = (table[name].to_numpy().astype(float) for table in (history, of_whole))
        # rows of another machine, whose BLAS may round a norm differently
        np.testing.assert_allclose(one, two, rtol=1e-14, err_msg=name)
    assert path.thetas.tobytes() == np.concatenate([part.thetas for part in whole.path]).tobytes()
    written = json.loads(
        (tmp_path / "checkpoints" / "step-000000000032" / "state.json").read_text()
    )
    assert (written["format"], written["version"]) == ("steepest-state", 2)


def test_a_checkpoint_of_a_newer_version_is_refused(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(state_module.FORMAT, "version", 3)
    saved(FolderCheckpointer(tmp_path), 1)
    with pytest.raises(RunFolderError) as caught:
        FolderCheckpointer(tmp_path).newest()
    folder = tmp_path / "checkpoints" / "step-000000000001"
    assert str(caught.value) == (
        f"The checkpoint {folder} cannot be read by this version of steepest.\n"
        "  expected: version 1 to 2\n"
        "  found:    version 3\n"
        "  cause:    a newer steepest has written it\n"
        "  do:       install that version, or train anew into another folder"
    )


def test_leftovers_of_a_kill_are_removed(tmp_path: Path):
    saved(FolderCheckpointer(tmp_path), 1)
    half = tmp_path / "checkpoints" / ".step-000000000002"
    half.mkdir()
    (half / "state.json").write_text("{")
    (tmp_path / "journal" / ".partial-step-000000000002.parquet").write_bytes(b"x")
    (tmp_path / "journal" / "step-000000000002.parquet").write_bytes(b"x")
    checkpointer = FolderCheckpointer(tmp_path)
    state = checkpointer.newest()
    assert state is not None
    assert state.step == 1
    assert names(checkpointer.checkpoints) == ["step-000000000001"]
    assert names(checkpointer.journal) == [
        "step-000000000001.parquet",
        "step-000000000001.safetensors",
    ]


def test_a_kill_between_any_two_operations_leaves_a_good_checkpoint(tmp_path: Path, monkeypatch):
    """Stop the world before each system call that changes the disk, then look."""

    class Killed(BaseException):
        pass

    calls = {"left": 10**9}

    def counted(original):
        def call(*args, **kwargs):
            if calls["left"] == 0:
                raise Killed
            calls["left"] -= 1
            return original(*args, **kwargs)

        return call

    for module, name in (
        (os, "replace"),
        (os, "rename"),
        (os, "fsync"),
        (checkpoints, "save_file"),
        (checkpoints, "write_text"),
        (checkpoints.shutil, "rmtree"),
        (Path, "unlink"),
    ):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    survived, budget = 0, 0
    while survived < 2:
        folder = tmp_path / str(budget)
        folder.mkdir()
        calls["left"] = 10**9
        checkpointer = FolderCheckpointer(folder)
        saved(checkpointer, 1, 2, 3)
        calls["left"] = budget
        try:
            saved(checkpointer, 4)
            survived += 1
        except Killed:
            pass
        calls["left"] = 10**9
        state = FolderCheckpointer(folder).newest()
        assert state is not None, budget
        assert state.step in (3, 4), budget
        history = FolderCheckpointer(folder).history()
        assert history is not None
        assert history["step"].to_pylist() == list(range(1, state.step + 1))
        budget += 1
    assert budget > 12  # there really were so many moments


@pytest.mark.parametrize(
    ("number", "cause", "do"),
    [
        (
            errno.ENOSPC,
            "the disk, the quota or the allowed file size is used up",
            "free some space",
        ),
        (errno.EROFS, None, "make the folder writable"),
    ],
)
def test_a_disk_that_refuses_is_explained_and_the_last_checkpoint_stays(
    tmp_path: Path, monkeypatch, number: int, cause: str | None, do: str
):
    checkpointer = FolderCheckpointer(tmp_path)
    saved(checkpointer, 1)

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(checkpoints, "save_file", refuse)
        with pytest.raises(RunFolderError) as caught:
            saved(checkpointer, 2)
    lines = [
        f"Writing checkpoint 2 failed in {tmp_path}.",
        f"  found:    {os.strerror(number)}",
        *([f"  cause:    {cause}"] if cause else []),
        f"  do:       {do}; checkpoint 1 is kept; go on with `steepest train --resume {tmp_path}`",
    ]
    assert str(caught.value) == "\n".join(lines)
    state = FolderCheckpointer(tmp_path).newest()
    assert state is not None
    assert state.step == 1


def test_json_refuses_what_json_has_not(tmp_path: Path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "x.json", {"value": float("nan")})
    assert names(tmp_path) == []
    files.write_json(tmp_path / "x.json", {"σ": 1})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8")) == {"σ": 1}


def test_files_have_the_permissions_of_any_new_file(tmp_path: Path):
    """Also those of safetensors, which by itself lets nobody but the owner read them."""
    (tmp_path / "any").touch()
    arrays = {"theta": np.zeros(2)}
    files.write_atomically(tmp_path / "one", lambda file: save_file(arrays, file))
    files.write_synced(tmp_path / "two", lambda file: save_file(arrays, file))
    modes = {(tmp_path / name).stat().st_mode for name in ("any", "one", "two")}
    assert len(modes) == 1
