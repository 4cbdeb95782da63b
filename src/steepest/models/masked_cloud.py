"""A padded batch of jets as a `Cloud`, for the exporters of PyTorch: its sizes are not data.

A network that is exported becomes a graph whose sizes are symbols. In a `Cloud` they are numbers
that Python computes, such as the length of the longest jet. Here they are the shape of the padding,
and the particles are those places of it where the mask is true.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from steepest.models.cloud import Cloud


class MaskedCloud(Cloud):
    """The particles of padded jets, as the networks of the package and one's own read them.

    Parameters
    ----------
    padded
        By the group's name: ``(jets, longest, features)``.
    events
        By the group's name: ``(jets, features)``.
    mask
        True where there is a particle, ``(jets, longest)``; padding may stand anywhere.

    Examples
    --------
    >>> mask = torch.tensor([[True, False, True], [False, False, False]])
    >>> cloud = MaskedCloud({"particles": torch.arange(6.0).reshape(2, 3, 1)}, {}, mask)
    >>> cloud["particles"].ravel().tolist(), cloud.lengths.tolist(), cloud.sum(cloud["particles"])
    ([0.0, 2.0], [2, 0], tensor([[2.], [0.]]))
    """

    def __init__(
        self, padded: Mapping[str, Tensor], events: Mapping[str, Tensor], mask: Tensor
    ) -> None:
        jet, place = mask.nonzero().unbind(1)
        slot = jet * mask.shape[1] + place
        if torch.compiler.is_exporting():
            torch._check(slot.shape[0] > 0)  # a branch that the exporter need not ask for
        flat = {name: values.flatten(0, 1).index_select(0, slot) for name, values in padded.items()}
        super().__init__(flat, events, mask.sum(1))
        # what is computed of the lengths elsewhere
        known = {"mask": mask, "longest": mask.shape[1], "buckets": [self]}
        self.__dict__.update(known, jet=jet, slot=slot)
        self._number = (mask.flatten().cumsum(0) - 1).unflatten(0, mask.shape)

    def by_length(self) -> tuple[Cloud, Tensor]:
        """The jets as they are, since all are padded alike."""
        return self, torch.arange(self.jets)

    def in_buckets(self, values: Tensor) -> tuple[Tensor, ...]:
        """``(particles, …)`` of the one bucket."""
        return (values,)

    def pairs(self, *, ordered: bool) -> tuple[Tensor, Tensor]:
        """Particles i and j of the same jet, see `Cloud.pairs`."""
        places = torch.arange(self.longest)
        wanted = places[:, None] != places if ordered else places <= places[:, None]
        both = self.mask[:, :, None] & self.mask[:, None, :] & wanted
        jet, i, j = both.nonzero().unbind(1)
        if torch.compiler.is_exporting():
            torch._check(jet.shape[0] > 0)
        return self._number[jet, i], self._number[jet, j]

    def extended(self, count: int) -> Cloud:
        """As many particles more before those of each jet, without their numbers."""
        mask = torch.nn.functional.pad(self.mask, (count, 0), value=True)
        return MaskedCloud({}, {}, mask)

    def _short_of(self, places: int) -> int:
        return places  # whatever the padding is: a graph has no branch for it

    def _numbers(self, place: Tensor) -> Tensor:
        table = torch.nn.functional.pad(self._number, (0, place.shape[-1] + 1))
        rows = torch.arange(self.jets)[:, None, None]
        return table[rows, place]
