"""A trained model: from raw features to predictions, with all that it needs elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from steepest.encoding import Encoding
from steepest.errors import EventsError
from steepest.losses import Loss, loss_named
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective
from steepest.scaling import AffineScaling, Scaling, scaling_from

__all__ = ["FORMAT", "TASKS", "Coefficients", "TrainedModel", "outputs_for"]

Array = np.ndarray
FORMAT = {"format": "steepest-model", "version": 1}

ROWS = 1024
"""Events that are predicted at once, always as many: the last block is filled up, so that functions
which take several numbers at once do not round an event's score by how many others there are."""


@dataclass(frozen=True)
class Coefficients:
    """A linear model's coefficients in the features' original units.

    ``values`` is ``(features, outputs)``, ``intercept`` is ``(outputs,)``.
    """

    names: tuple[str, ...]
    values: Array
    intercept: Array

    def to_json(self) -> dict[str, Any]:
        """Plain values: one list of outputs for each feature."""
        by_name = zip(self.names, self.values.tolist(), strict=True)
        return {"intercept": self.intercept.tolist(), "coefficients": dict(by_name)}


@dataclass(frozen=True)
class TrainedModel:
    """Scaling, network and parameters, with the names that give them their meaning.

    Parameters
    ----------
    scaling
        Fitted on the training part; knows the features' names.
    model, loss, theta
        f_θ, how its logits are read, and θ ``(size,)``.
    classes
        Their names, for a classifier; empty for a regressor.
    label
        What the label was, as text.
    features
        The features as a recipe writes them: names, or tables with name and value.
    encoding
        From raw features to what is scaled: fills and categories; None where these are the same.
    """

    scaling: Scaling
    model: Dense
    loss: Loss
    theta: Array
    classes: tuple[str, ...]
    label: str
    features: tuple[str | dict[str, Any], ...]
    encoding: Encoding | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(f if isinstance(f, str) else f["name"] for f in self.features)

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the network's inputs: the features', or those that the encoding gives."""
        return self.names if self.encoding is None else self.encoding.names

    @property
    def task(self) -> str:
        """Which of "regression", "binary" and "multiclass" it is."""
        return next(task for task, loss in TASKS.items() if loss == self.loss.name)

    def predict(self, features: ArrayLike) -> Array:
        """Predict from raw features ``(events, features)``.

        Features with categories are given as text; what is missing as NaN, None or the value that
        the recipe names.

        Returns values ``(events,)`` for regression, P(signal) ``(events,)`` for two classes by
        binary cross entropy, ``(events, K)`` probabilities for cross entropy; computed in float64,
        whatever θ was trained in, so that scores do not tie where float32 would round them to one.
        An event's prediction has the same bits whichever events are predicted with it.
        """
        if self.encoding is not None:
            features = self.encoding.transform(features)
        return self.predict_encoded(features)

    def predict_encoded(self, encoded: ArrayLike) -> Array:
        """Predict, as `predict` does, from what the encoding made: ``(events, inputs)``."""
        values = np.asarray(encoded, dtype=np.float64)
        if values.ndim != 2 or len(values) == 0:
            return self._predict_block(values)
        try:
            with _threads().limit(limits=1, user_api="blas"):
                return self._predict_blocks(values)
        except EventsError:
            self.scaling.transform(values)  # again, of all: its message counts rows from the first
            raise

    def _predict_blocks(self, values: Array) -> Array:
        whole = len(values) - len(values) % ROWS
        parts = [self._predict_block(values[i : i + ROWS]) for i in range(0, whole, ROWS)]
        if whole < len(values):
            filled = np.resize(values[whole:], (ROWS, values.shape[1]))
            parts.append(self._predict_block(filled)[: len(values) - whole])
        return np.concatenate(parts)

    def _predict_block(self, values: Array) -> Array:
        inputs = np.ascontiguousarray(self.scaling.transform(values))
        objective = DenseObjective(self.model, self.loss)
        batch = Batch(inputs, np.empty(len(inputs)))
        return objective.predict(self.theta.astype(np.float64), batch)

    def coefficients(self) -> Coefficients | None:
        """The linear model's coefficients in original units; None for networks.

        Also None with a scaling that is not affine (quantile): there are none then.
        """
        if self.model.hidden or not isinstance(self.scaling, AffineScaling):
            return None
        layer = self.model.layers(self.theta.astype(np.float64))[0]
        values, intercept = self.scaling.original_units(layer.weights, layer.biases)
        return Coefficients(self.input_names, values, intercept)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, Array]]:
        """Configuration (JSON), parameters and scaling (arrays), as they lie in ``model/``."""
        config = {
            **FORMAT,
            "task": self.task,
            "label": self.label,
            "classes": list(self.classes),
            "features": list(self.features),
            "encoding": None if self.encoding is None else self.encoding.to_json(),
            "loss": self.loss.name,
            "model": {
                "name": "dense",
                "inputs": self.model.inputs,
                "hidden": list(self.model.hidden),
                "outputs": self.model.outputs,
                "activation": self.model.activation,
            },
            "dtype": str(self.theta.dtype),
            "scaling": self.scaling.to_json(),
        }
        return config, self.model.named(self.theta), self.scaling.to_arrays()

    @classmethod
    def from_parts(
        cls, config: dict[str, Any], parameters: dict[str, Array], scaling: dict[str, Array]
    ) -> TrainedModel:
        """Put a model together again from `to_parts`."""
        shape, encoding = config["model"], config.get("encoding")
        model = Dense(
            shape["inputs"], tuple(shape["hidden"]), shape["outputs"], shape["activation"]
        )
        theta = np.zeros(model.size, dtype=config["dtype"])
        for name, values in model.named(theta).items():
            values[...] = parameters[name]
        return cls(
            scaling=scaling_from(config["scaling"], scaling),
            model=model,
            loss=loss_named(config["loss"]),
            theta=theta,
            classes=tuple(config["classes"]),
            label=config["label"],
            features=tuple(config["features"]),
            encoding=Encoding.from_json(encoding) if encoding is not None else None,
        )


@cache
def _threads() -> ThreadpoolController:
    """The BLAS that NumPy uses. Its threads wait for each other longer than such blocks take."""
    return ThreadpoolController()


TASKS = {
    "regression": "mean-squared-error",
    "binary": "binary-cross-entropy",
    "multiclass": "cross-entropy",
}
"""The loss that goes with each task."""


def outputs_for(task: str, classes: Sequence[str]) -> int:
    """How many logits a task needs.

    Examples
    --------
    >>> outputs_for("binary", ("qcd", "top")), outputs_for("multiclass", ("qcd", "top"))
    (1, 2)
    """
    return len(classes) if task == "multiclass" else 1
