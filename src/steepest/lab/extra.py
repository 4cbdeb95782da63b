"""Packages of the extra ``[lab]``, imported where they are used."""

from __future__ import annotations

from typing import Any

from steepest.events import extra


def load(module: str) -> Any:
    """Return a module of the extra ``[lab]``.

    Raises
    ------
    MissingExtraError
        It is not installed; the message has the install line.
    """
    return extra.load(module, "lab", "The lab")
