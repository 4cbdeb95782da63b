from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steepest.simulate import extra
from steepest.simulate import jets as sub

R0 = 0.8


def random_jet(seed: int, count: int, center: float = 3.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    pt = rng.exponential(20.0, count) + 0.5
    return pt, rng.normal(0.3, 0.3, count), rng.normal(center, 0.3, count)


def momenta(pt, y, phi) -> tuple[np.ndarray, ...]:
    """Massless four-momenta."""
    return pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(y), pt * np.cosh(y)


def measured(px, py, pz, energy) -> dict[str, float]:
    """The substructure of one jet."""
    shapes = sub.substructure((px, py, pz, energy), np.array([len(px)]))
    return {name: float(values[0]) for name, values in shapes.items()}


def taus(shape: dict[str, float]) -> tuple[float, ...]:
    return tuple(shape[f"tau{count}"] for count in range(1, 5))


def delta_r(y1, phi1, y2, phi2) -> float:
    turn = abs(phi1 - phi2) % (2 * math.pi)
    return math.sqrt((y1 - y2) ** 2 + min(turn, 2 * math.pi - turn) ** 2)


def slow_tau(pt, y, phi, axes_y, axes_phi) -> float:
    total = 0.0
    for p, a, b in zip(pt, y, phi, strict=True):
        total += p * min(delta_r(a, b, c, d) for c, d in zip(axes_y, axes_phi, strict=True))
    return total / (R0 * sum(pt))


def slow_merging(vectors: list[np.ndarray], power: int):
    """Generalised kT without a beam, by hand; yields every list of vectors on the way to one."""
    state = [(vector, None) for vector in vectors]

    def distance(a, b):
        (pa, ya, fa), (pb, yb, fb) = (pt_y_phi(v[0]) for v in (a, b))
        return min(pa**power, pb**power) * delta_r(ya, fa, yb, fb) ** 2

    yield state
    while len(state) > 1:
        first, second = min(itertools.combinations(state, 2), key=lambda pair: distance(*pair))
        state = [s for s in state if s is not first and s is not second]
        state.append((first[0] + second[0], (first, second)))
        yield state


def pt_y_phi(vector) -> tuple[float, float, float]:
    px, py, pz, energy = vector
    return math.hypot(px, py), 0.5 * math.log((energy + pz) / (energy - pz)), math.atan2(py, px)


def slow_soft_drop(vectors: list[np.ndarray], z_cut: float = 0.1) -> float:
    *_, (node,) = slow_merging(vectors, 0)
    while node[1] is not None:
        high, low = sorted(node[1], key=lambda n: -pt_y_phi(n[0])[0])
        pt_high, pt_low = pt_y_phi(high[0])[0], pt_y_phi(low[0])[0]
        if pt_low / (pt_high + pt_low) > z_cut:
            break
        node = high
    px, py, pz, energy = node[0]
    return math.sqrt(max(energy**2 - px**2 - py**2 - pz**2, 0.0))


jets = st.builds(random_jet, st.integers(0, 10_000), st.integers(5, 14))


@given(jets, st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_n_subjettiness_is_its_definition(jet, count):
    axes_y, axes_phi = jet[1][:count] + 0.1, jet[2][:count] - 0.1
    assert sub.n_subjettiness(*jet, axes_y, axes_phi) == pytest.approx(
        slow_tau(*jet, axes_y, axes_phi), rel=1e-12
    )


@given(jets)
@settings(max_examples=20, deadline=None)
def test_tau_on_exclusive_kt_axes_by_hand(jet):
    vectors = [np.array(v) for v in zip(*momenta(*jet), strict=True)]
    by_count = {len(state): state for state in slow_merging(vectors, 2)}
    found = taus(measured(*momenta(*jet)))
    for count in range(1, 5):
        axes = [pt_y_phi(vector)[1:] for vector, _ in by_count[count]]
        expected = slow_tau(*jet, *zip(*axes, strict=True))
        assert found[count - 1] == pytest.approx(expected, rel=1e-9)


@given(jets)
@settings(max_examples=30, deadline=None)
def test_energy_correlations_are_their_sums(jet):
    pt, y, phi = jet
    z = pt / pt.sum()
    n = range(len(pt))
    angle = [[delta_r(y[i], phi[i], y[j], phi[j]) for j in n] for i in n]
    pairs = sum(z[i] * z[j] * angle[i][j] for i, j in itertools.combinations(n, 2))
    triples = sum(
        z[i] * z[j] * z[k] * angle[i][j] * angle[j][k] * angle[k][i]
        for i, j, k in itertools.combinations(n, 3)
    )
    assert sub.energy_correlations(pt, y, phi) == pytest.approx((pairs, triples), rel=1e-10)
    assert sub.correlation_ratios(pairs, triples) == (triples / pairs**2, triples / pairs**3)


@given(jets)
@settings(max_examples=25, deadline=None)
def test_soft_drop_is_declustering_by_hand(jet):
    vectors = [np.array(v) for v in zip(*momenta(*jet), strict=True)]
    expected = slow_soft_drop(vectors)
    assert measured(*momenta(*jet))["soft_drop_mass"] == pytest.approx(expected, abs=1e-5)


def test_soft_drop_removes_a_soft_particle_at_a_wide_angle():
    core = (np.array([60.0, 40.0]), np.array([0.0, 0.1]), np.array([0.0, 0.0]))
    wide = tuple(np.append(c, v) for c, v in zip(core, (5.0, 0.7, 0.0), strict=True))
    px, py, pz, energy = (part.sum() for part in momenta(*core))
    mass = math.sqrt(energy**2 - px**2 - py**2 - pz**2)
    assert measured(*momenta(*wide))["soft_drop_mass"] == pytest.approx(mass, rel=1e-9)


def test_soft_drop_keeps_two_hard_prongs():
    pt, y, phi = np.array([80.0, 20.0]), np.array([0.0, 0.5]), np.array([0.0, 0.0])
    expected = math.sqrt(2 * 80 * 20 * (math.cosh(0.5) - 1))
    assert measured(*momenta(pt, y, phi))["soft_drop_mass"] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_as_many_particles_as_axes_leave_nothing(count):
    tau = taus(measured(*momenta(*random_jet(count, count))))
    assert tau[count - 1 :] == (0.0,) * (5 - count)
    assert all(value > 0 for value in tau[: count - 1])


def test_one_particle_has_no_substructure():
    one = measured(*momenta(np.array([10.0]), np.zeros(1), np.zeros(1)))
    assert one.pop("pt_dispersion") == 1.0
    assert one.pop("soft_drop_mass") == pytest.approx(0.0, abs=1e-6)
    assert list(one.values()) == [0.0] * 8


def values(jet) -> list[float]:
    return list(measured(*momenta(*jet)).values())


@pytest.mark.parametrize(
    "change",
    [
        lambda pt, y, phi: (pt, y, phi + 2.5),  # a turn around the beam, across ±π
        lambda pt, y, phi: (pt, y - 1.1, phi),  # a boost along the beam
        lambda pt, y, phi: (pt, -y, phi),  # a mirror
        lambda pt, y, phi: (pt[::-1], y[::-1], phi[::-1]),  # another order
    ],
)
def test_substructure_does_not_depend_on(change):
    jet = random_jet(3, 30)
    np.testing.assert_allclose(values(change(*jet)), values(jet), rtol=1e-8)


def test_a_harder_copy_has_the_same_shape_and_a_larger_mass():
    pt, y, phi = random_jet(4, 30)
    before, after = values((pt, y, phi)), values((2 * pt, y, phi))
    np.testing.assert_allclose(after[:-1], before[:-1], rtol=1e-9)
    assert after[-1] == pytest.approx(2 * before[-1])


def test_dispersion_of_equal_particles():
    assert sub.dispersion(np.full(25, 3.0)) == pytest.approx(0.2)


def test_fastjets_own_contributions_agree():
    fastjet = extra.fastjet()
    import awkward as ak

    jet = random_jet(8, 40)
    px, py, pz, energy = momenta(*jet)
    events = ak.zip({"px": [px], "py": [py], "pz": [pz], "E": [energy]}, with_name="Momentum4D")
    ours = measured(px, py, pz, energy)
    angular = fastjet.ClusterSequence(
        events, fastjet.JetDefinition(fastjet.cambridge_algorithm, 1000.0)
    )
    groomed = angular.exclusive_jets_softdrop_grooming(beta=0.0, symmetry_cut=0.1, R0=0.8)
    assert ours["soft_drop_mass"] == pytest.approx(float(groomed["msoftdrop"][0]), rel=1e-6)
    if not hasattr(angular, "njettiness"):
        pytest.skip("this FastJet comes without N-subjettiness")
    theirs = angular.njettiness(
        measure_definition="NormalizedMeasure", axes_definition="KT_Axes", beta=1.0, R0=0.8
    )
    np.testing.assert_allclose(taus(ours), np.asarray(theirs[0]), rtol=1e-6)
