"""f_θ: one model a file, each a way to lay out the flat vector θ, and the registry of kinds.

================  =================================================================================
file              what it has
================  =================================================================================
base.py           `Model`: what every model offers
registry.py       `ModelKind`, `register`, `kind_named`: a name → how it is built, trained and saved
dense.py          dense networks; without hidden layers linear, logistic and softmax regression
================  =================================================================================
"""

from steepest.models.base import InputNames, Model
from steepest.models.dense import Dense
from steepest.models.registry import ModelKind, kind_named, known_models, register

__all__ = [
    "Dense",
    "InputNames",
    "Model",
    "ModelKind",
    "kind_named",
    "known_models",
    "register",
]
