"""Yields: how many events each sample and class is expected to have, and how many a cut leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest import evaluate
from steepest.evaluate.columns import Sums, sums_of
from steepest.evaluate.intervals import efficiency_of
from steepest.evaluate.merit import Merit, with_uncertainty
from steepest.events import PARTS, Sample
from steepest.recipe import EvaluateRecipe, EventsRecipe, SignificanceRecipe
from steepest.storage import derived

if TYPE_CHECKING:
    from steepest.training.scored import Scored


def describe_samples(parts: dict[int, Sample], recipe: EventsRecipe) -> list[dict[str, Any]]:
    """Return what metrics.json says of each sample: Σw, √Σw² and the number of events by part."""
    described = []
    for index, sample in enumerate(recipe.samples or ()):
        sums = {PARTS[part]: _sums_of_sample(events, index) for part, events in parts.items()}
        whole = [*sums.values()]
        described.append(
            {
                "name": sample.name,
                "cross_section": sample.cross_section,
                "parts": {name: _yield(one) for name, one in sums.items()},
                "all": {
                    "events": sum(one.events for one in whole),
                    "yield": sum(one.weight for one in whole),
                    "uncertainty": float(np.sqrt(sum(one.squares for one in whole))),
                },
            }
        )
    return described


def _weights_of(events: Sample) -> Any:
    ones = derived(lambda y: np.ones(len(y)), events.labels)
    return ones if events.weights is None else events.weights


def _sums_of_sample(events: Sample, index: int) -> Sums:
    return sums_of(_weights_of(events), derived(lambda rows: rows == index, events.sample))


def _yield(sums: Sums) -> dict[str, Any]:
    return {
        "events": sums.events,
        "yield": sums.weight,
        "uncertainty": float(np.sqrt(sums.squares)),
    }


def sample_efficiencies(
    scored: Scored, names: Sequence[str], signal_efficiencies: Sequence[float]
) -> dict[str, list[dict[str, Any]]]:
    """Return the efficiency of each sample at the cuts of the signal efficiencies.

    ::

        ε = Σ w (score ≥ t) / Σ w        over the events of the sample in the evaluated part

    Intervals are those of events where these have several rows.
    """
    if scored.model.task != "binary" or scored.events.sample is None:
        return {}
    cuts = [evaluate.cut_at(scored.roc, efficiency) for efficiency in signal_efficiencies]
    found = _efficiencies(scored, names, cuts)
    if scored.event is not None and found:
        found = evaluate.clustered_merits(
            found, scored.event, lambda kept: _efficiencies(scored.where(kept), names, cuts)
        )
    told: dict[str, list[dict[str, Any]]] = {}
    for index, name in enumerate(names):
        for place, (asked, cut) in enumerate(zip(signal_efficiencies, cuts, strict=True)):
            if (one := found.get(f"efficiency {index} {place}")) is not None:
                told.setdefault(name, []).append(
                    {
                        "signal_efficiency": asked,
                        "threshold": cut,
                        "value": one.value,
                        "low": one.low,
                        "high": one.high,
                        "uncertainty": one.uncertainty,
                        "events": one.counts["passed"],
                    }
                )
    return told


def _efficiencies(scored: Scored, names: Sequence[str], cuts: Sequence[float]) -> dict[str, Merit]:
    """Return the efficiency of each sample with a yield at each cut."""
    weights, predictions = scored.weights, scored.predictions
    found: dict[str, Merit] = {}
    for index in range(len(names)):
        inside = derived(lambda rows, i=index: rows == i, scored.events.sample)
        whole = sums_of(weights, inside)
        if not whole.weight > 0:
            continue
        for place, cut in enumerate(cuts):
            passed = sums_of(weights, inside, derived(lambda p, t=cut: p >= t, predictions))
            name, one = f"efficiency {index} {place}", efficiency_of(passed, whole)
            ends = one.value, one.low, one.high, one.uncertainty
            found[name] = Merit(name, *ends, evaluate.ONE_SIGMA, {"passed": passed.events}, "")
    return found


def expected_events(
    options: EvaluateRecipe, recipe: EventsRecipe, parts: dict[int, Sample], task: str
) -> EvaluateRecipe:
    """Return the options with S and B of the significance: Σw of each class, over all parts.

    Numbers that the recipe gives stay. Without ``[evaluate.significance]`` there is one if all
    samples are normalised to a luminosity.
    """
    given = options.significance
    samples = recipe.samples or ()
    normalised = recipe.luminosity is not None and all(s.cross_section for s in samples)
    if task != "binary" or (given is None and not (samples and normalised)):
        return options
    if given is not None and given.signal is not None and given.background is not None:
        return options
    sums = [
        sum(
            sums_of(_weights_of(events), derived(lambda y, c=code: y == c, events.labels)).weight
            for events in parts.values()
        )
        for code in (0, 1)
    ]
    given = given or SignificanceRecipe()
    filled = given.model_copy(
        update={
            "background": sums[0] if given.background is None else given.background,
            "signal": sums[1] if given.signal is None else given.signal,
        }
    )
    return options.model_copy(update={"significance": filled})


def yield_sentences(samples: Sequence[dict[str, Any]]) -> list[str]:
    """Return a sentence on each sample for the log."""
    return [
        f"Yield of {one['name']!r}: "
        f"{with_uncertainty(one['all']['yield'], one['all']['uncertainty'])} "
        f"({one['all']['events']:,} selected events)."
        for one in samples
    ]
