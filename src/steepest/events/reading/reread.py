"""Features that are read from the events' files again, each time that they are needed.

What to use when: columns of numbers of formats that decode as fast as a copy is written and read
back. Then no copy of all events is made: the parts of a sample are written at once. That the values
are numbers has been checked when the files were read for the first time; that the files are still
the same is checked whenever they have been read to the end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from steepest.errors import EventsError
from steepest.events.expressions.expression import frame
from steepest.events.reading.matrix import matrix
from steepest.events.reading.prefetch import prefetch
from steepest.events.source import EventSource
from steepest.events.words import listed
from steepest.storage import RowsOnDisk

__all__ = ["FromFiles"]


class FromFiles(RowsOnDisk):
    """Columns of all events of a source, as a matrix that is not kept.

    Parameters
    ----------
    source, columns
        The events, and the columns: of numbers, without nulls.
    stored
        The type that holds them exactly, float32 or float64; given back is float64.
    folder
        Where what is made of it is kept.
    """

    def __init__(
        self, source: EventSource, columns: Sequence[str], stored: Any, folder: str | Path
    ) -> None:
        super().__init__(folder, np.float64, (len(columns),), stored)
        self._source, self._columns = source, list(columns)
        self._fingerprint = source.fingerprint()
        self._rows = source.rows
        self._stream: Generator[np.ndarray, None, None] | None = None
        self._piece, self._first = np.empty((0, *self.width), self.stored), 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return the rows from `start` to `stop`; one after the other is fastest.

        Raises
        ------
        EventsError
            A file is damaged, or is not what it was.
        """
        if self._stream is None or start < self._first:
            self._open(start)
        result = np.empty((stop - start, *self.width), self.stored)
        place = start
        while place < stop:
            end = self._first + len(self._piece)
            if place >= end:
                self._next()
                continue
            rows = self._piece[place - self._first : stop - self._first]
            result[place - start : place - start + len(rows)] = rows
            place += len(rows)
        if self._first + len(self._piece) == len(self):
            self.close()
        return result

    def close(self) -> None:
        """Close the files; they are opened again when rows are read."""
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._piece = self._piece[:0]

    def _open(self, start: int) -> None:
        self.close()
        self._stream, self._first = self._pieces(start), start

    def _next(self) -> None:
        assert self._stream is not None
        self._first += len(self._piece)
        self._piece = self._piece[:0]
        try:
            piece = next(self._stream, None)
        except EventsError:
            if self._is_changed():
                raise self._changed() from None
            raise
        if piece is None or self._first + len(piece) > len(self):
            raise self._changed()
        self._piece = piece
        if self._first + len(piece) == len(self) and self._is_changed():
            raise self._changed()

    def _pieces(self, start: int) -> Generator[np.ndarray, None, None]:
        blocks = self._source.batches_from(self._columns, start)
        with closing(prefetch(blocks)) as decoded, closing(prefetch(self._made(decoded))) as made:
            yield from made

    def _made(self, blocks: Iterator[Any]) -> Generator[np.ndarray, None, None]:
        for block in blocks:
            table = frame(block.batch)
            yield matrix([table[name].to_numpy() for name in self._columns], self.stored)

    def _is_changed(self) -> bool:
        try:
            return self._source.fingerprint() != self._fingerprint
        except OSError:
            return True

    def _changed(self) -> EventsError:
        return EventsError(
            f"The events of {listed(self._source.files, 3)} have changed while they were in use.",
            expected=f"the same {len(self):,} events each time that they are read",
            found="other content, or another number of events",
            cause="a job that still writes them",
            do="wait until it is done, or copy the files",
        )
