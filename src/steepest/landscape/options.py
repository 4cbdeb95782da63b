"""The options of a landscape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from steepest.errors import InputError, nearest
from steepest.landscape.input import LandscapeInput, no_path

__all__ = ["KINDS", "LandscapeOptions"]

KINDS = ("random", "principal", "hessian", "through", "parameters")


@dataclass(frozen=True)
class LandscapeOptions:
    """The options of a landscape.

    Attributes
    ----------
    directions : str
        One of "random", "principal", "hessian", "through" and "parameters"; "auto" is "principal"
        if the run has a path, otherwise "random".
    others : tuple[str, ...]
        For "through", other runs (``RUN`` or ``RUN@STEP``); for "parameters", names of parameters.
    dimensions : int
        1 or 2.
    points : int
        Number of points along each axis.
    extent : tuple[float, ...] or None
        A half width, or (low, high) of each axis; None is automatic.
    events : int or None
        Maximum number of events; None uses all.
    standard_error : float or None
        Use as many events as are needed for the standard error of J to be at most this fraction of
        J at every point.
    seed : int
        Seed of random directions and of the order of the events.
    name : str or None
        Name of the folder in ``RUN/landscape``; None uses the name of the directions.

    Raises
    ------
    InputError
        For an invalid value.
    """

    directions: str = "auto"
    others: tuple[str, ...] = ()
    dimensions: int = 2
    points: int = 51
    extent: tuple[float, ...] | None = None
    events: int | None = None
    standard_error: float | None = None
    seed: int = 0
    name: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.directions not in ("auto", *KINDS):
            close = nearest(self.directions, KINDS)
            raise InputError(
                f"There are no directions {self.directions!r}.",
                expected=", ".join(KINDS),
                found=self.directions,
                do=f"perhaps {close!r}?" if close else "choose one of these",
            )
        if self.others and self.directions not in ("through", "parameters"):
            raise InputError(
                f"The directions {self.directions!r} take nothing more.",
                expected="no further run or name",
                found=", ".join(self.others),
                do="--directions through RUN2, or --directions parameters mass,tau32",
            )
        _refuse(self.events is not None and self.events < 1, "--events", self.events, "at least 1")
        error = self.standard_error
        _refuse(error is not None and not 0 < error < 1, "--standard-error", error,
                "between 0 and 1, such as 0.01 for one percent of J")  # fmt: skip
        _refuse(self.seed < 0, "--seed", self.seed, "a number from 0")
        _refuse(self.dimensions not in (1, 2), "dimensions", self.dimensions, "1 or 2")

    def resolved(self, source: LandscapeInput, run: str) -> LandscapeOptions:
        """Return the options with all defaults filled in; RunFolderError if a path is missing."""
        kind = self.directions
        if kind == "auto":
            kind = "principal" if source.path is not None else "random"
        if kind == "principal" and source.path is None:
            raise no_path(run)
        dimensions = self.dimensions
        if kind in ("through", "parameters"):  # the directions check the number of others
            given = len(self.others if kind == "through" else _names(self.others))
            dimensions = min(max(given, 1), 2)
        name = self.name or kind + ("-line" if dimensions == 1 else "")
        others = _names(self.others) if kind == "parameters" else self.others
        return LandscapeOptions(**{**asdict(self), "directions": kind, "dimensions": dimensions,
                        "name": name, "others": others})  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def _names(others: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for other in others for name in other.split(",") if name.strip())


def _refuse(wrong: bool, what: str, found: object, expected: str) -> None:
    if wrong:
        raise InputError(
            f"{what} is {found}.", expected=expected, found=str(found), do=f"change {what}"
        )
