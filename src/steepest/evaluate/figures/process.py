"""A second process that draws figures, two at a time, beside what this one does.

Matplotlib draws one figure at a time per process. The second process imports it, and divides in
two, each of which draws one figure after the other.

It runs this package and nothing of the caller's. Functions and their numbers go to it through a
socket, pickled, and files come back; on disk nothing is pickled.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from io import BufferedRWPair
from queue import SimpleQueue
from typing import Any

from steepest.compiled.threads import usable_cores
from steepest.evaluate.figures.style import rendered_in

Draw = Callable[[], Any]
Files = dict[str, bytes]
"""The content of a figure's file in each format."""
_CODE = "import os, sys; getattr(os, 'nice', int)(10); \
from steepest.evaluate.figures.process import draw_for; draw_for(*map(int, sys.argv[1:]))"
"""The descent comes first where there are not enough cores."""
AT_ONCE = 2
"""Figures that are drawn beside the training at one time."""


class DrawingProcess:
    """A second process that draws `AT_ONCE` figures at one time.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self) -> None:
        pairs = [socket.socketpair() for _ in range(AT_ONCE)]
        theirs = [their.fileno() for _, their in pairs]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, *map(str, theirs)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                pass_fds=theirs,
                process_group=0,  # it divides, and ends as one
            )
            self._connections = [our.makefile("rwb") for our, _ in pairs]
        finally:
            for both in pairs:
                for end in both:
                    end.close()  # ours when its file is closed
        self._idle: SimpleQueue[BufferedRWPair] = SimpleQueue()
        for connection in self._connections:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(max_workers=AT_ONCE)

    def submit(self, draw: Draw, formats: Sequence[str] = ("png",)) -> Future[Files | None]:
        """Draw a figure in its turn; the result is a file for each format, or None if it failed."""
        return self._threads.submit(self._ask, draw, formats)

    def _ask(self, draw: Draw, formats: Sequence[str]) -> Files | None:
        connection = self._idle.get()
        try:
            connection.write(pickle.dumps((draw, formats)))
            connection.flush()
            files = {}
            for kind in formats:
                size = int.from_bytes(connection.read(SIZE_BYTES), "little")
                files[kind] = connection.read(size)
                if not len(files[kind]) == size > 0:
                    return None
        except Exception:  # it has ended, or the function cannot be pickled
            return None
        finally:
            self._idle.put(connection)
        return files

    def end(self) -> None:
        """End the process, whatever it is doing."""
        with suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._threads.shutdown(cancel_futures=True)
        for connection in self._connections:
            with suppress(OSError):  # the rest of what was written has no reader
                connection.close()


_AHEAD: list[DrawingProcess] = []


def start_ahead() -> None:
    """Start the process that the next `drawing_process` gives, where it will give one.

    It then imports Matplotlib while this process imports what it needs.
    """
    if not _AHEAD and (process := _started()):
        _AHEAD.append(process)


def _started() -> DrawingProcess | None:
    if usable_cores() > 1 and "matplotlib" not in sys.modules:
        with suppress(OSError):
            return DrawingProcess()
    return None


@contextmanager
def drawing_process() -> Iterator[DrawingProcess | None]:
    """Start a second process that draws; None where it would not help, or cannot be started.

    It does not help on a single core, nor much where this process has imported Matplotlib.
    """
    process = _AHEAD.pop() if _AHEAD else _started()
    try:
        yield process
    finally:
        if process is not None:
            process.end()


SIZE_BYTES = 8
"""Bytes of the little-endian size that precedes each file of `draw_for`."""


def draw_for(*sockets: int) -> None:
    """Draw each pickled function that returns a figure, in each format, until the sockets close.

    A process is made for each socket, by `os.fork` once Matplotlib is imported. They do not
    import the training code.
    """
    # import before the first figure arrives
    import matplotlib.backends.backend_agg  # noqa: F401
    import mplhep  # noqa: F401

    mine, *others = sockets
    while others:
        other = others.pop()
        if os.fork() == 0:
            mine, others, unused = other, [], [mine, *others]
        else:
            unused = [other]
        for descriptor in unused:  # or who has it open would not see the other end close
            os.close(descriptor)
    with socket.socket(fileno=mine) as connection, connection.makefile("rwb") as asked:
        while True:
            try:
                draw, formats = pickle.load(asked)
            except EOFError:
                return
            for content in rendered_in(draw(), formats).values():
                asked.write(len(content).to_bytes(SIZE_BYTES, "little") + content)
            asked.flush()
