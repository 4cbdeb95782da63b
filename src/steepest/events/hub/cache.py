"""What is known of a dataset of the Hub without asking: revisions, and files that were read.

Whole files lie in the Hub's own cache. What was read of large Parquet files lies beside it, in the
folder that the Hub's library keeps for others (``HF_HOME/assets``)::

    assets/steepest/datasets--OWNER--NAME/
        revisions/REVISION    the commit that a branch or tag was when it was last looked at
        files/COMMIT/PATH     {"etag": …, "size": …}
        columns/ETAG/PATH     the file with holes, see `steepest.events.hub.ranges`
        ranges/ETAG/PATH      which parts of it are there
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from steepest.events.hub.ranges import Copy

__all__ = ["Known", "Seen"]

COMMIT = re.compile(r"[0-9a-f]{40}")


class Seen(NamedTuple):
    """What the Hub has said of a file of a commit."""

    etag: str
    size: int


class Known:
    """One dataset's part of the caches."""

    def __init__(self, hub: Any, dataset: str) -> None:
        self._hub, self._dataset = hub, dataset
        self._space = "datasets--" + dataset.replace("/", "--")

    def commit(self, revision: str) -> str | None:
        """Return what a revision was when it was last looked at, here or by the Hub's library."""
        if COMMIT.fullmatch(revision):
            return revision
        own = self._folder("revisions") / quote(revision, safe="")
        theirs = self._hub_cache / "refs" / revision
        for file in (own, theirs):
            if file.is_file():
                return file.read_text().strip()
        return None

    def remember(self, revision: str, commit: str) -> None:
        """Note what a revision is."""
        if revision != commit:
            _put(self._folder("revisions") / quote(revision, safe=""), commit)

    def whole(self, commit: str, name: str) -> Path | None:
        """Return the file in the Hub's cache, None if it was not downloaded whole."""
        found = self._hub.try_to_load_from_cache(
            self._dataset, name, revision=commit, repo_type="dataset"
        )
        return Path(found) if isinstance(found, str) else None

    def seen(self, commit: str, name: str) -> Seen | None:
        """Return what is noted of a file of which parts were read."""
        file = _inside(self._folder("files") / commit, name)
        return Seen(**json.loads(file.read_text())) if file.is_file() else None

    def names(self, commit: str) -> list[str]:
        """Return the names of the commit's files that are here, whole or in parts."""
        folders = (self._hub_cache / "snapshots" / commit, self._folder("files") / commit)
        return sorted(
            {
                file.relative_to(folder).as_posix()
                for folder in folders
                for file in folder.rglob("*")
                if file.is_file()
            }
        )

    def copy(self, commit: str, name: str, seen: Seen) -> Copy:
        """Return the copy of a file, and note that there is one."""
        url = self._hub.hf_hub_url(self._dataset, name, repo_type="dataset", revision=commit)
        etag = quote(seen.etag, safe="")
        path = _inside(self._folder("columns") / etag, name)
        copy = Copy(url, seen.size, path, _inside(self._folder("ranges") / etag, name))
        _put(_inside(self._folder("files") / commit, name), json.dumps(seen._asdict()))
        return copy

    def _folder(self, kind: str) -> Path:
        return self._hub.cached_assets_path("steepest", self._space, kind)

    @property
    def _hub_cache(self) -> Path:
        return Path(self._hub.constants.HF_HUB_CACHE) / self._space


def _inside(folder: Path, name: str) -> Path:
    """Return the place of a file's name, which the Hub gave, in a folder; never outside it."""
    if any(part in ("", ".", "..") for part in name.split("/")) or "\\" in name:
        raise ValueError(f"{name!r} is no name of a file in a dataset")
    return folder / name


def _put(file: Path, text: str) -> None:
    if file.is_file() and file.read_text() == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, file)
