"""Asking a Hub that may be busy: some times again, in silence.

huggingface_hub writes a line for each attempt; whoever asked is told once, by the error, if none
was answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from steepest.events.hub.errors import load

__all__ = ["ask", "silent"]

RETRIES = 3
"""Times that a Hub which does not answer is asked again, after 1, 2 and 4 seconds."""

_LOCK = threading.Lock()
_ASKING: list[int] = []
"""The verbosity that the Hub's library had, once for each part of the program that asks."""


def ask(method: str, url: str, **options: Any) -> Any:
    """Return the answer to an HTTP request, a refusal that lasts included.

    `options` are those of ``huggingface_hub.utils.http_backoff``, which raises its own errors when
    nobody answers after `RETRIES` more attempts.
    """
    with silent():
        return load("huggingface_hub.utils").http_backoff(
            method, url, max_retries=RETRIES, **options
        )


@contextmanager
def silent() -> Iterator[None]:
    """Keep the Hub's library from telling of each attempt; from any thread, nested or not.

    Examples
    --------
    >>> import huggingface_hub.utils.logging as log
    >>> before = log.get_verbosity()
    >>> with silent():
    ...     log.get_logger().warning("Retrying in 1s")
    >>> log.get_verbosity() == before
    True
    """
    log = load("huggingface_hub.utils").logging
    with _LOCK:
        _ASKING.append(_ASKING[-1] if _ASKING else log.get_verbosity())
        log.set_verbosity_error()
    try:
        yield
    finally:
        with _LOCK:
            before = _ASKING.pop()
            if not _ASKING:
                log.set_verbosity(before)
