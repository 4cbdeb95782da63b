"""FastJet on many lists of particles at once.

`Clustered(particles, counts, algorithm, radius)` clusters each list separately, in one call. Its
methods return flat arrays with the offsets of each list. `soft_drop_mass` grooms one jet.

This module uses the low-level array interface of FastJet. The wrapper classes above it take as long
as the clustering itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.simulate import extra

__all__ = ["Clustered", "Momenta", "offsets_of", "soft_drop_mass"]

Floats = NDArray[np.float64]

Momenta = tuple[Floats, Floats, Floats, Floats]
"""px, py, pz and energy (GeV)."""


def offsets_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the start of each list, and the end of the last.

    Examples
    --------
    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(counts)])


class Clustered:
    """FastJet cluster sequences for many lists of particles.

    Parameters
    ----------
    particles
        Particles of all lists, one list after the other.
    counts
        Number of particles in each list.
    algorithm
        FastJet's name of the algorithm, such as ``"kt_algorithm"``.
    radius
        R of the algorithm.

    Raises
    ------
    MissingExtraError
        If FastJet is not installed.
    """

    def __init__(
        self, particles: Momenta, counts: NDArray[np.int64], algorithm: str, radius: float
    ) -> None:
        fastjet = extra.fastjet()
        offsets = offsets_of(counts).astype(np.int32)
        # FastJet keeps no reference to the definition
        self._definition = fastjet.JetDefinition(getattr(fastjet, algorithm), radius)
        self._found: Any = extra.fastjet_arrays().interfacemulti(
            *(np.ascontiguousarray(column, dtype=np.float64) for column in particles),
            offsets[:-1],
            offsets[1:],
            self._definition,
        )

    def inclusive(self, least_pt: float) -> tuple[Momenta, NDArray[np.int64]]:
        """Return the jets above this pT (GeV), and the offsets of each list."""
        px, py, pz, energy, offsets = self._found.to_numpy(least_pt)
        return (px, py, pz, energy), np.asarray(offsets, dtype=np.int64)

    def members(self, least_pt: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the constituents of each jet of `inclusive`, as indices within their list.

        The indices of all jets are in one array; the second array has the offsets of each jet.
        """
        offsets, places, _ = self._found.to_numpy_with_constituents(least_pt)
        return np.asarray(places, dtype=np.int64), np.asarray(offsets, dtype=np.int64)

    def exclusive(self, count: int) -> tuple[Momenta, NDArray[np.int64]]:
        """Return `count` exclusive jets of each list, or all particles if there are fewer."""
        px, py, pz, energy, offsets = self._found.to_numpy_exclusive_njet_up_to(count)
        return (px, py, pz, energy), np.asarray(offsets, dtype=np.int64)


def soft_drop_mass(jet: Momenta, z_cut: float) -> float:
    """Return the mass (GeV) of a jet after soft drop with β = 0.

    FastJet's own soft drop for arrays copies all constituents once for each of them and takes twice
    as long. The tests require bitwise equal results.

    Parameters
    ----------
    jet
        The particles of the jet.
    z_cut
        A branch is dropped if it has at most this fraction of the summed pT of the two branches.
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


_EVERYTHING = 1000.0  # a radius that merges all particles
