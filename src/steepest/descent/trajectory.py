"""The path of θ: its values at the steps that a plan chose."""

from __future__ import annotations

import numpy as np

from steepest.descent.state import Path

__all__ = ["Trajectory"]

Array = np.ndarray


class Trajectory:
    """θ at some steps, in one array, which compiled code may fill.

    Parameters
    ----------
    steps
        The steps, ascending.
    size, dtype
        Of θ.
    done
        Steps that were done before: only later ones are kept.

    Examples
    --------
    >>> trajectory = Trajectory(np.array([0, 2, 4]), size=1, dtype="float32", done=0)
    >>> trajectory.followed(0, 3).tolist()
    [False, True, False]
    >>> trajectory.room(1)[...] = 7.0
    >>> trajectory.add(trajectory.room(1))
    >>> trajectory.add(np.array([[9.0]]))
    >>> path = trajectory.take()
    >>> path.steps.tolist(), path.thetas.ravel().tolist()
    ([2, 4], [7.0, 9.0])
    """

    def __init__(self, steps: Array, size: int, dtype: str, done: int) -> None:
        self._planned = steps
        self._steps = steps[np.searchsorted(steps, done, side="right") :]
        self._thetas = np.empty((len(self._steps), size), dtype=dtype)
        self._taken = self._end = 0
        self._last: Path | None = None

    def followed(self, step: int, count: int) -> Array:
        """Whether θ is kept after each of the `count` steps after `step`, ``(count,)``."""
        mask, next_ones = np.zeros(count, dtype=bool), self._steps[self._end : self._end + count]
        mask[next_ones[: next_ones.searchsorted(step + count + 1)] - (step + 1)] = True
        return mask

    def room(self, points: int) -> Array:
        """Where θ at the next steps belongs, ``(points, size)``."""
        return self._thetas[self._end : self._end + points]

    def add(self, thetas: Array) -> None:
        """Add θ at the next steps, ``(points, size)``, which may lie there already."""
        room = self.room(len(thetas))
        if not np.may_share_memory(room, thetas):
            room[...] = thetas
        self._end += len(thetas)

    def end(self, step: int, theta: Array) -> None:
        """End the path at θ, where a criterion stopped the descent between two of the steps."""
        if step not in self._planned:
            self._last = Path(np.array([step]), theta[None])

    def take(self) -> Path | None:
        """What came since the last call; None if nothing."""
        new, last = slice(self._taken, self._end), self._last
        self._taken, self._last = self._end, None
        path = Path(self._steps[new], self._thetas[new]) if new.start < new.stop else None
        return path if last is None else last if path is None else Path.joined([path, last])
