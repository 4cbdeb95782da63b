"""Losses as functions of the logits: value, gradient and curvature, one class each.

=====================  =======================  ==========================  ==================
name                   ℓ(z, y)                  ∂ℓ/∂z                       prediction
=====================  =======================  ==========================  ==================
mean-squared-error     (z − y)²                 2 (z − y)                   z
binary-cross-entropy   log(1 + eᶻ) − y z        (1 − y) σ(z) − y σ(−z)      σ(z)
cross-entropy          log Σₖ e^{zₖ} − z_y      softmax(z) − onehot(y)      softmax(z)
=====================  =======================  ==========================  ==================

The mean squared error has no factor ½, so that the gradient over m events is 2/m Xᵀ(Xθ − y), as in
the lecture. The entropies are computed from logits in forms that neither overflow nor cancel: they
are exact to rounding for any finite logit, and so are their gradients where the prediction is
nearly certain (σ(z) − 1 would be zero there, −σ(−z) is not).

Logits are ``(events, outputs)``, with one output for the first two; targets are ``(events,)``.
`WithHeads` puts regressions of further columns beside the loss of the label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Head",
    "Loss",
    "MeanSquaredError",
    "WithHeads",
    "heads_of",
    "label_loss",
    "loss_named",
]

Array = np.ndarray


class Loss(Protocol):
    """ℓ(z, y) for each event, and its first two derivatives with respect to the logits z."""

    name: str
    curvature_bound: float
    """The largest eigenvalue that ∂²ℓ/∂z² can have, for step sizes that are safe everywhere."""

    def value(self, logits: Array, targets: Array) -> Array:
        """ℓ for each event, ``(events,)``."""
        ...

    def gradient(self, logits: Array, targets: Array) -> Array:
        """∂ℓ/∂z, ``(events, outputs)``."""
        ...

    def curvature(self, logits: Array, targets: Array, direction: Array) -> Array:
        """(∂²ℓ/∂z²) · direction, ``(events, outputs)``."""
        ...

    def prediction(self, logits: Array) -> Array:
        """What the logits say: a value, a probability, or K probabilities."""
        ...


@dataclass(frozen=True)
class MeanSquaredError:
    """ℓ = (z − t)², with t = (y − centre)/width the label in units in which a network learns it.

    Parameters
    ----------
    centre, width
        Of the labels; 0 and 1 leave them as they are. Targets are given scaled, by `scaled`, and
        predictions are ŷ = centre + width · z, in the label's own units.

    Examples
    --------
    >>> loss = MeanSquaredError()
    >>> loss.value(np.array([[1.0]]), np.array([3.0])), loss.gradient(
    ...     np.array([[1.0]]), np.array([3.0])
    ... )
    (array([4.]), array([[-4.]]))
    >>> loss = MeanSquaredError(centre=90.0, width=10.0)
    >>> loss.scaled(np.array([100.0])), loss.prediction(np.array([[1.0]]))
    (array([1.]), array([100.]))
    """

    name = "mean-squared-error"
    curvature_bound = 2.0

    centre: float = 0.0
    width: float = 1.0

    @property
    def scales(self) -> bool:
        """Whether targets are not the labels themselves."""
        return (self.centre, self.width) != (0.0, 1.0)

    def scaled(self, labels: Array) -> Array:
        """(y − centre)/width, in float64; the labels themselves where they are not scaled."""
        return (labels.astype(np.float64) - self.centre) / self.width if self.scales else labels

    def value(self, logits: Array, targets: Array) -> Array:
        """(z − y)² for each event."""
        return (logits[:, 0] - targets) ** 2

    def gradient(self, logits: Array, targets: Array) -> Array:
        """2 (z − y)."""
        return 2.0 * (logits - targets[:, None])

    def curvature(self, logits: Array, targets: Array, direction: Array) -> Array:
        """2 · direction."""
        return 2.0 * direction

    def prediction(self, logits: Array) -> Array:
        """ŷ = centre + width · z, ``(events,)``."""
        return self.centre + self.width * logits[:, 0] if self.scales else logits[:, 0]


class BinaryCrossEntropy:
    """ℓ = log(1 + eᶻ) − y z, with y in [0, 1].

    Examples
    --------
    >>> loss = BinaryCrossEntropy()
    >>> loss.value(np.array([[1e3], [-1e3]]), np.array([0.0, 0.0]))
    array([1000.,    0.])
    """

    name = "binary-cross-entropy"
    curvature_bound = 0.25

    def value(self, logits: Array, targets: Array) -> Array:
        """max(z, 0) − y z + log(1 + e^{−|z|}); the first two cancel exactly for y = 0 or 1."""
        z = logits[:, 0]
        return np.maximum(z, 0.0) - targets * z + np.log1p(np.exp(-np.abs(z)))

    def gradient(self, logits: Array, targets: Array) -> Array:
        """(1 − y) σ(z) − y σ(−z)."""
        y = targets[:, None]
        return (1.0 - y) * sigmoid(logits) - y * sigmoid(-logits)

    def curvature(self, logits: Array, targets: Array, direction: Array) -> Array:
        """σ(z) σ(−z) · direction."""
        return sigmoid(logits) * sigmoid(-logits) * direction

    def prediction(self, logits: Array) -> Array:
        """P(y = 1) = σ(z), ``(events,)``."""
        return sigmoid(logits[:, 0])


class CrossEntropy:
    """ℓ = log Σₖ e^{zₖ} − z_y, with y one of 0 … K − 1.

    Examples
    --------
    >>> loss = CrossEntropy()
    >>> loss.value(np.array([[0.0, 0.0, 0.0]]), np.array([2])).round(6)
    array([1.098612])
    """

    name = "cross-entropy"
    curvature_bound = 0.5  # Böhning 1992: the largest eigenvalue of diag(p) − p pᵀ

    def value(self, logits: Array, targets: Array) -> Array:
        """M + log Σₖ e^{dₖ − M} with dₖ = zₖ − z_y and M = max(0, maxₖ dₖ)."""
        others, largest, _ = _relative_to_target(logits, targets)
        return largest + np.log1p(others.sum(axis=1) + np.expm1(-largest))

    def gradient(self, logits: Array, targets: Array) -> Array:
        """softmax(z) − onehot(y); the target's entry is −Σ of the others, without cancellation."""
        others, largest, events = _relative_to_target(logits, targets)
        gradient = others / (others.sum(axis=1) + np.exp(-largest))[:, None]
        gradient[events, targets] = -gradient.sum(axis=1)
        return gradient

    def curvature(self, logits: Array, targets: Array, direction: Array) -> Array:
        """P ∘ (direction − p · direction)."""
        p = self.prediction(logits)
        return p * (direction - (p * direction).sum(axis=1, keepdims=True))

    def prediction(self, logits: Array) -> Array:
        """P(y = k) = softmax(z)ₖ, ``(events, K)``."""
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)


