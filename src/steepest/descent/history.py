"""What is recorded on the way: some or all steps, and every validation.

Columns: ``step`` (steps done), ``epoch``, ``loss`` (of the batch, before the step),
``learning_rate``, ``gradient_norm`` ‖g‖, ``update_ratio`` ‖Δθ‖/‖θ‖; at validations also
``training_loss`` (mean of the batch losses since the last), ``validation_loss`` with further
``validation_…`` metrics, and ``seconds``. What a row does not have is null.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

__all__ = ["STEP_COLUMNS", "History"]

STEP_COLUMNS = ("loss", "learning_rate", "gradient_norm", "update_ratio")


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
    """

    def __init__(
        self, metrics: tuple[str, ...], per_epoch: int, first_step: int = 0, first_epoch: int = 0
    ) -> None:
        self.round_columns = ("training_loss", *metrics, "seconds")
        self.per_epoch = per_epoch
        self.first_step = first_step
        self.first_epoch = first_epoch
        self._clear()

    def add_steps(self, steps: np.ndarray, values: np.ndarray) -> None:
        """Add recorded steps: ``(rows,)`` numbers and ``(rows, 4)`` of `STEP_COLUMNS`."""
        self._steps.append(steps)
        self._values.append(values)
        self._rows += len(steps)

    def add_round(self, values: Mapping[str, float]) -> None:
        """Put a validation's values beside the last recorded step."""
        self._rounds.append((self._rows - 1, dict(values)))

    def take(self) -> pa.Table:
        """Return the rows since the last call, and forget them."""
        steps = np.concatenate([*self._steps, np.empty(0, dtype=np.int64)]).astype(np.int64)
        values = np.concatenate([*self._values, np.empty((0, len(STEP_COLUMNS)))])
        columns: dict[str, pa.Array] = {
            "step": pa.array(steps),
            "epoch": pa.array(self.first_epoch + (steps - self.first_step) / self.per_epoch),
        }
        columns |= {name: pa.array(values[:, i]) for i, name in enumerate(STEP_COLUMNS)}
        columns |= {name: self._sparse(name) for name in self.round_columns}
        self._clear()
        return pa.table(columns)

    def _sparse(self, name: str) -> pa.Array:
        values, missing = np.zeros(self._rows), np.ones(self._rows, dtype=bool)
        for row, entries in self._rounds:
            if entries.get(name) is not None:
                values[row], missing[row] = entries[name], False
        return pa.array(values, mask=missing)

    def _clear(self) -> None:
        self._steps: list[np.ndarray] = []
        self._values: list[np.ndarray] = []
        self._rounds: list[tuple[int, dict[str, float]]] = []
        self._rows = 0
