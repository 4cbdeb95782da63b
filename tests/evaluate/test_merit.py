import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from steepest.evaluate import (
    auc,
    background_rejection,
    binary_merits,
    regression_merits,
    roc_curve,
)
from steepest.evaluate.merit import (
    ONE_SIGMA,
    Merit,
    normal_quantile,
    undefined_merit,
)
from steepest.report.tables import rough_intervals, shared_cuts


def merit(value, low, high, unit=None, **more):
    return Merit("m", value, low, high, (high - low) / 2, ONE_SIGMA, {"n": 3}, "d", unit, **more)


WRITTEN = [
    (0.94123, 0.93964, 0.94282, None, "0.9412 ± 0.0016"),
    (45.21, 42.1, 49.0, "GeV", "45.2 +3.8 −3.1 GeV"),
    (28.4, 4.62, 1.137e10, None, "28 (4.6 to 1.1·10¹⁰)"),
    (9.04, 2.1, 3067.0, "GeV", "9 (2.1 to 3100) GeV"),
    (3.0, 1.5, 150.0, None, "3 +147 −2"),
    (-0.5, -0.7, -0.3, "GeV", "−0.50 ± 0.20 GeV"),
    (12345, 12345 - 234, 12345 + 234, None, "12340 ± 230"),
    (9.96, 9.96 - 0.0996, 9.96 + 0.0996, None, "9.96 ± 0.10"),
    (1.234e-5, 1.134e-5, 1.334e-5, None, "(1.23 ± 0.10)·10⁻⁵"),
    (3.2e7, 3.1e7, 3.3e7, "GeV²", "(3.20 ± 0.10)·10⁷ GeV²"),
    (1.0, 0.982, 1.0, None, "1.000 −0.018"),
    (0.5, 0.5, 0.5, None, "0.5"),
    (8.3774e-11, 8.3774e-11, 8.3774e-11, None, "8.377·10⁻¹¹"),
    (0.0, 0.0, 0.0, "GeV", "0 GeV"),
    (0.1, 0.09999, 0.6, None, "0.10000 +0.50000 −0.00001"),
    (300.0, 200.0, math.inf, None, "300 +∞ −100"),
    (-0.01, 0.0, 0.02, None, "−0.01 [0, 0.02]"),
    (math.inf, 812.3, math.inf, None, "> 812 (84 % CL)"),
    (math.inf, 3.46e7, math.inf, None, "> 3.46·10⁷ (84 % CL)"),
    (0.25, math.nan, math.nan, "GeV", "0.25 GeV (uncertainty undefined)"),
    (math.nan, math.nan, math.nan, None, "undefined"),
]


@pytest.mark.parametrize(("value", "low", "high", "unit", "text"), WRITTEN)
def test_format_is_what_one_writes(value, low, high, unit, text):
    assert merit(value, low, high, unit).format() == text


