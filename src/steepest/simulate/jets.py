"""Jets: FastJet on many lists of particles at once, and the selection of the sample.

`Clustered` clusters each list separately, in one call. `leading_jets` keeps the leading jet of each
event, and `in_window` and `matched` select the jets of the sample. `soft_drop_mass` grooms one jet.

`Clustered` uses the low-level array interface of FastJet. The wrapper classes above it take as long
as the clustering itself. anti-kT: Cacciari, Salam and Soyez, JHEP 04 (2008) 063, arXiv:0802.1189.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.simulate import extra
from steepest.simulate.particles import Constituents, Decays, Momenta, delta_r
from steepest.simulate.processes import RADIUS

__all__ = [
    "ETA_MAX",
    "PT_WINDOW",
    "Clustered",
    "Columns",
    "Jets",
    "in_window",
    "leading_jets",
    "matched",
    "offsets_of",
    "soft_drop_mass",
]

PT_WINDOW = (550.0, 650.0)
"""Transverse momentum of a selected jet (GeV)."""

ETA_MAX = 2.0
"""Largest absolute pseudorapidity of a selected jet."""

Columns = tuple[NDArray[np.float64], ...]
"""Columns of equal length, such as px, py, pz and energy (GeV)."""

_LEAST_PT = 200.0  # GeV; softer jets are not returned by FastJet
_EVERYTHING = 1000.0  # a radius that merges all particles


def offsets_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the start of each list, and the end of the last.

    Examples
    --------
    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(counts)])


class Clustered:
    """FastJet cluster sequences for many lists of particles, one list after the other.

    `counts` has the number of particles in each list. `algorithm` is FastJet's name, such as
    ``"kt_algorithm"``. The default radius merges all particles of a list.
    """

    def __init__(
        self,
        particles: Columns,
        counts: NDArray[np.int64],
        algorithm: str,
        radius: float = _EVERYTHING,
    ) -> None:
        fastjet = extra.fastjet()
        offsets = offsets_of(counts).astype(np.int32)
        # FastJet keeps no reference to the definition
        self._definition = fastjet.JetDefinition(getattr(fastjet, algorithm), radius)
        self.sequences: Any = extra.fastjet_arrays().interfacemulti(
            *(np.ascontiguousarray(column, dtype=np.float64) for column in particles),
            offsets[:-1],
            offsets[1:],
            self._definition,
        )

    def inclusive(self, least_pt: float) -> tuple[Columns, NDArray[np.int64]]:
        """Return the jets above this pT (GeV), and the offsets of each list."""
        *momenta, offsets = self.sequences.to_numpy(least_pt)
        return tuple(momenta), np.asarray(offsets, dtype=np.int64)

    def members(self, least_pt: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the constituents of each jet of `inclusive`, as indices within their list.

        The indices of all jets are in one array; the second array has the offsets of each jet.
        """
        offsets, places, _ = self.sequences.to_numpy_with_constituents(least_pt)
        return np.asarray(places, dtype=np.int64), np.asarray(offsets, dtype=np.int64)

    def exclusive(self, count: int) -> tuple[Columns, NDArray[np.int64]]:
        """Return `count` exclusive jets of each list, or all particles if there are fewer."""
        *momenta, offsets = self.sequences.to_numpy_exclusive_njet_up_to(count)
        return tuple(momenta), np.asarray(offsets, dtype=np.int64)


def soft_drop_mass(jet: Columns, z_cut: float) -> float:
    """Return the mass (GeV) of a jet after soft drop with β = 0.

    The jet is reclustered with Cambridge/Aachen and declustered from the last merging on. If
    ``min(pT₁, pT₂) / (pT₁ + pT₂) ≤ z_cut``, the softer branch is dropped and the harder one is
    declustered further. The procedure stops at the first pair above z_cut. Larkoski, Marzani,
    Soyez and Thaler, JHEP 05 (2014) 146, arXiv:1402.2657, equation 1.1.

    FastJet's own soft drop for arrays copies all constituents once for each of them and takes twice
    as long. The tests require bitwise equal results.
    """
    fastjet = extra.fastjet()
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, _EVERYTHING)
    particles = list(map(fastjet.PseudoJet, *(column.tolist() for column in jet)))
    sequence = fastjet.ClusterSequence(particles, definition)
    (branch,) = sequence.exclusive_jets(1)
    one, other = fastjet.PseudoJet(), fastjet.PseudoJet()
    while sequence.has_parents(branch, one, other):
        pt, other_pt = one.pt(), other.pt()
        if min(pt, other_pt) / (pt + other_pt) > z_cut:
            break
        branch = one if pt >= other_pt else other
        one, other = fastjet.PseudoJet(), fastjet.PseudoJet()
    return max(branch.m(), 0.0)


@dataclass(frozen=True, slots=True)
class Jets(Momenta):
    """The leading jets of the events that have one."""

    members: NDArray[np.object_]  # for each jet, an array of the indices of its constituents


def leading_jets(constituents: Constituents, events: int) -> Jets:
    """Cluster the events with anti-kT, R = 0.8, and return the leading jet of each.

    `constituents` are those of all events, in the order of the events; `events` is their number.
    """
    counts = np.bincount(constituents.event, minlength=events)
    momenta = (constituents.px, constituents.py, constituents.pz, constituents.energy)
    clustered = Clustered(momenta, counts, "antikt_algorithm", RADIUS)
    found, offsets = clustered.inclusive(_LEAST_PT)
    places, ends = clustered.members(_LEAST_PT)
    owner = np.repeat(np.arange(events), np.diff(offsets))
    by_pt = np.lexsort((-(found[0] ** 2 + found[1] ** 2), owner))  # hardest first in each event
    event, first = np.unique(owner, return_index=True)
    leading = by_pt[first]
    starts = offsets_of(counts)
    members = np.empty(len(event), dtype=object)
    for row, (e, jet) in enumerate(zip(event.tolist(), leading.tolist(), strict=True)):
        members[row] = starts[e] + places[ends[jet] : ends[jet + 1]]
    px, py, pz, energy = (column[leading] for column in found)
    return Jets(event, px, py, pz, energy, members)


def in_window(jets: Jets) -> NDArray[np.bool_]:
    """Return a mask of the jets with 550 < pT < 650 GeV and |η| < 2."""
    low, high = PT_WINDOW
    return (jets.pt > low) & (jets.pt < high) & (np.abs(jets.eta) < ETA_MAX)


def matched(jets: Jets, decays: Decays) -> NDArray[np.bool_]:
    """Return a mask of the jets that contain a resonance and its visible decay products.

    All of them must lie within ``ΔR = √(Δy² + Δφ²) < 0.8`` of the jet axis. There is at most one
    jet per event, and any number of decays; one matching decay is enough.
    """
    result = np.zeros(len(jets), dtype=bool)
    known = np.isin(decays.event, jets.event)
    place = np.searchsorted(jets.event, decays.event[known])
    apart = delta_r(
        decays.rapidity[known] - jets.rapidity[place, None],
        decays.phi[known] - jets.phi[place, None],
    )
    result[place[np.all(apart < RADIUS, axis=1)]] = True
    return result
