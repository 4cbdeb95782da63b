"""Damage to any file that a run or a prediction leaves is named, or changes nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy

import steepest
from samples import make_events, small_recipe
from steepest.errors import Interrupted, SteepestError
from steepest.folder import RunFolder
from steepest.prediction import scorer
from steepest.report import write_report
from steepest.run import resume
from steepest.training import TrainingCallback

VALUES = (None, False, -1, 10**12, 1e300, "x", [], {}, [[]])
LEFT_ALONE = ("log.txt", ".lock", "report.html")
"""No command reads these; the report is written anew."""


class Stops(TrainingCallback):
    """Says what it is told; ends the descent after so many looks."""

    def __init__(self, looks: int = 10**9) -> None:
        super().__init__()
        self.looks, self.said = looks, []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def round(self, state: Any, values: Any) -> None:
        self.looks -= 1
        self.interrupted |= self.looks < 0


# --- what is damaged ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``whole``: a run; ``broken``: the same, interrupted; ``.out.parquet.parts``: scores, too."""
    folder = tmp_path_factory.mktemp("made")
    events = make_events(400)
    pq.write_table(pa.table(events), folder / "events.parquet")
    table = small_recipe(folder / "events.parquet")
    table["descent"]["checkpoint"] = {"steps": 3}
    table["evaluate"] = {"baseline": False}
    steepest.train(table, folder / "whole")
    with pytest.raises(Interrupted):
        steepest.train(table, folder / "broken", callback=Stops(1))
    with pytest.MonkeyPatch.context() as patch:
        for name, rows in (("MOST_IN_BLOCK", 100), ("MOST_IN_PART", 100), ("LEAST", 1)):
            patch.setattr(scorer, name, rows)
        score, left = scorer.Scorer.score, [3]

        def stops(self: scorer.Scorer, block: Any) -> pa.RecordBatch:
            left[0] -= 1
            if left[0] < 0:
                raise Interrupted("Interrupted.", found="", do="")
            return score(self, block)

        patch.setattr(scorer.Scorer, "score", stops)
        with pytest.raises(Interrupted):
            steepest.predict(folder / "whole", folder / "events.parquet", folder / "out.parquet")
    return folder


def files_of(folder: Path) -> list[Path]:
    """All files that are read, in an order of their own."""
    found = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return [file for file in found if file.name not in LEFT_ALONE]


def is_past(file: Path) -> bool:
    """Whether it led to a run that is complete: nothing is read from it any more."""
    return any(f"/whole/{folder}/" in file.as_posix() for folder in ("journal", "checkpoints"))


# --- the damage ---------------------------------------------------------------------------------


