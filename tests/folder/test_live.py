"""A run is read while it goes on: prefixes of its history, and nothing made or locked."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from steepest import Run
from steepest.descent import Callback, State, descend
from steepest.errors import Interrupted, RunFolderError
from steepest.folder import FolderCheckpointer, RunFolder, live
from steepest.ranks import Ranks
from steepest.recipe import Recipe
from toys import Line, plan_for, sample


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    recipe = Recipe.from_dict({"events": {"path": "x.parquet", "label": "y"}})
    return RunFolder.create(tmp_path / "run", recipe)


class Ticking(Ranks):
    """A clock on which each look takes so long: no waiting, and the same blocks each time."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now = seconds, 0.0

    def clock(self) -> float:
        self.now += self.seconds
        return self.now


def run(folder: RunFolder, epochs=12, clock=None, callback=None, state=None, **checkpoint):
    objective, events = Line(), sample(64)
    plan = plan_for(objective, events, epochs=epochs, checkpoint=checkpoint)
    checkpointer = FolderCheckpointer(folder.path)
    state = checkpointer.newest()
    ranks = clock or Ticking(0.3)
    end = descend(
        objective, events, plan, checkpointer, state=state, callback=callback, ranks=ranks
    )
    return end, checkpointer.history()


def names(path: Path) -> list[str]:
    return sorted(str(file.relative_to(path)) for file in path.rglob("*"))


class Looking(Callback):
    """Reads along from within the loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.histories: list[pa.Table] = []
        self.progress: list[dict] = []
        self.steps_done: list[int] = []

    def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
        before = names(self.path)
        history, progress = live.read_history(self.path), live.read_progress(self.path)
        assert names(self.path) == before
        if history is not None:
            self.histories.append(history)
        if progress is not None:
            self.progress.append(progress)
            self.steps_done.append(state.step)


@pytest.mark.parametrize("checkpoint", [{"seconds": 1e9}, {"steps": 7}, {"seconds": 2.0}])
def test_what_is_read_is_a_prefix_of_the_history(folder: RunFolder, checkpoint: dict):
    looking = Looking(folder.path)
    _, history = run(folder, callback=looking, **checkpoint)
    assert history is not None
    for part in looking.histories:
        assert part.equals(history.slice(0, len(part)))
    assert len({len(part) for part in looking.histories}) > 10
    for progress, part in zip(looking.progress[-20:], looking.histories[-20:], strict=True):
        assert progress["format"] == "steepest-progress"
        assert progress["version"] == 1
        assert progress["total_steps"] == 96
        assert part["step"][-1].as_py() >= progress["step"]
        assert progress["epoch"] == progress["step"] / 8
        assert progress["loss"] == history["loss"][progress["step"] - 1].as_py()
        assert progress["stopped"] is None


def test_it_is_published_each_time_half_a_second_has_gone_by(folder: RunFolder):
    """A block lasts a quarter of a second by the loop's clock, and reading lags by one at most."""
    seen = []

    class Seconds(FolderCheckpointer):
        def publish(self, progress, history):
            super().publish(progress, history)
            seen.append(progress["seconds"])

    objective, events = Line(), sample(64)
    plan = plan_for(objective, events, epochs=60)
    end = descend(objective, events, plan, Seconds(folder.path), ranks=Ticking(0.125))
    gaps = np.diff(seen)
    assert gaps[:-1].min() >= 0.5
    assert gaps.max() < 1.0
    assert seen[-1] == end.state.seconds


