"""The processes: Pythia settings, pT windows of the early rejection, and required decays.

The classes are those of JetClass (Qu, Li and Qian, arXiv:2202.03772): top quarks, W, Z and Higgs
bosons with their decays, and QCD. The windows are wide enough to have little effect on the selected
jets; ``docs/simulation.md`` has the measured losses. To add a process, add an entry to
`PROCESSES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from steepest.errors import InputError, nearest

RADIUS = 0.8
"""Jet radius, and radius of the matching with a decay."""

CARRIERS = (6, 23, 24, 25)
"""PDG numbers of intermediate resonances: top quark, Z, W, Higgs."""

PARTONS, LEPTONS = (1, 2, 3, 4, 5, 21), (11, 13)
"""PDG numbers of the decay products that are counted."""

Window = tuple[float, float]
"""Lower and upper limit."""


@dataclass(frozen=True, slots=True)
class Decay:
    """The decay that a jet must contain: a resonance and its visible decay products.

    The products are counted after the decays of intermediate W and Z bosons, without neutrinos.
    """

    resonance: int  # PDG number
    partons: int  # number of quarks and gluons
    leptons: int = 0  # number of electrons and muons
    mixed: bool = False  # the settings also allow other decays; those events are rejected at once


@dataclass(frozen=True, slots=True)
class Process:
    """A hard process, and the conditions on its jets; windows are in GeV.

    The early scale is `steepest.simulate.veto.EARLY_SCALE`.
    """

    name: str  # the value of the column ``process``
    number: int  # seeds its random numbers, independently of other processes; never reuse one
    is_top: int  # the value of the column ``is_top``: 1 for jets of top quarks, otherwise 0
    settings: tuple[str, ...]  # Pythia settings that switch on the process and its decays
    pt_hat: Window  # thresholds on the transverse momentum of the hard process
    parton_pt: Window  # of the leading parton jet after the shower; early too without a resonance
    decay: Decay | None = None  # that the jet must contain
    hard_pt: Window = (0.0, float("inf"))  # of the hardest resonance, after one emission and early
    early_pt: Window | None = None  # of the leading parton jet early; None: see `parton_pt`


_TOP_PAIRS = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
_W_TO_QUARKS = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5")
_W_TO_LEPTONS = ("24:onMode = off", "24:onIfAny = 11 13")
_W_TO_EITHER = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5 11 13")
_Z_TO_QUARKS = ("23:onMode = off", "23:onIfAny = 1 2 3 4 5")
_W_AND_PARTON = ("WeakBosonAndParton:qqbar2Wg = on", "WeakBosonAndParton:qg2Wq = on")
_Z_AND_PARTON = (
    "WeakBosonAndParton:qqbar2gmZg = on",
    "WeakBosonAndParton:qg2gmZq = on",
    "WeakZ0:gmZmode = 2",  # pure Z, without the photon
)
_HIGGS_AND_PARTON = (
    "HiggsSM:gg2Hg(l:t) = on",
    "HiggsSM:qg2Hq(l:t) = on",
    "HiggsSM:qqbar2Hg(l:t) = on",
    "25:onMode = off",
)
_LARGEST, _WITH_NEUTRINO = 800.0, 1250.0  # pT (GeV); the jet does not include the neutrino
_TO_W_PAIR, _TO_Z_PAIR = "25:onIfMatch = 24 -24", "25:onIfMatch = 23 23"
_TO_FOUR_QUARKS = (_TO_W_PAIR, _TO_Z_PAIR, *_W_TO_QUARKS, *_Z_TO_QUARKS)


def _boson(
    name: str,
    number: int,
    settings: tuple[str, ...],
    resonance: int,
    partons: int,
    leptons: int = 0,
) -> Process:
    """Return a process of W, Z or Higgs bosons with these decay products."""
    largest = _WITH_NEUTRINO if leptons else _LARGEST
    decay = Decay(resonance, partons, leptons, mixed=leptons > 0)  # its W bosons decay in all ways
    if resonance == 25:
        settings = (*_HIGGS_AND_PARTON, *settings)
    pt_hat, parton_pt = (300.0, 2 * largest), (485.0, 740.0)
    return Process(name, number, 0, settings, pt_hat, parton_pt, decay, (400.0, largest))


_ALL = (
    Process("top", 0, 1, (*_TOP_PAIRS, *_W_TO_QUARKS), (150.0, 1700.0), (490.0, 750.0),
            Decay(6, partons=3), (375.0, 850.0), early_pt=(485.0, 760.0)),
    Process("qcd", 1, 0, ("HardQCD:all = on",), (275.0, 1200.0), (470.0, 720.0)),
    Process("top-blv", 2, 1, (*_TOP_PAIRS, *_W_TO_LEPTONS), (150.0, 2500.0), (500.0, 760.0),
            Decay(6, partons=1, leptons=1), (425.0, _WITH_NEUTRINO)),
    _boson("w", 3, (*_W_AND_PARTON, *_W_TO_QUARKS), 24, 2),
    _boson("z", 4, (*_Z_AND_PARTON, *_Z_TO_QUARKS), 23, 2),
    _boson("h-bb", 5, ("25:onIfMatch = 5 -5",), 25, 2),
    _boson("h-cc", 6, ("25:onIfMatch = 4 -4",), 25, 2),
    _boson("h-gg", 7, ("25:onIfMatch = 21 21",), 25, 2),
    _boson("h-4q", 8, _TO_FOUR_QUARKS, 25, 4),
    _boson("h-lvqq", 9, (_TO_W_PAIR, *_W_TO_EITHER), 25, 2, 1),
)  # fmt: skip

PROCESSES: dict[str, Process] = {process.name: process for process in _ALL}
"""All processes by name."""

DEFAULT_PROCESSES: tuple[str, ...] = ("top", "qcd")
"""The default of ``steepest simulate``: signal and background in equal numbers."""


def known_processes(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` as a tuple after checking that they are known processes without duplicates.

    InputError if the list is empty, a name is unknown, or a name is repeated.

    Examples
    --------
    >>> known_processes(["w", "qcd"])
    ('w', 'qcd')
    """
    if not names:
        raise InputError(
            "No process to simulate was named.",
            expected=f"one or more of {', '.join(PROCESSES)}",
            found="an empty list",
        )
    for name in names:
        if name not in PROCESSES:
            near = nearest(name, PROCESSES)
            raise InputError(
                f"There is no process {name!r}.",
                expected=f"one of {', '.join(PROCESSES)}",
                found=repr(name),
                do=f"did you mean {near!r}?" if near else None,
            )
    twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if twice:
        raise InputError(
            f"The process {twice[0]!r} was named {list(names).count(twice[0])} times.",
            expected="each process once: all are made in equal numbers",
            found=", ".join(names),
        )
    return tuple(names)
