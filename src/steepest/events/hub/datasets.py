"""Datasets on the Hugging Face Hub: ``hf://datasets/OWNER/NAME[@REVISION]/PATH``, globs too.

A revision is looked up once, and its commit is what is read from then on. Of Parquet files above
1 MiB only the columns and row groups that are needed are read (`steepest.events.hub.parquet`);
other files are downloaded whole into the Hub's cache. Both are kept, so that a second training
reads the same bytes, offline as well. `huggingface_hub` honours ``HF_ENDPOINT``, ``HF_HOME``,
``HF_TOKEN`` and ``HF_HUB_OFFLINE``.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from steepest.errors import EventsError
from steepest.events.formats import parquet
from steepest.events.hub import parquet as hub_parquet
from steepest.events.hub import retries as hub_patience
from steepest.events.hub import transfer as hub_transfer
from steepest.events.hub.cache import Known, Seen
from steepest.events.hub.errors import SHAPE, Address, Telling, is_passing, listing, load
from steepest.events.hub.ranges import Copy
from steepest.events.source import EventFile

__all__ = ["PREFIX", "Address", "HubFile", "address_of", "files", "use_revisions"]

T = TypeVar("T")

PREFIX = "hf://"
MAIN = "main"
AT_ONCE = 8

_REVISIONS: dict[tuple[str, str], str] = {}
"""The commit of (dataset, revision) that this process reads."""


@dataclass(frozen=True)
class HubFile:
    """A file of a dataset at a commit, and where it lies here: whole, or a copy with holes."""

    dataset: str
    commit: str
    path: Path
    telling: Telling
    copy: Copy | None = None

    @property
    def origin(self) -> dict[str, str]:
        """What identifies the version that is read."""
        return {"dataset": self.dataset, "revision": self.commit}

    def open_parquet(self) -> EventFile:
        """Open it as Parquet."""
        if self.copy is None and self.path.stat().st_size <= hub_parquet.SMALL:
            return parquet.open_file(self.path)
        return hub_parquet.HubParquet(self.path, self.copy, self.telling)


def address_of(text: str) -> Address:
    """Return what an ``hf://`` path names.

    Raises
    ------
    EventsError
        It is not of that shape.

    Examples
    --------
    >>> address_of("hf://datasets/dl4phys/top_tagging@v1/train.parquet")
    Address(dataset='dl4phys/top_tagging', revision='v1', path='train.parquet')
    """
    parts = text.removeprefix(PREFIX).split("/", 3)
    if len(parts) != 4 or parts[0] != "datasets" or not all(parts):
        raise EventsError(
            f"{text} is no path of a dataset on the Hub.",
            expected=SHAPE,
            found=text,
            do="write the dataset's owner and name, then the file's path in it",
        )
    name, _, revision = parts[2].partition("@")
    return Address(f"{parts[1]}/{name}", revision or None, parts[3])


def files(text: str) -> list[HubFile]:
    """Return the files that an ``hf://`` path names, sorted by name.

    Raises
    ------
    EventsError
        There is no such dataset or file, it is private, or the Hub cannot be reached and the cache
        does not have the file.
    MissingExtraError
        huggingface_hub is not installed.
    """
    address = address_of(text)
    dataset = _Dataset(load(), address, Telling(address, text))
    with dataset.telling.of():
        if glob.has_magic(address.path):
            return dataset.matching()
        return [dataset.named()]


def use_revisions(recorded: Mapping[str, Any] | None) -> None:
    """Read the commits that a run has read: `recorded` is its source, as `EventSource` tells it."""
    if recorded is None:
        return
    given = [recorded["path"]] if isinstance(recorded["path"], str) else recorded["path"]
    for text in given:
        if text.startswith(PREFIX):
            address = address_of(text)
            commits = {
                file["revision"]
                for file in recorded["files"]
                if file.get("dataset") == address.dataset
            }
            if len(commits) == 1:
                _REVISIONS[address.dataset, address.revision or MAIN] = commits.pop()


class _Dataset:
    """The dataset of an address, at the commit that the address names."""

    def __init__(self, hub: Any, address: Address, telling: Telling) -> None:
        self.hub, self.address, self.telling = hub, address, telling
        self.known = Known(hub, address.dataset)
        self.key = address.dataset, address.revision or MAIN

    def named(self) -> HubFile:
        """Return the file of a path without wildcards."""
        path, commit, seen = self.address.path, self._commit(), None
        if commit is None:
            commit, seen = self._asked(
                partial(self._seen, path, self.address.revision),
                lambda commit: self.known.names(commit).count(path) > 0,
            ) or (None, None)
            commit = self._pinned(commit)
        return self._file(path, commit, seen)

    def matching(self) -> list[HubFile]:
        """Return the files that a glob matches; without an answer, those of the caches."""
        commit = self._commit()
        found = self._asked(
            partial(self._listed, commit or self.address.revision),
            lambda commit: bool(self._matches(self.known.names(commit))),
        )
        commit = self._pinned(found[0] if found else commit)
        names = self._matches(found[1] if found else self.known.names(commit))
        if not names:
            raise EventsError(
                f"No file matches {self.telling.text}.",
                expected="at least one file",
                found=f"in {self.address.dataset}: {listing(self.address)}",
                do="check the pattern, and that the files are downloaded if you are offline",
            )
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda name: self._file(name, commit, None), names))

    def _file(self, name: str, commit: str, seen: Seen | None) -> HubFile:
        """Return a file as it lies in a cache, or get what is needed to read it."""
        dataset, revision = self.address.dataset, self.address.revision
        place = f"{PREFIX}datasets/{dataset}{f'@{revision}' if revision else ''}/{name}"
        telling = Telling(self.address._replace(path=name), place)
        file = partial(HubFile, dataset, commit, telling=telling)
        whole = self.known.whole(commit, name)
        if whole is not None:
            return file(whole)
        seen = seen or self.known.seen(commit, name)
        if seen is None:
            answer = self._asked(partial(self._seen, name, commit), lambda _: False)
            assert answer is not None  # nothing else is known, so that there is one
            seen = answer[1]
        if seen is not None and name.lower().endswith(parquet.SUFFIXES):
            copy = self.known.copy(commit, name, seen) if seen.size > hub_parquet.SMALL else None
            if copy is not None and hub_parquet.with_footer(copy):
                return file(copy.path, copy=copy)
        options = hub_transfer.options(self.hub) | {"library_name": "steepest"}
        with hub_patience.silent():
            path = self.hub.hf_hub_download(
                dataset, name, repo_type="dataset", revision=commit, **options
            )
        return file(Path(path))

    def _commit(self) -> str | None:
        """Return the commit that was recorded, or that the address itself is."""
        recorded = _REVISIONS.get(self.key)
        revision = self.address.revision
        own = revision if revision and self.known.commit(revision) == revision else None
        return recorded or own

    def _pinned(self, commit: str | None) -> str:
        """Note the commit that is read; None is the one that was last looked at."""
        found = commit or self.known.commit(self.key[1])
        assert found is not None  # without one, `_asked` has raised
        _REVISIONS[self.key] = found
        self.known.remember(self.key[1], found)
        return found

    def _asked(self, ask: Callable[[], T], is_known: Callable[[str], bool]) -> T | None:
        """Return what the Hub says; None if it does not answer and the caches know enough."""
        try:
            return ask()
        except Exception as error:
            if not is_passing(error):
                raise
            commit = _REVISIONS.get(self.key) or self.known.commit(self.key[1])
            if commit is not None and is_known(commit):
                return None
            if self.hub.constants.HF_HUB_OFFLINE:
                raise
        hub_patience.ask("HEAD", self._url(self.address.path, self.address.revision))
        return ask()

    def _seen(self, name: str, revision: str | None) -> tuple[str, Seen | None]:
        """Ask for a file's commit, and its version and size."""
        answer = self.hub.get_hf_file_metadata(self._url(name, revision), library_name="steepest")
        if answer.commit_hash is None:
            raise OSError("an answer without a commit: it is none of a Hub")
        if answer.etag is None or answer.size is None:
            return answer.commit_hash, None
        return answer.commit_hash, Seen(answer.etag, answer.size)

    def _listed(self, revision: str | None) -> tuple[str, list[str]]:
        """Ask for a commit and its files."""
        answer = self.hub.HfApi(library_name="steepest").dataset_info(
            self.address.dataset, revision=revision
        )
        return answer.sha, [file.rfilename for file in answer.siblings or ()]

    def _matches(self, names: list[str]) -> list[str]:
        return sorted(name for name in names if fnmatch(name, self.address.path))

    def _url(self, name: str, revision: str | None) -> str:
        return self.hub.hf_hub_url(
            self.address.dataset, name, repo_type="dataset", revision=revision
        )
