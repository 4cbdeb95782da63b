"""Permutation importance: by how much a figure of merit falls if one feature is permuted."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest import evaluate
from steepest.evaluate import Merit
from steepest.events import EVENT_ROW
from steepest.storage import AnyArray, in_memory
from steepest.training.fit import predictions_of
from steepest.training.scored import Scored

EVENTS = 50_000
"""Events of the evaluated part that are used at most, evenly spaced."""
SEED = 0


def importance_of(scored: Scored) -> dict[str, Any]:
    """Return the importance of each feature, as metrics.json holds it.

    The values of a feature are permuted among the events, so that it tells nothing, and the model
    scores the events again. Its importance is the mean over the events of the loss that this adds::

        I = Σ w (ℓ(permuted) − ℓ) / Σ w

    where ℓ is the cross entropy of two or more classes, −log p(true class), or the squared residual
    of a regression; the interval is that of a weighted mean of the differences, event by event.
    Features that say the same share their importance: none of them is missed where one is permuted.

    References
    ----------
    L. Breiman, Machine Learning 45 (2001) 5, doi:10.1023/A:1010933404324; A. Fisher, C. Rudin,
    F. Dominici, Journal of Machine Learning Research 20 (2019) 177, arXiv:1801.01489.
    """
    sample = scored.events.thinned(EVENTS)
    features = np.array(in_memory(sample.features))
    labels = in_memory(sample.labels)
    weights = None if sample.weights is None else in_memory(sample.weights)
    before = _losses(scored, features, labels)
    random = np.random.default_rng(SEED)
    found = {}
    for column, name in enumerate(scored.model.names):
        kept = features[:, column].copy()
        features[:, column] = random.permutation(kept)
        added = _losses(scored, features, labels) - before
        features[:, column] = kept
        found[str(name)] = _merit(added, weights, sample.extra.get(EVENT_ROW))
    ordered = sorted(found, key=lambda name: -found[name].value)
    return {name: found[name].to_json() for name in ordered}


def _losses(scored: Scored, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the loss of each event."""
    predicted = in_memory(predictions_of(scored.model, features)).astype(np.float64)
    if scored.model.task == "regression":
        return (predicted - labels) ** 2
    if scored.model.task == "binary":
        right = np.where(labels == 1, predicted, 1 - predicted)
    else:
        right = predicted[np.arange(len(labels)), labels.astype(np.intp)]
    return -np.log(np.maximum(right, np.finfo(np.float32).eps))


def _merit(added: np.ndarray, weights: np.ndarray | None, event: AnyArray | None) -> Merit:
    definition = "weighted mean of the loss that permuting the feature adds; standard error of it"
    if event is not None:  # rows of one event are one number: their mean, with their weights
        w = np.ones(len(added)) if weights is None else weights
        _, of_row = np.unique(in_memory(event), return_inverse=True)
        sums = np.bincount(of_row, w)
        with np.errstate(divide="ignore", invalid="ignore"):
            added = np.nan_to_num(np.bincount(of_row, w * added) / sums)
        weights = sums
        definition += ", of which events are the unit, not their rows"
    mean = evaluate.regression_merits(np.zeros(len(added)), added, weights)["bias"]
    return Merit(
        "importance", mean.value, mean.low, mean.high, mean.uncertainty, mean.level, mean.counts,
        definition,
    )  # fmt: skip
