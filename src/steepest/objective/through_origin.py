"""J(θ) of a linear model without an intercept: the dense objective where the biases are zero."""

from __future__ import annotations

import numpy as np

from steepest.losses import Loss
from steepest.models.dense import Dense
from steepest.models.through_origin import ThroughOrigin
from steepest.objective.base import Batch, CurvatureBounds
from steepest.objective.dense import DenseObjective

Array = np.ndarray


class ThroughOriginObjective:
    """J(θ) = 1/m Σᵢ wᵢ ℓ(xᵢᵀW, yᵢ) + (λ/2) ‖W‖², with the arguments of `DenseObjective`.

    Examples
    --------
    >>> from steepest.losses import MeanSquaredError
    >>> objective = ThroughOriginObjective(ThroughOrigin(inputs=1), MeanSquaredError())
    >>> batch = Batch(np.array([[1.0], [2.0], [3.0]]), np.array([2.0, 4.0, 9.0]))
    >>> objective.loss_and_gradient(np.array([1.0]), batch)[1]
    array([-15.33333333])
    """

    def __init__(
        self, model: ThroughOrigin, loss: Loss, l2: float = 0.0, dtype: str = "float64"
    ) -> None:
        self.model = model
        self.loss_function = loss
        self.l2 = l2
        self.dtype = dtype
        self.size = model.size
        self.weight_mask = model.weight_mask()
        self._dense = DenseObjective(Dense(model.inputs, (), model.outputs), loss, l2, dtype)
        self._kept = self._dense.weight_mask

    def initial(self, seed: int) -> Array:
        """θ to start from, in the objective's dtype."""
        return self.model.initial(seed).astype(self.dtype)

    def loss(self, theta: Array, batch: Batch) -> float:
        """J(θ)."""
        return self._dense.loss(self._with_biases(theta), batch)

    def loss_and_gradient(self, theta: Array, batch: Batch) -> tuple[float, Array]:
        """J(θ) and ∇J(θ)."""
        loss, gradient = self._dense.loss_and_gradient(self._with_biases(theta), batch)
        return loss, gradient[self._kept]

    def hessian_vector(self, theta: Array, vector: Array, batch: Batch) -> Array:
        """∇²J(θ) · vector."""
        given = self._with_biases(theta), self._with_biases(vector)
        return self._dense.hessian_vector(*given, batch)[self._kept]

    def hessian(self, theta: Array, batch: Batch) -> Array | None:
        """∇²J(θ), ``(size, size)`` float64."""
        full = self._dense.hessian(self._with_biases(theta), batch)
        return None if full is None else full[np.ix_(self._kept, self._kept)]

    def curvature_bounds(self, batch: Batch) -> CurvatureBounds | None:
        """Those of the dense objective, which hold for some of its parameters too."""
        bounds = self._dense.curvature_bounds(batch)
        if bounds is None:
            return None
        return CurvatureBounds(bounds.largest, 0.0, bounds.instance, exact=False)

    def predict(self, theta: Array, batch: Batch) -> Array:
        """Values ``(events,)``, probabilities ``(events,)``, or ``(events, K)`` of them."""
        return self._dense.predict(self._with_biases(theta), batch)

    def _with_biases(self, theta: Array) -> Array:
        full = np.zeros(self._dense.size, dtype=theta.dtype)
        full[self._kept] = theta
        return full
