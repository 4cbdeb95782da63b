"""ROC curves of several classes, each against the rest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steepest.evaluate.curves.roc import Roc, roc_curve
from steepest.evaluate.events.arrays import Values, check_weight_sum
from steepest.evaluate.events.classes import check_classified, one_class
from steepest.evaluate.events.columns import sums_of
from steepest.storage import derived

__all__ = ["roc_curves_by_class"]


def roc_curves_by_class(
    labels: Values,
    probabilities: Values,
    weights: Values | None = None,
    class_names: Sequence[str] | None = None,
) -> dict[str, Roc]:
    """Return for each class the ROC curve of its probability: that class against the rest.

    With p_k the probability of class k, and all other classes as the background with their own
    weights::

        ε_S(t) = Σ_{i of class k, p_k ≥ t} wᵢ / Σ_{i of class k} wᵢ
        ε_B(t) = Σ_{i of the rest, p_k ≥ t} wᵢ / Σ_{i of the rest} wᵢ

    Its area is ``auc_<class>`` of `multiclass_merits`. The mix of the rest is that of the events
    given: another mix has another curve.

    Parameters
    ----------
    labels
        Class numbers 0 … K − 1, shape (events,).
    probabilities
        Rows that add up to one, shape (events, K).
    weights
        Event weights of any sign, a positive sum in each class and in its rest, shape (events,);
        None is 1 each.
    class_names
        K names, the class numbers when None.

    Returns
    -------
    dict[str, Roc]
        By class name; a class without events has no curve and is left out.

    Raises
    ------
    EventsError, InputError
        As `multiclass_merits` does.

    References
    ----------
    T. Fawcett, Pattern Recognition Letters 27 (2006) 861, section 9,
    doi:10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> curves = roc_curves_by_class([0, 1, 1], [[0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    >>> curves["0"].background_efficiency.tolist()
    [0.0, 0.0, 0.5, 1.0]
    """
    label, probability, weight, names = check_classified(
        labels, probabilities, weights, class_names
    )
    curves = {}
    for index, name in enumerate(names):
        own, score = one_class(label, probability, index)
        if not sums_of(weight, own).events:
            continue
        check_weight_sum(weight, f"events of class {name}", own)
        rest = derived(np.logical_not, own)
        check_weight_sum(weight, f"events that are not of class {name}", rest)
        curves[name] = roc_curve(own, score, weight)
    return curves
