"""f_θ: one model a file, each a way to lay out the flat vector θ, and the registry of kinds.

================  =================================================================================
file              what it has
================  =================================================================================
base.py           `Model`: what every model offers; `ModelKind`, `register`, `kind_named`: a name →
                  how a model is built, trained and saved
dense.py          dense networks; without hidden layers linear, logistic and softmax regression
through_origin.py the linear ones without an intercept
layers.py         activations and passes of a dense network, in NumPy
================  =================================================================================
"""

from steepest.models.base import (
    InputNames,
    Model,
    ModelKind,
    has_intercept,
    kind_named,
    known_models,
    register,
)
from steepest.models.dense import Dense

__all__ = [
    "Dense",
    "InputNames",
    "Model",
    "ModelKind",
    "has_intercept",
    "kind_named",
    "known_models",
    "register",
]
