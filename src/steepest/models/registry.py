"""Kinds of model by the name that a recipe and a saved model give them.

`model.name` in a recipe chooses a kind. A `ModelKind` says how the model is built from the other
keys of ``[model]``, which objective computes its J(θ), and how it is read back from a saved model.
Training, run folders, landscapes, estimators and predictions take what is found here.

To add a kind, `register` it before a recipe or a run that names it is used. The kinds of the
package itself are listed by where they are defined: objectives lie above this room, and a kind is
imported when it is first asked for, so that nothing pays for PyTorch that does not use it.

Examples
--------
>>> kind = kind_named("dense")
>>> model = kind.build({"hidden": (8,)}, ("pt", "mass"), 1)
>>> model.title("binary"), model.size
('dense network 2→8→1', 33)
>>> kind.from_config(model.config()) == model
True
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from steepest.errors import RecipeError, nearest
from steepest.models.base import InputNames

__all__ = ["ModelKind", "kind_named", "known_models", "register"]


@dataclass(frozen=True)
class ModelKind:
    """One kind of model.

    Parameters
    ----------
    name
        What recipes call it.
    build
        ``build(options, inputs, outputs)``: the `Model` for the keys of ``[model]`` besides the
        name, the inputs' names and the number of logits. It raises RecipeError for options that it
        does not know or inputs that it does not take.
    objective
        ``objective(model, loss, l2, dtype)``: J(θ), see `steepest.objective.ModelObjective`.
    from_config
        ``from_config(config)``: the model whose `Model.config` gave this.
    """

    name: str
    build: Callable[[Mapping[str, Any], InputNames, int], Any]
    objective: Callable[[Any, Any, float, str], Any]
    from_config: Callable[[Mapping[str, Any]], Any]


_KINDS: dict[str, ModelKind | str] = {"dense": "steepest.objective.kinds:DENSE"}
"""By name: the kind, or ``module:attribute`` where it is."""


def register(kind: ModelKind) -> None:
    """Make a kind of model known; one of the same name is replaced."""
    _KINDS[kind.name] = kind


def known_models() -> tuple[str, ...]:
    """Return the names of all kinds, in alphabetical order."""
    return tuple(sorted(_KINDS))


def kind_named(name: str) -> ModelKind:
    """Return the kind of that name.

    Raises
    ------
    RecipeError
        There is none.
    """
    if name not in _KINDS:
        close = nearest(name, _KINDS)
        raise RecipeError(
            f"There is no model {name!r}.",
            expected=f"one of {', '.join(known_models())}",
            found=f"model.name = {name!r}",
            cause=None if close else "the package that registers it is not imported",
            do=f"model.name = {close!r}" if close else "steepest.models.register makes it known",
        )
    kind = _KINDS[name]
    if isinstance(kind, str):
        module, _, attribute = kind.partition(":")
        kind = _KINDS[name] = getattr(import_module(module), attribute)
    assert isinstance(kind, ModelKind)
    return kind
