"""What the machine is, and its two limits: reading memory, and multiplying matrices."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
from threadpoolctl import threadpool_limits

__all__ = ["cores", "describe", "matrix_peak", "on_cores", "sum_once"]

Array = np.ndarray
_POOL = ThreadPoolExecutor()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Let this thread, and those that it starts, have so many cores (Linux)."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def describe() -> dict[str, Any]:
    """Return the processor, its cores, the load, and the versions of what was measured."""
    from importlib.metadata import PackageNotFoundError, version

    versions = {}
    for name in ("steepest", "numpy", "scipy", "numba", "scikit-learn", "torch", "jax", "optax",
                 "lightning", "vowpalwabbit", "polars", "uproot"):  # fmt: skip
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "versions": versions,
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    if about.exists():
        for line in about.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@numba.njit(nogil=True, fastmath=True)
def _sum(values: Array, first: int, last: int) -> np.float32:
    """In slices whose length is known to be small: so the loop over each becomes vectors."""
    total = np.float32(0)
    for start in range(first, last, 1024):
        piece = values[start : min(start + 1024, last)]
        part = np.float32(0)
        for place in range(len(piece)):
            part += piece[place]
        total += part
    return total


def sum_once(values: Array, threads: int) -> float:
    """Read a float32 array once, with so many threads, doing as little as possible with it."""
    flat = values.reshape(-1)
    edges = np.linspace(0, len(flat), threads + 1).astype(np.int64)
    if threads == 1:
        return float(_sum(flat, 0, len(flat)))
    parts = _POOL.map(lambda i: _sum(flat, edges[i], edges[i + 1]), range(threads))
    return float(sum(parts))


def matrix_peak(threads: int, size: int = 2048, rounds: int = 5) -> float:
    """Return the best rate of a large float32 matrix product, in operations a second."""
    random = np.random.default_rng(0)
    a, b = (random.normal(size=(size, size)).astype(np.float32) for _ in range(2))
    out = np.empty_like(a)
    best = 0.0
    with threadpool_limits(limits=threads):
        for _ in range(rounds):
            began = time.perf_counter()
            np.matmul(a, b, out=out)
            best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best
