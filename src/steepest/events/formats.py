"""From paths to events: globs, embedded samples, and the registry of formats.

A format is a module with ``NAME``, ``SUFFIXES``, ``MAGIC`` (the first bytes of its files, empty if
it has none) and ``open_file(path) -> EventFile``. It is registered by its place in `FORMATS`. What
a file *is* is told by its first bytes; its suffix only says what it is expected to be.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from steepest.errors import EventsError, nearest
from steepest.events import parquet
from steepest.events.embedded import PREFIX, embedded_path
from steepest.events.source import EventFile, EventSource
from steepest.events.words import listed

__all__ = ["FORMATS", "Format", "open_events"]


class Format(Protocol):
    """What a module must have to be a format."""

    @property
    def NAME(self) -> str: ...  # noqa: D102
    @property
    def SUFFIXES(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def MAGIC(self) -> bytes: ...  # noqa: D102
    def open_file(self, path: Path, /) -> EventFile: ...  # noqa: D102


FORMATS: tuple[Format, ...] = (parquet,)


def open_events(path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> EventSource:
    """Open events for reading; of each file only the metadata is read.

    Parameters
    ----------
    path
        A file, a glob such as ``"jets/*.parquet"`` (its files are sorted by name; ``**`` goes
        through folders), ``"embedded:top-jets"``, or a list of these. A leading ``~`` is the home
        folder.

    Returns
    -------
    EventSource
        The files read as one.

    Raises
    ------
    EventsError
        A file is missing, a folder, unreadable, damaged, given twice, or in no known format; a
        glob matches nothing; there is not one event.

    Examples
    --------
    >>> source = open_events("embedded:top-jets")  # doctest: +SKIP
    >>> source.rows, source.schema.names  # doctest: +SKIP
    """
    paths = [path] if isinstance(path, str | os.PathLike) else path
    given = [os.fspath(text) for text in paths]
    files = [file for text in given for file in _files(text)]
    if not files:
        raise EventsError("No path to events is given.", do="set events.path to a file or a glob")
    _refuse_twice(files)
    return EventSource(given[0] if len(given) == 1 else given, [_open(file) for file in files])


def _files(text: str) -> list[Path]:
    if text.startswith(PREFIX):
        return [embedded_path(text)]
    text = os.path.expanduser(text)
    if os.path.lexists(text) or not glob.has_magic(text):
        return [Path(text)]
    matches = sorted(match for match in glob.glob(text, recursive=True) if os.path.isfile(match))
    if matches:
        return [Path(match) for match in matches]
    raise EventsError(
        f"No file matches {text}.",
        expected="at least one file",
        found=_seen(Path(_fixed_part(text))),
        do="check the pattern: * stands for any part of a name, ** for any folders",
    )


def _fixed_part(pattern: str) -> str:
    """Return the folders of a pattern before its first wildcard."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or "."


def _seen(folder: Path) -> str:
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(entry.name for entry in folder.iterdir())
    return f"in {folder}: {listed(names, 5) or 'nothing'}"


def _refuse_twice(files: list[Path]) -> None:
    seen: set[str] = set()
    for file in files:
        real = os.path.realpath(file)
        if real in seen:
            raise EventsError(
                f"{file} is given twice, so its events would count twice.",
                expected="each file once",
                do="remove one of the paths, or make the globs disjoint",
            )
        seen.add(real)


def _open(path: Path) -> EventFile:
    head = _head(path)
    for format in FORMATS:
        if format.MAGIC and head.startswith(format.MAGIC):
            return format.open_file(path)
    named = next((f for f in FORMATS if path.suffix.lower() in f.SUFFIXES), None)
    if named is not None and not named.MAGIC:
        return named.open_file(path)
    if named is not None:
        cause, do = _why(head, named.NAME)
        raise EventsError(
            f"{path} is named as {named.NAME} but is not {named.NAME}.",
            expected=f"a file that begins with {named.MAGIC!r}",
            found=_looks_like(head),
            cause=cause,
            do=do,
        )
    raise EventsError(
        f"The format of {path} is not known.",
        expected="; ".join(f"{f.NAME} ({', '.join(f.SUFFIXES)})" for f in FORMATS),
        found=_looks_like(head),
        do=f"write the events as {FORMATS[0].NAME}",
    )


def _head(path: Path) -> bytes:
    """Return the first bytes of a file, or say why there are none."""
    try:
        with path.open("rb") as stream:
            return stream.read(512)
    except FileNotFoundError:
        raise _missing(path) from None
    except IsADirectoryError:
        raise EventsError(
            f"{path} is a folder.",
            expected="a file, or a glob over files",
            found=_seen(path),
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


def _missing(path: Path) -> EventsError:
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    guess = nearest(path.name, names)
    return EventsError(
        f"There is no file {path}.",
        found=_seen(folder),
        do=f"write {folder / guess}" if guess else "check the path",
    )


def _looks_like(head: bytes) -> str:
    """Say what the first bytes of a file look like."""
    if not head:
        return "an empty file"
    text = head.decode("utf-8", errors="replace").lstrip()
    start = repr(text.splitlines()[0][:40]) if text.splitlines() else repr(text[:40])
    if text[:15].lower().startswith(("<!doctype", "<html")):
        return f"a web page: it begins with {start}"
    if text.startswith("version https://git-lfs"):
        return f"a pointer of Git LFS: it begins with {start}"
    if b"\x00" in head or "\ufffd" in text[:-4]:
        return f"binary data that begin with {head[:8]!r}"
    return f"text that begins with {start}"


def _why(head: bytes, name: str) -> tuple[str, str]:
    """Return the likely cause of a wrong file, and what to do."""
    looks = _looks_like(head)
    if not head:
        return "a copy, download or job was stopped before it wrote anything", "make it again"
    if looks.startswith("a web page"):
        return "a download that was answered with an error or a login page", "download it again"
    if looks.startswith("a pointer"):
        return "the content was not fetched with the repository", "git lfs pull"
    return "the file was renamed, or written by another tool", f"give a {name} file"
