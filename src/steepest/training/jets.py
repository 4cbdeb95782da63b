"""Which jets a run draws, and what is written above them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from steepest.errors import EventsError, RunFolderError
from steepest.evaluate.figures.jets import JetPicture, JetPictures, jet_figure, wrongest
from steepest.events import Sample, evaluated_part
from steepest.events.jagged import particles_of
from steepest.events.particles import FEATURES, particle_groups
from steepest.folder import RunFolder
from steepest.groups import MOMENTA, PARTICLES, Groups
from steepest.recipe import ParticlesRecipe
from steepest.trained import TrainedModel
from steepest.training.callback import TrainingCallback
from steepest.training.inputs import prepare
from steepest.training.results import class_titles

_DRAWN = [FEATURES.index(name) for name in ("log_pt", "log_pt_fraction", "delta_eta", "delta_phi")]


def wrongly_classified(model: TrainedModel, events: Sample, predictions: Any) -> JetPictures | None:
    """The jets that are most wrongly classified; None for a model that reads no momenta."""
    if not model.classes or not is_drawable(model, events.features):
        return None
    rows = wrongest(events.labels[:], predictions[:])
    inputs = events.features[np.array(rows, dtype=np.int64)]
    titles = [f"event {row:,}: {score_text(model, predictions[row : row + 1][0])}" for row in rows]
    return jet_pictures(model, inputs, titles, [int(events.labels[r : r + 1][0]) for r in rows])


def jet_pictures(
    model: TrainedModel, inputs: Groups, titles: Sequence[str], groups: Sequence[int]
) -> JetPictures:
    """The jets of these inputs, which are drawable, with titles and the numbers of their groups."""
    if PARTICLES in inputs.members:
        particles = inputs[PARTICLES]
    else:
        particles = particle_groups(inputs[MOMENTA]).groups[PARTICLES]
    pictures = []
    for jet, (title, group) in enumerate(zip(titles, groups, strict=True)):
        values = np.asarray(particles[jet : jet + 1].values, dtype=np.float64)
        log_pt, log_share, delta_eta, delta_phi = values[:, _DRAWN].T
        pt = np.exp(log_pt)
        jet_pt = float(np.exp(log_pt[0] - log_share[0])) if len(pt) else 0.0
        below = f"$p_{{T}}$ = {jet_pt:.4g} GeV, {len(pt)} particles"
        pictures.append(JetPicture(f"{title}\n{below}", group, jet_pt, pt, delta_eta, delta_phi))
    names = class_titles(model) if model.task == "binary" else model.classes
    return JetPictures(tuple(pictures), tuple(names) or (model.label,))


def is_drawable(model: TrainedModel, features: Any) -> bool:
    """Whether these are the features of particles' momenta, or the momenta."""
    if model.particles is None or not isinstance(features, Groups):
        return False
    return bool({PARTICLES, MOMENTA} & set(features.members))


def score_text(model: TrainedModel, prediction: Any) -> str:
    """What the model says of an event, in few words."""
    match model.task:
        case "binary":
            return f"score {prediction:.3g}"
        case "multiclass":
            called = int(np.argmax(prediction))
            return f"{model.classes[called]} with {prediction[called]:.3g}"
        case _:
            return f"{prediction:.4g}"


def picture_of(folder: RunFolder, event: Any) -> Callable[[], Any]:
    """Return what draws an event: the number of one of the evaluated part, or a jet itself.

    Raises
    ------
    RunFolderError
        The run has no model, or one that reads no particles.
    EventsError
        There is no such event, or it is no jet.
    """
    model = folder.model
    if model.particles is None:
        raise RunFolderError(
            f"The model of {folder.path} reads no particles.",
            expected="a network of particles",
            found=f"a model of {len(model.names)} features",
            do="draw a jet with the run of such a network",
        )
    if isinstance(event, int | np.integer):
        inputs, group = _event_of(folder, int(event))
        title = f"event {event:,}: "
    else:
        inputs, group, title = _jet(model, event), 0, ""
    title += score_text(model, model.predict(inputs)[0])
    pictures = jet_pictures(model, inputs, [title], [group])
    if not isinstance(event, int | np.integer):
        pictures = replace(pictures, groups=("particles",))
    return partial(jet_figure, pictures)


def _event_of(folder: RunFolder, number: int) -> tuple[Groups, int]:
    """An event of the evaluated part, and its class."""
    parts, _ = prepare(folder.recipe, TrainingCallback(), folder.path)
    events = parts[evaluated_part(parts)]
    if not 0 <= number < len(events):
        raise EventsError(
            f"There is no event {number:,} in the evaluated part of {folder.path}.",
            expected=f"a number from 0 to {len(events) - 1:,}",
            found=str(number),
            do="take a number of the report's figure of jets",
        )
    group = int(events.labels[number : number + 1][0]) if folder.model.classes else 0
    return events.features[number : number + 1], group


def _jet(model: TrainedModel, event: Any) -> Groups:
    """The groups that the model reads of one jet."""
    features = model.features
    assert isinstance(features, Mapping)  # a model of particles has groups
    recipe = ParticlesRecipe.model_validate(model.particles)
    fields = event if isinstance(event, Mapping) else {n: event[n] for n in event.fields}
    groups = particles_of({n: [v] for n, v in fields.items()}, recipe.feature_names, recipe.most)
    return Groups({name: groups[name] for name in features})
