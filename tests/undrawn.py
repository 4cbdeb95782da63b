"""Training without its pictures: the numbers of each figure, and a pixel in place of the figure.

Matplotlib would take nine tenths of a small training run. Run as a script, this file is the
command ``steepest`` without pictures.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

COMMAND = Path(__file__)
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


class PixelProcess:
    """Stands in for the second process that draws."""

    def submit(self, draw: object) -> Future[bytes | None]:
        done: Future[bytes | None] = Future()
        done.set_result(PIXEL)
        return done


@contextmanager
def pixel_process() -> Iterator[PixelProcess]:
    yield PixelProcess()


@contextmanager
def undrawn_figures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("steepest.training.train"), "drawing_process", pixel_process)
        yield


if __name__ == "__main__":
    from steepest.cli import main

    with undrawn_figures():
        main()
