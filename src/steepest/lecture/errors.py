"""What a picture may say in place of its numbers."""

from __future__ import annotations

__all__ = ["NotFound"]


class NotFound(Exception):
    """The events do not show what a picture is about; says what was looked for."""
