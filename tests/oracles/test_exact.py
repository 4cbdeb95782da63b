"""Exact least squares: against rational arithmetic, NumPy, and what J's minimum must satisfy."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest import Regressor
from steepest.descent.exact import LeastSquares, least_squares
from steepest.errors import EventsError, InputError

EPSILON = 1e-16


def rational(X, y, w=None, l2=0.0):
    """Gaussian elimination on the normal equations, in Fractions: nothing is rounded.

    Returns θ, b, J, the centre of each column and its length, which the ridge is part of.
    """
    w = [Fraction(float(v)) for v in (np.ones(len(y)) if w is None else w)]
    A = [[Fraction(1), *(Fraction(float(v)) for v in row)] for row in X]
    y = [Fraction(float(v)) for v in y]
    size, total, penalty = len(A[0]), sum(w), Fraction(l2) * sum(w) / 2
    rows = list(zip(w, A, y, strict=True))
    M = [
        [sum(v * a[i] * a[j] for v, a, _ in rows) for j in range(size)]
        + [sum(v * a[i] * t for v, a, t in rows)]
        for i in range(size)
    ]
    for j in range(1, size):
        M[j][j] += penalty
    for k in range(size):
        pivot = next(i for i in range(k, size) if M[i][k])
        M[k], M[pivot] = M[pivot], M[k]
        for i in set(range(size)) - {k}:
            factor = M[i][k] / M[k][k]
            M[i] = [a - factor * b for a, b in zip(M[i], M[k], strict=True)]
    b, *theta = [M[i][-1] / M[i][i] for i in range(size)]
    squares = sum(
        v * (sum(c * x for c, x in zip([b, *theta], a, strict=True)) - t) ** 2 for v, a, t in rows
    )
    loss = (squares + penalty * sum(t * t for t in theta)) / total
    size = sum(abs(v) for v in w)
    columns = [[row[j] for row in A] for j in range(1, len(A[0]))]
    centre = [sum(abs(v) * x for v, x in zip(w, c, strict=True)) / size for c in columns]
    length = [
        Fraction(
            np.sqrt(float(penalty + sum(abs(v) * (x - m) ** 2 for v, x in zip(w, c, strict=True))))
        )
        for c, m in zip(columns, centre, strict=True)
    ]
    return theta, b, loss, centre, length


def relative(found, exact):
    return float(abs(Fraction(float(found)) - exact) / abs(exact)) if exact else abs(float(found))


def error(fit, exact):
    """Largest relative error of any coefficient; the intercept's next to the terms it is made of.

    b = ȳ − θ·x̄ is computed for the rounded θ, so that predictions at the centre stay right: what
    the rounding of θ times x̄ moves it by is no error.
    """
    return max([*map(relative, fit.coefficients, exact[0]), intercept_error(fit, exact)])


def intercept_error(fit, exact):
    theta, b, centre = exact[0], exact[1], exact[3]
    terms = abs(b) + sum(abs(t * c) for t, c in zip(theta, centre, strict=True))
    return float(abs(Fraction(fit.intercept) - b) / terms) if terms else abs(fit.intercept)


def error_in_norm(fit, exact):
    """The same, each coefficient next to the largest, in units of their columns' lengths."""
    size = [abs(t) * n for t, n in zip(exact[0], exact[4], strict=True)]
    differences = [
        abs(Fraction(float(a)) - t) * n
        for a, t, n in zip(fit.coefficients, exact[0], exact[4], strict=True)
    ]
    return max(float(max(differences) / max(size)), intercept_error(fit, exact))


def polynomial(degree, m=60):
    """x, x², … on [−9, −3]: as ill-conditioned as NIST's Filip at degree 10."""
    rng = np.random.default_rng(degree)
    x = np.sort(rng.uniform(-9, -3, m))
    X = np.stack([x**k for k in range(1, degree + 1)], axis=1)
    return X, 0.8 + 0.05 * np.sin(x) + 1e-3 * rng.normal(size=m)


def hilbert(n, m=24):
    """1 / (i + j + 1), with a target that it cannot fit: residuals as large as y."""
    X = 1.0 / (np.arange(m)[:, None] + np.arange(n) + 1)
    return X, np.random.default_rng(n).normal(size=m)


def economy(m=16):
    """Like NIST's Longley: few rows, trends that run together, offsets, thousands to millions."""
    rng = np.random.default_rng(1947)
    year = np.arange(1947.0, 1947 + m)
    trend = (year - 1947) / m
    X = np.stack(
        [
            np.round(83 + 34 * trend + rng.normal(size=m), 1),
            np.round(234289 + 320000 * trend + 9000 * rng.normal(size=m)),
            np.round(2400 + 1600 * trend + 900 * rng.normal(size=m)),
            np.round(107608 + 22500 * trend + 50 * rng.normal(size=m)),
            year,
        ],
        axis=1,
    )
    return X, np.round(60323 + 10000 * trend + 300 * rng.normal(size=m))


