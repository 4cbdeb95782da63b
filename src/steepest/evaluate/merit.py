"""Merit: a figure of merit with its uncertainty, counts and definition."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np

from steepest.notation import number_text, power_of_ten, shared_exponent

ONE_SIGMA = 0.6826894921370859  # erf(1/√2): the probability within one standard deviation
_NUMBERS = ("value", "low", "high", "uncertainty")
REJECTION = "background_rejection_at_"
_TITLES = {
    "auc": "AUC",
    "auc_difference": "AUC gain",
    "r_squared": "R²",
    "binary_cross_entropy": "cross entropy",
    "significance": "significance Z",
}
_NO_COUNTS = ("clipped", "bins", "expected_calibration_error", "expected_if_calibrated")
FEW = {
    "events_effective": 20,
    "signal_effective": 10,
    "background_effective": 10,
    "background_passed_effective": 8,
    "signal_failed_effective": 8,
}
"""Effective counts below which an interval need not hold the truth as often as its level says."""
WIDE = 100
"""Times the value, and the other uncertainty, above which an interval is told by its ends."""
ROUGH = "the interval is a rough one"
"""What the definition of such a figure of merit says."""


@dataclass(frozen=True, slots=True)
class Merit:
    """A figure of merit with its interval, the counts behind it, and its definition.

    Attributes
    ----------
    name
        Name in metrics.json, such as ``auc`` or ``background_rejection_at_0.5``.
    value, low, high
        The estimate and its confidence interval [low, high] at `level`.
    uncertainty
        One standard deviation of the estimate.
    level
        Confidence level of the interval; by default erf(1/√2) = 68.27 %.
    counts
        Raw and effective numbers of events behind the number.
    definition
        The definition in one sentence.
    unit
        Unit of the value; None if dimensionless.
    reason
        The reason why one of the four numbers is not finite; None if all are finite.

    Examples
    --------
    >>> print(Merit("auc", 0.94123, 0.93964, 0.94282, 0.00159, ONE_SIGMA, {}, "").format())
    0.9412 ± 0.0016
    """

    name: str
    value: float
    low: float
    high: float
    uncertainty: float
    level: float
    counts: dict[str, float | int]
    definition: str
    unit: str | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a plain dict; numbers that are not finite are None, and `reason` says why.

        Examples
        --------
        >>> entry = undefined_merit("auc", "no signal", definition="").to_json()
        >>> entry["value"], entry["reason"]
        (None, 'no signal')
        """
        entry = asdict(self)
        entry["counts"] = {key: _plain(count) for key, count in self.counts.items()}
        for key in (*_NUMBERS, "level"):
            entry[key] = _plain(entry[key])
        if self.reason is None:
            del entry["reason"]
            missing = [key for key in _NUMBERS if entry[key] is None]
            if missing:
                entry["reason"] = f"not finite: {', '.join(missing)}"
        return entry

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Merit:
        """Return the merit that `to_json` wrote; None becomes NaN."""
        numbers = {key: math.nan if entry[key] is None else entry[key] for key in _NUMBERS}
        return cls(**{**entry, **numbers})

    @property
    def is_limit(self) -> bool:
        """Whether `format` tells a limit in place of the value.

        Examples
        --------
        >>> Merit("calibration_error", 0.01, -0.01, 0.02, 0.01, ONE_SIGMA, {}, "").is_limit
        True
        """
        return not math.isfinite(self.value) or (self.name == "calibration_error" and self.low <= 0)

    def format(self) -> str:
        """Return the value as in a paper, rounded to two digits of the uncertainty.

        Symmetric intervals give ``0.9412 ± 0.0016``, others ``45.2 +3.8 −3.1``. An interval that
        reaches a hundred times the value or more is given by its ends, ``28 (4.6 to 1.1·10¹⁰)``,
        each with two digits. A value with only a limit gives ``> 812 (84 % CL)``, and a
        calibration error whose interval holds 0 its upper end, ``< 0.021 (84 % CL)``. A value
        without uncertainty stands alone.

        Examples
        --------
        >>> Merit("m", 45.21, 42.1, 49.0, 3.4, ONE_SIGMA, {}, "", "GeV").format()
        '45.2 +3.8 −3.1 GeV'
        """
        unit = f" {self.unit}" if self.unit else ""
        if self.name == "calibration_error" and self.low <= 0:
            if self.high <= 0:
                return "consistent with 0"
            return (
                f"< {_rounded(self.high, _decimals(self.high))} ({50 * (1 + self.level):.0f} % CL)"
            )
        if not math.isfinite(self.value):
            return self._format_limit(unit)
        up, down = self.high - self.value, self.value - self.low
        if not (math.isfinite(up) or math.isfinite(down)):
            return f"{number_text(self.value)}{unit} (uncertainty undefined)"
        if up < 0 or down < 0:  # the interval is clipped to the physical range, the value is not
            value, low, high = (number_text(end, 3) for end in (self.value, self.low, self.high))
            return f"{value} [{low}, {high}]{unit}"
        return _with_errors(self.value, up, down, unit)

    def rounded(self) -> Merit:
        """Return it with the digits that `format` shows, as numbers; the uncertainty has two.

        Examples
        --------
        >>> merit = Merit("auc", 0.94123, 0.93964, 0.94282, 0.00159, ONE_SIGMA, {}, "").rounded()
        >>> merit.value, merit.low, merit.high, merit.uncertainty
        (0.9412, 0.9396, 0.9428, 0.0016)
        """
        up, down = self.high - self.value, self.value - self.low
        wide = _is_wide(self.value, up, down)
        decimals = None if wide else _shared_decimals(up, down)
        if self.name == "calibration_error" and self.low <= 0 < self.high:
            decimals = _decimals(self.high)

        def number(value: float, digits: int) -> float:
            if not math.isfinite(value):
                return value
            return float(f"{value:.{digits}g}") if decimals is None else round(value, decimals)

        digits = 2 if wide else 3 if up < 0 or down < 0 else 4
        ends = {name: number(getattr(self, name), digits) for name in ("value", "low", "high")}
        return replace(self, **ends, uncertainty=float(f"{self.uncertainty:.2g}"))

    @property
    def title(self) -> str:
        """The name in tables.

        Examples
        --------
        >>> undefined_merit("background_rejection_at_0.5", "", definition="").title
        '1/ε_B (ε_S = 0.5)'
        """
        if self.name.startswith(REJECTION):
            return f"1/ε_B (ε_S = {self.name.removeprefix(REJECTION)})"
        return _TITLES.get(self.name, self.name.replace("_", " ").replace("auc", "AUC"))

    @property
    def is_rough(self) -> bool:
        """Whether so few events stand behind it that its interval is a rough one."""
        return ROUGH in self.definition

    @property
    def rests_on(self) -> str:
        """The raw counts behind the number, as a short text.

        Examples
        --------
        >>> counts = {"background_passed": 92, "background_total": 200_000, "threshold": 0.9}
        >>> undefined_merit("m", "", definition="", counts=counts).rests_on
        '92 of 200,000 bkg'
        """
        counts = self.counts
        if "background_passed" in counts:
            return f"{counts['background_passed']:,} of {counts['background_total']:,} bkg"
        for part in ("right", "passed"):
            if part in counts:
                return f"{counts[part]:,} of {counts['events']:,}"
        if counts.keys() >= {"signal", "background"}:
            return f"{counts['signal']:,} S + {counts['background']:,} B"
        raw = {
            key: n for key, n in counts.items() if "effective" not in key and key not in _NO_COUNTS
        }
        return ", ".join(
            f"{n:,} {key.removeprefix('events_').replace('_', ' ')}" for key, n in raw.items()
        )

    def _format_limit(self, unit: str) -> str:
        if not math.isfinite(self.low):
            return "undefined"
        return f"> {number_text(self.low, 3)}{unit} ({50 * (1 + self.level):.0f} % CL)"


