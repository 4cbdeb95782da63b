"""What is done so far: the rows of a file in parts, beside it, until all of them are there.

``.FILE.parts/`` has a manifest, which says what is being made, and a part for each so many rows of
the events, counted from the first. A part is whole or absent: it is written under another name,
synced, and renamed. A lock goes with the process that writes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.errors import InputError
from steepest.folder.files import explained, write_atomically, write_json

__all__ = ["GO_ON", "Parts"]

GO_ON = "the same command with --resume goes on"
KEPT = f"what was done is kept: {GO_ON}"

_MANIFEST, _RENAMED = "manifest.json", "renamed.json"
_WORDS = {
    "model": "the model",
    "events": "the events",
    "columns": "the columns to copy",
    "scores": "the names of the scores",
    "written": "the format",
    "select": "the selection",
    "missing": "what is done where a score is missing",
    "steepest": "the release of steepest",
}


class Parts:
    """The folder of parts of one file; use within `locked`.

    Parameters
    ----------
    folder
        Where the parts lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder and hold it alone; remove it at the end if nothing is in it to keep."""
        with explained("Making the folder of parts", self.folder, "nothing was done yet"):
            self.folder.mkdir(exist_ok=True)
            descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"Another process writes into {self.folder}.",
                    do="wait until it ends, or give another --out",
                ) from None
            try:
                yield
            finally:
                if self.count == 0 and not (self.folder / self._name(0)).exists():
                    self.discard()
        finally:
            os.close(descriptor)

    def begin(self, manifest: dict[str, Any]) -> None:
        """Begin anew: let go of what is there."""
        with explained("Beginning", self.folder, "nothing was done yet"):
            for entry in self.folder.iterdir():
                if entry.name != ".lock":
                    entry.unlink()
            write_json(self.folder / _MANIFEST, manifest)
        self.count = 0

    def refuse_unfinished(self) -> None:
        """Raise InputError if there is work that could be resumed."""
        done = self._done()
        if done:
            raise InputError(
                f"Unfinished scores lie in {self.folder}.",
                expected="none, or --resume",
                found=f"{done} complete part{'s' if done > 1 else ''}",
                cause="an earlier run was interrupted",
                do="--resume goes on with them, --overwrite begins anew",
            )

    def resume(self, manifest: dict[str, Any]) -> bool:
        """Take up what is there; return whether there was anything.

        Raises
        ------
        InputError
            It was begun with another model, other events or other options.
        """
        begun = self._begun()
        if begun is None:
            return False
        for key, words in _WORDS.items():
            if begun.get(key) != manifest[key] and not _goes_on(key, begun, manifest):
                raise InputError(
                    f"The unfinished scores in {self.folder} were begun with other input: {words}.",
                    expected=_short(begun.get(key)),
                    found=_short(manifest[key]),
                    do="resume with the same, or begin anew with --overwrite",
                )
        manifest["part_rows"] = begun["part_rows"]
        self.count = self._done()
        return True

    def events(self) -> dict[str, Any] | None:
        """Return what events the scores were begun with: ``path`` and ``files``; None if none."""
        begun = self._begun()
        if begun is None or "path" not in begun:
            return None
        return {"path": begun["path"], "files": begun["events"]}

    def write(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Write the next part."""

        def fill(file: Path) -> None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            with (
                pa.OSFile(str(file), "wb") as sink,
                pa.ipc.new_stream(sink, schema, options=options) as stream,
            ):
                for batch in batches:
                    stream.write_batch(batch)

        with explained(f"Writing part {self.count} of the scores", self.folder, KEPT):
            write_atomically(self.folder / self._name(self.count), fill)
        self.count += 1

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows of all parts, in order."""
        for index in range(self.count):
            with pa.OSFile(str(self.folder / self._name(index))) as file:
                yield from pa.ipc.open_stream(file)

    def rename(self, whole: Path, target: Path) -> None:
        """Give the whole file its name; `renamed` tells so, should the process end right then."""
        status = whole.stat()
        write_json(self.folder / _RENAMED, {"inode": status.st_ino, "size": status.st_size})
        os.replace(whole, target)

    def renamed(self, target: Path) -> bool:
        """Whether the target is the whole file of these parts."""
        try:
            known = json.loads((self.folder / _RENAMED).read_text(encoding="utf-8"))
            status = target.stat()
        except (OSError, ValueError):
            return False
        return known == {"inode": status.st_ino, "size": status.st_size}

    def discard(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begun(self) -> dict[str, Any] | None:
        """Return the manifest of what is there."""
        try:
            return json.loads((self.folder / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _done(self) -> int:
        count = 0
        while (self.folder / self._name(count)).exists():
            count += 1
        return count

    @staticmethod
    def _name(index: int) -> str:
        return f"part-{index:06d}.arrow"


def _goes_on(key: str, begun: dict[str, Any], manifest: dict[str, Any]) -> bool:
    """Whether parts can be gone on with although this differs: no score was missing so far."""
    return key == "missing" and (begun["missing"], manifest["missing"]) == ("error", "nan")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:157]}..."
