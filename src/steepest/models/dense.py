"""Dense networks: from none to many hidden layers, on one flat vector of parameters.

Without a hidden layer this is linear regression (one output, mean squared error), logistic
regression (one output, binary cross entropy) or softmax regression (K outputs, cross entropy).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from steepest.errors import RecipeError
from steepest.models.base import InputNames
from steepest.models.layers import ACTIVATIONS, Activation, Layer, forward

Array = np.ndarray


def _uniform(random: np.random.Generator, square: float, shape: tuple[int, int]) -> Array:
    return random.uniform(-np.sqrt(square), np.sqrt(square), shape)


def _normal(random: np.random.Generator, square: float, shape: tuple[int, int]) -> Array:
    return random.normal(0.0, np.sqrt(square), shape)


INITIALIZATIONS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "zeros": lambda _, a, b: np.zeros((a, b)),
    "glorot-uniform": lambda random, a, b: _uniform(random, 6.0 / (a + b), (a, b)),
    "glorot-normal": lambda random, a, b: _normal(random, 2.0 / (a + b), (a, b)),
    "he-uniform": lambda random, a, b: _uniform(random, 6.0 / a, (a, b)),
    "he-normal": lambda random, a, b: _normal(random, 2.0 / a, (a, b)),
    "lecun-normal": lambda random, a, b: _normal(random, 1.0 / a, (a, b)),
}
"""How weights of a layer start, given fan in and fan out; biases start at zero. Glorot and Bengio
2010; He et al., arXiv:1502.01852; LeCun et al. 1998."""


@dataclass(frozen=True)
class Dense:
    """A dense network's shape, and its parameters as views of a flat vector θ.

    θ holds, layer after layer, the weights ``(fan in, fan out)`` in row-major order, then the
    biases ``(fan out,)``.

    Parameters
    ----------
    inputs, hidden, outputs
        Numbers of features, of units in each hidden layer, and of logits.
    activation
        "relu", "tanh", "sigmoid" or "gelu", after every hidden layer.
    initialization
        A name of `INITIALIZATIONS`; None is "zeros" without a hidden layer, "he-normal" for ReLU
        and GELU, "glorot-uniform" for the others.
    start
        θ to begin with, ``(size,)``, in place of an initialisation.

    Examples
    --------
    >>> model = Dense(inputs=20, hidden=(64, 64), outputs=1)
    >>> model.size, model.widths
    (5569, (20, 64, 64, 1))
    >>> [layer.weights.shape for layer in model.layers(model.initial(seed=0))]
    [(20, 64), (64, 64), (64, 1)]
    """

    kind: ClassVar[str] = "dense"

    inputs: int
    hidden: tuple[int, ...] = ()
    outputs: int = 1
    activation: str = "relu"
    initialization: str | None = None
    start: tuple[float, ...] | None = None

    @classmethod
    def build(cls, options: Mapping[str, Any], inputs: InputNames, outputs: int) -> Dense:
        """Return the network that a recipe's ``[model]`` describes, for inputs of these names.

        Raises
        ------
        RecipeError
            The inputs are groups; weights of zero in a network with hidden layers; a start of
            another size.
        """
        if isinstance(inputs, Mapping):
            raise RecipeError(
                "A dense network takes one list of features, not groups of them.",
                expected="features of events, as one matrix",
                found=f"the groups {', '.join(inputs)}",
                do="choose a model that takes groups, or derive features of the whole event",
            )
        model = cls(inputs=len(inputs), outputs=outputs, **options)
        if model.hidden and model.chosen_initialization == "zeros":
            raise RecipeError(
                'model.initialization = "zeros" does not train a network with hidden layers.',
                cause="all units of a layer would stay equal for ever",
                do="leave model.initialization out",
            )
        if model.start is not None and len(model.start) != model.size:
            raise RecipeError(
                "model.start does not fit the model.",
                expected=f"{model.size:,} numbers: of each layer the weights of the first input to "
                "all units, those of the second, …, then the biases",
                found=f"{len(model.start):,}",
                cause="other features or other hidden layers than those that it was made for",
                do="leave model.start out, or give a number for each parameter",
            )
        return model

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Dense:
        """Return the network whose `config` gave this."""
        shape = config["inputs"], tuple(config["hidden"]), config["outputs"], config["activation"]
        return cls(*shape)

    def config(self) -> dict[str, Any]:
        """The shape, as a saved model keeps it."""
        return {
            "inputs": self.inputs,
            "hidden": list(self.hidden),
            "outputs": self.outputs,
            "activation": self.activation,
        }

    def title(self, task: str) -> str:
        """What a physicist calls it."""
        if self.hidden:
            return f"dense network {'→'.join(map(str, self.widths))}"
        return {
            "regression": "linear regression",
            "binary": "logistic regression",
            "multiclass": "softmax regression",
        }[task]

    def details(self) -> dict[str, Any]:
        """The shape, as metrics.json has it."""
        widths = list(self.widths)
        return {"widths": widths, "activation": self.activation if self.hidden else None}

    def linear_layer(self, theta: Array) -> tuple[Array, Array] | None:
        """Weights and biases as views of θ; None for a network with hidden layers."""
        if self.hidden:
            return None
        layer = self.layers(theta)[0]
        return layer.weights, layer.biases

    def input_weights(self, theta: Array) -> Array:
        """The weights of the first layer as a view of θ, ``(inputs, units)``."""
        return self.layers(theta)[0].weights

    @property
    def dtype(self) -> str:
        """What θ is in where the recipe does not say: float32 with hidden layers."""
        return "float32" if self.hidden else "float64"

    @property
    def widths(self) -> tuple[int, ...]:
        """The number of values between layers, from the features to the logits."""
        return (self.inputs, *self.hidden, self.outputs)

    @property
    def size(self) -> int:
        """The number of parameters, the length of θ."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.widths))

    @property
    def function(self) -> Activation:
        """The activation with its derivatives."""
        return ACTIVATIONS[self.activation]

    @property
    def chosen_initialization(self) -> str:
        """The name of the initialisation that is used."""
        if self.initialization is not None:
            return self.initialization
        if not self.hidden:
            return "zeros"
        return "he-normal" if self.activation in ("relu", "gelu") else "glorot-uniform"

    def layers(self, theta: Array) -> list[Layer]:
        """The layers as views of θ; writing to them writes to θ."""
        return [Layer(weights, biases) for _, weights, biases in self._slices(theta)]

    def named(self, theta: Array) -> dict[str, Array]:
        """The parameters by name, as views of θ: ``layers.0.weights`` and so on."""
        return {
            f"layers.{index}.{kind}": values
            for index, weights, biases in self._slices(theta)
            for kind, values in (("weights", weights), ("biases", biases))
        }

    def hidden_sums(self, theta: Array, inputs: Array) -> list[Array]:
        """The weighted sums that enter each hidden layer's activation, ``(events, units)`` each.

        Examples
        --------
        >>> model = Dense(inputs=1, hidden=(2,))
        >>> theta = np.array([1.0, -1.0, 0.0, 0.5, 1.0, 1.0, 0.0])
        >>> model.hidden_sums(theta, np.array([[2.0]]))
        [array([[ 2. , -1.5]])]
        """
        return forward(self.layers(theta), self.function, inputs).sums[:-1]

    def weight_mask(self) -> Array:
        """True for the entries of θ that are weights (which L2 and decay act on), ``(size,)``."""
        mask = np.zeros(self.size, dtype=bool)
        for layer in self.layers(mask):
            layer.weights[...] = True
        return mask

    def neuron_groups(self) -> list[Array]:
        """The indices in θ of the weights into each unit, layer after layer; no biases.

        Examples
        --------
        >>> Dense(inputs=2, hidden=(2,)).neuron_groups()
        [array([0, 2]), array([1, 3]), array([6, 7])]
        """
        layers = self.layers(np.arange(self.size))
        return [column.copy() for layer in layers for column in layer.weights.T]

    def initial(self, seed: int) -> Array:
        """θ to start from, float64 ``(size,)``; the same for the same seed."""
        if self.start is not None:
            return np.array(self.start)
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
        draw = INITIALIZATIONS[self.chosen_initialization]
        theta = np.zeros(self.size)
        for layer in self.layers(theta):
            layer.weights[...] = draw(random, *layer.weights.shape)
        return theta

    def _slices(self, theta: Array) -> Iterator[tuple[int, Array, Array]]:
        """Yield the number, the weights and the biases of each layer, as views of θ."""
        start = 0
        for index, (fan_in, fan_out) in enumerate(pairwise(self.widths)):
            middle, end = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            yield index, theta[start:middle].reshape(fan_in, fan_out), theta[middle:end]
            start = end
