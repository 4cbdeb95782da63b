"""Objectives of a linear regression in NumPy, each with one peculiarity."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest import recipe as spec
from steepest.descent import Plan
from steepest.objective import Batch, Memory, StepBlock
from steepest.objective.step_block import StepBlockResult
from steepest.optimizers import update_rule


def sample(events: int = 60, features: int = 3, seed: int = 0) -> Batch:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(events, features))
    return Batch(inputs, inputs @ np.arange(1.0, features + 1) + random.normal(size=events))


class Line:
    """J = mean (xᵀθ − y)²."""

    dtype = "float64"

    def __init__(self, features: int = 3) -> None:
        self.size = features
        self.weight_mask = np.ones(features, dtype=bool)

    def initial(self, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).normal(size=self.size)

    def loss(self, theta: np.ndarray, batch: Batch) -> float:
        return float(np.mean((batch.inputs @ theta - batch.targets) ** 2))

    def loss_and_gradient(self, theta: np.ndarray, batch: Batch) -> tuple[float, np.ndarray]:
        residuals = batch.inputs @ theta - batch.targets
        return float(np.mean(residuals**2)), 2 / len(batch) * batch.inputs.T @ residuals

    def hessian_vector(self, theta: np.ndarray, vector: np.ndarray, batch: Batch) -> np.ndarray:
        return 2 / len(batch) * batch.inputs.T @ (batch.inputs @ vector)

    def curvature_bounds(self, batch: Batch) -> None:
        return None

    def predict(self, theta: np.ndarray, batch: Batch) -> np.ndarray:
        return batch.inputs @ theta


class Noisy(Line):
    """Dropout on the inputs, less their running mean: a random stream and a buffer."""

    def initial_memory(self, seed: int) -> Memory:
        random = np.random.PCG64(np.random.SeedSequence([seed, 7]))
        return Memory({"mean": np.zeros(self.size)}, {"dropout": random.state})

    def memory(self) -> Memory:
        return Memory({"mean": self.mean.copy()}, {"dropout": self.random.bit_generator.state})

    def restore(self, memory: Memory) -> None:
        self.mean = np.array(memory.buffers["mean"])
        self.random = np.random.Generator(np.random.PCG64())
        self.random.bit_generator.state = memory.streams["dropout"]

    def loss(self, theta: np.ndarray, batch: Batch) -> float:
        return super().loss(theta, Batch(batch.inputs - self.mean, batch.targets))

    def loss_and_gradient(self, theta: np.ndarray, batch: Batch) -> tuple[float, np.ndarray]:
        self.mean = 0.9 * self.mean + 0.1 * batch.inputs.mean(axis=0)
        kept = self.random.random(batch.inputs.shape) < 0.8
        inputs = np.where(kept, (batch.inputs - self.mean) / 0.8, 0.0)
        return super().loss_and_gradient(theta, Batch(inputs, batch.targets))


class OnDevice(Noisy):
    """Steps in blocks on a make-believe device: the losses are looked at once a block."""

    def __init__(self, features: int = 3) -> None:
        super().__init__(features)
        self.blocks = self.steps = self.to_device = self.to_host = 0
        self._host: Any = None

    def supports(self, events: Batch, batch_size: int) -> bool:
        return True

    def run_steps(
        self, step_block: StepBlock, rule: Any, theta: Any, optimizer_state: Any, loss_sum: float
    ) -> StepBlockResult:
        self.blocks += 1
        self.to_device += theta is not self._host
        values, path, exceeded = [], [], False
        for index, rate in enumerate(step_block.rates):
            size = step_block.batch_size
            rows = step_block.rows
            chosen = slice(None) if rows is None else rows[index * size : (index + 1) * size]
            loss, gradient = self.loss_and_gradient(theta, step_block.events.take(chosen))
            exceeded |= not abs(loss) <= step_block.loss_limit
            before, step = theta, step_block.first_step + index + 1
            theta, optimizer_state = rule.update(theta, gradient, optimizer_state, rate, step)
            loss_sum += loss
            self.steps += 1
            if step_block.recorded[index]:
                ratio = np.linalg.norm(theta - before) / np.linalg.norm(before)
                values.append([loss, rate, np.linalg.norm(gradient), ratio])
            if step_block.on_path[index]:
                path.append(theta)
        self.to_host += 1
        self._host = theta
        return StepBlockResult(
            theta,
            optimizer_state,
            len(step_block.rates),
            loss_sum,
            np.array(values).reshape(-1, 4),
            np.array(path).reshape(-1, self.size),
            exceeded,
        )


def plan_for(objective: Any, events: Batch, rate: float = 0.01, **options: Any) -> Plan:
    table = {"optimizer": "momentum", "schedule": "constant", "batch_size": 8, **options}
    recipe = spec.DescentRecipe.model_validate(table)
    rule = update_rule(recipe.optimizer, objective.weight_mask)
    return Plan.of(recipe, rule, rate, len(events), validated=False)
