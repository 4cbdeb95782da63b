"""Imports of Pythia and FastJet, the packages of the extra ``[simulate]``, without banners."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

from steepest.errors import InputError, MissingExtraError

__all__ = ["fastjet", "fastjet_arrays", "hide_banner", "pythia", "versions"]

_PURPOSE = "Simulating jets"


def pythia() -> Any:
    """Import and return Pythia 8.

    Raises
    ------
    MissingExtraError
        If ``pythia8mc`` is not installed.
    """
    return _load("pythia8mc", package="pythia8mc")


def fastjet() -> Any:
    """Import and return FastJet, with its banner switched off.

    Raises
    ------
    MissingExtraError
        If ``fastjet``, or ``awkward``, which it needs, is not installed.
    """
    _load("awkward", package="awkward")
    module = _load("fastjet", package="fastjet")
    classic = importlib.import_module("fastjet._swig")  # the banner belongs to the C++ class
    classic.ClusterSequence.set_fastjet_banner_stream(None)
    return module


def fastjet_arrays() -> Any:
    """Import and return the low-level module of FastJet, which works on plain arrays.

    The module is private to FastJet and may change at any time. If it disappears,
    `steepest.simulate.jets.clustering.Clustered` can use ``fastjet.ClusterSequence`` on Awkward
    arrays, which gives the same numbers more slowly.

    Raises
    ------
    MissingExtraError
        If FastJet is not installed.
    InputError
        If the installed version has no such module, or not the function that is needed.
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
        with warnings.catch_warnings():  # SWIG's warnings on new versions of Python
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


@cache
def hide_banner(module: Any) -> None:
    """Make the copy of FastJet in Pythia print its banner to the null device.

    It prints the banner at its first event, once per process, and has no option to switch it off.

    Parameters
    ----------
    module
        Pythia's module.
    """
    with _nothing_printed():
        module.SlowJet(-1, 1.0).analyze(module.Event())


@contextmanager
def _nothing_printed() -> Iterator[None]:
    """Redirect the standard output of compiled code to the null device, if it is open."""
    with ExitStack() as stack:
        try:
            kept = os.dup(1)
        except OSError:
            kept = None
        if kept is not None:
            stack.callback(os.close, kept)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            stack.callback(os.close, nowhere)
            stack.callback(os.dup2, kept, 1)
            os.dup2(nowhere, 1)
        yield
