"""What can be simulated: each process with its Pythia settings, its windows and its decay.

The classes are those of JetClass (Qu, Li and Qian, arXiv:2202.03772): top quarks, W, Z and Higgs
bosons with their decays, and QCD. The windows are wide enough that the selected jets no longer feel
them; the measured fractions are in ``docs/simulation.md``. A new process is a new entry of
`PROCESSES`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from steepest.errors import InputError

__all__ = [
    "DEFAULT_PROCESSES",
    "PROCESSES",
    "RADIUS",
    "Decay",
    "Process",
    "Window",
    "known_processes",
]

RADIUS = 0.8
"""Radius of the jets, and of the match with a decay."""

Window = tuple[float, float]
"""Lowest and highest value."""


@dataclass(frozen=True, slots=True)
class Decay:
    """What a jet must contain: a resonance and the visible products of its decay.

    Parameters
    ----------
    resonance
        PDG number of the resonance.
    partons, leptons
        How many quarks or gluons, and how many electrons or muons, its decay must give, W and Z
        bosons in between decayed too. Neutrinos do not count.
    mixed
        Whether Pythia's settings let through other decays too, which are then given up at once.
    """

    resonance: int
    partons: int
    leptons: int = 0
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class Process:
    """A hard process, and what makes a jet of it one of its own.

    Parameters
    ----------
    name
        The value of the column ``process``.
    number
        Fixes its random numbers, whatever other processes are made beside it. Never reused.
    is_top
        The value of the column ``is_top``: 1 for a top quark's jet, else 0.
    settings
        Lines for Pythia that switch the process and its decays on.
    pt_hat
        Lower and upper threshold of the hard process's transverse momentum (GeV).
    parton_pt
        Window (GeV) for the leading jet of partons at the end of the shower, without a resonance
        also at `steepest.simulate.generator.veto.EARLY_SCALE`.
    decay
        What the jet must contain, or None if any jet will do.
    hard_pt
        Window (GeV) for the hardest resonance after the first emission of the shower, and once more
        at `steepest.simulate.generator.veto.EARLY_SCALE`.
    early_pt
        Window (GeV) for the leading jet of partons at that scale, where it is not `parton_pt`; with
        a resonance, None asks no such question there.
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
    "WeakZ0:gmZmode = 2",  # the Z alone, without the photon
)
_HIGGS_AND_PARTON = (
    "HiggsSM:gg2Hg(l:t) = on",
    "HiggsSM:qg2Hq(l:t) = on",
    "HiggsSM:qqbar2Hg(l:t) = on",
    "25:onMode = off",
)
_LARGEST, _LARGEST_WITH_NEUTRINO = 800.0, 1250.0  # GeV: a neutrino's share is not in the jet
_TO_W_PAIR, _TO_Z_PAIR = "25:onIfMatch = 24 -24", "25:onIfMatch = 23 23"


def _top(
    name: str,
    number: int,
    settings: tuple[str, ...],
    decay: Decay,
    *,
    hard_pt: Window,
    parton_pt: Window = (500.0, 760.0),
    early_pt: Window | None = None,
) -> Process:
    return Process(
        name=name,
        number=number,
        is_top=1,
        settings=(*_TOP_PAIRS, *settings),
        pt_hat=(150.0, 2 * hard_pt[1]),
        parton_pt=parton_pt,
        decay=decay,
        hard_pt=hard_pt,
        early_pt=early_pt,
    )


def _boson(
    name: str,
    number: int,
    settings: tuple[str, ...],
    decay: Decay,
    largest: float = _LARGEST,
) -> Process:
    return Process(
        name=name,
        number=number,
        is_top=0,
        settings=settings,
        pt_hat=(300.0, 2 * largest),
        parton_pt=(485.0, 740.0),
        decay=decay,
        hard_pt=(400.0, largest),
    )


def _higgs(
    name: str, number: int, settings: tuple[str, ...], decay: Decay, largest: float = _LARGEST
) -> Process:
    return _boson(name, number, (*_HIGGS_AND_PARTON, *settings), decay, largest)


_ALL = (
    _top(
        "top",
        0,
        _W_TO_QUARKS,
        Decay(6, partons=3),
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
        Decay(6, partons=1, leptons=1),
        hard_pt=(425.0, _LARGEST_WITH_NEUTRINO),
    ),
    _boson("w", 3, (*_W_AND_PARTON, *_W_TO_QUARKS), Decay(24, partons=2)),
    _boson("z", 4, (*_Z_AND_PARTON, *_Z_TO_QUARKS), Decay(23, partons=2)),
    _higgs("h-bb", 5, ("25:onIfMatch = 5 -5",), Decay(25, partons=2)),
    _higgs("h-cc", 6, ("25:onIfMatch = 4 -4",), Decay(25, partons=2)),
    _higgs("h-gg", 7, ("25:onIfMatch = 21 21",), Decay(25, partons=2)),
    _higgs(
        "h-4q",
        8,
        (_TO_W_PAIR, _TO_Z_PAIR, *_W_TO_QUARKS, *_Z_TO_QUARKS),
        Decay(25, partons=4),
    ),
    _higgs(
        "h-lvqq",
        9,
        (_TO_W_PAIR, *_W_TO_EITHER),
        Decay(25, partons=2, leptons=1, mixed=True),
        _LARGEST_WITH_NEUTRINO,
    ),
)

PROCESSES: dict[str, Process] = {process.name: process for process in _ALL}
"""Every known process by its name."""

DEFAULT_PROCESSES: tuple[str, ...] = ("top", "qcd")
"""What ``steepest simulate`` makes: signal and background, half and half."""


def known_processes(names: Sequence[str]) -> tuple[str, ...]:
    """Return `names` if each is a known process, none of them twice.

    Raises
    ------
    InputError
        If there is none, if one is unknown, or if one is there twice.

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
            near = get_close_matches(name.lower(), PROCESSES, n=1, cutoff=0.5)
            raise InputError(
                f"There is no process {name!r}.",
                expected=f"one of {', '.join(PROCESSES)}",
                found=repr(name),
                do=f"did you mean {near[0]!r}?" if near else None,
            )
    twice = [name for name in dict.fromkeys(names) if list(names).count(name) > 1]
    if twice:
        raise InputError(
            f"The process {twice[0]!r} was named {list(names).count(twice[0])} times.",
            expected="each process once: all are made in equal numbers",
            found=", ".join(names),
        )
    return tuple(names)
