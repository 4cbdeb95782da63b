"""How much of the Hub's files has come: told to whoever looks on.

`seen_by` while a command runs; `expect` and `came` where bytes are transferred, from any thread.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["came", "expect", "options", "seen_by"]

Tell = Callable[[int, int], object]
"""Called with the bytes that came, and those that were asked for so far."""


class _Transfers:
    """Bytes that came and that were asked for, while somebody looks on."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._lock = tell, threading.Lock()
        self._came = self._asked = 0

    def add(self, came: int, asked: int) -> None:
        with self._lock:
            self._came += came
            self._asked += asked
            self._tell(self._came, self._asked)


_SEEN: list[_Transfers] = []
"""The transfers that are looked on, none or those of the running command."""


@contextmanager
def seen_by(tell: Tell) -> Iterator[None]:
    """Tell of all transfers of this process until the context ends.

    Examples
    --------
    >>> with seen_by(lambda came, asked: print(f"{came} of {asked}")):
    ...     expect(10)
    ...     came(4)
    0 of 10
    4 of 10
    """
    transfers = _Transfers(tell)
    _SEEN.append(transfers)
    try:
        yield
    finally:
        _SEEN.remove(transfers)


def expect(count: int) -> None:
    """So many bytes more are asked for; fewer if it is below zero."""
    for transfers in _SEEN:
        transfers.add(0, count)


def came(count: int) -> None:
    """So many bytes more have come."""
    for transfers in _SEEN:
        transfers.add(count, 0)


def options(hub: Any) -> dict[str, Any]:
    """Return what a download of a whole file is given, so that it tells here and draws nothing.

    Where nobody looks on, or the release of huggingface_hub cannot be asked, that is nothing.
    """
    if not _SEEN or "tqdm_class" not in inspect.signature(hub.hf_hub_download).parameters:
        return {}

    class Counting(hub.utils.tqdm):
        """A progress bar that is not drawn."""

        def __init__(self, *args: Any, **options: Any) -> None:
            expect((options.get("total") or 0) - (options.get("initial") or 0))
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> Any:
            came(int(n or 0))
            return super().update(n)

    return {"tqdm_class": Counting}
