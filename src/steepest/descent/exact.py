"""The exact minimum of weighted linear least squares: what gradient descent is compared with.

Use it when the loss is the mean squared error and the model is linear: for the answer itself,
as the oracle that a descent must reach, and for the digits that ill-conditioned features cost.
It works in memory (some six times the size of X) and takes O(m n²) operations.

::

    _checked      finite, of matching shapes, Σw > 0
    _posed        centred columns as exact pairs
    _factorised   Householder QR with column pivoting; H = QᵀSQ for negative weights
    _refined      Björck's refinement of solution and residual together

A pair is a number as an unevaluated sum high + low of two float64, with some 32 digits. What a sum
or a product rounds away is itself a float64, and is computed here: T. J. Dekker, Numerische
Mathematik 18 (1971) 224, doi:10.1007/BF01397083.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from steepest.errors import EventsError, InputError

Floats = NDArray[np.float64]
_Pivoted = tuple[Floats, Floats, NDArray[np.intp]]
_EPSILON = float(np.finfo(np.float64).eps)
_REFINEMENTS = 10


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """The minimum of J, and how well the events determine it."""

    coefficients: Floats  # θ (n,) float64 and b, in the units of X and y
    intercept: float
    loss: float  # J at the minimum, the penalty included
    # κ: the ratio of the largest to the smallest singular value of the centred matrix |w|^½ [1 X]
    # with columns of unit length (with the ridge rows; without the directions that rank deficiency
    # takes away), divided by the smallest eigenvalue of QᵀSQ when there are negative weights
    condition_number: float
    digits_lost: float  # log₁₀ κ: of the digits to which X and y are known, so many do not reach θ
    # rank of [1 X] with the ridge rows; n + 1 unless the minimum is not unique. Then θ is the one
    # of smallest norm among the minima, with each column measured in its own length.
    rank: int


def least_squares(
    X: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None, l2: float = 0.0
) -> LeastSquares:
    """Minimise J(θ, b) = Σ wᵢ (θ·xᵢ + b − yᵢ)² / Σ wᵢ + (λ/2) ‖θ‖² by orthogonal factorisation.

    The normal equations, which square κ, are never formed: |w|^½ [1 X] = QR by Householder
    reflections with column pivoting, on columns that are centred and scaled by powers of two;
    the ridge is appended rows √(λ Σw / 2) · 1; negative weights enter through H = QᵀSQ with
    S = sign(w), and J has a minimum exactly when H is positive definite. The residual is then
    computed in twice the working precision and the solution refined with it.

    Parameters
    ----------
    X
        (m, n) float64.
    y
        (m,) float64.
    weights
        wᵢ, (m,) float64, negative ones legal, Σw > 0; None is ones.
    l2
        λ ≥ 0; b is not penalised.

    Raises
    ------
    EventsError
        Shapes that do not match, values that are not finite, Σw ≤ 0, or negative weights with
        which J has no minimum.
    InputError
        l2 is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> fit = least_squares(np.array([[1e8], [1e8 + 1], [1e8 + 2]]), np.array([1.0, 3.0, 5.0]))
    >>> fit.coefficients, fit.intercept, fit.rank
    (array([2.]), -199999999.0, 2)

    References
    ----------
    G. H. Golub, C. F. Van Loan, Matrix Computations (4th ed., 2013), sections 5.3, 5.5 and 6.1;
    Å. Björck, "Iterative refinement of linear least squares solutions I", BIT 7 (1967) 257,
    doi:10.1007/BF01939321; T. J. Dekker, Numerische Mathematik 18 (1971) 224.
    """
    values, target, w = _checked(X, y, weights)
    if not 0 <= l2 < math.inf:
        raise InputError(
            "The L2 penalty of least squares is not a number that can be used.",
            expected="a finite l2 ≥ 0",
            found=f"{l2}",
            do="l2 = 0.0 is no penalty",
        )
    total = math.fsum(w)
    if total <= 0:
        raise EventsError(
            f"The event weights add up to {total:g}, and the loss divides by their sum.",
            expected="a positive sum of weights",
            found=f"{total:g}",
            cause="all weights are zero, or negative weights outweigh the positive ones",
            do="check the weight column, or use a larger sample",
        )
    problem = _posed(values, target, w, l2 * total / 2)
    factors = _factorised(problem)
    z, low, residual = _refined(problem, factors)
    theta, intercept = _original(problem, z, low)
    return LeastSquares(
        coefficients=theta,
        intercept=intercept,
        loss=_loss(problem, residual, total),
        condition_number=factors.condition_number,
        digits_lost=math.log10(factors.condition_number),
        rank=factors.rank,
    )


def _checked(
    X: ArrayLike, y: ArrayLike, weights: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    values, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    w = np.ones(len(target)) if weights is None else np.asarray(weights, dtype=np.float64)
    if values.ndim != 2 or not target.shape == w.shape == (len(values),):
        raise EventsError(
            "Events, target and weights of least squares do not match.",
            expected="X (m, n), y (m,) and weights (m,)",
            found=f"X {values.shape}, y {target.shape} and weights {w.shape}",
            cause="they were selected differently, or y has a column axis",
            do="select them together, and give y as one number an event",
        )
    columns = [(f"Feature {j}", values[:, j]) for j in range(values.shape[1])]
    for what, column in [*columns, ("The target", target), ("The event weight", w)]:
        if not np.isfinite(column).all():
            row = int(np.argmin(np.isfinite(column)))
            raise EventsError(
                f"{what} is not finite in row {row}.",
                expected="a finite number",
                found=f"{column[row]}",
                cause="a division by zero, or a placeholder for a missing value",
                do="drop such events",
            )
    return values, target, w


def _loss(problem: _Problem, residual: Floats, total: float) -> float:
    squares = math.fsum(problem.w * residual**2)
    try:
        return math.ldexp(squares, 2 * problem.y_exponent + problem.w_exponent) / total
    except OverflowError:  # θ is finite, its loss is not
        return math.inf


@dataclass(frozen=True, eq=False)
class _Factors:
    """|w|^½ (high + low) ≈ Q T Z⁺ with T triangular; Z is a permutation at full rank."""

    Q: Floats  # (M, rank)
    T: Floats  # (rank, rank)
    lower: bool
    Z: Floats  # (n + 1, rank)
    H: Floats | None  # Cholesky factor of QᵀSQ, None without negative weights
    condition_number: float
    rank: int

    def step(self, f: Floats, g: Floats, sign: Floats) -> tuple[Floats, Floats]:
        """Solve r + Az = f, AᵀSr = g; return (z, r)."""
        from scipy import linalg  # where it is needed: it takes a tenth of a second

        back = linalg.solve_triangular(self.T, self.Z.T @ g, lower=self.lower, trans=1)
        u = self.Q.T @ (sign * f) - back
        if self.H is not None:
            u = linalg.cho_solve((self.H, False), u)
        z = self.Z @ linalg.solve_triangular(self.T, u, lower=self.lower)
        return z, f - self.Q @ u


def _factorised(problem: _Problem) -> _Factors:
    from scipy import linalg

    A = np.sqrt(np.abs(problem.w))[:, None] * problem.high
    Q, R, pivots = cast(_Pivoted, linalg.qr(A, mode="economic", pivoting=True))
    columns = A.shape[1]
    diagonal = np.abs(np.diagonal(R))
    rank = int(np.sum(diagonal > 10 * columns * _EPSILON * diagonal[0]))
    Q, R, Z, lower = Q[:, :rank], R[:rank], np.eye(columns)[:, pivots], False
    singular = np.linalg.svd(R / _lengths(R), compute_uv=False)
    if rank < columns:  # a second factorisation gives the solution of smallest norm
        R, units = R / _lengths(R), _lengths(R)
        z, t = np.linalg.qr(R.T)
        Z, R, lower = (Z / units) @ z, t.T, True
    H, smallest = _definite(Q, np.sign(problem.w))
    return _Factors(Q, R, lower, Z, H, float(singular[0] / singular[-1] / smallest), rank)


def _lengths(R: Floats) -> Floats:
    lengths = np.linalg.norm(R, axis=0)
    return np.where(lengths > 0, lengths, 1.0)


def _definite(Q: Floats, sign: Floats) -> tuple[Floats | None, float]:
    """Cholesky factor and smallest eigenvalue of QᵀSQ; (None, 1) without negative weights."""
    if (sign > 0).all():
        return None, 1.0
    H = Q.T @ (sign[:, None] * Q)
    smallest = float(np.linalg.eigvalsh(H)[0])
    if smallest <= 10 * len(H) * _EPSILON:
        raise EventsError(
            "The weighted squared loss has no minimum.",
            expected="a positive weighted sum of squares along every direction of θ and b",
            found=f"a smallest relative curvature of {smallest:.3g}",
            cause="along some combination of features, negative weights outweigh positive ones",
            do="add an L2 penalty, use fewer features, or a larger sample",
        )
    from scipy import linalg

    return linalg.cholesky(H), smallest


def _refined(problem: _Problem, factors: _Factors) -> tuple[Floats, Floats, Floats]:
    """Solve, then correct (z, r) while the corrections shrink; z, what it lacks, and r."""
    root, sign = np.sqrt(np.abs(problem.w)), np.sign(problem.w)
    z, r = np.zeros(problem.high.shape[1]), np.zeros(len(problem.y))
    previous = math.inf
    for _ in range(_REFINEMENTS):
        f, g = _residuals(problem, z, r)
        dz, dr = factors.step(root * f, g, sign)
        size = float(np.linalg.norm(dz))
        if size > previous / 2:
            break
        unchanged = np.array_equal(z + dz, z)
        z, r, previous = z + dz, r + dr / root, size
        if unchanged:
            break
    f, g = _residuals(problem, z, r)
    low = factors.step(root * f, g, sign)[0]
    return z, np.where(np.abs(low) < np.abs(z), low, 0.0), r


def _residuals(problem: _Problem, z: Floats, r: Floats) -> tuple[Floats, Floats]:
    """F = y − Az − r and g = −AᵀWr, in twice the working precision, rounded at the end."""
    f, f_low = _two_sum(problem.y, -r)
    wr, wr_low = _two_product(problem.w, r)
    g = np.empty(len(z))
    for j in range(len(z)):
        high, low = problem.high[:, j], problem.low[:, j]
        product, error = _two_product(high, -z[j])
        f, carry = _two_sum(f, product)
        f_low += carry + (error - low * z[j])
        product, error = _two_product(high, wr)
        g[j] = -_sum_of_pairs(product, error + (high * wr_low + low * wr))
    return f + f_low, g


@dataclass(frozen=True, eq=False)
class _Problem:
    """Minimise Σ w (y − (high + low) z)² over M rows, those of the ridge included.

    Column 0 is the intercept, column j + 1 is (x_j − centre_j) 2^(−exponents_j).
    All scales are powers of two, so nothing is rounded on the way here.
    """

    high: Floats  # (M, n + 1)
    low: Floats  # (M, n + 1)
    y: Floats  # (M,) times 2^(−y_exponent)
    w: Floats  # (M,) times 2^(−w_exponent)
    centre: Floats  # (n,)
    exponents: NDArray[np.int64]  # (n,)
    y_exponent: int
    w_exponent: int


def _posed(X: Floats, y: Floats, w: Floats, ridge: float) -> _Problem:
    """Return the problem of events, without those of no weight, and with the ridge's rows."""
    used = w != 0
    X, y, w = X[used], y[used], w[used]
    high, low, centre, exponents = _centred(X, np.abs(w))
    n = X.shape[1]
    if ridge:
        w = np.append(w, np.full(n, ridge))
        y = np.append(y, np.zeros(n))
        high, low = np.vstack([high, np.eye(n + 1)[1:]]), np.vstack([low, np.zeros((n, n + 1))])
        high[-n:, 1:] = np.diag(np.ldexp(1.0, -exponents))
    w_exponent, y_exponent = int(_exponent(w)), int(_exponent(y))
    w, y = np.ldexp(w, -w_exponent), np.ldexp(y, -y_exponent)
    columns = _exponent(np.sqrt(np.abs(w))[:, None] * high)
    high, low = np.ldexp(high, -columns), np.ldexp(low, -columns)
    order = np.argsort(-np.sqrt(np.abs(w)) * np.abs(high).max(axis=1), kind="stable")
    return _Problem(
        high=high[order],
        low=low[order],
        y=y[order],
        w=w[order],
        centre=centre,
        exponents=np.append(0, exponents) + columns,
        y_exponent=y_exponent,
        w_exponent=w_exponent,
    )


