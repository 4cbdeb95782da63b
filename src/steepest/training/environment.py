"""The process that trains: what a run was made with, and memory given back to the system."""

from __future__ import annotations

import ctypes
import gc
import platform
import sys
import time
from contextlib import suppress
from importlib import metadata
from typing import Any

import psutil
import pyarrow as pa
from threadpoolctl import threadpool_info

from steepest._version import __version__
from steepest.compiled.threads import usable_cores
from steepest.training.fit import THREADS

__all__ = ["environment", "give_back"]

_PACKAGES = (
    "numpy",
    "numba",
    "scipy",
    "scikit-learn",
    "polars",
    "pyarrow",
    "safetensors",
    "pydantic",
)


def environment(events: dict[str, Any]) -> dict[str, Any]:
    """Describe this process and machine; `events` is the fingerprint of what is trained on."""
    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "format": "steepest-environment",
        "version": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "steepest": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": {"physical": psutil.cpu_count(logical=False), "usable": usable_cores()},
        "memory_bytes": psutil.virtual_memory().total,
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture")}
            for pool in blas
        ],
        "threads": THREADS,
        "command": sys.argv[1:],
        "events": events,
    }


def give_back() -> None:
    """Collect what nobody refers to, and return free pages to the system where that can be.

    An allocator keeps what was freed, and a figure is a ring of references until the next
    collection. Where events are kept on disk because memory is short, that is worth some
    milliseconds between the stages of a training.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
