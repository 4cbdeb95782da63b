"""Figures of merit and figures of a fitted estimator, as a run has them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from steepest.errors import InputError
from steepest.evaluate import Merit
from steepest.events import TEST, TRAIN
from steepest.recipe import EvaluateRecipe
from steepest.terminal import html_pictures, html_table, rows_of_merits, text_table
from steepest.training import figures as drawn
from steepest.training.evaluation import Evaluation, evaluate_model
from steepest.training.scored import Scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from steepest.estimators.base import Descended

    Into = Axes | NDArray[Any] | None


class Merits(Mapping[str, Merit]):
    """Figures of merit by name, each a `Merit` with its interval; shown as a table.

    In a notebook the ROC curve is below it, of a regression the residuals.

    Examples
    --------
    >>> merits = Merits({"auc": Merit("auc", 0.9, 0.89, 0.91, 0.01, 0.68, {}, "")}, "10 events")
    >>> merits["auc"].value
    0.9
    """

    def __init__(
        self,
        merits: Mapping[str, Merit],
        title: str,
        pictures: Mapping[str, Callable[[], Any]] | None = None,
    ) -> None:
        self._merits, self.title, self._pictures = dict(merits), title, dict(pictures or {})

    def __getitem__(self, name: str) -> Merit:
        return self._merits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._merits)

    def __len__(self) -> int:
        return len(self._merits)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as metrics.json has them."""
        return {name: merit.to_json() for name, merit in self.items()}

    def __repr__(self) -> str:
        return text_table(self.title, *rows_of_merits([self._merits], ["value"]))

    def _repr_html_(self) -> str:
        from steepest.evaluate.figures import rendered

        table = html_table(self.title, *rows_of_merits([self._merits], ["value"]))
        return table + html_pictures({n: rendered(draw()) for n, draw in self._pictures.items()})


def evaluated(scored: Scored) -> tuple[Evaluation, Merits]:
    """Return the evaluation of scored events, and its figures of merit."""
    evaluation = evaluate_model(scored, EvaluateRecipe(), None)
    title = f"{evaluation.name}, {len(scored.events):,} events"
    name, draw, _ = drawn.main_result(scored.model, evaluation)
    return evaluation, Merits(evaluation.merits, title, {name: draw})


def html_of_descent(estimator: Descended) -> str:
    """How the descent of a fitted estimator went, for a notebook: a line, and the loss curve."""
    from steepest.evaluate.figures import rendered

    said = f"{estimator.n_iter_:,} steps: {estimator.stop_reason_}."
    if rate := getattr(estimator, "learning_rate_", None):  # 0 where no step was taken
        said += f" η = {rate:.3g}."
    history = getattr(estimator, "history_", None)  # a folder of a shared model holds none
    if history is None:
        return f"<p>{escape(said)}</p>"
    for name in ("loss", "validation_loss"):
        if name in history and len(values := history[name].drop_nulls()):
            said += f" The last {name.replace('_', ' ')} is {values[-1]:.4g}."
    _, draw, _ = drawn.descent(history.to_arrow(), None)
    return f"<p>{escape(said)}</p>{html_pictures({'Loss': rendered(draw())})}"


class EstimatorPlots:
    """Draws the figures of a report for a fitted estimator, from the events that are given.

    Each method takes Matplotlib axes to draw into, or makes a new figure, and returns the axes.
    What is drawn into the same axes again differs by colour and line style, as `Run.plot` has it.

    Examples
    --------
    >>> model.plot.roc(X_test, y_test)  # doctest: +SKIP
    >>> model.plot.scores(X_test, y_test, training=(X, y))  # doctest: +SKIP
    """

    def __init__(self, estimator: Descended) -> None:
        self._estimator = estimator

    def loss(self, axes: Into = None) -> Any:
        """Loss and learning rate of the last `fit` against the step."""
        from steepest.evaluate import figures

        history = self._estimator.history_
        if history is None:
            raise InputError(
                "There is no history to draw.",
                expected="a descent",
                found='method = "exact", which takes no steps',
                do="draw residuals instead: plot.residuals(X, y)",
            )
        _, draw, _ = drawn.descent(history.to_arrow(), None)
        return figures.drawn_into(draw, axes, "descent", type(self._estimator).__name__)

    def roc(self, X: Any, y: Any, sample_weight: Any = None, axes: Into = None) -> Any:
        """Background rejection against signal efficiency; of several classes, each in turn."""
        name = "roc-classes" if len(self._estimator.model_.classes) > 2 else "roc"
        return self._result(name, X, y, sample_weight, axes)

    def calibration(self, X: Any, y: Any, sample_weight: Any = None, axes: Into = None) -> Any:
        """The fraction of signal against the score."""
        return self._result("calibration", X, y, sample_weight, axes)

    def confusion(self, X: Any, y: Any, sample_weight: Any = None, axes: Into = None) -> Any:
        """The confusion matrix of several classes."""
        return self._result("confusion", X, y, sample_weight, axes)

    def residuals(self, X: Any, y: Any, sample_weight: Any = None, axes: Into = None) -> Any:
        """Prediction against truth, and their difference, of a regressor."""
        return self._result("residuals", X, y, sample_weight, axes)

    def scores(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        axes: Into = None,
        *,
        training: tuple[Any, ...],
    ) -> Any:
        """The scores of signal and background, beside those of the training events.

        `training` is what `fit` was given: (X, y) or (X, y, sample_weight).
        """
        return self._result("scores", X, y, sample_weight, axes, training)

    def features(self, X: Any, y: Any, sample_weight: Any = None, axes: Into = None) -> Any:
        """The features, with their values before and after scaling."""
        from steepest.evaluate import figures

        scored = self._estimator.scored(X, y, sample_weight)
        _, draw, _ = drawn.features(scored.model, scored.events)
        return figures.drawn_into(draw, axes)

    def _result(
        self,
        name: str,
        X: Any,
        y: Any,
        sample_weight: Any,
        axes: Into,
        training: tuple[Any, ...] | None = None,
    ) -> Any:
        from steepest.evaluate import figures

        scored = {TEST: self._estimator.scored(X, y, sample_weight)}
        if training is not None:
            scored[TRAIN] = self._estimator.scored(*training)
        evaluation, _ = evaluated(scored[TEST])
        given = scored[TEST].model, evaluation, None, scored, TEST, EvaluateRecipe()
        draws = {each: draw for each, draw, _ in drawn.results(*given)}
        if name not in draws:
            raise InputError(
                f"A model of {scored[TEST].model.task} has no figure {name!r}.",
                expected=", ".join(draws),
                found=name,
            )
        return figures.drawn_into(draws[name], axes, name, type(self._estimator).__name__)
