"""Datasets on the Hugging Face Hub: ``hf://datasets/OWNER/NAME[@REVISION]/PATH``, globs too.

A revision is resolved once, and its commit is what is read from then on. Of Parquet files above
1 MiB only the columns and row groups that are needed are downloaded; other files are downloaded
whole into the Hub's cache. Both are kept, so that a second training reads the same bytes, offline
as well. `huggingface_hub` honours ``HF_ENDPOINT``, ``HF_HOME``, ``HF_TOKEN`` and
``HF_HUB_OFFLINE``. What steepest keeps lies in the folder that it has for other libraries::

    HF_HOME/assets/steepest/datasets--OWNER--NAME/
        revisions/REVISION.json    {"commit": …, "files": {PATH: [size, id of the content]}}
        blocks/ID                  the parts of a file that were read, see `RemoteFile`
        blocks/ID.blocks           which parts these are
"""

from __future__ import annotations

import glob
import inspect
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from steepest.errors import EventsError, SteepestError, nearest
from steepest.events import extra, transfers
from steepest.events.formats import parquet
from steepest.events.formats.damage import first_line
from steepest.events.remote import FilePath, RemoteFile
from steepest.events.retries import is_temporary, patiently
from steepest.events.words import listed

__all__ = ["PREFIX", "Address", "address_of", "files", "use_revisions"]

PREFIX = "hf://"
SHAPE = "hf://datasets/OWNER/NAME/PATH"
MAIN = "main"
SMALL = 2**20
"""Files up to so many bytes are downloaded whole."""

_LOCK = threading.Lock()
_VERBOSITY: list[int] = []
"""The verbosity of huggingface_hub before each `refusals` that is entered."""
_REVISIONS: dict[tuple[str, str], str] = {}
"""The commit of (dataset, revision) that this process reads."""


class Address(NamedTuple):
    """A file, or a glob over files, of a dataset."""

    dataset: str
    revision: str | None
    path: str


class _Listing(NamedTuple):
    """A commit and its files, each with its size and an id of its content where these are known."""

    commit: str
    files: dict[str, tuple[int | None, str | None]]


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
    for file in recorded["files"]:
        for friend in file.get("friends", ()):
            if "asked" in friend:
                _REVISIONS[friend["dataset"], friend["asked"]] = friend["revision"]


def asked(paths: Iterable[str]) -> dict[str, str]:
    """Return the revision that the paths of a friend name, for `use_revisions`; of others nothing.

    Examples
    --------
    >>> asked(["hf://datasets/o/jets/a.parquet"]), asked(["a.parquet"])
    ({'asked': 'main'}, {})
    """
    names = {address_of(path).revision or MAIN for path in paths if path.startswith(PREFIX)}
    return {"asked": names.pop()} if len(names) == 1 else {}


def files(text: str) -> list[tuple[FilePath, dict[str, str]]]:
    """Return the files that an ``hf://`` path names, sorted by name, each with its origin.

    Raises
    ------
    EventsError
        There is no such dataset or file, it is private, or the Hub cannot be reached and the cache
        does not have the file.
    MissingExtraError
        huggingface_hub is not installed.
    """
    address = address_of(text)
    hub = load()
    with refusals(address, text):
        listing = _listing(hub, address)
        names = _matches(listing, address.path)
        if not names:
            raise _no_file(address, text, sorted(listing.files))
        get = partial(_file, hub, address, listing)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(get, names))
    return [(file, {"dataset": address.dataset, "revision": listing.commit}) for file in found]


def _matches(listing: _Listing, pattern: str) -> list[str]:
    if glob.has_magic(pattern):
        return sorted(name for name in listing.files if fnmatch(name, pattern))
    return [pattern] if pattern in listing.files else []


def _listing(hub: Any, address: Address) -> _Listing:
    """Ask for the commit and its files; without an answer, what was last known of them."""
    key = address.dataset, address.revision or MAIN
    revision = _REVISIONS.get(key, key[1])
    api = hub.HfApi(library_name="steepest")
    ask = partial(api.dataset_info, address.dataset, revision=revision, files_metadata=True)
    try:
        answer = ask()
    except Exception as error:
        if not is_temporary(error):
            raise
        known = _known(hub, address.dataset, revision)
        if known is not None and _matches(known, address.path):
            _REVISIONS[key] = known.commit
            return known
        if hub.constants.HF_HUB_OFFLINE:
            raise
        answer = patiently(ask)
    found = {
        file.rfilename: (file.size, file.lfs.sha256 if file.lfs else file.blob_id)
        for file in answer.siblings or ()
    }
    _REVISIONS[key] = answer.sha
    for name in {revision, answer.sha}:
        _put(_record(hub, address.dataset, name), json.dumps(_Listing(answer.sha, found)))
    return _Listing(answer.sha, found)


def _known(hub: Any, dataset: str, revision: str) -> _Listing | None:
    """Return what is known of a revision, from an earlier answer or from the Hub's cache."""
    record = _record(hub, dataset, revision)
    if record.is_file():
        commit, found = json.loads(record.read_text())
        return _Listing(commit, {name: (size, content) for name, (size, content) in found.items()})
    try:
        folder = Path(
            hub.snapshot_download(
                dataset, repo_type="dataset", revision=revision, local_files_only=True
            )
        )
    except OSError:
        return None
    names = [f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()]
    return _Listing(folder.name, dict.fromkeys(names, (None, None)))


