"""The figures of a run are drawn one after the other, or by two processes at once.

What draws takes half a second to import, and two to draw the figures of a run. Where another core
is free and nothing of it is imported here, a second process imports it while this one reads events
and descends, and then draws figures from the front of the queue, and this one from its end. What
goes from one process to the other through pipes is a function with its numbers, pickled, and the
figure as PNG; on disk nothing is pickled.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from subprocess import Popen
from typing import Any

from steepest.folder import RunFolder
from steepest.training.second import a_core_is_free, begin, end

__all__ = ["Drawing", "SecondDrawer", "draw_as_asked", "import_ahead", "second_drawer"]

Draw = Callable[[], Any]
_SIZE = 8  # bytes that say how long an answer is
_PATIENCE = 5.0
"""Seconds after which this process draws what the second one is at, where it has little to run."""


class Drawing:
    """Figures with their numbers beside them: ``figures/NAME.png`` and ``NAME.json``.

    `done` is called after each figure.
    """

    def __init__(
        self,
        folder: RunFolder,
        second: SecondDrawer | None = None,
        done: Callable[[], object] = lambda: None,
    ) -> None:
        self._folder, self._second, self._done = folder, second, done

    def add(self, name: str, draw: Draw, numbers: Any) -> None:
        """Write the numbers, and draw the figure, at once or in its turn."""
        from steepest.evaluate import figures

        self._folder.write_json(f"figures/{name}.json", figures.as_numbers(numbers))
        if self._second is None:
            self._write(name, figures.rendered(draw()))
        else:
            self._second.put(name, draw)

    def finish(self) -> None:
        """Draw and write what is not drawn yet."""
        from steepest.evaluate import figures

        if self._second is None:
            return
        while (left := self._second.take()) is not None:
            name, draw = left
            self._write(name, figures.rendered(draw()))
        for name, png in self._second.drawn:
            self._write(name, png)

    def _write(self, name: str, png: bytes) -> None:
        self._folder.write_figure(f"figures/{name}.png", lambda path: path.write_bytes(png))
        self._done()


class SecondDrawer:
    """The second process, and what waits to be drawn."""

    def __init__(self, process: Popen[bytes]) -> None:
        self._process = process
        self._waiting: deque[tuple[str, Draw]] = deque()
        self._at_work: tuple[str, Draw] | None = None
        self._thread: threading.Thread | None = None
        self.drawn: list[tuple[str, bytes]] = []

    def put(self, name: str, draw: Draw) -> None:
        """Have a figure drawn."""
        self._waiting.append((name, draw))
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def take(self) -> tuple[str, Draw] | None:
        """Take back what was put last and is not drawn; None when all are, which is waited for."""
        for patience in (0.0, _PATIENCE):
            if patience and self._thread is not None:
                self._thread.join(patience)
            with suppress(IndexError):
                return self._waiting.pop()
        late, self._at_work, self._thread = self._at_work, None, None
        return late

    def _run(self) -> None:
        """Have figures drawn until none waits, or until one is not: it is put back."""
        while True:
            try:
                figure = self._at_work = self._waiting.popleft()
            except IndexError:
                return
            png = self._answer(figure[1])
            if self._at_work is not figure:  # it took too long
                return
            self._at_work = None
            if png is None:
                self._waiting.append(figure)
                return
            self.drawn.append((figure[0], png))

    def _answer(self, draw: Draw) -> bytes | None:
        given, answers = self._process.stdin, self._process.stdout
        assert given is not None
        assert answers is not None  # both are pipes
        try:
            given.write(pickle.dumps(draw))
            given.flush()
            size = int.from_bytes(answers.read(_SIZE), "little")
            png = answers.read(size)
        except Exception:  # it has ended, or what draws cannot be pickled
            return None
        return png if len(png) == size > 0 else None


@contextmanager
def second_drawer() -> Iterator[SecondDrawer | None]:
    """A second process that draws; None where one would be no help."""
    helps = a_core_is_free() and not _can_draw()
    process = begin(draw_as_asked, answers=True) if helps else None
    if process is None:
        yield None
        return
    try:
        yield SecondDrawer(process)
    finally:
        end(process)


def _can_draw() -> bool:
    """Whether what draws is imported here."""
    return "matplotlib" in sys.modules


def draw_as_asked() -> None:
    """Draw what comes on standard input, on to standard output."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # for whoever prints
    import_ahead(("mplhep", "matplotlib.backends.backend_agg"))
    from steepest.evaluate import figures

    while True:
        try:
            draw = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        png = figures.rendered(draw())
        answers.write(len(png).to_bytes(_SIZE, "little") + png)
        answers.flush()


def import_ahead(
    names: tuple[str, ...] = ("mplhep", "matplotlib.backends.backend_agg", "scipy.stats"),
) -> None:
    """Import the packages that draw; what hinders it is raised where they are used."""
    with suppress(Exception):
        for name in names:
            import_module(name)