def offset(size):
    rng = np.random.default_rng(8)
    return 1e8 + size * rng.normal(size=(30, 3)), rng.normal(size=30) + 1e6


def units(m=25):
    rng = np.random.default_rng(9)
    return rng.normal(size=(m, 3)) * [1e20, 1.0, 1e-20], rng.normal(size=m) * 1e-20


PROBLEMS = {
    "polynomial 5": polynomial(5),
    "polynomial 10": polynomial(10),
    "hilbert 6": hilbert(6),
    "hilbert 10": hilbert(10),
    "economy": economy(),
    "offset 1": offset(1.0),
    "offset 1e-6": offset(1e-6),
    "units": units(),
}


def weights(kind, m):
    rng = np.random.default_rng(m)
    return {
        "none": None,
        "positive": rng.uniform(0.1, 3, m),
        "decades": 10.0 ** rng.uniform(-4, 4, m),
    }[kind]


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("kind", ["none", "positive", "decades"])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_error_is_below_condition_number_times_epsilon(problem, kind, l2):
    X, y = PROBLEMS[problem]
    w = weights(kind, len(y))
    fit, exact = least_squares(X, y, w, l2), rational(X, y, w, l2)
    assert fit.rank == X.shape[1] + 1
    assert error_in_norm(fit, exact) <= 4 * fit.condition_number * EPSILON
    assert relative(fit.loss, exact[2]) < 1e-12
    assert fit.digits_lost == pytest.approx(np.log10(fit.condition_number))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_refinement_keeps_every_digit_of_the_coefficients(problem):
    """The augmented system converges as long as κ ε < 1: well beyond what κ ε promises."""
    X, y = PROBLEMS[problem]
    assert error(least_squares(X, y), rational(X, y)) < 3 * EPSILON


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_intercept_is_the_best_one_for_the_coefficients_returned(problem):
    """b = ȳ − θ·x̄ with the rounded θ, to the last bits of ȳ and b."""
    X, y = PROBLEMS[problem]
    fit = least_squares(X, y)
    mean = [sum(map(Fraction, column)) / len(y) for column in np.c_[y, X].T.tolist()]
    theta = [Fraction(float(t)) for t in fit.coefficients]
    b = mean[0] - sum(t * m for t, m in zip(theta, mean[1:], strict=True))
    error = float(abs(Fraction(fit.intercept) - b))
    assert error <= 4 * EPSILON * float(abs(b) + abs(mean[0]))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_never_further_from_the_truth_than_numpy(problem):
    X, y = PROBLEMS[problem]
    exact = rational(X, y)
    b, *theta = np.linalg.lstsq(np.c_[np.ones(len(y)), X], y, rcond=0)[0]
    reference = LeastSquares(np.array(theta), b, 0, 1, 0, 1)
    assert error(least_squares(X, y), exact) <= error(reference, exact) + 2 * EPSILON


@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_agrees_with_numpy_on_an_easy_problem(l2):
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(200, 4)), rng.normal(size=200), rng.uniform(0, 2, 200)
    root = np.sqrt(w)[:, None]
    ridge = np.c_[np.zeros(4), np.sqrt(l2 * w.sum() / 2) * np.eye(4)]
    A = np.vstack([root * np.c_[np.ones(200), X], ridge])
    expected = np.linalg.lstsq(A, np.append(root[:, 0] * y, np.zeros(4)), rcond=None)[0]
    fit = least_squares(X, y, w, l2)
    np.testing.assert_allclose([fit.intercept, *fit.coefficients], expected, rtol=1e-12, atol=1e-14)
    C = np.sqrt(w)[:, None] * np.c_[np.ones(200), X - np.average(X, axis=0, weights=w)]
    if not l2:
        C /= np.linalg.norm(C, axis=0)
        np.testing.assert_allclose(fit.condition_number, np.linalg.cond(C), rtol=1e-10)


@pytest.mark.parametrize("problem", ["economy", "hilbert 6", "offset 1"])
@pytest.mark.parametrize("l2", [0.0, 1e-3])
def test_negative_weights_against_rational_arithmetic(problem, l2):
    X, y = PROBLEMS[problem]
    w = np.append(np.ones(len(y)), np.full(len(y[::3]), -0.4))
    X, y = np.vstack([X, X[::3]]), np.append(y, y[::3] + 0.1)
    fit, exact = least_squares(X, y, w, l2), rational(X, y, w, l2)
    assert error_in_norm(fit, exact) <= 4 * fit.condition_number * EPSILON
    assert relative(fit.loss, exact[2]) < 1e-12


