"""scikit-learn estimators on the same descent.

>>> import numpy as np
>>> from steepest import Classifier, Regressor
>>> rng = np.random.default_rng(0)
>>> X = rng.normal(size=(500, 2))

Linear regression by batch gradient descent at the rate that the curvature gives, and exactly:

>>> y = X @ [1.0, 2.0] + 3.0
>>> descent = Regressor(epochs=200).fit(X, y)
>>> descent.coef_.round(6), round(descent.intercept_, 6)
(array([1., 2.]), 3.0)
>>> Regressor(method="exact").fit(X, y).coef_.round(12)
array([1., 2.])

Logistic regression (no hidden layer), and a small network by mini-batches:

>>> signal = (X[:, 0] * X[:, 1] > 0).astype(int)
>>> linear = Classifier().fit(X, signal)
>>> network = Classifier(
...     hidden=(32,), optimizer="adam", batch_size=32, epochs=60, learning_rate=0.01
... ).fit(X, signal)
>>> bool(network.score(X, signal) > 0.95 > linear.score(X, signal))
True
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, Self

import numpy as np
import polars as pl
import pyarrow as pa
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from steepest.descent import MemoryKeeper
from steepest.errors import DivergenceError, EventsError
from steepest.recipe import ModelRecipe, Recipe
from steepest.training.fit import Events, Naming, fit, model_at

__all__ = ["Classifier", "Regressor"]

Array = np.ndarray


class _Descended(BaseEstimator):
    """What both estimators share: parameters → recipe → fit."""

    def _recipe(self) -> Recipe:
        """The estimator's parameters as a recipe, which checks them."""
        p = self.get_params(deep=False)
        descent = {
            "method": p.get("method", "descent"),
            "batch_size": p["batch_size"],
            "optimizer": p["optimizer"],
            "learning_rate": p["learning_rate"],
            "schedule": p["schedule"],
            "scaling": p["scaling"],
            "l2": p["l2"],
            "epochs": p["epochs"],
            "stop": {"loss_tolerance": p["tol"]} if p["tol"] is not None else {},
            "record_every": p["record_every"],
            "validate_every": self._validate_every(),
            "seed": p["seed"],
        }
        model = {
            "hidden": list(p["hidden"]),
            "activation": p["activation"],
            "initialization": p["initialization"],
        }
        events = {"path": "arrays", "label": "y"}
        table = {"events": events, "model": model, "descent": descent}
        return Recipe.from_dict(table, source=type(self).__name__)

    def _validate_every(self) -> int:
        """Batch descent looks up only when it records, unless `tol` must be watched."""
        return self.record_every if self.batch_size == "all" and self.tol is None else 1

    def _descend(
        self, train: Events, validation: Events | None, task: str, classes: tuple[str, ...]
    ) -> None:
        recipe = self._recipe()
        columns = getattr(self, "feature_names_in_", None)
        names = columns if columns is not None else [f"x{i}" for i in range(self.n_features_in_)]
        naming = Naming(tuple(map(str, names)), task, classes, "y")
        keeper = MemoryKeeper()
        try:
            fitted = fit(train, validation, naming, recipe.model, recipe.descent, keeper)
        except DivergenceError as error:
            warnings.warn(str(error), ConvergenceWarning, stacklevel=3)
            self._keep_diverged(train, naming, recipe, keeper)
        else:
            self.model_ = fitted.model
            self.learning_rate_ = fitted.learning_rate.value
            self.n_iter_ = fitted.outcome.state.step
            self.exact_ = fitted.exact
            reason = fitted.outcome.state.reason
            self.stop_reason_ = reason.sentence if reason is not None else ""
        self.history_ = pl.from_arrow(pa.concat_tables(keeper.history)) if keeper.history else None

    def _keep_diverged(
        self, train: Events, naming: Naming, recipe: Recipe, keeper: MemoryKeeper
    ) -> None:
        state = keeper.state
        assert state is not None  # descend saves before it raises
        model_recipe: ModelRecipe = recipe.model
        self.model_ = model_at(train, naming, model_recipe, recipe.descent, state.best.theta)
        self.learning_rate_ = None
        self.n_iter_ = state.step
        self.exact_ = None
        self.stop_reason_ = "diverged"

    def _inputs(self, X: Any) -> Array:
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=np.float64)

    def _coefficients(self, what: str) -> Any:
        check_is_fitted(self)
        coefficients = self.model_.coefficients()
        if coefficients is None:
            raise AttributeError(
                f"{type(self).__name__} has no {what}: only a model without hidden layers, on an "
                "affine scaling, has coefficients in the features' units."
            )
        return coefficients

    @staticmethod
    def _weights(sample_weight: Any, X: Array) -> Array | None:
        if sample_weight is None:
            return None
        return _check_sample_weight(sample_weight, X, dtype=np.float64)


