"""The files of the page: what the server answers with, and what an exported site consists of.

They are named here once. A name that is not in the table does not exist: no part of a request ever
becomes a path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from typing import Any

from steepest._version import __version__
from steepest.explain.wording import table
from steepest.lab.datasets import Dataset

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "bin": "application/octet-stream",
    "txt": "text/plain; charset=utf-8",
}
FORMAT = {"format": "steepest-lab", "version": 1}


@dataclass(frozen=True)
class Page:
    """A file of the page."""

    content: bytes

    @cached_property
    def tag(self) -> str:
        """What changes with the content, for the browser's cache."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:32]}"'


def content_type(name: str) -> str:
    """Return the media type of a file by the end of its name."""
    return _TYPES[name.rpartition(".")[2]]


def pages(datasets: Sequence[Dataset], server: bool) -> dict[str, Page]:
    """Every file of the page by its name, such as ``index.html`` or ``data/top-jets.bin``.

    Parameters
    ----------
    datasets
        Those that the playground offers.
    server
        Whether runs are served too.
    """
    files = {name: Page(content) for name, content in static_files().items()}
    return {**files, **_data(datasets, server)}


def _data(datasets: Sequence[Dataset], server: bool) -> dict[str, Page]:
    index: dict[str, Any] = {
        **FORMAT,
        "steepest": __version__,
        "server": server,
        "wording": table(),
        "datasets": [dataset.description() for dataset in datasets],
    }
    text = json.dumps(index, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    columns = {f"data/{dataset.name}.bin": Page(dataset.columns()) for dataset in datasets}
    return {"data/index.json": Page(text.encode()), **columns}


def static_files() -> dict[str, bytes]:
    """What lies in static/, by its path below it."""
    found: dict[str, bytes] = {}
    folders = [("", resources.files("steepest.lab").joinpath("static"))]
    while folders:
        prefix, folder = folders.pop()
        for entry in folder.iterdir():
            if entry.is_dir():
                folders.append((f"{prefix}{entry.name}/", entry))
            elif entry.name.rpartition(".")[2] in _TYPES:
                found[prefix + entry.name] = entry.read_bytes()
    return found
