"""Gradient descent for particle physicists.

>>> import steepest
>>> run = steepest.train("recipe.toml")  # doctest: +SKIP
>>> run.metrics, run.history, run.predict(features)  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

from steepest._version import __version__

if TYPE_CHECKING:
    from steepest.estimators import Classifier, ParticleClassifier, Regressor
    from steepest.explain.loop import explain_loop as explain
    from steepest.recipe import Recipe
    from steepest.run import Run, compare, predict, resume, train
    from steepest.share import load, save
    from steepest.sweeps import sweep

__all__ = [
    "Classifier",
    "ParticleClassifier",
    "Recipe",
    "Regressor",
    "Run",
    "__version__",
    "compare",
    "explain",
    "load",
    "predict",
    "resume",
    "save",
    "sweep",
    "train",
]

_HOMES = {
    "Classifier": "steepest.estimators",
    "ParticleClassifier": "steepest.estimators",
    "Recipe": "steepest.recipe",
    "Regressor": "steepest.estimators",
    "Run": "steepest.run",
    "compare": "steepest.run",
    "load": "steepest.share",
    "predict": "steepest.run",
    "resume": "steepest.run",
    "save": "steepest.share",
    "sweep": "steepest.sweeps",
    "train": "steepest.run",
}
_ROOMS = ("explain", "lab")
"""`steepest.explain` can be called; `steepest.lab` has `playground`."""


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import steepest` stays quick."""
    if name not in _HOMES and name not in _ROOMS:
        raise AttributeError(f"module 'steepest' has no attribute {name!r}")
    from importlib import import_module

    if name in _ROOMS:
        return import_module(f"steepest.{name}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
