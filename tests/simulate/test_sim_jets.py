"""Against the definitions: clustering, the window, the match, and what the generator hands over."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.errors import SteepestError
from steepest.simulate import extra
from steepest.simulate.detector import Detector, reconstruct
from steepest.simulate.generator import Events, Generator
from steepest.simulate.jets import Jets, in_window, leading_jets, matched
from steepest.simulate.particles import Decays, Kind
from steepest.simulate.processes import PROCESSES, Process


@pytest.fixture(scope="module")
def tops() -> Events:
    return Generator(PROCESSES["top"], seed=3).batch(24)


@pytest.fixture(scope="module")
def qcd() -> Events:
    return Generator(PROCESSES["qcd"], seed=3).batch(24)


def test_a_batch_has_visible_stable_particles(tops, qcd):
    for events in (tops, qcd):
        particles = events.particles
        assert 22 <= events.count <= 24
        assert np.all(np.diff(particles.event) >= 0)
        assert set(particles.kind) <= set(Kind)
        assert np.all((particles.charge == 0) == np.isin(particles.kind, [1, 2]))
        assert np.max(np.abs(particles.eta)) < 5
        assert len(events.pt_hat) == events.count
    assert np.all((qcd.pt_hat > 275) & (qcd.pt_hat < 1200))
    assert np.all((tops.pt_hat > 150) & (tops.pt_hat < 1700))
    assert qcd.decays is None


def test_both_tops_of_each_event_decay_to_three_quarks(tops):
    assert np.array_equal(tops.decays.event, np.repeat(np.arange(tops.count), 2))
    assert tops.decays.rapidity.shape == tops.decays.phi.shape == (2 * tops.count, 4)


def test_a_boosted_top_is_where_its_quarks_are(tops):
    """All of a top's quarks lie around it, and not one of them in the opposite half."""
    turn = tops.decays.phi[:, 1:] - tops.decays.phi[:, :1]
    turn = np.abs(np.remainder(turn + np.pi, 2 * np.pi) - np.pi)
    assert np.mean(turn < 0.8) > 0.8


def test_one_seed_one_batch_and_another_another():
    first, again, other = (Generator(PROCESSES["qcd"], seed=s).batch(2) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.particles.px, again.particles.px)
    assert not np.array_equal(first.pt_hat, other.pt_hat)


def test_leading_jets_are_those_of_one_event_at_a_time(qcd):
    fastjet = extra.fastjet()
    constituents = reconstruct(qcd.particles, Detector(), np.random.default_rng(0))
    jets = leading_jets(constituents, qcd.count)
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, 0.8)
    for place, event in enumerate(jets.event):
        own = constituents.take(constituents.event == event)
        columns = np.column_stack([own.px, own.py, own.pz, own.energy]).tolist()
        inputs = [fastjet.PseudoJet(*row) for row in columns]
        sequence = fastjet.ClusterSequence(inputs, definition)
        leading = max(sequence.inclusive_jets(), key=lambda jet: jet.pt())
        assert jets.pt[place] == pytest.approx(leading.pt())
        assert jets.mass[place] == pytest.approx(leading.m(), abs=1e-4)
        assert jets.eta[place] == pytest.approx(leading.eta())
        assert len(jets.members[place]) == len(leading.constituents())
        members = constituents.take(jets.members[place])
        assert set(members.event) == {event}
        assert jets.energy[place] == pytest.approx(members.energy.sum())


def jets_at(*rows: tuple[int, float, float, float]) -> Jets:
    """Massless jets of (event, pt, eta, phi)."""
    event, pt, eta, phi = (np.array(column) for column in zip(*rows, strict=True))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return Jets(event, px, py, pz, pt * np.cosh(eta), [np.zeros(0, dtype=int)] * len(rows))


def test_the_window():
    jets = jets_at(
        (0, 549.9, 0, 0),
        (1, 550.1, 0, 0),
        (2, 649.9, 1.99, 0),
        (3, 650.1, 0, 0),
        (4, 600, -2.01, 0),
    )
    assert in_window(jets).tolist() == [False, True, True, False, False]


def test_the_match_is_with_all_four_and_across_pi():
    """Event 0 fits over the seam, event 2 loses a quark, of event 3 the second decay fits."""
    jets = jets_at((0, 600.0, 0.0, 3.1), (2, 600.0, 1.0, 0.0), (3, 600.0, 0.0, 0.0))
    near, far = -3.1, 2.2
    decays = Decays(
        event=np.array([0, 1, 2, 3, 3]),
        rapidity=np.array([[0, 0.1, 0.2, 0.3], [0, 0, 0, 0], [1, 1, 1, 1.81], [9] * 4, [0] * 4]),
        phi=np.array([[near] * 4, [near, near, near, far], [0] * 4, [0] * 4, [0.79, 0, 0, 0]]),
    )
    assert matched(jets, decays).tolist() == [True, False, True]
    outside = Decays(decays.event[2:3], decays.rapidity[2:3], np.array([[0, 0, 0, 0.0]]))
    assert matched(jets, outside).tolist() == [False, False, False]


def test_no_jet_no_match():
    none = jets_at((0, 600.0, 0.0, 0.0))
    empty = Jets(*(getattr(none, n)[:0] for n in ("event", "px", "py", "pz", "energy")), [])
    decays = Decays(np.array([0]), np.zeros((1, 4)), np.zeros((1, 4)))
    assert matched(empty, decays).tolist() == []


def test_nothing_is_printed(capfd):
    events = Generator(PROCESSES["qcd"], seed=1).batch(1)
    leading_jets(events.particles.as_constituents(), events.count)
    assert capfd.readouterr() == ("", "")


def test_a_setting_that_pythia_does_not_know():
    broken = Process("broken", 99, 0, ("HardQCD:everything = on",), (275, 1200), (470, 720))
    with pytest.raises(SteepestError) as caught:
        Generator(broken, seed=1)
    assert str(caught.value) == "Pythia does not know the setting 'HardQCD:everything = on'."


def test_a_process_that_is_switched_off():
    broken = Process("broken", 99, 0, (), (275, 1200), (470, 720))
    with pytest.raises(SteepestError) as caught:
        Generator(broken, seed=1)
    assert str(caught.value) == "Pythia could not be started for the process 'broken'."


def test_a_generator_that_gives_no_event(monkeypatch):
    class Stalled:
        def nextBatch(self, count: int) -> list:
            return []

    generator = Generator(PROCESSES["qcd"], seed=1)
    monkeypatch.setattr(generator, "pythia", Stalled())
    with pytest.raises(SteepestError) as caught:
        generator.batch(4)
    assert str(caught.value) == "Pythia gave no event in 4 attempts at the process 'qcd'."
