"""Jets: FastJet on many lists of particles at once, the selection of the sample, substructure.

`Clustered` clusters each list separately, in one call. `leading_jets` keeps the leading jet of each
event, and `in_window` and `matched` select the jets of the sample. It uses the low-level array
interface of FastJet: the wrapper classes above it take as long as the clustering itself. anti-kT:
Cacciari, Salam and Soyez, JHEP 04 (2008) 063, arXiv:0802.1189.

`substructure` returns the variables that depend on the number of prongs of a jet. `n_subjettiness`
measures how well the constituents are described by N axes (a top has three prongs, so τ₃/τ₂ is
small). `energy_correlations` needs no axes. `dispersion` distinguishes one hard particle from many
soft ones. `soft_drop_mass` (z_cut = 0.1, β = 0) excludes soft wide-angle radiation. They take plain
arrays of one jet, with distances ``ΔR = √(Δy² + Δφ²)`` and the rapidity y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steepest.simulate import extra
from steepest.simulate.particles import Constituents, Decays, Momenta, delta_r
from steepest.simulate.processes import RADIUS

Floats = NDArray[np.float64]

PT_WINDOW = (550.0, 650.0)
"""Transverse momentum of a selected jet (GeV)."""

ETA_MAX = 2.0
"""Largest absolute pseudorapidity of a selected jet."""

Columns = tuple[Floats, ...]
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


Z_CUT = 0.1
"""Soft drop: minimum pT fraction of the softer branch."""

_TAUS = ("tau1", "tau2", "tau3", "tau4")
_NAMES = (*_TAUS, "e2", "e3", "c2", "d2", "pt_dispersion", "soft_drop_mass")


def substructure(constituents: Columns, counts: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
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
