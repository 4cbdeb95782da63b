"""What huggingface_hub refuses, said as errors about the path that was asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from steepest.errors import EventsError, SteepestError
from steepest.events import extra
from steepest.events.formats.damage import first_line

__all__ = ["SHAPE", "Address", "load", "refusals"]

SHAPE = "hf://datasets/OWNER/NAME/PATH"

_LOCK = threading.Lock()
_VERBOSITY: list[int] = []
"""The verbosity of huggingface_hub before each `refusals` that is entered."""


class Address(NamedTuple):
    """A file, or a glob over files, of a dataset."""

    dataset: str
    revision: str | None
    path: str


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
