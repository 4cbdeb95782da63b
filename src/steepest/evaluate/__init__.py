"""Figures of merit, intervals, curves and figures: functions of labels, scores and weights.

- a binary classifier: `binary_merits`, and `roc_curve` for the whole curve;
- several classes: `multiclass_merits`, `confusion_matrix` and `roc_curves_by_class`;
- a regressor: `regression_merits`, and `pulls` if its uncertainties are known;
- in bins of a column: `efficiency_in_bins` (turn-on curves), `class_efficiency_in_bins`,
  `regression_in_bins`;
- calibration of probabilities: `calibration_curve` and `calibration_error`;
- a cut for a discovery: `best_cut` on the validation part, `significance_at` on the test part;
- one figure of merit alone: `auc`, `accuracy`, `r_squared`;
- two models on the same events: `auc_difference`, `cross_entropy_gain`, `mean_squared_error_gain`;
- several rows of each event, such as its jets: `clustered_merits`;
- a test whether two samples have the same distribution: `kolmogorov_test`;
- figures: `steepest.evaluate.figures`, which imports Matplotlib only when one is drawn.

Every figure of merit is a `Merit`: value, interval, counts and definition.
"""

from steepest.evaluate.area import auc, auc_difference
from steepest.evaluate.arrays import one_class
from steepest.evaluate.binned import (
    BinnedMerits,
    class_efficiency_in_bins,
    efficiency_in_bins,
    place_in_bins,
    regression_in_bins,
)
from steepest.evaluate.calibration import (
    CalibrationCurve,
    calibration_curve,
    calibration_error,
    confidence_of,
)
from steepest.evaluate.classification import (
    ConfusionMatrix,
    accuracy,
    binary_merits,
    confusion_matrix,
    multiclass_merits,
)
from steepest.evaluate.clusters import clustered_merits
from steepest.evaluate.intervals import (
    Efficiency,
    clopper_pearson,
    effective_count,
    weighted_efficiency,
)
from steepest.evaluate.kolmogorov import KolmogorovTest, kolmogorov_test
from steepest.evaluate.loss_gain import cross_entropy_gain, mean_squared_error_gain
from steepest.evaluate.merit import ONE_SIGMA, Merit, undefined_merit
from steepest.evaluate.regression import pull_merits, pulls, r_squared, regression_merits
from steepest.evaluate.roc import (
    Roc,
    background_rejection,
    cut_at,
    roc_curve,
    roc_curves_by_class,
)
from steepest.evaluate.significance import (
    Experiment,
    SignificanceScan,
    asimov_significance,
    best_cut,
    significance_at,
    significance_scan,
)

__all__ = [
    "ONE_SIGMA",
    "BinnedMerits",
    "CalibrationCurve",
    "ConfusionMatrix",
    "Efficiency",
    "Experiment",
    "KolmogorovTest",
    "Merit",
    "Roc",
    "SignificanceScan",
    "accuracy",
    "asimov_significance",
    "auc",
    "auc_difference",
    "background_rejection",
    "best_cut",
    "binary_merits",
    "calibration_curve",
    "calibration_error",
    "class_efficiency_in_bins",
    "clopper_pearson",
    "clustered_merits",
    "confidence_of",
    "confusion_matrix",
    "cross_entropy_gain",
    "cut_at",
    "effective_count",
    "efficiency_in_bins",
    "kolmogorov_test",
    "mean_squared_error_gain",
    "multiclass_merits",
    "one_class",
    "place_in_bins",
    "pull_merits",
    "pulls",
    "r_squared",
    "regression_in_bins",
    "regression_merits",
    "roc_curve",
    "roc_curves_by_class",
    "significance_at",
    "significance_scan",
    "undefined_merit",
    "weighted_efficiency",
]
