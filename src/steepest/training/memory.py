"""Memory that is free is given back to the system, between the stages of a training.

An allocator keeps what was freed, and a figure is a ring of references until the next collection.
Where events are kept on disk because memory is short, that is worth some milliseconds.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

import pyarrow as pa

__all__ = ["give_back"]


def give_back() -> None:
    """Collect what nobody refers to, and return free pages to the system where that can be."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
