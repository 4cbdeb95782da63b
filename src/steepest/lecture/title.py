"""The landscape of the title page: the surface of a trained network, as a relief."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest import recipe as spec
from steepest.descent import MemoryCheckpointer
from steepest.evaluate.figures import as_numbers
from steepest.events import Sample
from steepest.folder import LandscapeFolder
from steepest.landscape import Landscape, LandscapeOptions, landscape_of_input
from steepest.landscape.input import LandscapeInput, PathPoints
from steepest.landscape.spans import principal
from steepest.lecture.data import Effort, LectureData
from steepest.training import TrainingCallback, fit
from steepest.training.inputs import Schema, batch_of, objective_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME = "title"
TITLE = "A loss landscape"

HIDDEN = (16, 16)
MOST_EVENTS = 3_000
LANDSCAPE_EVENTS = 1_024
WIDE = 1.4
"""Half width of the plane, in units of the length of the path."""


@dataclass(frozen=True, eq=False)
class Title:
    """The landscape of a network around the path of its training."""

    network: str
    parameters: int
    events: int
    landscape: Landscape  # its `numbers` are the content of landscape.json


def compute(
    data: LectureData, seed: int, effort: Effort, callback: TrainingCallback, folder: Path
) -> Title:
    """Train a network, evaluate J on the plane of its path, and write files to landscape/title."""
    train = data.train.thinned(min(MOST_EVENTS, 2 * effort.events))
    train = Sample(train.features, train.labels, train.weights)
    schema = Schema(data.names, "binary", ("0", "1"))
    model = spec.ModelRecipe(hidden=HIDDEN, activation="tanh")
    descent = spec.DescentRecipe(
        batch_size=min(64, len(train)), optimizer=spec.SGD(), learning_rate=0.5,
        schedule=spec.Cosine(), epochs=effort.network_epochs, seed=seed,
    )  # fmt: skip
    checkpointer = MemoryCheckpointer()
    fitted = fit(train, None, schema, model, descent, checkpointer, callback=callback)
    objective = objective_for(schema, model, descent)
    path = checkpointer.path
    thetas = np.concatenate([part.thetas for part in path]).astype(np.float64)
    source = LandscapeInput(
        objective=objective,
        events=batch_of(train, fitted.model.scaling, objective, "training"),
        theta=fitted.model.theta.astype(np.float64),
        path=PathPoints(np.concatenate([part.steps for part in path]), thetas),
        kept_step=fitted.outcome.step,
        learning_rate=fitted.learning_rate.value,
        optimizer="sgd",
        name="lecture",
        model=fitted.model,
    )
    options = LandscapeOptions("principal", points=effort.points, extent=_extent(source),
                               events=LANDSCAPE_EVENTS, seed=seed, name=NAME)  # fmt: skip
    drawn = landscape_of_input(source, options, LandscapeFolder(folder, NAME), callback)
    widths = "→".join(map(str, objective.model.details()["widths"]))
    return Title(widths, objective.size, len(train), drawn)


def _extent(source: LandscapeInput) -> tuple[float, ...]:
    """Return a square around the path, with a wide margin."""
    assert source.path is not None
    places = principal(source.theta, source.path).coordinates_of(source.path.thetas)
    low, high = places.min(axis=0), places.max(axis=0)
    half = WIDE * float((high - low).max())
    return tuple(float(m + side * half) for m in (low + high) / 2 for side in (-1, 1))


def figure(numbers: Title) -> Figure:
    """Return the relief with the path at its true losses."""
    return numbers.landscape.relief()


def text(numbers: Title) -> list[str]:
    """Explain the numbers."""
    said = numbers.landscape.numbers
    path = said["path"]
    return [
        f"The loss of a dense network {numbers.network} with {numbers.parameters:,} parameters, "
        f"trained on {numbers.events:,} events by stochastic gradient descent. The plane contains "
        f"most of its path ({100 * path['share_of_variance']:.0f} % of its variance). The loss is "
        f"computed on {said['events']['used']:,} of its events.",
        f"The picture shows two of {numbers.parameters:,} dimensions. The path is drawn at its "
        "true losses.",
    ]


def to_json(numbers: Title) -> dict[str, Any]:
    """Plain values; the surface itself is in landscape/title."""
    said = {key: value for key, value in numbers.landscape.numbers.items() if key != "seconds"}
    return {
        "network": numbers.network,
        "parameters": numbers.parameters,
        "events": numbers.events,
        "landscape": as_numbers(said),
        "files": "landscape/title",
    }