def sigmoid(z: Array) -> Array:
    """σ(z) = 1 / (1 + e^−z)."""
    from scipy.special import expit  # whose import takes 0.2 s: networks of PyTorch do without

    return expit(z)


def _relative_to_target(logits: Array, targets: Array) -> tuple[Array, Array, Array]:
    """e^{dₖ − M} with the target's own term set to zero, M, and the row indices."""
    events = np.arange(len(logits))
    differences = logits - logits[events, targets][:, None]
    largest = differences.max(axis=1)  # at least the target's own zero
    others = np.exp(differences - largest[:, None])
    others[events, targets] = 0.0
    return others, largest, events


@dataclass(frozen=True)
class Head:
    """An auxiliary head: a column that the network regresses beside the label.

    Parameters
    ----------
    name
        What the history, metrics.json and columns of predictions call it.
    value
        The column or expression that it predicts.
    weight
        λ > 0, of its loss in the sum.
    target
        Its loss (z − t)², with the units in which it learns the column.
    """

    name: str
    value: str
    weight: float = 1.0
    target: MeanSquaredError = MeanSquaredError()


@dataclass
class WithHeads:
    """ℓ = ℓ_label + Σₖ λₖ (zₖ − tₖ)²: the loss of the label, and of auxiliary heads beside it.

    Logits are those of the label, then one of each head; targets are ``(events, 1 + heads)``, the
    label's first. Its name and its predictions are those of the label's loss.

    Examples
    --------
    >>> loss = WithHeads(BinaryCrossEntropy(), (Head("mass", "m", 0.5),))
    >>> logits, targets = np.array([[0.0, 3.0]]), np.array([[1.0, 1.0]])
    >>> loss.parts(logits, targets).round(3), loss.value(logits, targets).round(3)
    (array([[0.693, 4.   ]]), array([2.693]))
    """

    label: Loss
    heads: tuple[Head, ...]

    def __post_init__(self) -> None:
        self.name = self.label.name
        bounds = (2.0 * head.weight for head in self.heads)  # no logit is shared
        self.curvature_bound = max(self.label.curvature_bound, *bounds)

    @property
    def part_names(self) -> tuple[str, ...]:
        """`LABEL`, and the name of each head."""
        return (LABEL, *(head.name for head in self.heads))

    @property
    def part_weights(self) -> Array:
        """1, and λ of each head."""
        return np.array([1.0, *(head.weight for head in self.heads)])

    def parts(self, logits: Array, targets: Array) -> Array:
        """ℓ_label, and (z − t)² of each head, ``(events, 1 + heads)``."""
        of_label, of_heads = self._split(logits)
        label = self.label.value(of_label, self.label_targets(targets))
        return np.column_stack([label, (of_heads - targets[:, 1:]) ** 2])

    def value(self, logits: Array, targets: Array) -> Array:
        """ℓ for each event."""
        return self.parts(logits, targets) @ self.part_weights

    def gradient(self, logits: Array, targets: Array) -> Array:
        """∂ℓ/∂z, side by side."""
        of_label, of_heads = self._split(logits)
        label = self.label.gradient(of_label, self.label_targets(targets))
        return np.hstack([label, 2.0 * self.part_weights[1:] * (of_heads - targets[:, 1:])])

    def curvature(self, logits: Array, targets: Array, direction: Array) -> Array:
        """(∂²ℓ/∂z²) · direction, side by side."""
        of_label, _ = self._split(logits)
        along, of_heads = self._split(direction)
        label = self.label.curvature(of_label, self.label_targets(targets), along)
        return np.hstack([label, 2.0 * self.part_weights[1:] * of_heads])

    def prediction(self, logits: Array) -> Array:
        """What the logits of the label say."""
        return self.label.prediction(self._split(logits)[0])

    def predictions(self, logits: Array) -> tuple[Array, Array]:
        """What the logits of the label say, and the heads' values ``(events, heads)``."""
        of_label, of_heads = self._split(logits)
        each = zip(self.heads, np.hsplit(of_heads, len(self.heads)), strict=True)
        columns = [head.target.prediction(values) for head, values in each]
        return self.label.prediction(of_label), np.column_stack(columns)

    def label_targets(self, targets: Array) -> Array:
        """The label's own: class indices for the cross entropy."""
        label = targets[:, 0]
        return label.astype(np.int64) if self.name == CrossEntropy.name else label

    def _split(self, logits: Array) -> tuple[Array, Array]:
        outputs = logits.shape[1] - len(self.heads)
        return logits[:, :outputs], logits[:, outputs:]


LABEL = "label"
"""What the label's part of a loss with heads is called."""


def heads_of(loss: Loss) -> tuple[Head, ...]:
    """The auxiliary heads beside the label; none for a loss of the label alone."""
    return loss.heads if isinstance(loss, WithHeads) else ()


def label_loss(loss: Loss) -> Loss:
    """The loss of the label alone."""
    return loss.label if isinstance(loss, WithHeads) else loss


_LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (MeanSquaredError(), BinaryCrossEntropy(), CrossEntropy())
}


def loss_named(name: str) -> Loss:
    """Return the loss of that name.

    Examples
    --------
    >>> loss_named("cross-entropy").curvature_bound
    0.5
    """
    return _LOSSES[name]
