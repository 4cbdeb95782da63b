"""Jet substructure: variables that depend on the number of prongs of a jet.

`n_subjettiness` measures how well the constituents are described by N axes (a top has three prongs,
so τ₃/τ₂ is small). `energy_correlations` needs no axes. `dispersion` distinguishes one hard
particle from many soft ones. The soft-drop mass (z_cut = 0.1, β = 0) excludes soft wide-angle
radiation. `measure` returns all of them for many jets.

Distances are ``ΔR = √(Δy² + Δφ²)`` with the rapidity y. Functions take plain arrays of one jet;
only `measure` needs FastJet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.simulate.jets import Clustered, Columns, offsets_of, soft_drop_mass
from steepest.simulate.particles import delta_r
from steepest.simulate.processes import RADIUS

__all__ = [
    "correlation_ratios",
    "dispersion",
    "energy_correlations",
    "measure",
    "n_subjettiness",
]

Floats = NDArray[np.float64]

Z_CUT = 0.1
"""Soft drop: minimum pT fraction of the softer branch."""

_TAUS = ("tau1", "tau2", "tau3", "tau4")
_NAMES = (*_TAUS, "e2", "e3", "c2", "d2", "pt_dispersion", "soft_drop_mass")


def measure(constituents: Columns, counts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the substructure of many jets, by the names of the columns of the file.

    `constituents` are px, py, pz and energy (GeV), one jet after the other; `counts` has the number
    of constituents of each jet, at least 1.
    """
    by_kt = Clustered(constituents, counts, "kt_algorithm")
    axes = [_axes(by_kt, count) for count in range(1, len(_TAUS) + 1)]
    jets = _split((*_directions(constituents), *constituents), offsets_of(counts))
    rows = []
    for (pt, rapidity, phi, *momenta), *own in zip(jets, *axes, strict=True):
        taus = [n_subjettiness(pt, rapidity, phi, *directions) for directions in own]
        e2, e3 = energy_correlations(pt, rapidity, phi)
        groomed = soft_drop_mass(tuple(momenta), Z_CUT)
        rows.append([*taus, e2, e3, *correlation_ratios(e2, e3), dispersion(pt), groomed])
    return dict(zip(_NAMES, np.array(rows).T, strict=True))


def _axes(clustered: Clustered, count: int) -> list[Columns]:
    """Return the rapidities and azimuths of at most `count` exclusive subjets of each jet."""
    momenta, ends = clustered.exclusive(count)
    return _split(_directions(momenta)[1:], ends)


def _split(columns: Columns, ends: NDArray[np.int64]) -> list[Columns]:
    return list(zip(*(np.split(column, ends[1:-1]) for column in columns), strict=True))


def _directions(momenta: Columns) -> Columns:
    """Return transverse momenta (GeV), rapidities and azimuths."""
    px, py, pz, energy = momenta
    return np.hypot(px, py), np.arctanh(pz / energy), np.arctan2(py, px)


def n_subjettiness(
    pt: Floats, rapidity: Floats, phi: Floats, axes_rapidity: Floats, axes_phi: Floats
) -> float:
    """Return N-subjettiness with β = 1 for given axes.

    ``τ_N = Σᵢ pTᵢ minₖ ΔR(i, k) / (R₀ Σᵢ pTᵢ)``, R₀ = 0.8, i over constituents and k over the N
    axes; 0 if there are no more constituents than axes. Thaler and Van Tilburg, JHEP 03 (2011)
    015, arXiv:1011.2268, equations 2.1 and 2.2.

    Examples
    --------
    >>> pt, y, phi = np.array([3.0, 1.0]), np.zeros(2), np.array([0.0, 0.4])
    >>> n_subjettiness(pt, y, phi, y[:1], phi[:1])
    0.125
    """
    if len(pt) <= len(axes_rapidity):
        return 0.0
    apart = delta_r(rapidity[:, None] - axes_rapidity, phi[:, None] - axes_phi)
    return float(pt @ apart.min(axis=1) / (RADIUS * pt.sum()))


def energy_correlations(pt: Floats, rapidity: Floats, phi: Floats) -> tuple[float, float]:
    """Return the normalised two- and three-point energy correlations with β = 1.

    ``e₂ = Σ_{i<j} zᵢ zⱼ ΔRᵢⱼ`` and ``e₃ = Σ_{i<j<k} zᵢ zⱼ zₖ ΔRᵢⱼ ΔRⱼₖ ΔRₖᵢ`` with
    ``zᵢ = pTᵢ / Σ pT``. Larkoski, Moult and Neill, JHEP 12 (2014) 009, arXiv:1409.6298, equation
    2.3. With ``Aᵢⱼ = √(zᵢ zⱼ) ΔRᵢⱼ`` the triple sum is ``tr(A³)/6``.

    Examples
    --------
    >>> e2, e3 = energy_correlations(np.array([1.0, 1.0]), np.zeros(2), np.array([0.0, 0.4]))
    >>> e2, e3
    (0.1, 0.0)
    """
    share = pt / pt.sum()
    angle = delta_r(rapidity[:, None] - rapidity, phi[:, None] - phi)
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
