"""Recipes: typed descriptions of a training run, read from and written to TOML.

A recipe has the tables ``[events]``, ``[model]``, ``[descent]`` and ``[evaluate]``. All keys except
``events.path`` and ``events.label``, or ``events.samples``, have defaults.
"""

from steepest.recipe.descent import (
    SCHEDULES,
    SGD,
    Adam,
    AdamW,
    Checkpoint,
    Constant,
    Cosine,
    DescentRecipe,
    Exponential,
    InverseTime,
    Momentum,
    Nesterov,
    OneCycle,
    Optimizer,
    ReduceOnPlateau,
    RMSprop,
    Schedule,
    Step,
    Stop,
)
from steepest.recipe.evaluate import BinsRecipe, EvaluateRecipe, SignificanceRecipe
from steepest.recipe.events import (
    Derived,
    EventsRecipe,
    ParticleFeature,
    ParticlesRecipe,
    SampleRecipe,
    SplitRecipe,
    VariationRecipe,
    bytes_in,
)
from steepest.recipe.recipe import (
    AnyModelRecipe,
    ModelRecipe,
    OtherModelRecipe,
    Recipe,
    default_recipe,
)

__all__ = [
    "SCHEDULES",
    "SGD",
    "Adam",
    "AdamW",
    "AnyModelRecipe",
    "BinsRecipe",
    "Checkpoint",
    "Constant",
    "Cosine",
    "Derived",
    "DescentRecipe",
    "EvaluateRecipe",
    "EventsRecipe",
    "Exponential",
    "InverseTime",
    "ModelRecipe",
    "Momentum",
    "Nesterov",
    "OneCycle",
    "Optimizer",
    "OtherModelRecipe",
    "ParticleFeature",
    "ParticlesRecipe",
    "RMSprop",
    "Recipe",
    "ReduceOnPlateau",
    "SampleRecipe",
    "Schedule",
    "SignificanceRecipe",
    "SplitRecipe",
    "Step",
    "Stop",
    "VariationRecipe",
    "bytes_in",
    "default_recipe",
]
