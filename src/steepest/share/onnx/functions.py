"""Functions of float64 numbers that onnxruntime has none of its own for, from those it has.

Rational approximations are those of the Cephes library (S. L. Moshier, Methods and Programs for
Mathematical Functions, 1989), which are good to float64's rounding; logarithms near one are taken
without cancellation (W. Kahan).
"""

from __future__ import annotations

import math

from steepest.share.onnx.graph import Graph

_LARGE = 2.0**28
_ATAN = (
    (-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
     -1.228866684490136173410e2, -6.485021904942025371773e1),
    (1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
     4.853903996359136964868e2, 1.945506571482613964425e2),
)  # fmt: skip
_ERF = (
    (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3,
     7.00332514112805075473e3, 5.55923013010394962768e4),
    (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
     2.26290000613890934246e4, 4.92673942608635921086e4),
)  # fmt: skip
_ERFC = (
    (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
     4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
     9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2),
    (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
     9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
     1.65666309194161350182e3, 5.57535340817727675546e2),
)  # fmt: skip
_FARTHEST = 27.0
"""Φ is zero in float64 beyond that many √2 σ."""


def log1p(g: Graph, x: str) -> str:
    """log(1 + x), without cancellation near 0."""
    u = g.add(x, 1.0)
    log = g.node("Log", u)
    lost = g.divide(g.subtract(x, g.subtract(u, 1.0)), u)
    exact = g.node("And", g.less(0.0, u), g.less(u, math.inf))
    return g.add(log, g.where(exact, lost, 0.0))


def sinh(g: Graph, x: str) -> str:
    """(eˣ − e⁻ˣ) / 2; its series near 0."""
    square = g.multiply(x, x)
    series = [1.0 / math.factorial(n) for n in range(17, 0, -2)]
    near = g.multiply(x, g.polynomial(square, series))
    root = g.node("Exp", g.multiply(g.node("Abs", x), 0.5))  # eˣ would overflow before sinh x does
    grown = g.multiply(g.multiply(root, 0.5), root)
    far = g.subtract(grown, g.divide(0.5, g.multiply(root, root)))
    return g.where(g.less(g.node("Abs", x), 1.0), near, g.multiply(far, g.node("Sign", x)))


def cosh(g: Graph, x: str) -> str:
    """(eˣ + e⁻ˣ) / 2."""
    root = g.node("Exp", g.multiply(g.node("Abs", x), 0.5))
    grown = g.multiply(g.multiply(root, 0.5), root)
    return g.add(grown, g.divide(0.5, g.multiply(root, root)))


def tan(g: Graph, x: str) -> str:
    """Return sin x / cos x."""
    return g.divide(g.node("Sin", x), g.node("Cos", x))


def arctan(g: Graph, x: str) -> str:
    """Return arctan x, from a rational function on [−0.66, 0.66] and two reflections."""
    size = g.node("Abs", x)
    outer, middle = g.less(math.tan(3 * math.pi / 8), size), g.less(0.66, size)
    turned = g.divide(-1.0, g.where(outer, size, 1.0))
    halved = g.divide(g.subtract(size, 1.0), g.add(g.where(outer, 1.0, size), 1.0))
    reduced = g.where(outer, turned, g.where(middle, halved, size))
    square = g.multiply(reduced, reduced)
    numerator, denominator = (g.polynomial(square, part) for part in _ATAN)
    ratio = g.divide(g.multiply(square, numerator), denominator)
    angle = g.add(g.multiply(reduced, ratio), reduced)
    lost = 6.123233995736765886130e-17  # of float64's π / 2
    more = g.where(outer, lost, g.where(middle, lost / 2, 0.0))
    base = g.where(outer, math.pi / 2, g.where(middle, math.pi / 4, 0.0))
    return g.multiply(g.add(base, g.add(angle, more)), _sign_or_one(g, x))


def arcsin(g: Graph, x: str) -> str:
    """Return arcsin x = arctan(x / √(1 − x²))."""
    room = g.multiply(g.subtract(1.0, x), g.add(x, 1.0))
    return arctan(g, g.divide(x, g.node("Sqrt", room)))


def arccos(g: Graph, x: str) -> str:
    """Return arccos x = 2 arctan √((1 − x) / (1 + x))."""
    ratio = g.divide(g.subtract(1.0, x), g.add(x, 1.0))
    return g.multiply(arctan(g, g.node("Sqrt", ratio)), 2.0)


def arctan2(g: Graph, y: str, x: str) -> str:
    """The angle of (x, y) in [−π, π], with the signs of zeros as IEEE 754 has them."""
    half = g.where(_is_negative(g, y), -math.pi, math.pi)
    on_axis = g.node("Equal", x, g.constant(0.0))
    slope = arctan(g, g.divide(y, g.where(on_axis, 1.0, x)))
    turned = g.where(g.less(x, 0.0), g.add(slope, half), slope)
    zero = g.node("Equal", y, g.constant(0.0))
    vertical = g.where(zero, g.where(_is_negative(g, x), half, 0.0), g.multiply(half, 0.5))
    return g.where(on_axis, vertical, turned)


