"""What is recorded on the way: some or all steps, every validation, and the path of θ.

Columns: ``step`` (steps done), ``epoch``, ``loss`` (of the batch, before the step),
``learning_rate``, ``gradient_norm`` ‖g‖, ``update_ratio`` ‖Δθ‖/‖θ‖; at validations also
``training_loss`` (mean of the batch losses since the last), ``validation_loss`` with further
``validation_…`` metrics, ``seconds``, ``events_per_second`` in the steps since the last, and
``peak_memory`` in bytes on a GPU of CUDA. With auxiliary heads, ``training_loss_label`` and
``training_loss_HEAD``, and the same of the validation, are the parts of the sum, each without its
weight. What a row does not have is null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.descent.state import Path

Array = np.ndarray

STEP_COLUMNS = ("loss", "learning_rate", "gradient_norm", "update_ratio")
MOST_STEPS = 20_000
"""Steps that are recorded in a run at most, unless the recipe says otherwise."""


def recorded_steps(steps: int, most: int = MOST_STEPS) -> Array:
    """Choose `most` of the steps 1 … `steps`, evenly in log-time: all of the first c, then fewer.

    The k-th recorded step is k for k ≤ c, and c exp((k − c)/c) above, rounded up; c solves
    c (1 + ln(steps/c)) = `most`. Neither the first step nor the last is left out.

    Examples
    --------
    >>> recorded_steps(5).tolist()
    [1, 2, 3, 4, 5]
    >>> recorded_steps(1_000_000, most=12).tolist()
    [1, 2, 4, 13, 45, 155, 542, 1898, 6646, 23276, 81521, 285518, 1000000]
    """
    if steps <= most:
        return np.arange(1, steps + 1)
    low, high = 0.0, float(most)
    for _ in range(60):
        middle = (low + high) / 2
        if middle * (1 + math.log(steps / middle)) < most:
            low = middle
        else:
            high = middle
    first = int(high)
    sparse = high * np.exp((np.arange(first + 1, most + 1) - high) / high)
    sparse = np.minimum(np.ceil(sparse), steps).astype(np.int64)
    return np.unique(np.concatenate([np.arange(1, first + 1), sparse, [1, steps]]))


class History:
    """Rows since the last checkpoint.

    Parameters
    ----------
    metrics
        What a validation gives besides the training loss.
    per_epoch, first_step, first_epoch
        Steps an epoch, and the numbers of the first ones, as in `Batches`.

    Examples
    --------
    >>> history = History(metrics=("validation_loss",), per_epoch=2)
    >>> history.add_steps(np.array([1, 2]), np.ones((2, 4)))
    >>> history.add_round({"training_loss": 0.5, "validation_loss": 0.6, "seconds": 1.0})
    >>> history.take().select(["step", "epoch", "validation_loss"]).to_pylist()[1]
    {'step': 2, 'epoch': 1.0, 'validation_loss': 0.6}
    >>> len(history.take())
    0
    """

    def __init__(
        self, metrics: tuple[str, ...], per_epoch: int, first_step: int = 0, first_epoch: int = 0
    ) -> None:
        self.round_columns = ("training_loss", *metrics, "seconds", "events_per_second")
        self.per_epoch = per_epoch
        self.first_step = first_step
        self.first_epoch = first_epoch
        self._sealed: list[pa.Table] = []
        self._clear()

    def add_steps(self, steps: Array, values: Array) -> None:
        """Add recorded steps: ``(rows,)`` numbers and ``(rows, 4)`` of `STEP_COLUMNS`."""
        self._steps.append(steps)
        self._values.append(values)
        self._rows += len(steps)

    def add_round(self, values: Mapping[str, float]) -> None:
        """Put a validation's values beside the last recorded step."""
        self._rounds.append((self._rows - 1, dict(values)))

    def seal(self) -> pa.Table:
        """Return the rows since the last call of `seal` or `take`; `take` returns them again."""
        steps = np.concatenate([*self._steps, np.empty(0, dtype=np.int64)]).astype(np.int64)
        values = np.concatenate([*self._values, np.empty((0, len(STEP_COLUMNS)))])
        columns: dict[str, Any] = {
            "step": steps,
            "epoch": self.first_epoch + (steps - self.first_step) / self.per_epoch,
        }
        columns |= {name: values[:, i] for i, name in enumerate(STEP_COLUMNS)}
        columns |= {name: self._sparse(name) for name in self.round_columns}
        self._clear()
        table = pl.DataFrame(columns).to_arrow()  # Arrow's own conversion would import pandas
        self._sealed.append(table)
        return table

    def take(self) -> pa.Table:
        """Return the rows since the last call, and forget them."""
        if self._rows or not self._sealed:
            self.seal()
        tables, self._sealed = self._sealed, []
        return tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()

    def _sparse(self, name: str) -> pl.Series:
        values: list[float | None] = [None] * self._rows
        for row, entries in self._rounds:
            if entries.get(name) is not None:
                values[row] = entries[name]
        return pl.Series(name, values, dtype=pl.Float64)

    def _clear(self) -> None:
        self._steps: list[Array] = []
        self._values: list[Array] = []
        self._rounds: list[tuple[int, dict[str, float]]] = []
        self._rows = 0


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
    >>> trajectory.on_path(0, 3).tolist()
    [False, True, False]
    >>> trajectory.buffer(1)[...] = 7.0
    >>> trajectory.add(trajectory.buffer(1))
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

    def on_path(self, step: int, count: int) -> Array:
        """Whether θ is kept after each of the `count` steps after `step`, ``(count,)``."""
        mask, next_ones = np.zeros(count, dtype=bool), self._steps[self._end : self._end + count]
        mask[next_ones[: next_ones.searchsorted(step + count + 1)] - (step + 1)] = True
        return mask

    def buffer(self, points: int) -> Array:
        """Where θ at the next steps belongs, ``(points, size)``."""
        return self._thetas[self._end : self._end + points]

    def add(self, thetas: Array) -> None:
        """Add θ at the next steps, ``(points, size)``, which may lie there already."""
        buffer = self.buffer(len(thetas))
        if not np.may_share_memory(buffer, thetas):
            buffer[...] = thetas
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
