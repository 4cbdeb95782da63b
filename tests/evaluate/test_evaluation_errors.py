"""Every error of `evaluate`, once, with its whole message."""

import numpy as np

from steepest.errors import EventsError, InputError
from steepest.evaluate import (
    auc,
    background_rejection,
    binary_merits,
    clopper_pearson,
    confusion_matrix,
    multiclass_merits,
    regression_merits,
    roc_curve,
)
from steepest.evaluate.figures import descent_curves, feature_histograms

ROWS = [[0.2, 0.8], [0.6, 0.4]]


def test_wrong_shape(message):
    assert message(EventsError, roc_curve, [0, 1], [[0.1], [0.2]]) == [
        "scores have the wrong shape.",
        "  expected: one number per event: shape (events,)",
        "  found:    shape (2, 1)",
        "  cause:    an additional axis, or a single number",
        "  do:       flatten them first, for example scores[:, 0]",
    ]


def test_no_events(message):
    assert message(EventsError, roc_curve, [], []) == [
        "scores are empty.",
        "  expected: at least one event",
        "  found:    0 events",
        "  cause:    a selection or a split without events",
        "  do:       loosen the selection, or enlarge this part of the split",
    ]


def test_scores_that_are_not_finite(message):
    assert message(EventsError, auc, [0, 1, 1], [0.1, np.nan, np.inf]) == [
        "scores are not finite: row 1.",
        "  expected: finite numbers",
        "  found:    nan in row 1; 2 of 3 rows are not finite",
        "  cause:    a model that diverged, or a feature that was not finite",
        "  do:       look at that event's features and at the loss of the last steps",
    ]


def test_probabilities_that_are_not_finite(message):
    assert message(EventsError, multiclass_merits, [0, 1], [[0.5, 0.5], [np.nan, 1]]) == [
        "probabilities are not finite: row 1.",
        "  expected: finite numbers",
        "  found:    [nan  1.] in row 1; 1 of 2 rows are not finite",
        "  cause:    a model that diverged, or a feature that was not finite",
        "  do:       look at that event's features and at the loss of the last steps",
    ]


def test_different_lengths(message):
    assert message(EventsError, auc, [0, 1, 1], [0.1, 0.2]) == [
        "labels and scores have different lengths.",
        "  expected: 3 scores, one for each of the labels",
        "  found:    2 scores",
        "  cause:    the arrays come from different selections or splits",
        "  do:       take both from the same events, in the same order",
    ]
    assert message(EventsError, auc, [0, 1], [0.1, 0.2], [1.0])[0] == (
        "events and weights have different lengths."
    )
    assert message(EventsError, regression_merits, [0, 1], [0.1])[0] == (
        "truth and prediction have different lengths."
    )


def test_weights_without_a_positive_sum(message):
    assert message(EventsError, auc, [0, 0, 1], [0.1, 0.2, 0.3], [1, -1, 2]) == [
        "the weights of background events do not have a positive sum.",
        "  expected: a sum above zero, since figures of merit are normalised to it",
        "  found:    0 from 2 events, 1 of them negative",
        "  cause:    too few events left after the selection, or weights without their sign "
        "convention",
        "  do:       use more events, or check the weight column",
    ]
    assert message(EventsError, regression_merits, [1, 2], [1, 2], [0, 0])[0] == (
        "the weights of all events do not have a positive sum."
    )


def test_labels_that_are_not_binary(message):
    assert message(EventsError, auc, [0, 1, -1], [0.1, 0.2, 0.3]) == [
        "labels are not 0 or 1: row 2.",
        "  expected: 0 for background, 1 for signal",
        "  found:    -1 in row 2",
        "  cause:    more than two classes, or another coding such as -1 and 1",
        "  do:       write the label as a condition, for example label == 1",
    ]


def test_a_single_class(message):
    expected = [
        "labels hold a single class.",
        "  expected: events of at least two classes",
        "  found:    2 events, all with label 1",
        "  cause:    a selection on the label, or a sample of one process only",
        "  do:       add events of the other class",
    ]
    assert message(EventsError, auc, [1, 1], [0.1, 0.2]) == expected
    assert message(EventsError, confusion_matrix, [1, 1], ROWS) == expected


