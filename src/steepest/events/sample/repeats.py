"""Whether two files hold the same events: copies, also in another order or format.

Each file's rows are summed up to one number that does not depend on their order. Two files of as
many rows and the same sum hold the same rows, but for a chance of the order of 2⁻⁶⁴.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steepest.errors import EventsError
from steepest.events.words import counted, listed

__all__ = ["Repeats"]

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio, odd
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))  # SplitMix64's


class Repeats:
    """Counts and sums of each file's rows.

    Examples
    --------
    >>> repeats = Repeats()
    >>> repeats.add(0, np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> repeats.add(1, np.array([[3.0, 4.0], [1.0, 2.0]]))
    >>> repeats.pair()
    (0, 1)
    """

    def __init__(self) -> None:
        self._files: dict[int, tuple[int, int]] = {}

    def add(self, file: int, values: np.ndarray) -> None:
        """Add rows of a file.

        Parameters
        ----------
        file
            Its number.
        values
            ``(rows, columns)`` float64: all that is read of each event.
        """
        count, sum_ = self._files.get(file, (0, 0))
        own = int(np.sum(_hashes(values), dtype=np.uint64))
        self._files[file] = count + len(values), (sum_ + own) % 2**64

    def pair(self) -> tuple[int, int] | None:
        """Return the first two files with the same rows, or None."""
        seen: dict[tuple[int, int], int] = {}
        for file, told in self._files.items():
            if told in seen:
                return seen[told], file
            seen[told] = file
        return None

    def refuse(self, files: Sequence[str], columns: Sequence[str]) -> None:
        """Raise EventsError if two files hold the same events.

        Parameters
        ----------
        files
            Their names, by number.
        columns
            What was read of them.
        """
        pair = self.pair()
        if pair is None:
            return
        first, second = pair
        raise EventsError(
            f"{files[first]} and {files[second]} hold the same events, which would count twice.",
            expected="files of different events",
            found=f"{counted(self._files[first][0], 'selected event')} in each, with the same "
            f"values of {listed(list(columns), 5)}",
            cause="a copy under another name, or the same events in two formats",
            do="leave one of the two out of events.path",
        )


def _hashes(values: np.ndarray) -> np.ndarray:
    """Return one uint64 a row that any change of any value changes."""
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    total = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        total = (total + column) * _STEP
        for mix in _MIX:
            total = (total ^ (total >> np.uint64(29))) * mix
    return total ^ (total >> np.uint64(32))
