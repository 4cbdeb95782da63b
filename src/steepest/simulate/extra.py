"""The two packages of the extra ``[simulate]``, imported where they are used and kept silent."""

from __future__ import annotations

import importlib
import warnings
from importlib.metadata import version
from typing import Any

from steepest.errors import InputError, MissingExtraError

__all__ = ["fastjet", "pythia", "versions"]

_PURPOSE = "Simulating jets"


def pythia() -> Any:
    """Return the module of Pythia 8.

    Raises
    ------
    MissingExtraError
        If ``pythia8mc`` is not installed.
    """
    return _load("pythia8mc", package="pythia8mc")


def fastjet() -> Any:
    """Return the module of FastJet, with its banner off.

    Raises
    ------
    MissingExtraError
        If ``fastjet``, or ``awkward`` that it works on, is not installed.
    """
    _load("awkward", package="awkward")
    module = _load("fastjet", package="fastjet")
    classic = importlib.import_module("fastjet._swig")  # the banner belongs to the C++ class
    classic.ClusterSequence.set_fastjet_banner_stream(None)
    return module


def versions() -> dict[str, str]:
    """Return the versions of Pythia and FastJet.

    Raises
    ------
    MissingExtraError
        If one of them is not installed.
    """
    pythia()
    fastjet()
    return {"pythia": version("pythia8mc"), "fastjet": version("fastjet")}


def _load(name: str, *, package: str) -> Any:
    try:
        with warnings.catch_warnings():  # SWIG's own, on new versions of Python
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError("simulate", package, _PURPOSE) from error
    except ImportError as error:
        raise InputError(
            f"{_PURPOSE} needs the package {package!r}, which is installed but cannot be loaded.",
            found=str(error),
            cause="a file of it is missing, or was built for another system",
            do=f"pip install --force-reinstall {package}",
        ) from error
