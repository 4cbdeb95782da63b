"""Training over many ranks: the run of one process, up to rounding, whatever is read and learnt."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import undrawn
from samples import make_events, small_recipe, write_jets
from steepest import training
from steepest.descent.batches import Batches
from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.events import TRAIN, load_sample
from steepest.folder import RunFolder
from steepest.ranks import Ranks, current
from steepest.recipe import Recipe
from thread_ranks import on_ranks

pytest.importorskip("torch")
LOSSES = ("loss", "training_loss", "validation_loss", "validation_auc", "validation_accuracy")


def write(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.fixture
def events(tmp_path: Path) -> Path:
    return write(tmp_path / "events.parquet", make_events(600), row_group_size=50)


def trained(table: dict[str, Any], out: Path, ranks: int = 1, **options: Any) -> RunFolder:
    """Train with threads as ranks; the batch is that of all of them."""

    def work(_: Ranks) -> RunFolder:
        return training.train(Recipe.from_dict(table), out, **options)

    with undrawn.undrawn_figures():
        found = on_ranks(work, ranks) if ranks > 1 else [work(current())]
    errors = [each for each in found if isinstance(each, Exception)]
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):  # of those that waited
            raise error
    assert not errors
    return RunFolder(out)


def with_batch(table: dict[str, Any], size: int) -> dict[str, Any]:
    return {**table, "descent": {**table["descent"], "batch_size": size}}


def assert_same(one: RunFolder, other: RunFolder, rtol: float) -> None:
    """Histories, counts and figures of merit are the same up to rounding."""
    histories = [folder.history for folder in (one, other)]
    assert histories[0].column_names == histories[1].column_names
    for name in {*LOSSES, "learning_rate"} & set(histories[0].column_names):
        a, b = (h[name].to_numpy(zero_copy_only=False).astype(float) for h in histories)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7, err_msg=name)
    first, second = (folder.metrics or {} for folder in (one, other))
    assert first["parts"] == second["parts"]
    assert first["descent"]["steps"] == second["descent"]["steps"]
    for group, merits in first["merits"].items():
        for name, merit in merits.items():
            found = second["merits"][group][name]
            close = pytest.approx(merit["value"] or 0.0, rel=50 * rtol, abs=1e-4)
            assert (found["value"] or 0.0) == close, name
            assert found["counts"].keys() == merit["counts"].keys()
    for part, loss in first["losses"].items():
        assert second["losses"][part] == pytest.approx(loss, rel=50 * rtol)


CASES: dict[str, dict[str, Any]] = {
    "a network": {},
    "logistic regression": {"model": {"hidden": []}, "descent": {"batch_size": 64, "epochs": 3}},
    "its optimum": {"model": {"hidden": []}, "descent": {}},
    "robust scaling": {"descent": {"scaling": "robust"}},
    "whitening": {"descent": {"scaling": "whiten", "ema": 0.9, "clip_gradient": 0.5}},
    "regression": {"events": {"label": "mass", "features": ["pt", "ratio"], "weight": None}},
    "classes of text": {
        "events": {
            "label": "kind",
            "features": ["pt", "ratio", {"name": "heavy", "value": "where(mass > 120, 'y', 'n')"}],
        }
    },
}


def recipe_of(path: Path, case: str) -> dict[str, Any]:
    table = small_recipe(path)
    for room, changes in CASES[case].items():
        replaced = room == "model" or not changes
        table[room] = changes if replaced else {**table[room], **changes}
    table["events"] = {k: v for k, v in table["events"].items() if v is not None}
    return table


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_of_half_the_batch_are_one(case: str, events: Path, tmp_path: Path):
    table = recipe_of(events, case)
    halved = table
    if isinstance(table["descent"].get("batch_size"), int):
        halved = with_batch(table, table["descent"]["batch_size"] // 2)
    one = trained(table, tmp_path / "one")
    two = trained(halved, tmp_path / "two", ranks=2)
    assert_same(one, two, rtol=1e-9 if "hidden" in str(CASES[case].get("model")) else 2e-4)
    environment = two.environment or {}
    assert environment["ranks"] == 2
    assert (one.environment or {})["events"] == environment["events"]


def test_deep_sets_over_three_ranks_of_several_samples(tmp_path: Path):
    """Momenta from lists; signal and background from files of their own; weights; no dropout."""
    for name, seed in (("signal", 1), ("background", 2)):
        write_jets(tmp_path / f"{name}.parquet", events=300, seed=seed)
    samples = [
        {"name": n, "path": str(tmp_path / f"{n}.parquet"), "label": label, "select": select}
        for n, label, select in (("signal", 1, "y == 1"), ("background", 0, "y == 0"))
    ]
    table = {
        "events": {"samples": samples},
        "model": {"name": "deep-sets", "per_particle": [8, 8], "per_jet": [8], "dropout": 0.0},
        "descent": {"epochs": 3, "batch_size": 24, "learning_rate": 0.01, "dtype": "float64"},
    }
    one = trained(table, tmp_path / "one")
    three = trained(with_batch(table, 8), tmp_path / "three", ranks=3)
    assert_same(one, three, rtol=1e-9)


@pytest.mark.parametrize(
    ("ranks", "accumulate"), [pytest.param(3, 1, marks=pytest.mark.slow), (2, 2)]
)
def test_batch_normalisation_of_particle_net_over_ranks_is_that_of_one(
    ranks: int, accumulate: int, tmp_path: Path
):
    """Statistics are those of the whole batch, on each rank; some steps find a rank without jets.

    A batch of one rank is taken at once: in pieces, its normalisations would be those of a piece.
    """
    write_jets(tmp_path / "jets.parquet", events=120)
    network = {"convolutions": [[3, [8, 8]], [3, [8]]], "hidden": 8, "dropout": 0.0}
    table: dict[str, Any] = {
        "events": {"path": str(tmp_path / "jets.parquet"), "label": "y"},
        "model": {"name": "particle-net", **network},
        "descent": {"epochs": 2, "learning_rate": 0.01, "dtype": "float64"},
        "evaluate": {"baseline": False},
    }
    one = trained(with_batch(table, 6), tmp_path / "one")
    table["descent"]["accumulate"] = accumulate
    other = trained(with_batch(table, 6 // ranks), tmp_path / "other", ranks=ranks)
    assert len(other.history) == len(one.history)
    if accumulate == 1:
        assert_same(one, other, rtol=1e-8)
        for name, values in one.model.buffers.items():
            np.testing.assert_allclose(other.model.buffers[name], values, rtol=1e-8, err_msg=name)


def test_an_epoch_takes_every_event_once_by_its_number(tmp_path: Path):
    """Each rank reads rows of its own, and the batches of all have each event number once."""
    write(tmp_path / "a.parquet", make_events(500), row_group_size=64)
    more = make_events(333, seed=6)
    more["event_number"] = more["event_number"] + 10**6
    write(tmp_path / "b.parquet", more, row_group_size=100)
    table = small_recipe(tmp_path / "a.parquet")
    table["events"] |= {"path": str(tmp_path / "*.parquet"), "select": "ratio < 0.75"}

    def numbers(ranks: Ranks) -> tuple[list[int], list[list[int]], int]:
        sample = load_sample(Recipe.from_dict(table).events, extra=["event_number"])
        train = sample.parts()[TRAIN]
        own, share = train.extra["event_number"], train.share()
        batches = Batches(share.events, 32, 0, share=share, ranks=ranks.size)
        taken = [own[batches.rows(step)].tolist() for step in range(batches.per_epoch)]
        return own.tolist(), taken, sample.read["rows"]

    whole = load_sample(Recipe.from_dict(table).events, extra=["event_number"])
    order = whole.parts()[TRAIN].extra["event_number"]
    alone = Batches(len(order), 32, 0)
    for size in (2, 3):
        found = on_ranks(numbers, size)
        assert [number for own, _, _ in found for number in own] == order.tolist()
        assert {rows for *_, rows in found} == {833}
        for step in range(alone.per_epoch):
            together = [number for _, taken, _ in found for number in taken[step]]
            assert sorted(together) == sorted(order[alone.rows(step)].tolist())


def test_a_run_goes_on_over_another_number_of_ranks(events: Path, tmp_path: Path):
    """The batch stays that of the ranks with which it began."""
    table = small_recipe(events)
    one = trained(table, tmp_path / "one")
    table = with_batch(table, 32)
    stopped = {**table, "descent": {**table["descent"], "epochs": 2, "schedule": "constant"}}
    longer = {**table, "descent": {**table["descent"], "schedule": "constant"}}
    whole = trained(longer, tmp_path / "whole", ranks=2)
    trained(stopped, tmp_path / "two", ranks=2)
    with undrawn.undrawn_figures():
        training.resume(tmp_path / "two", settings=["descent.epochs=4"])
    assert_same(whole, RunFolder(tmp_path / "two"), rtol=1e-5)
    assert len(whole.history) == len(one.history)
    assert "Training over 2 ranks, now on 1." in RunFolder(tmp_path / "two").log


def test_continue_goes_on_with_a_run_of_the_same_recipe_alone(events: Path, tmp_path: Path):
    table, out = small_recipe(events), tmp_path / "run"
    first = trained(table, out, again=True)
    written = (out / "metrics.json").read_bytes()
    assert trained(table, out, again=True).metrics == first.metrics
    assert (out / "metrics.json").read_bytes() == written
    with pytest.raises(RunFolderError, match="holds a run of another recipe"):
        trained(with_batch(table, 16), out, again=True)


def test_what_cannot_be_done_over_ranks_is_said(events: Path, tmp_path: Path):
    table = small_recipe(events)
    exact = {**table, "model": {"hidden": []}, "descent": {"method": "exact"}}
    exact["events"] = {**table["events"], "label": "mass", "features": ["pt"]}
    with pytest.raises(RecipeError, match="all events in one process"):
        trained(exact, tmp_path / "exact", ranks=2)
    folded = {**table, "events": {**table["events"], "split": {"folds": 3}}}
    with pytest.raises(RecipeError, match="folds are not trained over many ranks"):
        trained(folded, tmp_path / "folds", ranks=2)
    few = write(tmp_path / "few.parquet", {k: v[:40] for k, v in make_events(600).items()})
    table["events"] |= {"path": str(few), "select": "event_number > 200"}
    with pytest.raises(EventsError, match="Rank 0 of 2 has no selected event"):
        trained(table, tmp_path / "few", ranks=2)


def test_a_fault_is_counted_over_all_ranks(tmp_path: Path):
    columns = make_events(400)
    columns["ratio"][[3, 250, 399]] = np.nan
    table = small_recipe(write(tmp_path / "nan.parquet", columns))
    with pytest.raises(EventsError, match=r"for 3 of 400 selected events, first in .* at row 3"):
        trained(table, tmp_path / "run", ranks=2)


def launched(out: Path, recipe: Path, *arguments: str, restarts: int = 0) -> list[str]:
    return [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2",
        f"--max-restarts={restarts}", f"--master-port={free_port()}", "--monitor-interval=0.1",
        str(undrawn.COMMAND), "train", str(recipe), "--out", str(out), *arguments,
    ]  # fmt: skip


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture
def recipe_file(events: Path) -> Path:
    path = events.with_name("recipe.toml")
    path.write_text(Recipe.from_dict(small_recipe(events)).to_toml(), encoding="utf-8")
    return path


@pytest.mark.slow  # PyTorch may abort the rank that is left, at its exit
def test_an_error_on_two_processes_is_one_message(tmp_path: Path, recipe_file: Path):
    """Two processes as a launcher starts them, here without torchrun, which adds its own table."""
    where = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "steepest", "train", str(recipe_file), "--out"]
    command += [str(tmp_path / "run"), "--set", "descent.batch_size=9999"]
    processes = [
        subprocess.Popen(
            command, env={**os.environ, **where, "RANK": str(rank)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    ends = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [1, 1]
    said = "".join(out + err for out, err in ends)
    assert said.count("steepest: descent.batch_size is 9,999") == 1
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.slow  # eight processes that import PyTorch, one after the other
def test_a_killed_rank_is_started_again_and_the_bits_are_those_of_no_kill(
    tmp_path: Path, recipe_file: Path
):
    options = ["--set", "descent.epochs=1500", "--set", "descent.checkpoint.steps=50"]
    whole = subprocess.run(launched(tmp_path / "whole", recipe_file, *options), timeout=300,
                           capture_output=True, text=True, check=False)  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    out = tmp_path / "killed"
    command = launched(out, recipe_file, *options, restarts=1)
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, **piped)
    deadline = time.monotonic() + 120
    while not list(out.glob("checkpoints/step-*/COMPLETE")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(worker_of(process.pid, rank=1), signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert "Going on after step" in (out / "log.txt").read_text(encoding="utf-8")
    for name in ("model/model.safetensors", "path.safetensors"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    one, two = (
        pq.read_table(run / "history.parquet").drop(["seconds", "events_per_second"])
        for run in (out, tmp_path / "whole")
    )
    assert one.equals(two)
    first, second = (
        json.loads((run / "metrics.json").read_text(encoding="utf-8"))["merits"]
        for run in (out, tmp_path / "whole")
    )
    assert first == second


def worker_of(launcher: int, rank: int) -> int:
    """The process of that rank."""
    import psutil

    for child in psutil.Process(launcher).children(recursive=True):
        if child.environ().get("RANK") == str(rank):
            return child.pid
    raise AssertionError("no such process")


@pytest.mark.slow
def test_a_network_with_dropout_goes_on_over_more_ranks(tmp_path: Path):
    """Ranks that were not there before begin random numbers of their own; the batch stays."""
    write_jets(tmp_path / "jets.parquet", events=120)
    table: dict[str, Any] = {
        "events": {"path": str(tmp_path / "jets.parquet"), "label": "y"},
        "model": {"name": "particle-net", "convolutions": [[3, [8]]], "hidden": 8, "dropout": 0.2},
        "descent": {"epochs": 2, "learning_rate": 0.01, "batch_size": 16},
        "evaluate": {"baseline": False},
    }
    begun = trained(table, tmp_path / "run")

    def resumed(_: Ranks) -> RunFolder:
        return training.resume(tmp_path / "run", settings=["descent.epochs=4"])

    steps = len(begun.history)
    with undrawn.undrawn_figures():
        found = on_ranks(resumed)
    for each in found:
        if isinstance(each, Exception):
            raise each
    run = RunFolder(tmp_path / "run")
    assert len(run.history) == 2 * steps
    assert "Training over 1 rank, now on 2." in run.log
