"""Events that come with the package: ``embedded:NAME``, checked against their checksum."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from steepest.errors import EventsError, nearest

__all__ = ["PREFIX", "embedded_path"]

PREFIX = "embedded:"


def embedded_path(text: str, folder: Path | None = None) -> Path:
    """Return the packaged file that ``embedded:NAME`` names, after checking its sha256.

    Parameters
    ----------
    text
        The path as it was written, such as ``"embedded:top-jets"``.
    folder
        Where the samples lie; left out, the package's own folder.

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
    name = text.removeprefix(PREFIX)
    known = sorted(file.stem for file in folder.glob("*.parquet"))
    if name not in known:
        raise _unknown(name, known)
    path = folder / f"{name}.parquet"
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = _packaged_sha256(folder / f"{name}.sha256")
    if expected is None:
        raise EventsError(
            f"The embedded sample {name!r} has no checksum, so it cannot be checked.",
            expected=f"a file {name}.sha256 beside it",
            found=f"sha256 {found}",
            cause="the installation is incomplete",
            do="install steepest again",
        )
    if found != expected:
        raise EventsError(
            f"The embedded sample {name!r} is not the one that was packaged.",
            expected=f"sha256 {expected}",
            found=f"sha256 {found}",
            cause="the installed file was changed or damaged",
            do="install steepest again",
        )
    return path


def _packaged_sha256(path: Path) -> str | None:
    """Return the digest in a file of the form ``<hex>  <name>``; None if there is none."""
    words = path.read_text(encoding="utf-8").split() if path.is_file() else []
    return words[0].lower() if words else None


def _unknown(name: str, known: list[str]) -> EventsError:
    guess = nearest(name, known)
    return EventsError(
        f"There is no embedded sample {name!r}.",
        expected=f"one of {', '.join(known)}" if known else "a packaged sample",
        found=None if known else "no sample in this installation",
        do=f"write '{PREFIX}{guess}'" if guess else "install steepest again",
    )
