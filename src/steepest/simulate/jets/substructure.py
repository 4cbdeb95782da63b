"""Jet substructure: variables that depend on the number of prongs of a jet.

`n_subjettiness` measures how well the constituents are described by N axes (a top has three prongs,
so τ₃/τ₂ is small). `energy_correlations` needs no axes. `dispersion` distinguishes one hard
particle from many soft ones. The soft-drop mass excludes soft wide-angle radiation. `measure`
returns all of them for one jet, `measure_all` for many.

Distances are ``ΔR = √(Δy² + Δφ²)`` with the rapidity y. Functions take plain arrays of one jet;
only `measure` and `measure_all` need FastJet.

Soft drop reclusters a jet with Cambridge/Aachen and declusters it from the last merging on. If
``min(pT₁, pT₂) / (pT₁ + pT₂) ≤ z_cut``, the softer branch is dropped and the harder one is
declustered further. The procedure stops at the first pair above z_cut. Here z_cut = 0.1 and β = 0.
Larkoski, Marzani, Soyez and Thaler, JHEP 05 (2014) 146, arXiv:1402.2657, equation 1.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steepest.simulate.generator.processes import RADIUS
from steepest.simulate.jets.clustering import Clustered, Momenta, offsets_of, soft_drop_mass

__all__ = [
    "MAX_AXES",
    "Substructure",
    "axes_of",
    "correlation_ratios",
    "dispersion",
    "distances",
    "energy_correlations",
    "measure",
    "measure_all",
    "n_subjettiness",
]

Floats = NDArray[np.float64]

MAX_AXES = 4
"""Largest number of axes of the N-subjettiness."""

Z_CUT = 0.1
"""Soft drop: minimum pT fraction of the softer branch."""

_EVERYTHING = 1000.0  # a radius that merges all constituents of a jet


@dataclass(frozen=True, slots=True)
class Substructure:
    """The substructure of one jet.

    Parameters
    ----------
    tau
        τ₁ to τ₄.
    e2, e3
        Normalised energy correlations of pairs and triples.
    c2, d2
        Their ratios.
    pt_dispersion
        pT D.
    soft_drop_mass
        Groomed mass (GeV).
    """

    tau: tuple[float, ...]
    e2: float
    e3: float
    c2: float
    d2: float
    pt_dispersion: float
    soft_drop_mass: float


def measure(px: Floats, py: Floats, pz: Floats, energy: Floats) -> Substructure:
    """Return the substructure of one jet, from its constituents.

    Parameters
    ----------
    px, py, pz, energy
        Four-momenta (GeV), shape (constituents,).

    Raises
    ------
    MissingExtraError
        If FastJet is not installed.
    """
    return measure_all((px, py, pz, energy), np.array([len(px)]))[0]


def measure_all(constituents: Momenta, counts: NDArray[np.int64]) -> list[Substructure]:
    """Return the substructure of many jets; FastJet is called once for all of them.

    Parameters
    ----------
    constituents
        px, py, pz and energy (GeV) of the constituents, one jet after the other.
    counts
        Number of constituents of each jet; none may be 0.

    Raises
    ------
    MissingExtraError
        If FastJet is not installed.
    """
    pt, rapidity, phi = _directions(constituents)
    by_kt = Clustered(constituents, counts, "kt_algorithm", _EVERYTHING)
    axes = [axes_of(by_kt, count) for count in range(1, MAX_AXES + 1)]
    ends = offsets_of(counts).tolist()
    shapes = []
    for jet in range(len(counts)):
        own = slice(ends[jet], ends[jet + 1])
        px, py, pz, energy = (column[own] for column in constituents)
        mass = soft_drop_mass((px, py, pz, energy), Z_CUT)
        shapes.append(_shape(pt[own], rapidity[own], phi[own], [a[jet] for a in axes], mass))
    return shapes


def _shape(
    pt: Floats, rapidity: Floats, phi: Floats, axes: list[tuple[Floats, Floats]], groomed: float
) -> Substructure:
    e2, e3 = energy_correlations(pt, rapidity, phi)
    c2, d2 = correlation_ratios(e2, e3)
    return Substructure(
        tau=tuple(n_subjettiness(pt, rapidity, phi, *own) for own in axes),
        e2=e2,
        e3=e3,
        c2=c2,
        d2=d2,
        pt_dispersion=dispersion(pt),
        soft_drop_mass=groomed,
    )


def _directions(momenta: Momenta) -> tuple[Floats, Floats, Floats]:
    """Return transverse momenta (GeV), rapidities and azimuths."""
    px, py, pz, energy = momenta
    return np.hypot(px, py), np.arctanh(pz / energy), np.arctan2(py, px)


def distances(rapidity: Floats, phi: Floats, to_rapidity: Floats, to_phi: Floats) -> Floats:
    """Return ``ΔR_ij = √(Δy² + Δφ²)``, shape (first, second).

    Examples
    --------
    >>> one, turn = np.zeros(1), np.array([np.pi - 0.1])
    >>> distances(one, turn, one, -turn).round(3).tolist()
    [[0.2]]
    """
    turn = phi[:, None] - to_phi[None, :]
    turn = np.remainder(turn + np.pi, 2 * np.pi) - np.pi
    return np.hypot(rapidity[:, None] - to_rapidity[None, :], turn)


def n_subjettiness(
    pt: Floats, rapidity: Floats, phi: Floats, axes_rapidity: Floats, axes_phi: Floats
) -> float:
    """Return N-subjettiness with β = 1 for given axes.

    ``τ_N = Σᵢ pTᵢ minₖ ΔR(i, k) / (R₀ Σᵢ pTᵢ)``, R₀ = 0.8, i over constituents and k over the N
    axes; 0 if there are no more constituents than axes. Thaler and Van Tilburg, JHEP 03 (2011)
    015, arXiv:1011.2268, equations 2.1 and 2.2.

    Parameters
    ----------
    pt, rapidity, phi
        The constituents, shape (constituents,); pT in GeV.
    axes_rapidity, axes_phi
        The axes, shape (N,), for instance from `axes_of`.

    Examples
    --------
    >>> pt, y, phi = np.array([3.0, 1.0]), np.zeros(2), np.array([0.0, 0.4])
    >>> n_subjettiness(pt, y, phi, y[:1], phi[:1])
    0.125
    """
    if len(pt) <= len(axes_rapidity):
        return 0.0
    nearest = distances(rapidity, phi, axes_rapidity, axes_phi).min(axis=1)
    return float(pt @ nearest / (RADIUS * pt.sum()))


def energy_correlations(pt: Floats, rapidity: Floats, phi: Floats) -> tuple[float, float]:
    """Return the normalised two- and three-point energy correlations with β = 1.

    ``e₂ = Σ_{i<j} zᵢ zⱼ ΔRᵢⱼ`` and ``e₃ = Σ_{i<j<k} zᵢ zⱼ zₖ ΔRᵢⱼ ΔRⱼₖ ΔRₖᵢ`` with
    ``zᵢ = pTᵢ / Σ pT``. Larkoski, Moult and Neill, JHEP 12 (2014) 009, arXiv:1409.6298, equation
    2.3.

    With ``Aᵢⱼ = √(zᵢ zⱼ) ΔRᵢⱼ`` the triple sum is ``tr(A³)/6``.

    Parameters
    ----------
    pt, rapidity, phi
        The constituents, shape (constituents,); pT in GeV.

    Examples
    --------
    >>> e2, e3 = energy_correlations(np.array([1.0, 1.0]), np.zeros(2), np.array([0.0, 0.4]))
    >>> e2, e3
    (0.1, 0.0)
    """
    share = pt / pt.sum()
    angle = distances(rapidity, phi, rapidity, phi)
    linked = np.sqrt(np.outer(share, share)) * angle
    return float(share @ angle @ share / 2), float(np.sum((linked @ linked) * linked) / 6)


def correlation_ratios(e2: float, e3: float) -> tuple[float, float]:
    """Return ``C₂ = e₃ / e₂²`` and ``D₂ = e₃ / e₂³``; 0 if all constituents are collinear.

    C₂: Larkoski, Salam and Thaler, JHEP 06 (2013) 108, arXiv:1305.0007; D₂: arXiv:1409.6298.

    Examples
    --------
    >>> correlation_ratios(0.5, 0.25)
    (1.0, 2.0)
    """
    return (e3 / e2**2, e3 / e2**3) if e2 > 0 else (0.0, 0.0)


def dispersion(pt: Floats) -> float:
    """Return ``pT D = √(Σ pTᵢ²) / Σ pTᵢ``: 1 for one constituent, 1/√n for n equal ones.

    CMS, JINST 8 (2013) P04013 (arXiv:1304.7148) uses it to separate quark and gluon jets.

    Examples
    --------
    >>> dispersion(np.array([5.0, 5.0, 5.0, 5.0]))
    0.5
    """
    return float(np.sqrt(pt @ pt) / pt.sum())


def axes_of(clustered: Clustered, count: int) -> list[tuple[Floats, Floats]]:
    """Return the rapidities and azimuths of at most `count` exclusive subjets of each jet."""
    momenta, offsets = clustered.exclusive(count)
    _, rapidity, phi = _directions(momenta)
    ends = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    return [(rapidity[start:end], phi[start:end]) for start, end in ends]
