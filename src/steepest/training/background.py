"""The figures of a run, drawn beside the training by two more processes.

Matplotlib draws one figure at a time per process. Of the CPU time that `steepest train` of the
default recipe takes, its import and the figures are half. With a free core, a second process
imports it while this one reads events, and divides in two, each of which draws one figure after
the other: the features during the descent, and then the others. Where these are many, this
process helps.

The other processes run this package and nothing of the caller's. Functions and their numbers go
to them through a socket, pickled, and files come back; on disk nothing is pickled. If one fails,
this process draws.
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
from functools import partial
from io import BufferedRWPair
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from steepest.compiled.threads import usable_cores
from steepest.evaluate.figures.style import SIZE_BYTES
from steepest.events.units import Units
from steepest.folder import RunFolder
from steepest.folder.files import json_text

Draw = Callable[[], Any]
Files = dict[str, bytes]
"""The content of a figure's file in each format."""
Writers = dict[str, Callable[[Path], object]]
_CODE = "import os, sys; getattr(os, 'nice', int)(10); \
from steepest.evaluate.figures.style import draw_for; draw_for(*map(int, sys.argv[1:]))"
"""The descent comes first where there are not enough cores."""
AT_ONCE = 2
"""Figures that are drawn beside the training at one time."""
FEW = 5
"""Figures that are drawn elsewhere before this process has imported Matplotlib and drawn one."""
_TIMEOUT = 10.0
"""Seconds to wait for a figure of another process when this one has nothing left to draw."""


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


@contextmanager
def drawing_process() -> Iterator[DrawingProcess | None]:
    """Start a second process that draws; None where it would not help, or cannot be started.

    It does not help on a single core, nor much where this process has imported Matplotlib.
    """
    process = None
    if usable_cores() > 1 and "matplotlib" not in sys.modules:
        with suppress(OSError):
            process = DrawingProcess()
    try:
        yield process
    finally:
        if process is not None:
            process.end()


class Drawing:
    """Writes figures with their numbers: ``figures/NAME.png``, ``NAME.pdf`` and ``NAME.json``.

    Formats and label are those of the recipe; `done` is called after each figure; `where` is the
    folder, and `units` has titles and units of columns.
    """

    def __init__(
        self,
        folder: RunFolder,
        process: DrawingProcess | None = None,
        done: Callable[[], object] = lambda: None,
        where: str = "figures",
        units: Units | None = None,
    ) -> None:
        self._folder, self._process, self._done, self._where = folder, process, done, where
        self._units = units or {}
        self._waiting: dict[str, tuple[Draw, Any, Future[Files | None]]] = {}
        options = folder.recipe.evaluate
        self._label = options.label
        self._formats = tuple(dict.fromkeys(("png", *options.formats)))
        self._drawings: dict[str, Any] = {}

    @property
    def ahead(self) -> bool:
        """Whether figures are drawn while this process goes on."""
        return self._process is not None

    def __contains__(self, name: str) -> bool:
        return name in self._waiting

    def add(self, name: str, draw: Draw, numbers: Any) -> None:
        """Write a figure and its numbers: now, or at the end if the second process draws it."""
        from steepest.evaluate import figures

        if isinstance(draw, partial):  # so that it can be drawn again, see `Run.plot`
            given = len(numbers) if isinstance(numbers, dict) else 1
            options = figures.as_numbers(draw.args[given:])
            self._drawings[name] = {"function": draw.func.__name__, "options": options}
            if self._units:
                self._drawings[name]["units"] = self._units
                draw = partial(figures.with_units, draw, self._units)
        if self._label:
            draw = partial(figures.labelled, draw, self._label)
        if self._process is None:
            self._folder.write_all(self._files(name, draw, numbers, None), f"the figure {name}")
        else:
            self._waiting[name] = draw, numbers, self._process.submit(draw, self._formats)

    def finish(self) -> None:
        """Write all figures. If many are left, draw those that no other process has begun."""
        left = sum(not future.done() for _, _, future in self._waiting.values())
        helps = left > FEW or "matplotlib" in sys.modules
        written: Writers = {}
        for name, (draw, numbers, future) in reversed(self._waiting.items()):
            files = None
            if not (helps and future.cancel()):
                with suppress(TimeoutError):
                    files = future.result(_TIMEOUT)
            written |= self._files(name, draw, numbers, files)
        self._waiting.clear()
        written["figures.json"] = partial(_write_bytes, json_text(self._drawings).encode())
        self._folder.write_all(written, "the figures")

    def _files(self, name: str, draw: Draw, numbers: Any, files: Files | None) -> Writers:
        """What writes each file of a figure, by its name; it is drawn here where it is not yet."""
        from steepest.evaluate import figures

        if files is None:
            files = figures.rendered_in(draw(), self._formats)
        contents = {"json": json_text(figures.as_numbers(numbers)).encode(), **files}
        self._done()
        return {
            f"{self._where}/{name}.{kind}": partial(_write_bytes, content)
            for kind, content in contents.items()
        }


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
