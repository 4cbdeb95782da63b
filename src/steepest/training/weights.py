"""Weights of the descent: of each event how much is learnt from it, whatever its cross-section.

Figures of merit use the physics weights. A descent with these would learn from the class with the
larger cross-section alone: of 500 signal events against 2.8 million background events, a model that
calls everything background is nearly right. The ROC curve does not depend on a factor common to a
class, so the classes may be balanced without changing what the best model is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from steepest.errors import EventsError
from steepest.events import PARTS, TRAIN, Sample
from steepest.events.sample.checks import part_sums
from steepest.notation import number_text
from steepest.storage import derived

BALANCED, AS_GIVEN = "balanced", "as-given"
UNEQUAL = 2.0
"""Sums of weights of two classes that differ by more than this factor are balanced by default."""


def class_factors(sample: Sample) -> np.ndarray:
    """Return what makes Σw of each class equal in the training part, and leaves their total.

    ::

        f_c = Σw / (K Σw_c)        for K classes

    Examples
    --------
    >>> y, part = np.array([0, 0, 0, 1]), np.zeros(4, np.int8)
    >>> class_factors(Sample(y, y, part=part, classes=("0", "1")))
    array([0.66666667, 2.        ])
    """
    of_class = class_sums(sample)
    return of_class.sum() / (len(of_class) * of_class)


def class_sums(sample: Sample) -> np.ndarray:
    """Return Σw of each class in the training part, which the sample may be or have."""
    part = np.zeros(len(sample), np.int8) if sample.part is None else sample.part
    classes = len(sample.classes)
    return part_sums(sample.weights, part, sample.labels, len(PARTS), classes).weight[TRAIN]


def with_train_weights(sample: Sample, choice: str | None) -> Sample:
    """Return a sample with the weights of the descent, and a sentence about them.

    Parameters
    ----------
    sample
        All events, with their parts; an expression has been read into `Sample.extra`.
    choice
        "balanced", "as-given", an expression, or None: balanced if the sums of weights of two
        classes differ by more than a factor of 2.

    Raises
    ------
    EventsError
        The weights of an expression have no positive sum, or there are no classes to balance.
    """
    if choice == AS_GIVEN:
        return sample
    if choice not in (None, BALANCED):
        weights = sample.extra[choice]
        described = replace(sample, train_weights=weights)
        _refuse_sums(replace(described, weights=weights), choice)
        note = f"The descent uses the weights {choice!r}; figures of merit use the physics weights."
        return replace(described, notes=[*sample.notes, note])
    if not sample.classes:
        if choice is None:
            return sample
        raise EventsError(
            "Weights cannot be balanced where there are no classes.",
            expected="classes",
            found=f"the label {sample.label!r} for {sample.task}",
            do="leave events.train_weights out",
        )
    sums = class_sums(sample)
    if choice is None and sums.max() <= UNEQUAL * sums.min():
        return sample
    factors = class_factors(sample)
    told = ", ".join(
        f"{name!r} {number_text(total, 6)} × {number_text(factor)}"
        for name, total, factor in zip(sample.classes, sums, factors, strict=True)
    )
    note = (
        f"The descent balances the classes, whose Σw differ (in the training part, and the "
        f"factor: {told}); figures of merit use the physics weights. To leave them as they are: "
        f'events.train_weights = "{AS_GIVEN}".'
    )
    return replace(balanced(sample, factors), notes=[*sample.notes, note])


def balanced(sample: Sample, factors: np.ndarray) -> Sample:
    """Return a sample whose weights of the descent are its weights times a factor of the class."""
    if sample.weights is None:
        weights = derived(lambda y: factors[y], sample.labels)
    else:
        weights = derived(lambda w, y: w * factors[y], sample.weights, sample.labels)
    return replace(sample, train_weights=weights)


def _refuse_sums(sample: Sample, choice: str) -> None:
    """Raise EventsError unless Σw > 0 for each class in the training part."""
    for index, total in enumerate(class_sums(sample)):
        if not 0 < total < np.inf:
            of_class = f" of the class {sample.classes[index]!r}" if sample.classes else ""
            raise EventsError(
                f"The training weights{of_class} sum to {total:.6g} in the training part.",
                expected="a finite sum above 0",
                found=f"events.train_weights = {choice!r}",
                do="check that expression",
            )
