"""A process that draws figures read from standard input and writes PNGs to standard output.

It imports only this package, not the training code. `steepest.training.background` starts it.
"""

from __future__ import annotations

import os
import pickle
import sys

from steepest.evaluate.figures.style import rendered

__all__ = ["SIZE_BYTES", "draw_from_stdin"]

SIZE_BYTES = 8
"""Bytes of the little-endian size that precedes each PNG."""


def draw_from_stdin() -> None:
    """Draw each pickled function that returns a figure, until standard input ends."""
    # import before the first figure arrives
    import matplotlib.backends.backend_agg  # noqa: F401
    import mplhep  # noqa: F401

    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps printed text out of the results
    while True:
        try:
            draw = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        png = rendered(draw())
        answers.write(len(png).to_bytes(SIZE_BYTES, "little") + png)
        answers.flush()
