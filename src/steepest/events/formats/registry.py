"""From paths to events: the registry of formats, and files opened by what they are.

A format is a module with ``NAME``, ``SUFFIXES``, ``MAGIC`` (the first bytes of its files, or a
tuple of these; empty if it has none), ``PARTS`` (whether ``file:part`` names something inside) and
``open_file(path)``, with parts also ``open_file(path, inside)``, which return an `EventFile`. It is
registered by its place in `FORMATS`. What a file *is* is told by its first bytes; its suffix only
says what it is expected to be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType, ModuleType

from steepest.errors import EventsError
from steepest.events.bad_files import SKIP, none_readable, of_files, reason
from steepest.events.formats import csv, hdf5, npy, parquet, root
from steepest.events.formats.contract import EventFile
from steepest.events.paths import Place, missing, places, refuse_twice, seen
from steepest.events.remote import CONNECTIONS, FilePath, RemoteFile
from steepest.events.source import EventSource

__all__ = ["FORMATS", "open_events"]


FORMATS: tuple[ModuleType, ...] = (parquet, root, hdf5, npy, csv)


def open_events(
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    sample: str = "",
    on_bad_file: str = "stop",
    known_bad: Mapping[str, str] = MappingProxyType({}),
) -> EventSource:
    """Open events for reading; of each file only the metadata is read.

    Parameters
    ----------
    path
        A file, a glob such as ``"jets/*.parquet"`` (its files are sorted by name; ``**`` goes
        through folders), a URL (``"https://…"``, ``"s3://…"``, ``"root://…"``),
        ``"hf://datasets/owner/name/jets.parquet"``, ``"embedded:top-jets"``, or a list of these.
        A leading ``~`` is the home folder. ``"jets.root:tree"`` and ``"jets.h5:/group"`` name
        what is read inside a file.
    sample
        The name of the sample that they are, for messages and expressions.
    on_bad_file
        "stop": a file that cannot be opened is an error; "skip": it is left out, and told.
    known_bad
        Files that are left out without a look, each with the reason.

    Returns
    -------
    EventSource
        The files read as one.

    Raises
    ------
    EventsError
        A file is missing, a folder, unreadable, damaged, given twice, or in no known format; it
        has no such part; a glob matches nothing; there is not one event.
    MissingExtraError
        The package that reads a format is not installed.

    Examples
    --------
    >>> source = open_events("embedded:top-jets")  # doctest: +SKIP
    >>> source.rows, source.schema.names  # doctest: +SKIP
    """
    given = [path] if isinstance(path, str | os.PathLike) else path
    given = [os.fspath(text) for text in given]
    suffixes = tuple(suffix for format in FORMATS for suffix in format.SUFFIXES)
    found = [place for text in given for place in places(text, suffixes)]
    if not found:
        raise EventsError("No path to events is given.", do="set events.path to a file or a glob")
    refuse_twice(found)
    files: list[EventFile] = []
    origins, skipped = [], {}
    for place, file in zip(found, _opened(found, known_bad), strict=True):
        if not isinstance(file, EventsError):
            files.append(file)
            origins.append(place.origin)
            continue
        skipped[str(place.path)] = reason(file)
        if on_bad_file != SKIP:
            raise of_files(skipped, file, several=len(found) > 1)
    if not files:
        raise none_readable(skipped)
    # What was named in one path and left to be found in another may be the same.
    refuse_twice([Place(file.path, getattr(file, "inside", "")) for file in files])
    paths = given[0] if len(given) == 1 else given
    return EventSource(paths, files, origins, sample, skipped=skipped, skips=on_bad_file == SKIP)


def _opened(
    found: Sequence[Place], known_bad: Mapping[str, str]
) -> Iterator[EventFile | EventsError]:
    """Yield each file, or why it cannot be opened; files over the network several at once."""

    def attempt(place: Place) -> EventFile | EventsError:
        if (known := known_bad.get(str(place.path))) is not None:
            return EventsError(known)
        try:
            return _open(place)
        except EventsError as error:
            return error

    if not any(isinstance(place.path, RemoteFile) for place in found):
        yield from map(attempt, found)
        return
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        yield from threads.map(attempt, found)


def _open(place: Place) -> EventFile:
    path, inside, _ = place
    format = _format(path, _head(path))
    if not inside:
        return format.open_file(path)
    if format.PARTS:
        return format.open_file(path, inside)
    raise EventsError(
        f"{path}:{inside} names a part of a file, but a {format.NAME} file has no parts.",
        expected=f"{path} alone",
        found=repr(inside),
        do=f"write {path}",
    )


def _format(path: FilePath, head: bytes) -> ModuleType:
    """Return the format that a file is in, by its first bytes."""
    for format in FORMATS:
        if format.MAGIC and head.startswith(format.MAGIC):
            return format
    named = next((f for f in FORMATS if path.suffix.lower() in f.SUFFIXES), None)
    if named is None and csv.looks_like_a_table(head):
        return csv
    looks, cause, do = _looks_like(head)
    if named is not None and not named.MAGIC and cause is None and b"\x00" not in head:
        return named
    if named is not None:
        raise EventsError(
            f"{path} is named as {named.NAME} but is not {named.NAME}.",
            expected=_begins(named.MAGIC) if named.MAGIC else "lines of text",
            found=looks,
            cause=cause or "the file was renamed, or written by another tool",
            do=do or f"give a {named.NAME} file",
        )
    raise EventsError(
        f"The format of {path} is not known.",
        expected="; ".join(f"{f.NAME} ({', '.join(f.SUFFIXES)})" for f in FORMATS),
        found=looks,
        do=f"write the events as {FORMATS[0].NAME}",
    )


def _head(path: FilePath) -> bytes:
    """Return the first bytes of a file, or say why there are none."""
    if isinstance(path, RemoteFile):
        path.connect()
        head = min(512, path.size)
        path.fetch([(0, head)])
        return path.read(0, head)
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except FileNotFoundError:
        raise missing(path) from None
    except IsADirectoryError:
        raise EventsError(
            f"{path} is a folder.",
            expected="a file, or a glob over files",
            found=seen(path),
            do=f"write {path / ('*' + FORMATS[0].SUFFIXES[0])}",
        ) from None
    except OSError as error:
        raise EventsError(
            f"{path} cannot be read.",
            expected="a readable file",
            found=error.strerror or type(error).__name__,
            cause="its permissions or those of its folder" if error.errno == 13 else None,
            do=f"chmod u+r {path}" if error.errno == 13 else None,
        ) from None


def _begins(magic: bytes | tuple[bytes, ...]) -> str:
    each = magic if isinstance(magic, tuple) else (magic,)
    return f"a file that begins with {' or '.join(map(repr, each))}"


def _looks_like(head: bytes) -> tuple[str, str | None, str | None]:
    """Return what the first bytes look like; where they tell, the likely cause and what to do."""
    if not head:
        cause = "a copy, download or job was stopped before it wrote anything"
        return "an empty file", cause, "make it again"
    text = head.decode("utf-8", errors="replace").lstrip()
    start = repr(text.splitlines()[0][:40]) if text.splitlines() else repr(text[:40])
    if text[:15].lower().startswith(("<!doctype", "<html")):
        cause = "a download that was answered with an error or a login page"
        return f"a web page: it begins with {start}", cause, "download it again"
    if text.startswith("version https://git-lfs"):
        cause = "the content was not fetched with the repository"
        return f"a pointer of Git LFS: it begins with {start}", cause, "git lfs pull"
    if head.startswith(b"\x1f\x8b"):
        return "data compressed by gzip", "the file was compressed as a whole", "gunzip it"
    if b"\x00" in head or "\ufffd" in text[:-4]:
        return f"binary data that begin with {head[:8]!r}", None, None
    return f"text that begins with {start}", None, None
