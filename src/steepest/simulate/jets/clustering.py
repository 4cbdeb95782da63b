"""FastJet on many lists of particles at once.

What to use when: `Clustered(particles, counts, algorithm, radius)` clusters each list by itself, in
one call; its methods give what was found, flat, with the offsets of each list. `soft_drop_mass`
takes one jet apart.

FastJet's Python interface to arrays wraps each answer in several layers; this is the layer that
holds the arrays, since the wrapping takes as long as the clustering.
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
    """Return where each of these lists starts, and the end of the last.

    Examples
    --------
    >>> offsets_of(np.array([2, 0, 3])).tolist()
    [0, 2, 2, 5]
    """
    return np.concatenate([[0], np.cumsum(counts)])


class Clustered:
    """FastJet's cluster sequences of many lists of particles.

    Parameters
    ----------
    particles
        All lists' particles, one list after the other.
    counts
        The number of particles of each list.
    algorithm
        The name of one of FastJet's, such as ``"kt_algorithm"``.
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
        # FastJet keeps no reference of its own
        self._definition = fastjet.JetDefinition(getattr(fastjet, algorithm), radius)
        self._found: Any = extra.fastjet_arrays().interfacemulti(
            *(np.ascontiguousarray(column, dtype=np.float64) for column in particles),
            offsets[:-1],
            offsets[1:],
            self._definition,
        )

    def inclusive(self, least_pt: float) -> tuple[Momenta, NDArray[np.int64]]:
        """Return the jets above this pT (GeV) and the offsets of each list's."""
        px, py, pz, energy, offsets = self._found.to_numpy(least_pt)
        return (px, py, pz, energy), np.asarray(offsets, dtype=np.int64)

    def members(self, least_pt: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the places within their list of the particles of each of `inclusive`'s jets.

        All jets' places one after the other, and the offsets of each jet's.
        """
        offsets, places, _ = self._found.to_numpy_with_constituents(least_pt)
        return np.asarray(places, dtype=np.int64), np.asarray(offsets, dtype=np.int64)

    def exclusive(self, count: int) -> tuple[Momenta, NDArray[np.int64]]:
        """Return each list's `count` exclusive jets, or all particles if they are fewer."""
        px, py, pz, energy, offsets = self._found.to_numpy_exclusive_njet_up_to(count)
        return (px, py, pz, energy), np.asarray(offsets, dtype=np.int64)


def soft_drop_mass(jet: Momenta, z_cut: float) -> float:
    """Return the mass (GeV) of these particles as one jet, after soft drop with β = 0.

    FastJet's own soft drop for arrays, which the tests hold this to bit for bit, copies all
    constituents once for each of them, and so takes twice as long.

    Parameters
    ----------
    jet
        The jet's particles.
    z_cut
        A branch is dropped up to this share of the two branches' pT.
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


_EVERYTHING = 1000.0  # a radius that joins all particles
