"""Sentences about a model that is worse than it should be: than guessing, or than its baseline."""

from __future__ import annotations

from typing import Any

from steepest.evaluate import Merit
from steepest.events import Sample
from steepest.storage import blocks
from steepest.training.evaluation import Evaluation
from steepest.training.fitting.fitted import Fitted
from steepest.training.weights import UNEQUAL, class_sums

NEGATIVE = 0.05
"""Share of Σ|w| in negative weights that may be the cause."""
EARLY, LATE = 0.2, 0.9
"""Shares of the steps before and after which the best parameters tell something."""

NOTICEABLE = 0.05
"""Of 1 − AUC, of the cross entropy or of the mean squared error, by which a model is worse."""

_GUESSING = {
    "auc": ("an AUC", 0.5, "guessing"),
    "auc_macro": ("a mean AUC", 0.5, "guessing"),
    "r_squared": ("an R²", 0.0, "a constant"),
}
_LEFT = ("auc", "binary_cross_entropy", "cross_entropy", "mean_squared_error")
"""Figures of merit of the baseline that a gain is compared with."""


def warnings_about(
    evaluation: Evaluation, linear: Evaluation | None, merits: Any, fitted: Fitted, train: Sample
) -> list[str]:
    """Return a sentence with the likely cause for each comparison that the model loses.

    `evaluation` and `linear` are of the same events; `merits` are as in metrics.json.
    """
    name = evaluation.name
    return [
        f"The {name} {sentence}."
        for sentence in (
            *untrained(fitted),
            *_as_good_as_guessing(evaluation),
            *_lost(evaluation, linear, merits, fitted, train),
        )
    ]


def untrained(fitted: Fitted) -> list[str]:
    """Say that no step of a descent was better than its start."""
    steps = fitted.outcome.state.step
    if fitted.outcome.step or not steps:
        return []
    return [
        f"is the one that the descent began with: none of its {steps:,} steps lowered the loss of "
        "the validation part. Likely cause: too few events, or features that do not tell the label"
    ]


def _as_good_as_guessing(evaluation: Evaluation) -> list[str]:
    """Say that figures of merit are within two standard deviations of guessing, or less above."""
    told = []
    for name, (_, limit, other) in _GUESSING.items():
        merit = evaluation.merits.get(name)
        if merit is None or _is_below(merit, limit) or 2 * merit.low - merit.value > limit:
            continue
        few = merit.is_rough
        cause = "more events would tell" if few else "the features may not tell the label"
        told.append(
            f"is not shown to be better than {other}: {merit.title} {merit.format()}, "
            f"{merit.rests_on}; {cause}"
        )
    return told


def _lost(
    evaluation: Evaluation, linear: Evaluation | None, merits: Any, fitted: Fitted, train: Sample
) -> list[str]:
    """Say that a model is worse than guessing or its baseline, with the likely cause."""
    lost = []
    for name, (title, limit, other) in _GUESSING.items():
        merit = evaluation.merits.get(name)
        if merit is not None and _is_below(merit, limit):
            lost.append(f"worse than {other} ({title} of {merit.value:.4g})")
    gains = list(merits.get("gain", {}).values()) if linear is not None else []
    lower = [gain for gain in gains if linear is not None and _is_noticeable(gain, linear)]
    if lower:
        lost.append(f"worse than its linear baseline ({_listed(lower)})")
    if lost:
        return [f"is {' and '.join(lost)}. Likely cause: {_cause(fitted, train)}"]
    if gains and gains[0].high < 0:
        return [
            f"is slightly worse than its linear baseline ({_listed(gains[:1])}). For these "
            "features and events the linear model is enough"
        ]
    return []


def _is_below(merit: Merit, limit: float) -> bool:
    """Whether a figure of merit is more than two standard deviations below a limit."""
    return 2 * merit.high - merit.value < limit


def _listed(gains: list[Merit]) -> str:
    return ", ".join(f"{gain.title} {gain.format()}" for gain in gains)


def _is_noticeable(gain: Merit, linear: Evaluation) -> bool:
    """Whether a gain is below zero by more than chance, and by a part of what is left to gain."""
    for name in _LEFT:
        if name in linear.merits and (gain.name == "auc_difference") == (name == "auc"):
            value = linear.merits[name].value
            left = 1 - value if name == "auc" else value
            return -gain.value > max(2 * gain.uncertainty, NOTICEABLE * left)
    return False


def _cause(fitted: Fitted, train: Sample) -> str:
    """Return the likely cause, from the weights and from how the descent went."""
    state, kept = fitted.outcome.state, fitted.outcome.step
    if train.classes and train.train_weights is None:
        sums = class_sums(train)
        if sums.max() > UNEQUAL * sums.min():
            return (
                f"the sums of weights of the classes differ by a factor of "
                f"{sums.max() / sums.min():.3g}, and events.train_weights leaves them so"
            )
    share = _negative_share(train.descent_weights)
    if share > NEGATIVE:
        return f"negative weights, which are {100 * share:.2g} % of the sum of |w|"
    if state.reason is not None and state.reason.kind == "epochs" and kept >= LATE * state.step:
        return "the descent ended before it had converged: raise descent.epochs"
    best = f"the best parameters are those of step {kept:,} of {state.step:,}"
    if kept < EARLY * state.step:
        return f"overtraining, or a learning rate that is too large: {best}"
    if kept < LATE * state.step:
        return f"overtraining: {best}, after which the validation loss does not fall"
    if far := {outlier.feature: None for outlier in fitted.model.scaling.outliers}:
        return f"values far out of {', '.join(far)}, which the log tells: try another scaling"
    if fitted.model.model.linear_layer(fitted.model.theta) is not None:
        return (
            "the label depends on the features in a way that a linear model cannot describe, or "
            "otherwise in the events that it is tested on: try a network (model.hidden)"
        )
    return (
        "none is seen in the weights, the features' scales or the loss's course: try another "
        "descent.learning_rate, or a smaller network"
    )


def _negative_share(weights: Any) -> float:
    if weights is None:
        return 0.0
    negative = total = 0.0
    for (block,) in blocks(weights):
        negative -= float(block[block < 0].sum())
        total += float(abs(block).sum())
    return negative / total
