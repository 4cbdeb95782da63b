"""What the main rank needs of all ranks' events, to evaluate and to draw.

Each rank scores its own events. The main rank gets labels, weights, scores and further columns of
all of them: 8 bytes a number. Features it gets of as many events as figures show.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from steepest.events import Sample
from steepest.groups import Groups, join_inputs
from steepest.ranks import current
from steepest.storage import in_memory
from steepest.training.scored import Scored

Parts = dict[int, Sample]


def bare_parts(parts: Parts) -> Parts:
    """The parts of all ranks without their features, on the main one."""
    return {part: _joined(_bare(events)) for part, events in parts.items()}


def scored_parts(scored: dict[int, Scored]) -> dict[int, Scored]:
    """What all ranks have scored, without features, on the main one."""
    found = {}
    for part, of_rank in scored.items():
        known = current().to_main(in_memory(of_rank.beside))
        events = _joined(_bare(of_rank.events))
        predictions = np.concatenate(known) if known else of_rank.beside
        found[part] = Scored(of_rank.model, events, predictions)
    return found


def some_events(events: Sample, most: int) -> Sample:
    """At most so many events of all ranks with their features, on the main one."""
    thinned = events.thinned(max(most // current().size, 1))
    return _joined(replace(thinned, rows=None, file=None, part=None), features=True)


def _bare(events: Sample) -> Sample:
    empty = np.empty((len(events), 0))
    return replace(events, features=empty, rows=None, file=None, part=None)


def _joined(events: Sample, features: bool = False) -> Sample:
    """The events of all ranks in one, on the main one; on others those that are given."""

    def of_all(column: Any) -> Any:
        if column is None:
            return None
        every = current().to_main(in_memory(column))
        return np.concatenate(every) if every else column

    joined = events.features
    if features:
        own = events.features if isinstance(joined, Groups) else in_memory(joined)
        joined = join_inputs(current().to_main(own) or [own])
    labels = of_all(events.labels)
    return replace(
        events,
        features=joined if features else np.empty((len(labels), 0)),
        labels=labels,
        weights=of_all(events.weights),
        train_weights=of_all(events.train_weights),
        sample=of_all(events.sample),
        extra={name: of_all(column) for name, column in events.extra.items()},
    )