def _centred(X: Floats, size: Floats) -> tuple[Floats, Floats, Floats, NDArray[np.int64]]:
    """[1, x − centre] as high + low, exactly, in units of 2^exponents; centre is near the mean."""
    exponents = _exponent(X)
    X = np.ldexp(X, -exponents)
    first = X[0]
    centre = first + (size @ (X - first)) / size.sum()
    high, low = _two_sum(X, -centre)
    ones, zeros = np.ones((len(X), 1)), np.zeros((len(X), 1))
    return np.hstack([ones, high]), np.hstack([zeros, low]), np.ldexp(centre, exponents), exponents


def _exponent(values: Floats) -> NDArray[np.int64]:
    """The power of two just above the largest magnitude of each column; 0 for a column of zeros."""
    return np.frexp(np.abs(values).max(axis=0, initial=0.0))[1].astype(np.int64)


def _original(problem: _Problem, z: Floats, low: Floats) -> tuple[Floats, float]:
    """θ and b from the scaled solution z + low, rounded once; b = z₀ − Σ θ_j centre_j of that θ."""
    exponents = problem.y_exponent - problem.exponents
    unscaled, rest = _two_sum(np.ldexp(z, exponents), np.ldexp(low, exponents))
    theta = unscaled[1:]
    product, error = _two_product(theta, -problem.centre)
    return theta, math.fsum([unscaled[0], rest[0], *product, *error])


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """A + b = s + e exactly (Knuth)."""
    s = a + b
    kept = s - a
    return s, (a - (s - kept)) + (b - kept)


def _two_product(a: Floats, b: Floats | float) -> tuple[Floats, Floats]:
    """A · b = p + e exactly (Dekker, Veltkamp)."""
    p = a * b
    a_high, b_high = _upper_half(a), _upper_half(b)
    a_low, b_low = a - a_high, b - b_high
    return p, ((a_high * b_high - p) + a_high * b_low + a_low * b_high) + a_low * b_low


def _upper_half(a: Floats | float) -> Floats | float:
    shifted = 134217729.0 * a  # 2²⁷ + 1
    return shifted - (shifted - a)


def _sum_of_pairs(values: Floats, errors: Floats) -> float:
    """Σ (values + errors), pairwise and exact to twice the working precision."""
    while len(values) > 1:
        half = (len(values) + 1) // 2
        odd = np.zeros(2 * half - len(values))
        values, carry = _two_sum(values[:half], np.append(values[half:], odd))
        errors = errors[:half] + np.append(errors[half:], odd) + carry
    return float(values[0] + errors[0])
