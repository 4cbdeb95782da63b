"""The contract between the descent and whatever computes J(θ), and the batches it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from steepest.groups import Groups, Inputs, join_inputs
from steepest.losses import Loss
from steepest.models.base import Model
from steepest.storage import AnyArray, blocks, map_blocks, on_disk, total

Array = np.ndarray


@dataclass(frozen=True)
class Batch:
    """Events as an objective takes them: scaled inputs, targets, and weights of mean one.

    The arrays of a whole sample may lie on disk; `take` always gives arrays in memory.

    Parameters
    ----------
    inputs
        ``(events, features)``, float32 or float64, C order; or `steepest.groups.Groups` of such
        arrays, per event and per particle.
    targets
        ``(events,)``: values or 0/1 in the dtype of the inputs, or class indices as integers.
    weights
        ``(events,)`` or None for ones. `Batch.of` divides them by their mean over the whole
        sample; a mini-batch then divides by its number of events, so that its gradient is an
        unbiased estimate of ∇J, also where weights are negative.
    """

    inputs: Any
    targets: Any
    weights: Any = None

    @classmethod
    def of(
        cls,
        inputs: Inputs,
        targets: AnyArray,
        weights: AnyArray | None,
        dtype: str,
        over_ranks: Callable[[float], float] = float,
    ) -> Batch:
        """Cast to `dtype` and bring the weights to mean one.

        Where each of several processes holds its own events, `over_ranks` sums a number over all
        of them (`steepest.ranks.Ranks.total`): the mean is that of all events.

        Examples
        --------
        >>> Batch.of(np.eye(2), np.array([0, 1]), np.array([1.0, 3.0]), "float32").weights
        array([0.5, 1.5], dtype=float32)
        """
        if not np.issubdtype(targets.dtype, np.integer):
            targets = map_blocks(lambda block: block.astype(dtype, copy=False), targets)
        if weights is not None:
            mean = over_ranks(total(weights)) / over_ranks(len(weights))
            weights = map_blocks(lambda block: (block / mean).astype(dtype), weights)
        if isinstance(inputs, Groups):
            inputs = inputs.map(lambda _, values: _in_order(values, dtype))
        else:
            inputs = _in_order(inputs, dtype)
        return cls(inputs, targets, weights)

    def astype(self, dtype: str) -> Batch:
        """Return the events, which are in memory, in another dtype; with the same weights.

        Examples
        --------
        >>> Batch(np.eye(2), np.array([0, 1]), np.ones(2)).astype("float32").weights
        array([1., 1.], dtype=float32)
        """
        if self.weights is not None and self.weights.dtype == dtype == self.targets.dtype:
            return self
        cast = Batch.of(self.inputs, self.targets, None, dtype)
        weights = None if self.weights is None else self.weights.astype(dtype)
        return Batch(cast.inputs, cast.targets, weights)

    @classmethod
    def joined(cls, pieces: Sequence[Batch]) -> Batch:
        """The events of all pieces, which are in memory, one after the other."""
        first, weights = pieces[0], None
        if len(pieces) == 1:
            return first
        if first.weights is not None:
            weights = np.concatenate([piece.weights for piece in pieces])
        targets = np.concatenate([piece.targets for piece in pieces])
        return cls(join_inputs([piece.inputs for piece in pieces]), targets, weights)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def arrays(self) -> Iterator[AnyArray]:
        """All arrays of numbers, one after the other: inputs, targets, weights."""
        yield from self.inputs.arrays if isinstance(self.inputs, Groups) else (self.inputs,)
        yield self.targets
        if self.weights is not None:
            yield self.weights

    def largest_input(self) -> float:
        """The largest absolute value of any input."""
        matrices = self.inputs.matrices if isinstance(self.inputs, Groups) else [self.inputs]
        values = (block for matrix in matrices for (block,) in blocks(matrix))
        return max(float(np.abs(block).max(initial=0.0)) for block in values)

    @property
    def on_disk(self) -> bool:
        """Whether the events lie on disk."""
        return on_disk(self.inputs)

    @property
    def some_negative(self) -> bool:
        """Whether any weight is negative."""
        weights = self.weights
        return weights is not None and any(block.min() < 0 for (block,) in blocks(weights))

    def blocks(self) -> Iterator[Batch]:
        """Yield the events block by block, in their order, in memory."""
        for inputs, targets, weights in blocks(self.inputs, self.targets, self.weights):
            yield Batch(inputs, targets, weights)

    def take(self, rows: Array | slice) -> Batch:
        """The batch of those rows, in that order."""
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.inputs[rows], self.targets[rows], weights)


def _in_order(values: AnyArray, dtype: str) -> AnyArray:
    return np.ascontiguousarray(values, dtype=dtype) if isinstance(values, np.ndarray) else values


@dataclass(frozen=True)
class CurvatureBounds:
    """Bounds on the eigenvalues of ∇²J that hold at every θ, for a convex J."""

    largest: float
    """L ≥ λmax over the whole sample."""
    lowest: float
    """λmin along the directions that are not flat, where the curvature is the same everywhere
    (`exact`), else 0."""
    instance: float
    """maxᵢ Lᵢ, the same as `largest` for single events."""
    exact: bool
    """Whether these are the eigenvalues themselves, as for the mean squared error."""


class Objective(Protocol):
    """J(θ) on a batch, with its derivatives; θ is one flat vector ``(size,)``."""

    size: int
    dtype: str
    weight_mask: Array
    """True where an entry of θ is a weight, ``(size,)``: what L2 and weight decay act on."""

    def initial(self, seed: int) -> Array:
        """θ to start from."""
        ...

    def loss(self, theta: Array, batch: Batch) -> float:
        """J(θ)."""
        ...

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """J(θ) and ∇J(θ)."""
        ...

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        """∇²J(θ) · vector."""
        ...

    def curvature_bounds(self, batch: Batch) -> CurvatureBounds | None:
        """What bounds ∇²J everywhere, or None where J is not convex."""
        ...

    def predict(self, theta: Array, batch: Batch) -> Array:
        """Values ``(events,)``, probabilities ``(events,)``, or ``(events, K)`` of them."""
        ...


class ModelObjective(Objective, Protocol):
    """J(θ) of a model of the registry: what training, evaluation and landscapes are given."""

    @property
    def model(self) -> Model:
        """f_θ."""
        ...

    @property
    def loss_function(self) -> Loss:
        """ℓ with its derivatives."""
        ...
