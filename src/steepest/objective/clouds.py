"""From inputs without padding, as batches have them, to what a network of PyTorch reads."""

from __future__ import annotations

import numpy as np
import torch

from steepest.errors import EventsError
from steepest.groups import FEATURES, Groups, Jagged
from steepest.models.cloud import Cloud

Array = np.ndarray


def cloud_of(inputs: Groups | Array, device: torch.device | str = "cpu") -> Cloud:
    """The inputs of some events as a network reads them.

    Raises
    ------
    EventsError
        Two groups of particles have other particles.
    """
    if not isinstance(inputs, Groups):
        flat = torch.from_numpy(np.ascontiguousarray(inputs)).to(device)
        return Cloud({}, {FEATURES: flat}, torch.zeros(len(flat), dtype=torch.int64, device=device))
    particles, events, lengths = {}, {}, None
    for name, member in inputs.members.items():
        if not isinstance(member, Jagged):
            events[name] = torch.from_numpy(np.ascontiguousarray(member)).to(device)
            continue
        if lengths is not None and not np.array_equal(lengths, member.lengths):
            event = int(np.flatnonzero(lengths != member.lengths)[0])
            raise EventsError(
                f"The groups of particles differ in event {event}.",
                expected=f"{lengths[event]} particles, as in the groups before",
                found=f"{member.lengths[event]} in {name!r}",
                do="give all features of a particle from lists of the same length",
            )
        lengths = member.lengths
        particles[name] = torch.from_numpy(np.ascontiguousarray(member.values)).to(device)
    if lengths is None:
        lengths = np.zeros(len(inputs), dtype=np.int64)
    return Cloud(particles, events, torch.from_numpy(lengths.astype(np.int64)).to(device))
