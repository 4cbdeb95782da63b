"""Three kinds of model in plain NumPy, registered as a package of one's own would register them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from steepest.errors import RecipeError
from steepest.losses import Loss
from steepest.models import InputNames, ModelKind, register
from steepest.objective import Batch, Memory

Array = np.ndarray


@dataclass(frozen=True)
class Quadratic:
    """f = xᵀAx + bᵀx + c, A upper triangular; without `cross` it is diagonal."""

    kind: ClassVar[str] = "toy-quadratic"
    dtype: ClassVar[str] = "float64"

    inputs: int
    cross: bool = True

    @classmethod
    def build(cls, options: Mapping[str, Any], inputs: InputNames, outputs: int) -> Quadratic:
        unknown = sorted(options.keys() - {"cross"})
        if unknown or outputs != 1:
            raise RecipeError(f"The quadratic model has no option {unknown}.", expected="cross")
        return cls(len(inputs), **options)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Quadratic:
        return cls(**config)

    @property
    def pairs(self) -> tuple[Array, Array]:
        i, j = np.triu_indices(self.inputs)
        return (i, j) if self.cross else (i[i == j], j[i == j])

    @property
    def size(self) -> int:
        return len(self.pairs[0]) + self.inputs + 1

    def initial(self, seed: int) -> Array:
        return np.random.default_rng(seed).normal(0.0, 0.1, self.size)

    def named(self, theta: Array) -> dict[str, Array]:
        n = len(self.pairs[0])
        return {"A": theta[:n], "b": theta[n:-1], "c": theta[-1:]}

    def weight_mask(self) -> Array:
        return np.arange(self.size) < self.size - 1

    def config(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "cross": self.cross}

    def title(self, task: str) -> str:
        return f"quadratic model of {self.inputs} features"

    def details(self) -> dict[str, Any]:
        return {"cross": self.cross}

    def linear_layer(self, theta: Array) -> None:
        return None

    def logits(self, theta: Array, inputs: Array) -> tuple[Array, Array]:
        """The logits ``(events, 1)``, and what `gradient` needs: ∂f/∂θ ``(events, size)``."""
        i, j = self.pairs
        ones = np.ones((len(inputs), 1))
        jacobian = np.concatenate([inputs[:, i] * inputs[:, j], inputs, ones], axis=1)
        return (jacobian @ theta)[:, None], jacobian

    def gradient(self, theta: Array, inputs: Array, jacobian: Array, upstream: Array) -> Array:
        return jacobian.T @ upstream[:, 0]


@dataclass(frozen=True)
class DeepSets:
    """f = ρ(Σ φ(particle), jet): φ = tanh(pW + u) for each particle, ρ linear."""

    kind: ClassVar[str] = "toy-deep-sets"
    dtype: ClassVar[str] = "float64"

    particle: int
    jet: int
    hidden: int

    @classmethod
    def build(cls, options: Mapping[str, Any], inputs: InputNames, outputs: int) -> DeepSets:
        if not isinstance(inputs, Mapping):
            raise RecipeError("The model reads particles.", expected="groups: jet, particles")
        return cls(len(inputs["particles"]), len(inputs["jet"]), options.get("hidden", 4))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> DeepSets:
        return cls(**config)

    @property
    def size(self) -> int:
        return (self.particle + 1) * self.hidden + self.hidden + self.jet + 1

    def named(self, theta: Array) -> dict[str, Array]:
        ends = np.cumsum([self.particle * self.hidden, self.hidden, self.hidden + self.jet, 1])
        W, u, v, c = np.split(theta, ends[:-1])
        return {"W": W.reshape(self.particle, self.hidden), "u": u, "v": v, "c": c}

    def initial(self, seed: int) -> Array:
        return np.random.default_rng(seed).normal(0.0, 0.4, self.size)

    def weight_mask(self) -> Array:
        mask = np.zeros(self.size, dtype=bool)
        for name, values in self.named(mask).items():
            values[...] = name in "Wv"
        return mask

    def config(self) -> dict[str, Any]:
        return {"particle": self.particle, "jet": self.jet, "hidden": self.hidden}

    def title(self, task: str) -> str:
        return "toy Deep Sets"

    def details(self) -> dict[str, Any]:
        return {"hidden": self.hidden}

    def linear_layer(self, theta: Array) -> None:
        return None

    def logits(self, theta: Array, inputs: Any) -> tuple[Array, Any]:
        p, particles = self.named(theta), inputs["particles"]
        phi = np.tanh(particles.values @ p["W"] + p["u"])
        event = particles.spread(np.arange(len(inputs)))
        sums = np.zeros((len(inputs), self.hidden))
        np.add.at(sums, event, phi)
        both = np.concatenate([sums, inputs["jet"]], axis=1)
        return (both @ p["v"] + p["c"])[:, None], (phi, event, both)

    def gradient(self, theta: Array, inputs: Any, kept: Any, upstream: Array) -> Array:
        p, (phi, event, both), signal = self.named(theta), kept, upstream[:, 0]
        result = np.zeros_like(theta)
        out = self.named(result)
        out["v"][...], out["c"][...] = both.T @ signal, signal.sum()
        back = signal[event][:, None] * p["v"][: self.hidden] * (1 - phi**2)
        out["W"][...], out["u"][...] = inputs["particles"].values.T @ back, back.sum(axis=0)
        return result


class ToyObjective:
    """J(θ) of either model: the contract and nothing more, no block of steps."""

    def __init__(self, model: Any, loss: Loss, l2: float = 0.0, dtype: str = "float64") -> None:
        self.model, self.loss_function, self.l2, self.dtype = model, loss, l2, dtype
        self.size, self.weight_mask = model.size, model.weight_mask()

    def initial(self, seed: int) -> Array:
        return self.model.initial(seed).astype(self.dtype)

    def prepared(self, batch: Batch) -> Batch:
        """The batch as the model takes it."""
        return batch

    def loss(self, theta: Array, batch: Batch) -> float:
        return self.value_and_gradient(theta, batch)[0]

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        return self.value_and_gradient(theta, batch)

    def value_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        total, gradient = 0.0, np.zeros_like(theta)
        for part in self.prepared(batch).blocks():
            logits, kept = self.model.logits(theta, part.inputs)
            weights = np.ones(len(part)) if part.weights is None else part.weights
            total += float(weights @ self.loss_function.value(logits, part.targets))
            upstream = weights[:, None] * self.loss_function.gradient(logits, part.targets)
            gradient += self.model.gradient(theta, part.inputs, kept, upstream)
        penalised = np.where(self.weight_mask, theta, 0)
        penalty = 0.5 * self.l2 * float(penalised @ penalised)
        return total / len(batch) + penalty, gradient / len(batch) + self.l2 * penalised

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        step = 1e-5 / np.linalg.norm(vector) * vector
        up, down = (self.value_and_gradient(theta + s * step, batch)[1] for s in (1, -1))
        return (up - down) * (np.linalg.norm(vector) / 2e-5)

    def curvature_bounds(self, batch: Batch) -> None:
        return None

    def predict(self, theta: Array, batch: Batch) -> Array:
        blocks = self.prepared(batch).blocks()
        parts = [self.model.logits(theta, part.inputs)[0] for part in blocks]
        return np.concatenate([self.loss_function.prediction(logits) for logits in parts])


@dataclass(frozen=True)
class Centred(Quadratic):
    """The quadratic model of x less a running mean, which is a buffer."""

    kind: ClassVar[str] = "toy-centred"


class CentredObjective(ToyObjective):
    """J of `Centred`: each gradient moves the running mean a tenth of the way to its batch's."""

    def __init__(self, model: Any, loss: Loss, l2: float = 0.0, dtype: str = "float64") -> None:
        super().__init__(model, loss, l2, dtype)
        self.mean = np.zeros(model.inputs)

    def initial_memory(self, seed: int) -> Memory:
        return Memory({"mean": np.zeros(self.model.inputs)})

    def memory(self) -> Memory:
        return Memory({"mean": self.mean.copy()})

    def restore(self, memory: Memory) -> None:
        self.mean = np.array(memory.buffers["mean"])

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        self.mean += 0.1 * (batch.inputs.mean(axis=0) - self.mean)
        return super().loss_and_gradient(theta, batch)

    def prepared(self, batch: Batch) -> Batch:
        return Batch(batch.inputs - self.mean, batch.targets, batch.weights)


for toy, objective in (
    (Quadratic, ToyObjective),
    (DeepSets, ToyObjective),
    (Centred, CentredObjective),
):
    register(ModelKind(toy.kind, toy.build, objective, toy.from_config))
