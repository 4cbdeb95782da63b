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
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.errors import InputError
from steepest.folder.files import explained, write_atomically, write_json
from steepest.folder.manifest import sealed, sha256, unsealed

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
        self._manifest: dict[str, Any] = {}

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
            self._manifest, self.count = {**manifest, "parts": []}, 0
            write_json(self.folder / _MANIFEST, sealed(self._manifest))

    def refuse_unfinished(self) -> None:
        """Raise InputError if there is work that could be resumed."""
        done = 0
        while (self.folder / self._name(done)).exists():
            done += 1
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
            It was begun with another model, other events or other options, or is damaged.
        """
        begun = self._begun()
        if begun is None:
            return False
        refuse_other(f"The unfinished scores in {self.folder} were", begun, manifest)
        manifest["part_rows"] = begun["part_rows"]
        self._manifest = begun
        for index, sha in enumerate(begun["parts"]):
            part = self.folder / self._name(index)
            if not part.exists():  # it was to be written
                del begun["parts"][index:]
                break
            if sha256(part.read_bytes()) != sha:
                raise self._damaged(part.name, "other bytes than its checksum is of")
        self.count = len(begun["parts"])
        return True

    def events(self) -> dict[str, Any] | None:
        """Return what events the scores were begun with, as a fingerprint; None if none."""
        begun = self._begun()
        if begun is None or "path" not in begun:
            return None
        return {
            "path": begun["path"],
            "files": begun["events"],
            "skipped": begun.get("skipped", []),
        }

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
            self._manifest["parts"][self.count :] = [sha256(file.read_bytes())]
            write_json(self.folder / _MANIFEST, sealed(self._manifest))

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
        """Return the manifest of what is there; None if nothing is."""
        file = self.folder / _MANIFEST
        try:
            return unsealed(file.read_bytes()) if file.exists() else None
        except ValueError as error:
            raise self._damaged(_MANIFEST, str(error)) from None

    def _damaged(self, name: str, found: str) -> InputError:
        return InputError(
            f"{name} of the unfinished scores in {self.folder} is damaged.",
            expected="what was written",
            found=found,
            cause="it was changed, or cut short by a copy",
            do="--overwrite begins anew",
        )

    @staticmethod
    def _name(index: int) -> str:
        return f"part-{index:06d}.arrow"


def refuse_other(what: str, begun: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Raise InputError if scores were begun with another model, events or options."""
    for key, words in _WORDS.items():
        if begun.get(key) != manifest[key] and not _goes_on(key, begun, manifest):
            raise InputError(
                f"{what} begun with other input: {words}.",
                expected=_short(begun.get(key)),
                found=_short(manifest[key]),
                do="resume with the same, or begin anew with --overwrite",
            )


def _goes_on(key: str, begun: Mapping[str, Any], manifest: Mapping[str, Any]) -> bool:
    """Whether parts can be gone on with although this differs: no score was missing so far."""
    return key == "missing" and (begun.get("missing"), manifest["missing"]) == ("error", "nan")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:157]}..."
