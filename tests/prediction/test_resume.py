"""What was done is kept: after Ctrl-C, a kill, a full disk, an event without score."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samples import make_events
from steepest import predict
from steepest.errors import InputError, Interrupted, RunFolderError
from steepest.prediction import parts as parts_module
from steepest.prediction import scorer
from steepest.training import TrainingCallback

from .conftest import table_of

COMMAND = """
import sys, time
from steepest.prediction import scorer
scorer.MOST_IN_BLOCK, scorer.MOST_IN_PART, scorer.LEAST = 100, 1000, 1
score = scorer.Scorer.score
def slowly(self, block):
    time.sleep(0.002)
    return score(self, block)
scorer.Scorer.score = slowly
from steepest.cli import main
main()
"""


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", COMMAND, "predict", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def many(tmp_path: Path) -> str:
    """12,000 events in three files of small row groups."""
    for index, count in enumerate((4500, 1500, 6000)):
        table = pa.table(make_events(count, seed=index))
        pq.write_table(table, tmp_path / f"in-{index}.parquet", row_group_size=700)
    return str(tmp_path / "in-*.parquet")


def parts_of(out: Path) -> int:
    return len(list(out.with_name(f".{out.name}.parts").glob("part-*.arrow")))


def wait_for_parts(process: subprocess.Popen, out: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while parts_of(out) < count and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("suffix", "kills"),
    [pytest.param(name, 3, marks=pytest.mark.slow) for name in ("parquet", "root", "h5")],
)
def test_kills_then_resume_give_the_undisturbed_file(
    runs, many: str, tmp_path: Path, suffix: str, kills: int
):
    undisturbed, out = tmp_path / f"undisturbed.{suffix}", tmp_path / f"out.{suffix}"
    predict(runs["binary"], many, undisturbed)
    moments = random.Random(4)
    for kill in range(kills):
        process = start(runs["binary"], many, "--out", out, "--resume")
        wait_for_parts(process, out, 3 * kill + 3)
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        process.communicate()
        assert not out.exists()
    assert parts_of(out) >= 3 * kills
    process = start(runs["binary"], many, "--out", out, "--resume")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "Going on after" in errors
    assert table_of(out).equals(table_of(undisturbed))
    assert not out.with_name(f".{out.name}.parts").exists()


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(runs, many: str, tmp_path: Path):
    out = tmp_path / "out.parquet"
    process = start(runs["binary"], many, "--out", out)
    wait_for_parts(process, out, 3)
    os.kill(process.pid, signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    lines = errors.splitlines()
    assert lines[-3].startswith("steepest: Interrupted after ")
    assert lines[-3].endswith(" of 12,000 events.")
    assert lines[-2] == f"  found:    {parts_of(out)} parts of the scores kept in " + str(
        tmp_path / ".out.parquet.parts"
    )
    assert lines[-1] == "  do:       the same command with --resume goes on"


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch):
    for name, rows in (("MOST_IN_BLOCK", 100), ("MOST_IN_PART", 1000), ("LEAST", 1)):
        monkeypatch.setattr(scorer, name, rows)


class Interrupting(TrainingCallback):
    """Asks to stop once so many events are done."""

    def __init__(self, events: int) -> None:
        self.events = events

    def read(self, rows: int, total: int) -> None:
        self.interrupted = rows >= self.events


@pytest.fixture
def begun(runs, many: str, tmp_path: Path, small_parts) -> Path:
    """An interrupted file, of which 7 parts are done."""
    out = tmp_path / "out.parquet"
    with pytest.raises(Interrupted):
        predict(runs["binary"], many, out, callback=Interrupting(7_500))
    assert parts_of(out) == 7
    return out


def refused(*arguments: object, **options: object) -> str:
    with pytest.raises(InputError) as error:
        predict(*arguments, **options)  # type: ignore[arg-type]
    return str(error.value)


@pytest.mark.slow
def test_resume_counts_what_was_done(runs, many: str, begun: Path, tmp_path: Path):
    done = predict(runs["binary"], many, begun, resume=True)
    assert (done.resumed, done.rows, done.events) == (7000, 12_000, 12_000)
    predict(runs["binary"], many, tmp_path / "whole.parquet")
    assert table_of(begun).equals(table_of(tmp_path / "whole.parquet"))


def test_unfinished_scores_are_not_overwritten_in_passing(runs, many: str, begun: Path):
    folder = begun.with_name(".out.parquet.parts")
    assert refused(runs["binary"], many, begun) == (
        f"Unfinished scores lie in {folder}.\n"
        "  expected: none, or --resume\n"
        "  found:    7 complete parts\n"
        "  cause:    an earlier run was interrupted\n"
        "  do:       --resume goes on with them, --overwrite begins anew"
    )
    assert predict(runs["binary"], many, begun, overwrite=True).resumed == 0


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("the model", {"task": "regression"}),
        ("the columns to copy", {"columns": ["pt"]}),
        ("the names of the scores", {"prefix": "a_"}),
        ("the selection", {"select": "pt > 600"}),
    ],
)
def test_other_input_is_not_resumed(runs, many: str, begun: Path, words: str, options: dict):
    model = runs[options.pop("task", "binary")]
    message = refused(model, many, begun, resume=True, **options)
    assert message.splitlines()[0] == (
        f"The unfinished scores in {begun.with_name('.out.parquet.parts')} were begun with other "
        f"input: {words}."
    )
    assert message.splitlines()[-1] == (
        "  do:       resume with the same, or begin anew with --overwrite"
    )
    assert parts_of(begun) == 7


def test_other_events_are_not_resumed(runs, many: str, begun: Path, tmp_path: Path):
    pq.write_table(pa.table(make_events(4500, seed=77)), tmp_path / "in-0.parquet")
    assert "other input: the events." in refused(runs["binary"], many, begun, resume=True)


def test_two_processes_do_not_write_one_file(runs, many: str, begun: Path):
    with parts_module.Parts(begun.with_name(".out.parquet.parts")).locked():
        assert refused(runs["binary"], many, begun, resume=True) == (
            f"Another process writes into {begun.with_name('.out.parquet.parts')}.\n"
            "  do:       wait until it ends, or give another --out"
        )


def test_an_interrupt_while_the_file_is_written(runs, many: str, tmp_path: Path, small_parts):
    class Late(Interrupting):
        writing = False

        def stage(self, name: str, total: int | None = None) -> None:
            self.writing = name == "Writing out.h5"

        def read(self, rows: int, total: int) -> None:
            self.interrupted = self.writing and rows >= self.events

    out = tmp_path / "out.h5"
    with pytest.raises(Interrupted, match=r"Interrupted while out\.h5 was written"):
        predict(runs["binary"], many, out, callback=Late(9_000))
    assert (out.exists(), parts_of(out)) == (False, 12)
    assert predict(runs["binary"], many, out, resume=True).resumed == 12_000


def test_a_kill_right_after_the_file_got_its_name(runs, many: str, tmp_path: Path, monkeypatch):
    out = tmp_path / "out.parquet"
    with monkeypatch.context() as context:
        context.setattr(parts_module.Parts, "discard", lambda self: None)
        predict(runs["binary"], many, out)
    before = table_of(out)
    assert "exists already" in refused(runs["binary"], many, out)
    assert predict(runs["binary"], many, out, resume=True).rows == 12_000
    assert table_of(out).equals(before)
    assert "exists already" in refused(runs["binary"], many, out, resume=True)


def test_an_event_without_score_late_in_the_events(runs, tmp_path: Path, small_parts):
    events = make_events(5000)
    events["pt"][3210] = np.nan
    pq.write_table(pa.table(events), tmp_path / "in.parquet")
    out = tmp_path / "out.parquet"
    assert refused(runs["binary"], tmp_path / "in.parquet", out) == (
        f"The feature 'pt' has no value in {tmp_path / 'in.parquet'} at row 3210.\n"
        "  expected: a finite number for each event, as in training\n"
        "  found:    NaN\n"
        "  cause:    the job that wrote the file left a value out, or divided by zero\n"
        "  do:       --missing nan gives such events the score NaN; or train with a fill for the "
        "feature"
    )
    assert (out.exists(), parts_of(out)) == (False, 3)
    done = predict(runs["binary"], tmp_path / "in.parquet", out, missing="nan", resume=True)
    assert (done.resumed, done.rows, done.unscored) == (3000, 5000, 1)


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 300 kB."""
    mount = tmp_path / "small"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.parametrize("suffix", ["parquet", "root", "h5"])