def flipped(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    changed[random.integers(len(data))] ^= 1 << random.integers(8)
    return bytes(changed)


def cut(data: bytes, random: np.random.Generator) -> bytes:
    return data[: random.integers(len(data))]


def inserted(data: bytes, random: np.random.Generator) -> bytes:
    at = random.integers(len(data) + 1)
    return data[:at] + random.bytes(random.integers(1, 9)) + data[at:]


def replaced(data: bytes, random: np.random.Generator) -> bytes:
    """JSON with a value replaced, or a key removed or added, anywhere."""
    value = json.loads(data)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(value)
    node, key = places[random.integers(len(places))]
    match random.integers(6):
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node["unknown"] = 1
        case _:
            node[key] = VALUES[random.integers(len(VALUES))]
    return json.dumps(value).encode()


def reshaped(data: bytes, random: np.random.Generator) -> bytes:
    """Safetensors with an array emptied, transposed, lengthened, made NaN, or left out."""
    arrays = safetensors.numpy.load(data)
    name = sorted(arrays)[random.integers(len(arrays))]
    array = arrays[name]
    match random.integers(5):
        case 0:
            arrays[name] = array[:0]
        case 1:
            arrays[name] = np.ascontiguousarray(array[None].T)
        case 2:
            arrays[name] = np.concatenate([array, array])
        case 3 if array.dtype.kind == "f":
            arrays[name] = np.full_like(array, np.nan)
        case _:
            del arrays[name]
    return safetensors.numpy.save(arrays)


def damaged(file: Path, random: np.random.Generator) -> None:
    kinds: list[Callable[[bytes, np.random.Generator], bytes]] = [flipped, cut, inserted]
    if file.suffix == ".json" or file.name == "COMPLETE":
        kinds += [replaced] * 4
    if file.suffix == ".safetensors":
        kinds += [reshaped] * 3
    before = file.read_bytes()
    after = before
    while after == before:
        after = kinds[random.integers(len(kinds))](before, random)
    file.write_bytes(after)


# --- what is seen -------------------------------------------------------------------------------


class Seen:
    """The messages of what was tried; an error that is not ours ends the test."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def of(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except SteepestError as error:
            self.messages.append(str(error))
        return None

    def names(self, file: Path) -> bool:
        return any(file.name in message for message in self.messages)


def look_at_run(folder: Path, file: Path, events: Path) -> bool:
    """Do what users do with a complete run; whether the damage was named."""
    seen, run = Seen(), RunFolder(folder)
    seen.of(lambda: resume(folder))
    for name in ("recipe", "metrics", "environment", "history", "descent_path", "model"):
        seen.of(lambda name=name: getattr(run, name))
    seen.of(lambda: steepest.predict(folder, events, folder.parent / "scores.parquet"))
    seen.of(lambda: steepest.predict(folder / "model", events, folder.parent / "more.parquet"))
    seen.of(lambda: write_report(run))
    return seen.names(file)


def look_at_broken(folder: Path, file: Path, whole: Path) -> bool:
    """Read an interrupted run, and go on with it; named, or the end is the same."""
    seen, callback = Seen(), Stops()
    run = RunFolder(folder)
    for name in ("history", "progress", "recipe", "environment"):
        seen.of(lambda name=name: getattr(run, name))
    resumed = seen.of(lambda: resume(folder, callback=callback))
    if resumed is None:
        return seen.names(file)
    assert resumed.metrics["merits"] == RunFolder(whole).metrics["merits"]
    parameters = (p / "model" / "model.safetensors" for p in (folder, whole))
    assert next(parameters).read_bytes() == next(parameters).read_bytes()
    passed = any("is damaged and was passed over" in sentence for sentence in callback.said)
    return passed or file.parent.name in ("live", "checkpoints") or "step-" in str(file)


def look_at_parts(folder: Path, file: Path, whole: pa.Table) -> bool:
    """Go on with interrupted scores; named, or the scores are the same."""
    seen, out = Seen(), folder / "out.parquet"
    run, events = folder / "whole", folder / "events.parquet"
    done = seen.of(lambda: steepest.predict(run, events, out, resume=True))
    if done is None:
        return seen.names(file)
    return pq.read_table(out).equals(whole)


def mutate(made: Path, work: Path, count: int) -> None:
    scores = work / "scores.parquet"
    steepest.predict(made / "whole", made / "events.parquet", scores)
    whole = pq.read_table(scores)
    files = [file for file in files_of(made) if file.parent != made and not is_past(file)]
    unseen = []
    for index in range(count):
        random = np.random.default_rng([13, index])
        file = files[random.integers(len(files))]
        copy = work / str(index)
        shutil.copytree(made, copy)
        target = copy / file.relative_to(made)
        damaged(target, random)
        room = file.relative_to(made).parts[0]
        if room == "whole":
            named = look_at_run(copy / room, target, made / "events.parquet")
        elif room == "broken":
            named = look_at_broken(copy / room, target, made / "whole")
        else:
            named = look_at_parts(copy, target, whole)
        if not named:
            unseen.append((index, str(file.relative_to(made))))
        shutil.rmtree(copy)
    assert not unseen


def test_fifty_mutations(made: Path, tmp_path: Path):
    mutate(made, tmp_path, 50)


@pytest.mark.slow
def test_seven_hundred_mutations(made: Path, tmp_path: Path):
    mutate(made, tmp_path, 700)
