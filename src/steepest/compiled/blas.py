"""BLAS's own threads, which must not work beside ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

__all__ = ["one_blas_thread"]


class _Blas:
    """Who uses one BLAS thread, and the limit, which gives BLAS its own number of threads back."""

    lock, users = threading.Lock(), 0
    limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS use one thread while threads of ours call it; callers may overlap and nest.

    OpenBLAS is limited by the thread that has asked first in this process, as a rule the main one;
    what others ask for is without effect there.
    """
    with _Blas.lock:
        if _Blas.users == 0:
            _Blas.limit = _blas().limit(limits=1, user_api="blas")
        _Blas.users += 1
    try:
        yield
    finally:
        with _Blas.lock:
            _Blas.users -= 1
            if _Blas.users == 0:
                _Blas.limit.restore_original_limits()


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
