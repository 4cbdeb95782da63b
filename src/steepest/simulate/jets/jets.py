"""Jet selection: clustering, the leading jet, the pT window, and the match with a decay.

`leading_jets` clusters a batch of events in one call and keeps the leading jet of each event.
`in_window` and `matched` select the jets of the sample. anti-kT: Cacciari, Salam and Soyez, JHEP 04
(2008) 063, arXiv:0802.1189.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steepest.simulate.generator.decays import Decays
from steepest.simulate.generator.processes import RADIUS
from steepest.simulate.jets.clustering import Clustered, offsets_of
from steepest.simulate.jets.particles import Constituents

__all__ = ["ETA_MAX", "PT_WINDOW", "Jets", "in_window", "leading_jets", "matched"]

PT_WINDOW = (550.0, 650.0)
"""Transverse momentum of a selected jet (GeV)."""

ETA_MAX = 2.0
"""Largest absolute pseudorapidity of a selected jet."""

_LEAST_PT = 200.0  # GeV; softer jets are not returned by FastJet


@dataclass(frozen=True, slots=True)
class Jets:
    """The leading jets of the events that have one.

    Parameters
    ----------
    event
        Number of the event, shape (jets,).
    px, py, pz, energy
        Four-momentum (GeV).
    members
        Indices of the constituents of each jet.
    """

    event: NDArray[np.int64]
    px: NDArray[np.float64]
    py: NDArray[np.float64]
    pz: NDArray[np.float64]
    energy: NDArray[np.float64]
    members: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.event)

    @property
    def pt(self) -> NDArray[np.float64]:
        """Transverse momentum (GeV)."""
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> NDArray[np.float64]:
        """Pseudorapidity."""
        return np.arcsinh(self.pz / self.pt)

    @property
    def phi(self) -> NDArray[np.float64]:
        """Azimuth (rad), from −π to π."""
        return np.arctan2(self.py, self.px)

    @property
    def rapidity(self) -> NDArray[np.float64]:
        """Rapidity along the beam."""
        return np.arctanh(self.pz / self.energy)

    @property
    def mass(self) -> NDArray[np.float64]:
        """Invariant mass (GeV)."""
        square = self.energy**2 - self.px**2 - self.py**2 - self.pz**2
        return np.sqrt(np.maximum(square, 0.0))


def leading_jets(constituents: Constituents, events: int) -> Jets:
    """Cluster the events with anti-kT, R = 0.8, and return the leading jet of each.

    Parameters
    ----------
    constituents
        Constituents of all events, in the order of the events.
    events
        Number of events.

    Raises
    ------
    MissingExtraError
        If FastJet is not installed.
    """
    counts = np.bincount(constituents.event, minlength=events)
    momenta = (constituents.px, constituents.py, constituents.pz, constituents.energy)
    clustered = Clustered(momenta, counts, "antikt_algorithm", RADIUS)
    (px, py, pz, energy), offsets = clustered.inclusive(_LEAST_PT)
    places, ends = clustered.members(_LEAST_PT)
    owner = np.repeat(np.arange(events), np.diff(offsets))
    by_pt = np.lexsort((-(px**2 + py**2), owner))  # hardest first within each event
    event, first = np.unique(owner, return_index=True)
    leading = by_pt[first]
    starts = offsets_of(counts)
    members = [
        starts[e] + places[ends[jet] : ends[jet + 1]]
        for e, jet in zip(event.tolist(), leading.tolist(), strict=True)
    ]
    return Jets(event, px[leading], py[leading], pz[leading], energy[leading], members)


def in_window(jets: Jets) -> NDArray[np.bool_]:
    """Return a mask of the jets with 550 < pT < 650 GeV and |η| < 2."""
    low, high = PT_WINDOW
    return (jets.pt > low) & (jets.pt < high) & (np.abs(jets.eta) < ETA_MAX)


def matched(jets: Jets, decays: Decays) -> NDArray[np.bool_]:
    """Return a mask of the jets that contain a resonance and its visible decay products.

    All of them must lie within ``ΔR = √(Δy² + Δφ²) < 0.8`` of the jet axis.

    Parameters
    ----------
    jets
        At most one jet per event.
    decays
        Any number per event; one matching decay is enough.
    """
    place = np.searchsorted(jets.event, decays.event)
    place = np.minimum(place, len(jets) - 1)
    known = jets.event[place] == decays.event if len(jets) else np.zeros(0, dtype=bool)
    place = place[known]
    turn = decays.phi[known] - jets.phi[place, None]
    turn = np.remainder(turn + np.pi, 2 * np.pi) - np.pi
    rise = decays.rapidity[known] - jets.rapidity[place, None]
    fits = np.all(np.hypot(rise, turn) < RADIUS, axis=1)
    result = np.zeros(len(jets), dtype=bool)
    result[place[fits]] = True
    return result
