"""Deep Sets: f = F(Σᵢ Φ(pᵢ)), the particle flow network of arXiv:1810.05165."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from steepest.groups import PARTICLES
from steepest.models.cloud import Cloud


def perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers of those widths, each followed by a ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers)


class DeepSets(nn.Module):
    """Φ of each particle, summed over the jet, then F.

    Parameters
    ----------
    features, outputs
        Features of a particle, and logits.
    per_particle, per_jet
        Widths of the layers of Φ and of F.
    dropout
        Probability before each layer of F, after the first.
    events
        Numbers of an event, which go to F beside the sum.

    Examples
    --------
    With the published widths, three features and two logits there are 82,458 parameters:

    >>> sum(p.numel() for p in DeepSets(3, 2).parameters())
    82458
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        per_particle: Sequence[int] = (100, 100, 256),
        per_jet: Sequence[int] = (100, 100, 100),
        dropout: float = 0.0,
        *,
        events: int = 0,
    ) -> None:
        super().__init__()
        self.phi = perceptron([features, *per_particle])
        self.f = perceptron([per_particle[-1] + events, *per_jet])
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(per_jet[-1], outputs)

    def forward(self, cloud: Cloud) -> Tensor:
        """Logits ``(jets, outputs)``."""
        pooled = cloud.sum(self.phi(cloud[PARTICLES]))
        return self.out(self.dropout(self.f(cloud.beside(pooled))))