class Classifier(ClassifierMixin, _Descended):
    """Logistic or softmax regression, or a dense network, by gradient descent.

    J(θ) = Σ wᵢ ℓ(f_θ(xᵢ), yᵢ) / Σ wᵢ + (λ/2) ‖weights‖², with ℓ the binary cross entropy for two
    classes and the cross entropy for more.

    Parameters
    ----------
    hidden
        Units of each hidden layer; () is logistic or softmax regression.
    batch_size
        "all" is batch gradient descent, 1 is stochastic.
    optimizer
        A name, or a table with a name and options: ``{"name": "momentum", "momentum": 0.8}``.
    learning_rate
        η, or "auto": from the curvature for models without hidden layers under SGD, momentum and
        Nesterov, else from a range test.
    schedule
        A name, or a table with a name and options: ``{"name": "cosine", "warmup": 0.1}``.
    scaling
        none, standard, min-max, robust, quantile or whiten; fitted on X of `fit`.
    l2
        λ ≥ 0, on the weights, not on the biases.
    epochs
        Stop after so many epochs.
    tol
        Stop when the training loss falls by less than this in an epoch; None does not.
    activation
        relu, tanh, sigmoid or gelu, after each hidden layer.
    initialization
        Of the weights; None chooses by the activation.
    record_every
        `history_` has every so many steps; with batch_size="all", validation is as rare.
    seed
        Of the initialisation and the order of the events; one seed gives the same bits.

    Attributes
    ----------
    classes_ : ndarray (K,)
    coef_ : ndarray (1, features) or (K, features)
        In the features' original units; models without hidden layers only.
    intercept_ : ndarray (1,) or (K,)
    history_ : polars.DataFrame
        Loss, learning rate, gradient norm, update ratio; validation at the end of epochs.
    learning_rate_, n_iter_, stop_reason_
        η, steps taken, and why they ended.

    Raises
    ------
    RecipeError
        For a parameter out of its range.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        *,
        batch_size: int | Literal["all"] = "all",
        optimizer: str | dict[str, Any] = "sgd",
        learning_rate: float | Literal["auto"] = "auto",
        schedule: str | dict[str, Any] = "constant",
        scaling: str = "standard",
        l2: float = 0.0,
        epochs: int = 100,
        tol: float | None = None,
        activation: str = "relu",
        initialization: str | None = None,
        record_every: int = 1,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.scaling = scaling
        self.l2 = l2
        self.epochs = epochs
        self.tol = tol
        self.activation = activation
        self.initialization = initialization
        self.record_every = record_every
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation: Any = None) -> Self:
        """Descend on X ``(events, features)``, y ``(events,)``, weights ``(events,)`` or None.

        `validation` is (X, y) or (X, y, sample_weight): then the best parameters on it are kept.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_ = unique_labels(y)
        if len(self.classes_) < 2:
            raise EventsError(
                "Classifier was given one class only.",
                expected="labels of two classes or more",
                found=f"only {self.classes_[0]!r} in {len(y):,} events",
            )
        train = self._events(X, y, self._weights(sample_weight, X))
        held_out = self._validation(validation)
        binary = len(self.classes_) == 2
        names = tuple(str(name) for name in self.classes_)
        self._descend(train, held_out, "binary" if binary else "multiclass", names)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, ``(events, K)``, in the order of `classes_`."""
        inputs = self._inputs(X)
        probabilities = self.model_.predict(inputs)
        if len(self.classes_) == 2:
            return np.column_stack([1.0 - probabilities, probabilities])
        return probabilities

    def predict(self, X: Any) -> Array:
        """The most probable class of each event."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    @property
    def coef_(self) -> Array:
        """Coefficients in the features' original units."""
        return self._coefficients("coef_").values.T

    @property
    def intercept_(self) -> Array:
        """Intercepts in the features' original units."""
        return self._coefficients("intercept_").intercept

    def _events(self, X: Array, y: Array, weights: Array | None) -> Events:
        indices = np.searchsorted(self.classes_, y)
        binary = len(self.classes_) == 2
        return Events(X, indices.astype(np.float64 if binary else np.int64), weights)

    def _validation(self, validation: Any) -> Events | None:
        if validation is None:
            return None
        X, y, *rest = validation
        X, y = validate_data(self, X, y, reset=False, dtype=np.float64)
        unknown = np.setdiff1d(y, self.classes_)
        if len(unknown):
            raise EventsError(
                "The validation labels have a class that the training labels lack.",
                expected=f"one of {self.classes_.tolist()}",
                found=repr(unknown[0]),
            )
        return self._events(X, y, self._weights(rest[0] if rest else None, X))


