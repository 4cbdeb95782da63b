"""Early rejection of events: most events that Pythia starts end far from the pT window of the jets.

`veto` returns the user hook that `steepest.simulate.generator.Generator` passes to Pythia. It tests
the cheapest first: the decay of the resonance, where the settings allow others; its pT after the
first emission, and at `EARLY_SCALE`; and before hadronisation the leading parton jets, which must
be near the window and contain the resonance and its decay products. The windows belong to the
`Process`; docs/simulation.md has the losses they cause.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Iterator
from functools import cache
from typing import Any

from steepest.simulate.processes import CARRIERS, LEPTONS, PARTONS, RADIUS, Decay, Process, Window

EARLY_SCALE = 50.0
"""Shower scale (GeV) of the third test."""

MATCH_RADIUS = 0.95
"""Largest ΔR between a parton jet and the matched particles."""

MATCH_RAPIDITY = 2.5
"""Largest absolute rapidity of a matched parton jet."""

_OUTGOING = (5, 6)  # entries of the outgoing particles of the hard process
_NO_EMISSION, _RESONANCE_DECAY = 0, 5  # Pythia's codes for the state of the shower
_ETA_MAX = 25.0  # for parton jets: no limit

Direction = tuple[float, float]
"""Rapidity and azimuth."""


def veto(module: Any, process: Process, generator: Any) -> Any:
    """Return the hook that rejects events of `process` outside its windows.

    `module` is Pythia's, and `generator` the instance of Pythia that will call the hook. The hook
    keeps only a weak reference to it.
    """
    _hide_banner(module)
    anti_kt, visible, own_masses, no_hook, by_fastjet = -1, 2, 2, None, True
    late, early = process.parton_pt, process.early_pt
    softest = min(late[0], early[0]) if early else late[0]
    jets = module.SlowJet(  # softer jets would be rejected in any case
        anti_kt, RADIUS, softest, _ETA_MAX, visible, own_masses, no_hook, by_fastjet
    )

    def jet_outside(event: Any, window: Window) -> bool:
        jets.analyze(event)
        return not (jets.sizeJet() and window[0] < jets.pT(0) < window[1])

    def axes_inside(window: Window) -> list[Direction]:
        return [
            (jets.y(place), jets.phi(place))
            for place in range(min(2, jets.sizeJet()))
            if window[0] < jets.pT(place) < window[1] and abs(jets.y(place)) < MATCH_RAPIDITY
        ]

    class Windows(module.UserHooks):
        """The tests for a process without a resonance."""

        def canVetoPT(self) -> bool:
            return True

        def scaleVetoPT(self) -> float:
            return EARLY_SCALE

        def doVetoPT(self, position: int, event: Any) -> bool:
            return jet_outside(event, early or late)

        def canVetoPartonLevel(self) -> bool:
            return True

        def doVetoPartonLevel(self, event: Any) -> bool:
            return jet_outside(event, late)

    decay = process.decay
    if decay is None:
        return Windows()

    low, high = process.hard_pt
    resonance = decay.resonance
    first, second = _OUTGOING
    owner: Any = weakref.ref(generator)

    def last_pt(event: Any, place: int) -> float:
        """Return the pT of the last copy of the particle at `place`, or 0 if no resonance."""
        particle = event[place]
        if particle.idAbs() != resonance:
            return 0.0
        return event[particle.iBotCopyId()].pT()

    def hard_outside(position: int, event: Any) -> bool:
        """Return whether the hardest resonance is outside the window; optimised for speed."""
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
        """The tests for a process with a resonance."""

        def canVetoProcessLevel(self) -> bool:
            return decay.mixed

        def doVetoProcessLevel(self, event: Any) -> bool:
            resonances = _resonances(event, decay.resonance)
            return not any(_required_products(event, one, decay) for one in resonances)

        def canVetoStep(self) -> bool:
            return True

        def numberVetoStep(self) -> int:
            return 1

        def doVetoStep(self, position: int, initial: int, final: int, event: Any) -> bool:
            return hard_outside(position, event)

        def doVetoPT(self, position: int, event: Any) -> bool:
            if hard_outside(position, event):
                return True
            if early is None or position >= _RESONANCE_DECAY:
                return False
            if jet_outside(event, early):
                return True
            decays = moved_decays(module, owner().process, event, decay)
            return not fits(decays, axes_inside(early))

        def doVetoPartonLevel(self, event: Any) -> bool:
            if jet_outside(event, late):
                return True
            return not fits(decays_of(event, decay), axes_inside(late))

    return Decaying()


@cache
def _hide_banner(module: Any) -> None:
    """Make the copy of FastJet in `module`, Pythia's, print its banner to the null device.

    It prints the banner at its first event, once per process, and has no option to switch it off.
    """
    with open(os.devnull, "wb") as nowhere:
        try:
            kept = os.dup(1)
        except OSError:  # this process has no standard output
            kept = None
        else:
            os.dup2(nowhere.fileno(), 1)
        module.SlowJet(-1, 1.0).analyze(module.Event())
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _resonances(event: Any, number: int) -> Iterator[Any]:
    """Yield the last copy so far of each resonance of the hard process."""
    for place in _OUTGOING:
        particle = event[event[place].iBotCopyId()]
        if particle.idAbs() == number:
            yield particle


def _required_products(event: Any, resonance: Any, decay: Decay) -> list[Any] | None:
    """Return the decay products of a resonance, or None if they are not the required ones."""
    products = list(_products(event, resonance))
    numbers = [product.idAbs() for product in products]
    partons = sum(number in PARTONS for number in numbers)
    leptons = sum(number in LEPTONS for number in numbers)
    return products if (partons, leptons) == (decay.partons, decay.leptons) else None


def _products(event: Any, particle: Any) -> Iterator[Any]:
    """Yield the quarks, gluons, electrons and muons from the decay of a resonance."""
    for place in {particle.daughter1(), particle.daughter2()} - {0}:
        daughter = event[place]
        number = daughter.idAbs()
        if number in CARRIERS:
            yield from _products(event, daughter)
        elif number in PARTONS or number in LEPTONS:
            yield daughter


def decays_of(event: Any, decay: Decay) -> Iterator[list[Direction]]:
    """Yield the directions of each resonance with the required decay, and of its products."""
    for resonance in _resonances(event, decay.resonance):
        products = _required_products(event, resonance, decay)
        if products:
            yield [(particle.y(), particle.phi()) for particle in (resonance, *products)]


def moved_decays(module: Any, process: Any, event: Any, decay: Decay) -> Iterator[list[Direction]]:
    """Yield the same directions for an event whose resonances have not decayed yet.

    Pythia has already decayed them in `process`, the record of the hard process. After the shower
    of the resonances it applies the same boost to the decay products as this function.
    """
    for place in _OUTGOING:
        before, now = process[place], event[event[place].iBotCopyId()]
        products = (
            _required_products(process, before, decay) if now.idAbs() == decay.resonance else None
        )
        if products:
            boost = module.RotBstMatrix()
            boost.bst(before.p(), now.p())
            directions = [(now.y(), now.phi())]
            for product in products:
                momentum = module.Vec4(product.p())
                momentum.rotbst(boost)
                directions.append((momentum.rap(), momentum.phi()))
            yield directions


def fits(decays: Iterator[list[Direction]], axes: list[Direction]) -> bool:
    """Return whether a resonance and all its products are close to one of the axes."""
    return bool(axes) and any(
        all(_distance(one, axis) < MATCH_RADIUS for one in directions)
        for directions in decays
        for axis in axes
    )


def _distance(one: Direction, other: Direction) -> float:
    turn = math.remainder(one[1] - other[1], 2 * math.pi)
    return math.hypot(one[0] - other[0], turn)
