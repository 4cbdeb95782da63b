"""Which η and how many epochs make a run healthy, by a rule that asks `steepest.explain` nothing.

``python -m benchmarks.explain_healthy --set held-out`` prints the table ``HEALTHY`` of
`explain_held_out` or `explain_tuned`. The rule, for every sample and kind of recipe:

1. η is on a grid of half-decades. Each is trained on a sample whose seed no run of the benchmark
   has. What counts is the lowest validation loss.
2. The epochs are doubled, five times at most, as long as that lowers the loss of the best η by
   more than `CLOSE` of what it gains over a constant. A kind of recipe that still gains then is
   left out on this sample: it is not healthy.
3. "best" is the η of the lowest loss; "largest" and "smallest" are the ends of the η around it
   whose losses are within `CLOSE`, too.
"""

from __future__ import annotations

import argparse
import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.explain import COUNT, SETS, without_figures
from benchmarks.explain_events import Maker, written
from benchmarks.explain_faults import KINDS, Kind, recipe_of

__all__ = ["chosen"]

CLOSE, TOLD = 0.05, 0.002
"""Losses are alike within this part of what was gained, and within this part of a constant's."""
SEED = 0
DOUBLINGS = 5
MOST = 12
"""Rates that are tried at most."""
HALF_DECADE = math.sqrt(10.0)


def loss_of(make: Maker, family: str, kind: Kind, rate: float, epochs: int) -> float:
    """The lowest validation loss, over that of a constant; infinite for a run that diverged."""
    import steepest
    from steepest.errors import DivergenceError

    events = make(COUNT, SEED)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = written(events, folder, False)
        recipe = recipe_of(kind.settings, family, table, SEED, rate, epochs)
        try:
            run = steepest.train(recipe, folder / "run", progress=False)
        except DivergenceError:
            return math.inf
        share = float(np.mean(events.y))
        constant = -share * math.log(share) - (1 - share) * math.log1p(-share)
        return run.history["validation_loss"].drop_nulls().to_numpy().min() / constant


def best_of(
    make: Maker, family: str, kind: Kind, epochs: int, around: float | None
) -> dict[float, float]:
    """The loss by η: of the grid around the middle, as far as the best lies within."""
    tried: dict[float, float] = {}
    middle = around or kind.middle
    pending = [middle * HALF_DECADE**k for k in (-1, 0, 1)]
    while pending:
        for rate in pending:
            tried[rate] = loss_of(make, family, kind, rate, epochs)
        best = min(tried, key=lambda rate: tried[rate])
        low, high = min(tried), max(tried)
        pending = [low / HALF_DECADE] if best == low else []
        pending += [high * HALF_DECADE] if best == high else []
        if len(tried) >= MOST:
            break
    return tried


def chosen(make: Maker, family: str, kind: Kind) -> tuple[float, int] | None:
    """η and epochs; None where that is never healthy."""
    epochs = kind.epochs // 2 if family == "S" else kind.epochs
    losses = best_of(make, family, kind, epochs, None)
    for _ in range(DOUBLINGS):
        best = min(losses, key=lambda rate: losses[rate])
        longer = best_of(make, family, kind, 2 * epochs, best)
        if min(losses.values()) <= _limit(longer):
            break
        epochs, losses = 2 * epochs, longer
    else:
        return None
    if kind.pick != "best":  # the grid as far as its ends are as good
        for factor in (HALF_DECADE, 1 / HALF_DECADE):
            end = max(losses) if factor > 1 else min(losses)
            while losses[end] <= _limit(losses):
                end *= factor
                losses[end] = loss_of(make, family, kind, end, epochs)
    best = min(losses, key=lambda rate: losses[rate])
    good = [rate for rate in sorted(losses) if losses[rate] <= _limit(losses)]
    picked = {"best": best, "largest": max(good), "smallest": min(good)}[kind.pick]
    return float(f"{picked:.2g}"), epochs


def _limit(losses: dict[float, float]) -> float:
    best = min(losses.values())
    return best + max(CLOSE * (1.0 - best), TOLD)


def table_of(where: str, only: str = "") -> Iterator[str]:
    """A line each sample, family and kind of recipe."""
    module = SETS[where]
    for kind in KINDS:
        for family in kind.families:
            samples = {"S": module.PARTICLES, "L": module.LINEAR, "D": module.MATRICES}[family]
            for sample in samples:
                if not re.search(only, f"{sample}/{family}/{kind.name}"):
                    continue
                make = (module.PARTICLES if family == "S" else module.MATRICES)[sample]
                found = chosen(make, family, kind)
                yield f'    ("{sample}", "{family}", "{kind.name}"): {found},'


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=tuple(SETS), default="tuned")
    parser.add_argument("--only", default="", help="a regular expression of SAMPLE/FAMILY/KIND")
    options = parser.parse_args()
    without_figures()
    for line in table_of(options.set, options.only):
        print(line, flush=True)


if __name__ == "__main__":
    main()
