"""The error of a picture that the events do not allow."""

from __future__ import annotations

__all__ = ["NotFound"]


class NotFound(Exception):
    """The events do not show the effect of a picture; the message says what was searched for."""
