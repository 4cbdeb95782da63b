"""What all formats say of files that are damaged or gone, and what identifies a file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from steepest.errors import EventsError, nearest
from steepest.events.remote import FilePath, RemoteFile
from steepest.events.words import listed

DAMAGED = "the file was damaged while it was copied or stored"
COPY_AGAIN = "copy it again, and compare its checksum with the original's"

SMALL = 16 * 2**20
"""Files up to so many bytes are fingerprinted by their content, larger ones by samples of it."""
SAMPLES, SAMPLE = 64, 64 * 2**10


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its kind if it has none."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def gone(path: FilePath, error: BaseException) -> EventsError:
    """Return the error for a file that could be opened before, and no longer can."""
    return EventsError(
        f"{path} can no longer be opened.",
        found=first_line(error),
        cause="it was moved, replaced or removed while it was in use",
    )


def damaged(what: str, expected: str, error: BaseException) -> EventsError:
    """Return the error for what a library raised; `what` is its first sentence."""
    return EventsError(
        what, expected=expected, found=first_line(error), cause=DAMAGED, do=COPY_AGAIN
    )


def cut_short(path: FilePath, but: str, expected: str, found: str) -> EventsError:
    """Return the error for a file that is not complete: it `but`."""
    return EventsError(
        f"{path} is cut short: it {but}.",
        expected=expected,
        found=found,
        cause="a copy, download or job was stopped before it was done",
        do="copy or write the file again",
    )


def unreadable_column(names: str, where: str, found: str) -> EventsError:
    """Return the error for columns of a type that is none of ours."""
    return EventsError(
        f"The column {names} of {where} cannot be read.",
        expected="numbers, booleans, text, or lists of these",
        found=found,
        do="leave it out, or write it as numbers",
    )


def unnamed_part(path: FilePath, parts: str, known: Sequence[str]) -> EventsError:
    """Return the error for a file with several `parts` (trees, tables) where none is named."""
    return EventsError(
        f"{path} holds {len(known)} {parts}, and none is named.",
        expected=f"one of {listed(known, 12)}",
        found=str(path),
        do=f"write {path}:{known[0]}",
    )


def no_such_part(path: FilePath, what: str, name: str, known: Sequence[str]) -> EventsError:
    """Return the error for a part of a file that is not there; the nearest one is offered."""
    guess = nearest(name, known) or (known[0] if len(known) == 1 else None)
    return EventsError(
        f"There is no {what} in {path}.",
        expected=f"one of {listed(known, 12)}" if known else f"a {what.rpartition(' ')[0]}",
        found=repr(name) if known else "an empty file",
        do=f"write {path}:{guess}" if guess else "check the name",
    )


def fingerprint(path: FilePath, rows: int, inside: str = "") -> dict[str, Any]:
    """Return name, size, rows and the sha256 of the content.

    Of files above 16 MiB, 64 pieces of 64 KiB each are summed, evenly spaced from the first byte to
    the last: a file that was written again differs in them, and a large one need not be read whole.

    Examples
    --------
    >>> fingerprint(Path("jets.root"), 100, inside="tree")  # doctest: +SKIP
    {'name': 'jets.root', 'inside': 'tree', 'size': 5321, 'rows': 100, 'sha256': ..., ...}
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        length = SAMPLE if size > SMALL else size
        starts = _pieces(size)
        if isinstance(path, RemoteFile):
            path.fetch((start, start + length) for start in starts)
        for start in starts:
            stream.seek(start)
            digest.update(stream.read(length) or b"")
    return {
        "name": path.name,
        **({"inside": inside} if inside else {}),
        "size": size,
        "rows": rows,
        "sha256": digest.hexdigest(),
        "sha256_of": "samples" if size > SMALL else "content",
    }


def _pieces(size: int) -> Sequence[int]:
    """Return where the pieces that are summed begin."""
    if size <= SMALL:
        return [0]
    return [place * (size - SAMPLE) // (SAMPLES - 1) for place in range(SAMPLES)]