class Regressor(RegressorMixin, _Descended):
    """Linear regression, or a dense network, by gradient descent on the mean squared error.

    J(θ) = Σ wᵢ (f_θ(xᵢ) − yᵢ)² / Σ wᵢ + (λ/2) ‖weights‖².

    Parameters
    ----------
    method
        "descent", or "exact": the least-squares answer by an orthogonal factorisation (no hidden
        layers), as the reference that descent is compared with.
    hidden, batch_size, optimizer, learning_rate, schedule, scaling, l2, epochs, tol, activation,
    initialization, record_every, seed
        As for `Classifier`.

    Attributes
    ----------
    coef_ : ndarray (features,)
        In the features' original units; models without hidden layers only.
    intercept_ : float
    exact_
        With ``method="exact"``: condition number and digits lost.
    history_, learning_rate_, n_iter_, stop_reason_
        As for `Classifier`.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        *,
        method: Literal["descent", "exact"] = "descent",
        batch_size: int | Literal["all"] = "all",
        optimizer: str | dict[str, Any] = "sgd",
        learning_rate: float | Literal["auto"] = "auto",
        schedule: str | dict[str, Any] = "constant",
        scaling: str = "standard",
        l2: float = 0.0,
        epochs: int = 100,
        tol: float | None = None,
        activation: str = "relu",
        initialization: str | None = None,
        record_every: int = 1,
        seed: int = 0,
    ) -> None:
        self.hidden = hidden
        self.method = method
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.scaling = scaling
        self.l2 = l2
        self.epochs = epochs
        self.tol = tol
        self.activation = activation
        self.initialization = initialization
        self.record_every = record_every
        self.seed = seed

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation: Any = None) -> Self:
        """Descend on X ``(events, features)``, y ``(events,)``, weights ``(events,)`` or None.

        `validation` is (X, y) or (X, y, sample_weight): then the best parameters on it are kept.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        train = Events(X, y.astype(np.float64), self._weights(sample_weight, X))
        held_out = None
        if validation is not None:
            X, y, *rest = validation
            X, y = validate_data(self, X, y, reset=False, dtype=np.float64, y_numeric=True)
            weights = self._weights(rest[0] if rest else None, X)
            held_out = Events(X, y.astype(np.float64), weights)
        self._descend(train, held_out, "regression", ())
        return self

    def predict(self, X: Any) -> Array:
        """The predicted values, ``(events,)``."""
        inputs = self._inputs(X)
        return self.model_.predict(inputs)

    @property
    def coef_(self) -> Array:
        """Coefficients in the features' original units."""
        return self._coefficients("coef_").values[:, 0]

    @property
    def intercept_(self) -> float:
        """Intercept in the features' original units."""
        return float(self._coefficients("intercept_").intercept[0])
