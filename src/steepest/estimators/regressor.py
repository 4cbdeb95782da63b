"""Linear regression and dense networks as a scikit-learn regressor."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import column_or_1d

from steepest.estimators.base import Descended, arrays_of, descends, weights_of
from steepest.evaluate import r_squared
from steepest.events import Sample

__all__ = ["Regressor"]

Array = np.ndarray


class Regressor(RegressorMixin, Descended):
    """Linear regression, or a dense network, by gradient descent on the mean squared error.

    J(θ) = Σ wᵢ (f_θ(xᵢ) − yᵢ)² / Σ wᵢ + (λ/2) ‖weights‖²; wᵢ are the events' weights.

    A network learns (y − mean)/σ of the training target, so that its result does not depend on the
    target's unit; predictions are in that unit, losses in units of σ². Linear models learn y.

    Parameters
    ----------
    hidden
        Units of each hidden layer; () is linear regression.
    fit_intercept
        False: a linear model without an intercept, f(x) = Σ wⱼxⱼ, for features whose zero means
        something. They are then not scaled.
    method
        "descent"; "exact": the least-squares answer by an orthogonal factorisation, as the
        reference that descent is compared with; or "newton": the minimum by steps in the metric of
        the curvature, for many events. These two: no hidden layers and no `partial_fit`. "auto" is
        "exact" without hidden layers, from 200,000 values of X on or with validation "newton",
        where `batch_size`, `optimizer`, `learning_rate`, `schedule`, `epochs`, `callbacks` and
        `early_stopping` are left out, else "descent".
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
        λ ≥ 0, on the weights, not on the biases. "auto" is the best of 0.2, 2 and 20 / n in trial
        runs; for n < 1,000 events of 7 / n, 20 / n and the smaller of 0.06 and 20 / n. None is 0,
        and "auto" for networks with `epochs` and `optimizer` left out.
    epochs
        Stop after so many epochs. None is 100, and for networks what takes some 3,000 steps.
    tol
        Stop when the training loss falls by less than this in an epoch; None does not.
    early_stopping
        Set a tenth of the events aside, drawn by the seed, keep the parameters that are best on
        them, and stop when none were better for a fifth of the epochs.
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
    coef_ : ndarray (features,)
        In the features' original units; models without hidden layers only.
    intercept_ : float
        As `coef_`.
    exact_ : steepest.descent.exact.LeastSquares
        With ``method="exact"``: condition number and digits lost; else None.
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
        For weights whose sum is not positive. Both are a `ValueError`.

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
    >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
    >>> model = Regressor().fit(X, y)
    >>> model.coef_.round(6), round(model.intercept_, 6), round(model.score(X, y), 6)
    (array([2.]), 1.0, 1.0)
    >>> print(Regressor(learning_rate=0.1, epochs=3, callbacks=[print]).fit(X, y).stop_reason_)
    epoch 1 of 3: loss 11.6667, η 0.1
    epoch 2 of 3: loss 7.46667, η 0.1
    epoch 3 of 3: loss 4.77867, η 0.1
    all 3 epochs are done
    """

    @available_if(descends)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go on with the descent: one pass over these events, in mini-batches of `batch_size`.

        As `Classifier.partial_fit`, which has the arguments, the errors and the rules: n calls with
        one sample are `fit` with n of `epochs`, bit for bit; scaling, η of "auto" (of 1,000 events
        or more) and the schedule's length are those of the first call.

        Examples
        --------
        >>> import numpy as np
        >>> X, y = np.array([[0.0], [1.0], [2.0]]), np.array([1.0, 3.0, 5.0])
        >>> model = Regressor(batch_size=1, schedule="cosine", epochs=20)
        >>> for _ in range(20):
        ...     model = model.partial_fit(X, y)
        >>> model.n_iter_, model.predict([[3.0]]).round(2)
        (60, array([7.]))
        """
        self._continue(self._sample(X, y, sample_weight, new=self._begins))
        return self

    def predict(self, X: Any) -> Array:
        """The predicted values, ``(events,)``."""
        return self._predicted(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R², as in a report; NaN where y does not vary."""
        predicted = self.predict(X)
        return r_squared(
            column_or_1d(y), predicted, weights_of(sample_weight, len(predicted))
        ).value

    @property
    def coef_(self) -> Array:
        """Coefficients in the features' original units."""
        return self._coefficients("coef_").values[:, 0]

    @property
    def intercept_(self) -> float:
        """Intercept in the features' original units."""
        return float(self._coefficients("intercept_").intercept[0])

    def _task(self) -> tuple[str, tuple[str, ...]]:
        return "regression", ()

    def _sample(self, X: Any, y: Any, sample_weight: Any, new: bool) -> Sample:
        X, y = arrays_of(self, X, y, reset=new, numeric=True)
        return Sample(X, y.astype(np.float64), weights_of(sample_weight, len(X)))
