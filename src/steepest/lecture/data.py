"""The events of a lecture: two classes, at least two features, and no negative weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from steepest.errors import EventsError, RecipeError
from steepest.evaluate.figures import axis_label
from steepest.events import PARTS, TRAIN, Sample, evaluated_part
from steepest.recipe import Recipe
from steepest.training import TrainingCallback
from steepest.training.inputs import Schema, prepare

Array = np.ndarray

MOST_EVENTS = 20_000
"""Maximum number of events of each part, evenly spaced."""
LEAST_EVENTS = 50
"""Minimum number of training events of each class."""
ALIKE = 0.999
"""Two features with a correlation above this count as equal."""


class NotFound(Exception):
    """The events do not show the effect of a picture; the message says what was searched for."""


@dataclass(frozen=True)
class Effort:
    """The amount of computation for the pictures: the defaults are for slides, tests use less."""

    events: int = 2_000  # of batch descents
    points: int = 61  # of the grid, along each axis of the contours and of the landscape
    starts: int = 8  # per small sample, in the search for minima
    samples: int = 10  # maximum number of small samples in that search
    steps: int = 3_000  # of each run of that search
    epochs: int = 12  # of the stochastic descents
    repeats: int = 4  # orders of the events for the stochastic descents
    network_epochs: int = 30  # of the network whose landscape is drawn
    escapes: int = 30  # runs from the local minimum for each setting


@dataclass(frozen=True, eq=False)
class LectureData:
    """The events for the pictures of a lecture."""

    train: Sample  # labels are 0 and 1, weights are not negative
    other: Sample  # events on which scores are shown
    names: tuple[str, ...]  # names of the inputs
    pair: tuple[int, int]  # indices of the inputs for pictures with one or two features
    classes: tuple[str, str]  # names of the classes 0 and 1
    part: str  # name of the part `other`
    source: dict[str, Any]  # the files, with checksums

    def drawn(self, most: int, seed: int) -> Sample:
        """Return at most `most` training events, drawn without replacement."""
        rows = np.random.default_rng([seed, 41]).permutation(len(self.train))[:most]
        weights = None if self.train.weights is None else self.train.weights[rows]
        return Sample(self.train.features[rows], self.train.labels[rows], weights)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "events": {"train": len(self.train), self.part: len(self.other)},
            "features": list(self.names),
            "pair": [self.names[i] for i in self.pair],
            "classes": list(self.classes),
            "source": self.source,
        }


def lecture_recipe(
    data: Sequence[str] = (), label: str | None = None, features: Sequence[str] = ()
) -> Recipe:
    """Return the recipe of the events: a given one, one for given files, or the embedded jets.

    `data` is empty, one recipe (``.toml``), or files of events, whose columns are `label` and
    `features`. RecipeError for a recipe together with files, files without a label, or a label
    without files.

    Examples
    --------
    >>> lecture_recipe().events.label
    'is_top'
    """
    recipes = [path for path in data if path.endswith(".toml")]
    if not data or recipes:
        if len(data) > 1 or label is not None or features:
            raise RecipeError(
                "--label and --features are for files of events, not for a recipe.",
                expected="--data RECIPE, or --data FILE … --label COLUMN",
                found=", ".join(data) or "no --data",
                do="write label and features into the recipe, or name the files of events",
            )
        own = Path(recipes[0]) if recipes else files("steepest.lecture") / "lecture.toml"
        return Recipe.from_toml(Path(str(own)), anchor=bool(recipes))
    if label is None:
        raise RecipeError(
            "Files of events need a label: which of their columns says signal or background?",
            expected="--data FILE --label COLUMN, or --data RECIPE",
            found=", ".join(data),
            do="--label is_signal",
        )
    events: dict[str, Any] = {"path": list(data), "label": label}
    if features:
        events["features"] = list(features)
    return Recipe.from_dict({"events": events}, source="--data")


def load(recipe: Recipe, callback: TrainingCallback, folder: Path) -> LectureData:
    """Read the events of a recipe.

    EventsError if the events cannot be read, do not have two classes or two different features,
    are too few, or have negative weights.
    """
    parts, schema = prepare(recipe, callback, folder)
    _refuse_other_labels(schema)
    evaluated = evaluated_part(parts)
    train, other = (parts[part].thinned(MOST_EVENTS) for part in (TRAIN, evaluated))
    _refuse_few(train)
    _refuse_negative(train)
    _refuse_negative(other)
    embedded = recipe.events.paths == ["embedded:top-jets"] and schema.label == "is_top"
    label = schema.label.replace("$", r"\$")
    return LectureData(
        train=train,
        other=other,
        names=schema.names,
        pair=_pair(train.features, schema.names),
        classes=("QCD jets", "top jets") if embedded else (f"{label} = 0", f"{label} = 1"),
        part=PARTS[evaluated],
        source=train.source,
    )


def _refuse_other_labels(schema: Schema) -> None:
    if schema.task == "binary":
        return
    many = f"the {len(schema.classes)} classes {', '.join(schema.classes[:6])}"
    raise EventsError(
        f"The lecture needs two classes, but the label {schema.label!r} has others.",
        expected="a label of 0 and 1, such as is_top",
        found="numbers, for a regression" if schema.task == "regression" else many,
        cause="a regression target, or names of several processes",
        do='make it a condition: label = "process == \'top\'", or label = "mass > 120"',
    )


def _refuse_few(train: Sample) -> None:
    counts = [int((train.labels == k).sum()) for k in (0, 1)]
    if min(counts) < LEAST_EVENTS:
        raise EventsError(
            "There are too few events to draw the lecture's pictures from.",
            expected=f"at least {LEAST_EVENTS} training events of each class",
            found=f"{counts[0]:,} with label 0 and {counts[1]:,} with label 1",
            cause="a small sample, or a selection that leaves few events",
            do="use more events, or a looser `select`",
        )


def _refuse_negative(events: Sample) -> None:
    weights = events.weights
    if weights is None or weights.min() >= 0:
        return
    raise EventsError(
        "The pictures of the lecture use small samples, in which J may have no minimum with "
        "negative weights.",
        expected="weights of 0 and above",
        found=f"{(weights < 0).sum():,} of {len(events):,} events below 0, down to "
        f"{weights.min():.4g}",
        cause="events of a generator beyond leading order",
        do='exclude them: select = "weight > 0"',
    )


def _pair(features: Array, names: Sequence[str]) -> tuple[int, int]:
    """Return the first input with spread, and the next that is not a linear function of it."""
    spread = features.std(axis=0)
    moving = np.flatnonzero(spread > 1e-9 * np.abs(features).max(axis=0))
    for second in moving[1:]:
        first = moving[0]
        if abs(np.corrcoef(features[:, first], features[:, second])[0, 1]) < ALIKE:
            return int(first), int(second)
    raise EventsError(
        "The lecture needs two features that differ.",
        expected="two features with spread, not proportional to each other",
        found=f"{len(moving)} with spread among {', '.join(names[:6])}",
        do="name at least two in the recipe's events.features, or with --features",
    )


def symbol_and_unit(name: str) -> tuple[str, str]:
    """Return the symbol of a feature, and its unit or "".

    Examples
    --------
    >>> symbol_and_unit("mass"), symbol_and_unit("my_feature")
    (('$m$', ''), ('my_feature', ''))
    """
    symbol, _, unit = axis_label(name).partition(" [")
    return symbol, unit.rstrip("]")


def in_sentence(symbol: str) -> str:
    """A feature's symbol after other words: a name begins with a small letter."""
    return symbol if symbol.startswith("$") else symbol[:1].lower() + symbol[1:]
