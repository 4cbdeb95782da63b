"""Numbers as text, in one notation: 4 significant digits, and 1.16·10⁶ where it is needed."""

from __future__ import annotations

import math

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number_text(value: float, digits: int = 4) -> str:
    """Return a number without an uncertainty, with so many significant digits.

    Examples
    --------
    >>> number_text(1_162_345.0, 3), number_text(120.0, 3), number_text(-1.8e-10)
    ('1.16·10⁶', '120', '−1.8·10⁻¹⁰')
    """
    exponent = shared_exponent(abs(value))
    mantissa = value * 10.0**-exponent
    text = f"{mantissa:.{digits}g}" if abs(mantissa) < 10**digits else f"{mantissa:.0f}"
    return f"{text.replace('-', '−')}{power_of_ten(exponent)}"


def power_of_ten(exponent: int) -> str:
    """Return ``·10ⁿ``; nothing for 10⁰."""
    return f"·10{str(exponent).translate(_SUPERSCRIPTS)}" if exponent else ""


def shared_exponent(largest: float) -> int:
    """Return the power of ten to factor out; 0 if the number is readable without."""
    if largest == 0 or 1e-3 <= largest < 1e6:
        return 0
    return math.floor(math.log10(largest))
