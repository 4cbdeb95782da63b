"""Particle Transformer: attention with a bias from each pair of particles (arXiv:2202.03772).

Of each pair the network reads ln kT, ln z, ln ΔR and ln m², with Δ = ΔR in rapidity and φ:

    kT = min(pTᵢ, pTⱼ) Δ,   z = min(pTᵢ, pTⱼ) / (pTᵢ + pTⱼ),   m² = (pᵢ + pⱼ)²

Layers on a particle alone act on the particles without padding; a jet is padded to the longest of
its batch for the attention itself. The pairs' layers act once on each pair j ≤ i.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steepest.groups import MOMENTA, PARTICLES
from steepest.models.cloud import Cloud
from steepest.models.dropout import dropout

LEAST = 1e-8
"""What a logarithm is taken of at least."""


def pair_features(p: Tensor, q: Tensor) -> Tensor:
    """Ln kT, ln z, ln Δ and ln m² of pairs of four-vectors ``(pairs, 4)``: E, px, py, pz in GeV."""

    def cylindrical(v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        energy, px, py, pz = v.unbind(-1)
        rapidity = 0.5 * torch.log(1 + 2 * pz / (energy - pz).clamp(min=1e-20))
        return torch.hypot(px, py), rapidity, torch.atan2(py, px)

    pt_p, y_p, phi_p = cylindrical(p)
    pt_q, y_q, phi_q = cylindrical(q)
    phi = torch.remainder(phi_p - phi_q + math.pi, 2 * math.pi) - math.pi
    delta = torch.hypot(y_p - y_q, phi)
    softer = torch.minimum(pt_p, pt_q)
    energy, px, py, pz = (p + q).unbind(-1)
    values = [
        softer * delta,
        softer / (pt_p + pt_q).clamp(min=LEAST),
        delta,
        energy.square() - px.square() - py.square() - pz.square(),
    ]
    return torch.stack(values, dim=-1).clamp(min=LEAST).log()


class PairBias(nn.Module):
    """Pair features → what is added to the attention, one number for each head."""

    def __init__(self, widths: Sequence[int], heads: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(4)]
        sizes = [4, *widths, heads]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.GELU()]
        self.layers = nn.Sequential(*layers[:-1])

    def forward(self, cloud: Cloud) -> list[Tensor]:
        """Of each bucket ``(jets, heads, longest, longest)``: −∞ where the key is no particle."""
        pairs = [bucket.pairs(ordered=False) for bucket in cloud.buckets]
        with torch.no_grad():
            parts = [
                pair_features(bucket[MOMENTA][i], bucket[MOMENTA][j])
                for bucket, (i, j) in zip(cloud.buckets, pairs, strict=True)
            ]
            features = torch.cat(parts).to(cast(nn.Linear, self.layers[1]).weight.dtype)
        values = self.layers(features).split([i.shape[0] for i, _ in pairs])
        return [
            self._bias(bucket, *of_bucket, numbers)
            for bucket, of_bucket, numbers in zip(cloud.buckets, pairs, values, strict=True)
        ]

    def _bias(self, cloud: Cloud, i: Tensor, j: Tensor, values: Tensor) -> Tensor:
        longest = cloud.longest
        slot_i, slot_j, first = cloud.slot[i], cloud.slot[j], cloud.jet[i] * longest
        shape = (cloud.jets, longest, longest)
        bias = values.new_zeros(math.prod(shape), values.shape[1])
        bias = bias.index_copy(0, slot_i * longest + slot_j - first, values)
        bias = bias.index_copy(0, slot_j * longest + slot_i - first, values)
        bias = bias.unflatten(0, shape).permute(0, 3, 1, 2)
        return bias.masked_fill(~_keys(cloud), -torch.inf)


def _keys(cloud: Cloud) -> Tensor:
    """True for the keys that attention may look at; an empty jet looks at its padding."""
    return (cloud.mask | (cloud.lengths == 0)[:, None])[:, None, None, :]


class Block(nn.Module):
    """Attention and two linear layers, each between normalisations and around a shortcut.

    Scales of heads, of the normalised attention and of the shortcut are learnt (NormFormer).
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.before_attention = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.head_scale = nn.Parameter(torch.ones(heads))
        self.attention_out = nn.Linear(width, width)
        self.after_attention = nn.LayerNorm(width)
        self.before_layers = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.after_expand = nn.LayerNorm(4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.shortcut_scale = nn.Parameter(torch.ones(width))

    def forward(self, cloud: Cloud, x: Tensor, biases: list[Tensor]) -> Tensor:
        """``(particles, width)`` → the same, each particle attending to those of its jet."""
        mixed = []
        qkv = cloud.in_buckets(self.projections(self.before_attention(x)))
        for bucket, values, bias in zip(cloud.buckets, qkv, biases, strict=True):
            # (jets, longest, 3 width) → 3 × (jets, heads, longest, width / heads)
            padded = bucket.padded(values).unflatten(-1, (3, self.heads, -1))
            q, k, v = padded.permute(2, 0, 3, 1, 4).contiguous()
            mixed.append(bucket.flat(self._attend(q, k, v, bias)))
        return self._layers(x, torch.cat(mixed))

    def token(self, cloud: Cloud, token: Tensor, x: Tensor) -> Tensor:
        """``(jets, width)`` → the same: each jet's token attends to itself and its particles."""
        u, t = self.before_attention(x), self.before_attention(token)
        width = x.shape[-1]
        weight, offset = self.projections.weight, self.projections.bias
        keys = functional.linear(torch.cat([u, t]), weight[width:], offset[width:])
        of_particles, of_tokens = keys.split([x.shape[0], token.shape[0]])
        padded, own = cloud.padded(of_particles), of_tokens[:, None]
        k, v = torch.cat([own, padded], dim=1).chunk(2, dim=-1)
        # the query is the token itself, as published: only keys and values are normalised
        q = functional.linear(token, weight[:width], offset[:width])[:, None]
        allowed = functional.pad(cloud.mask, (1, 0), value=True)[:, None, None, :]
        mixed = self._attend(self._split(q), self._split(k), self._split(v), allowed)
        return self._layers(token, mixed[:, 0])

    def _split(self, x: Tensor) -> Tensor:
        """``(jets, n, width)`` → ``(jets, heads, n, width / heads)``."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
        if self.training and self.dropout and q.device.type == "cpu":  # the fused one has none
            scores = torch.baddbmm(
                bias.flatten(0, 1), q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5
            )
            weights = self._drop(scores.softmax(dim=-1))
            mixed = torch.bmm(weights, v.flatten(0, 1)).unflatten(0, q.shape[:2])
        else:
            dropout = self.dropout if self.training else 0.0
            mixed = functional.scaled_dot_product_attention(q, k, v, bias, dropout)
        return mixed.transpose(1, 2).flatten(-2)

    def _layers(self, before: Tensor, mixed: Tensor) -> Tensor:
        scale = self.head_scale.repeat_interleave(mixed.shape[-1] // self.heads)
        # the projection comes before the scale of heads in the published network
        x = self.after_attention(self.attention_out(mixed) * scale)
        x = before + self._drop(x)
        y = self._drop(functional.gelu(self.expand(self.before_layers(x))))
        y = self._drop(self.contract(self.after_expand(y)))
        return y + self.shortcut_scale * x

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout) if self.training else x


class ParticleTransformer(nn.Module):
    """Particle attention with pair biases, then class attention.

    Parameters
    ----------
    features, outputs
        Features of a particle, and logits.
    embedding
        Widths of a particle's layers before the attention.
    pair_widths
        Widths of a pair's layers before its bias.
    attention_heads, layers, token_layers
        Heads of an attention, blocks of particle attention, and of class attention.
    dropout
        In the particle attention; the class attention has none.
    events
        Numbers of an event, which go to the last layer beside the token.

    Examples
    --------
    As published, with 7 features and 2 logits:

    >>> sum(p.numel() for p in ParticleTransformer(7, 2).parameters())
    2141134
    """

    def __init__(
        self,
        features: int,
        outputs: int,
        embedding: Sequence[int] = (128, 512, 128),
        pair_widths: Sequence[int] = (64, 64, 64),
        attention_heads: int = 8,
        layers: int = 8,
        token_layers: int = 2,
        dropout: float = 0.1,
        *,
        events: int = 0,
    ) -> None:
        super().__init__()
        width = embedding[-1]
        steps: list[nn.Module] = [nn.BatchNorm1d(features)]
        for before, after in zip([features, *embedding], embedding, strict=False):
            steps += [nn.LayerNorm(before), nn.Linear(before, after), nn.GELU()]
        self.embedding = nn.Sequential(*steps)
        self.pair_bias = PairBias(pair_widths, attention_heads)
        self.blocks = nn.ModuleList(Block(width, attention_heads, dropout) for _ in range(layers))
        self.token_blocks = nn.ModuleList(
            Block(width, attention_heads, 0.0) for _ in range(token_layers)
        )
        self.token = nn.Parameter(torch.empty(width))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width + events, outputs)
        self._initialise()

    def _initialise(self) -> None:
        """Glorot's uniform weights, zero biases; deeper blocks add less to their shortcut."""
        nn.init.trunc_normal_(self.token, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        with torch.no_grad():
            for depth, block in enumerate(self.blocks.children(), 1):
                for layer in (block.attention_out, block.contract):
                    cast(nn.Linear, layer).weight.mul_(1 / math.sqrt(2 * depth))

    def forward(self, cloud: Cloud) -> Tensor:
        """Logits ``(jets, outputs)``."""
        cloud, places = cloud.by_length()
        x, biases = self.embedding(cloud[PARTICLES]), self.pair_bias(cloud)
        for block in self.blocks:
            x = block(cloud, x, biases)
        token = self.token.expand(cloud.jets, -1)
        for block in self.token_blocks.children():
            token = cast(Block, block).token(cloud, token, x)
        return self.out(cloud.beside(self.norm(token)))[places]
