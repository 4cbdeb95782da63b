"""What every model offers, whatever its kind: how it lays out the flat vector θ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

__all__ = ["InputNames", "Model"]

Array = np.ndarray
InputNames = tuple[str, ...] | Mapping[str, tuple[str, ...]]
"""The names of a flat matrix's columns; or those of each group, by the group's name."""


class Model(Protocol):
    """f_θ: its shape, and its parameters as views of a flat vector θ."""

    kind: str
    """The name of its kind in `steepest.models.registry`."""

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
