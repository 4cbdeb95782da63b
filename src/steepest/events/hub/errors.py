"""What huggingface_hub refuses, said as errors about the path that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from steepest.errors import EventsError, nearest
from steepest.events import extra
from steepest.events.formats.damage import first_line
from steepest.events.words import listed

__all__ = ["SHAPE", "Address", "Telling", "is_passing", "listing", "load"]

SHAPE = "hf://datasets/OWNER/NAME/PATH"
PURPOSE = "Reading datasets of the Hub"
PASSING = (408, 429)
"""Refusals that pass, besides those of 500 and above."""


class Address(NamedTuple):
    """A file, or a glob over files, of a dataset."""

    dataset: str
    revision: str | None
    path: str


def load(module: str = "huggingface_hub") -> Any:
    """Return the Hub's library, or the error with the install line."""
    return extra.load(module, "hub", PURPOSE)


@dataclass(frozen=True)
class Telling:
    """Turns what the Hub's library raises into an EventsError about a path."""

    address: Address
    text: str

    @contextmanager
    def of(self, part: str = "") -> Iterator[None]:
        """Raise EventsError for what is refused within; `part` says what of the file was read."""
        errors = load("huggingface_hub.errors")
        try:
            yield
        except EventsError:
            raise
        except (OSError, ValueError, errors.EntryNotFoundError, errors.HTTPError) as error:
            raise _refused(errors, error, self, part) from None


def is_passing(error: BaseException) -> bool:
    """Whether the Hub did not answer, or may answer later."""
    errors: Any = load("huggingface_hub.errors")
    if isinstance(error, errors.HfHubHTTPError):
        status = _code(error)
        return status >= 500 or status in PASSING
    return isinstance(error, errors.HTTPError | errors.OfflineModeIsEnabled)


def listing(address: Address) -> str:
    """Say what files a dataset has."""
    return listed(_names(address), 5) or "nothing that can be listed"


def _refused(errors: Any, error: BaseException, telling: Telling, part: str) -> EventsError:
    """Return the error for what huggingface_hub refused."""
    address = telling.address
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
        names = _names(address)
        guess = nearest(address.path, names)
        return EventsError(
            f"There is no file {address.path} in the dataset {dataset}.",
            expected=f"one of {listed(names, 5)}" if names else None,
            found=repr(address.path),
            do=f"write hf://datasets/{dataset}/{guess}" if guess else "check the path",
        )
    return _unreachable(error, f"{telling.text} ({part})" if part else telling.text, bool(part))


def _unreachable(error: BaseException, text: str, is_part: bool) -> EventsError:
    constants = load("huggingface_hub.constants")
    cache = constants.HF_ASSETS_CACHE if is_part else constants.HF_HUB_CACHE
    if constants.HF_HUB_OFFLINE:
        return EventsError(
            f"{text} is not in the cache, and HF_HUB_OFFLINE forbids to download it.",
            expected=f"a copy in {cache}",
            do="unset HF_HUB_OFFLINE, or give a local file",
        )
    return EventsError(
        f"{text} cannot be downloaded.",
        expected=f"an answer of {constants.ENDPOINT}",
        found=first_line(error.__cause__ or error),
        cause="the network, a proxy, or the Hub is down; what came so far is kept",
        do="try again, or download the file and give its path",
    )


def _code(error: Any) -> int:
    return error.response.status_code


def _status(error: Any) -> str:
    return f"status {_code(error)}"


def _names(address: Address) -> list[str]:
    """Return the names of a dataset's files, for a message; none if the Hub does not answer."""
    try:
        api = load().HfApi()
        return api.list_repo_files(address.dataset, repo_type="dataset", revision=address.revision)
    except (OSError, ValueError):
        return []
