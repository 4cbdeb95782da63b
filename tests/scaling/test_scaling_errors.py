"""Every raise of steepest.scaling, with its whole message."""

import numpy as np
import pytest

from steepest.errors import EventsError, RecipeError, RunFolderError
from steepest.scaling import SCALINGS, fit_scaling, scaling_from

NAMES = ["pt", "mass"]
GOOD = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]])


def message(kind, call):
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    return str(error.value)


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite(name, value):
    bad = GOOD.copy()
    bad[1, 1] = value
    bad[2, 0] = value
    found = message(EventsError, lambda: fit_scaling(name, [(GOOD, None), (bad, None)], NAMES))
    expected = (
        "Feature 'mass' is not finite in row {}.\n"
        "  expected: a finite number in every feature of every event\n"
        f"  found:    {value}\n"
        "  cause:    a division by zero, a logarithm of zero, or a placeholder\n"
        "  do:       drop such events with `select`, or give the feature a finite value where it "
        "is missing"
    )
    assert found == expected.format(4)
    scaling = fit_scaling(name, [(GOOD, None)], NAMES)
    assert message(EventsError, lambda: scaling.transform(bad)) == expected.format(1)
    assert message(EventsError, lambda: scaling.inverse(bad)) == expected.format(1)


@pytest.mark.parametrize("X", [GOOD[:, :1], GOOD[0], np.ones((2, 3))])
def test_events_of_another_shape(X):
    expected = (
        "The events to scale do not have the shape that the features ask for.\n"
        "  expected: a matrix (events, 2), columns pt, mass\n"
        f"  found:    an array of shape {X.shape}\n"
        "  cause:    columns were left out, added, or one event was given without its row axis\n"
        "  do:       give one row per event and one column per feature, in the order above"
    )
    scaling = fit_scaling("standard", [(GOOD, None)], NAMES)
    for call in (
        lambda: fit_scaling("none", [(X, None)], NAMES),
        lambda: scaling.transform(X),
        lambda: scaling.inverse(X),
    ):
        assert message(EventsError, call) == expected


def test_weights_of_another_shape():
    assert message(EventsError, lambda: fit_scaling("none", [(GOOD, np.ones(2))], NAMES)) == (
        "The event weights do not match the events.\n"
        "  expected: one weight per event: shape (3,)\n"
        "  found:    shape (2,)\n"
        "  cause:    weights and events were selected differently\n"
        "  do:       select events and weights together"
    )


def test_a_weight_that_is_not_finite():
    blocks = [(GOOD, None), (GOOD, np.array([1.0, 1.0, np.nan]))]
    assert message(EventsError, lambda: fit_scaling("none", blocks, NAMES)) == (
        "The event weight is not finite in row 5.\n"
        "  expected: a finite weight for every event; negative ones are legal\n"
        "  found:    nan\n"
        "  cause:    a normalisation by zero events\n"
        "  do:       drop such events with `select`, or compute the weight anew"
    )


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("standard", "a weighted variance"),
        ("whiten", "a weighted variance"),
        ("robust", "the scaling 'robust'"),
        ("quantile", "the scaling 'quantile'"),
    ],
)
def test_weights_that_add_up_to_nothing(name, purpose):
    blocks = [(GOOD, np.array([1.0, -2.0, 0.5]))]
    assert message(EventsError, lambda: fit_scaling(name, blocks, NAMES)) == (
        f"The event weights add up to -0.5, and {purpose} divides by their sum.\n"
        "  expected: a positive sum of weights over the training events\n"
        "  found:    -0.5\n"
        "  cause:    all weights are zero, or negative weights outweigh the positive ones\n"
        "  do:       check the weight column, or use a larger sample"
    )


@pytest.mark.parametrize("name", SCALINGS)
@pytest.mark.parametrize("blocks", [[], [(np.empty((0, 2)), None)]])
def test_no_events(name, blocks):
    assert message(EventsError, lambda: fit_scaling(name, blocks, NAMES)) == no_events(name, "none")


@pytest.mark.parametrize("name", ["none", "standard", "min-max", "whiten"])
def test_events_of_weight_zero_alone(name):
    found = message(EventsError, lambda: fit_scaling(name, [(GOOD, np.zeros(3))], NAMES))
    assert found == no_events(name, "3 events, all of weight zero")


def no_events(name, found):
    return (
        f"There are no events to fit the feature scaling {name!r} on.\n"
        "  expected: at least one training event with a weight other than zero\n"
        f"  found:    {found}\n"
        "  cause:    a selection without events, or a split without a training part\n"
        "  do:       loosen `select`, or give the training part a larger share"
    )


@pytest.mark.parametrize("name", ["standard", "whiten"])
@pytest.mark.parametrize(
    ("values", "w", "variance", "total"),
    [([0, 1, 9], [5, 5, -1], "-8.64198", "9"), ([1, 2, 2], [1, 1, -1], "0", "1")],
)
def test_a_weighted_variance_that_is_not_positive(name, values, w, variance, total):
    """By hand: Σwx = −4, Σwx² = −76, Σw = 9 give −76/9 − 16/81; and x = 1 alone gives 0."""
    X = np.c_[[7.0, 7.0, 7.0], values]
    found = message(EventsError, lambda: fit_scaling(name, [(X, np.array(w, float))], NAMES))
    assert found == (
        "The weighted variance of feature 'mass' is not positive.\n"
        "  expected: a positive variance, Σw(x − mean)²/Σw\n"
        f"  found:    {variance}, from 3 events of total weight {total}\n"
        "  cause:    events of negative weight lie further out than those of positive weight\n"
        "  do:       use scaling 'min-max' or 'robust', or a larger sample"
    )


