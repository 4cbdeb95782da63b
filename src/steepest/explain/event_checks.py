"""Checks of the events: the label, leaks, copies, weights, classes, drift, and what they tell."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from steepest import evaluate
from steepest.events import TRAIN, VALIDATION
from steepest.explain.data import Data, matrix_of
from steepest.explain.findings import Check, Finding
from steepest.explain.measured import Measured
from steepest.explain.record import Record

FEW = 0.02
"""(Σw)²/Σw² as a share of the events, below which a few of them have nearly all the weight."""
RARE = 0.03
"""Weight of a class, as a share of all, below which the descent hardly sees it."""


def check_loss(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether the loss suits the label."""
    labels = np.asarray(record.parts[TRAIN].labels)
    if record.model.task == "regression" and len(labels) > 20:
        values = np.unique(labels[:10_000])
        if len(values) == 2:
            yield Finding(
                "wrong-loss",
                "The label has two values, but the loss is the mean squared error.",
                f"labels {values[0]:g} and {values[1]:g}",
                "it is not a likelihood of classes: predictions leave [0, 1]",
                'descent.loss = "binary-cross-entropy"',
                severity="wrong",
                change={"descent.loss": "binary-cross-entropy"}
                if set(values.tolist()) == {0.0, 1.0}
                else {},
                weight=4.0,
                fact=True,
            )


def check_events(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Leaks, copies across the split, few heavy weights, rare classes, constants, drift."""
    data = measured.data
    for name, value in data.leaks.items():
        yield Finding(
            "leak",
            f"{name} alone tells the label.",
            f"AUC or correlation {value:.4f} by this one feature",
            "such a feature is mostly made from the label, and will not be there in data",
            f"leave {name} out of events.features",
            severity="wrong",
            weight=1e5,
            fact=True,
        )
    across, within = data.repeated
    if across > 0.05 and within < 0.5:
        yield Finding(
            "copies-across-the-split",
            f"{100 * across:.2g} % of the validation events are training events too.",
            f"with all features equal; {100 * within:.2g} % of the training events are copies",
            "the validation loss then rewards learning by heart",
            "remove the copies, or let events.split divide the events",
            severity="wrong",
            weight=1e4,
            fact=True,
        )
    if data.effective < FEW:
        yield Finding(
            "few-heavy-weights",
            "A few events have nearly all the weight.",
            f"(Σw)²/Σw² is {100 * data.effective:.2g} % of the events",
            "the gradient is that of these few, and so is the model",
            "look at the largest weights; events.train_weights trains without them",
            severity="wrong",
            weight=1e3,
            fact=True,
            change={"events.train_weights": "1"} if record.recipe.events.weight else {},
        )
    if data.rarest < RARE:
        yield Finding(
            "imbalance",
            f"A class has {100 * data.rarest:.2g} % of the weight that the descent sees.",
            "sum of its weights over the whole",
            "J hardly changes by it: a model that never names it loses little",
            'events.train_weights = "balanced"',
            severity="better",
            weight=2.0,
            fact=True,
        )
    share, error = data.noise
    if share > 0:
        yield Finding(
            "label-noise",
            f"Up to {100 * share:.2g} % of the labels look drawn at random.",
            f"boosted trees are wrong on {50 * share:.2g} ± {50 * error:.2g} % of the events that "
            "they are surest of, as on those that they are less sure of",
            "overlapping classes have few errors among the surest; exchanged labels have as many "
            "everywhere",
            "look at the surest errors: labels of other events, or of another definition",
            severity="better",
            weight=5.0,
            fact=True,
        )
    if data.constant:
        yield Finding(
            "constant-features",
            f"{', '.join(data.constant)} {'has' if len(data.constant) == 1 else 'have'} one value.",
            "no spread in the training part",
            "it tells nothing",
            "leave it out",
            severity="note",
            weight=0.5,
            fact=True,
        )
    name, inflation = data.collinear
    if inflation > 1e4:
        yield Finding(
            "collinear-features",
            f"{name} follows from the other features.",
            f"its variance is inflated by 1/(1 − R²) = {inflation:.3g}",
            "coefficients along it are free, and descents slow",
            f'leave {name} out, or descent.scaling = "whiten"',
            severity="note",
            weight=1.0,
            fact=True,
        )
    name, distance, probability = data.drift
    if _parts_differ(data):
        yield Finding(
            "parts-differ",
            f"{name} is distributed differently in the training and validation parts.",
            f"Kolmogorov distance {distance:.3g}, probability {probability:.1g}",
            "the validation loss is then of other physics",
            "one events.split for all",
            severity="wrong",
            weight=1e3,
            fact=True,
        )
    if not (data.leaks or across > 0.05 or data.effective < FEW):
        yield Check(
            "events",
            True,
            f"no feature tells the label alone, {100 * across:.2g} % "
            f"of validation events seen in training, effective events "
            f"{100 * data.effective:.0f} %",
        )


def _parts_differ(data: Data) -> bool:
    _, distance, probability = data.drift
    return probability < 1e-6 and distance > 0.1


def check_information(record: Record, measured: Measured) -> Iterator[Finding | Check]:
    """Whether the features say anything of the label: boosted trees find it where they do."""
    curves = measured.curves
    if record.validation is None:
        return
    if (curves.constant - curves.best_validation) / max(curves.constant, 1e-300) > 0.02:
        return
    if _parts_differ(measured.data):
        yield Check("information", False, "the parts differ: what one tells is not of the other")
        return
    train, validation = (
        matrix_of(record.parts[part], record.schema.names)[0] for part in (TRAIN, VALIDATION)
    )
    if train.task != "binary" or min(np.bincount(np.asarray(train.labels).astype(np.int64))) < 50:
        yield Check("information", False, "tested for two classes of 50 events at least")
        return
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    # by the weights of a few events nothing can be learnt, whatever the features say
    few, given = measured.data.effective < FEW, train.descent_weights
    trees = HistGradientBoostingClassifier(random_state=0)
    with threadpool_limits(1):
        trees.fit(np.asarray(train.features), np.asarray(train.labels), None if few else given)
    scores = trees.predict_proba(np.asarray(validation.features))[:, 1]
    weights = None if few else validation.weights
    merit = evaluate.auc(np.asarray(validation.labels), scores, weights)
    if merit.value - 3 * merit.uncertainty < 0.5:
        yield Finding(
            "no-information",
            "The features say nothing of the label.",
            f"boosted trees reach an AUC of {merit.value:.3f} ± {merit.uncertainty:.3f}",
            "labels in another order than the events, or features that do not tell",
            "check that labels and features belong together",
            severity="wrong",
            weight=1e7,
            fact=True,
        )
    else:
        yield Check("information", True, f"boosted trees reach an AUC of {merit.value:.3f}")
