"""Giving up events early: most of what Pythia begins ends far from the window of the jets.

What to use when: `veto` returns the hook that `steepest.simulate.generator.Generator` hands to
Pythia. Its windows belong to the `Process`; what they lose is in ``docs/simulation.md``.

Pythia asks four times, the cheap questions first:

1. *process*: has the resonance the decay that is asked for? Only where the settings leave a choice.
2. *first emission*: is the hardest resonance near the window?
3. *early*, when the shower has come down to `EARLY_SCALE`: the same once more; without a resonance,
   is the leading jet of partons near the window?
4. *parton level*, before the hadronisation: is the leading jet of partons near the window, and
   does it contain the resonance and its decay, or the second one if that is near the window too?
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from steepest.simulate import extra
from steepest.simulate.processes import RADIUS, Decay, Process

__all__ = ["CARRIERS", "EARLY_SCALE", "LEPTONS", "PARTONS", "veto"]

EARLY_SCALE = 50.0
"""Shower scale (GeV) of the third question."""

MATCH_RADIUS = 0.95
"""Largest ΔR between a jet of partons and what it must contain."""

MATCH_RAPIDITY = 2.5
"""Largest absolute rapidity of a jet of partons that contains it."""

CARRIERS = (6, 23, 24, 25)
"""PDG numbers of what decays on the way: top quark, Z, W, Higgs."""

PARTONS, LEPTONS = (1, 2, 3, 4, 5, 21), (11, 13)
"""PDG numbers of the products that count."""

_OUTGOING = (5, 6)  # where the record has what leaves the hard process
_NO_EMISSION, _RESONANCE_DECAY = 0, 5  # Pythia's numbers for where the shower is
_ETA_MAX = 25.0  # of a jet of partons: everything


def veto(module: Any, process: Process) -> Any:
    """Return the hook that gives up events of `process` far from their windows.

    Parameters
    ----------
    module
        Pythia's.
    process
        Whose windows.
    """
    extra.hide_banner(module)
    decay = process.decay
    anti_kt, visible, own_masses, no_hook, by_fastjet = -1, 2, 2, None, True
    low_jet, high_jet = process.parton_pt
    jets = module.SlowJet(  # softer jets lie outside in any case
        anti_kt, RADIUS, low_jet, _ETA_MAX, visible, own_masses, no_hook, by_fastjet
    )

    def jet_outside(event: Any) -> bool:
        jets.analyze(event)
        return not (jets.sizeJet() and low_jet < jets.pT(0) < high_jet)

    def axes_inside() -> list[tuple[float, float]]:
        return [
            (jets.y(place), jets.phi(place))
            for place in range(min(2, jets.sizeJet()))
            if low_jet < jets.pT(place) < high_jet and abs(jets.y(place)) < MATCH_RAPIDITY
        ]

    class Windows(module.UserHooks):
        """The questions to a process without a resonance."""

        def canVetoPT(self) -> bool:
            return True

        def scaleVetoPT(self) -> float:
            return EARLY_SCALE

        def doVetoPT(self, position: int, event: Any) -> bool:
            return jet_outside(event)

        def canVetoPartonLevel(self) -> bool:
            return True

        def doVetoPartonLevel(self, event: Any) -> bool:
            return jet_outside(event)

    if decay is None:
        return Windows()

    low, high = process.hard_pt
    resonance = decay.resonance
    first, second = _OUTGOING

    def last_pt(event: Any, place: int) -> float:
        """Return the transverse momentum of this resonance after its recoils so far, else 0.

        A particle appears in the record once for every recoil.
        """
        particle = event[place]
        if particle.idAbs() != resonance:
            return 0.0
        return event[particle.iBotCopyId()].pT()

    def hard_outside(position: int, event: Any) -> bool:
        """Return whether the hardest resonance is outside; written for speed."""
        if position == _NO_EMISSION:  # back to back
            return not low < event[first].pT() < high
        if position >= _RESONANCE_DECAY:
            return False
        pt = last_pt(event, first)
        if pt >= high:
            return True
        other = last_pt(event, second)
        return other >= high or not (low < pt or low < other)

    class Decaying(Windows):
        """The questions to a process with one."""

        def canVetoProcessLevel(self) -> bool:
            return decay.mixed

        def doVetoProcessLevel(self, event: Any) -> bool:
            resonances = _resonances(event, decay.resonance)
            return not any(_as_asked(event, one, decay) for one in resonances)

        def canVetoStep(self) -> bool:
            return True

        def numberVetoStep(self) -> int:
            return 1

        def doVetoStep(self, position: int, initial: int, final: int, event: Any) -> bool:
            return hard_outside(position, event)

        def doVetoPT(self, position: int, event: Any) -> bool:
            return hard_outside(position, event)

        def doVetoPartonLevel(self, event: Any) -> bool:
            return jet_outside(event) or not _match(event, decay, axes_inside())

    return Decaying()


def _resonances(event: Any, number: int) -> Iterator[Any]:
    """Yield the resonances of the hard process, each as its last copy so far."""
    for place in _OUTGOING:
        particle = event[event[place].iBotCopyId()]
        if particle.idAbs() == number:
            yield particle


def _as_asked(event: Any, resonance: Any, decay: Decay) -> list[Any] | None:
    """Return the products of a resonance's decay, or None if they are not those asked for."""
    products = list(_products(event, resonance))
    numbers = [product.idAbs() for product in products]
    partons = sum(number in PARTONS for number in numbers)
    leptons = sum(number in LEPTONS for number in numbers)
    return products if (partons, leptons) == (decay.partons, decay.leptons) else None


def _products(event: Any, particle: Any) -> Iterator[Any]:
    """Yield the quarks, gluons, electrons and muons that a resonance ends in."""
    for place in {particle.daughter1(), particle.daughter2()} - {0}:
        daughter = event[place]
        number = daughter.idAbs()
        if number in CARRIERS:
            yield from _products(event, daughter)
        elif number in PARTONS or number in LEPTONS:
            yield daughter


def _match(event: Any, decay: Decay, axes: list[tuple[float, float]]) -> bool:
    """Return whether a resonance and its products, those asked for, all lie around an axis."""
    for resonance in _resonances(event, decay.resonance):
        near = [axis for axis in axes if _distance(resonance, *axis) < MATCH_RADIUS]
        products = _as_asked(event, resonance, decay) if near else None
        if products and any(
            all(_distance(product, *axis) < MATCH_RADIUS for product in products) for axis in near
        ):
            return True
    return False


def _distance(particle: Any, rapidity: float, phi: float) -> float:
    turn = math.remainder(particle.phi() - phi, 2 * math.pi)
    return math.hypot(particle.y() - rapidity, turn)