def _plain(number: float | int) -> float | int | None:
    if isinstance(number, Integral):
        return int(number)
    return float(number) if math.isfinite(number) else None


def defined(definition: str, counts: dict[str, float | int]) -> str:
    """Return a definition that says if the counts are too small for the level of the interval.

    Examples
    --------
    >>> defined("mean", {"events_effective": 12.0})
    'mean; only 12 effective events: the interval is a rough one'
    """
    for name, least in FEW.items():
        if counts.get(name, least) < least:
            what = name.removesuffix("_effective").replace("_passed", " events that pass")
            what = what.replace("_failed", " events that fail")
            what = what if what.startswith("event") or "events" in what else f"{what} events"
            few = f"only {counts[name]:.2g} effective {what}"
            return f"{definition}; {few}: {ROUGH}"
    return definition


def with_uncertainty(value: float, uncertainty: float) -> str:
    """Return a number with its standard deviation, rounded as `Merit.format` does.

    Examples
    --------
    >>> with_uncertainty(1.1623e6, 3.7e4), with_uncertainty(0.9, 0.0)
    ('(1.162 ± 0.037)·10⁶', '0.9')
    """
    return _with_errors(value, uncertainty, uncertainty, "")


def _with_errors(value: float, up: float, down: float, unit: str) -> str:
    errors = [error for error in (up, down) if math.isfinite(error)]
    if not any((up, down)):
        return f"{number_text(value)}{unit}"
    if not any(errors):  # the value is the end of an interval without another end
        return f"{'≥' if up else '≤'} {number_text(value)}{unit}"
    if _is_wide(value, up, down):
        middle, low, high = (_two_digits(end) for end in (value, value - down, value + up))
        return f"{middle} ({low} to {high}){unit}"
    exponent = shared_exponent(max(abs(value), *errors))
    scale = 10.0**-exponent
    value, up, down = value * scale, up * scale, down * scale
    smaller, larger = min(error * scale for error in errors), max(error * scale for error in errors)
    decimals = _shared_decimals(up, down)
    assert decimals is not None
    pieces = [_rounded(number, decimals) for number in (value, up, down)]
    if 0 == smaller < larger:  # the value is at one end of its interval
        value_text, error = (_rounded(number, decimals) for number in (value, larger))
        text = f"{value_text} {'+' if up else '−'}{error}"
    elif abs(up - down) <= 0.1 * larger:
        text = f"{pieces[0]} ± {_rounded((up + down) / 2, decimals)}"
    else:
        text = f"{pieces[0]} +{pieces[1]} −{pieces[2]}"
    return f"{f'({text}){power_of_ten(exponent)}' if exponent else text}{unit}"


