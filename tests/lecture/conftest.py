"""Events of a lecture: the embedded jets, some of them, and the tests' own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from steepest.events import Sample
from steepest.lecture import LectureData, lecture_recipe
from steepest.lecture.data import load
from steepest.training import TrainingCallback


@pytest.fixture(scope="session")
def jets(tmp_path_factory: pytest.TempPathFactory) -> LectureData:
    """The embedded jets."""
    return load(lecture_recipe(), TrainingCallback(), tmp_path_factory.mktemp("jets"))


@pytest.fixture(scope="session")
def small(jets: LectureData) -> LectureData:
    """Some of the embedded jets, with weights that differ."""

    def some(events: Sample, count: int, seed: int) -> Sample:
        weights = 0.5 + np.random.default_rng(seed).random(count)
        return Sample(events.features[:count], events.labels[:count], weights)

    changed = {"train": some(jets.train, 600, 1), "other": some(jets.other, 400, 2)}
    return LectureData(**{**vars(jets), **changed})


@pytest.fixture
def callback() -> TrainingCallback:
    return TrainingCallback()


@pytest.fixture
def events_recipe(tmp_path: Path, events_file: Path) -> Path:
    """A recipe of the tests' own events."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[events]\npath = "{events_file}"\nlabel = "is_top"\nweight = "weight"\n'
        'features = ["mass", "ratio", "pt"]\n'
    )
    return recipe
