"""The figures of a run, drawn by this process and a second one.

Matplotlib draws one figure at a time per process. Of the CPU time that `steepest train` of the
default recipe takes, its import and the figures are half. With a free core, a second process
imports it while this one reads events, draws the features while this one descends, and then the
other figures; where they are many, this process helps.

The second process runs this package and nothing of the caller's. Functions and their numbers go
to it through a pipe, pickled, and files come back; on disk nothing is pickled. If it fails, this
process draws.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from steepest.compiled.threads import usable_cores
from steepest.evaluate.figures.style import SIZE_BYTES
from steepest.events.units import Units
from steepest.folder import RunFolder

Draw = Callable[[], Any]
Files = dict[str, bytes]
"""The content of a figure's file in each format."""
_CODE = "from steepest.evaluate.figures.style import draw_from_stdin; draw_from_stdin()"
_NICENESS = "import os; getattr(os, 'nice', int)(10); "
"""The descent comes first where there are not enough cores (POSIX)."""
FEW = 3
"""Figures that the second process draws before this one has imported Matplotlib and drawn one."""
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

    def submit(self, draw: Draw, formats: Sequence[str] = ("png",)) -> Future[Files | None]:
        """Draw a figure in its turn; the result is a file for each format, or None if it failed."""
        return self._thread.submit(self._ask, draw, formats)

    def _ask(self, draw: Draw, formats: Sequence[str]) -> Files | None:
        to, back = self._process.stdin, self._process.stdout
        assert to is not None  # both are pipes
        assert back is not None
        try:
            to.write(pickle.dumps((draw, formats)))
            to.flush()
            files = {}
            for kind in formats:
                size = int.from_bytes(back.read(SIZE_BYTES), "little")
                files[kind] = back.read(size)
                if not len(files[kind]) == size > 0:
                    return None
        except Exception:  # it has ended, or the function cannot be pickled
            return None
        return files

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
            self._write(name, draw, numbers, None)
        else:
            self._waiting[name] = draw, numbers, self._process.submit(draw, self._formats)

    def finish(self) -> None:
        """Write all figures. If many are left, draw those that the second process has not begun."""
        left = sum(not future.done() for _, _, future in self._waiting.values())
        helps = left > FEW or "matplotlib" in sys.modules
        for name, (draw, numbers, future) in reversed(self._waiting.items()):
            files = None
            if not (helps and future.cancel()):
                with suppress(TimeoutError):
                    files = future.result(_TIMEOUT)
            self._write(name, draw, numbers, files)
        self._waiting.clear()
        self._folder.write_json("figures.json", self._drawings)

    def _write(self, name: str, draw: Draw, numbers: Any, files: Files | None) -> None:
        from steepest.evaluate import figures

        self._folder.write_json(f"{self._where}/{name}.json", figures.as_numbers(numbers))
        if files is None:
            files = figures.rendered_in(draw(), self._formats)
        for kind, content in files.items():
            write = partial(_write_bytes, content)
            self._folder.write_figure(f"{self._where}/{name}.{kind}", write)
        self._done()


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
