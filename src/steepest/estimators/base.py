"""What both estimators share: parameters → recipe → descent, by fit or partial_fit."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import polars as pl
import pyarrow as pa
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from steepest.descent import MemoryCheckpointer, State
from steepest.errors import DivergenceError, EventsError, RecipeError
from steepest.estimators.choices import (
    chosen_for,
    method_of,
    parted,
    recipe_of,
    refuse_intercept,
    seed_of,
)
from steepest.estimators.evaluation import EstimatorPlots, Merits, evaluated, html_of_descent
from steepest.estimators.explaining import fingerprint, record_of
from steepest.estimators.progress import CallbackAdapter, ProgressCallback, Verbose, told
from steepest.estimators.shared import Shared
from steepest.events import TRAIN, VALIDATION, Sample
from steepest.recipe import DescentRecipe, ModelRecipe, Recipe
from steepest.scaling.blocks import is_finite
from steepest.trained import TrainedModel
from steepest.training.against_linear import compare_with_linear
from steepest.training.fit import fit, model_at
from steepest.training.fitting.fitted import Fitted
from steepest.training.fitting.plan import decided_for
from steepest.training.inputs import Schema
from steepest.training.partial_fit import PartialFit
from steepest.training.scored import Scored

if TYPE_CHECKING:
    from steepest.explain import Explanation

__all__ = ["Descended", "arrays_of", "descends", "weights_of"]

Array = np.ndarray
PATIENCE = 10
"""Validations without a new best loss after which early stopping stops, at least."""
DEFAULT_RATE = "the default of estimators for networks"
_DESCENT = ("method", "batch_size", "optimizer", "learning_rate", "schedule", "scaling", "l2",
            "epochs", "dtype")  # fmt: skip
"""Parameters that a recipe has under the same names in its table `descent`."""


class Descended(Shared, BaseEstimator):
    """The part of an estimator that knows of recipes and descents, and not of labels."""

    model_: TrainedModel
    history_: pl.DataFrame | None
    learning_rate_: float | None
    l2_: float | None
    n_iter_: int
    stop_reason_: str
    exact_: Any
    n_features_in_: int
    _partial: PartialFit | None = None
    _not_convex: bool = False
    """Newton's method has refused the weights of this fit."""
    _solution: TrainedModel | None = None
    """The minimum where `fit` took no descent, from which `partial_fit` goes on."""
    _fingerprint: str | None = None
    """Of the events of the last `fit`."""
    _begun: tuple[int, int, bool, bool]
    _decided: DescentRecipe | None
    """What its recipe follows from besides parameters: how many events, the seed, whether it is
    validated, whether the events come piece by piece."""

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        *,
        fit_intercept: bool = True,
        method: Literal["auto", "descent", "newton", "exact"] = "auto",
        batch_size: int | Literal["all"] | None = None,
        optimizer: str | dict[str, Any] | None = None,
        learning_rate: float | Literal["auto"] | None = None,
        schedule: str | dict[str, Any] | None = None,
        scaling: str = "auto",
        l2: float | Literal["auto"] | None = None,
        epochs: int | None = None,
        tol: float | None = None,
        early_stopping: bool = False,
        activation: str = "relu",
        initialization: str | None = None,
        record_every: int | Literal["auto"] = "auto",
        dtype: Literal["float64", "float32"] = "float64",
        verbose: Verbose = False,
        callbacks: Sequence[ProgressCallback] | None = None,
        seed: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.hidden = hidden
        self.fit_intercept = fit_intercept
        self.method = method
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.scaling = scaling
        self.l2 = l2
        self.epochs = epochs
        self.tol = tol
        self.early_stopping = early_stopping
        self.activation = activation
        self.initialization = initialization
        self.record_every = record_every
        self.dtype = dtype
        self.verbose: Verbose = verbose
        self.callbacks = callbacks
        self.seed = seed
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation: Any = None) -> Self:
        """Descend on J from the seed's θ₀, over all epochs; or solve for its minimum.

        Parameters
        ----------
        X
            ``(events, features)``, finite: an array or a data frame.
        y
            ``(events,)``: labels of any kind that sorts for a classifier, numbers for a regressor.
        sample_weight
            ``(events,)`` of either sign with Σw > 0, one number for all, or None for ones. An event
            of weight k is that event k times: exactly so, up to rounding, for batch descent; for
            mini-batches it is one event whose gradient is k times as large.
        validation
            (X, y) or (X, y, sample_weight): then the best parameters on it are kept.
            It takes the place of what `early_stopping` would set aside.

        Raises
        ------
        RecipeError, EventsError, ValueError
            Parameters; one class only, weights; X and y as scikit-learn checks them.
        """
        seed = seed_of(self)
        train = self._sample(X, y, sample_weight, new=True)
        held_out: Sample | None = None
        if validation is not None:
            X, y, *rest = validation
            held_out = self._sample(X, y, rest[0] if rest else None, new=False)
        elif self.early_stopping:
            train, held_out = parted(train, self._task()[0], seed)
        self._begun = len(train), seed, held_out is not None, False
        self._fingerprint = fingerprint(train)
        self._not_convex = False
        self._descend(train, held_out)
        return self

    def _sample(self, X: Any, y: Any, sample_weight: Any, new: bool) -> Sample:
        """The events, checked; with `new` what is known of features and classes is learnt anew."""
        raise NotImplementedError

    def _task(self) -> tuple[str, tuple[str, ...]]:
        """The task and the names of its classes."""
        raise NotImplementedError

    def _recipe(self, events: int, seed: int, validated: bool, piecewise: bool) -> Recipe:
        """The estimator's parameters as a recipe for so many events, which checks them."""
        p = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        task = self._task()[0]
        if p["method"] == "auto":
            values = events * self.n_features_in_
            p["method"] = method_of(p, task, values, validated, piecewise, self._not_convex)
        chosen = chosen_for(task, p["hidden"], events, p["batch_size"], piecewise)
        if p["epochs"] is not None or p["optimizer"] is not None:  # these are chosen together
            chosen |= {"learning_rate": "auto", "l2": 0.0}
        p |= {name: value for name, value in chosen.items() if p[name] is None}
        whole, every = p["batch_size"] == "all", p["record_every"]
        rare = whole and p["tol"] is None and not validated and every != "auto"
        stop = {"loss_tolerance": p["tol"]} if p["tol"] is not None else {}
        if validated and self.early_stopping:
            stop["patience"] = max(PATIENCE, p["epochs"] // 5)
        descent = {
            **{name: p[name] for name in _DESCENT},
            "seed": seed,
            "stop": stop,
            "history": {"every": every},
            # batch descent validates only when it records, unless a criterion needs each epoch
            "validate_every": every if rare else 1,
            "keep": "best" if validated else "last",
        }
        model = {name: p[name] for name in ("hidden", "activation", "initialization")}
        if not self.fit_intercept:
            refuse_intercept(p)
            model = {"name": "through-origin"}
        arrays = {"path": "arrays", "label": "y"}
        table = {"events": arrays, "model": model, "descent": descent}
        return recipe_of(table, type(self).__name__)

    def _schema(self) -> Schema:
        columns = getattr(self, "feature_names_in_", None)
        names = columns if columns is not None else [f"x{i}" for i in range(self.n_features_in_)]
        return Schema(tuple(map(str, names)), *self._task(), "y")

    def _told(self, recipe: Recipe) -> AbstractContextManager[CallbackAdapter]:
        epochs = recipe.descent.epochs
        assert isinstance(epochs, int)  # as the parameter is
        return told(self.callbacks or (), epochs, self.verbose)

    def _descend(self, train: Sample, validation: Sample | None) -> None:
        """Fit anew."""
        recipe, schema = self._recipe(*self._begun), self._schema()
        checkpointer = MemoryCheckpointer()
        self._partial = self._solution = None
        self._decided = decided_for(
            recipe.descent, train, recipe.model, schema.task, validation is not None
        )
        try:
            with self._told(recipe) as callback:
                fitted = fit(
                    train,
                    validation,
                    schema,
                    recipe.model,
                    recipe.descent,
                    checkpointer,
                    callback=callback,
                    say=callback.say,
                    rate_from="as given" if self.learning_rate is not None else DEFAULT_RATE,
                )
        except EventsError:
            if self.method != "auto" or recipe.descent.method == "descent" or self._not_convex:
                raise
            self._not_convex = True  # with negative weights; a descent stops where it runs away
            self._descend(train, validation)
            return
        except DivergenceError as error:
            warnings.warn(str(error), ConvergenceWarning, stacklevel=3)
            state = _state(checkpointer)
            self.model_ = model_at(train, schema, recipe.model, recipe.descent, state)
            self.learning_rate_, self.l2_, self.exact_ = None, None, None
            self.n_iter_, self.stop_reason_ = state.step, "diverged"
        else:
            self.model_, self.exact_ = fitted.model, fitted.exact
            self._decided = fitted.recipe
            l2 = fitted.recipe.l2
            assert isinstance(l2, float)  # what was left open is chosen
            self.learning_rate_, self.l2_ = fitted.learning_rate.value, l2
            self._end(fitted.outcome.state)
            self._warn_unconverged(fitted.outcome.state)
            if self.hidden and self.epochs is None and self.optimizer is None:
                self._warn_no_better(fitted, train, schema, recipe)
            if recipe.descent.method == "descent":
                self._partial = PartialFit.after_fit(fitted, schema, recipe)
            elif self.method == "auto":
                self._solution = fitted.model
        self.history_ = _history(checkpointer)

    def _continue(self, train: Sample) -> None:
        """Take one epoch over these events."""
        partial = self._partial
        if partial is None:
            self._begun, self._decided = (len(train), seed_of(self), False, True), None
        recipe = self._recipe(*self._begun)
        if partial is None:
            partial = PartialFit.start(train, self._schema(), recipe, self._solution)
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
            with self._told(recipe) as callback:
                partial = partial.epoch(train, checkpointer, callback)
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
        self.learning_rate_, self.l2_, self.exact_ = partial.learning_rate.value, partial.l2, None
        tables = [table for table in (self.history_, _history(checkpointer)) if table is not None]
        self.history_ = pl.concat(tables, how="diagonal") if tables else None

    def _end(self, state: State) -> None:
        self.n_iter_ = state.step
        reason = state.reason
        assert reason is not None  # a descent ends for one
        self.stop_reason_ = (
            reason.sentence if reason.kind != "asked" else "a callback returned True"
        )

    def _warn_unconverged(self, state: State) -> None:
        if state.reason is not None and state.reason.kind in ("negative-loss", "separable"):
            warnings.warn(
                f"{type(self).__name__} has no minimum to go to: {state.reason.sentence}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        if self.tol is not None and state.reason is not None and state.reason.kind == "epochs":
            warnings.warn(
                f"{type(self).__name__} has taken all its epochs before the training loss fell by "
                f"less than tol = {self.tol:g} in one. More epochs, or a larger learning rate, "
                "bring it nearer to the minimum.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _warn_no_better(
        self, fitted: Fitted, train: Sample, schema: Schema, recipe: Recipe
    ) -> None:
        """Warn unless a network with the default descent is better than a linear model."""
        assert isinstance(recipe.model, ModelRecipe)
        found = compare_with_linear(fitted, train, schema, recipe.model)
        if found is None or found.is_better:
            return
        warnings.warn(
            f"The network is {'' if found.is_worse else 'not shown to be '}"
            f"{'worse' if found.is_worse else 'better'} than a linear model: on {found.events:,} "
            f"events that were held out of trial runs its loss is {found.network:.4g}, that of the "
            f"linear model {found.linear:.4g} (difference "
            f"{found.difference:.2g} ± {found.uncertainty:.2g}). More events or epochs, a larger "
            "l2 or fewer units may help; hidden=() is the linear model.",
            ConvergenceWarning,
            stacklevel=4,
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        """scikit-learn's diagram; of a fitted estimator how its descent went, and the loss."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if "text/html" in bundle and hasattr(self, "model_") and hasattr(self, "stop_reason_"):
            bundle["text/html"] += html_of_descent(self)
        return bundle

    def _repr_html_(self) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        bundle = self._repr_mimebundle_()
        return bundle.get("text/html", bundle["text/plain"])

    @property
    def relevance_(self) -> Array | None:
        """What the scaled inputs are multiplied by, ``(inputs,)``; None where they are not."""
        check_is_fitted(self, "model_")
        return getattr(self.model_.scaling, "relevance", None)

    @property
    def plot(self) -> EstimatorPlots:
        """The figures of a report: ``plot.loss()``, ``plot.roc(X, y)``, ``plot.residuals(X, y)``.

        They take Matplotlib axes, or make a new figure, which notebooks show.
        """
        check_is_fitted(self, "model_")
        return EstimatorPlots(self)

    def evaluate(self, X: Any, y: Any, sample_weight: Any = None) -> Merits:
        """Figures of merit on these events, weighted, with intervals, counts and definitions.

        Returns
        -------
        Merits
            By name, a `steepest.evaluate.Merit` each; it is shown as a table.

        Examples
        --------
        >>> model.evaluate(X, y, w)["auc"].format()  # doctest: +SKIP
        '0.9412 ± 0.0016'
        """
        return evaluated(self.scored(X, y, sample_weight))[1]

    def explain(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        validation: Any = None,
        *,
        try_fixes: bool = True,
    ) -> Explanation:
        """Say why `fit` converged, crawled, oscillated or diverged, with each fix tried.

        Parameters
        ----------
        X, y, sample_weight, validation
            What `fit` was given: an estimator keeps no events.
        try_fixes
            False measures only.

        Examples
        --------
        >>> print(model.fit(X, y).explain(X, y))  # doctest: +SKIP
        """
        from steepest.explain.explanation import explain

        check_is_fitted(self, "model_")
        parts = {TRAIN: self._sample(X, y, sample_weight, new=False)}
        events, seed, *_ = self._begun
        if validation is not None:
            X, y, *rest = validation
            parts[VALIDATION] = self._sample(X, y, rest[0] if rest else None, new=False)
        elif self.early_stopping:
            parts = dict(enumerate(parted(parts[TRAIN], self._task()[0], seed)))
        own = self._fingerprint
        others = own is not None and own != fingerprint(parts[TRAIN])
        if len(parts[TRAIN]) != events or self._decided is None or others:
            found = "a model of `partial_fit`"
            if self._decided is not None:
                same = len(parts[TRAIN]) == events
                found = f"{len(parts[TRAIN]):,}" + (" with other values" if same else "")
            raise EventsError(
                f"{type(self).__name__} was fitted to other events.",
                expected=f"the {events:,} events of `fit`",
                found=found,
                do="explain(X, y) with the X and y of fit, and its validation",
            )
        rate, decided = self.learning_rate_, self._decided
        if rate is None and decided.learning_rate == "auto" and self.history_ is not None:
            rate = self.history_["learning_rate"].max()  # it diverged
        if isinstance(rate, float) and math.isfinite(rate):
            decided = decided.model_copy(update={"learning_rate": float(rate)})
        return explain(
            record_of(
                type(self).__name__, self.model_, self._recipe(*self._begun), decided,
                self._schema(), parts, self.history_, self.stop_reason_ == "diverged",
            ),
            try_fixes=try_fixes,
        )  # fmt: skip

    def scored(self, X: Any, y: Any, sample_weight: Any = None) -> Scored:
        """These events with the model's predictions, for functions of `steepest.training`."""
        check_is_fitted(self, "model_")
        sample = self._sample(X, y, None, new=False)
        weights = weights_of(sample_weight, len(sample))
        return Scored(self.model_, replace(sample, weights=weights))

    def _predicted(self, X: Any) -> Array:
        """What the model says of X, checked by scikit-learn; float32 of what is float32."""
        return self._of_inputs(X, lambda inputs: self.model_.predict(inputs))  # noqa: PLW0108 - checked first

    @property
    def _begins(self) -> bool:
        """Whether `partial_fit` has nothing to go on from."""
        return self._partial is None and self._solution is None

    def _of_inputs(self, X: Any, says: Callable[[Array], Array]) -> Array:
        check_is_fitted(self, "model_")
        check: Any = validate_data
        inputs = check(self, X, reset=False, dtype=[np.float64, np.float32])
        return says(inputs).astype(inputs.dtype, copy=False)

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
    return getattr(estimator, "method", "auto") in ("auto", "descent")


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
