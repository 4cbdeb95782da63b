"""From a recipe to the parts of its events, encoded: what training and evaluation work on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from steepest.encoding import Encoding, fit_encoding, is_needed
from steepest.events import TRAIN, MemoryBudget, Sample, load_sample
from steepest.recipe import Recipe, bytes_in
from steepest.storage import map_blocks, nearest_folder
from steepest.training.callback import TrainingCallback
from steepest.training.inputs import Schema

__all__ = ["available_memory", "encoded", "memory_budget", "prepare", "read"]

COPIES = 4
"""How often training holds the features at once: as read, split, scaled, and for the baseline."""


def prepare(
    recipe: Recipe, callback: TrainingCallback, folder: Path
) -> tuple[dict[int, Sample], Schema]:
    """Read, split and encode; the encoding is fitted on the training part alone.

    Returns
    -------
    tuple
        The parts that have events, by number (see `Sample.parts`), and what their numbers mean.
    """
    sample = read(recipe, callback, folder)
    tables = {f.name: f for f in recipe.events.features or () if not isinstance(f, str)}
    written = [tables.get(name, name) for name in sample.names]
    encoding = None
    if is_needed(written, sample.categories):
        train = sample.of(TRAIN)
        encoding = fit_encoding(written, train.features, train.weights, sample.categories)
    features = tuple(f if isinstance(f, str) else f.model_dump() for f in written)
    schema = Schema(features, sample.task, sample.classes, sample.label, encoding)
    return encoded(sample, encoding).parts(), schema


def read(recipe: Recipe, callback: TrainingCallback, folder: Path) -> Sample:
    """Read what the recipe names, with the columns that its evaluation needs.

    `folder` is where events lie that do not fit into memory: it, or what is above it.
    """
    callback.stage("Reading events")
    loss = "mean-squared-error" if recipe.descent.method == "exact" else recipe.descent.loss
    return load_sample(
        recipe.events,
        loss=loss,
        extra=recipe.evaluate.columns,
        progress=callback.read,
        budget=memory_budget(recipe.events.memory, folder),
    )


def encoded(sample: Sample, encoding: Encoding | None) -> Sample:
    """Return the sample with the model's inputs in place of raw features."""
    if encoding is None:
        return sample
    first = 0

    def transform(block: np.ndarray) -> np.ndarray:
        nonlocal first
        place, first = first, first + len(block)
        return encoding.transform(
            block, categories=sample.categories, locate=lambda index: sample.locate(place + index)
        )

    return replace(sample, features=map_blocks(transform, sample.features))


def memory_budget(memory: str, folder: Path) -> MemoryBudget:
    """Return what the recipe's ``events.memory`` says: bytes, or half of what is available.

    Training holds the features up to four times: as read, split, scaled, and scaled for the
    baseline.
    """
    given = available_memory() // 2 if memory == "auto" else bytes_in(memory)
    return MemoryBudget(given // COPIES, nearest_folder(folder))


def available_memory() -> int:
    """Return the bytes of memory that this process may still take."""
    available = psutil.virtual_memory().available
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        available = min(available, int(text) - psutil.Process().memory_info().rss)
    return max(available, 0)
