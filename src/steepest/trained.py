"""A trained model: from raw features to predictions, with all that it needs elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from steepest.encoding import Encoding
from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.events.sample.labels import TASKS as TASK_OF_LOSS
from steepest.events.units import Units
from steepest.groups import Groups
from steepest.losses import (
    Head,
    Loss,
    MeanSquaredError,
    WithHeads,
    heads_of,
    label_loss,
    loss_named,
)
from steepest.models import Model, ModelKind, kind_named
from steepest.objective import Batch, Memory, ModelObjective
from steepest.objective.stateful import restore_memory
from steepest.recipe import ParticlesRecipe
from steepest.scaling import AffineScaling, AnyScaling, scaling_from

Array = np.ndarray
FORMAT = {"format": "steepest-model", "version": 3}
WITH_HEADS = 4
VERSIONS = (1, 2, 3, WITH_HEADS)
"""That are read. Version 1 had dense networks alone; 2 has a model of any kind, with buffers; 3 the
units in which a label was learnt; 4, of models that have them, auxiliary heads."""

_BUFFER = "buffers."

ROWS = 1024
"""Events that are predicted at once, always as many: the last block is filled up, so that functions
which take several numbers at once do not round an event's score by how many others there are."""


Features = tuple[str | dict[str, Any], ...]
"""Features as a recipe writes them: names, or tables with name and value."""


def feature_names(features: Sequence[str | dict[str, Any]]) -> tuple[str, ...]:
    """Return the features' names.

    Examples
    --------
    >>> feature_names(["pt", {"name": "tau32", "value": "tau3 / tau2"}])
    ('pt', 'tau32')
    """
    return tuple(f if isinstance(f, str) else f["name"] for f in features)


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


class _Read:
    """A loss whose logits another function reads."""

    def __init__(self, loss: Loss, prediction: Callable[[Array], Array]) -> None:
        self.loss, self.name, self.curvature_bound = loss, loss.name, loss.curvature_bound
        self.value, self.gradient, self.curvature = loss.value, loss.gradient, loss.curvature
        self.prediction = prediction


