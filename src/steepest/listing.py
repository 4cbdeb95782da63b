"""The runs under some folders, one line each: `list_runs`."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from steepest.errors import InputError, SteepestError, nearest
from steepest.evaluate import Merit
from steepest.folder import RunFolder
from steepest.folder.run_folder import is_run

DEPTH = 5
"""Levels of folders that are searched."""
KEYS = ("when", "name", "status", "model")
LATELY = 60.0
"""Seconds since a run has published its progress, within which it counts as running."""


@dataclass(frozen=True)
class ListedRun:
    """One run.

    Attributes
    ----------
    name
        Its path below the folder that was searched.
    path
        Its folder.
    when
        When it ended, or last wrote something.
    status
        ``complete``, ``diverged``; ``running``, ``unfinished``; ``damaged``.
    model
        What it is called; of a run that has not ended, its kind; None of a damaged one.
    merits
        Figures of merit, by name.
    shown
        The name of the figure of merit that a table shows.
    note
        Why a damaged run cannot be read, or one diverged; how far an unfinished one is.
    """

    name: str
    path: Path
    when: datetime
    status: str
    model: str | None = None
    merits: dict[str, Merit] = field(default_factory=dict)
    shown: str | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "path": str(self.path),
            "when": self.when.astimezone().isoformat(timespec="seconds"),
            "status": self.status,
            "model": self.model,
            "merits": {name: merit.to_json() for name, merit in self.merits.items()},
            "note": self.note,
        }


def list_runs(
    folders: Sequence[str | Path], sort: str = "when", reverse: bool = False
) -> list[ListedRun]:
    """Return the runs under some folders; links are not followed.

    Parameters
    ----------
    folders
        Runs, or folders in which they are searched, five levels down.
    sort
        "when" (the newest first), "name", "status", "model", or the name of a figure of merit (the
        largest value first; runs that have it not come last).
    reverse
        The other way round.

    Raises
    ------
    InputError
        A folder is not there, or no run has that figure of merit.
    """
    found = [run for folder in folders for run in _runs_in(Path(folder))]
    if sort in KEYS:
        found.sort(key=lambda run: run.name)
        found.sort(
            key=lambda run: getattr(run, sort) or "", reverse=(sort == "when") is not reverse
        )
        return found
    known = sorted({name for run in found for name in run.merits})
    if sort not in known:
        close = nearest(sort, [*KEYS, *known])
        raise InputError(
            f"Runs cannot be sorted by {sort!r}.",
            expected=f"one of {', '.join([*KEYS, *known])}",
            found=repr(sort),
            do=f"--sort {close}" if close else None,
        )
    having = [run for run in found if sort in run.merits]
    having.sort(key=lambda run: run.merits[sort].value, reverse=not reverse)
    found = having + [run for run in found if sort not in run.merits]
    return [ListedRun(**(vars(run) | {"shown": sort})) for run in found]


def _runs_in(folder: Path) -> Iterator[ListedRun]:
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {folder}.",
            expected="a folder with runs in it",
            do="name one, such as the --out of steepest train",
        )
    for path in run_folders(folder):
        name = path.name if path == folder else str(path.relative_to(folder))
        yield _listed(name, path)


def run_folders(folder: Path, depth: int = DEPTH) -> Iterator[Path]:
    """Yield the folders of runs under a folder, by name; links are not followed."""
    if is_run(folder):
        yield folder
    elif depth:
        try:
            inside = sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink())
        except OSError:  # no folder of ours
            return
        for path in inside:
            if not path.name.startswith("."):
                yield from run_folders(path, depth - 1)


def _listed(name: str, path: Path) -> ListedRun:
    newest = max(
        (file.stat().st_mtime for file in (path / "metrics.json", path / "log.txt", path)
         if file.exists()),
    )  # fmt: skip
    when = datetime.fromtimestamp(newest)
    try:
        run = RunFolder(path)
        metrics = run.metrics
        if metrics is None:
            status, note = _progress(run)
            return ListedRun(name, path, when, status, run.recipe.model.name, note=note)
        if metrics["status"] != "complete":
            note = metrics.get("divergence", "").split("\n")[0]
            kind = run.recipe.model.name
            return ListedRun(name, path, when, metrics["status"], kind, note=note)
        merits = {
            key: Merit.from_json(entry)
            for key, entry in metrics["merits"]["model"].items()
            if entry.get("value") is not None
        }
        return ListedRun(
            name, path, when, metrics["status"], metrics["model"]["name"], merits,
            next(iter(merits), None),
        )  # fmt: skip
    except (SteepestError, OSError, LookupError, TypeError, ValueError) as error:
        return ListedRun(name, path, when, "damaged", note=str(error).splitlines()[0])


def _progress(run: RunFolder) -> tuple[str, str]:
    """Return "running" or "unfinished", and how far the run is, where it has published that."""
    progress = run.progress or {}
    lately = time.time() - progress.get("written", -math.inf) < LATELY
    status = "running" if lately and progress.get("stopped") is None else "unfinished"
    steps = progress.get("total_steps")
    return status, f"step {progress['step']:,} of {steps:,}" if steps and "step" in progress else ""