def _is_wide(value: float, up: float, down: float) -> bool:
    """Whether one uncertainty is so much larger that no decimals suit the value and both."""
    if not (math.isfinite(up) and math.isfinite(down)):
        return False
    least = max(abs(value), min(up, down))
    return 0 < WIDE * least < max(up, down)


def _two_digits(number: float) -> str:
    return number_text(float(f"{number:.2g}"))


def _shared_decimals(up: float, down: float) -> int | None:
    """Return the decimals that value and errors are written with; None where none follow."""
    errors = [error for error in (up, down) if math.isfinite(error)]
    if not any(errors) or min(errors) < 0:
        return None
    smaller, larger = min(errors), max(errors)
    if smaller == 0:
        return _decimals(larger)
    # an uncertainty is never written as 0
    return max(_decimals(max(smaller, larger / 10)), -math.floor(math.log10(smaller)))


def _decimals(error: float) -> int:
    """Return the number of decimals that show two significant digits of `error`."""
    return 1 - math.floor(math.log10(float(f"{error:.1e}")))


def _rounded(number: float, decimals: int) -> str:
    if not math.isfinite(number):
        return "∞"
    text = f"{round(number, decimals) + 0.0:.{max(decimals, 0)}f}"  # + 0.0: no −0
    return text.replace("-", "−")


def normal_quantile(level: float) -> float:
    """Return z such that a standard normal variable is within ±z with probability `level`."""
    from scipy.special import erfinv

    return float(math.sqrt(2) * erfinv(level))


def undefined_merit(
    name: str,
    reason: str,
    definition: str,
    counts: dict[str, float | int] | None = None,
) -> Merit:
    """Return a merit without a value, with the reason."""
    nan = math.nan
    return Merit(name, nan, nan, nan, nan, ONE_SIGMA, counts or {}, definition, reason=reason)


def as_numbers(twin: Any) -> Any:
    """Return the numbers of a figure as dicts, lists and floats; None if not finite.

    Examples
    --------
    >>> as_numbers({"loss": np.array([0.5, np.nan])})
    {'loss': [0.5, None]}
    """
    if is_dataclass(twin) and not isinstance(twin, type):
        return {field.name: as_numbers(getattr(twin, field.name)) for field in fields(twin)}
    if isinstance(twin, dict):
        return {key: as_numbers(value) for key, value in twin.items()}
    if isinstance(twin, np.ndarray | np.generic):
        twin = twin.tolist()
    if isinstance(twin, list | tuple):
        return [as_numbers(value) for value in twin]
    if isinstance(twin, float) and not math.isfinite(twin):
        return None
    return twin
