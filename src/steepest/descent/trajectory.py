"""θ on the way: at the steps at which a plan follows it."""

from __future__ import annotations

import numpy as np

from steepest.descent.state import Path

__all__ = ["Trajectory"]

Array = np.ndarray


class Trajectory:
    """θ at some steps, in one array: who takes the steps may write it there.

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
        self._steps = steps[np.searchsorted(steps, done, side="right") :]
        self._thetas = np.empty((len(self._steps), size), dtype=dtype)
        self._taken = self._end = 0

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

    def take(self) -> Path | None:
        """What came since the last call; None if nothing."""
        new = slice(self._taken, self._end)
        self._taken = self._end
        return Path(self._steps[new], self._thetas[new]) if new.start < new.stop else None
