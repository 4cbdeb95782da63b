"""LorentzNet: messages from Lorentz products of the particles' momenta (arXiv:2201.08187).

With ψ(z) = sgn(z) log(|z| + 1), for each pair of particles i ≠ j of a jet

    mᵢⱼ = φₑ(hᵢ, hⱼ, ψ(‖pᵢ − pⱼ‖²), ψ(⟨pᵢ, pⱼ⟩))
    pᵢ' = pᵢ + c meanⱼ φₓ(mᵢⱼ) (pᵢ − pⱼ)
    hᵢ' = hᵢ + φₕ(hᵢ, Σⱼ σ(φₘ(mᵢⱼ)) mᵢⱼ, sᵢ)

and the logits are a function of the mean of hᵢ. All but p are scalars: the network is invariant
under boosts and rotations as far as its inputs s are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steepest.groups import MOMENTA
from steepest.models.cloud import Cloud


def psi(z: Tensor) -> Tensor:
    """sgn(z) log(|z| + 1)."""
    return z.sign() * torch.log1p(z.abs())


def minkowski(p: Tensor, q: Tensor) -> Tensor:
    """⟨p, q⟩ = E E' − p·p', for (E, px, py, pz)."""
    product = p * q
    return 2 * product[..., 0] - product.sum(dim=-1)


class Message(nn.Module):
    """One layer: messages of all pairs, then new momenta and scalars."""

    def __init__(self, width: int, scalars: int, *, moves: bool, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.edge = nn.Linear(2 * width + 2, width, bias=False)
        self.edge_layers = nn.Sequential(
            nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )
        self.gate = nn.Linear(width, 1)
        self.node_layers = nn.Sequential(
            nn.Linear(2 * width + scalars, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        self.move = None
        if moves:
            last = nn.Linear(width, 1, bias=False)
            nn.init.xavier_uniform_(last.weight, gain=0.001)
            self.move = nn.Sequential(nn.Linear(width, width), nn.ReLU(), last)

    def forward(
        self, pairs: tuple[Tensor, Tensor], p: Tensor, h: Tensor, scalars: Tensor
    ) -> tuple[Tensor, Tensor]:
        """New momenta ``(particles, 4)`` and scalars ``(particles, width)``."""
        i, j = pairs
        width, difference = h.shape[1], p[i] - p[j]
        products = torch.stack(
            [psi(minkowski(difference, difference)), psi(minkowski(p[i], p[j]))], dim=1
        )
        # the first layer is linear: its products with h are taken once a particle, not once a pair
        of_i, of_j, of_products = self.edge.weight.split([width, width, 2], dim=1)
        message = functional.linear(h, of_i)[i] + functional.linear(h, of_j)[j]
        products = functional.linear(products.to(self.edge.weight.dtype), of_products)
        message = self.edge_layers(message + products)
        if self.move is not None:
            shift = (difference * self.move(message)).clamp(-100, 100)
            count = torch.zeros_like(p[:, :1]).index_add(0, i, torch.ones_like(shift[:, :1]))
            p = p + self.scale * torch.zeros_like(p).index_add(0, i, shift) / count.clamp(min=1)
        gathered = torch.zeros_like(h).index_add(0, i, torch.sigmoid(self.gate(message)) * message)
        return p, h + self.node_layers(torch.cat([h, gathered, scalars], dim=1))


class LorentzNet(nn.Module):
    """Layers of messages between all particles of a jet.

    The scalars of a particle are ψ of its mass and, where `beams` adds two massless particles along
    the beam to each jet, whether it is one of them. Beams break the invariance down to rotations
    about the beam, and say where the detector stands.

    Parameters
    ----------
    outputs
        Logits.
    width, layers
        Scalars of a particle between layers, and the number of these.
    dropout
        Before each of the last two layers.
    beams
        Whether the beams are added.
    scale
        c.
    events
        Numbers of an event, beside the mean; the logits are as invariant as these.

    Examples
    --------
    As published:

    >>> sum(p.numel() for p in LorentzNet(2).parameters())
    224072
    """

    def __init__(
        self,
        outputs: int,
        width: int = 72,
        layers: int = 6,
        dropout: float = 0.2,
        beams: bool = True,
        scale: float = 1e-3,
        *,
        events: int = 0,
    ) -> None:
        super().__init__()
        self.beams = beams
        self.embedding = nn.Linear(2, width)
        self.layers = nn.ModuleList(
            Message(width, 2, moves=layer < layers - 1, scale=scale) for layer in range(layers)
        )
        self.decoder = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width + events, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, outputs),
        )

    def forward(self, cloud: Cloud) -> Tensor:
        """Logits ``(jets, outputs)``."""
        p, jets = cloud[MOMENTA], cloud
        beam = torch.zeros_like(p[:, 0], dtype=torch.bool)
        if self.beams:
            cloud, p, beam = _with_beams(cloud, p)
        mass = minkowski(p, p).clamp(min=0).sqrt()
        scalars = torch.stack([psi(mass), beam.to(p.dtype)], dim=1).to(self.embedding.weight.dtype)
        pairs, h = cloud.pairs(ordered=True), self.embedding(scalars)
        for layer in self.layers:
            p, h = layer(pairs, p, h, scalars)
        return self.decoder(jets.beside(cloud.mean(h)))


def _with_beams(cloud: Cloud, p: Tensor) -> tuple[Cloud, Tensor, Tensor]:
    """Each jet with two particles (1, 0, 0, ±1) before its own; and which of all are these."""
    larger = cloud.extended(2)
    known = p.new_tensor([[1.0, 0, 0, 1], [1.0, 0, 0, -1], [0.0, 0, 0, 0]])
    own = torch.arange(p.shape[0], device=p.device) + 2 * (cloud.jet + 1)
    return larger, known[larger.place.clamp(max=2)].index_copy(0, own, p), larger.place < 2
