from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from steepest.simulate.detector import (
    Calorimeter,
    Detector,
    impact_resolution,
    momentum_resolution,
    reconstruct,
    track_efficiency,
)
from steepest.simulate.particles import Constituents, Kind, Particles

COUNT = 20_000
DETECTOR = Detector()


def gun(
    kind: Kind, pt: float, eta: float = 0.4, *, charge: int = 0, x: float = 0.0, count: int = COUNT
) -> Particles:
    """One particle an event, at azimuths all around."""
    phi = np.linspace(-np.pi, np.pi, count, endpoint=False)
    zero, one = np.zeros(count), np.ones(count)
    return Particles(
        event=np.arange(count),
        px=pt * np.cos(phi),
        py=pt * np.sin(phi),
        pz=pt * np.sinh(eta) * one,
        energy=pt * np.cosh(eta) * one,
        charge=np.full(count, charge, dtype=np.int8),
        kind=np.full(count, kind, dtype=np.int8),
        x=x * np.cos(phi),
        y=x * np.sin(phi),
        z=zero,
    )


def seen(particles: Particles, detector: Detector = DETECTOR, seed: int = 1) -> Constituents:
    return reconstruct(particles, detector, np.random.default_rng(seed))


def assert_fraction(found: int, expected: float, of: int = COUNT) -> None:
    """Five standard deviations of a binomial."""
    assert abs(found / of - expected) <= 5 * np.sqrt(expected * (1 - expected) / of) + 1e-12


@pytest.mark.parametrize(
    ("pt", "eta", "radius", "expected"),
    [
        (20.0, 0.4, 0.0, 0.80),
        (20.0, 2.0, 0.0, 0.75),
        (0.8, 0.4, 0.0, 0.80 * (1 - np.exp(-1))),
        (0.4, 0.4, 0.0, 0.0),
        (20.0, 2.7, 0.0, 0.0),
        (20.0, 0.4, 150.0, 0.40),
        (20.0, 0.4, 400.0, 0.0),
    ],
)
def test_tracks_are_found_with_the_stated_efficiency(pt, eta, radius, expected):
    arrays = (np.array([v]) for v in (pt, eta, radius))
    assert track_efficiency(*arrays, DETECTOR)[0] == pytest.approx(expected)
    tracks = seen(gun(Kind.CHARGED_HADRON, pt, eta, charge=1, x=radius))
    assert_fraction(int(np.sum(tracks.charge == 1)), expected)


@pytest.mark.parametrize(("pt", "eta"), [(1.0, 0.0), (20.0, 1.0), (400.0, 2.0)])
def test_momenta_and_impact_parameters_are_smeared_as_stated(pt, eta):
    found = seen(gun(Kind.CHARGED_HADRON, pt, eta, charge=-1))
    tracks = found.take(found.charge == -1)
    tolerance = 5 / np.sqrt(2 * len(tracks))
    sigma = float(momentum_resolution(np.array([pt]), np.array([eta]), DETECTOR)[0])
    assert sigma == pytest.approx((1 + (eta / 2.5) ** 2) * np.hypot(0.01, 2e-4 * pt))
    assert np.mean(tracks.pt / pt) == pytest.approx(1.0, abs=5 * sigma / np.sqrt(len(tracks)))
    assert np.std(tracks.pt / pt) == pytest.approx(sigma, rel=tolerance)
    np.testing.assert_allclose(tracks.eta, eta, atol=1e-9)
    # the smeared pT enters σ(d0); it is close to the true one
    for values, constant, slope in ((tracks.d0, 0.015, 0.08), (tracks.dz, 0.03, 0.12)):
        expected = impact_resolution(np.array([pt]), constant, slope)[0]
        assert np.std(values) == pytest.approx(expected, rel=tolerance + sigma**2)


def test_impact_parameters_of_a_displaced_particle():
    exact = replace(DETECTOR, d0_constant=0.0, d0_slope=0.0, dz_constant=0.0, dz_slope=0.0)
    particles = gun(Kind.CHARGED_HADRON, 10.0, charge=1)
    moved = replace(particles, x=np.full(COUNT, 2.0), z=np.full(COUNT, 7.0))
    phi = moved.phi
    tracks = seen(moved, exact).take(seen(moved, exact).charge == 1)
    np.testing.assert_allclose(tracks.d0, 2.0 * np.sin(phi[tracks.event]), atol=1e-9)
    np.testing.assert_allclose(
        tracks.dz, 7.0 - 2.0 * np.cos(phi[tracks.event]) * np.sinh(0.4), atol=1e-9
    )


