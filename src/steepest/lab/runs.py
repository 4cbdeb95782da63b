"""Runs under the given folders: found, summarised, and decimated for a page.

A run is named by an identifier that is made from its place; no part of a request becomes a path.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.comparison import differing_settings
from steepest.errors import SteepestError
from steepest.evaluate import Merit
from steepest.explain.findings import plain
from steepest.folder import RunFolder, finished_landscapes
from steepest.folder.run_folder import in_use
from steepest.lab.landscapes import landscape_of
from steepest.listing import run_folders
from steepest.terminal import table_of_merits

Array = np.ndarray

MOST_RUNS = 5_000
"""Runs that are listed at most."""
LOOK = 2.0
"""Seconds for which a search holds."""
LISTED = 1.0
"""Seconds for which a list of runs holds."""
ALIVE = 15.0
"""A run of another machine is training if it published within so many seconds."""
POINTS = 1_500
FIGURES = ("roc", "scores", "jets", "calibration", "confusion", "residuals")
MOST_BYTES = 4 * 2**20
"""Of a figure's numbers."""
MOST_KEPT = 64
"""Decimated histories in memory."""


def identifier_of(run: Path) -> str:
    """Return the identifier of a run, which is made from its place."""
    return hashlib.sha256(os.path.realpath(run).encode()).hexdigest()[:16]


class Runs:
    """The runs under some folders, by identifier.

    Parameters
    ----------
    folders
        Runs, or folders in which runs are searched, without following links.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = [Path(folder) for folder in folders]
        self._lock = threading.Lock()
        self._found: dict[str, tuple[str, Path]] = {}
        self._looked = -math.inf
        self._kept: dict[str, tuple[Any, dict[str, Any]]] = {}
        self._listing = threading.Lock()
        self._rows: list[dict[str, Any]] = []
        self._listed = -math.inf
        self._reading = threading.Lock()
        self._histories: OrderedDict[tuple[str, int], tuple[float, dict[str, Any]]] = OrderedDict()

    def found(self) -> dict[str, tuple[str, Path]]:
        """Name and place of each run, by its identifier."""
        with self._lock:
            if time.monotonic() - self._looked > LOOK:
                self._found = dict(self._search())
                self._looked = time.monotonic()
            return self._found

    def _search(self) -> Iterator[tuple[str, tuple[str, Path]]]:
        count = 0
        for folder in self.folders:
            for path in run_folders(folder):
                name = path.name if path == folder else str(path.relative_to(folder))
                yield identifier_of(path), (name, path)
                count += 1
                if count >= MOST_RUNS:
                    return

    def folder(self, identifier: str) -> RunFolder | None:
        """The run of that identifier; None if there is none."""
        found = self.found().get(identifier)
        return None if found is None else RunFolder(found[1])

    def summaries(self) -> list[dict[str, Any]]:
        """A line for each run, the newest first; made once a second for all who ask."""
        with self._listing:
            if time.monotonic() - self._listed > LISTED:
                self._rows = self._summaries()
                self._listed = time.monotonic()
            return self._rows

    def _summaries(self) -> list[dict[str, Any]]:
        rows = []
        for identifier, (name, path) in self.found().items():
            try:
                rows.append({"id": identifier, "name": name, **self._summary(identifier, path)})
            except (SteepestError, OSError) as error:
                sentence = str(error).splitlines()[0].replace(str(path), name)
                rows.append(
                    {"id": identifier, "name": name, "status": "damaged", "error": sentence}
                )
        return sorted(rows, key=lambda row: -row.get("changed", 0.0))

    def summary(self, identifier: str) -> dict[str, Any] | None:
        """The line of one run; None if there is none of that identifier."""
        found = self.found().get(identifier)
        return None if found is None else self._summary(identifier, found[1])

    def _summary(self, identifier: str, path: Path) -> dict[str, Any]:
        run, done = RunFolder(path), path / "metrics.json"
        if done.exists():
            mark = done.stat().st_mtime_ns
            if self._kept.get(identifier, (None,))[0] != mark:
                self._kept[identifier] = mark, _of_metrics(run, mark)
            return self._kept[identifier][1]
        progress = run.progress or {}
        said = path / "log.txt"
        seen = max(progress.get("written", 0.0), said.stat().st_mtime if said.exists() else 0.0)
        age = time.time() - seen
        lately = age < ALIVE and progress.get("stopped") is None
        status = "training" if lately or in_use(path) else "interrupted"
        changed = progress.get("written", (path / "recipe.toml").stat().st_mtime)
        keys = ("step", "epoch", "epochs", "total_steps", "loss", "stopped")
        return {
            "status": status,
            "changed": changed,
            **{key: plain(progress[key]) for key in keys if key in progress},
        }

    def detail(self, identifier: str) -> dict[str, Any] | None:
        """What the page shows of one run: recipe, figures of merit, figures, explanation."""
        run = self.folder(identifier)
        if run is None:
            return None
        name, path = self.found()[identifier]
        metrics = run.metrics
        return {
            "id": identifier,
            "name": name,
            **self._summary(identifier, path),
            "recipe": run.recipe.to_toml(),
            "merits": _merits(metrics),
            "merits_table": _merits_table(metrics),
            "warnings": (metrics or {}).get("warnings", []),
            "figures": {} if metrics is None else _figures(run),
            "explanation": _explanation(run),
            "landscapes": finished_landscapes(path),
            "log": run.log[-4000:],
        }

    def history(self, identifier: str, points: int = POINTS) -> dict[str, Any] | None:
        """The history with at most so many points a curve; None if there is no such run.

        It is read once for all who look on, and again when the run has written more.
        """
        run = self.folder(identifier)
        if run is None:
            return None
        key, mark = (identifier, min(max(points, 10), 5_000)), _written(run)
        with self._reading:  # of many who ask, one reads
            kept = self._histories.get(key)
            if kept is None or kept[0] != mark:
                try:
                    kept = mark, decimated(run.history, key[1])
                except SteepestError:
                    return {"columns": {}, "rows": 0}
                self._histories[key] = kept
            self._histories.move_to_end(key)
            while len(self._histories) > MOST_KEPT:
                self._histories.popitem(last=False)
            return kept[1]

    def look(self, identifier: str, rows: int) -> dict[str, Any] | None:
        """Status and history of a run that has more than so many rows, or has ended; else None."""
        try:
            summary = self.summary(identifier)
        except SteepestError:
            summary = None
        if summary is None:
            return {"status": "gone", "history": {"rows": 0, "columns": {}}}
        history, status = self.history(identifier), summary["status"]
        if history is None or (history["rows"] == rows and status == "training"):
            return None
        return {"status": status, "history": history}

    def landscape(self, identifier: str, name: str) -> dict[str, Any] | None:
        """A landscape of a run; None if there is none of that name."""
        run = self.folder(identifier)
        return None if run is None else landscape_of(run.path, name)

    def differences(self, identifiers: Sequence[str]) -> dict[str, Any]:
        """The keys of the recipes that differ, with the value of each run."""
        runs = [run for one in identifiers[:8] if (run := self.folder(one)) is not None]
        settings = differing_settings(runs) if len(runs) > 1 else {}
        return {key: [_shown(value) for value in values] for key, values in settings.items()}


def _written(run: RunFolder) -> float:
    """What changes when a run's history does."""
    file = run.path / "history.parquet"
    if file.exists():
        return file.stat().st_mtime_ns
    return (run.progress or {}).get("written", 0.0)


