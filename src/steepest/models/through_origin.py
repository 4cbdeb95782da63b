"""Linear, logistic and softmax regression without an intercept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from steepest.errors import RecipeError
from steepest.models.base import InputNames

Array = np.ndarray


@dataclass(frozen=True)
class ThroughOrigin:
    """f_θ(x) = xᵀW: what a dense network without hidden layers is, without its biases.

    θ holds W, ``(inputs, outputs)``, in row-major order. The zeros of the features mean something
    here, so they are not shifted: the kind's scaling is "none".

    Parameters
    ----------
    inputs, outputs
        Numbers of features and of logits.

    Examples
    --------
    >>> model = ThroughOrigin(inputs=3)
    >>> model.size, model.title("regression")
    (3, 'linear regression through the origin')
    """

    kind: ClassVar[str] = "through-origin"
    dtype: ClassVar[str] = "float64"

    inputs: int
    outputs: int = 1

    @classmethod
    def build(cls, options: Mapping[str, Any], inputs: InputNames, outputs: int) -> ThroughOrigin:
        """Return the model of a recipe's ``[model]``, which has no keys besides the name.

        Raises
        ------
        RecipeError
            The inputs are groups, or there are options.
        """
        if isinstance(inputs, Mapping) or options:
            found = f"the groups {', '.join(inputs)}" if isinstance(inputs, Mapping) else None
            raise RecipeError(
                "A linear model through the origin takes one list of features, and no options.",
                expected=f'model.name = "{cls.kind}" alone, and features of events',
                found=found or f"the options {', '.join(options)}",
                do="leave the options out, or choose another model",
            )
        return cls(inputs=len(inputs), outputs=outputs)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> ThroughOrigin:
        """Return the model whose `config` gave this."""
        return cls(config["inputs"], config["outputs"])

    def config(self) -> dict[str, Any]:
        """The shape, as a saved model keeps it."""
        return {"inputs": self.inputs, "outputs": self.outputs}

    @property
    def size(self) -> int:
        """The number of weights."""
        return self.inputs * self.outputs

    def initial(self, seed: int) -> Array:
        """Zeros: J is convex."""
        return np.zeros(self.size)

    def named(self, theta: Array) -> dict[str, Array]:
        """W, as a view of θ."""
        return {"layers.0.weights": theta.reshape(self.inputs, self.outputs)}

    def weight_mask(self) -> Array:
        """All entries of θ are weights."""
        return np.ones(self.size, dtype=bool)

    def title(self, task: str) -> str:
        """What a physicist calls it."""
        kind = {"regression": "linear", "binary": "logistic"}.get(task, "softmax")
        return f"{kind} regression through the origin"

    def details(self) -> dict[str, Any]:
        """The shape, as metrics.json has it."""
        return {"widths": [self.inputs, self.outputs], "activation": None}

    def linear_layer(self, theta: Array) -> tuple[Array, Array]:
        """W as a view of θ, and biases that are always zero."""
        return theta.reshape(self.inputs, self.outputs), np.zeros(self.outputs, dtype=theta.dtype)
