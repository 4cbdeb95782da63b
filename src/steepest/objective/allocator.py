"""Memory that a training step on a CPU frees is kept for the next step.

The C library of Linux gives blocks above 32 MB back to the system as they are freed, and the next
step pays for zeroed pages again. Kept, a step of ParticleNet on 128 jets of 64 particles takes
2.6 s of CPU time in place of 5.0 s. Other C libraries are left as they are.
"""

from __future__ import annotations

import ctypes
from functools import cache

# of <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


@cache
def keep_freed_memory() -> bool:
    """Tell the C library to keep freed memory, once in a process; whether it was told.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
