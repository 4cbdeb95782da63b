"""A static site with the playground: it computes in the browser, and needs no server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from steepest.errors import InputError
from steepest.lab.datasets import Dataset
from steepest.lab.pages import pages


def export_site(folder: str | Path, datasets: Sequence[Dataset]) -> list[Path]:
    """Write the playground as a static site, and return its files.

    Parameters
    ----------
    folder
        A new or empty folder.
    datasets
        Those that the playground offers.

    Raises
    ------
    InputError
        The folder holds something, or is a file.

    Examples
    --------
    >>> from steepest.lab import built_in
    >>> export_site("site", built_in())  # doctest: +SKIP
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is not empty.",
            expected="a new or empty folder",
            found="a file" if not folder.is_dir() else f"a folder with {_one_of(folder)}",
            do="choose another with --export",
        )
    written = []
    for name, page in sorted(pages(datasets, server=False).items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page.content)
        written.append(path)
    return written


def _one_of(folder: Path) -> str:
    return min(entry.name for entry in folder.iterdir())
