"""Read events: files and formats, expressions, selection, labels, the split.

>>> from steepest.events import load_sample, open_events, parse
>>> sample = load_sample(recipe.events)  # doctest: +SKIP
"""

from steepest.events.bad_files import same_events, skipped_sentences
from steepest.events.expressions.expression import Expression, parse
from steepest.events.formats.contract import Block, EventFile
from steepest.events.formats.registry import open_events
from steepest.events.hub import use_revisions
from steepest.events.reading.features import FeatureReader, FeatureValues
from steepest.events.reading.reading import MemoryBudget, load_events, load_sample
from steepest.events.reading.samples import events_by_sample
from steepest.events.sample.sample import Sample, evaluated_part
from steepest.events.sample.split import PARTS, TEST, TRAIN, VALIDATION, assign_folds, assign_parts
from steepest.events.source import EVENT_ROW, EventSource

__all__ = [
    "EVENT_ROW",
    "PARTS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Block",
    "EventFile",
    "EventSource",
    "Expression",
    "FeatureReader",
    "FeatureValues",
    "MemoryBudget",
    "Sample",
    "assign_folds",
    "assign_parts",
    "evaluated_part",
    "events_by_sample",
    "load_events",
    "load_sample",
    "open_events",
    "parse",
    "same_events",
    "skipped_sentences",
    "use_revisions",
]
