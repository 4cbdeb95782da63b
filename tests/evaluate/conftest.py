"""Toy events that all tests of `evaluate` share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest


class Toy(NamedTuple):
    labels: np.ndarray
    scores: np.ndarray
    weights: np.ndarray


def make_toy(seed: int = 0, size: int = 2000, negative: float = 0.0, rounded: bool = True) -> Toy:
    """Return events with ties (scores rounded to 0.02) and, if asked, negative weights."""
    random = np.random.default_rng(seed)
    labels = (random.random(size) < 0.4).astype(int)
    logits = random.normal(size=size) + np.where(labels, 1.2, -0.6)
    scores = 1 / (1 + np.exp(-logits))
    weights = random.lognormal(0, 0.6, size) * (1 + 0.5 * labels)
    weights *= np.where(random.random(size) < negative, -1, 1)
    return Toy(labels, np.round(scores / 0.02) * 0.02 if rounded else scores, weights)


@pytest.fixture
def toy():
    return make_toy


@pytest.fixture
def message():
    """Return the whole message of the error that a call raises."""

    def of(kind, call, *args, **kwargs) -> list[str]:
        with pytest.raises(kind) as caught:
            call(*args, **kwargs)
        return str(caught.value).splitlines()

    return of
