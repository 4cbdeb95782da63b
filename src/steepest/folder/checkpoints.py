"""Checkpoints that survive a kill at any instant.

A checkpoint is a new folder ``checkpoints/step-…``: its files are written and synced under a
temporary name, then the marker ``COMPLETE`` with their SHA-256 sums, and only then is it renamed,
atomically. Older ones are removed after that. History and path since the last checkpoint go to
``journal/`` first, so that a checkpoint never lacks what led to it. When a run resumes, parts later
than its checkpoint are removed, and made again. What is published between checkpoints goes to
``live/``.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from steepest.descent import State
from steepest.descent.state import FORMAT, Path
from steepest.errors import RunFolderError
from steepest.folder.files import (
    explained,
    parse_json,
    read_json,
    sync_folder,
    write_atomically,
    write_synced,
    write_text,
)
from steepest.folder.live import LiveWriter, read_table, write_table
from steepest.folder.manifest import entry_of, sealed, sha256, unsealed

KEPT = 2
VERSION = int(FORMAT["version"])
_MARKER = "COMPLETE"


class FolderCheckpointer:
    """Keeps a descent's state, history and path in a run's folder.

    Parameters
    ----------
    folder
        The run's folder.
    say
        Called with a sentence when a damaged checkpoint is passed over.
    is_main
        Whether this process writes. Others only read: see `steepest.ranks`.
    """

    def __init__(
        self, folder: FilePath, say: Callable[[str], None] = lambda _: None, is_main: bool = True
    ) -> None:
        self.checkpoints = folder / "checkpoints"
        self.journal = folder / "journal"
        self.folder = folder
        self.say = say
        self.is_main = is_main
        self.last_step = -1
        self._entries: dict[str, dict[str, Any]] = {}
        self.live = LiveWriter(folder)
        if not is_main:
            return
        with explained("Making the run's folder", folder, "nothing was done yet"):
            self.checkpoints.mkdir(exist_ok=True)
            self.journal.mkdir(exist_ok=True)

    def save(self, state: State, history: pa.Table, path: Path | None) -> None:
        """Write a checkpoint; the one before stays good until this one is."""
        if state.step == self.last_step or not self.is_main:  # nothing happened since
            return
        safe = f"checkpoint {self.last_step:,}" if self.last_step >= 0 else "the recipe"
        kept = f"{safe} is kept; go on with `steepest train --resume {self.folder}`"
        with explained(f"Writing checkpoint {state.step:,}", self.folder, kept):
            self._write_journal(state.step, history, path)
            self._write_checkpoint(state)
            self._remove_older()
        self.last_step = state.step
        self.live.checkpointed(state.step)

    def publish(self, progress: Mapping[str, Any], history: pa.Table) -> None:
        """Append the rows to what readers of the running descent see, and replace its progress."""
        if self.is_main:
            self.live.publish(progress, history)

    def newest(self) -> State | None:
        """The newest good checkpoint's state, or None; removes what leads beyond it."""
        state, name = None, ""
        if not self.checkpoints.is_dir():  # the main process has not made it yet
            return None
        for name in sorted(self._names(), reverse=True):
            state = self._read(self.checkpoints / name)
            if state is not None:
                break
            self.say(f"Checkpoint {name} is damaged and was passed over.")
        self.last_step = -1 if state is None else state.step
        if state is not None:
            self._require_journal(name)
        if not self.is_main:
            return state
        self.live.restart(self.last_step)
        for part in self.journal.iterdir():
            if _step_of(part.stem) > self.last_step or part.name.startswith("."):
                part.unlink()
                self._entries.pop(part.name, None)
        for leftover in self.checkpoints.iterdir():
            if not (leftover / _MARKER).exists() or _step_of(leftover.name) > self.last_step:
                shutil.rmtree(leftover)
        return state

    def history(self) -> pa.Table | None:
        """Everything recorded so far, in the order of the steps."""
        parts = sorted(self.journal.glob("*.parquet"))
        tables = [read_table(part) for part in parts]  # of older releases with fewer columns
        return pa.concat_tables(tables, promote_options="default") if parts else None

    def path(self) -> Path | None:
        """The path of θ, or None if there is none."""
        parts = [load_file(part) for part in sorted(self.journal.glob("*.safetensors"))]
        if not parts:
            return None
        return Path.joined([Path(part["steps"], part["thetas"]) for part in parts])

    def _parts(self) -> dict[str, dict[str, Any]]:
        """The journal's parts with their sizes and checksums, which are read once."""
        parts = sorted(self.journal.glob("step-*"))
        for part in parts:
            if part.name not in self._entries:
                self._entries[part.name] = entry_of(part.read_bytes())
        return {part.name: self._entries[part.name] for part in parts}

    def _require_journal(self, checkpoint: str) -> None:
        """Refuse to go on without a part of the history that led to the checkpoint."""
        present = self._parts()
        for name, listed in _marker_of(self.checkpoints / checkpoint)["journal"].items():
            entry = {"size": listed} if isinstance(listed, int) else listed  # of an older release
            found = present.get(name)
            if found is None:
                seen = "no such file"
            elif found.items() >= entry.items():
                continue
            else:
                same = found["size"] == entry["size"]
                seen = "other ones" if same else f"{found['size']:,} bytes"
            raise RunFolderError(
                f"The journal of the run {self.folder} is damaged: {name}.",
                expected=f"{entry['size']:,} bytes",
                found=seen,
                cause="it was removed, changed, or cut short by a copy",
                do="restore it, or train anew into another folder",
            )

    def _write_journal(self, step: int, history: pa.Table, path: Path | None) -> None:
        stem = f"step-{step:012d}"
        if path is not None:
            arrays = {"steps": path.steps, "thetas": path.thetas}
            self._write_part(f"{stem}.safetensors", lambda file: save_file(arrays, file))
        if len(history):
            self._write_part(f"{stem}.parquet", lambda file: write_table(history, file))

    def _write_part(self, name: str, write: Callable[[FilePath], object]) -> None:
        write_atomically(self.journal / name, write)
        self._entries.pop(name, None)

    def _write_checkpoint(self, state: State) -> None:
        name = f"step-{state.step:012d}"
        temporary = self.checkpoints / f".{name}"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            arrays, scalars = state.arrays(), json.dumps(state.scalars())
            write_synced(temporary / "state.safetensors", lambda file: save_file(arrays, file))
            write_synced(temporary / "state.json", lambda file: write_text(file, scalars))
            marker = json.dumps(sealed({"files": _sums(temporary), "journal": self._parts()}))
            write_synced(temporary / _MARKER, lambda file: write_text(file, marker))
            sync_folder(temporary)
            os.rename(temporary, self.checkpoints / name)
            sync_folder(self.checkpoints)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise

    def _remove_older(self) -> None:
        for name in sorted(self._names())[:-KEPT]:
            (self.checkpoints / name / _MARKER).unlink()
            shutil.rmtree(self.checkpoints / name)

    def _names(self) -> list[str]:
        return [
            entry.name
            for entry in self.checkpoints.iterdir()
            if entry.name.startswith("step-") and (entry / _MARKER).exists()
        ]

    def _read(self, folder: FilePath) -> State | None:
        """The state in a checkpoint, or None if it is damaged."""
        try:
            if _marker_of(folder)["files"] != _sums(folder):
                return None
            scalars = read_json(folder / "state.json")
            version = scalars.get("version", 1)
            if version <= VERSION:
                return State.from_parts(load_file(folder / "state.safetensors"), scalars)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None
        raise RunFolderError(
            f"The checkpoint {folder} cannot be read by this version of steepest.",
            expected=f"version 1 to {VERSION}",
            found=f"version {version}",
            cause="a newer steepest has written it",
            do="install that version, or train anew into another folder",
        )


def _sums(folder: FilePath) -> dict[str, str]:
    names = ("state.json", "state.safetensors")
    return {name: sha256((folder / name).read_bytes()) for name in names}


def _marker_of(folder: FilePath) -> dict[str, Any]:
    """What COMPLETE says; ValueError if it is damaged. Those of older releases have no checksum."""
    data = (folder / _MARKER).read_bytes()
    try:
        return unsealed(data)
    except ValueError:
        marker = parse_json(data)
        if not isinstance(marker, dict) or marker.keys() != {"files", "journal"}:
            raise
    if not all(isinstance(size, int) for size in dict(marker["journal"]).values()):
        raise ValueError("no sizes of the journal's parts")
    return marker


def _step_of(name: str) -> int:
    digits = name.lstrip(".").removeprefix("step-")
    return int(digits) if digits.isdigit() else -1
