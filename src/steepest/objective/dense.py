"""The dense objective: J(θ) of a dense network with its analytic derivatives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import TypeVar

import numpy as np

from steepest.compiled.blas import one_blas_thread
from steepest.compiled.threads import WorkerPool
from steepest.losses import Loss
from steepest.models import layers as plain
from steepest.models.dense import Dense
from steepest.objective.base import Batch, CurvatureBounds
from steepest.objective.compiled import Linear, Network
from steepest.objective.dense_surface import DenseSurface
from steepest.ranks import current
from steepest.storage import BLOCK

Array = np.ndarray
Result = TypeVar("Result")

PIECE, PIECES, LEAST_BYTES, MOST_BYTES = 1024, 32, 2**19, 2**24
"""Events of a network that one thread adds up at once, and pieces whose results are kept at once.
For linear models, whose events cost little more than to be read, so many pieces are made; and the
bytes of one at least and at most."""
LARGE = 4096
"""Parameters from which on a single piece is worth a thread."""
TOGETHER = 512
"""Pieces of linear models are of whole blocks, as `steepest.compiled.linear` takes them."""
FEWEST = 32_768
"""Events from which on a single loss or gradient is worth its compilation, which takes seconds."""
_POOL, _ALONE = WorkerPool(), WorkerPool(most=1)
ROWS = 1_024
"""Events whose Hessian is summed at once."""
FLAT = 1e-14
"""Curvatures below this part of the largest, times the number of directions, are rounding."""


class DenseObjective:
    """J(θ) = 1/m Σᵢ wᵢ ℓ(f_θ(xᵢ), yᵢ) + (λ/2) ‖W‖² for a dense network f_θ.

    Weights wᵢ have mean one over the sample that they come from (`Batch.of`), so on the whole
    sample this is Σ wᵢ ℓᵢ / Σ wᵢ. W are the weights of all layers, without the biases.

    Parameters
    ----------
    model
        The network's shape.
    loss
        ℓ with its derivatives.
    l2
        λ ≥ 0.
    dtype
        "float32" or "float64", of θ, the batch and the gradient. Losses are summed in float64.

    Examples
    --------
    The gradient of linear regression is 2/m Xᵀ(Xθ − y), with a last column of ones for the bias:

    >>> from steepest.losses import MeanSquaredError
    >>> X, y = np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 4.0, 9.0])
    >>> objective = DenseObjective(Dense(inputs=1), MeanSquaredError())
    >>> theta = np.array([1.0, 0.5])
    >>> objective.loss_and_gradient(theta, Batch(X, y))[1]
    array([-13.33333333,  -5.        ])
    >>> A = np.column_stack([X, np.ones(3)])
    >>> 2 / 3 * A.T @ (A @ theta - y)
    array([-13.33333333,  -5.        ])
    """

    def __init__(self, model: Dense, loss: Loss, l2: float = 0.0, dtype: str = "float64") -> None:
        self.model = model
        self.loss_function = loss
        self.l2 = l2
        self.dtype = dtype
        self.size = model.size
        self.weight_mask = model.weight_mask()
        self._network = Network(model, loss.name, l2, dtype)
        self.in_order = not model.hidden and model.outputs == 1
        self._compiled = Linear(model, loss.name, l2, dtype) if self.in_order else self._network
        self.run_steps = self._compiled.run_steps

    def supports(self, events: Batch, batch_size: int) -> bool:
        """Whether `run_steps` serves: arrays of this dtype, batches of a block at most."""
        return batch_size <= BLOCK and self._suits(events)

    def _suits(self, events: Batch) -> bool:
        """Whether the arrays, in memory or on disk, are as compiled code takes them."""
        classes = np.issubdtype(events.targets.dtype, np.integer)
        weights = [] if events.weights is None else [events.weights]
        arrays = [events.inputs, *weights, *([] if classes else [events.targets])]
        return all(
            array.dtype == self.dtype and (events.on_disk or array.flags.c_contiguous)
            for array in arrays
        )

    def initial(self, seed: int) -> Array:
        """θ to start from, in the objective's dtype."""
        return self.model.initial(seed).astype(self.dtype)

    def loss(self, theta: Array, batch: Batch) -> float:
        """J(θ)."""
        if self._is_compiled(batch):
            total = sum(self._map(batch, lambda part: self._compiled.losses(theta, part)))
            return total / len(batch) + self._penalty(theta)
        layers = self.model.layers(theta)
        total = 0.0
        for part in batch.blocks():
            logits = plain.logits(layers, self.model.function, part.inputs)
            total += _weighted_sum(self.loss_function.value(logits, part.targets), part)
        return total / len(batch) + self._penalty(theta)

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """J(θ) and ∇J(θ), in one pass over the batch."""
        if self._is_compiled(batch):
            total, gradient = self._compiled_gradient(theta, batch)
        else:
            total, gradient = self._plain_gradient(theta, batch)
        if self.l2:
            gradient += gradient.dtype.type(self.l2) * np.where(self.weight_mask, theta, 0)
        return total / len(batch) + self._penalty(theta), gradient

    def _is_compiled(self, batch: Batch) -> bool:
        """Whether compiled code goes through the events: not for few, nor for another dtype."""
        return len(batch) >= FEWEST and self._suits(batch)

    def _map(self, batch: Batch, work: Callable[[Batch], Result]) -> Iterator[Result]:
        """Do the work on pieces of the batch, shared out to threads; yield results in order."""
        size = PIECE if self.model.hidden else self._much(batch)
        pieces = [slice(i, i + size) for i in range(0, len(batch), size)]
        pool = _ALONE if batch.on_disk else _POOL
        per_thread = 1 if self.size >= LARGE and self.model.hidden else 4
        with one_blas_thread():
            for first in range(0, len(pieces), PIECES):  # large networks' gradients take memory
                group = pieces[first : first + PIECES]
                yield from pool.map(lambda rows: work(batch.take(rows)), group, per_thread)

    def _much(self, batch: Batch) -> int:
        """Events of a linear model that one thread adds up at once: whole blocks."""
        each = self.model.inputs * np.dtype(self.dtype).itemsize
        size = min(max(-(-len(batch) // PIECES), LEAST_BYTES // each), MOST_BYTES // each)
        return -(-size // TOGETHER) * TOGETHER

    def _compiled_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """Σ w ℓ and its gradient over m, in float64 over the pieces, in their order."""

        def add_up(part: Batch) -> tuple[float, Array]:
            gradient = np.zeros(self.size)
            total = self._compiled.add_block(theta, part, 1.0 / len(batch), gradient)
            return total, gradient

        total, gradient = 0.0, np.zeros(self.size)
        for value, part in self._map(batch, add_up):
            total += value
            gradient += part
        return total, gradient.astype(self.dtype)

    def _plain_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """The same in NumPy: the reference, and what small batches take."""
        layers, gradient = self.model.layers(theta), np.zeros_like(theta)
        out = self.model.layers(gradient)
        total = 0.0
        for part in batch.blocks():
            passes = plain.forward(layers, self.model.function, part.inputs)
            logits = passes.sums[-1]
            total += _weighted_sum(self.loss_function.value(logits, part.targets), part)
            upstream = self._upstream(
                self.loss_function.gradient(logits, part.targets), part, batch
            )
            plain.backward(layers, self.model.function, passes, upstream, out)
        return total, gradient

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        """∇²J(θ) · vector, exactly, at about twice the cost of a gradient."""
        layers, directions = self.model.layers(theta), self.model.layers(vector)
        activation = self.model.function

        def add_up(part: Batch) -> Array:
            product = np.zeros_like(theta)
            passes = plain.forward(layers, activation, part.inputs)
            changes = plain.forward_changes(layers, activation, passes, directions)
            logits = passes.sums[-1]
            upstream = self._upstream(
                self.loss_function.gradient(logits, part.targets), part, batch
            )
            upstream_change = self._upstream(
                self.loss_function.curvature(logits, part.targets, changes.sums[-1]), part, batch
            )
            plain.hessian_vector(
                layers, activation, passes, directions, upstream, upstream_change, changes,
                self.model.layers(product),
            )  # fmt: skip
            return product

        product = np.zeros(self.size)
        for part in self._map(batch, add_up):
            product += part
        product = product.astype(theta.dtype)
        if self.l2:
            product += product.dtype.type(self.l2) * np.where(self.weight_mask, vector, 0)
        return product

    def hessian(self, theta: Array, batch: Batch) -> Array | None:
        """∇²J(θ), ``(size, size)`` float64, in one pass; None for networks with hidden layers.

        1/m Σᵢ wᵢ x̃ᵢx̃ᵢᵀ ⊗ ∂²ℓ/∂z² with x̃ = (x, 1), plus λ on the diagonal of the weights.
        """
        if self.model.hidden:
            return None
        layer = self.model.layers(theta.astype(np.float64))[0]
        places = self.model.layers(np.arange(self.size))[0]
        rows = np.vstack([places.weights, places.biases]).T  # (K, n + 1): where θ has each
        product = np.zeros((self.size, self.size))
        for part in _small_blocks(batch):
            augmented = np.ones((len(part), rows.shape[1]))
            augmented[:, :-1] = part.inputs
            logits = augmented[:, :-1] @ layer.weights + layer.biases
            weights = 1.0 if part.weights is None else part.weights.astype(np.float64)[:, None]
            for k, unit in enumerate(np.eye(len(rows))):
                direction = np.broadcast_to(unit, logits.shape)
                curvature = weights * self.loss_function.curvature(logits, part.targets, direction)
                scaled = curvature[:, k:, None] * augmented[:, None, :]  # of the outputs from k on
                block = augmented.T @ scaled.reshape(len(part), -1)
                product[np.ix_(rows[k], rows[k:].ravel())] += block
        for k, other in combinations(range(len(rows)), 2):
            product[np.ix_(rows[other], rows[k])] = product[np.ix_(rows[k], rows[other])].T
        product /= len(batch)
        product[np.diag_indices(self.size)] += self.l2 * self.weight_mask
        return product

    def predict(self, theta: Array, batch: Batch) -> Array:
        """What the logits say: values, probabilities, or K probabilities an event.

        In float64, the logits of an event have the same bits whatever the others are.
        """
        layers = self.model.layers(theta)
        exact = theta.dtype == self.dtype == "float64"

        def logits(inputs: Array) -> Array:
            if exact and inputs.dtype == self.dtype and inputs.flags.c_contiguous:
                return self._network.logits(theta, inputs)
            return plain.logits(layers, self.model.function, inputs)

        parts = [self.loss_function.prediction(logits(part.inputs)) for part in batch.blocks()]
        return np.concatenate(parts)

    def curvature_bounds(self, batch: Batch) -> CurvatureBounds | None:
        """Bound ∇²J everywhere: c/m Σ |wᵢ| x̃ᵢx̃ᵢᵀ + λ, with x̃ = (x, 1) and c that of the loss.

        For a model without a hidden layer; None for others. The mean squared error's Hessian is
        exact, with the sign of the weights; its lowest eigenvalue is that of the directions along
        which J is not flat (a constant or repeated feature makes flat ones: no step moves there).
        Of many ranks the sum is over all of them.
        """
        if self.model.hidden:
            return None
        exact = self.loss_function.name == "mean-squared-error"
        bound = self.loss_function.curvature_bound
        n = self.model.inputs
        gram, steepest = np.zeros((n + 1, n + 1)), 0.0
        for part in batch.blocks():
            augmented = np.column_stack([part.inputs, np.ones(len(part))]).astype(np.float64)
            weights = np.ones(len(part)) if part.weights is None else part.weights
            gram += augmented.T @ (augmented * (weights if exact else np.abs(weights))[:, None])
            lengths = np.einsum("ij,ij->i", augmented, augmented) * np.abs(weights)
            steepest = max(steepest, float(lengths.max()))
        penalty = np.diag([*([self.l2] * n), 0.0])
        ranks = current()
        gram, steepest = ranks.sum(gram), max(ranks.gather(steepest))
        eigenvalues = np.linalg.eigvalsh(bound * gram / ranks.total(len(batch)) + penalty)
        return CurvatureBounds(
            largest=float(eigenvalues[-1]),
            lowest=_lowest(eigenvalues) if exact else 0.0,
            instance=bound * steepest + self.l2,
            exact=exact,
        )

    def neuron_groups(self) -> list[Array]:
        """The indices in θ of the weights into each unit."""
        return self.model.neuron_groups()

    def losses_on_surface(
        self, origin: Array, directions: Array, coordinates: Array, batch: Batch
    ) -> Array:
        """J at many points of a surface, see `steepest.objective.surface`."""
        return self._surface(origin, directions, coordinates).losses(batch)

    def losses_of_chunks(
        self, origin: Array, directions: Array, coordinates: Array, batch: Batch, chunk: int
    ) -> Array:
        """J of each chunk of events at many points, see `steepest.objective.surface`."""
        return self._surface(origin, directions, coordinates).losses_of_chunks(batch, chunk)

    def _surface(self, *points: Array) -> DenseSurface:
        return DenseSurface(self.model, self.loss_function, self.l2, self.dtype, *points)

    def _upstream(self, gradient: Array, part: Batch, whole: Batch) -> Array:
        """D_L = w ∂ℓ/∂z / m."""
        if part.weights is not None:
            gradient = gradient * part.weights[:, None]
        return gradient * gradient.dtype.type(1.0 / len(whole))

    def _penalty(self, theta: Array) -> float:
        if not self.l2:
            return 0.0
        weights = theta[self.weight_mask].astype(np.float64)
        return 0.5 * self.l2 * float(weights @ weights)


def _lowest(eigenvalues: Array) -> float:
    """The lowest of the ascending eigenvalues, without those that are zero up to rounding."""
    rounding = len(eigenvalues) * FLAT * abs(eigenvalues[-1])
    kept = eigenvalues[np.abs(eigenvalues) > rounding]
    return float(kept[0]) if len(kept) else 0.0


def _small_blocks(batch: Batch) -> Iterator[Batch]:
    """Yield events in blocks that stay in a core's cache with what is made of them."""
    for part in batch.blocks():
        for start in range(0, len(part), ROWS):
            yield part.take(slice(start, start + ROWS))


def _weighted_sum(values: Array, part: Batch) -> float:
    """Σ w ℓ in float64."""
    if part.weights is None:
        return float(values.sum(dtype=np.float64))
    return float(np.dot(values.astype(np.float64), part.weights.astype(np.float64)))
