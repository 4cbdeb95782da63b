"""Atomic writes: a temporary file beside the target, synced, then renamed."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from steepest.errors import RunFolderError, SteepestError

__all__ = ["explained", "sync_folder", "write_atomically", "write_json", "write_synced"]


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary neighbour of `path`, sync it, and rename it to `path`."""
    temporary = path.with_name(f".partial-{path.name}")  # keeps the suffix
    try:
        _fill(temporary, write)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill `path`, and sync it: for files of a folder that is renamed as a whole."""
    _fill(path, write)


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically; NaN and infinities are refused, since JSON has none."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: _write_text(temporary, text))


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
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


def _fill(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill `path`, with the permissions of any new file, and sync it.

    safetensors leaves files that their owner alone may read, and a run is there to be shared.
    """
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    write(path)
    if stat.S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
    _sync_file(path)


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
