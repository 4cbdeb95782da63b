"""What is options of a landscape."""

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
    """What a landscape is to be.

    Attributes
    ----------
    directions : str
        One of "random", "principal", "hessian", "through" and "parameters"; "auto" is "principal"
        where the run has a path, else "random".
    others : tuple[str, ...]
        With "through", other runs (``RUN`` or ``RUN@STEP``); with "parameters", their names.
    dimensions : int
        1 or 2.
    points : int
        Along each axis.
    extent : tuple[float, ...] or None
        A half width, or a low and a higher end for each axis; None chooses.
    events : int or None
        So many events at most; None takes all.
    standard_error : float or None
        As many events as it takes for the standard error of J to be at most this part of J at
        every point.
    seed : int
        Of random directions and of the order of the events.
    name : str or None
        Of the folder in ``RUN/landscape``; None makes one of the directions.

    Raises
    ------
    InputError
        A value that is none of those.
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
        """With what was left open decided; raises RunFolderError where a path is missing."""
        kind = self.directions
        if kind == "auto":
            kind = "principal" if source.path is not None else "random"
        if kind == "principal" and source.path is None:
            raise no_path(run)
        dimensions = self.dimensions
        if kind in ("through", "parameters"):  # none or too many of them: the directions refuse
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
