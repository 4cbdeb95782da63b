"""The contract of every model, and the registry of kinds of model.

`model.name` in a recipe chooses a kind. A `ModelKind` says how the model is built from the other
keys of ``[model]``, which objective computes its J(θ), and how it is read back from a saved model.
To add a kind, `register` it before a recipe or a run that names it is used. The kinds of the
package itself are listed by where they are defined, because objectives lie above this room and
PyTorch is imported only for the kinds that use it.

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
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from steepest.errors import MissingExtraError, RecipeError, nearest

Array = np.ndarray
InputNames = tuple[str, ...] | Mapping[str, tuple[str, ...]]
"""The names of a flat matrix's columns; or those of each group, by the group's name."""


class Model(Protocol):
    """f_θ: its shape, and its parameters as views of a flat vector θ."""

    kind: str
    """The name of its kind in a recipe."""

    @property
    def size(self) -> int:
        """The number of parameters, the length of θ."""
        ...

    @property
    def dtype(self) -> str:
        """What θ is in where the recipe does not say: "float32" or "float64"."""
        ...

    def initial(self, seed: int) -> Array:
        """θ to start from, float64 ``(size,)``; the same for the same seed."""
        ...

    def named(self, theta: Array) -> dict[str, Array]:
        """The parameters by name, as views of θ: how they are saved."""
        ...

    def weight_mask(self) -> Array:
        """True for the entries of θ that L2 and weight decay act on, ``(size,)``."""
        ...

    def config(self) -> dict[str, Any]:
        """What `from_config` of its kind makes it from, as JSON can hold it."""
        ...

    def title(self, task: str) -> str:
        """What a physicist calls it: "logistic regression"."""
        ...

    def details(self) -> dict[str, Any]:
        """What metrics.json says of its shape."""
        ...

    def linear_layer(self, theta: Array) -> tuple[Array, Array] | None:
        """Views of θ: weights ``(inputs, outputs)`` and biases ``(outputs,)``, if f_θ = xᵀW + b.

        None for any other model.
        """
        ...


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
    groups
        The groups of particles that it reads; none for a model of features, or of any group.
    runs
        Whether the objective has an argument ``running``, see `steepest.objective.running.Running`.
    heads
        Whether the objective takes `steepest.losses.WithHeads`, with a logit more for each head.
    scaling
        That of features where ``descent.scaling`` is "auto"; None: as for dense models.
    """

    name: str
    build: Callable[[Mapping[str, Any], InputNames, int], Any]
    objective: Callable[[Any, Any, float, str], Any]
    from_config: Callable[[Mapping[str, Any]], Any]
    groups: tuple[str, ...] = ()
    runs: bool = False
    heads: bool = False
    scaling: str | None = None


TORCH = (
    "deep-sets",
    "lorentz-net",
    "module",
    "particle-net",
    "particle-net-lite",
    "particle-transformer",
)
"""The kinds that PyTorch computes."""
_KINDS: dict[str, ModelKind | str] = {
    "dense": "steepest.objective.kinds:KINDS",
    "through-origin": "steepest.objective.kinds:KINDS",
    **dict.fromkeys(TORCH, "steepest.objective.autograd:KINDS"),
}
"""By name: the kind, or ``module:attribute`` of a dictionary that has it."""


def register(kind: ModelKind) -> None:
    """Make a kind of model known; one of the same name is replaced."""
    _KINDS[kind.name] = kind


def has_intercept(model: Model) -> bool:
    """Return whether f_θ = xᵀW + b with a b that θ holds.

    Examples
    --------
    >>> kinds = kind_named("dense"), kind_named("through-origin")
    >>> [has_intercept(kind.build({}, ("pt", "mass"), 1)) for kind in kinds]
    [True, False]
    """
    layer = model.linear_layer(np.ones(model.size))
    return layer is not None and bool(layer[1].all())


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
        if name in TORCH:
            _require_torch(name)
        kind = _KINDS[name] = getattr(import_module(module), attribute)[name]
    assert isinstance(kind, ModelKind)
    return kind


def _require_torch(name: str) -> None:
    """Raise MissingExtraError where PyTorch is not installed."""
    if find_spec("torch") is None:
        raise MissingExtraError("torch", "torch", f"The model {name!r}")