def decimated(table: pa.Table, points: int) -> dict[str, Any]:
    """Columns of a history in `points` pieces of equal length: the lowest and highest of each.

    Peaks stay. Validations, of which there are few, are decimated apart from the steps.
    """
    steps = table["step"].to_numpy()
    columns: dict[str, Any] = {}
    for name in table.column_names:
        if name in ("step", "epoch"):
            continue
        values = table[name].to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
        are_finite = np.isfinite(values)
        if are_finite.all():
            kept = _extremes(values, points)
        else:
            kept = np.flatnonzero(are_finite)
            kept = kept[_extremes(values[kept], points)]
        columns[name] = {"step": steps[kept].tolist(), "value": values[kept].tolist()}
    last = {} if not len(steps) else {"step": int(steps[-1]), "epoch": table["epoch"][-1].as_py()}
    return {"columns": columns, "rows": len(steps), "last": last}


def _extremes(values: Array, points: int) -> Array:
    """Places of the lowest and the highest value of each of `points`/2 pieces, and of both ends."""
    count = len(values)
    if count <= points:
        return np.arange(count)
    pieces = points // 2
    size = -(-count // pieces)
    padded = np.concatenate([values, np.full(size * pieces - count, values[-1])])
    rows = padded.reshape(pieces, size)
    starts = np.arange(pieces) * size
    places = np.concatenate(
        [[0, count - 1], starts + rows.argmin(axis=1), starts + rows.argmax(axis=1)]
    )
    return np.unique(np.minimum(places, count - 1))


def _of_metrics(run: RunFolder, mark: int) -> dict[str, Any]:
    metrics = run.metrics or {}
    merits = _merits(metrics)
    return {
        "status": metrics.get("status", "complete"),
        "changed": mark / 1e9,
        "model": (metrics.get("model") or {}).get("name"),
        "task": metrics.get("task"),
        "first_merit": merits[0] if merits else None,
    }


def _merits(metrics: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Figures of merit of the model, with uncertainty, counts and definition."""
    found = ((metrics or {}).get("merits") or {}).get("model") or {}
    keys = ("name", "value", "low", "high", "uncertainty", "unit", "counts", "definition")
    shown = []
    for entry in found.values():
        if isinstance(entry, dict) and entry.get("value") is not None:
            merit = Merit.from_json(entry)
            texts = {"title": merit.title, "text": merit.format()}
            shown.append({**texts, **{key: plain(entry.get(key)) for key in keys}})
    return shown


def _merits_table(metrics: dict[str, Any] | None) -> dict[str, Any] | None:
    """The table that the command line prints: of the model, its baseline, and both compared."""
    if not ((metrics or {}).get("merits") or {}).get("model"):
        return None
    assert metrics is not None
    head, rows = table_of_merits(metrics)
    return {"head": head, "rows": rows}


def _figures(run: RunFolder) -> dict[str, Any]:
    drawn = {}
    for name in FIGURES:
        file = run.path / "figures" / f"{name}.json"
        if file.is_file() and file.stat().st_size <= MOST_BYTES:
            drawn[name] = plain(run.figure(name))
    return drawn


def _explanation(run: RunFolder) -> dict[str, Any] | None:
    explained = run.explanation
    if explained is None:
        return None
    return {key: plain(explained[key]) for key in ("verdict", "findings", "checks")}


def _shown(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | None):
        return value
    return json.dumps(value, default=str, ensure_ascii=False)