@st.composite
def problems(draw):
    m, n = draw(st.integers(6, 20)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    X = rng.normal(size=(m, n)) * 10.0 ** rng.integers(-8, 8, n) + 10.0 ** rng.integers(-8, 3)
    return X, rng.normal(size=m), rng.uniform(0.1, 2, m), draw(st.sampled_from([0.0, 0.3]))


def assert_same(a, b, X):
    tolerance = 8 * max(a.condition_number, b.condition_number) * EPSILON
    np.testing.assert_allclose(a.coefficients, b.coefficients, rtol=tolerance, atol=0)
    terms = abs(a.intercept) + np.abs(X * a.coefficients).max(axis=0).sum()
    assert a.intercept == pytest.approx(b.intercept, rel=0, abs=tolerance * terms)
    assert a.loss == pytest.approx(b.loss, rel=1e-12)


@settings(max_examples=50)
@given(problems())
def test_error_on_random_problems(problem):
    fit, exact = least_squares(*problem), rational(*problem)
    assert error_in_norm(fit, exact) <= 4 * fit.condition_number * EPSILON


@settings(max_examples=50)
@given(problems())
def test_weight_two_is_the_event_twice_and_opposite_pairs_cancel(problem):
    X, y, w, l2 = problem
    heavier = least_squares(X, y, np.append(2 * w[:1], w[1:]), l2)
    twice = least_squares(np.vstack([X, X[:1]]), np.append(y, y[0]), np.append(w, w[0]), l2)
    assert_same(heavier, twice, X)
    pair = np.vstack([X, X[:2].mean(axis=0), X[:2].mean(axis=0)])
    cancelled = least_squares(pair, np.append(y, [0.3, 0.3]), np.append(w, [0.2, -0.2]), l2)
    assert_same(least_squares(X, y, w, l2), cancelled, X)
    absent = least_squares(pair, np.append(y, [9.0, 9.0]), np.append(w, [0.0, 0.0]), l2)
    assert_same(least_squares(X, y, w, l2), absent, X)


@settings(max_examples=30)
@given(problems(), st.integers(-60, 60))
def test_the_unit_of_the_weights_does_not_change_a_bit(problem, exponent):
    X, y, w, l2 = problem
    a, b = least_squares(X, y, w, l2), least_squares(X, y, np.ldexp(w, exponent), l2)
    np.testing.assert_array_equal(a.coefficients, b.coefficients)
    assert (a.intercept, a.loss, a.rank) == (b.intercept, b.loss, b.rank)


def test_rank_deficiency_gives_the_solution_of_smallest_norm():
    rng = np.random.default_rng(2)
    X, y = rng.normal(size=(40, 2)), rng.normal(size=40)
    X = np.c_[X, X[:, 0], 2 * X[:, 1], np.full(40, 7.0)]
    fit = least_squares(X, y)
    assert fit.rank == 3
    theta = fit.coefficients
    np.testing.assert_allclose(theta[[0, 1]], theta[2] * np.array([1, 0]) + [0, 2 * theta[3]])
    assert theta[4] == 0
    C = X - X.mean(axis=0)
    length = np.where(np.arange(5) < 4, np.linalg.norm(C, axis=0), 1.0)
    expected = np.linalg.pinv(C / length, rcond=1e-10) @ (y - y.mean()) / length
    np.testing.assert_allclose(theta, expected, atol=1e-14)
    plain = least_squares(X[:, :2], y)
    assert fit.loss == pytest.approx(plain.loss, rel=1e-13)
    assert fit.condition_number == pytest.approx(plain.condition_number, rel=0.5)


@pytest.mark.parametrize("l2", [0.0, 1e-2])
def test_fewer_events_than_features(l2):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(3, 6)), rng.normal(size=3)
    fit = least_squares(X, y, None, l2)
    if l2:
        assert fit.rank == 7
        assert error_in_norm(fit, rational(X, y, None, l2)) <= 4 * fit.condition_number * EPSILON
    else:
        assert fit.rank == 3
        np.testing.assert_allclose(X @ fit.coefficients + fit.intercept, y, rtol=1e-12)


def test_a_constant_feature_without_features_and_one_event():
    y = np.array([1.0, 2.0, 6.0])
    for X in (np.full((3, 1), 1e8), np.empty((3, 0))):
        fit = least_squares(X, y, [1.0, 1.0, 2.0])
        assert not fit.coefficients.any()
        assert (fit.intercept, fit.rank, fit.condition_number) == (3.75, 1, 1.0)
    fit = least_squares([[3.0]], [5.0])
    assert (fit.coefficients[0], fit.intercept, fit.loss, fit.rank) == (0.0, 5.0, 0.0, 1)


