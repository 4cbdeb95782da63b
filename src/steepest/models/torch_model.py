"""A PyTorch module as a model: f_θ on one flat vector of parameters.

`TorchModel` says how a module is made and how θ is laid out: all parameters, in the order of
``module.named_parameters()``, one after the other. The networks of the package are listed in
`NETWORKS`; the kind ``module`` takes a class of one's own.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import nn

from steepest.errors import RecipeError, nearest
from steepest.groups import FEATURES, MOMENTA, PARTICLES, POINTS
from steepest.models.base import InputNames
from steepest.models.deep_sets import DeepSets
from steepest.models.lorentz_net import LorentzNet
from steepest.models.particle_net import ParticleNet
from steepest.models.particle_transformer import ParticleTransformer

Array = np.ndarray
_DRAWING = threading.RLock()
"""Held while a module draws its parameters: all threads share PyTorch's random numbers."""
LITE = {"convolutions": [[7, [32, 32, 32]], [7, [64, 64, 64]]], "hidden": 128}


@dataclass(frozen=True)
class Network:
    """A network of the package."""

    title: str  # what a physicist calls it
    groups: tuple[str, ...]  # the groups of particles that it reads
    module: Callable[..., nn.Module]  # ``module(features of a particle, logits, **options)``
    options: Mapping[str, Any]  # what it may be told, with the defaults of the published network


def _options(network: Callable[..., nn.Module], **changed: Any) -> dict[str, Any]:
    parameters = inspect.signature(network).parameters.values()
    found = {
        p.name: p.default
        for p in parameters
        if p.default is not p.empty and p.kind is not p.KEYWORD_ONLY
    }
    return found | changed


NETWORKS = {
    "deep-sets": Network("Deep Sets", (PARTICLES,), DeepSets, _options(DeepSets)),
    "particle-net": Network("ParticleNet", (PARTICLES, POINTS), ParticleNet, _options(ParticleNet)),
    "particle-net-lite": Network(
        "ParticleNet-Lite", (PARTICLES, POINTS), ParticleNet, _options(ParticleNet, **LITE)
    ),
    "particle-transformer": Network(
        "Particle Transformer",
        (PARTICLES, MOMENTA),
        ParticleTransformer,
        _options(ParticleTransformer),
    ),
    "lorentz-net": Network(
        "LorentzNet",
        (MOMENTA,),
        lambda _, outputs, **options: LorentzNet(outputs, **options),
        _options(LorentzNet),
    ),
}