@pytest.mark.parametrize(("value", "low", "high", "unit", "text"), WRITTEN)
def test_rounded_numbers_are_those_that_are_written(value, low, high, unit, text):
    found = merit(value, low, high, unit).rounded()
    if not math.isfinite(value):
        assert not math.isfinite(found.value)
        return
    match = re.match(r"\(?([−0-9.]+)(?:[^·(]*·10([⁻⁰¹²³⁴-⁹]+))?", text)
    assert match is not None
    written, power = match.groups()
    exponent = int((power or "0").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
    assert found.value == pytest.approx(
        float(written.replace("−", "-")) * 10.0**exponent, rel=1e-14
    )
    assert found.name == "m"
    assert found.counts == {"n": 3}


def test_rounded_ends_and_uncertainty():
    found = Merit("auc", 0.94123, 0.93964, 0.94282, 0.00159, ONE_SIGMA, {}, "").rounded()
    assert (found.low, found.high, found.uncertainty) == (0.9396, 0.9428, 0.0016)
    limit = replace(merit(0.008512, -0.0085, 0.0132), name="calibration_error").rounded()
    assert (limit.value, limit.high) == (0.009, 0.013)


@pytest.mark.parametrize(
    ("low", "high", "text"), [(0.5, math.inf, "≥ 0.5"), (-math.inf, 0.5, "≤ 0.5")]
)
def test_an_interval_with_one_end_is_a_limit(low: float, high: float, text: str):
    assert Merit("m", 0.5, low, high, math.inf, 0.6827, {}, "").format() == text


def test_a_calibration_error_whose_interval_holds_0_is_a_limit():
    def text(value, low, high):
        return replace(merit(value, low, high), name="calibration_error").format()

    assert text(0.0085, -0.0085, 0.0132) == "< 0.013 (84 % CL)"
    assert text(-0.01, -0.02, 0.0132) == "< 0.013 (84 % CL)"
    assert text(-0.01, -0.02, -0.001) == "consistent with 0"
    assert text(0.03, 0.02, 0.04) == "0.030 ± 0.010"


def test_json_is_strict_and_comes_back():
    limit = merit(math.inf, 10.0, math.inf, reason="no background passes")
    entry = json.loads(json.dumps(limit.to_json(), allow_nan=False))
    assert entry["value"] is None
    assert entry["high"] is None
    assert entry["low"] == 10.0
    assert entry["reason"] == "no background passes"
    assert Merit.from_json(entry).format() == limit.format()
    whole = merit(1.0, 0.5, 1.5)
    assert Merit.from_json(whole.to_json()) == whole
    assert "reason" not in whole.to_json()


def test_json_names_what_is_not_finite_when_no_reason_is_given():
    assert merit(1.0, 0.5, math.inf).to_json()["reason"] == "not finite: high, uncertainty"


def test_json_has_plain_numbers():
    counts: Any = {"n": np.int64(3), "w": np.float64(2.5)}
    entry = Merit("m", 1.0, 0.0, 2.0, 1.0, 0.9, counts, "d").to_json()
    assert [type(x) for x in entry["counts"].values()] == [int, float]
    json.dumps(entry, allow_nan=False)


def test_undefined():
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054)
    assert normal_quantile(ONE_SIGMA) == pytest.approx(1, abs=1e-14)
    none = undefined_merit("m", "why", definition="d")
    assert math.isnan(none.value)
    assert none.to_json()["reason"] == "why"


def test_few_events_are_said():
    few = auc([0, 1] * 8, np.linspace(0, 1, 16) ** 2)
    assert few.definition.endswith("; only 8 effective signal events: the interval is a rough one")
    curve = roc_curve([0, 1] * 200, np.linspace(0, 1, 400))
    rejection = background_rejection(curve, 0.01)
    assert "effective background events that pass: the interval" in rejection.definition
    assert "rough" not in background_rejection(curve, 0.5).definition
    residuals = np.linspace(-1, 1, 19)
    assert "only 19 effective events" in regression_merits(residuals, -residuals)["bias"].definition
    enough = np.linspace(-1, 1, 20)
    assert "rough" not in regression_merits(enough, -enough)["bias"].definition


def test_tables_say_which_intervals_are_rough():
    random = np.random.default_rng(0)
    for events, told in ((4000, ""), (200, "in 68 %): 1/ε_B (ε_S = 0.3)."), (16, ": all.")):
        labels = np.arange(events) % 2
        merits = binary_merits(
            labels, norm.cdf(1.5 * labels + random.normal(size=events) - 0.75), efficiencies=(0.3,)
        )
        found = rough_intervals({"merits": {"model": {n: m.to_json() for n, m in merits.items()}}})
        assert told in found
        assert bool(told) == bool(found)


def test_a_score_that_many_events_share_is_said():
    labels = np.array([0, 1] * 50)
    scores = np.where(np.arange(100) < 70, 0.5, np.arange(100) / 100)

    def said(scores):
        curve = roc_curve(labels, scores)
        merits = [background_rejection(curve, wanted) for wanted in (0.2, 0.5, 0.7)]
        return shared_cuts({"merits": {"model": {m.name: m.to_json() for m in merits}}})

    assert said(scores) == [
        "70 of 100 events share one score: no cut gives ε_S = 0.5 or 0.7, and the cut taken has "
        "ε_S = 1."
    ]
    assert said(np.arange(100) / 100) == []
