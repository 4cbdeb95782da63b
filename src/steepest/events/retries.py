"""Requests to servers: repeated while they fail in a way that may pass, with messages of ours.

The wait doubles from one attempt to the next, and is random between half of that and all of it, so
that jobs which a server turned away together do not come back together. What a server asks for
(``Retry-After``) is waited for, within a bounded total.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Any, TypeVar

from steepest.errors import EventsError, SteepestError, nearest
from steepest.events.file_systems import file_system_of
from steepest.events.words import counted, listed

__all__ = ["NoRangesError", "is_temporary", "names_in", "patiently", "refusals"]

T = TypeVar("T")

ATTEMPTS = 6
TOTAL = 120.0
"""Seconds after the first attempt, from which on no further one begins."""
LIBRARIES = {"aiohttp", "botocore", "httpx", "httpx2", "requests", "urllib3"}
"""That have exceptions of their own for connections that fail."""


class NoRangesError(OSError):
    """The server answers a request for a range with something else."""


def patiently(call: Callable[[], T], attempts: int = ATTEMPTS) -> T:
    """Return what a call returns; repeat it while it fails in a way that may pass.

    What is raised at the end has a note with the number of attempts.
    """
    began, attempt = time.monotonic(), 1
    while True:
        try:
            return call()
        except Exception as error:
            if not is_temporary(error):
                raise
            asked = _retry_after(_cause(error))
            wait = max(2.0 ** (attempt - 1) * random.uniform(0.5, 1.0), asked)
            passed = time.monotonic() - began
            if attempt == attempts or passed + wait > TOTAL:
                told = f"{counted(attempt, 'attempt')} in {passed:.0f} s"
                told += f"; the server asks to wait {asked:.0f} s" if passed + asked > TOTAL else ""
                _cause(error).add_note(told)
                raise
        time.sleep(wait)
        attempt += 1


XROOTD_ABSENT = ("[3011]", "_ls_from_cache() failed")
"""What fsspec-xrootd says in an OSError: a number of XRootD, or that a listed folder lacks it."""


AWS_LATER = {
    *("INTERNAL_FAILURE", "NETWORK_CONNECTION", "REQUEST_TIMEOUT", "SERVICE_UNAVAILABLE"),
    *("SLOW_DOWN", "THROTTLING"),
}
"""What S3 says that may pass."""
AWS_REFUSED = {
    *("ACCESS_DENIED", "EXPIRED_TOKEN", "INCOMPLETE_SIGNATURE", "INVALID_ACCESS_KEY_ID"),
    *("INVALID_CLIENT_TOKEN_ID", "INVALID_SIGNATURE", "MISSING_AUTHENTICATION_TOKEN"),
    *("SIGNATURE_DOES_NOT_MATCH", "UNRECOGNIZED_CLIENT"),
}
AWS_ABSENT = {"NO_SUCH_BUCKET", "NO_SUCH_KEY", "RESOURCE_NOT_FOUND"}


def is_temporary(error: BaseException) -> bool:
    """Whether a server did not answer, or may answer later."""
    error = _cause(error)
    status, told = _status(error), _aws_code(error)
    if status is not None:
        return status >= 500 or status in (408, 429)
    if told is not None:
        return told in AWS_LATER
    if isinstance(error, PermissionError | IsADirectoryError | NoRangesError) or _is_absent(error):
        return False
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, OSError | TimeoutError) or library in LIBRARIES


@contextmanager
def refusals(url: str, part: str = "") -> Iterator[None]:
    """Raise EventsError for whatever a file system raises about a URL; `part` was read of it."""
    try:
        yield
    except SteepestError:
        raise
    except Exception as error:  # each file system has errors of its own
        raise _refused(f"{url} ({part})" if part else url, url, _cause(error)) from None


def _refused(text: str, url: str, error: BaseException) -> EventsError:
    status = _status(error)
    found = f"status {status}" if status else str(error).strip() or type(error).__name__
    if status in (404, 410) or _is_absent(error):
        names = _neighbours(url)
        guess = nearest(url.rpartition("/")[2], names)
        return EventsError(
            f"There is no file {url}.",
            expected=f"one of {listed(names, 5)}" if names else None,
            found=found,
            do=f"write {url.rpartition('/')[0]}/{guess}" if guess else "check the path",
        )
    told = _aws_code(error)
    if status in (401, 403) or isinstance(error, PermissionError) or told in AWS_REFUSED:
        return EventsError(
            f"{text} may not be read.",
            expected="credentials that allow it",
            found=found,
            cause="no credentials, or ones that have expired or are not for this file",
            do="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            if told
            else "set them as the package for this kind of path documents it",
        )
    return EventsError(
        f"{text} cannot be downloaded.",
        expected="an answer of the server",
        found=", ".join([found.splitlines()[0], *getattr(error, "__notes__", ())]),
        cause="the network, a proxy, or the server is down; what was downloaded is kept",
        do="try again, or download the file and give its path",
    )


def _cause(error: BaseException) -> BaseException:
    """Return what happened where HTTPFileSystem says that there is no such file."""
    cause = error.__cause__
    if not isinstance(error, FileNotFoundError) or cause is None:
        return error
    is_network = type(cause).__module__.startswith("aiohttp")
    return cause if is_network or isinstance(cause, TimeoutError | ConnectionError) else error


def _is_absent(error: BaseException) -> bool:
    """Whether there is no such file."""
    is_told = any(text in str(error) for text in XROOTD_ABSENT) or _aws_code(error) in AWS_ABSENT
    return isinstance(error, FileNotFoundError) or is_told


def _status(error: BaseException) -> int | None:
    """Return the HTTP status of an error of aiohttp, httpx or Arrow's S3."""
    response = getattr(error, "response", None)
    status = getattr(error, "status", None) or getattr(response, "status_code", None)
    if (told := re.search(r"AWS Error.*\(HTTP status (\d+)\)", str(error))) is not None:
        status = int(told[1])
    return status if isinstance(status, int) else None


def _aws_code(error: BaseException) -> str | None:
    """Return what S3 says in an error of Arrow, as NO_SUCH_KEY."""
    told = re.search(r"AWS Error ([A-Z0-9_]+) during", str(error))
    return told and told[1]


def _retry_after(error: BaseException) -> float:
    """Return how many seconds the server asks to wait; 0 if it does not say."""
    holder: Any = error if hasattr(error, "headers") else getattr(error, "response", None)
    text = (getattr(holder, "headers", None) or {}).get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        until = parsedate_to_datetime(text).replace(tzinfo=UTC)  # HTTP's dates are in GMT
    except ValueError:
        return 0.0
    return max((until - datetime.now(UTC)).total_seconds(), 0.0)


def _neighbours(url: str) -> list[str]:
    """Return the names of the files beside one, where the server lists them."""
    try:
        fs, path = file_system_of(url)
        return names_in(fs, path.rpartition("/")[0])
    except Exception:  # it is a hint in a message about another error
        return []


def names_in(fs: Any, folder: str) -> list[str]:
    """Return the names of the files in a folder of a file system."""
    return sorted(PurePosixPath(name).name for name in fs.ls(folder, detail=False))
