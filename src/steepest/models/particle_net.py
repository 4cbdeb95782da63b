"""ParticleNet: edge convolutions on the nearest neighbours of each particle (arXiv:1902.08570).

An edge convolution takes h(xᵢ, xⱼ − xᵢ) of a particle and its k nearest neighbours, and means over
them. Its first layer is linear, W (xᵢ, xⱼ − xᵢ) = (A − B) xᵢ + B xⱼ with W = (A, B): both products
are taken once a particle, not once an edge, which has k times as many rows.

Where a jet has fewer than k other particles, the missing neighbours have zero features, as in the
published network.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steepest.groups import PARTICLES, POINTS
from steepest.models.cloud import Cloud


class EdgeConvolution(nn.Module):
    """x'ᵢ = ReLU(shortcut(xᵢ) + meanⱼ h(xᵢ, xⱼ − xᵢ)) over the k nearest neighbours j.

    Parameters
    ----------
    features
        Features of a particle before.
    k
        Neighbours.
    widths
        Of the layers of h, each with batch normalisation and a ReLU.
    """

    def __init__(self, features: int, k: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.k = k
        inputs = [2 * features, *widths[:-1]]
        self.layers = nn.ModuleList(
            nn.Linear(before, after, bias=False)
            for before, after in zip(inputs, widths, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in widths)
        self.shortcut = None
        if features != widths[-1]:
            self.shortcut = nn.Sequential(
                nn.Linear(features, widths[-1], bias=False), nn.BatchNorm1d(widths[-1])
            )

    def forward(self, cloud: Cloud, points: Tensor, x: Tensor) -> Tensor:
        """``(particles, features)`` → ``(particles, widths[-1])``; `points` say who is near."""
        neighbours = cloud.neighbours(points.detach(), self.k)
        first, *layers = self.layers.children()
        own, difference = cast(nn.Linear, first).weight.tensor_split(2, dim=1)
        here = functional.linear(x, own - difference)
        there = functional.pad(functional.linear(x, difference), (0, 0, 0, 1))  # and no particle
        h = functional.embedding(neighbours, there).add_(here[:, None]).flatten(0, 1)
        for layer, norm in zip((nn.Identity(), *layers), self.norms, strict=True):
            h = torch.relu_(norm(layer(h)))
        # the gradient of a sum is a view, that of a mean a tensor
        h = h.unflatten(0, neighbours.shape).sum(dim=1) / self.k
        return torch.relu_(h + (x if self.shortcut is None else self.shortcut(x)))


class ParticleNet(nn.Module):
    """Edge convolutions, a mean over the jet, and fully connected layers.

    Parameters
    ----------
    features, outputs
        Features of a particle, and logits.
    convolutions
        (k, widths) of each edge convolution.
    fusion
        Width of a layer over the outputs of all convolutions; None takes the last one's alone.
    hidden, dropout
        Width and dropout of the layer before the logits.
    events
        Numbers of an event, which go to that layer beside the mean.

    Examples
    --------
    The published networks, with 7 features and 2 logits:

    >>> lite = ParticleNet(7, 2, [(7, (32,) * 3), (7, (64,) * 3)], hidden=128)
    >>> full = ParticleNet(7, 2)
    >>> [sum(p.numel() for p in network.parameters()) for network in (lite, full)]
    [26416, 366160]
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        convolutions: Sequence[tuple[int, Sequence[int]]] = (
            (16, (64, 64, 64)),
            (16, (128, 128, 128)),
            (16, (256, 256, 256)),
        ),
        fusion: int | None = None,
        hidden: int = 256,
        dropout: float = 0.1,
        *,
        events: int = 0,
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        sizes = [features, *(widths[-1] for _, widths in convolutions)]
        self.convolutions = nn.ModuleList(
            EdgeConvolution(before, k, widths)
            for before, (k, widths) in zip(sizes[:-1], convolutions, strict=True)
        )
        self.fusion = None
        if fusion is not None:
            self.fusion = nn.Sequential(
                nn.Linear(sum(sizes[1:]), fusion, bias=False), nn.BatchNorm1d(fusion), nn.ReLU()
            )
        self.hidden = nn.Linear((sizes[-1] if fusion is None else fusion) + events, hidden)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(hidden, outputs)

    def forward(self, cloud: Cloud) -> Tensor:
        """Logits ``(jets, outputs)``."""
        cloud, places = cloud.by_length()
        x, points = self.norm(cloud[PARTICLES]), cloud[POINTS]
        outputs = []
        for convolution in self.convolutions:
            points = x = convolution(cloud, points, x)
            outputs.append(x)
        if self.fusion is not None:
            x = self.fusion(torch.cat(outputs, dim=1))
        pooled = cloud.beside(cloud.mean(x))
        return self.out(self.dropout(torch.relu(self.hidden(pooled))))[places]