@dataclass(frozen=True)
class TrainedModel:
    """Scaling, model and parameters, with the names that give them their meaning."""

    scaling: AnyScaling  # fitted on the training part; knows the features' names
    model: Model  # f_θ, how its logits are read, and θ ``(size,)``
    loss: Loss
    theta: Array
    classes: tuple[str, ...]  # their names, for a classifier; empty for a regressor
    label: str  # what the label was, as text
    # as a recipe writes them: names, or tables with name and value; of each group, for groups
    features: Features | Mapping[str, Features]
    # from raw features to what is scaled: fills and categories; None where these are the same
    encoding: Encoding | None = None
    # what the model keeps besides θ, such as statistics of its inputs, by name
    buffers: Mapping[str, Array] = field(default_factory=dict)
    # where the momenta of the particles are, as ``[events.particles]`` of a recipe has it; None for
    # models that read none
    particles: dict[str, Any] | None = None
    # the columns of usual names that training read them from, where the recipe names none
    momenta: dict[str, str] = field(default_factory=dict)
    # the lists whose elements are a row each, as ``events.explode`` of a recipe has it
    explode: str | None = None
    # "title" and "unit" of features, label and other columns, as far as they are known
    units: Units = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order; those of groups as ``group.feature``."""
        if isinstance(self.features, Mapping):
            return tuple(f"{g}.{name}" for g, names in self.groups.items() for name in names)
        return feature_names(self.features)

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """The names of the features of each group; of a model of one matrix, nothing."""
        if not isinstance(self.features, Mapping):
            return {}
        return {group: feature_names(features) for group, features in self.features.items()}

    @property
    def input_names(self) -> tuple[str, ...]:
        """The names of the model's inputs: the features', or those that the encoding gives."""
        return self.names if self.encoding is None else self.encoding.names

    @property
    def unit(self) -> str | None:
        """The label's unit, if it is known."""
        return self.units.get(self.label, {}).get("unit")

    @property
    def task(self) -> str:
        """Which of "regression", "binary" and "multiclass" it is."""
        return TASK_OF_LOSS[self.loss.name]

    @property
    def heads(self) -> tuple[Head, ...]:
        """The auxiliary heads beside the label, if it has any."""
        return heads_of(self.loss)

    def objective(self, l2: float = 0.0, dtype: str = "float64") -> ModelObjective:
        """J(θ) of this model and its loss, by default in float64 and without the L2 term."""
        objective = kind_named(self.model.kind).objective(self.model, self.loss, l2, dtype)
        if self.buffers:
            restore_memory(objective, Memory(self.buffers))
        return objective

    def predict(self, features: ArrayLike | Groups) -> Array:
        """Predict from raw features ``(events, features)``, or from groups of them.

        Features with categories are given as text; what is missing as NaN, None or the value that
        the recipe names.

        Returns values ``(events,)`` for regression, P(signal) ``(events,)`` for two classes by
        binary cross entropy, ``(events, K)`` probabilities for cross entropy; computed in float64,
        whatever θ was trained in, so that scores do not tie where float32 would round them to one.
        An event's prediction has the same bits whichever events are predicted with it. Networks of
        particles give the same up to rounding, some 1e-16 of a probability: PyTorch adds in an
        order that depends on how many particles there are.
        """
        if self.encoding is not None and not isinstance(features, Groups):
            features = self.encoding.transform(features)
        return self.predict_encoded(features)

    def logits(self, features: ArrayLike | Groups) -> Array:
        """Return what the model puts out before its loss reads it, ``(events, outputs)``, float64.

        P = σ(z) for two classes, softmax(z) for more, the value itself for regression.
        """
        logits = self._reading(lambda outputs: outputs).predict(features)
        return logits[:, : logits.shape[1] - len(self.heads)]

    def outputs_encoded(self, encoded: ArrayLike | Groups) -> Array:
        """Return all that the model puts out: the logits, then what the heads' losses read."""
        return self._reading(lambda outputs: outputs).predict_encoded(encoded)

    def predict_heads(self, features: ArrayLike | Groups) -> dict[str, Array]:
        """What the auxiliary heads predict from raw features, ``(events,)`` each, by their names.

        In the units of their columns, in float64.
        """
        if self.encoding is not None and not isinstance(features, Groups):
            features = self.encoding.transform(features)
        if not self.heads:
            return {}
        columns = self.predict_beside(features)[:, -len(self.heads) :].T
        return {head.name: values for head, values in zip(self.heads, columns, strict=True)}

    def predict_beside(self, encoded: ArrayLike | Groups) -> Array:
        """Predictions and the heads' side by side, ``(events, 1 + heads)`` or ``(events, K + …)``.

        From what the encoding made.
        """
        loss = self.loss
        if not isinstance(loss, WithHeads):
            return self.predict_encoded(encoded)
        return self._reading(lambda z: np.column_stack(loss.predictions(z))).predict_encoded(
            encoded
        )

    def _reading(self, prediction: Callable[[Array], Array]) -> TrainedModel:
        return replace(self, loss=_Read(self.loss, prediction))

    def predict_encoded(self, encoded: ArrayLike | Groups) -> Array:
        """Predict, as `predict` does, from what the encoding made: ``(events, inputs)``."""
        values = encoded if isinstance(encoded, Groups) else np.asarray(encoded, dtype=np.float64)
        refused = not isinstance(values, Groups) and values.ndim != 2
        if refused or len(values) == 0:
            return self._predict_block(values, self.objective())
        try:
            with _threads().limit(limits=1, user_api="blas"):
                return self._predict_blocks(values)
        except EventsError:
            self.scaled(values)  # all at once: its message counts events from the first
            raise

    def _predict_blocks(self, values: Array | Groups) -> Array:
        objective, events = self.objective(), len(values)
        whole = events - events % ROWS
        starts = range(0, whole, ROWS)
        parts = [self._predict_block(values[i : i + ROWS], objective) for i in starts]
        if whole < events:
            rows = np.resize(np.arange(whole, events), ROWS)
            parts.append(self._predict_block(values[rows], objective)[: events - whole])
        return np.concatenate(parts)

    def _predict_block(self, values: Array | Groups, objective: ModelObjective) -> Array:
        batch = Batch.of(self.scaled(values), np.empty(len(values)), None, "float64")
        return objective.predict(self.theta.astype(np.float64), batch)

    def scaled(self, encoded: Array | Groups) -> Any:
        """Return the model's inputs in float64, for encoded features in memory."""
        transform: Any = self.scaling.transform  # of groups or a matrix, as the model takes them
        return transform(encoded)

    def coefficients(self) -> Coefficients | None:
        """The linear model's coefficients in original units; None for other models.

        Also None with a scaling that is not affine (quantile): there are none then.
        """
        layer = self.model.linear_layer(self.theta.astype(np.float64))
        if layer is None or not isinstance(self.scaling, AffineScaling):
            return None
        values, intercept = self.scaling.original_units(*layer)
        return Coefficients(self.input_names, values, intercept)

    def to_parts(self) -> tuple[dict[str, Any], dict[str, Array], dict[str, Array]]:
        """Configuration (JSON), parameters and scaling (arrays), as they lie in ``model/``."""
        features, loss = self.features, label_loss(self.loss)
        heads = [asdict(head) for head in self.heads]
        config = {
            **FORMAT,
            **({"version": WITH_HEADS, "heads": heads} if heads else {}),
            "library_name": "steepest",  # by which the Hub tells whose model it is
            "task": self.task,
            "label": self.label,
            "classes": list(self.classes),
            "features": dict(features) if isinstance(features, Mapping) else list(features),
            **({} if self.particles is None else {"particles": self.particles}),
            **({"momenta": self.momenta} if self.momenta else {}),
            **({} if self.explode is None else {"explode": self.explode}),
            **({"units": self.units} if self.units else {}),
            "encoding": None if self.encoding is None else self.encoding.to_json(),
            "loss": loss.name,
            "target": asdict(loss) if isinstance(loss, MeanSquaredError) else None,
            "model": {"name": self.model.kind, **self.model.config()},
            "dtype": str(self.theta.dtype),
            "scaling": self.scaling.to_json(),
        }
        buffers = {_BUFFER + name: values for name, values in self.buffers.items()}
        return config, {**self.model.named(self.theta), **buffers}, self.scaling.to_arrays()

    @classmethod
    def from_parts(
        cls, config: dict[str, Any], parameters: dict[str, Array], scaling: dict[str, Array]
    ) -> TrainedModel:
        """Return the model whose `to_parts` gave these, of any version in `VERSIONS`.

        Raises
        ------
        RunFolderError
            Its kind is not known here.
        ValueError, KeyError, TypeError
            It is damaged.
        """
        shape, features = dict(config["model"]), config["features"]
        encoding, target = config.get("encoding"), config.get("target")
        loss: Loss = MeanSquaredError(**target) if target else loss_named(config["loss"])
        if heads := config.get("heads"):
            beside = ({**head, "target": MeanSquaredError(**head["target"])} for head in heads)
            loss = WithHeads(loss, tuple(Head(**head) for head in beside))
        model = _kind_of_saved(shape.pop("name")).from_config(shape)
        buffers = {
            name.removeprefix(_BUFFER): values
            for name, values in parameters.items()
            if name.startswith(_BUFFER)
        }
        return cls(
            scaling=scaling_from(config["scaling"], scaling),
            model=model,
            loss=loss,
            theta=_theta_of(model, parameters, config["dtype"]),
            classes=tuple(config["classes"]),
            label=config["label"],
            features={g: _features_of(names) for g, names in features.items()}
            if isinstance(features, dict)
            else _features_of(features),
            encoding=Encoding.from_json(encoding) if encoding is not None else None,
            buffers=buffers,
            particles=_particles_of(config.get("particles")),
            momenta=ParticlesRecipe(**config.get("momenta") or {}).momenta(),
            explode=config.get("explode"),
            units={name: dict(said) for name, said in dict(config.get("units") or {}).items()},
        )