def test_gradient_descent_would_not_move_from_it():
    """∇J = 2/Σw · Xᵀ W (Xθ + b − y) + λθ is zero."""
    rng = np.random.default_rng(4)
    X, y, w = rng.normal(size=(100, 3)), rng.normal(size=100), rng.uniform(-0.1, 1, 100)
    fit = least_squares(X, y, w, 0.2)
    r = w * (X @ fit.coefficients + fit.intercept - y) / w.sum()
    np.testing.assert_allclose(2 * X.T @ r + 0.2 * fit.coefficients, 0, atol=1e-15)
    assert abs(r.sum()) < 1e-15


# --- errors -----------------------------------------------------------------------------------

X3, Y3 = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 0.0, 2.0])


def message(kind, *arguments):
    with pytest.raises(kind) as raised:
        least_squares(*arguments)
    assert type(raised.value) is kind
    return str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((X3[:2], Y3), "X (2, 1), y (3,) and weights (3,)"),
        ((X3, Y3[:, None]), "X (3, 1), y (3, 1) and weights (3,)"),
        ((X3[:, 0], Y3), "X (3,), y (3,) and weights (3,)"),
        ((X3, Y3, np.ones(2)), "X (3, 1), y (3,) and weights (2,)"),
    ],
)
def test_shapes_that_do_not_match(arguments, found):
    assert message(EventsError, *arguments) == (
        "Events, target and weights of least squares do not match.\n"
        "  expected: X (m, n), y (m,) and weights (m,)\n"
        f"  found:    {found}\n"
        "  cause:    they were selected differently, or y has a column axis\n"
        "  do:       select them together, and give y as one number an event"
    )


@pytest.mark.parametrize("what", ["Feature 0", "The target", "The event weight"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_value_that_is_not_finite(what, value):
    X, y, w = X3.copy(), Y3.copy(), np.ones(3)
    {"Feature 0": X[:, 0], "The target": y, "The event weight": w}[what][2] = value
    assert message(EventsError, X, y, w) == (
        f"{what} is not finite in row 2.\n"
        "  expected: a finite number\n"
        f"  found:    {value}\n"
        "  cause:    a division by zero, or a placeholder for a missing value\n"
        "  do:       drop such events"
    )


@pytest.mark.parametrize("l2", [-1.0, np.inf, np.nan])
def test_a_penalty_that_cannot_be_used(l2):
    assert message(InputError, X3, Y3, None, l2) == (
        "The L2 penalty of least squares is not a number that can be used.\n"
        "  expected: a finite l2 ≥ 0\n"
        f"  found:    {l2}\n"
        "  do:       l2 = 0.0 is no penalty"
    )


@pytest.mark.parametrize(("w", "total"), [([0, 0, 0], "0"), ([1, -3, 1], "-1")])
def test_weights_that_add_up_to_nothing(w, total):
    assert message(EventsError, X3, Y3, w) == (
        f"The event weights add up to {total}, and the loss divides by their sum.\n"
        "  expected: a positive sum of weights\n"
        f"  found:    {total}\n"
        "  cause:    all weights are zero, or negative weights outweigh the positive ones\n"
        "  do:       check the weight column, or use a larger sample"
    )


def test_a_loss_without_a_minimum():
    """Centred and even in x: the relative curvature along θ is (2 − 9) / (2 + 9)."""
    X = np.array([[1.0], [-1.0], [3.0], [-3.0]])
    w = np.array([1.0, 1.0, -0.5, -0.5])
    assert message(EventsError, X, np.zeros(4), w) == (
        "The weighted squared loss has no minimum.\n"
        "  expected: a positive weighted sum of squares along every direction of θ and b\n"
        "  found:    a smallest relative curvature of -0.636\n"
        "  cause:    along some combination of features, negative weights outweigh positive ones\n"
        "  do:       add an L2 penalty, use fewer features, or a larger sample"
    )
    assert least_squares(X, np.zeros(4), w, l2=20.0).loss == 0.0


@pytest.mark.parametrize("scaling", ["none", "standard", "whiten"])
def test_every_coefficient_of_wampler_1_is_one(scaling):
    """NIST StRD: y = 1 + x + … + x⁵ at 0 … 20. No scaling costs digits, nor does the centre."""
    X = np.vander(np.arange(21.0), 6, increasing=True)[:, 1:]
    fit = Regressor(method="exact", scaling=scaling).fit(X, 1.0 + X.sum(axis=1))
    assert fit.intercept_ == 1.0
    assert fit.coef_.tolist() == [1.0] * 5
