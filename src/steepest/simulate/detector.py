"""A parametrised detector: tracks, electromagnetic and hadronic towers, particle flow.

`reconstruct(particles, detector, rng)` turns stable particles into the constituents that a detector
would measure: tracks, and what towers measure beyond the tracks in them. There is no geometry, no
material and no magnetic field. docs/simulation.md describes the response. Every number is a
parameter of `Detector`, and the parameters are stored in the metadata of every file.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steepest.simulate.particles import Constituents, Kind, Particles, join

Floats = NDArray[np.float64]

_MASSES = {Kind.CHARGED_HADRON: 0.13957, Kind.ELECTRON: 0.000511, Kind.MUON: 0.10566}  # GeV


@dataclass(frozen=True, slots=True)
class Calorimeter:
    """A layer of towers of equal size in (η, φ).

    Its resolution is ``σ(E)² = (a √E)² + (b E)² + c²``, with E in GeV.
    """

    eta_width: float  # size of a tower in η
    phi_towers: int  # number of towers around φ
    stochastic: float  # a (√GeV)
    constant: float  # b
    noise: float  # c (GeV)
    threshold: float  # minimum energy of a neutral constituent (GeV)
    significance: float  # minimum excess over the tracks, in units of σ(sum of their momenta)

    def resolution(self, energy: Floats) -> Floats:
        """Return σ(E) (GeV) at these energies (GeV).

        Examples
        --------
        >>> float(Detector().hadronic.resolution(np.array(100.0)).round(2))
        15.65
        """
        square = self.stochastic**2 * energy + (self.constant * energy) ** 2 + self.noise**2
        return np.sqrt(square)


@dataclass(frozen=True, slots=True)
class Detector:
    """The parameters of the detector; ``steepest simulate`` uses the defaults."""

    eta_max: float = 3.0  # acceptance in pseudorapidity
    track_eta_max: float = 2.5  # acceptance of the tracker
    track_pt_min: float = 0.5  # GeV
    track_efficiency: tuple[float, float] = (0.80, 0.75)  # plateau for |η| < 1.5, and beyond
    track_turn_on: float = 0.3  # width (GeV) of the exponential rise above `track_pt_min`
    track_radius: float = 300.0  # production radius (mm) where the linear decrease reaches 0
    # σ(pT)/pT = constant ⊕ slope pT, slope in 1/GeV, both times 1 + (η/2.5)²
    track_constant: float = 0.01
    track_slope: float = 2e-4
    # σ of the impact parameters = constant ⊕ slope / pT, constant in mm, slope in mm GeV
    d0_constant: float = 0.015
    d0_slope: float = 0.08
    dz_constant: float = 0.03
    dz_slope: float = 0.12
    # probability to identify the track; the others become charged hadrons
    electron_efficiency: float = 0.90
    muon_efficiency: float = 0.97
    electromagnetic: Calorimeter = Calorimeter(0.05, 128, 0.10, 0.01, 0.15, 0.5, 2.0)
    hadronic: Calorimeter = Calorimeter(0.1, 64, 1.2, 0.10, 1.0, 2.0, 1.0)


def track_efficiency(pt: Floats, eta: Floats, radius: Floats, detector: Detector) -> Floats:
    """Return the probability that a charged particle leaves a track.

    ``ε = ε₀(|η|) (1 − exp(−(pT − p₀)/w)) max(0, 1 − r/r₀)``, and 0 below p₀ or beyond the tracker;
    pT in GeV, and the production radius r in mm.

    Examples
    --------
    >>> one = np.ones(1)
    >>> float(track_efficiency(100 * one, 0 * one, 0 * one, Detector())[0])
    0.8
    """
    central, forward = detector.track_efficiency
    plateau = np.where(np.abs(eta) < 1.5, central, forward)
    rise = -np.expm1(-np.maximum(pt - detector.track_pt_min, 0.0) / detector.track_turn_on)
    found = np.clip(1.0 - radius / detector.track_radius, 0.0, 1.0)
    return np.where(np.abs(eta) < detector.track_eta_max, plateau * rise * found, 0.0)


def momentum_resolution(pt: Floats, eta: Floats, detector: Detector) -> Floats:
    """Return ``σ(pT)/pT`` of tracks at these pT (GeV) and η."""
    scale = 1.0 + (eta / detector.track_eta_max) ** 2
    return scale * np.hypot(detector.track_constant, detector.track_slope * pt)


def impact_resolution(pt: Floats, constant: float, slope: float) -> Floats:
    """Return ``σ = constant ⊕ slope / pT`` (mm) of an impact parameter at these pT (GeV)."""
    return np.hypot(constant, slope / pt)


def reconstruct(particles: Particles, detector: Detector, rng: np.random.Generator) -> Constituents:
    """Return the tracks and neutral towers that `detector` measures from `particles`.

    All random numbers are from `rng`; the same state gives the same constituents.
    """
    inside = np.abs(particles.pz) < np.sinh(detector.eta_max) * particles.pt
    particles = particles.take(inside)
    tracks, source = _tracks(particles, detector, rng)
    pt_min = detector.track_pt_min
    reaches = (particles.charge == 0) | (particles.pt > pt_min)
    shower = (particles.kind == Kind.PHOTON) | (particles.kind == Kind.ELECTRON)
    hadron = ~shower & (particles.kind != Kind.MUON)
    parts = [tracks]
    for layer, mask, kind in (
        (detector.electromagnetic, shower, Kind.PHOTON),
        (detector.hadronic, hadron, Kind.NEUTRAL_HADRON),
    ):
        on_track = mask[source]
        deposits, seen = particles.take(mask & reaches), tracks.take(on_track)
        entry = particles.take(source[on_track])
        parts.append(_neutral_towers(deposits, entry, seen.energy, layer, kind, rng))
    return join(parts)


def _tracks(
    particles: Particles, detector: Detector, rng: np.random.Generator
) -> tuple[Constituents, NDArray[np.int64]]:
    """Return the tracks, and the index of the particle of each."""
    radius = np.hypot(particles.x, particles.y)
    efficiency = track_efficiency(particles.pt, particles.eta, radius, detector)
    kept = (particles.charge != 0) & (rng.random(len(particles)) < efficiency)
    source = np.flatnonzero(kept)
    true = particles.take(source)
    noise = rng.standard_normal((3, len(true)))
    spread = momentum_resolution(true.pt, true.eta, detector)
    # cut off the unphysical tail of the Gaussian below a tenth of the true momentum
    factor = np.maximum(1.0 + spread * noise[0], 0.1)
    px, py, pz = true.px * factor, true.py * factor, true.pz * factor
    pt = np.hypot(px, py)
    chance = np.zeros(len(true))
    chance[true.kind == Kind.ELECTRON] = detector.electron_efficiency
    chance[true.kind == Kind.MUON] = detector.muon_efficiency
    identified = rng.random(len(true)) < chance
    kind = np.where(identified, true.kind, Kind.CHARGED_HADRON).astype(np.int8)
    mass = np.zeros(len(true))
    for species, value in _MASSES.items():
        mass[kind == species] = value
    d0, dz = true.impact()
    d0 += noise[1] * impact_resolution(pt, detector.d0_constant, detector.d0_slope)
    dz += noise[2] * impact_resolution(pt, detector.dz_constant, detector.dz_slope)
    energy = np.sqrt(px**2 + py**2 + pz**2 + mass**2)
    return Constituents(true.event, px, py, pz, energy, true.charge, kind, d0, dz), source


def _neutral_towers(
    deposits: Particles,
    entry: Particles,
    momenta: Floats,
    layer: Calorimeter,
    kind: Kind,
    rng: np.random.Generator,
) -> Constituents:
    """Return the significant excesses of tower energy over the tracks that enter the tower."""
    keys, place = np.unique(_tower_keys(deposits, layer), return_inverse=True)
    deposited = np.bincount(place, deposits.energy, len(keys)).astype(np.float64)
    into = np.searchsorted(keys, _tower_keys(entry, layer))  # every track has a deposit
    tracked = np.bincount(into, momenta, len(keys)).astype(np.float64)
    measured = deposited + layer.resolution(deposited) * rng.standard_normal(len(keys))
    excess = measured - tracked
    least = np.where(tracked > 0, layer.significance * layer.resolution(tracked), 0.0)
    kept = excess > np.maximum(layer.threshold, least)
    event, eta, phi = _tower_centres(keys[kept], layer)
    energy = excess[kept]
    pt = energy / np.cosh(eta)
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    zero, charge = np.zeros(len(pt)), np.zeros(len(pt), dtype=np.int8)
    kinds = np.full_like(charge, kind)
    return Constituents(event, px, py, pz, energy, charge, kinds, zero, zero)


_ETA_OFFSET = 10.0  # makes all tower indices positive


def _tower_keys(particles: Particles, layer: Calorimeter) -> NDArray[np.int64]:
    """Return a number for each (event, η, φ) cell, in ascending order of the event."""
    rows = round(2 * _ETA_OFFSET / layer.eta_width)
    row = np.floor((particles.eta + _ETA_OFFSET) / layer.eta_width).astype(np.int64)
    turns = (particles.phi + np.pi) / (2 * np.pi)
    column = np.minimum((turns * layer.phi_towers).astype(np.int64), layer.phi_towers - 1)
    return (particles.event * rows + row) * layer.phi_towers + column


def _tower_centres(
    keys: NDArray[np.int64], layer: Calorimeter
) -> tuple[NDArray[np.int64], Floats, Floats]:
    rows = round(2 * _ETA_OFFSET / layer.eta_width)
    cell, column = np.divmod(keys, layer.phi_towers)
    event, row = np.divmod(cell, rows)
    eta = (row + 0.5) * layer.eta_width - _ETA_OFFSET
    phi = (column + 0.5) * (2 * np.pi / layer.phi_towers) - np.pi
    return event, eta, phi
