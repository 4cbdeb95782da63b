"""FastJet on many lists of particles at once.

What to use when: `Clustered(particles, counts, algorithm, radius)` clusters each list by itself, in
one call; its methods give what was found, flat, with the offsets of each list.

FastJet's Python interface to arrays wraps each answer in several layers; this is the layer that
holds the arrays, since the wrapping takes as long as the clustering.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.simulate import extra

__all__ = ["Clustered", "Momenta", "offsets_of"]

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

    def soft_drop_masses(self, z_cut: float, radius: float) -> Floats:
        """Return the mass (GeV) of each list as one jet, after soft drop with β = 0."""
        found = self._found.to_numpy_softdrop_grooming(
            1, 0.0, z_cut, "scalar_z", radius, "larger_pt", float("inf")
        )
        return np.maximum(found[_MASS], 0.0)


_MASS = 8  # the place of the groomed jet's mass in FastJet's answer
