"""What both estimators share: parameters → recipe → descent, by fit or partial_fit."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from steepest.descent import MemoryCheckpointer, State
from steepest.errors import DivergenceError, EventsError, RecipeError
from steepest.estimators.progress import CallbackAdapter
from steepest.events import Sample
from steepest.recipe import Recipe
from steepest.scaling.blocks import is_finite
from steepest.trained import TrainedModel
from steepest.training.fit import fit, model_at
from steepest.training.inputs import Schema
from steepest.training.partial_fit import PartialFit

__all__ = ["Descended", "arrays_of", "descends", "weights_of"]

Array = np.ndarray


class Descended(BaseEstimator):
    """The part of an estimator that knows of recipes and descents, and not of labels."""

    model_: TrainedModel
    history_: pl.DataFrame | None
    learning_rate_: float | None
    n_iter_: int
    stop_reason_: str
    exact_: Any
    n_features_in_: int
    _partial: PartialFit | None = None

    def _recipe(self) -> Recipe:
        """The estimator's parameters as a recipe, which checks them."""
        p = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        whole, every = p["batch_size"] == "all", p["record_every"]
        rare = whole and p["tol"] is None and every != "auto"
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
            "history": {"every": every},
            # batch descent validates only when it records, unless `tol` needs each epoch
            "validate_every": every if rare else 1,
            "dtype": p["dtype"],
            "seed": p["seed"],
        }
        model = {name: p[name] for name in ("hidden", "activation", "initialization")}
        events = {"path": "arrays", "label": "y"}
        table = {"events": events, "model": model, "descent": descent}
        return Recipe.from_dict(table, source=type(self).__name__)

    def _schema(self, task: str, classes: tuple[str, ...]) -> Schema:
        columns = getattr(self, "feature_names_in_", None)
        names = columns if columns is not None else [f"x{i}" for i in range(self.n_features_in_)]
        return Schema(tuple(map(str, names)), task, classes, "y")

    def _callback(self, recipe: Recipe) -> CallbackAdapter:
        callbacks = self.callbacks if self.callbacks is not None else ()  # pyright: ignore[reportAttributeAccessIssue]
        verbose = bool(self.verbose)  # pyright: ignore[reportAttributeAccessIssue]
        return CallbackAdapter(callbacks, recipe.descent.epochs, verbose)

    def _descend(
        self,
        train: Sample,
        validation: Sample | None,
        task: str,
        classes: tuple[str, ...] = (),
    ) -> None:
        """Fit anew."""
        recipe, schema = self._recipe(), self._schema(task, classes)
        checkpointer, callback = MemoryCheckpointer(), self._callback(recipe)
        self._partial = None
        try:
            fitted = fit(
                train,
                validation,
                schema,
                recipe.model,
                recipe.descent,
                checkpointer,
                callback=callback,
                say=print if callback.verbose else lambda _: None,
            )
        except DivergenceError as error:
            warnings.warn(str(error), ConvergenceWarning, stacklevel=3)
            state = _state(checkpointer)
            self.model_ = model_at(train, schema, recipe.model, recipe.descent, state.best)
            self.learning_rate_, self.exact_ = None, None
            self.n_iter_, self.stop_reason_ = state.step, "diverged"
        else:
            self.model_, self.exact_ = fitted.model, fitted.exact
            self.learning_rate_ = fitted.learning_rate.value
            self._end(fitted.outcome.state)
            if recipe.descent.method == "descent":
                self._partial = PartialFit.after_fit(fitted, schema, recipe)
        self.history_ = _history(checkpointer)

    def _continue(self, train: Sample, task: str, classes: tuple[str, ...] = ()) -> None:
        """Take one epoch over these events."""
        recipe = self._recipe()
        partial = self._partial
        if partial is None:
            partial = PartialFit.start(train, self._schema(task, classes), recipe)
            self.history_ = None
        elif partial.recipe != recipe:
            raise RecipeError(
                f"The parameters of {type(self).__name__} have changed since its descent began.",
                expected="the same parameters in all calls of partial_fit",
                found=_changes(partial.recipe, recipe),
                do="call fit, or partial_fit on a clone, to begin a new descent",
            )
        checkpointer = MemoryCheckpointer()
        try:
            partial = partial.epoch(train, checkpointer, self._callback(recipe))
        except DivergenceError as error:
            warnings.warn(str(error), ConvergenceWarning, stacklevel=3)
            state = _state(checkpointer)
            partial = partial.after(state)
            self.model_ = partial.model_at(state.best.theta, state.best.buffers)
            self.n_iter_, self.stop_reason_ = state.step, "diverged"
        else:
            assert partial.state is not None  # an epoch leaves one
            self.model_ = partial.model_at(partial.state.theta, partial.state.memory.buffers)
            self._end(partial.state)
            self.stop_reason_ = f"pass {partial.epochs:,} is done"
        self._partial = partial
        self.learning_rate_, self.exact_ = partial.learning_rate.value, None
        tables = [table for table in (self.history_, _history(checkpointer)) if table is not None]
        self.history_ = pl.concat(tables, how="diagonal") if tables else None

    def _end(self, state: State) -> None:
        self.n_iter_ = state.step
        reason = state.reason
        assert reason is not None  # a descent ends for one
        self.stop_reason_ = (
            reason.sentence if reason.kind != "asked" else "a callback returned True"
        )

    def _inputs(self, X: Any) -> Array:
        check_is_fitted(self, "model_")
        check: Any = validate_data
        return check(self, X, reset=False, dtype=np.float64)

    def _coefficients(self, what: str) -> Any:
        check_is_fitted(self, "model_")
        coefficients = self.model_.coefficients()
        if coefficients is None:
            raise AttributeError(
                f"{type(self).__name__} has no {what}: only a model without hidden layers, on an "
                "affine scaling, has coefficients in the features' units."
            )
        return coefficients


