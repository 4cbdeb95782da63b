"""What can be simulated: each process with its Pythia settings and its window.

The thresholds on the hard process, `pt_hat`, are wide enough that the selected jets no longer feel
them; the measured fractions are in ``docs/simulation.md``. A new process is a new entry of
`PROCESSES`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFAULT_PROCESSES", "PROCESSES", "Process"]


@dataclass(frozen=True, slots=True)
class Process:
    """A hard process, and what makes a jet of it one of its own.

    Parameters
    ----------
    name
        The value of the column ``process``.
    is_top
        The value of the column ``is_top``: 1 for a signal, 0 for a background.
    settings
        Lines for Pythia that switch the process and its decays on.
    pt_hat
        Lower and upper threshold of the hard process's transverse momentum (GeV).
    early_pt
        Window (GeV) for the transverse momentum of the leading jet of partons once the shower has
        come down to `steepest.simulate.generator.EARLY_SCALE`; events outside are given up there,
        which saves most of their time. Like `pt_hat` it must be wide enough not to be felt.
    parton_pt
        The same at the end of the shower, before the hadronisation.
    resonance
        PDG number of the particle that the jet must contain together with its three decay
        quarks, or None if any jet will do.
    """

    name: str
    is_top: int
    settings: tuple[str, ...]
    pt_hat: tuple[float, float]
    early_pt: tuple[float, float]
    parton_pt: tuple[float, float]
    resonance: int | None = None


PROCESSES: dict[str, Process] = {
    "top": Process(
        name="top",
        is_top=1,
        settings=(
            "Top:gg2ttbar = on",
            "Top:qqbar2ttbar = on",
            "24:onMode = off",
            "24:onIfAny = 1 2 3 4 5",
        ),
        pt_hat=(200.0, 1200.0),
        early_pt=(480.0, 780.0),
        parton_pt=(490.0, 780.0),
        resonance=6,
    ),
    "qcd": Process(
        name="qcd",
        is_top=0,
        settings=("HardQCD:all = on",),
        pt_hat=(275.0, 1200.0),
        early_pt=(460.0, 780.0),
        parton_pt=(470.0, 760.0),
    ),
}
"""Every known process by its name."""

DEFAULT_PROCESSES: tuple[str, ...] = ("top", "qcd")
"""What ``steepest simulate`` makes: signal and background, half and half."""