def _file(hub: Any, address: Address, listing: _Listing, name: str) -> FilePath:
    """Return a file to read in parts, or one that was downloaded."""
    dataset, commit, (size, content) = address.dataset, listing.commit, listing.files[name]
    options = {"repo_type": "dataset", "revision": commit}

    def download() -> Path:
        progress = _progress(hub) | {"library_name": "steepest"}
        return Path(hub.hf_hub_download(dataset, name, **options, **progress))

    cached = hub.try_to_load_from_cache(dataset, name, **options)
    local = Path(cached) if isinstance(cached, str) else None
    if local is not None and size is None:
        size = local.stat().st_size
    is_small = size is None or size <= SMALL or not content
    if is_small or not name.lower().endswith(parquet.SUFFIXES):
        return local or download()
    at = f"@{address.revision}" if address.revision else ""
    url = f"{PREFIX}datasets/{dataset}{at}/{name}"
    return RemoteFile(
        url,
        hub.HfFileSystem(),
        f"datasets/{dataset}@{commit}/{name}",
        size,
        copy=local or _folder(hub, dataset, "blocks") / quote(content or "", safe=""),
        complete=local is not None,
        download=download,
        errors=partial(refusals, address._replace(path=name), url),
        attempts=2,  # huggingface_hub has repeated the request itself
    )


def _no_file(address: Address, text: str, names: list[str]) -> EventsError:
    if glob.has_magic(address.path):
        return EventsError(
            f"No file matches {text}.",
            expected="at least one file",
            found=f"in {address.dataset}: {listed(names, 5) or 'nothing that can be listed'}",
            do="check the pattern, and that the files are downloaded if you are offline",
        )
    guess = nearest(address.path, names)
    return EventsError(
        f"There is no file {address.path} in the dataset {address.dataset}.",
        expected=f"one of {listed(names, 5)}" if names else None,
        found=repr(address.path),
        do=f"write {PREFIX}datasets/{address.dataset}/{guess}" if guess else "check the path",
    )


def _folder(hub: Any, dataset: str, kind: str) -> Path:
    return hub.cached_assets_path("steepest", "datasets--" + dataset.replace("/", "--"), kind)


def _record(hub: Any, dataset: str, revision: str) -> Path:
    return _folder(hub, dataset, "revisions") / f"{quote(revision, safe='')}.json"


def _put(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    draft.write_text(text)
    os.replace(draft, file)


def _progress(hub: Any) -> dict[str, Any]:
    """Return options by which a download of a whole file is reported, and no bar is drawn."""
    if "tqdm_class" not in inspect.signature(hub.hf_hub_download).parameters:
        return {}

    class Reporting(hub.utils.tqdm):
        """A progress bar that is not drawn."""

        def __init__(self, *args: Any, **options: Any) -> None:
            transfers.requested((options.get("total") or 0) - (options.get("initial") or 0))
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> Any:
            transfers.received(int(n or 0))
            return super().update(n)

    return {"tqdm_class": Reporting}


def load(module: str = "huggingface_hub") -> Any:
    """Return huggingface_hub or a module of it, or raise the error with the install line."""
    return extra.load(module, "hub", "Reading datasets of the Hub")


@contextmanager
def refusals(address: Address, text: str, part: str = "") -> Iterator[None]:
    """Raise EventsError for what the Hub refuses; `part` says what of the file was read.

    The library's warnings about repeated requests are held back meanwhile, from any thread.
    """
    log = load("huggingface_hub.utils").logging
    with _LOCK:
        _VERBOSITY.append(_VERBOSITY[-1] if _VERBOSITY else log.get_verbosity())
        log.set_verbosity_error()
    try:
        yield
    except SteepestError:
        raise
    except (OSError, ValueError, load("huggingface_hub.errors").HTTPError) as error:
        raise _refused(error, address, f"{text} ({part})" if part else text) from None
    finally:
        with _LOCK:
            before = _VERBOSITY.pop()
            if not _VERBOSITY:
                log.set_verbosity(before)


def _refused(error: BaseException, address: Address, text: str) -> EventsError:
    errors = load("huggingface_hub.errors")
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
    constants = load("huggingface_hub.constants")
    if constants.HF_HUB_OFFLINE:
        return EventsError(
            f"{text} is not in the cache, and HF_HUB_OFFLINE forbids to download it.",
            expected=f"a copy in {constants.HF_HOME}",
            do="unset HF_HUB_OFFLINE, or give a local file",
        )
    limited = getattr(getattr(error, "response", None), "status_code", None) == 429
    return EventsError(
        f"{text} cannot be downloaded.",
        expected=f"an answer of {constants.ENDPOINT}",
        found=first_line(error.__cause__ or error),
        cause="too many requests in a short time"
        if limited
        else "the network, a proxy, or the Hub is down; what was downloaded is kept",
        do="wait some minutes, or log in, which raises the limit: hf auth login"
        if limited
        else "try again, or download the file and give its path",
    )


def _status(error: Any) -> str:
    return f"status {error.response.status_code}"
