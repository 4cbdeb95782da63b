"""Imports of Pythia and FastJet, the packages of the extra ``[simulate]``, without banners."""

from __future__ import annotations

import importlib
import warnings
from importlib.metadata import version
from typing import Any

from steepest.errors import InputError, MissingExtraError

_PURPOSE = "Simulating jets"


def pythia() -> Any:
    """Import and return Pythia 8; `MissingExtraError` if it is not installed."""
    return _load("pythia8mc")


def fastjet() -> Any:
    """Import and return FastJet, with its banner off; `MissingExtraError` if not installed."""
    _load("awkward")  # FastJet needs it
    module = _load("fastjet")
    classic = importlib.import_module("fastjet._swig")  # the banner belongs to the C++ class
    classic.ClusterSequence.set_fastjet_banner_stream(None)
    return module


def fastjet_arrays() -> Any:
    """Import and return the low-level module of FastJet, which works on plain arrays.

    The module is private to FastJet and may change at any time. If it disappears,
    `steepest.simulate.jets.Clustered` can use ``fastjet.ClusterSequence`` on Awkward arrays, which
    gives the same numbers more slowly.

    MissingExtraError if FastJet is not installed; InputError if its version has no such module,
    or not the function that is needed.
    """
    fastjet()
    module = None
    try:
        module = importlib.import_module("fastjet._ext")
        found = "" if hasattr(module, "interfacemulti") else "no function 'interfacemulti' in it"
    except ImportError as error:
        found = str(error)
    if found:
        raise InputError(
            f"{_PURPOSE} needs the module 'fastjet._ext' of the package 'fastjet'.",
            expected="a version of FastJet that has it, such as 3.5.2",
            found=f"FastJet {version('fastjet')}: {found}",
            cause="a newer version, which has moved it",
            do="pip install 'fastjet==3.5.2.*'",
        )
    return module


def _load(name: str) -> Any:
    try:
        with warnings.catch_warnings():  # SWIG's warnings on new versions of Python
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingExtraError("simulate", name, _PURPOSE) from error
    except ImportError as error:
        raise InputError(
            f"{_PURPOSE} needs the package {name!r}, which is installed but cannot be loaded.",
            found=str(error),
            cause="a file of it is missing, or was built for another system",
            do=f"pip install --force-reinstall {name}",
        ) from error
