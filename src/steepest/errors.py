"""Every error that steepest raises on purpose.

::

    SteepestError                 base; carries an exit code for the command line
    ├── InputError          (1)   something the user gave is not as it must be; a ValueError too
    │   ├── RecipeError           a recipe: unknown key, wrong value, contradiction
    │   ├── EventsError           events: file, format, column, value, selection
    │   ├── RunFolderError        a run's folder: occupied, unwritable, damaged, full
    │   └── MissingExtraError     an optional dependency that is not installed
    ├── DivergenceError     (3)   the descent left every finite bound
    ├── RankLost            (1)   of many processes that train together, one has ended
    └── Interrupted       (130) Ctrl-C; what was done so far is kept
        └── Preempted      (75) SIGTERM or SIGUSR1, as schedulers send them: to be started again

A message has one shape, so that it can be read at a glance and tested whole::

    what went wrong, and where
      expected: ...
      found:    ...
      cause:    ... (the likely one)
      do:       ...
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType

__all__ = [
    "DivergenceError",
    "EventsError",
    "InputError",
    "Interrupted",
    "MissingExtraError",
    "Preempted",
    "RankLost",
    "RecipeError",
    "RunFolderError",
    "SteepestError",
    "nearest",
]


NEAR = 0.75
"""A name is near another one if so much of both is the same: ``tua3`` and ``tau3``."""


class SteepestError(Exception):
    """Base of every error of steepest.

    Parameters
    ----------
    what
        What went wrong and where (file, column, row), one line.
    expected, found, cause, do
        One line each: what was expected, what was found, the likely cause, what to do.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        cause: str | None = None,
        do: str | None = None,
    ) -> None:
        self.what = what
        self.details = {"expected": expected, "found": found, "cause": cause, "do": do}
        lines = [f"  {key + ':':<9} {text}" for key, text in self.details.items() if text]
        super().__init__("\n".join([what, *lines]))


class InputError(SteepestError, ValueError):
    """Something that the user gave is not as it must be.

    It is a `ValueError` too: what scikit-learn, and who catches errors in Python's terms, expects.
    """


class RecipeError(InputError):
    """A recipe has an unknown key, a wrong value or a contradiction."""


class EventsError(InputError):
    """Events cannot be read, or hold what cannot be trained on.

    `bad_files` has the files that cannot be read, each with the reason, if that is what happened;
    it is None for what must never be taken for it. `of_split` says that a part of few events lacks
    a class, or that the weights in it cancel, so that another split may do.
    """

    bad_files: Mapping[str, str] | None = MappingProxyType({})
    of_split = False


class RunFolderError(InputError):
    """A run's folder is occupied, unwritable, damaged, or its disk is full."""


class MissingExtraError(InputError):
    """An optional dependency is not installed; the message has the install line."""

    def __init__(self, extra: str, package: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed.",
            do=f"pip install 'steepest[{extra}]'",
        )


class DivergenceError(SteepestError):
    """The loss became non-finite or exploded; the last good parameters are kept."""

    exit_code = 3


class RankLost(SteepestError):
    """Another rank has ended, so that this one cannot go on."""


class Interrupted(SteepestError):
    """Ctrl-C: the work stopped at a safe point and can be resumed."""

    exit_code = 130


class Preempted(Interrupted):
    """SIGTERM or SIGUSR1: the work stopped at a safe point, and waits to be started again.

    The exit code is EX_TEMPFAIL of ``sysexits.h``: schedulers can be told to queue the job again.
    """

    exit_code = 75


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is closest to `name`, or None if none is close.

    Examples
    --------
    >>> nearest("tua3", ["tau1", "tau3", "mass"])
    'tau3'
    >>> nearest("wt", ["w", "pt"]) is None
    True
    """
    ordered = sorted(known)
    folded = {candidate.lower(): candidate for candidate in reversed(ordered)}
    matches = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=NEAR)
    return folded[matches[0]] if matches else None
