"""Pieces of a walk that a helping thread makes ready before their turn, where a core is free.

A step on a single event takes less time than its row takes to come from memory, where rows are
shuffled. So while one piece's steps are taken, a helper draws the order of the next ones and lays
their events side by side. A piece that is not ready when its turn comes, or nearly so, is taken as
it is, and the helper goes on with one that is still to come. What the steps see is the same.

A helper that gets no core of its own makes little ready; then none is called for some seconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from steepest.objective.cores import Helper, move_away_from, this_core, usable_cores

__all__ = ["SLOTS", "Ahead"]

Piece = TypeVar("Piece")
SLOTS = 3
"""Pieces that are there at once: one whose steps are taken, one ready, one being made."""
SECONDS_BETWEEN = 5.0
"""After so long a helper is called again, where one was of little use."""
FIRST, SHARE = 5, 0.25
"""After so many pieces, for which it starts, a helper must make that share of them to be of use."""


class Ahead(Generic[Piece]):
    """Pieces, in their order.

    Parameters
    ----------
    make
        ``make(number, slot)`` makes a piece ready, as a helper does it; `slot`, below `SLOTS`, is
        then not in use by another piece.
    plain
        ``plain(number)`` gives a piece that is not ready.

    Examples
    --------
    >>> list(Ahead(make=lambda number, slot: number, plain=lambda number: number).pieces(3))
    [0, 1, 2]
    """

    def __init__(self, make: Callable[[int, int], Piece], plain: Callable[[int], Piece]) -> None:
        self.make, self.plain = make, plain
        self._several = usable_cores() > 1
        self._next_look = 0.0

    @property
    def pays(self) -> bool:
        """Whether a helper is to be called now."""
        return self._several and time.monotonic() >= self._next_look

    def pieces(self, count: int) -> Iterator[Piece]:
        """Yield so many pieces; each serves until the next one is asked for."""
        call, made, number = _Call(self.make, count), 0, -1
        helper = Helper.call(call.run)
        try:
            for number in range(count):
                piece = call.take(number)
                made += piece is not None and number >= FIRST
                yield self.plain(number) if piece is None else piece
                del piece
        finally:
            call.end()
            helper.join()
        if made < SHARE * (number + 1 - FIRST):
            self._next_look = time.monotonic() + SECONDS_BETWEEN


class _Call(Generic[Piece]):
    """One call of a helper: what it has made, and where the steps are."""

    def __init__(self, make: Callable[[int, int], Piece], count: int) -> None:
        self._make, self._count = make, count
        self._core = this_core()
        self._ready: dict[int, Piece] = {}
        self._at, self._making = 0, 0
        self._began = self._took = 0.0
        self._changed = threading.Condition()

    def take(self, number: int) -> Piece | None:
        """The piece, if it is ready or will be soon; those before it are in use no more."""
        with self._changed:
            self._at = number
            self._changed.notify_all()
            left = self._took - (time.monotonic() - self._began)
            if self._making == number and 0.0 < left < self._took / 2:
                self._changed.wait_for(lambda: number in self._ready, left)
            return self._ready.pop(number, None)

    def end(self) -> None:
        """No more pieces are needed."""
        with self._changed:
            self._at = self._count
            self._changed.notify_all()

    def run(self) -> None:
        """Make pieces, as long as there are any to come; what fails is left to the steps."""
        try:
            move_away_from(self._core, 1)
            while (number := self._next()) < self._count:
                piece = self._make(number, number % SLOTS)
                self._made(number, piece)
                del piece
        except Exception:
            self._made(self._making, None)

    def _next(self) -> int:
        """The next piece to make, as soon as there is a slot for it."""
        with self._changed:
            number = self._making = self._making + 1
            self._changed.wait_for(lambda: number < self._at + SLOTS)
            number = self._making = max(number, self._at + 1)
            self._began = time.monotonic()
        return number

    def _made(self, number: int, piece: Piece | None) -> None:
        with self._changed:
            self._took = time.monotonic() - self._began
            for passed in [other for other in self._ready if other < self._at]:
                del self._ready[passed]
            if piece is not None and number >= self._at:
                self._ready[number] = piece
            self._changed.notify_all()