@dataclass(frozen=True)
class TorchModel:
    """f_θ of a PyTorch module.

    Parameters
    ----------
    kind
        Its name in the registry: a key of `NETWORKS`, or "module".
    inputs
        The features of each group, by the group's name.
    outputs
        The number of logits.
    options
        What the module is told, besides.

    Examples
    --------
    >>> inputs = {"particles": ("log_pt", "eta", "phi")}
    >>> model = TorchModel.build("deep-sets", {}, inputs, 1)
    >>> model.title("binary"), model.size
    ('Deep Sets', 82357)
    """

    kind: str
    inputs: dict[str, tuple[str, ...]]
    outputs: int
    options: dict[str, Any] = field(default_factory=dict)

    dtype = "float32"

    @classmethod
    def build(
        cls, kind: str, options: Mapping[str, Any], inputs: InputNames, outputs: int
    ) -> TorchModel:
        """Return the model for a recipe's options.

        Raises
        ------
        RecipeError
            An option that the network does not have, or a group that it reads and is not given.
        """
        groups = dict(inputs) if isinstance(inputs, Mapping) else {FEATURES: tuple(inputs)}
        if kind == "module":
            model = cls(kind, groups, outputs, _plain(options))
            model.module()
            return model
        network = NETWORKS[kind]
        for name in options:
            if name not in network.options:
                close = nearest(name, network.options)
                raise RecipeError(
                    f"{network.title} has no option {name!r}.",
                    expected=", ".join(network.options),
                    found=f"model.{name}",
                    do=f"write {close}" if close else "leave it out",
                )
        missing = [group for group in network.groups if group not in groups]
        if missing:
            raise RecipeError(
                f"{network.title} reads particles, and the events have no {missing[0]}.",
                expected=f"the groups {', '.join(network.groups)}",
                found=", ".join(groups),
                cause="the recipe has no [events.particles]",
                do="say in [events.particles] which lists hold the particles' momenta",
            )
        return cls(kind, groups, outputs, _plain({**network.options, **options}))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TorchModel:
        """Restore the model that `config` describes."""
        inputs = {group: tuple(names) for group, names in config["inputs"].items()}
        options = dict(config["options"])
        if config["network"] == "particle-transformer" and "heads" in options:
            options["attention_heads"] = options.pop("heads")  # its name before auxiliary heads
        return cls(config["network"], inputs, config["outputs"], options)

    def config(self) -> dict[str, Any]:
        """What `from_config` makes it from."""
        return {
            "network": self.kind,
            "inputs": {group: list(names) for group, names in self.inputs.items()},
            "outputs": self.outputs,
            "options": self.options,
        }

    def module(self) -> nn.Module:
        """A new module, with parameters as PyTorch's random numbers give them."""
        with _DRAWING:
            return self._module()

    def _module(self) -> nn.Module:
        if self.kind != "module":
            features, events = (len(self.inputs.get(g, ())) for g in (PARTICLES, FEATURES))
            network = NETWORKS[self.kind].module
            return network(features, self.outputs, events=events, **self.options)
        options = dict(self.options)
        return _own_class(options.pop("module", None))(self.inputs, self.outputs, **options)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter, by its name, in their order in θ."""
        with torch.device("meta"):
            return {name: tuple(p.shape) for name, p in self.module().named_parameters()}

    @cached_property
    def size(self) -> int:
        """The number of parameters."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())

    def initial(self, seed: int) -> Array:
        """θ as the module starts with it after ``torch.manual_seed(seed)``."""
        with _DRAWING, torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = self.module()
        flat = [p.detach().reshape(-1).double() for p in module.parameters()]
        return torch.cat(flat).numpy()

    def named(self, theta: Array) -> dict[str, Array]:
        """Views of θ by the parameters' names."""
        return dict(self._views(theta))

    def _views(self, theta: Array) -> Iterator[tuple[str, Array]]:
        start = 0
        for name, shape in self.shapes.items():
            end = start + int(np.prod(shape))
            yield name, theta[start:end].reshape(shape)
            start = end

    def weight_mask(self) -> Array:
        """True for matrices: biases, and scales of normalisations, do not decay."""
        mask = np.zeros(self.size, dtype=bool)
        for values in self.named(mask).values():
            values[...] = values.ndim >= 2
        return mask

    def title(self, task: str) -> str:
        """What a physicist calls it."""
        if self.kind != "module":
            return NETWORKS[self.kind].title
        return str(self.options["module"]).partition(":")[2]

    def details(self) -> dict[str, Any]:
        """What metrics.json says of its shape."""
        return {"groups": {group: len(names) for group, names in self.inputs.items()}}

    def linear_layer(self, theta: Array) -> None:
        """None: it has no linear layer from inputs to logits."""
        return


def _plain(value: Any) -> Any:
    """Tuples as lists, at any depth, as JSON gives them back."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def _own_class(path: Any) -> Callable[..., nn.Module]:
    """The class at ``package.module:Class``."""
    module, _, name = str(path or "").partition(":")
    try:
        found = getattr(import_module(module), name)
        if not (isinstance(found, type) and issubclass(found, nn.Module)):
            raise ValueError("it is no class of torch.nn.Module")
        return found
    except (ImportError, AttributeError, ValueError) as error:
        raise RecipeError(
            "The network's class cannot be imported.",
            expected='model.module = "package.module:Class"',
            found=f"{path!r}: {error}",
            cause="the package is not installed, or the current folder is not on PYTHONPATH",
            do="install it, or run with PYTHONPATH=.",
        ) from error
