"""Training without its pictures: the numbers of each figure, and a pixel in place of the figure.

Matplotlib would take nine tenths of a small training run. Run as a script, this file is the
command ``steepest`` without pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from steepest.evaluate.figures import process as drawing_processes
from steepest.evaluate.figures.process import Files
from steepest.folder import RunFolder
from steepest.training.background import Drawing

COMMAND = Path(__file__)
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


class PixelProcess:
    """Stands in for the second process that draws."""

    def submit(self, draw: object, formats: Sequence[str] = ("png",)) -> Future[Files | None]:
        done: Future[Files | None] = Future()
        done.set_result(dict.fromkeys(formats, PIXEL))
        return done


@contextmanager
def pixel_process() -> Iterator[PixelProcess]:
    yield PixelProcess()


class PixelDrawing(Drawing):
    """Also where events on disk are drawn by the process that trains."""

    def __init__(
        self, folder: RunFolder, process: object, done: Callable[[], object], **options: Any
    ) -> None:
        super().__init__(folder, PixelProcess(), done, **options)  # type: ignore[arg-type]


def draw(patch: pytest.MonkeyPatch, process: object, drawing: type[Drawing]) -> None:
    """Set what training draws with."""
    patch.setattr(import_module("steepest.training.train"), "drawing_process", process)
    patch.setattr(import_module("steepest.training.finish"), "Drawing", drawing)


@contextmanager
def undrawn_figures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        draw(patch, pixel_process, PixelDrawing)
        patch.setattr(drawing_processes, "start_ahead", lambda: None)
        yield


if __name__ == "__main__":
    from steepest.cli import main

    with undrawn_figures():
        main()