def test_a_weighted_correlation_that_is_not_positive():
    """By hand: Σwx² = 152 for both and Σwxy = 248, so the eigenvalue is 1 − 248/152."""
    X = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1], [5, -5], [-5, 5]])
    w = np.array([100.0, 100, 1, 1, -1, -1])
    assert message(EventsError, lambda: fit_scaling("whiten", [(X, w)], NAMES)) == (
        "The weighted correlation matrix of the features has a negative eigenvalue.\n"
        "  expected: a positive variance in every direction of feature space\n"
        "  found:    -0.631579, mostly along 'pt' and 'mass'\n"
        "  cause:    events of negative weight lie further out than those of positive weight\n"
        "  do:       use scaling 'standard', drop one of the two features, or use a larger sample"
    )


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        ("standard", [0.0, 2e200], "inf"),
        ("standard", [0.0, 1e-170], "0"),
        ("min-max", [-1.5e308, 1.5e308], "inf"),
        ("min-max", [0.0, 1e-170], "1e-170"),
        ("robust", [0.0, 1e200], "1e+200"),
        ("whiten", [0.0, 2e200], "inf"),
    ],
)
def test_a_spread_that_cannot_be_squared(name, values, found):
    X = np.c_[[1.0, 2.0], values]
    assert message(EventsError, lambda: fit_scaling(name, [(X, None)], NAMES)) == (
        "The spread of feature 'mass' is beyond what float64 can square.\n"
        "  expected: a spread from 1e-150 to 1e+150\n"
        f"  found:    {found}\n"
        "  cause:    a placeholder such as 1e308 for missing values, or unusual units\n"
        "  do:       drop the placeholders with `select`, or derive the feature in other units"
    )


def test_a_range_too_large_for_quantiles():
    X = np.c_[[1.0, 2.0], [-1.5e308, 1.5e308]]
    assert message(EventsError, lambda: fit_scaling("quantile", [(X, None)], NAMES)) == (
        "The range of feature 'mass' is too large for quantiles.\n"
        "  expected: maximum − minimum up to 1e+150\n"
        "  found:    from -1.5e+308 to 1.5e+308\n"
        "  cause:    a placeholder such as 1e308 for missing values\n"
        "  do:       drop the placeholders with `select`"
    )


def test_a_result_beyond_the_dtype():
    scaling = fit_scaling("none", [(GOOD, None)], NAMES)
    big = np.array([[1.0, 2.0], [1e39, 2.0]])
    assert message(EventsError, lambda: scaling.transform(big, dtype=np.float32)) == (
        "Feature 'pt' of row 1 does not fit into float32 under the scaling 'none'.\n"
        "  expected: at most 3.4e+38 in absolute value\n"
        "  found:    a result beyond it, from 1e+39\n"
        "  cause:    a value in other units than in training, or features that were not scaled\n"
        "  do:       check the units, or ask for dtype float64"
    )


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("standart", "  cause:    a typing error\n  do:       scaling = 'standard'"),
        ("xyz", "  do:       scaling = 'standard'"),
    ],
)
def test_an_unknown_name(name, rest):
    assert message(RecipeError, lambda: fit_scaling(name, [(GOOD, None)], NAMES)) == (
        f"There is no feature scaling {name!r}.\n"
        "  expected: one of none, standard, min-max, robust, quantile, whiten, asinh\n"
        f"  found:    {name!r}\n" + rest
    )


@pytest.mark.parametrize(
    ("json", "arrays", "expected", "found"),
    [
        (
            {"name": "cubic"},
            {},
            "version 1 of one of none, standard, min-max, robust, quantile, whiten, asinh",
            "version 1 of 'cubic'",
        ),
        (
            {"version": 2},
            {},
            "version 1 of one of none, standard, min-max, robust, quantile, whiten, asinh",
            "version 2 of 'standard'",
        ),
        (
            {"features": None},
            {},
            "the key 'features'",
            "constant, dropped, name, version",
        ),
        ({}, {"width": None}, "the array 'width'", "shift"),
        ({}, {"width": None, "shift": None}, "the array 'shift'", "no arrays"),
    ],
)
def test_a_saved_scaling_that_is_damaged(json, arrays, expected, found):
    fitted = fit_scaling("standard", [(GOOD, None)], NAMES)
    kept = {k: v for k, v in (fitted.to_json() | json).items() if v is not None}
    left = {k: v for k, v in (fitted.to_arrays() | arrays).items() if v is not None}
    assert message(RunFolderError, lambda: scaling_from(kept, left)) == (
        "The saved feature scaling cannot be read.\n"
        f"  expected: {expected}\n"
        f"  found:    {found}\n"
        "  cause:    a damaged file, or one written by a newer release\n"
        "  do:       use the release that wrote it, or train again"
    )
