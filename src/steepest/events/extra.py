"""Packages of the extras, imported where they are used."""

from __future__ import annotations

import importlib
from typing import Any

from steepest.errors import MissingExtraError


def load(module: str, extra: str, purpose: str) -> Any:
    """Return a module of an extra.

    Raises
    ------
    MissingExtraError
        It is not installed; the message has the install line.

    Examples
    --------
    >>> load("absent", "root", "Reading ROOT files")
    Traceback (most recent call last):
    steepest.errors.MissingExtraError: Reading ROOT files needs the package 'absent', which is
    not installed.
      do:       pip install 'steepest[root]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.split(".")[0]:
            raise
        raise MissingExtraError(extra, module.split(".")[0], purpose) from None