def arcsinh(g: Graph, x: str) -> str:
    """Return arsinh x = sign(x) log(|x| + √(1 + x²))."""
    size = g.node("Abs", x)
    large = g.less(_LARGE, size)
    tame = g.where(large, 1.0, size)
    square = g.multiply(tame, tame)
    root = g.node("Sqrt", g.add(square, 1.0))
    near = log1p(g, g.add(tame, g.divide(square, g.add(root, 1.0))))
    far = g.add(g.node("Log", g.where(large, size, 1.0)), math.log(2.0))
    return g.multiply(g.where(large, far, near), g.node("Sign", x))


def arccosh(g: Graph, x: str) -> str:
    """Return arcosh x = log(x + √(x² − 1))."""
    large = g.less(_LARGE, x)
    t = g.subtract(g.where(large, 1.0, x), 1.0)
    root = g.node("Sqrt", g.add(g.multiply(t, 2.0), g.multiply(t, t)))
    far = g.add(g.node("Log", g.where(large, x, 1.0)), math.log(2.0))
    return g.where(large, far, log1p(g, g.add(t, root)))


def arctanh(g: Graph, x: str) -> str:
    """Return artanh x = ½ log((1 + x) / (1 − x))."""
    size = g.node("Abs", x)
    ratio = g.divide(g.multiply(size, 2.0), g.subtract(1.0, size))
    return g.multiply(g.multiply(log1p(g, ratio), 0.5), g.node("Sign", x))


def log10(g: Graph, x: str) -> str:
    """Return log x / log 10."""
    return g.divide(g.node("Log", x), math.log(10.0))


def hypot(g: Graph, a: str, b: str) -> str:
    """√(a² + b²), without overflow."""
    first, second = g.node("Abs", a), g.node("Abs", b)
    larger, smaller = g.node("Max", first, second), g.node("Min", first, second)
    none = g.node("Equal", larger, g.constant(0.0))
    ratio = g.divide(smaller, g.where(none, 1.0, larger))
    return g.multiply(larger, g.node("Sqrt", g.add(g.multiply(ratio, ratio), 1.0)))


def modulo(g: Graph, a: str, b: str) -> str:
    """Return a % b with the sign of b, as in Python."""
    rest = g.node("Mod", a, b, fmod=1)
    opposite = g.less(g.multiply(g.node("Sign", rest), g.node("Sign", b)), 0.0)
    return g.where(opposite, g.add(rest, b), rest)


def delta_phi(g: Graph, phi1: str, phi2: str) -> str:
    """φ₁ − φ₂ in (−π, π]."""
    turned = g.node("Mod", g.subtract(phi1, phi2), g.constant(2 * math.pi), fmod=1)
    turned = g.where(g.less(math.pi, turned), g.subtract(turned, 2 * math.pi), turned)
    low = g.node("LessOrEqual", turned, g.constant(-math.pi))
    return g.where(low, g.add(turned, 2 * math.pi), turned)


def delta_r(g: Graph, eta1: str, phi1: str, eta2: str, phi2: str) -> str:
    """√(Δη² + Δφ²)."""
    return hypot(g, g.subtract(eta1, eta2), delta_phi(g, phi1, phi2))


def normal_cdf(g: Graph, x: str) -> str:
    """Φ(x), the normal distribution function."""
    z = g.multiply(x, math.sqrt(0.5))
    near, rest = _erf_parts(g, z)
    upper = g.where(g.less(g.node("Abs", z), 1.0), g.subtract(1.0, near), rest)  # erfc |z|
    low = g.multiply(upper, 0.5)
    return g.where(g.less(z, 0.0), low, g.subtract(1.0, low))


def erf(g: Graph, z: str) -> str:
    """The error function, 2/√π ∫ exp(−t²) from 0 to z."""
    near, rest = _erf_parts(g, z)
    size = g.where(g.less(g.node("Abs", z), 1.0), near, g.subtract(1.0, rest))
    return g.multiply(size, _sign_or_one(g, z))


def _erf_parts(g: Graph, z: str) -> tuple[str, str]:
    """Erf of |z| up to 1, and 1 − erf of |z| from 1 on."""
    size = g.node("Min", g.node("Abs", z), g.constant(_FARTHEST))
    inner = g.node("Min", size, g.constant(1.0))
    square = g.multiply(inner, inner)
    numerator, denominator = (g.polynomial(square, part) for part in _ERF)
    near = g.divide(g.multiply(inner, numerator), denominator)
    outer = g.node("Max", size, g.constant(1.0))
    numerator, denominator = (g.polynomial(outer, part) for part in _ERFC)
    fall = g.node("Exp", g.node("Neg", g.multiply(outer, outer)))
    return near, g.divide(g.multiply(fall, numerator), denominator)


def is_finite(g: Graph, x: str) -> str:
    """Whether x is a number, and no infinity."""
    return g.node("Not", g.node("Or", g.node("IsNaN", x), g.node("IsInf", x)))


def _is_negative(g: Graph, x: str) -> str:
    """Return x < 0, and −0."""
    zero = g.node("Equal", x, g.constant(0.0))
    below = g.less(g.divide(1.0, x), 0.0)
    return g.node("Or", g.less(x, 0.0), g.node("And", zero, below))


def _sign_or_one(g: Graph, x: str) -> str:
    return g.where(g.less(x, 0.0), -1.0, 1.0)
