"""Read events: files and formats, expressions, selection, labels, the split.

>>> from steepest.events import load_sample, open_events, parse
>>> sample = load_sample(recipe.events)  # doctest: +SKIP
"""

from steepest.events.contract import Block, EventFile
from steepest.events.expressions import Expression, parse
from steepest.events.features import FeatureReader, FeatureValues
from steepest.events.formats import open_events
from steepest.events.hub import pin
from steepest.events.reading import Room
from steepest.events.sample import Part, Sample, load_events, load_sample
from steepest.events.source import EventSource
from steepest.events.split import PARTS, TEST, TRAIN, VALIDATION, assign_parts

__all__ = [
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
    "Part",
    "Room",
    "Sample",
    "assign_parts",
    "load_events",
    "load_sample",
    "open_events",
    "parse",
    "pin",
]
