"""From what the user writes to files: globs, embedded samples, URLs, and parts of a file.

``"jets.root:tree"`` is the part *tree* of the file *jets.root*. A file whose whole name has a colon
is that file.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from steepest.errors import EventsError, nearest
from steepest.events import hub
from steepest.events.formats import first_look
from steepest.events.remote import FilePath, RemoteFile, is_url, remote_files
from steepest.events.words import listed

EMBEDDED = "embedded:"


class Place(NamedTuple):
    """A file, the part inside it that is named (empty if none is), and what identifies it."""

    path: FilePath
    inside: str = ""
    origin: Mapping[str, str] = MappingProxyType({})
    """Of a file of the Hub, its dataset and commit."""


def places(text: str, suffixes: tuple[str, ...]) -> list[Place]:
    """Return the files that a path stands for, sorted by name.

    Parameters
    ----------
    text
        A file, a glob, a URL, ``embedded:NAME`` or ``hf://datasets/…``; then perhaps ``:PART``.
    suffixes
        The suffixes of formats: a colon after one of them begins a part.

    Raises
    ------
    EventsError
        A glob matches no file; there is no such embedded sample; a server refuses.

    Examples
    --------
    >>> places("absent/jets.root:tree", (".root",))[0][:2]
    (PosixPath('absent/jets.root'), 'tree')
    """
    if text.startswith(EMBEDDED):
        return [Place(embedded_path(text))]
    if is_url(text) and not text.startswith("file://"):
        name, inside = _divided(text, suffixes, text.index("://") + 1)
        if text.startswith(hub.PREFIX):
            return [Place(file, inside, origin) for file, origin in hub.files(name)]
        return [Place(file, inside) for file in remote_files(name)]
    name, inside = _divided(os.path.expanduser(text.removeprefix("file://")), suffixes)
    if os.path.lexists(name) or not glob.has_magic(name):
        return [Place(Path(name), inside)]
    matches = sorted(match for match in glob.glob(name, recursive=True) if os.path.isfile(match))
    if matches:
        return [Place(Path(match), inside) for match in matches]
    raise EventsError(
        f"No file matches {name}.",
        expected="at least one file",
        found=seen(Path(_fixed_part(name))),
        do="check the pattern: * stands for any part of a name, ** for any folders",
    )


def embedded_path(text: str, folder: Path | None = None) -> Path:
    """Return the packaged file that ``embedded:NAME`` names, after checking its sha256.

    `folder` is where the samples lie; left out, it is the package's own.

    Raises
    ------
    EventsError
        There is no sample of that name, or its sha256 is missing or another one.

    Examples
    --------
    >>> embedded_path("embedded:top-jets").name  # doctest: +SKIP
    'top-jets.parquet'
    """
    folder = folder or Path(str(resources.files("steepest.events").joinpath("embedded")))
    name = text.removeprefix(EMBEDDED)
    known = sorted(file.stem for file in folder.glob("*.parquet"))
    if name not in known:
        guess = nearest(name, known)
        raise EventsError(
            f"There is no embedded sample {name!r}.",
            expected=f"one of {', '.join(known)}" if known else "a packaged sample",
            found=None if known else "no sample in this installation",
            do=f"write '{EMBEDDED}{guess}'" if guess else "install steepest again",
        )
    path, checksum = folder / f"{name}.parquet", folder / f"{name}.sha256"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = checksum.read_text().split()[:1] if checksum.is_file() else []  # <hex>  <name>
    if expected == [found]:
        first_look.trust(path)
        return path
    what = (
        "is not the one that was packaged"
        if expected
        else "has no checksum, so it cannot be checked"
    )
    raise EventsError(
        f"The embedded sample {name!r} {what}.",
        expected=f"sha256 {expected[0]}" if expected else f"a file {checksum.name} beside it",
        found=f"sha256 {found}",
        cause="the installed file was changed or damaged"
        if expected
        else "the installation is incomplete",
        do="install steepest again",
    )


def refuse_twice(found: list[Place]) -> None:
    """Raise EventsError if one part of one file is among the places twice."""
    known: set[tuple[str, str]] = set()
    for path, inside, _ in found:
        # Of the Hub, the path in its file system has the commit, whatever the revision is called.
        real = path.path if isinstance(path, RemoteFile) else os.path.realpath(path)
        # In the Hub's cache two files of one content are links to one blob.
        key = (os.path.abspath(str(path)) if Path(real).parent.name == "blobs" else real, inside)
        if key in known:
            raise EventsError(
                f"{path}{':' if inside else ''}{inside} is given twice, "
                "so its events would count twice.",
                expected="each file once",
                do="remove one of the paths, or make the globs disjoint",
            )
        known.add(key)


def missing(path: Path) -> EventsError:
    """Return the error for a file that is not there; the nearest name is offered."""
    folder = path.parent
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    guess = nearest(path.name, names)
    return EventsError(
        f"There is no file {path}.",
        found=seen(folder),
        do=f"write {folder / guess}" if guess else "check the path",
    )


def seen(folder: Path) -> str:
    """Say what lies in a folder."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(entry.name for entry in folder.iterdir())
    return f"in {folder}: {listed(names, 5) or 'nothing'}"


def _divided(text: str, suffixes: tuple[str, ...], start: int = 0) -> tuple[str, str]:
    """Return the file's name and the part inside it."""
    if os.path.lexists(text):
        return text, ""
    colons = [i for i, letter in enumerate(text) if letter == ":" and i >= start]
    for colon in colons:
        name = text[:colon]
        if name.lower().endswith(suffixes) or os.path.isfile(name):
            return name, text[colon + 1 :]
    return text, ""


def _fixed_part(pattern: str) -> str:
    """Return the folders of a pattern before its first wildcard."""
    folder = os.path.dirname(pattern)
    while glob.has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or "."
