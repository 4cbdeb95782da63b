"""Figures of a training and its result, each drawn from numbers that another function returned.

Every figure has two functions: one that returns the numbers (`descent_curves`, `rejection_curve`,
`score_histograms`, `process_scores`, `feature_histograms`, `confusion_matrix`,
`residual_histograms`, `calibration_curve`, `significance_curve`, `efficiency_in_bins`,
`pull_histogram`, …) and one that draws them (``…_figure``) and returns a
`matplotlib.figure.Figure`. `as_numbers` converts the numbers for JSON, and `save` writes the
figure. Matplotlib is imported only when a figure is drawn, and its global state is not changed.
"""

from steepest.evaluate.classification import ConfusionMatrix, confusion_matrix
from steepest.evaluate.figures.again import drawn_again, drawn_into, from_numbers
from steepest.evaluate.figures.binned import (
    class_efficiency_figure,
    efficiency_figure,
    resolution_figure,
)
from steepest.evaluate.figures.calibration import calibration_figure
from steepest.evaluate.figures.confusion import confusion_figure
from steepest.evaluate.figures.descent import DescentCurves, descent_curves, descent_figure
from steepest.evaluate.figures.features import (
    FeatureHistograms,
    feature_figure,
    feature_histograms,
)
from steepest.evaluate.figures.folds import FoldCurves, fold_curves, fold_figure
from steepest.evaluate.figures.histogram import Histogram
from steepest.evaluate.figures.jets import JetPictures, jet_figure
from steepest.evaluate.figures.residuals import (
    PullHistogram,
    ResidualHistograms,
    pull_figure,
    pull_histogram,
    residual_figure,
    residual_histograms,
)
from steepest.evaluate.figures.roc import RejectionCurve, rejection_curve, roc_figure
from steepest.evaluate.figures.scores import ScoreHistograms, score_figure, score_histograms
from steepest.evaluate.figures.significance import (
    SignificanceCurve,
    significance_curve,
    significance_figure,
)
from steepest.evaluate.figures.stack import ProcessScores, process_scores, stack_figure
from steepest.evaluate.figures.style import (
    axis_label,
    labelled,
    rendered,
    rendered_in,
    save,
    stated_units,
    title_of,
    with_units,
)
from steepest.evaluate.figures.variations import (
    VariationShapes,
    variation_figure,
    variation_shapes,
)
from steepest.evaluate.merit import as_numbers

__all__ = [
    "ConfusionMatrix",
    "DescentCurves",
    "FeatureHistograms",
    "FoldCurves",
    "Histogram",
    "JetPictures",
    "ProcessScores",
    "PullHistogram",
    "RejectionCurve",
    "ResidualHistograms",
    "ScoreHistograms",
    "SignificanceCurve",
    "VariationShapes",
    "as_numbers",
    "axis_label",
    "calibration_figure",
    "class_efficiency_figure",
    "confusion_figure",
    "confusion_matrix",
    "descent_curves",
    "descent_figure",
    "drawn_again",
    "drawn_into",
    "efficiency_figure",
    "feature_figure",
    "feature_histograms",
    "fold_curves",
    "fold_figure",
    "from_numbers",
    "jet_figure",
    "labelled",
    "process_scores",
    "pull_figure",
    "pull_histogram",
    "rejection_curve",
    "rendered",
    "rendered_in",
    "residual_figure",
    "residual_histograms",
    "resolution_figure",
    "roc_figure",
    "save",
    "score_figure",
    "score_histograms",
    "significance_curve",
    "significance_figure",
    "stack_figure",
    "stated_units",
    "title_of",
    "variation_figure",
    "variation_shapes",
    "with_units",
]
