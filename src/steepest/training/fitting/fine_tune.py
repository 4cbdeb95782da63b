"""A descent that begins from a trained model: `model.initial` in a recipe.

The parameters of the body are those of the model, and so are its buffers and the scaling of the
inputs. The head, the last layer, is new where the classes are others. The body's steps are those of
the optimiser times `model.body_rate`; 0 freezes it.
"""

from __future__ import annotations

import numpy as np

from steepest.errors import RecipeError
from steepest.events.words import counted
from steepest.folder import load_model
from steepest.losses import heads_of
from steepest.objective import ModelObjective
from steepest.recipe import AnyModelRecipe, OtherModelRecipe
from steepest.trained import TrainedModel, outputs_for
from steepest.training.inputs import Schema


def initial_model(recipe: AnyModelRecipe) -> TrainedModel | None:
    """The model that the recipe begins from; None where it begins anew."""
    initial = recipe.initial if isinstance(recipe, OtherModelRecipe) else None
    return None if initial is None else load_model(initial).model


def begin_from(
    initial: TrainedModel, objective: ModelObjective, schema: Schema, recipe: AnyModelRecipe
) -> str:
    """Let the objective begin from a model; returns a sentence for the log.

    Raises
    ------
    RecipeError
        It is another network, or reads other features.
    """
    assert isinstance(recipe, OtherModelRecipe)
    begin = getattr(objective, "begin_from", None)
    if begin is None:
        raise _refusal(recipe, "a network that PyTorch computes", recipe.name)
    if initial.model.kind != recipe.name:
        raise _refusal(recipe, f"a model of the kind {recipe.name}", f"one of {initial.model.kind}")
    if initial.input_names != schema.names:
        expected = ", ".join(schema.names)
        raise _refusal(recipe, f"the features {expected}", ", ".join(initial.names))
    own = objective.model.named(np.zeros(objective.size))
    theirs = initial.model.named(initial.theta)
    head = next(reversed(own)).rpartition(".")[0]
    heads = tuple(head.name for head in heads_of(objective.loss_function))
    theirs_are = initial.task, initial.classes, tuple(head.name for head in initial.heads)
    same_classes = theirs_are == (schema.task, schema.classes, heads)
    values, known = np.zeros(objective.size), np.zeros(objective.size, dtype=bool)
    of_known = objective.model.named(known)
    for name, place in objective.model.named(values).items():
        if name.rpartition(".")[0] == head and not same_classes:
            continue
        shape = theirs[name].shape if name in theirs else "no such parameter"
        if shape != place.shape:
            raise _refusal(recipe, f"{name} of the shape {place.shape}", str(shape))
        place[...], of_known[name][...] = theirs[name], True
    rates = np.ones(objective.size)
    for name, place in objective.model.named(rates).items():
        if name.rpartition(".")[0] != head:
            place[...] = recipe.body_rate
    begin(values, known, initial.buffers, rates)
    outputs = outputs_for(schema.task, schema.classes) + len(heads)
    of_head = "the head too" if same_classes else f"a new head of {counted(outputs, 'output')}"
    return f"Starts from the model {recipe.initial}, {of_head}; body × {recipe.body_rate:g}."


def _refusal(recipe: OtherModelRecipe, expected: str, found: str) -> RecipeError:
    return RecipeError(
        f"The descent cannot begin from {recipe.initial}.",
        expected=expected,
        found=found,
        cause="a checkpoint of another model",
        do="give the model.name, options and events.particles of the run that it is from",
    )