def test_a_full_disk_keeps_what_was_done(
    runs, many: str, small_disk: Path, tmp_path: Path, small_parts, suffix: str
):
    out = small_disk / f"out.{suffix}"
    with pytest.raises(RunFolderError) as full:
        predict(runs["binary"], many, out)
    lines = str(full.value).splitlines()
    assert lines[0].startswith("Writing ")
    assert lines[1] == f"  found:    {os.strerror(28)}"
    assert lines[-1] == (
        "  do:       free some space; what was done is kept: the same command with --resume goes on"
    )
    done = parts_of(out)
    assert done > 3
    subprocess.run(["mount", "-o", "remount,size=40m", str(small_disk)], check=True)
    assert predict(runs["binary"], many, out, resume=True).resumed == done * 1000
    predict(runs["binary"], many, tmp_path / f"whole.{suffix}")
    assert table_of(out).equals(table_of(tmp_path / f"whole.{suffix}"))


def test_a_disk_that_fills_while_the_file_is_written(runs, many: str, tmp_path: Path, monkeypatch):
    def fails(*arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    out = tmp_path / "out.parquet"
    with monkeypatch.context() as context:
        context.setattr("pyarrow.parquet.ParquetWriter.write_table", fails)
        with pytest.raises(RunFolderError, match=r"Writing out\.parquet failed"):
            predict(runs["binary"], many, out)
    assert predict(runs["binary"], many, out, resume=True).resumed == 12_000
