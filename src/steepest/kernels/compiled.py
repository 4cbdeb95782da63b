"""How functions are compiled: Numba, with a cache on disk that may be missing, full or broken.

What to use when: `part` for a function that only compiled code calls
(`inlined` for a small one); `entry` for one that Python
calls. An entry's machine code is kept on disk, beside the package or, where that is not writable,
in the user's cache folder; where that is not writable either, or the disk is full, or a file there
is damaged, it is compiled again in each process, and nobody is told.

Only additions and multiplications may be fused (contract): what is not finite stays not finite,
and sums keep their order, so that the same numbers give the same bits. `sums` may also be
reordered (reassoc), in one way that the compiler fixes.
"""

from __future__ import annotations

import gc
import hashlib
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numba.extending
from numba import types
from numba.core import entrypoints
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler_lock import global_compiler_lock

from steepest.kernels.deferred import EntryCompiler, PartCompiler

__all__ = [
    "entry",
    "inlined",
    "intrinsic",
    "no_longer",
    "overload",
    "part",
    "sums",
    "while_compiling",
]

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
_WITHOUT_PYTHON: dict[str, Any] = {
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "pipeline_class": PartCompiler,
}

_MEANWHILE: dict[Callable[[], object], None] = {}

intrinsic: Any = numba.extending.intrinsic
"""Machine code written out: a function whose instructions Python puts together."""


def part(function: Callable) -> Any:
    """Compile a function that compiled code calls."""
    return _part(function, {"contract"})


def inlined(function: Callable) -> Any:
    """Compile a function that is small beside the cost of a call, into its callers."""
    return _part(function, {"contract"}, forceinline=True)


def sums(function: Callable) -> Any:
    """Compile a sum, whose terms may be taken in another order, for several at once."""
    return _part(function, {"contract", "reassoc", "nsz"}, forceinline=True)


def _part(function: Callable, fastmath: set[str], **options: Any) -> Any:
    """A part, of which there is one for all values of a number: Numba makes one for each constant.

    LLVM puts constants into what it inlines, in any case.
    """
    made: Any = numba.njit(fastmath=fastmath, **_OPTIONS, **_WITHOUT_PYTHON, **options)(function)
    called = made.get_call_template
    made.get_call_template = lambda given, named: called(
        [types.unliteral(kind) for kind in given],
        {name: types.unliteral(kind) for name, kind in named.items()},
    )
    return made


def overload(function: Callable) -> Any:
    """Give compiled code a function of the decorated one's making, by the arguments' types."""
    options: Any = _WITHOUT_PYTHON
    return numba.extending.overload(function, jit_options=options)


def entry(function: Callable) -> Any:
    """Compile a function that Python calls; keep its machine code on disk if that can be."""
    options: Any = {**_OPTIONS, "no_cfunc_wrapper": True, "pipeline_class": EntryCompiler}
    dispatcher: Any = numba.njit(fastmath={"contract"}, **options)(function)
    dispatcher._compile_for_args = _alone(dispatcher._compile_for_args)
    with suppress(RuntimeError, OSError):  # no folder is writable
        dispatcher._cache = _Cache(function)
    return dispatcher


def while_compiling(work: Callable[[], object]) -> None:
    """Have work done on a thread beside the next compilation, or never if there is none.

    LLVM works without Python's lock: some seconds of the first training, in which another core can
    import what is needed later. `work` must not raise, and may end after the compilation.
    """
    _MEANWHILE[work] = None


def no_longer(work: Callable[[], object]) -> None:
    """Withdraw what `while_compiling` was given, if it has not begun."""
    _MEANWHILE.pop(work, None)


def _begin_work() -> None:
    while _MEANWHILE:
        threading.Thread(target=_MEANWHILE.popitem()[0], daemon=True).start()


def _alone(compile_for: Callable) -> Callable:
    """Compile without what other packages have registered with Numba, which no kernel needs.

    Numba imports all of it before it compiles anything: where Awkward and Vector are installed, for
    ROOT files, that takes a second and 100 MB. Who else compiles in this process still gets it.
    Numba has no public way to leave it out.

    And without Python's search for garbage in circles, of which a compiler leaves little: it would
    look at each of the compiler's objects again and again, for a sixth of all the time.
    """

    def compile_alone(*arguments: Any, **options: Any) -> Any:
        with global_compiler_lock:
            loaded = getattr(entrypoints, "_already_initialized", True)
            entrypoints._already_initialized = True
            searching = gc.isenabled()
            gc.disable()
            try:
                return compile_for(*arguments, **options)
            finally:
                entrypoints._already_initialized = loaded
                if searching:
                    gc.enable()

    return compile_alone


class _Cache(FunctionCache):
    """Numba's cache on disk; it is renewed when any kernel changes, and fails without a word."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self._cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=_stamp(),
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = None
        with suppress(Exception):  # a damaged file can raise anything
            found = super().load_overload(sig, target_context)
        if found is not None and tuple(found.signature.args) != tuple(sig):
            found = None  # two processes have written at once
        if found is None:
            _begin_work()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(Exception):  # a full disk, a folder that has become read-only
            super().save_overload(sig, data)


@cache
def _stamp() -> str:
    """What the sources of all kernels are: Numba itself looks at the entry's file alone."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
