"""The figures of a run, drawn beside the training by a second process.

Of the CPU time that `steepest train` of the default recipe takes, Matplotlib's import and the
figures are half. With a free core, a second process draws the features during the descent, and
then the others. Where these are many, this process helps; if the second one fails, this one draws.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from steepest.evaluate.figures.process import Draw, DrawingProcess, Files
from steepest.events.units import Units
from steepest.folder import RunFolder
from steepest.folder.files import json_text

Writers = dict[str, Callable[[Path], object]]
FEW = 5
"""Figures that are drawn elsewhere before this process has imported Matplotlib and drawn one."""
_TIMEOUT = 10.0
"""Seconds to wait for a figure of the second process when this one has nothing left to draw."""


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
