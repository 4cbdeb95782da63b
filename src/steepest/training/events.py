"""From a recipe to the parts of its events, encoded: what training and evaluation work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from steepest.encoding import Encoding, fit_encoding
from steepest.events import TEST, TRAIN, VALIDATION, Sample, load_sample
from steepest.recipe import Recipe
from steepest.training.fit import Events, Naming
from steepest.training.watch import TrainWatch

__all__ = ["PARTS", "Prepared", "encoded", "parts_of", "prepare", "read"]

PARTS = {TRAIN: "train", VALIDATION: "validation", TEST: "test"}


@dataclass(frozen=True)
class Prepared:
    """The events of a recipe by part (those that have events), and what they mean.

    `source` is their fingerprint, `notes` are sentences for the log.
    """

    parts: dict[int, Events]
    naming: Naming
    source: dict[str, Any]
    notes: list[str]

    @property
    def evaluated(self) -> int:
        """The test part where there is one, else validation, else training."""
        return next(part for part in (TEST, VALIDATION, TRAIN) if part in self.parts)


def prepare(recipe: Recipe, watch: TrainWatch) -> Prepared:
    """Read, split and encode; the encoding is learnt on the training part alone."""
    sample = read(recipe, watch)
    tables = {f.name: f for f in recipe.events.features or () if not isinstance(f, str)}
    train = sample.of(TRAIN)
    written = [tables.get(name, name) for name in sample.names]
    fitted = fit_encoding(written, train.features, train.weights, sample.categories)
    encoding = None if fitted.is_plain else fitted
    features = tuple(f if isinstance(f, str) else f.model_dump() for f in written)
    naming = Naming(features, sample.task, sample.classes, sample.label, encoding)
    parts = parts_of(encoded(sample, encoding))
    return Prepared(parts, naming, sample.source, sample.notes)


def read(recipe: Recipe, watch: TrainWatch) -> Sample:
    """Read what the recipe names, with the columns that its evaluation needs."""
    watch.stage("Reading events")
    loss = "mean-squared-error" if recipe.descent.method == "exact" else recipe.descent.loss
    return load_sample(recipe.events, loss=loss, extra=recipe.evaluate.columns, progress=watch.read)


def encoded(sample: Sample, encoding: Encoding | None) -> Sample:
    """Return the sample with the model's inputs in place of raw features."""
    if encoding is None:
        return sample
    inputs = encoding.transform(sample.features, categories=sample.categories, locate=sample.locate)
    return replace(sample, features=inputs)


def parts_of(sample: Sample) -> dict[int, Events]:
    """The parts that have events."""
    views = {part: sample.of(part) for part in PARTS if (sample.part == part).any()}
    return {
        part: Events(view.features, view.labels, view.weights, view.extra)
        for part, view in views.items()
    }
