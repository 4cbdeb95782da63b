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

__all__ = [
    "CARRIERS",
    "DEFAULT_PROCESSES",
    "LEPTONS",
    "PARTONS",
    "PROCESSES",
    "RADIUS",
    "Decay",
    "Process",
    "Window",
    "known_processes",
]

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
    """A hard process, and the conditions on its jets.

    Parameters
    ----------
    name
        The value of the column ``process``.
    number
        Seeds the random numbers of the process, independently of the other processes. A number must
        never be reused.
    is_top
        The value of the column ``is_top``: 1 for jets of top quarks, otherwise 0.
    settings
        Pythia settings that switch on the process and its decays.
    pt_hat
        Lower and upper threshold on the transverse momentum of the hard process (GeV).
    parton_pt
        Window (GeV) for the leading parton jet at the end of the shower. For processes without a
        resonance it is also applied at `steepest.simulate.veto.EARLY_SCALE`.
    decay
        The decay that the jet must contain, or None.
    hard_pt
        Window (GeV) for the hardest resonance, after the first emission of the shower and again at
        `steepest.simulate.veto.EARLY_SCALE`.
    early_pt
        Window (GeV) for the leading parton jet at that scale, if it differs from `parton_pt`. For
        processes with a resonance, None means no such condition.
    """

    name: str
    number: int
    is_top: int
    settings: tuple[str, ...]
    pt_hat: Window
    parton_pt: Window
    decay: Decay | None = None
    hard_pt: Window = (0.0, float("inf"))
    early_pt: Window | None = None


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
_LARGEST, _LARGEST_WITH_NEUTRINO = 800.0, 1250.0  # GeV; the jet does not include the neutrino
_TO_W_PAIR, _TO_Z_PAIR = "25:onIfMatch = 24 -24", "25:onIfMatch = 23 23"


def _top(
    name: str,
    number: int,
    settings: tuple[str, ...],
    decay: Decay,
    hard_pt: Window,
    parton_pt: Window = (500.0, 760.0),
    early_pt: Window | None = None,
) -> Process:
    settings, pt_hat = (*_TOP_PAIRS, *settings), (150.0, 2 * hard_pt[1])
    return Process(name, number, 1, settings, pt_hat, parton_pt, decay, hard_pt, early_pt)


def _boson(
    name: str,
    number: int,
    settings: tuple[str, ...],
    decay: Decay,
    largest: float = _LARGEST,
) -> Process:
    pt_hat, parton_pt, hard_pt = (300.0, 2 * largest), (485.0, 740.0), (400.0, largest)
    return Process(name, number, 0, settings, pt_hat, parton_pt, decay, hard_pt)


def _higgs(
    name: str, number: int, settings: tuple[str, ...], decay: Decay, largest: float = _LARGEST
) -> Process:
    return _boson(name, number, (*_HIGGS_AND_PARTON, *settings), decay, largest)


_TOP, _W, _Z, _HIGGS = 6, 24, 23, 25
_TO_FOUR_QUARKS = (_TO_W_PAIR, _TO_Z_PAIR, *_W_TO_QUARKS, *_Z_TO_QUARKS)
_WITH_LEPTON = Decay(_HIGGS, partons=2, leptons=1, mixed=True)

_ALL = (
    _top(
        "top",
        0,
        _W_TO_QUARKS,
        Decay(_TOP, partons=3),
        hard_pt=(375.0, 850.0),
        parton_pt=(490.0, 750.0),
        early_pt=(485.0, 760.0),
    ),
    Process(
        name="qcd",
        number=1,
        is_top=0,
        settings=("HardQCD:all = on",),
        pt_hat=(275.0, 1200.0),
        parton_pt=(470.0, 720.0),
    ),
    _top(
        "top-blv",
        2,
        _W_TO_LEPTONS,
        Decay(_TOP, partons=1, leptons=1),
        hard_pt=(425.0, _LARGEST_WITH_NEUTRINO),
    ),
    _boson("w", 3, (*_W_AND_PARTON, *_W_TO_QUARKS), Decay(_W, partons=2)),
    _boson("z", 4, (*_Z_AND_PARTON, *_Z_TO_QUARKS), Decay(_Z, partons=2)),
    _higgs("h-bb", 5, ("25:onIfMatch = 5 -5",), Decay(_HIGGS, partons=2)),
    _higgs("h-cc", 6, ("25:onIfMatch = 4 -4",), Decay(_HIGGS, partons=2)),
    _higgs("h-gg", 7, ("25:onIfMatch = 21 21",), Decay(_HIGGS, partons=2)),
    _higgs("h-4q", 8, _TO_FOUR_QUARKS, Decay(_HIGGS, partons=4)),
    _higgs("h-lvqq", 9, (_TO_W_PAIR, *_W_TO_EITHER), _WITH_LEPTON, _LARGEST_WITH_NEUTRINO),
)

PROCESSES: dict[str, Process] = {process.name: process for process in _ALL}
"""All processes by name."""

DEFAULT_PROCESSES: tuple[str, ...] = ("top", "qcd")
"""The default of ``steepest simulate``: signal and background in equal numbers."""


def known_processes(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` as a tuple after checking that they are known processes without duplicates.

    Raises
    ------
    InputError
        If the list is empty, a name is unknown, or a name is repeated.

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
