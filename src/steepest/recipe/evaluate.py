"""The ``[evaluate]`` table: baseline, working point, bins, significance."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, field_validator

from steepest.recipe.tables import Strict

Efficiency = Annotated[float, Field(gt=0.0, lt=1.0)]


class BinsRecipe(Strict):
    """Bins of a column for figures of merit, such as turn-on curves."""

    column: str
    """A column or an expression, not necessarily a feature."""
    edges: Annotated[tuple[FiniteFloat, ...], Field(strict=False)]

    @field_validator("edges")
    @classmethod
    def _rising(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if len(edges) < 2 or any(high <= low for low, high in pairwise(edges)):
            raise ValueError("two or more increasing numbers")
        return edges


class SignificanceRecipe(Strict):
    """Expected numbers of events of a counting experiment, before the cut that is optimised."""

    signal: Annotated[FiniteFloat, Field(gt=0.0)] | None = None
    background: Annotated[FiniteFloat, Field(gt=0.0)] | None = None
    """Left out: the sums of the weights of all selected events of the class."""
    background_uncertainty: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Relative uncertainty: 0.1 is 10 %."""


class EvaluateRecipe(Strict):
    """The evaluation and the report."""

    baseline: bool = True
    """Whether to fit a linear model on the same features as a baseline."""
    signal_efficiencies: Annotated[tuple[Efficiency, ...], Field(strict=False)] = (
        0.3,
        0.5,
        0.7,
        0.9,
    )
    working_point: Efficiency = 0.5
    """Signal efficiency of the cut whose efficiencies are given in bins."""
    bins: Annotated[tuple[BinsRecipe, ...], Field(strict=False)] = ()
    significance: SignificanceRecipe | None = None
    importance: bool = False
    """Whether to measure by how much a figure of merit falls if a feature is permuted."""
    label: str | None = None
    """Written above each figure, such as "CMS Simulation"; the first word is bold."""
    formats: Annotated[tuple[Literal["png", "pdf", "svg"], ...], Field(strict=False)] = (
        "png",
        "pdf",
    )
    """Of the figures; the report shows the PNG files, which are always written."""

    @field_validator("bins", mode="before")
    @classmethod
    def _as_list(cls, bins: Any) -> Any:
        return [bins] if isinstance(bins, Mapping | BinsRecipe) else bins

    @property
    def columns(self) -> list[str]:
        """The columns of all bins, without duplicates."""
        return list(dict.fromkeys(bins.column for bins in self.bins))
