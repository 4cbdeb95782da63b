"""Datasets on the Hugging Face Hub: ``hf://datasets/OWNER/NAME[@REVISION]/PATH``, globs too.

Files are downloaded whole into the Hub's cache and read there, so that a second training reads the
same bytes, offline as well. `huggingface_hub` honours ``HF_ENDPOINT``, ``HF_HOME``, ``HF_TOKEN``
and ``HF_HUB_OFFLINE``.
"""

from __future__ import annotations

import glob
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from steepest.errors import EventsError, nearest
from steepest.events import extra
from steepest.events.damage import first_line
from steepest.events.words import listed

__all__ = ["PREFIX", "Address", "address_of", "download"]

PREFIX = "hf://"
SHAPE = "hf://datasets/OWNER/NAME/PATH"


class Address(NamedTuple):
    """A file, or a glob over files, of a dataset."""

    dataset: str
    revision: str | None
    path: str


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


def download(text: str) -> list[Path]:
    """Return the local copies of the files that an ``hf://`` path names, sorted by name.

    Raises
    ------
    EventsError
        There is no such dataset or file, it is private, or the Hub cannot be reached and the cache
        does not have the file.
    MissingExtraError
        huggingface_hub is not installed.
    """
    address = address_of(text)
    hub = extra.load("huggingface_hub", "hub", "Reading datasets of the Hub")
    errors = extra.load("huggingface_hub.errors", "hub", "Reading datasets of the Hub")
    options: dict[str, Any] = {
        "repo_type": "dataset",
        "revision": address.revision,
        "library_name": "steepest",
    }
    try:
        if not glob.has_magic(address.path):
            return [Path(hub.hf_hub_download(address.dataset, address.path, **options))]
        return _matching(hub, address, options, text)
    except EventsError:
        raise
    except (OSError, ValueError, errors.EntryNotFoundError, errors.HTTPError) as error:
        raise _refused(hub, errors, error, address, text) from None


def _matching(hub: Any, address: Address, options: dict[str, Any], text: str) -> list[Path]:
    """Download what a glob matches; offline, take what the cache has of it."""
    folder = Path(hub.snapshot_download(address.dataset, allow_patterns=address.path, **options))
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    found = [f for f in files if fnmatch(f.relative_to(folder).as_posix(), address.path)]
    if not found:
        raise EventsError(
            f"No file matches {text}.",
            expected="at least one file",
            found=f"in {address.dataset}: {_files(hub, address)}",
            do="check the pattern, and that the files are downloaded if you are offline",
        )
    return found


def _refused(
    hub: Any, errors: Any, error: BaseException, address: Address, text: str
) -> EventsError:
    """Return the error for what huggingface_hub refused."""
    dataset = address.dataset
    if isinstance(error, errors.GatedRepoError):
        return EventsError(
            f"The dataset {dataset} is gated.",
            expected="an account that was granted access",
            found=_status(error),
            do=f"ask for access on the page of {dataset}, then: hf auth login",
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return EventsError(
            f"There is no dataset {dataset} on the Hub, or it is private.",
            expected=SHAPE,
            found=_status(error),
            cause="a misspelt name, or a private dataset and no HF_TOKEN",
            do="check the name; for a private dataset: hf auth login, or set HF_TOKEN",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return EventsError(
            f"The dataset {dataset} has no revision {address.revision!r}.",
            expected="a branch, tag or commit",
            found=_status(error),
            do="check the word after @",
        )
    if isinstance(error, errors.RemoteEntryNotFoundError):
        names = _names(hub, address)
        guess = nearest(address.path, names)
        return EventsError(
            f"There is no file {address.path} in the dataset {dataset}.",
            expected=f"one of {listed(names, 5)}" if names else None,
            found=repr(address.path),
            do=f"write hf://datasets/{dataset}/{guess}" if guess else "check the path",
        )
    return _unreachable(error, text)


def _unreachable(error: BaseException, text: str) -> EventsError:
    constants = extra.load("huggingface_hub.constants", "hub", "Reading datasets of the Hub")
    if constants.HF_HUB_OFFLINE:
        return EventsError(
            f"{text} is not in the cache, and HF_HUB_OFFLINE forbids to download it.",
            expected=f"a copy in {constants.HF_HUB_CACHE}",
            do="unset HF_HUB_OFFLINE, or give a local file",
        )
    return EventsError(
        f"{text} cannot be downloaded.",
        expected=f"an answer of {constants.ENDPOINT}",
        found=first_line(error.__cause__ or error),
        cause="the network, a proxy, or the Hub is down; what came so far is kept",
        do="try again, or download the file and give its path",
    )


def _status(error: Any) -> str:
    return f"status {error.response.status_code}"


def _files(hub: Any, address: Address) -> str:
    return listed(_names(hub, address), 5) or "nothing that can be listed"


def _names(hub: Any, address: Address) -> list[str]:
    """Return the names of a dataset's files, for a message; none if the Hub does not answer."""
    try:
        return hub.HfApi().list_repo_files(
            address.dataset, repo_type="dataset", revision=address.revision
        )
    except (OSError, ValueError):
        return []
