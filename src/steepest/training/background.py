"""The figures of a run, drawn by this process and a second one.

Matplotlib draws one figure at a time per process. Of the 5.1 s of CPU time that `steepest train`
of the default recipe takes, 0.6 s are its import and 2 s the figures. With a free core, a second
process imports it while this one reads events and descends, and then draws part of the figures:
this process needs 1.3 s less, a quarter of the call.

The second process runs this package and nothing of the caller's. Functions and their numbers go
to it through a pipe, pickled, and PNGs come back; on disk nothing is pickled. If it fails, this
process draws.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from steepest.compiled.threads import usable_cores
from steepest.evaluate.figures.style import SIZE_BYTES
from steepest.folder import RunFolder

__all__ = ["Drawing", "DrawingProcess", "drawing_process"]

Draw = Callable[[], Any]
_CODE = "from steepest.evaluate.figures.style import draw_from_stdin; draw_from_stdin()"
_NICENESS = "import os; getattr(os, 'nice', int)(10); "
"""The descent comes first where there are not enough cores (POSIX)."""
_TIMEOUT = 10.0
"""Seconds to wait for a figure of the second process when this one has nothing left to draw."""


class DrawingProcess:
    """A second process that draws one figure after the other.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _NICENESS + _CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._thread = ThreadPoolExecutor(max_workers=1)

    def submit(self, draw: Draw) -> Future[bytes | None]:
        """Draw a figure in its turn; the result is its PNG, or None if that failed."""
        return self._thread.submit(self._ask, draw)

    def _ask(self, draw: Draw) -> bytes | None:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None  # both are pipes
        assert back is not None
        try:
            to.write(pickle.dumps(draw))
            to.flush()
            size = int.from_bytes(back.read(SIZE_BYTES), "little")
            png = back.read(size)
        except Exception:  # it has ended, or the function cannot be pickled
            return None
        return png if len(png) == size > 0 else None

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        self._thread.shutdown(cancel_futures=True)
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):  # the rest of what was written has no reader
                pipe.close()  # pyright: ignore[reportOptionalMemberAccess]


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
    """Writes figures with their numbers: ``figures/NAME.png`` and ``NAME.json``.

    `done` is called after each figure.
    """

    def __init__(
        self,
        folder: RunFolder,
        process: DrawingProcess | None = None,
        done: Callable[[], object] = lambda: None,
    ) -> None:
        self._folder, self._process, self._done = folder, process, done
        self._waiting: list[tuple[str, Draw, Future[bytes | None]]] = []
        self._drawings: dict[str, Any] = {}

    def add(self, name: str, draw: Draw, numbers: Any) -> None:
        """Write the numbers; draw the figure now, or leave it to the second process."""
        from steepest.evaluate import figures

        self._folder.write_json(f"figures/{name}.json", figures.as_numbers(numbers))
        if isinstance(draw, partial):  # so that it can be drawn again, see `Run.plot`
            given = len(numbers) if isinstance(numbers, dict) else 1
            options = figures.as_numbers(draw.args[given:])
            self._drawings[name] = {"function": draw.func.__name__, "options": options}
        if self._process is None:
            self._write(name, draw, None)
        else:
            self._waiting.append((name, draw, self._process.submit(draw)))

    def finish(self) -> None:
        """Draw what the second process has not begun, from the last one; write all figures."""
        for name, draw, future in reversed(self._waiting):
            png = None
            if not future.cancel():
                with suppress(TimeoutError):
                    png = future.result(_TIMEOUT)
            self._write(name, draw, png)
        self._waiting.clear()
        self._folder.write_json("figures.json", self._drawings)

    def _write(self, name: str, draw: Draw, png: bytes | None) -> None:
        from steepest.evaluate import figures

        content = png or figures.rendered(draw())
        self._folder.write_figure(f"figures/{name}.png", lambda path: path.write_bytes(content))
        self._done()
