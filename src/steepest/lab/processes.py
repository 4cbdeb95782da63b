"""Training that the page starts: processes of their own, which survive the page and the server.

What was started is written to ``.lab.json`` in the first folder of runs, so that a server that is
started again knows it. A process is only ended if its time of birth is the one that was written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil

from steepest.errors import InputError
from steepest.recipe import Recipe

RECORD = ".lab.json"
MOST = 4
"""Processes at once."""


class Processes:
    """Starts and stops ``steepest train``.

    Parameters
    ----------
    folder
        Where new runs go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()

    def start(self, recipe: Recipe, name: str) -> Path:
        """Train a recipe into the next free folder NAME-1, NAME-2, …; returns the folder."""
        with self._lock:
            self._refuse_many()
            self.folder.mkdir(parents=True, exist_ok=True)
            number = 1
            while (self.folder / f"{name}-{number}").exists():
                number += 1
            out = self.folder / f"{name}-{number}"
            file = self.folder / f".{out.name}.toml"
            file.write_text(recipe.to_toml(), encoding="utf-8")
            self._run(out, ["train", str(file), "--out", str(out), "--json"])
            return out

    def resume(self, run: Path) -> None:
        """Go on with an interrupted run."""
        with self._lock:
            if self._process(run) is not None:
                raise InputError("This run is training already.")
            self._refuse_many()
            self._run(run, ["train", "--resume", str(run), "--json"])

    def stop(self, run: Path) -> None:
        """Ask a run that was started here to save and stop."""
        with self._lock:
            process = self._process(run)
            if process is None:
                raise InputError(
                    "This run was not started from the lab, or has ended.",
                    do="press Ctrl-C where it was started",
                )
            process.terminate()

    def running(self, run: Path) -> bool:
        """Whether a process that was started here trains that run."""
        with self._lock:
            return self._process(run) is not None

    def _run(self, run: Path, arguments: list[str]) -> None:
        child = subprocess.Popen(
            [sys.executable, "-m", "steepest", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C of the server is not its own
            close_fds=True,
        )
        threading.Thread(target=child.wait, daemon=True).start()  # so that it is no zombie after
        record = self._record()
        born = psutil.Process(child.pid).create_time()
        record[os.path.realpath(run)] = {"pid": child.pid, "born": born}
        partial = self.folder / f"{RECORD}.partial"
        partial.write_text(json.dumps(record), encoding="utf-8")
        os.replace(partial, self.folder / RECORD)

    def _refuse_many(self) -> None:
        alive = sum(self._process(Path(run)) is not None for run in self._record())
        if alive >= MOST:
            raise InputError(
                f"{MOST} runs are training already.",
                do="wait until one ends, or stop one",
            )

    def _process(self, run: Path) -> psutil.Process | None:
        entry = self._record().get(os.path.realpath(run))
        if entry is None:
            return None
        try:
            process = psutil.Process(entry["pid"])
            same = abs(process.create_time() - entry["born"]) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def _record(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
