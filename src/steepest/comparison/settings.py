"""What differs between the recipes of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steepest.folder import RunFolder


def differing_settings(folders: Sequence[RunFolder]) -> dict[str, tuple[Any, ...]]:
    """Keys of the recipes that differ."""
    flat = [folder.recipe.to_flat_dict() for folder in folders]
    keys = dict.fromkeys(key for each in flat for key in each)
    values = {key: tuple(each.get(key) for each in flat) for key in keys}
    return {key: v for key, v in values.items() if any(other != v[0] for other in v)}


LONGEST = 24
"""Characters of a setting in the table; what is longer ends with "…", and is whole in `to_json`."""


def short(value: Any) -> str:
    """Return a setting as text.

    Examples
    --------
    >>> short(None), short(0.1), short("count(Jet_pt > 20) >= 1 AND MET_pt > 30")
    ('left out', '0.1', 'count(Jet_pt > 20) >= 1…')
    """
    text = "left out" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
