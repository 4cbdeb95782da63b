"""A first look at files in another process, where damage can crash their library or keep it busy.

HDF5 does so in many places, pyarrow where it is asked for a Parquet file's statistics. One process
looks at all files. It is this file, run as a script: it imports nothing of steepest, and starts
while the caller imports h5py too.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LIMIT, START = 10.0, 120.0
"""Seconds that a look may take, which is milliseconds for a healthy file, and the start."""
MEMORY = 4 * 2**30
"""Bytes of addresses that the process may have, so that no absurd size is asked for."""
BESIDE = 2**28
"""Bytes that lists may take beyond twice the size of their file, which holds them uncompressed."""
AT_ONCE, AT_MOST, SECONDS = 2**22, 2**26, 0.5
"""Bytes that are read at once, and bytes and seconds after which the rest is left unread."""

_LOCK = threading.Lock()
_PROCESS: list[tuple[int, subprocess.Popen[str]]] = []
_SEEN: dict[str, tuple[int, int]] = {}


def start() -> None:
    """Start the process, if it does not run already."""
    with _LOCK:
        _running()


def trust(path: Path) -> None:
    """Have no look at a file that is known to be as it was written, until it changes."""
    status = path.stat()
    with _LOCK:
        _SEEN[str(path)] = status.st_size, status.st_mtime_ns


def look(path: Path, reader: str = "HDF5") -> str | None:
    """Return what happened if the file cannot be read without harm, else None.

    `reader` is what reads it: "HDF5", or "Parquet" for its metadata.
    """
    status = path.stat()
    state = status.st_size, status.st_mtime_ns
    with _LOCK:
        if _SEEN.get(str(path)) == state:
            return None
        process = _running()
        if process is None or process.stdin is None or process.stdout is None:
            return None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([reader, str(path.absolute())]) + "\n")
            process.stdin.flush()
        if not _answer(process, START):  # that it is ready to look
            stop()
            return None
        answer = _answer(process, LIMIT)
        if answer == "done\n":
            _SEEN[str(path)] = state
            return None
        if answer not in (None, ""):
            return answer.strip()
        late = answer is None
        status = process.poll() if late else process.wait()
        stop()
        return (
            f"{reader} was not done after {LIMIT:g} s" if late else f"{reader} crashed ({status})"
        )


def _answer(process: subprocess.Popen[str], seconds: float) -> str | None:
    """Return the next line of the process, empty if it has ended; None if there is none in time."""
    assert process.stdout is not None
    thread = ThreadPoolExecutor(1)
    try:
        return thread.submit(process.stdout.readline).result(seconds)
    except TimeoutError:
        return None
    finally:
        thread.shutdown(wait=False)


def _running() -> subprocess.Popen[str] | None:
    """Return the process of this one (which may be a fork of the one that started it)."""
    if not sys.executable:
        return None
    if _PROCESS and (_PROCESS[0][0] != os.getpid() or _PROCESS[0][1].poll() is not None):
        _PROCESS.clear()
    if not _PROCESS:
        # -P: the folder of this file has a csv.py, which is not the standard library's.
        process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        _PROCESS.append((os.getpid(), process))
    return _PROCESS[0][1]


@atexit.register
def stop() -> None:
    """End the process, if it runs; the next look starts another one."""
    if not _PROCESS or _PROCESS[0][0] != os.getpid():
        return
    _, process = _PROCESS.pop()
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


def _read_hdf5(path: str, h5py: Any) -> str | None:
    """Read the structure of a file and, up to a limit, its data.

    Returns what is wrong with lists or texts that claim to be longer than their file: HDF5 asks for
    their memory before it looks where they are. Other errors are left to the caller.
    """
    end, left, absurd = time.monotonic() + SECONDS, AT_MOST, None

    def visit(_: str, node: Any) -> None:
        nonlocal left
        list(node.attrs.items())
        if not getattr(node, "shape", None):
            return
        rows, row_bytes = node.shape[0], node.nbytes // max(node.shape[0], 1)
        step = max(1, AT_ONCE // max(row_bytes, 1))
        for row in range(0, rows, step):
            if left <= 0 or time.monotonic() > end:
                return
            read(node, row, step)
            left -= step * max(row_bytes, 1)

    def read(node: Any, row: int, step: int) -> None:
        nonlocal absurd
        if not _holds_lists(node.dtype, h5py):
            node[row : row + step]
            return
        try:
            with _limited(2 * os.path.getsize(path) + node.nbytes + BESIDE):
                node[row : row + step]
        except (OSError, MemoryError) as error:
            if isinstance(error, MemoryError) or "memory allocation failed" in str(error):
                absurd = f"{node.name} has a list or text that claims to be longer than the file"

    def guarded(name: str, node: Any) -> None:
        with suppress(Exception):  # another dataset may still crash
            visit(name, node)

    with h5py.File(path, "r") as file:
        file.visititems(guarded)
    return absurd


def _holds_lists(dtype: Any, h5py: Any) -> bool:
    """Whether values have no fixed length: lists, texts, or a compound with some."""
    if dtype.names:
        return any(_holds_lists(dtype[name], h5py) for name in dtype.names)
    text = h5py.check_string_dtype(dtype)
    return h5py.check_vlen_dtype(dtype) is not None or (text is not None and text.length is None)


@contextmanager
def _limited(more: int) -> Iterator[None]:
    """Let the process have so many more bytes of addresses than it has now."""
    try:
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ImportError, OSError, ValueError):  # of other systems than Linux
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(used + more, before[1]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _read_parquet(path: str, parquet: Any) -> None:
    """Ask for all that the metadata say of the chunks of columns."""
    with parquet.ParquetFile(path) as file:
        metadata = file.metadata
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for chunk in map(group.column, range(group.num_columns)):
                chunk.to_dict()


READERS = {"HDF5": ("h5py", _read_hdf5), "Parquet": ("pyarrow.parquet", _read_parquet)}


def _main() -> None:
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin:
        reader, path = json.loads(line)
        module, read = READERS[reader]
        library = importlib.import_module(module)
        print("ready", flush=True)
        found = None
        with suppress(Exception):
            found = read(path, library)
        print(found or "done", flush=True)


if __name__ == "__main__":
    _main()
