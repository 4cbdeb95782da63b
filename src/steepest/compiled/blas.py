"""One thread of BLAS while threads of ours call it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_BLAS: dict[str, Any] = {"lock": threading.Lock(), "users": 0, "limit": None}


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS use one thread while threads of ours call it; callers may overlap and nest.

    threadpoolctl lets one thread at a time change the number, until it has given that up: so each
    caller gives it up when it leaves, and the last one restores the number.
    """
    with _BLAS["lock"]:
        _BLAS["users"] += 1
        if _BLAS["users"] == 1:
            _BLAS["limit"] = _blas().limit(limits=1, user_api="blas")
    try:
        yield
    finally:
        with _BLAS["lock"]:
            _BLAS["users"] -= 1
            if _BLAS["users"] == 0:
                _BLAS["limit"].restore_original_limits()
            for library in _blas().lib_controllers:
                getattr(library, "clear_controlling_thread", lambda: None)()  # of newer versions


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
