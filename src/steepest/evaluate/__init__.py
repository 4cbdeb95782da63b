"""Figures of merit, intervals, curves and figures: functions of labels, scores and weights.

What to use when:

- a binary classifier: `binary_merits`, and `roc_curve` for the whole curve;
- several classes: `multiclass_merits` and `confusion_matrix`;
- a regressor: `regression_merits`;
- two classifiers on the same events: `auc_difference`;
- two samples, one distribution?: `kolmogorov_test`;
- figures: `steepest.evaluate.figures`, which imports Matplotlib only when one is drawn.

Every figure of merit is a `Merit`: value, interval, counts and definition.
"""

from steepest.evaluate.area import auc, auc_difference
from steepest.evaluate.classification import binary_merits, multiclass_merits
from steepest.evaluate.confusion import ConfusionMatrix, confusion_matrix
from steepest.evaluate.intervals import (
    Efficiency,
    clopper_pearson,
    effective_count,
    weighted_efficiency,
)
from steepest.evaluate.kolmogorov import KolmogorovTest, kolmogorov_test
from steepest.evaluate.merit import ONE_SIGMA, Merit
from steepest.evaluate.regression import regression_merits
from steepest.evaluate.roc import Roc, background_rejection, roc_curve

__all__ = [
    "ONE_SIGMA",
    "ConfusionMatrix",
    "Efficiency",
    "KolmogorovTest",
    "Merit",
    "Roc",
    "auc",
    "auc_difference",
    "background_rejection",
    "binary_merits",
    "clopper_pearson",
    "confusion_matrix",
    "effective_count",
    "kolmogorov_test",
    "multiclass_merits",
    "regression_merits",
    "roc_curve",
    "weighted_efficiency",
]
