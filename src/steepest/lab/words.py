"""Symbols and units of features in plain text, as a page without TeX shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from steepest.evaluate.figures import axis_label

_GREEK = {
    r"\tau": "τ", r"\eta": "η", r"\phi": "φ", r"\Delta": "Δ", r"\theta": "θ", r"\sigma": "σ",
    r"\Vert": "‖", r"\,": " ", r"\mathrm": "", r"\text": "", r"\$": "$",
}  # fmt: skip
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

_SHORT = {
    "t_squared": "t²",
    "x1": "x₁",
    "x2": "x₂",
    "n_constituents": "N",
    "pt_dispersion": "pTᴰ",
}
"""Of the embedded samples, in few letters."""

Units = Mapping[str, Mapping[str, str]]


def symbol(name: str, units: Units) -> str:
    """Return the symbol of a feature: ``p_T``, ``τ₃₂``, or the name itself.

    Examples
    --------
    >>> symbol("pt", {}), symbol("tau32", {}), symbol("my_feature", {})
    ('pT', 'τ₃₂', 'my_feature')
    """
    if name in _SHORT and "title" not in units.get(name, {}):
        return _SHORT[name]
    return plain(axis_label(name, units=units).partition(" [")[0])


def plain(text: str) -> str:
    r"""Return a label without its TeX.

    Examples
    --------
    >>> plain(r"Direction 1, $\Vert\Delta\theta\Vert$")
    'Direction 1, ‖Δθ‖'
    """
    if "$" not in text:
        return text
    for tex, sign in _GREEK.items():
        text = text.replace(tex, sign)
    text = re.sub(r"_\{?(\d+)\}?", lambda found: found[1].translate(_SUBSCRIPTS), text)
    return re.sub(r"[${}_^\\]", "", text)


def unit(name: str, units: Units) -> str:
    """Return the unit of a feature, or ``""``."""
    return units.get(name, {}).get("unit", "")
