"""The figures of merit of auxiliary heads: those of a regression, for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steepest import evaluate
from steepest.training.targets import head_columns

if TYPE_CHECKING:
    from steepest.training.scored import Scored


def describe_heads(scored: Scored) -> dict[str, Any]:
    """``heads`` of metrics.json: of each its column, λ, unit and merits; nothing without heads."""
    model = scored.model
    if not model.heads:
        return {}
    truths, weights = head_columns(model.loss, scored.events), scored.events.weights
    described = []
    for head, truth, predicted in zip(model.heads, truths, scored.of_heads, strict=True):
        unit = model.units.get(head.value, {}).get("unit")
        merits = evaluate.regression_merits(truth, predicted, weights, unit=unit)
        described.append(
            {
                "name": head.name,
                "value": head.value,
                "weight": head.weight,
                "unit": unit,
                "merits": {name: merit.to_json() for name, merit in merits.items()},
            }
        )
    return {"heads": described}