def arrays_of(
    estimator: Descended, X: Any, y: Any, *, reset: bool, numeric: bool = False
) -> tuple[Array, Array]:
    """X ``(events, features)`` and y ``(events,)``, checked by scikit-learn.

    X is float64, or float32 where it is that already. With `reset` the estimator learns the
    features' number and names, else they must be those.
    """
    kinds = [np.float64, np.float32]
    check: Any = validate_data  # its annotations know of no dtype but text
    X, y = check(
        estimator, X, y, reset=reset, dtype=kinds, y_numeric=numeric, ensure_all_finite=False
    )
    if not is_finite(X):  # which is told faster than scikit-learn says where
        check_any: Any = check_array
        check_any(X, dtype=kinds, input_name="X", estimator=estimator)
    return X, y


def descends(estimator: Any) -> bool:
    """Whether an estimator has partial_fit: only by descent."""
    return getattr(estimator, "method", "descent") == "descent"


def weights_of(sample_weight: Any, events: int) -> Array | None:
    """Weights ``(events,)`` from an array, one number for all, or None; of either sign."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(events, float(sample_weight))
    check: Any = check_array
    weights = check(sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    if weights.shape != (events,):
        raise EventsError(
            "The weights do not go with the events.",
            expected=f"sample_weight of shape ({events},), one number for each row of X",
            found=f"shape {weights.shape}",
        )
    return weights


def _plain(value: Any) -> Any:
    """NumPy's numbers and sequences as Python's: a grid search gives such parameters."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _state(checkpointer: MemoryCheckpointer) -> State:
    assert checkpointer.state is not None  # descend saves before it raises
    return checkpointer.state


def _history(checkpointer: MemoryCheckpointer) -> pl.DataFrame | None:
    """The history as a data frame; None for the exact answer, which has none."""
    if not checkpointer.history:
        return None
    table = pl.from_arrow(pa.concat_tables(checkpointer.history))
    assert isinstance(table, pl.DataFrame)
    return table


def _changes(before: Recipe, after: Recipe) -> str:
    """Which settings differ, for a message."""
    pairs = [
        (f"{room}.{name}", value, getattr(getattr(after, room), name))
        for room in ("model", "descent")
        for name, value in getattr(before, room)
    ]
    return ", ".join(f"{name} = {new!r}, was {old!r}" for name, old, new in pairs if new != old)
