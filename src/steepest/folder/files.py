"""Files of a run's folder: written whole or not at all, read with damage explained."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from steepest.errors import RunFolderError, SteepestError

PARTIAL = ".partial-"
"""Begins the names of files that are being written."""


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `path`, sync it, and rename it to `path`."""
    temporary = temporary_of(path)
    try:
        write_synced(temporary, write)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def temporary_of(path: Path) -> Path:
    """Return the neighbour that is written before it gets the name `path`; the suffix is kept."""
    return path.with_name(f"{PARTIAL}{path.name}")


def write_synced(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill `path`, and sync it: for files of a folder that is renamed as a whole.

    The file has the permissions of any new one: safetensors leaves files that their owner alone may
    read, and a run is there to be shared.
    """
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    write(path)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
    sync_folder(path)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinities are refused, since JSON has none."""
    text = json_text(value)
    write_atomically(path, lambda temporary: write_text(temporary, text))


def json_text(value: Any) -> str:
    """Return the text of a JSON file, without NaN and infinities."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8."""
    path.write_text(text, encoding="utf-8")


def parse_json(data: bytes) -> Any:
    """Return what JSON says; ValueError if it is none, or too deep to be ours."""
    try:
        return json.loads(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("lists in lists without an end") from None


def read_json(path: Path) -> Any:
    """Return what a JSON file holds."""
    return parse_json(path.read_bytes())


def sync_folder(path: Path) -> None:
    """Make renames and removals in a folder, or what was written to a file, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(doing: str, where: Path, kept: str) -> Iterator[None]:
    """Turn an operating system's error about a disk into a RunFolderError.

    `kept` says what is safe although this failed.
    """
    try:
        yield
    except SteepestError:
        raise
    except Exception as error:
        reason = _os_error(error)
        if reason is None:
            raise
        full = reason.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise RunFolderError(
            f"{doing} failed in {where}.",
            found=os.strerror(reason.errno) if reason.errno else str(reason),
            cause="the disk, the quota or the allowed file size is used up" if full else None,
            do=f"{'free some space' if full else 'make the folder writable'}; {kept}",
        ) from error


def _os_error(error: BaseException) -> OSError | None:
    """The OSError behind an error; safetensors hides the number in its text."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    text = str(error)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS, errno.EIO):
        if os.strerror(number) in text or f"os error {number}" in text:
            return OSError(number, os.strerror(number))
    return None


def seen(path: Path) -> str:
    """Return what lies at a path: no folder, a file, or a folder with its first names.

    Examples
    --------
    >>> seen(Path("nowhere"))
    'no such folder'
    """
    if not path.is_dir():
        return "a file" if path.exists() or path.is_symlink() else "no such folder"
    names = sorted(entry.name for entry in path.iterdir())
    return f"a folder with {', '.join(names[:5])}" if names else "an empty folder"


@contextmanager
def damage_explained(what: str, do: str) -> Iterator[None]:
    """Turn an error of reading into a RunFolderError; `what` names the file."""
    try:
        yield
    except SteepestError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise RunFolderError(
            f"{what} is damaged.",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cause="it was changed, or cut short by a copy",
            do=do,
        ) from error
