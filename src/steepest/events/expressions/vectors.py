"""Four-vectors: ``p4(pt, eta, phi, mass)``, their sums, elements, pairs, and what they have.

::

    px = pt cos φ,   py = pt sin φ,   pz = pt sinh η,   E = √(px² + py² + pz² + m²)
    mass = √(E² − p²), negative for E < |p|;   eta = arsinh(pz / pt),   phi = atan2(py, px)

    delta_r(a, b) = √(Δη² + Δφ²),   delta_phi(a, b) = φ_a − φ_b in (−π, π]

with the conventions of scikit-hep's vector: momenta, energies and masses have one unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from steepest.events.expressions.functions import elementwise
from steepest.events.expressions.types import Float, Typed

MEMBERS = {"first": 0, "second": 1}
"""Functions of lists, numbers too, that give one member of each pair."""
OF_VECTORS = ("p4", "pairs", "sum", "sort", *MEMBERS)
"""Functions that give four-vectors, the last ones if they are of such."""


@dataclass(frozen=True)
class P4:
    """A four-vector, or a list of them, for each event: px, py, pz and E."""

    parts: tuple[Typed, Typed, Typed, Typed]

    def each(self, *others: P4, do: Callable[..., Typed]) -> P4:
        """Return the vector of what `do` makes of each component."""
        columns = zip(self.parts, *(other.parts for other in others), strict=True)
        px, py, pz, energy = (do(*column) for column in columns)
        return P4((px, py, pz, energy))


def _energy(pt: np.ndarray, eta: np.ndarray, mass: np.ndarray) -> np.ndarray:
    return np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)


def _mass(px: np.ndarray, py: np.ndarray, pz: np.ndarray, energy: np.ndarray) -> np.ndarray:
    squared = energy**2 - px**2 - py**2 - pz**2
    return np.copysign(np.sqrt(np.abs(squared)), squared)


FROM_PT: tuple[Callable[..., np.ndarray], ...] = (
    lambda pt, eta, phi, mass: pt * np.cos(phi),
    lambda pt, eta, phi, mass: pt * np.sin(phi),
    lambda pt, eta, phi, mass: pt * np.sinh(eta),
    lambda pt, eta, phi, mass: _energy(pt, eta, mass),
)
"""px, py, pz and E of pt, η, φ and the mass."""

ATTRIBUTES: dict[str, Callable[..., np.ndarray]] = {
    "px": lambda px, py, pz, energy: px,
    "py": lambda px, py, pz, energy: py,
    "pz": lambda px, py, pz, energy: pz,
    "E": lambda px, py, pz, energy: energy,
    "pt": lambda px, py, pz, energy: np.hypot(px, py),
    "eta": lambda px, py, pz, energy: np.arcsinh(pz / np.hypot(px, py)),
    "phi": lambda px, py, pz, energy: np.arctan2(py, px),
    "mass": _mass,
}
"""What a four-vector has, of px, py, pz and E."""


BETWEEN: dict[str, tuple[str, ...]] = {
    "delta_r": ("eta", "phi"),
    "deltaR": ("eta", "phi"),
    "delta_phi": ("phi",),
    "deltaPhi": ("phi",),
}
"""Functions between two four-vectors, and what they take of each."""


def computed(function: Callable[..., np.ndarray]) -> Callable[..., Typed]:
    """Return a function of typed numbers, from one of arrays."""
    return lambda *numbers: Typed(elementwise(function, *(x.real for x in numbers)), Float)