def test_readers_in_threads_never_fail(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("steepest.descent.loop.SECONDS_PER_PUBLICATION", 0.0)
    stop, failures, read = threading.Event(), [], []

    def poll() -> None:
        while not stop.is_set():
            try:
                history, progress = live.read_history(folder.path), live.read_progress(folder.path)
            except Exception as error:
                failures.append(error)
                return
            if history is not None:
                read.append(history)
            if progress is not None:
                assert progress["step"] > 0

    threads = [threading.Thread(target=poll) for _ in range(2)]
    for thread in threads:
        thread.start()
    _, history = run(folder, epochs=20, clock=Ranks(), steps=16)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert history is not None
    assert read
    for part in read:
        assert part.equals(history.slice(0, len(part)))


def test_a_resumed_run_shows_what_led_to_its_checkpoint_and_goes_on(folder: RunFolder):
    class Killed(BaseException):
        pass

    class Killing(Looking):
        def steps(self, state, loss, rate, epochs):
            super().steps(state, loss, rate, epochs)
            if state.step >= 50:
                raise Killed

    killing = Killing(folder.path)
    with pytest.raises(Killed):
        run(folder, callback=killing, steps=15)
    assert killing.histories[-1]["step"][-1].as_py() > 40
    looking = Looking(folder.path)
    _, history = run(folder, callback=looking, steps=15)
    assert history is not None
    assert history["step"].to_pylist() == list(range(1, 97))
    for part in killing.histories + looking.histories:
        rows = history.slice(0, len(part))
        assert part.drop(["seconds", "events_per_second"]).equals(
            rows.drop(["seconds", "events_per_second"])
        )
    assert len(looking.histories[0]) >= 45


def test_a_run_folder_gives_the_live_history_until_there_is_the_whole_one(folder: RunFolder):
    assert folder.progress is None
    with pytest.raises(RunFolderError, match=r"has no history\.parquet"):
        _ = Run(folder.path).history
    end, history = run(folder)
    assert history is not None
    running = Run(folder.path)
    assert running.history["step"].to_list() == history["step"].to_pylist()
    progress = running.progress
    assert progress is not None
    assert 0 < progress["step"] <= end.step
    assert progress["written"] <= time.time()
    folder.write_history(history)
    assert running.progress is None
    assert "live" not in names(folder.path)
    assert running.history["step"].to_list() == history["step"].to_pylist()


def test_a_best_loss_that_is_not_finite_is_null(folder: RunFolder):
    objective, events = Line(), sample(64)
    plan = plan_for(objective, events, epochs=9)
    losses = iter([np.inf, *range(20)])
    seen = []

    class Progress(FolderCheckpointer):
        def publish(self, progress, history):
            super().publish(progress, history)
            seen.append(live.read_progress(folder.path))

    descend(
        objective,
        events,
        plan,
        Progress(folder.path),
        monitor=lambda theta: {"validation_loss": next(losses)},
        metrics=("validation_loss",),
        ranks=Ticking(0.3),
    )
    assert seen[0]["best"] == {"loss": None, "step": 0}
    assert seen[-1]["best"] == {"loss": 0, "step": 8}


def test_why_it_stopped_is_published(folder: RunFolder):
    class InterruptedAt(Callback):
        def steps(self, state: State, loss: float, rate: float, epochs: float) -> None:
            self.interrupted = state.step >= 20

    with pytest.raises(Interrupted):
        run(folder, callback=InterruptedAt())
    assert folder.progress is not None
    assert (folder.progress["stopped"], folder.progress["step"]) == ("interrupted", 20)
    run(folder)
    assert folder.progress is not None
    assert folder.progress["stopped"] == "all 12 epochs are done"
    assert folder.progress["step"] == 96


def test_a_stream_is_read_up_to_where_it_is_cut(folder: RunFolder):
    looking = Looking(folder.path)
    run(folder, callback=looking, seconds=1e9)
    whole = looking.histories[-1]
    for part in (folder.path / "journal").iterdir():
        part.unlink()
    (stream,) = (folder.path / "live").glob("*.arrows")
    content = stream.read_bytes()
    lengths = set()
    for cut in np.random.default_rng(0).integers(0, len(content), 100):
        stream.write_bytes(content[:cut])
        part = live.read_history(folder.path)
        if part is not None:
            assert part.equals(whole.slice(0, len(part)))
            lengths.add(len(part))
    assert len(lengths) > 20
    (folder.path / "live" / "progress.json").write_text("")
    assert live.read_progress(folder.path) is None


def test_a_damaged_part_of_the_journal_is_named(folder: RunFolder):
    run(folder, epochs=5)
    (part,) = (folder.path / "journal").glob("*.parquet")
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(RunFolderError, match="is damaged"):
        live.read_history(folder.path)


def test_files_that_are_replaced_all_the_time(folder: RunFolder, monkeypatch: pytest.MonkeyPatch):
    journal = folder.path / "journal"
    journal.mkdir()
    (journal / "step-000000000001.parquet").symlink_to(journal / "gone")
    monkeypatch.setattr(live, "TRIALS", 2)
    with pytest.raises(RunFolderError, match="replaced 2 times"):
        live.read_history(folder.path)


def test_a_disk_that_is_full_does_not_end_the_run(folder: RunFolder, monkeypatch):
    writer = live.LiveWriter(folder.path)
    rows = pa.table({"step": [1, 2]})
    writer.publish({"step": 2}, rows)

    def full(*arguments) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(live.os, "replace", full)
        writer.publish({"step": 3}, pa.table({"step": [3]}))
    writer.publish({"step": 4}, pa.table({"step": [4]}))  # not before the next checkpoint
    progress = live.read_progress(folder.path)
    assert progress is not None
    assert progress["step"] == 2
    writer.checkpointed(4)
    writer.publish({"step": 5}, pa.table({"step": [5]}))
    progress = json.loads((folder.path / "live" / "progress.json").read_text())
    assert progress["step"] == 5
