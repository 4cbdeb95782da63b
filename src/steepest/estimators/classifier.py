"""Logistic and softmax regression, and dense networks, as a scikit-learn classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from scipy.special import log_softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, column_or_1d

from steepest.errors import EventsError
from steepest.estimators.base import Descended, arrays_of, descends, weights_of
from steepest.estimators.choices import class_weights
from steepest.estimators.classes import classes_of, indices_of, refuse_unknown, two_or_more
from steepest.estimators.progress import ProgressCallback, Verbose
from steepest.evaluate import weighted_efficiency
from steepest.events import Sample

__all__ = ["Classifier"]

Array = np.ndarray


class Classifier(ClassifierMixin, Descended):
    """Logistic or softmax regression, or a dense network, by gradient descent.

    J(θ) = Σ wᵢ ℓ(f_θ(xᵢ), yᵢ) / Σ wᵢ + (λ/2) ‖weights‖², with ℓ the binary cross entropy for two
    classes and the cross entropy for more; wᵢ are the events' weights.

    Parameters
    ----------
    hidden
        Units of each hidden layer; () is logistic or softmax regression.
    fit_intercept
        False: a linear model without an intercept, f(x) = Σ wⱼxⱼ, for features whose zero means
        something. They are then not scaled.
    method
        "descent"; "newton": the minimum of J by steps in the metric of its curvature (no hidden
        layers), a few passes over the events, without `partial_fit`; or "auto": "newton" without
        hidden layers where `batch_size`, `optimizer`, `learning_rate`, `schedule`, `epochs`,
        `callbacks` and `early_stopping` are left out, else "descent".
    batch_size
        "all" is batch gradient descent: each step takes the whole sample. A number k is that many
        events a step, 1 is stochastic; more than there are is an error. None is "all" without a
        hidden layer, and for networks 64, or "all" of up to 256 events.
    optimizer
        sgd, momentum, nesterov, rmsprop, adam or adamw, or a table with a name and options:
        ``{"name": "momentum", "momentum": 0.8}``. None is sgd, and for networks adam.
    learning_rate
        η, or "auto": from the curvature for models without hidden layers under SGD, momentum and
        Nesterov, else the best of trial runs. None is "auto", and for networks with `epochs` and
        `optimizer` left out 0.003.
    schedule
        constant, inverse-time, step, exponential, cosine, one-cycle or reduce-on-plateau, or a
        table: ``{"name": "cosine", "warmup": 0.1}``. None is constant, and for networks one-cycle.
    scaling
        none, standard, min-max, robust, quantile, whiten or asinh; fitted on X of `fit`, or of the
        first `partial_fit`. A feature without spread is shifted only. "auto" is standard, and for
        networks asinh; where λ of a network is "auto", inputs of 1,000 events or more are also
        multiplied by their relevance, if trial runs say so.
    l2
        λ ≥ 0, on the weights, not on the biases. "auto" is the best of 0.3, 3 and 30 / n in trial
        runs; for n < 1,000 events of 10 / n, 30 / n and the smaller of 0.005 and 3 / n. None is 0,
        and "auto" for networks with `epochs` and `optimizer` left out.
    epochs
        Stop after so many epochs. None is 100, and for networks what takes some 3,000 steps.
    tol
        Stop when the training loss falls by less than this in an epoch; None does not. For
        "newton": when J is predicted to be less than this above its minimum; None is 1e-10.
    early_stopping
        Set a tenth of the events aside, drawn by the seed, keep the parameters that are best on
        them, and stop when none were better for a fifth of the epochs.
    class_weight
        Factors of the events' weights by class: a dict; "balanced", which makes the sums of weights
        of all classes equal; or None.
    activation
        relu, tanh, sigmoid or gelu, after each hidden layer.
    initialization
        Of the weights; None chooses by the activation.
    record_every
        `history_` has every so many steps; with batch_size="all" and without `tol`, validation,
        callbacks and `verbose` are as rare. "auto": some 20,000 steps, evenly in log-time, and
        each epoch's last.
    dtype
        "float64", or "float32": half the memory, and faster for large networks.
    verbose
        True prints the choice of η and some 20 lines of progress; "bar" shows both as
        `steepest.train` does, in notebooks too.
    callbacks
        Functions of a `Progress`, called after each epoch and each pass of `partial_fit`; one that
        returns True ends `fit` there.
    seed
        Of the initialisation, the order of the events, and which are set aside; one seed gives the
        same bits.
    random_state
        The seed under scikit-learn's name, or a `numpy.random.RandomState` that it is drawn from.

    Attributes
    ----------
    classes_ : ndarray (K,)
        Sorted.
    coef_, intercept_ : ndarray (1, features) or (K, features), and (1,) or (K,)
        In the features' original units; models without hidden layers only.
    history_ : polars.DataFrame
        Loss, learning rate, gradient norm, update ratio; validation at the end of epochs.
    learning_rate_ : float
        η before the schedule; None after a `fit` that diverged.
    l2_ : float
        λ, given or chosen; None after a `fit` that diverged.
    relevance_ : ndarray (features,)
        What trial runs chose to multiply the scaled features by; None where they did not.
    n_iter_ : int
        Steps taken.
    stop_reason_ : str
        Why they ended: a sentence, or "diverged".
    n_features_in_, feature_names_in_
        As in scikit-learn; names where X was a data frame (pandas, Polars) with text for names.
    model_ : steepest.trained.TrainedModel
        Scaling, network and parameters.

    Raises
    ------
    RecipeError
        In `fit` and `partial_fit`, for a parameter out of its range.
    EventsError
        For a single class, or weights whose sum is not positive. Both are a `ValueError`.

    Warns
    -----
    ConvergenceWarning
        The descent diverged; says at which step and why. The best parameters are kept. Or its
        epochs ended before `tol` was reached; or a network with `epochs` and `optimizer` left out
        is not shown to be better than a linear model, in a trial run with events held out; or J has
        no minimum: separable classes, negative weights that were separated from positive ones.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> model = Classifier(l2=0.1).fit(X, ["qcd", "qcd", "top", "top"])
    >>> model.predict([[0.5], [2.5]]).tolist()
    ['qcd', 'top']
    >>> model.predict_proba([[1.5]]).round(6)
    array([[0.5, 0.5]])
    """

    classes_: Array

    def __init__(
        self,
        hidden: tuple[int, ...] = (),
        *,
        fit_intercept: bool = True,
        method: Literal["auto", "descent", "newton"] = "auto",
        batch_size: int | Literal["all"] | None = None,
        optimizer: str | dict[str, Any] | None = None,
        learning_rate: float | Literal["auto"] | None = None,
        schedule: str | dict[str, Any] | None = None,
        scaling: str = "auto",
        l2: float | Literal["auto"] | None = None,
        epochs: int | None = None,
        tol: float | None = None,
        early_stopping: bool = False,
        class_weight: dict[Any, float] | Literal["balanced"] | None = None,
        activation: str = "relu",
        initialization: str | None = None,
        record_every: int | Literal["auto"] = "auto",
        dtype: Literal["float64", "float32"] = "float64",
        verbose: Verbose = False,
        callbacks: Sequence[ProgressCallback] | None = None,
        seed: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(
            hidden,
            fit_intercept=fit_intercept,
            method=method,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            schedule=schedule,
            scaling=scaling,
            l2=l2,
            epochs=epochs,
            tol=tol,
            early_stopping=early_stopping,
            activation=activation,
            initialization=initialization,
            record_every=record_every,
            dtype=dtype,
            verbose=verbose,
            callbacks=callbacks,
            seed=seed,
            random_state=random_state,
        )
        self.class_weight = class_weight

    @available_if(descends)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Go on with the descent: one pass over these events, in mini-batches of `batch_size`.

        Each event is taken once, in the order of the seed and of the number of the call, so that n
        calls with one sample are `fit` with n of `epochs`, bit for bit. θ, the optimiser's memory
        and the number of steps go on from call to call, and from `fit`'s last step (also where
        `fit` kept better parameters than the last). The first call of all fits the scaling,
        chooses η where it is "auto", and sets the schedule's length: `epochs` times its own number
        of mini-batches; beyond that length a schedule stays at its end. An η of "auto" that fewer
        than 1,000 events chose gives way to what the bounds on the curvature of other events allow,
        in models that have them. Fewer events than
        `batch_size` are an error in the first call, and one smaller batch in later ones. `tol`
        does not act, and parameters other than `verbose` and `callbacks` must not change.

        Parameters
        ----------
        X
            ``(events, features)``, finite: an array or a data frame.
        y
            ``(events,)``, each one of the classes.
        sample_weight
            ``(events,)`` of either sign with Σw > 0, one number for all, or None for ones. An event
            of weight k is that event k times: exactly so, up to rounding, for batch descent; for
            mini-batches it is one event whose gradient is k times as large.
            Weights are relative within a call.
        classes
            All classes there will be, in the first call; None or the same in later ones.

        Raises
        ------
        RecipeError, EventsError, ValueError
            As for `fit`; `classes` missing in the first call or others later; a label not in them.

        Examples
        --------
        >>> import numpy as np
        >>> X, y = np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 0, 1, 1])
        >>> model, whole = (Classifier(batch_size=2, epochs=3) for _ in range(2))
        >>> for _ in range(3):
        ...     model = model.partial_fit(X, y, classes=[0, 1])
        >>> model.n_iter_, bool((model.coef_ == whole.fit(X, y).coef_).all())
        (6, True)
        """
        begins = self._begins
        X, y = arrays_of(self, X, y, reset=begins)
        check_classification_targets(y)
        if begins:
            if classes is None:
                raise EventsError(
                    "The first call of Classifier.partial_fit needs all classes.",
                    expected="classes=[…], with every label that later calls may bring",
                    found="classes=None",
                    do="classes=np.unique(y_of_all_events)",
                )
            self.classes_ = two_or_more(unique_labels(classes), "`classes`")
        elif classes is not None and not np.array_equal(unique_labels(classes), self.classes_):
            raise EventsError(
                "The classes have changed since the first call.",
                expected=f"{self.classes_.tolist()}, or None",
                found=f"{unique_labels(classes).tolist()}",
                do="call fit, or partial_fit on a clone, to begin a new descent",
            )
        refuse_unknown(y, self.classes_, "The labels have a class that `classes` lacks.")
        self._continue(self._events(X, y, sample_weight))
        return self

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of the classes, ``(events, K)``, in the order of `classes_`."""

        def both(inputs: Array) -> Array:  # in float64: 1 − P would round to 0 in float32
            p = self.model_.predict(inputs)
            return np.column_stack([1.0 - p, p]) if p.ndim == 1 else p

        return self._of_inputs(X, both)

    def decision_function(self, X: Any) -> Array:
        """The logits z: ``(events,)`` for two classes, with P(classes_[1]) = σ(z); else of each."""
        return self._of_inputs(X, lambda inputs: _flat(self.model_.logits(inputs)))

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of `predict_proba`; from the logits, so finite, where that is zero."""
        z, P = self.decision_function(X), self.predict_proba(X)
        logs = (
            -np.logaddexp(0.0, np.column_stack([z, -z])) if z.ndim == 1 else log_softmax(z, axis=1)
        )
        return np.log(P, out=logs, where=P > 0)

    def predict(self, X: Any) -> Array:
        """The most probable class of each event, ``(events,)``."""
        check_is_fitted(self, "model_")
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy, as in a report: the weighted share of events whose class is predicted."""
        right = self.predict(X) == column_or_1d(y)
        return float(weighted_efficiency(right, weights_of(sample_weight, len(right))).value)

    @property
    def coef_(self) -> Array:
        """Coefficients in the features' original units; of several classes with mean 0."""
        return _centred(self._coefficients("coef_").values.T)

    @property
    def intercept_(self) -> Array:
        """Intercepts in the features' original units; of several classes with mean 0."""
        return _centred(self._coefficients("intercept_").intercept)

    def _task(self) -> tuple[str, tuple[str, ...]]:
        task = "binary" if len(self.classes_) == 2 else "multiclass"
        return task, tuple(map(str, self.classes_))

    def _sample(self, X: Any, y: Any, sample_weight: Any, new: bool) -> Sample:
        X, y = arrays_of(self, X, y, reset=new)
        if new:
            self.classes_ = two_or_more(classes_of(y), f"{len(y):,} events")
        else:
            what = "The labels have a class that the training labels lack."
            refuse_unknown(y, self.classes_, what)
        return self._events(X, y, sample_weight)

    def _events(self, X: Array, y: Array, sample_weight: Any) -> Sample:
        kind = np.int64 if len(self.classes_) > 2 else np.dtype(self.dtype)
        weights = weights_of(sample_weight, len(X))
        weights = class_weights(self.class_weight, self.classes_, y, weights)
        return Sample(X, indices_of(y, self.classes_, kind), weights)


def _flat(logits: Array) -> Array:
    return logits[:, 0] if logits.shape[1] == 1 else logits


def _centred(values: Array) -> Array:
    """Softmax does not see what all classes have in common."""
    return values - values.mean(axis=0) if len(values) > 1 else values
