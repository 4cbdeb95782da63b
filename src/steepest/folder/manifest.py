"""Which files a folder of ours has, with their checksums: damage is told before a file is used.

``manifest.json`` is written before a file gets its name, and has the checksum of what the file
replaces as well: a process that is killed between the two leaves nothing that looks damaged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from steepest.errors import RunFolderError
from steepest.folder.files import (
    json_text,
    parse_json,
    sync_folder,
    temporary_of,
    write_atomically,
    write_synced,
    write_text,
)

NAME = "manifest.json"
FORMAT = {"format": "steepest-manifest", "version": 1}
_SEAL = "sha256"


class Manifest:
    """The checksums of the files below a folder; a folder of an older release has none.

    `whose` is what the folder is in messages, such as "the run runs/jets-1", and `do` what to
    do about a damaged file. Files and folders that are `apart` are not listed.
    """

    def __init__(self, folder: Path, whose: str, do: str, apart: tuple[str, ...] = ()) -> None:
        self.folder, self.whose, self.do = folder, whose, do
        self.apart = (NAME, *apart)
        self._lock = Lock()

    @property
    def exists(self) -> bool:
        """Whether the folder has a manifest."""
        return (self.folder / NAME).exists()

    def read(self, name: str) -> bytes:
        """Return what a file holds.

        RunFolderError if the file is not what its checksum says, or the manifest is
        damaged.
        """
        data = (self.folder / name).read_bytes()
        entries = self._entries()
        if entries is None:
            return data
        entry = entries.get(name)
        if entry is None:
            raise self._damaged(name, f"an entry in {NAME}", "none")
        if sha256(data) not in entry["sha256"]:
            expected, size = entry["size"], len(data)
            found = "other bytes" if size == expected else f"{size:,} bytes"
            raise self._damaged(
                name, f"the {expected:,} bytes that {NAME} has a checksum of", found
            )
        return data

    def verify(self, made_anew: tuple[str, ...] = ()) -> None:
        """Read all files but those that are made anew, and those that no checksum is known of."""
        for name in (self._entries() or {}).keys() - set(made_anew):
            if not (self.folder / name).exists():
                raise self._damaged(name, f"a file, since {NAME} has its checksum", "no such file")
            self.read(name)

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Let `write` write a file, whole or not at all, with its checksum in the manifest."""
        self.write_all({name: write})

    def write_all(self, files: Mapping[str, Callable[[Path], object]]) -> None:
        """Let each function write the file of its name, as `write` does one.

        The manifest is written once for all of them, and the disk waited for fewer times.
        """
        targets = {name: self.folder / name for name in files}
        folders = {target.parent for target in targets.values()}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            for name, write in files.items():
                write_synced(temporary_of(targets[name]), write)
            with self._lock:
                self._enter(targets)
            for target in targets.values():
                os.replace(temporary_of(target), target)
        except BaseException:
            for target in targets.values():
                temporary_of(target).unlink(missing_ok=True)
            raise
        for folder in folders:
            sync_folder(folder)

    def _enter(self, targets: Mapping[str, Path]) -> None:
        """List files that are about to get their names, with the checksum of what they replace."""
        entries = self._entries()
        if entries is None:
            entries = self._present()
        for name, target in targets.items():
            entry = entry_of(temporary_of(target).read_bytes())
            if target.exists() and name in entries:
                before = sha256(target.read_bytes())
                entry["sha256"] += {before}.intersection(entries[name]["sha256"])
            entries[name] = entry
        self._write(entries)

    def forget(self, names: tuple[str, ...]) -> None:
        """Remove files, and their checksums."""
        with self._lock:
            entries = self._entries()
            if entries is not None and not entries.keys().isdisjoint(names):
                self._write({name: entry for name, entry in entries.items() if name not in names})
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def _present(self) -> dict[str, Any]:
        """What an older release has left, listed as this one writes its first file."""
        names = [file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file()]
        kept = [n for n in names if n.parts[0] not in self.apart and not n.name.startswith(".")]
        return {name.as_posix(): entry_of((self.folder / name).read_bytes()) for name in kept}

    def _write(self, entries: Mapping[str, Any]) -> None:
        text = json_text(sealed({**FORMAT, "files": dict(sorted(entries.items()))}))
        write_atomically(self.folder / NAME, lambda file: write_text(file, text))

    def _entries(self) -> dict[str, Any] | None:
        try:
            data = (self.folder / NAME).read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = unsealed(data)
        except ValueError as error:
            raise self._damaged(NAME, "what it was written as", str(error)) from None
        if found.get("version") != FORMAT["version"]:
            raise RunFolderError(
                f"{NAME} of {self.whose} cannot be read.",
                expected=f"version {FORMAT['version']}",
                found=f"version {found.get('version')!r}",
                cause="a newer steepest has written it",
                do="use the release that wrote it",
            )
        return found["files"]

    def _damaged(self, name: str, expected: str, found: str) -> RunFolderError:
        return damaged(f"{name} of {self.whose}", expected, found, self.do)


def entry_of(data: bytes) -> dict[str, Any]:
    """Return what a manifest has of a file."""
    return {"size": len(data), "sha256": [sha256(data)]}


def damaged(what: str, expected: str, found: str, do: str) -> RunFolderError:
    """Return the error about a file that is not what it was written as."""
    return RunFolderError(
        f"{what} is damaged.",
        expected=expected,
        found=found,
        cause="it was changed, or cut short by a copy",
        do=do,
    )


def sha256(data: bytes) -> str:
    """Return the checksum of bytes.

    Examples
    --------
    >>> sha256(b"steepest")[:12]
    'bffa51a6c07f'
    """
    return hashlib.sha256(data).hexdigest()


def sealed(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON object with its own checksum, by which `unsealed` tells whether it is whole.

    Examples
    --------
    >>> unsealed(json.dumps(sealed({"step": 3})).encode())
    {'step': 3}
    """
    return {**value, _SEAL: sha256(json.dumps(value, sort_keys=True).encode())}


def unsealed(data: bytes) -> dict[str, Any]:
    """Return the JSON object that was `sealed`; ValueError if it is no such object any more."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    seal = value.pop(_SEAL, None)
    if seal != sealed(value)[_SEAL]:
        raise ValueError("other values than its checksum is of")
    return value
