import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score

from steepest.evaluate import regression_merits
from steepest.evaluate.regression import weighted_quantile


def regression(seed=0, size=3000, negative=0.0):
    random = np.random.default_rng(seed)
    truth = random.exponential(100, size) + 30
    prediction = truth * random.normal(1.01, 0.1, size) + random.standard_t(5, size)
    weights = random.lognormal(0, 0.5, size) * np.where(random.random(size) < negative, -1, 1)
    return truth, prediction, weights


def test_values_without_weights_are_the_textbook_ones():
    truth, prediction, _ = regression()
    residual = prediction - truth
    merits = regression_merits(truth, prediction)
    assert list(merits) == [
        "bias",
        "resolution",
        "robust_resolution",
        "mean_squared_error",
        "r_squared",
    ]
    assert merits["bias"].value == pytest.approx(residual.mean())
    assert merits["bias"].uncertainty == pytest.approx(residual.std(ddof=1) / np.sqrt(3000))
    assert merits["resolution"].value == pytest.approx(residual.std(ddof=1))
    quantiles = np.quantile(residual, [0.158655, 0.841345])
    assert merits["robust_resolution"].value == pytest.approx(np.diff(quantiles)[0] / 2, rel=1e-2)


def test_values_with_weights_are_those_of_scikit_learn():
    truth, prediction, weights = regression()
    merits = regression_merits(truth, prediction, weights)
    assert merits["mean_squared_error"].value == pytest.approx(
        mean_squared_error(truth, prediction, sample_weight=weights)
    )
    assert merits["r_squared"].value == pytest.approx(
        r2_score(truth, prediction, sample_weight=weights)
    )


@pytest.mark.parametrize("negative", [0.0, 0.05])
def test_uncertainties_are_those_of_the_bootstrap(negative):
    events = regression(1, 2000, negative)
    random = np.random.default_rng(2)
    replicas = []
    for _ in range(400):
        i = random.integers(0, 2000, 2000)
        replicas.append([m.value for m in regression_merits(*(x[i] for x in events)).values()])
    merits = regression_merits(*events)
    for name, spread in zip(merits, np.std(replicas, axis=0), strict=True):
        tolerance = 0.2 if name == "robust_resolution" else 0.12
        assert merits[name].uncertainty == pytest.approx(spread, rel=tolerance), name


def test_normal_residuals_have_the_known_uncertainties():
    random = np.random.default_rng(3)
    residual = random.normal(0, 2, 20_000)
    merits = regression_merits(np.zeros(20_000), residual)
    assert merits["resolution"].uncertainty == pytest.approx(2 / np.sqrt(40_000), rel=0.05)
    # Var of half the difference of the quantiles at ±1σ: [p(1−p) − p²] / (2 n φ(1)²) σ²
    p, density = 0.158655, 0.241971
    expected = 2 * np.sqrt((p * (1 - p) - p**2) / (2 * 20_000 * density**2))
    assert merits["robust_resolution"].uncertainty == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    "name", ["bias", "resolution", "robust_resolution", "mean_squared_error", "r_squared"]
)
def test_weight_two_is_the_event_twice_for_the_value(name):
    truth, prediction, _ = regression(size=400)
    twice = np.arange(400) % 3 == 0
    weighted = regression_merits(truth, prediction, 1.0 + twice)
    i = np.repeat(np.arange(400), 1 + twice)
    repeated = regression_merits(truth[i], prediction[i])
    rel = 2e-3 if name == "resolution" else 1e-10  # n/(n − 1) knows that they are 400 events
    assert weighted[name].value == pytest.approx(repeated[name].value, rel=rel)


def test_a_cancelling_pair_changes_no_value():
    truth, prediction, weights = regression()
    more = (
        np.append(truth, [50, 50]),
        np.append(prediction, [70, 70]),
        np.append(weights, [4, -4]),
    )
    one, two = regression_merits(truth, prediction, weights), regression_merits(*more)
    for name, merit in one.items():
        assert two[name].value == pytest.approx(
            merit.value, rel=1e-2 if name == "resolution" else 1e-9
        )


def test_exact_prediction():
    merits = regression_merits([1.0, 2.0, 4.0] * 5, [1.0, 2.0, 4.0] * 5)
    for name, value in (
        ("bias", 0),
        ("resolution", 0),
        ("mean_squared_error", 0),
        ("r_squared", 1),
    ):
        assert (merits[name].value, merits[name].uncertainty) == (value, 0)


def test_what_cannot_be_said_has_a_reason():
    one = regression_merits([1.0], [2.0])
    assert one["bias"].value == 1
    assert one["bias"].reason == "the uncertainty needs more than one effective event"
    reason = "one effective event, or negative weights, give no positive variance"
    assert one["resolution"].reason == reason
    assert (
        one["robust_resolution"].reason == "the uncertainty needs an effective event in each tail"
    )
    assert one["r_squared"].reason == "the truth has no positive variance"
    cancelled = regression_merits([1.0, 5.0, 1.0], [0.0, 0.0, 1.0], [1.0, -0.6, 0.1])
    assert cancelled["r_squared"].reason == "the truth has no positive variance"
    few = regression_merits([1.0, 5.0, 1.0], [0.0, 0.0, 1.0], [1.0, 0.6, -0.7])
    assert few["r_squared"].reason == "the uncertainty needs more than one effective event"


def test_weighted_quantile_of_weights_that_are_counts():
    values, weights = np.array([5.0, 1.0, 3.0]), np.array([1.0, 2.0, 2.0])
    found = weighted_quantile(values, weights, [0, 0.2, 0.4, 0.41, 0.8, 0.81, 1.0])
    np.testing.assert_array_equal(found, [1, 1, 1, 3, 3, 5, 5])
