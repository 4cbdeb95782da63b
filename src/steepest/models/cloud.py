"""A batch of jets as a network reads it: all particles one after the other, without padding.

A `Cloud` holds the particles of a batch in flat tensors ``(particles, features)``, with the number
of the jet that each is of. What acts on a particle alone (a linear layer, a normalisation) acts on
the flat tensor, so that padding cannot leak: there is none. What relates the particles of a jet to
each other pads inside, by `Cloud.padded`, and comes back by `Cloud.flat`.

A network is a `torch.nn.Module` whose ``forward(cloud)`` returns logits ``(jets, outputs)``:

>>> import torch
>>> class Counting(torch.nn.Module):
...     def forward(self, cloud):
...         return cloud.sum(torch.ones(len(cloud.jet), 1))
>>> cloud = Cloud({"particles": torch.zeros(5, 3)}, {}, torch.tensor([2, 0, 3]))
>>> Counting()(cloud).ravel()
tensor([2., 0., 3.])
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import torch
from torch import Tensor

from steepest.groups import FEATURES

BUCKET = 16
"""Jets that are padded together on a CPU."""


class Cloud:
    """Particles of some jets.

    Parameters
    ----------
    particles
        By the group's name: ``(particles, features)``, the jets one after the other.
    events
        By the group's name: ``(jets, features)``, numbers of the whole jet or event.
    lengths
        The number of particles of each jet, ``(jets,)`` int64; a jet may have none.
    """

    def __init__(
        self, particles: Mapping[str, Tensor], events: Mapping[str, Tensor], lengths: Tensor
    ) -> None:
        self.particles, self.events, self.lengths = dict(particles), dict(events), lengths

    def __getitem__(self, group: str) -> Tensor:
        """The tensor of a group: ``(particles, features)`` or ``(jets, features)``."""
        return self.particles[group] if group in self.particles else self.events[group]

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def jets(self) -> int:
        """The number of jets; of a graph that is exported a symbol, which `len` cannot be."""
        return self.lengths.shape[0]

    def beside(self, pooled: Tensor) -> Tensor:
        """``(jets, …)`` with the features of the events behind, where there are any."""
        if FEATURES not in self.events:
            return pooled
        return torch.cat([pooled, self.events[FEATURES]], dim=1)

    def by_length(self) -> tuple[Cloud, Tensor]:
        """The jets in order of their particles, and the place of each jet in that order."""
        order = torch.argsort(self.lengths, stable=True)
        lengths = self.lengths[order]
        shift = self.starts[order] - (torch.cumsum(lengths, 0) - lengths)
        numbers = torch.arange(self.jet.shape[0], device=lengths.device)
        rows = numbers + torch.repeat_interleave(shift, lengths, output_size=len(numbers))
        particles = {name: values[rows] for name, values in self.particles.items()}
        events = {name: values[order] for name, values in self.events.items()}
        return Cloud(particles, events, lengths), torch.argsort(order)

    @cached_property
    def buckets(self) -> list[Cloud]:
        """The jets, some after the other, in clouds that are padded each for itself.

        After `by_length` a jet is padded little. A GPU is faster with one cloud of all.
        """
        if self.lengths.device.type != "cpu" or len(self) <= BUCKET:
            return [self]
        lengths = self.lengths.split(BUCKET)
        sizes = [int(one.sum()) for one in lengths]
        parts = {name: values.split(sizes) for name, values in self.particles.items()}
        return [
            Cloud({name: values[i] for name, values in parts.items()}, {}, one)
            for i, one in enumerate(lengths)
        ]

    def in_buckets(self, values: Tensor) -> tuple[Tensor, ...]:
        """``(particles, …)`` of each bucket."""
        return values.split([bucket.jet.shape[0] for bucket in self.buckets])

    @cached_property
    def jet(self) -> Tensor:
        """The jet that each particle is of, ``(particles,)``."""
        jets = torch.arange(len(self.lengths), device=self.lengths.device)
        return torch.repeat_interleave(jets, self.lengths)

    @cached_property
    def starts(self) -> Tensor:
        """Where each jet's particles start, ``(jets,)``."""
        return torch.cumsum(self.lengths, 0) - self.lengths

    @cached_property
    def longest(self) -> int:
        """The number of particles of the largest jet; 1 at least."""
        return max(int(self.lengths.max()) if len(self.lengths) else 0, 1)

    @cached_property
    def slot(self) -> Tensor:
        """The place of each particle in a padded tensor of ``jets × longest``, ``(particles,)``."""
        return self.jet * self.longest + self.place

    @cached_property
    def place(self) -> Tensor:
        """The place of each particle in its jet, from 0, ``(particles,)``."""
        numbers = torch.arange(self.jet.shape[0], device=self.lengths.device)
        return numbers - self.starts[self.jet]

    @cached_property
    def mask(self) -> Tensor:
        """True where a padded tensor holds a particle, ``(jets, longest)``."""
        return torch.arange(self.longest, device=self.lengths.device) < self.lengths[:, None]

    def padded(self, values: Tensor, fill: float = 0.0) -> Tensor:
        """``(particles, …)`` as ``(jets, longest, …)``, with `fill` behind each jet's last."""
        shape = (self.jets * self.longest, *values.shape[1:])
        empty = values.new_full(shape, fill)
        return empty.index_copy(0, self.slot, values).unflatten(0, (self.jets, self.longest))

    def flat(self, padded: Tensor) -> Tensor:
        """``(jets, longest, …)`` as ``(particles, …)``."""
        return padded.flatten(0, 1).index_select(0, self.slot)

    def sum(self, values: Tensor) -> Tensor:
        """Σ over each jet's particles, ``(jets, …)``; 0 for a jet without any."""
        total = values.new_zeros(self.jets, *values.shape[1:])
        return total.index_add(0, self.jet, values)

    def mean(self, values: Tensor) -> Tensor:
        """The mean over each jet's particles, ``(jets, …)``; 0 for a jet without any."""
        counts = self.lengths.clamp(min=1).to(values.dtype)
        return self.sum(values) / counts.reshape(-1, *[1] * (values.dim() - 1))

    def pairs(self, *, ordered: bool) -> tuple[Tensor, Tensor]:
        """Particles i and j of the same jet, as two lists of particles' numbers.

        Ordered: every i with every j ≠ i. Else: every pair once, j ≤ i, a particle with itself too.
        """
        partners = self.lengths[self.jet]
        i = torch.repeat_interleave(torch.arange(len(self.jet), device=partners.device), partners)
        first = torch.repeat_interleave(torch.cumsum(partners, 0) - partners, partners)
        j = torch.arange(len(i), device=i.device) - first + self.starts[self.jet[i]]
        keep = i != j if ordered else j <= i
        return i[keep], j[keep]

    def neighbours(self, points: Tensor, k: int) -> Tensor:
        """The k nearest other particles of the same jet, by Euclidean distance, ``(particles, k)``.

        Where a jet has fewer, the rest are ``len(cloud.jet)``: the number of no particle.
        """
        none, first, found = self.jet.shape[0], 0, []
        for bucket, values in zip(self.buckets, self.in_buckets(points), strict=True):
            numbers, absent = bucket._nearest(values, k)
            found.append((numbers + first).masked_fill(absent, none))
            first += values.shape[0]
        return torch.cat(found)

    def _nearest(self, points: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The numbers of the k nearest, and where there are none, ``(particles, k)``."""
        padded = self.padded(points)
        squares = padded.square().sum(-1)
        distance = torch.baddbmm(squares[:, None, :], padded, padded.mT, alpha=-2)
        distance = distance + squares[:, :, None]
        absent = ~self.mask[:, None, :] | torch.eye(
            self.longest, dtype=torch.bool, device=points.device
        )
        distance = distance.masked_fill(absent, torch.inf)
        if short := self._short_of(k + 1):
            distance = torch.nn.functional.pad(distance, (0, short), value=torch.inf)
        nearest, place = distance.topk(k, dim=-1, largest=False)
        return self.flat(self._numbers(place)), self.flat(nearest == torch.inf)

    def _short_of(self, places: int) -> int:
        """How many places a padded jet has too few."""
        return max(places - self.longest, 0)

    def _numbers(self, place: Tensor) -> Tensor:
        """The numbers of the particles at places in their padded jets, ``(jets, …, …)``."""
        return place + self.starts[:, None, None]

    def extended(self, count: int) -> Cloud:
        """As many particles more before those of each jet, without their numbers."""
        return Cloud({}, {}, self.lengths + count)
