"""One thread of BLAS while threads of ours call it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_LOCK = threading.Lock()
_USERS: list[int] = []
"""The thread of each caller that has not left yet."""
_LIMITS: list[tuple[bool, Any]] = []
"""What restores the numbers of threads, and whether SciPy's library was there when they changed."""


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS use one thread while threads of ours call it; callers may overlap and nest.

    Numba's products are those of SciPy's library, which is loaded with the first kernel: who comes
    after that has it use one thread, too, whoever came before.

    threadpoolctl lets one thread at a time change the number, until it has given that up: so each
    caller gives it up when it leaves, and the last one restores the numbers.
    """
    with _LOCK:
        _USERS.append(threading.get_ident())
        loaded = "scipy.linalg.cython_blas" in sys.modules
        if not _LIMITS or _LIMITS[-1][0] != loaded:
            _LIMITS.append((loaded, _blas(loaded).limit(limits=1, user_api="blas")))
    try:
        yield
    finally:
        with _LOCK:
            _USERS.remove(threading.get_ident())
            for loaded, limit in reversed(_LIMITS):
                if not _USERS:
                    limit.restore_original_limits()
                for library in _blas(loaded).lib_controllers:  # of newer versions
                    getattr(library, "clear_controlling_thread", lambda: None)()
            if not _USERS:
                _LIMITS.clear()


@cache
def _blas(loaded: bool) -> Any:
    """The libraries there are, with that of SciPy or without it."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