def _features_of(features: Sequence[Any]) -> Features:
    """The features that a configuration has; ValueError for what are none."""
    for feature in features:
        table = feature if isinstance(feature, dict) else {"name": feature, "value": ""}
        if not all(isinstance(table.get(key), str) for key in ("name", "value")):
            raise ValueError(f"a feature that is {feature!r}")
    return tuple(features)


def _particles_of(particles: dict[str, Any] | None) -> dict[str, Any] | None:
    """The momenta that a configuration has; ValueError for what are none."""
    if particles is not None:
        ParticlesRecipe.model_validate(particles)
    return particles


def _theta_of(model: Model, parameters: Mapping[str, Array], dtype: str) -> Array:
    """θ of the parameters by name, each of the shape that the model has."""
    given = {name: v for name, v in parameters.items() if not name.startswith(_BUFFER)}
    if sum(values.size for values in given.values()) != model.size:  # before memory is asked for
        raise ValueError(f"parameters of other shapes than a model of {model.size:,} has")
    theta = np.zeros(model.size, dtype=dtype)
    for name, values in model.named(theta).items():
        if given[name].shape != values.shape or given[name].dtype != theta.dtype:
            found = f"{given[name].dtype} {given[name].shape}"
            raise ValueError(f"{name} is {found}, expected {theta.dtype} {values.shape}")
        if not np.isfinite(given[name]).all():
            raise ValueError(f"{name} has a number that is not finite")
        values[...] = given[name]
    return theta


def _kind_of_saved(name: str) -> ModelKind:
    try:
        return kind_named(name)
    except RecipeError as error:
        raise RunFolderError(
            f"The saved model is of the kind {name!r}, which is not known here.",
            expected=error.details["expected"],
            found=repr(name),
            cause="a newer release, or another package, has made it",
            do="import the package that registers it, or use the release that wrote it",
        ) from None


@cache
def _threads() -> ThreadpoolController:
    """The BLAS that NumPy uses. Its threads wait for each other longer than such blocks take."""
    return ThreadpoolController()


TASKS = {
    "regression": "mean-squared-error",
    "binary": "binary-cross-entropy",
    "multiclass": "cross-entropy",
}
"""The loss of each task, where a recipe names none."""


def outputs_for(task: str, classes: Sequence[str]) -> int:
    """How many logits a task needs.

    Examples
    --------
    >>> outputs_for("binary", ("qcd", "top")), outputs_for("multiclass", ("qcd", "top"))
    (1, 2)
    """
    return len(classes) if task == "multiclass" else 1
