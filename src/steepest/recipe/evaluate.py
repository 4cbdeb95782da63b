"""The table ``[evaluate]``: what is reported."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, FiniteFloat, field_validator

from steepest.recipe._strict import Strict

__all__ = ["BinsRecipe", "EvaluateRecipe", "SignificanceRecipe"]

Efficiency = Annotated[float, Field(gt=0.0, lt=1.0)]


class BinsRecipe(Strict):
    """Bins of a column, in which figures of merit are reported: turn-on curves and the like."""

    column: str
    """A column or an expression; it need not be a feature."""
    edges: Annotated[tuple[FiniteFloat, ...], Field(strict=False)]

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
            raise ValueError("two numbers or more, each above the one before")
        return edges


class SignificanceRecipe(Strict):
    """What a counting experiment expects before the cut that is to be chosen."""

    signal: Annotated[FiniteFloat, Field(gt=0.0)]
    background: Annotated[FiniteFloat, Field(gt=0.0)]
    background_uncertainty: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Relative: 0.1 is 10 %."""


class EvaluateRecipe(Strict):
    """What is reported."""

    baseline: bool = True
    """Fit the linear model on the same features too, so that the report says what is gained."""
    signal_efficiencies: Annotated[tuple[Efficiency, ...], Field(strict=False)] = (
        0.3,
        0.5,
        0.7,
        0.9,
    )
    working_point: Efficiency = 0.5
    """The signal efficiency of the cut whose efficiencies are reported in bins."""
    bins: Annotated[tuple[BinsRecipe, ...], Field(strict=False)] = ()
    significance: SignificanceRecipe | None = None

    @field_validator("bins", mode="before")
    @classmethod
    def _as_list(cls, bins: Any) -> Any:
        return [bins] if isinstance(bins, Mapping | BinsRecipe) else bins

    @property
    def columns(self) -> list[str]:
        """The columns to bin in, each once."""
        return list(dict.fromkeys(bins.column for bins in self.bins))
