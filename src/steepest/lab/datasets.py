"""The events of the playground, as the page takes them: a description, and columns of float64.

The page computes the descent itself. What it cannot know are the events and what the library makes
of them: the training part in its order, the weights of the descent, and the scalings fitted on it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from steepest.errors import EventsError
from steepest.events import TRAIN, Sample
from steepest.recipe import Recipe
from steepest.scaling import AffineScaling
from steepest.training import TrainingCallback
from steepest.training.inputs import Schema, prepare, scaling_of

Array = np.ndarray

MOST_EVENTS, MOST_FEATURES, MOST_CLASSES = 100_000, 64, 10
"""Of a file of one's own: what a browser steps through without waiting."""
SCALINGS = ("none", "standard", "min-max", "robust")
"""Those of a width each; the page makes "whiten" from "standard" by itself."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training events of a recipe.

    Parameters
    ----------
    name
        By which the page asks for it: small letters, digits and hyphens.
    title
        For people.
    recipe
        Of which ``[events]`` is used.
    features
        The features that the page begins with; all can be chosen.
    classes
        Names of the classes to show in place of those of the events.
    """

    name: str
    title: str
    recipe: Recipe
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    @cached_property
    def _prepared(self) -> tuple[Sample, Schema]:
        parts, schema = prepare(self.recipe, TrainingCallback(), Path.cwd())
        train = parts[TRAIN]
        _refuse(train, schema, self.title)
        return train, schema

    @property
    def sample(self) -> Sample:
        """The training part."""
        return self._prepared[0]

    @property
    def schema(self) -> Schema:
        """What its numbers mean."""
        return self._prepared[1]

    def description(self) -> dict[str, Any]:
        """What the page must know of it: JSON."""
        from steepest.lab.words import symbol, unit

        train, schema = self._prepared
        tables = _tables(self.recipe)
        chosen = self.features or schema.names[:2]
        return {
            "name": self.name,
            "title": self.title,
            "task": schema.task,
            "label": schema.label,
            "classes": list(self.classes or schema.classes),
            "events": len(train),
            "weighted": train.descent_weights is not None,
            "features": [
                {
                    "name": name,
                    "symbol": symbol(name, schema.units),
                    "unit": unit(name, schema.units),
                    "recipe": tables.get(name, name),
                }
                for name in schema.names
            ],
            "label_symbol": symbol(schema.label, schema.units),
            "label_unit": unit(schema.label, schema.units),
            "chosen": list(chosen),
            "scalings": self._scalings(),
            "target": _spread(train) if schema.task == "regression" else [0.0, 1.0],
            "events_table": self.recipe.model_dump(mode="json", exclude_defaults=True)["events"],
        }

    def _scalings(self) -> dict[str, dict[str, list[float]]]:
        """Shift and width of each feature; a scaling that these events refuse is left out."""
        train, schema = self._prepared
        found = {}
        for name in SCALINGS:
            try:
                scaling = scaling_of(name, train, schema.inputs)
            except EventsError:
                continue
            assert isinstance(scaling, AffineScaling)
            shift, matrix = scaling.affine()
            width = getattr(scaling, "width", 1.0 / np.diag(matrix))
            found[name] = {"shift": shift.tolist(), "width": width.tolist()}
        return found

    def columns(self) -> bytes:
        """The features one after the other, the labels, and the weights if there are any.

        Little-endian float64. Weights have mean one, as those of a batch.
        """
        train = self.sample
        weights = train.descent_weights
        columns = [np.asarray(train.features, dtype=np.float64).T.ravel()]
        columns.append(np.asarray(train.labels, dtype=np.float64))
        if weights is not None:
            columns.append(np.asarray(weights, np.float64) * (len(train) / np.sum(weights)))
        return np.concatenate(columns).astype("<f8").tobytes()


def built_in() -> list[Dataset]:
    """The embedded samples: the lecture's parabola, lines, classes in a plane, and jets."""
    square = {"name": "t_squared", "value": "t * t"}
    return [
        _embedded("noisy-line", "Noisy line", "y", ["x"]),
        _embedded("parabola", "Lecture's parabola", "signal", ["t", square]),
        _embedded("two-classes", "Two classes", "signal", ["x1", "x2"], "background", "signal"),
        _embedded("two-moons", "Two moons", "signal", ["x1", "x2"], "background", "signal"),
        _embedded("three-classes", "Three classes", "process", ["x1", "x2"], "QCD", "top", "W"),
        Dataset(
            "top-jets",
            "Jets: top or QCD",
            _recipe("top-jets", "is_top", JET_FEATURES, select="tau2 > 0"),
            features=("mass", "tau32"),
            classes=("QCD", "top"),
        ),
    ]


JET_FEATURES: list[str | dict[str, str]] = [
    "mass", {"name": "tau32", "value": "tau3 / tau2"}, {"name": "tau21", "value": "tau2 / tau1"},
    "pt", "eta", "n_constituents", "soft_drop_mass", "c2", "d2", "pt_dispersion",
]  # fmt: skip


def _recipe(name: str, label: str, features: Sequence[Any], **more: Any) -> Recipe:
    events = {"path": f"embedded:{name}", "label": label, "features": list(features), **more}
    return Recipe.from_dict({"events": events}, source="the lab")


def _embedded(name: str, title: str, label: str, features: Sequence[Any], *classes: str) -> Dataset:
    """A small sample, of which all events are trained on."""
    recipe = _recipe(name, label, features, split={"validation": 0.0, "test": 0.0})
    return Dataset(name, title, recipe, classes=classes)


def from_recipe(recipe: Recipe, title: str) -> Dataset:
    """Return the events of a recipe for the playground, read and looked at.

    Raises
    ------
    EventsError
        There are more than 100,000 training events, 64 features or 10 classes, or particles.
    """
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "events"
    dataset = Dataset(name, title, recipe)
    dataset.description()
    return dataset


def _refuse(train: Sample, schema: Schema, title: str) -> None:
    """Refuse what a browser would not step through."""
    wide = not isinstance(train.features, np.ndarray)
    found = (
        (wide, "features of events that fit into memory", "particles, or events on disk"),
        (
            len(train) > MOST_EVENTS,
            f"at most {MOST_EVENTS:,} training events",
            f"{len(train):,}",
        ),
        (
            len(schema.names) > MOST_FEATURES,
            f"at most {MOST_FEATURES} features",
            f"{len(schema.names)}",
        ),
        (
            len(schema.classes) > MOST_CLASSES,
            f"at most {MOST_CLASSES} classes",
            f"{len(schema.classes)}",
        ),
    )
    for wrong, expected, seen in found:
        if wrong:
            raise EventsError(
                f"{title} cannot be shown in the playground.",
                expected=expected,
                found=seen,
                cause="the page computes the descent itself, in the browser",
                do="name fewer with events.features or events.select, or train on these with "
                "`steepest train` and watch the run in the lab",
            )


def _tables(recipe: Recipe) -> dict[str, Any]:
    """The features that the recipe writes as tables, by name."""
    written = recipe.model_dump(mode="json", exclude_defaults=True)["events"].get("features", [])
    return {table["name"]: table for table in written if isinstance(table, dict)}


def _spread(train: Sample) -> list[float]:
    """Centre and width of the labels, in whose units a network learns them."""
    from steepest.training.targets import units_of_spread

    loss = units_of_spread(train.labels, train.weights)
    return [loss.centre, loss.width]