@pytest.mark.parametrize(
    ("kind", "layer"),
    [(Kind.PHOTON, DETECTOR.electromagnetic), (Kind.NEUTRAL_HADRON, DETECTOR.hadronic)],
)
def test_neutral_particles_become_towers_with_the_stated_resolution(kind, layer):
    pt, eta = 60.0, 0.43
    towers = seen(gun(kind, pt, eta))
    energy = pt * np.cosh(eta)
    sigma = float(layer.resolution(np.array([energy]))[0])
    assert sigma == pytest.approx(
        np.sqrt(layer.stochastic**2 * energy + (layer.constant * energy) ** 2 + layer.noise**2)
    )
    assert len(towers) == COUNT
    assert np.mean(towers.energy) == pytest.approx(energy, abs=5 * sigma / np.sqrt(COUNT))
    assert np.std(towers.energy) == pytest.approx(sigma, rel=5 / np.sqrt(2 * COUNT))
    assert set(towers.kind) == {kind}
    assert not np.any(towers.charge)
    assert not np.any(towers.d0)
    assert not np.any(towers.dz)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [(Kind.PHOTON, DETECTOR.electromagnetic), (Kind.NEUTRAL_HADRON, DETECTOR.hadronic)],
)
def test_towers_sit_at_the_centre_of_the_cell_that_was_hit(kind, layer: Calorimeter):
    particles = gun(kind, 100.0, -1.234)
    towers = seen(particles)
    turn = towers.phi - particles.phi[towers.event]
    turn = np.remainder(turn + np.pi, 2 * np.pi) - np.pi
    assert np.max(np.abs(turn)) <= np.pi / layer.phi_towers + 1e-9
    assert np.max(np.abs(towers.eta + 1.234)) <= layer.eta_width / 2 + 1e-9
    assert len(np.unique(towers.phi.round(6))) == layer.phi_towers
    np.testing.assert_allclose(towers.energy**2, towers.pt**2 + towers.pz**2)  # massless


def test_what_hits_one_cell_becomes_one_tower():
    two = gun(Kind.PHOTON, 30.0, count=2)
    together = replace(two, event=np.zeros(2, dtype=int), px=np.full(2, 30.0), py=np.zeros(2))
    towers = seen(together)
    assert len(towers) == 1
    assert towers.energy[0] == pytest.approx(2 * 30.0 * np.cosh(0.4), rel=0.1)


def test_soft_neutral_particles_are_below_the_threshold():
    assert len(seen(gun(Kind.PHOTON, 0.05, count=200))) < 20


def test_a_charged_hadron_leaves_little_besides_its_track():
    found = seen(gun(Kind.CHARGED_HADRON, 50.0, charge=1))
    with_track = np.isin(found.event, found.event[found.charge == 1])
    excess = found.take(with_track & (found.charge == 0))
    assert set(excess.kind) == {Kind.NEUTRAL_HADRON}
    assert_fraction(len(excess), 0.8 * 0.1587)  # beyond one σ on one side
    lost = found.take(~with_track)
    assert len(np.unique(lost.event)) == COUNT - np.sum(found.charge == 1)
    assert np.mean(lost.energy) == pytest.approx(50.0 * np.cosh(0.4), rel=0.02)


def test_muons_leave_a_track_alone_and_electrons_their_tower():
    muons = seen(gun(Kind.MUON, 30.0, charge=-1))
    assert np.all(muons.charge == -1)
    assert_fraction(int(np.sum(muons.kind == Kind.MUON)), 0.97, of=len(muons))
    electrons = seen(gun(Kind.ELECTRON, 30.0, charge=-1))
    tracks = electrons.take(electrons.charge == -1)
    assert_fraction(int(np.sum(tracks.kind == Kind.ELECTRON)), 0.90, of=len(tracks))
    assert set(electrons.kind[electrons.charge == 0]) == {Kind.PHOTON}
    others = set(tracks.kind) | set(muons.kind)
    assert others == {Kind.CHARGED_HADRON, Kind.ELECTRON, Kind.MUON}


def test_energies_are_those_of_the_assumed_masses():
    found = seen(gun(Kind.CHARGED_HADRON, 5.0, charge=1))
    tracks = found.take(found.charge == 1)
    mass2 = tracks.energy**2 - tracks.pt**2 - tracks.pz**2
    np.testing.assert_allclose(mass2, 0.13957**2, rtol=1e-6)


def test_nothing_is_seen_beyond_the_end():
    assert len(seen(gun(Kind.PHOTON, 100.0, eta=3.1))) == 0


def test_events_stay_apart_and_in_order():
    found = seen(gun(Kind.CHARGED_HADRON, 20.0, charge=1))
    assert np.all(np.diff(found.event) >= 0)


def test_one_seed_one_answer():
    particles = gun(Kind.CHARGED_HADRON, 20.0, charge=1, count=300)
    first, again, other = (seen(particles, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.px, again.px)
    assert len(first) != len(other) or not np.array_equal(first.px, other.px)