def test_labels_that_are_not_class_numbers(message):
    assert message(EventsError, multiclass_merits, [1, 2], ROWS) == [
        "labels are not class numbers: row 1.",
        "  expected: an integer from 0 to 1, one for each column of probabilities",
        "  found:    2 in row 1",
        "  cause:    labels that count from 1, or a class that the model does not know",
        "  do:       number the classes from 0, in the order of the model's outputs",
    ]


def test_scores_that_are_not_probabilities(message):
    assert message(EventsError, binary_merits, [0, 1], [0.1, 2.5]) == [
        "scores are not probabilities: row 1.",
        "  expected: numbers from 0 to 1",
        "  found:    2.5 in row 1",
        "  cause:    the model's raw outputs, before the sigmoid or softmax",
        "  do:       apply the sigmoid or softmax first",
    ]


def test_probabilities_of_the_wrong_shape(message):
    assert message(EventsError, multiclass_merits, [0, 1], [0.1, 0.2]) == [
        "probabilities have the wrong shape.",
        "  expected: shape (events, classes) with at least two classes",
        "  found:    shape (2,)",
        "  cause:    the scores of a binary classifier, or no events",
        "  do:       use binary_merits for two classes with one score",
    ]


def test_probabilities_that_do_not_add_up(message):
    assert message(EventsError, multiclass_merits, [0, 1], [[0.5, 0.5], [0.5, 0.7]]) == [
        "probabilities do not add up to one: row 1.",
        "  expected: a sum of 1 over the classes, within 0.001",
        "  found:    1.2 in row 1",
        "  cause:    a sigmoid per class instead of a softmax",
        "  do:       normalise the outputs over the classes",
    ]


def test_class_names_that_do_not_fit(message):
    assert message(InputError, multiclass_merits, [0, 1], ROWS, None, ["a", "b", "c"]) == [
        "class names do not fit the probabilities.",
        "  expected: 2 different names, one for each column",
        "  found:    a, b, c",
        "  cause:    a class that was added or left out after training",
        "  do:       give the names in the order of the model's outputs",
    ]


def test_fractions(message):
    roc = roc_curve([0, 1], [0.1, 0.2])
    assert message(InputError, background_rejection, roc, 50) == [
        "signal efficiency is not a fraction.",
        "  expected: a number between 0 and 1, both excluded",
        "  found:    50",
        "  cause:    a percentage",
        "  do:       divide by 100",
    ]


def test_counts_that_are_no_efficiency(message):
    assert message(InputError, clopper_pearson, [1, 5], [3, 3]) == [
        "an efficiency needs counts with 0 <= passed <= total.",
        "  expected: passed between 0 and total",
        "  found:    passed 5, total 3",
        "  cause:    passed and total swapped, or sums of negative weights",
        "  do:       use weighted_efficiency for weighted events",
    ]


def test_records_of_different_lengths(message):
    assert message(InputError, descent_curves, [1, 2], [0.5], [0.1, 0.1], [2], []) == [
        "the records of the descent have different lengths.",
        "  expected: a loss and a learning rate for each of at least one step",
        "  found:    2 steps, 1 losses, 2 learning rates; 1 validation steps, 0 validation losses",
        "  cause:    columns of different histories",
        "  do:       take all columns from one history",
    ]


def test_features_that_do_not_fit(message):
    assert message(EventsError, feature_histograms, ["pt"], [[1.0]], [[1.0, 2.0]]) == [
        "features before and after scaling do not fit together.",
        "  expected: both of shape (events, 1), one column for each name",
        "  found:    shape (1, 1) before, (1, 2) after",
        "  cause:    another selection of events, or a scaling that changes the columns",
        "  do:       take both from the same events and features",
    ]
    assert message(EventsError, feature_histograms, ["pt"], [[np.nan]], [[1.0]])[0] == (
        "values of pt are not finite: row 0."
    )
