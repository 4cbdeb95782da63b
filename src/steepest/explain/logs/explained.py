"""What a log says: verdict, findings, checks, and what it cannot tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from steepest.explain.explanation import Explanation
from steepest.explain.findings import Check, Finding
from steepest.explain.logs.checks import CHECKS
from steepest.explain.logs.curve import Curve, curve_of
from steepest.explain.logs.read import Log, log_of, read_log
from steepest.folder import RunFolder

CANNOT = {
    "curvature": "λmax, κ and the largest stable η need θ and the events",
    "scaling": "needs the events: a log does not tell bad scaling from a small η",
    "noise": "the gradient noise scale needs gradients of events",
    "layers": "dead units and gradients by layer need the network",
    "events": "leaks, copies, heavy weights and shuffled labels need the events",
    "fixes": "none was tried: that needs the recipe and the events",
}


@dataclass(frozen=True)
class LogMeasured:
    """The numbers of a log's curves, and what was taken for what."""

    log: Log
    curves: dict[str, Curve | None]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "columns": dict(self.log.columns),
            "restarts": self.log.restarts,
            "curves": {k: None if c is None else c.to_json() for k, c in self.curves.items()},
        }


def explain_log(path: str | Path, **columns: str | None) -> Explanation:
    """Explain a log: CSV, JSON, ``trainer_state.json`` or event files of TensorBoard.

    Parameters
    ----------
    path
        The file, or the folder of the event files.
    columns
        "step", "loss", "validation" and "rate": the columns or tags, where their names are not the
        usual ones.

    Raises
    ------
    InputError
        See `steepest.explain.logs.read_log`.

    Examples
    --------
    >>> print(explain_log("losses.csv", loss="J"))  # doctest: +SKIP
    """
    return _explained(read_log(path, **columns))


def explain_running(folder: RunFolder) -> Explanation:
    """Explain a run that still goes on from the losses that it has published so far.

    Raises
    ------
    RunFolderError, InputError
        It has published none.
    """
    table = pl.DataFrame(pl.from_arrow(folder.history))
    log = replace(log_of(table, folder.path, {}, ""), name=folder.path.resolve().name)
    found = _explained(log)
    return replace(
        found,
        verdict=f"The run is still going on, and this is what its losses so far tell. "
        f"{found.verdict} Explain it again when it has ended.",
        recipe=folder.recipe,
    )


def _explained(log: Log) -> Explanation:
    curves = {"training": curve_of(log.loss), "validation": curve_of(log.validation)}
    found: list[Finding] = []
    checks: list[Check] = []
    for check in CHECKS:
        for outcome in check(log, curves):
            (found if isinstance(outcome, Finding) else checks).append(outcome)  # type: ignore[arg-type]
    if any(one.cause in ("diverged", "learning-rate-too-large") for one in found):
        found = [one for one in found if one.cause not in ("too-few-steps", "oscillation")]
    checks += _about_the_log(log)
    checks += [Check(name, False, sentence) for name, sentence in CANNOT.items()]
    found.sort(key=lambda one: one.rank)
    return Explanation(
        run=log.name,
        verdict=_verdict(log, curves, found),
        findings=tuple(found),
        checks=tuple(checks),
        measured=LogMeasured(log, curves),
        recipe=None,
    )


def _about_the_log(log: Log) -> list[Check]:
    checks = []
    if log.restarts:
        said = (
            f"the step goes back {log.restarts} times: of a step that comes again the last counts"
        )
        checks.append(Check("log", False, said))
    if log.cut:
        checks.append(Check("log", False, log.cut))
    return checks


def _verdict(log: Log, curves: dict[str, Curve | None], found: list[Finding]) -> str:
    taken = ", ".join(f"{what} {name!r}" for what, name in log.columns.items() if name)
    curve = curves["training"] or curves["validation"]
    if curve is None:
        return f"No loss of {log.name} is finite ({taken})."
    ended = f"The loss went from {curve.first:.4g} to {curve.last:.4g} in {log.steps:,} steps"
    first = next((one for one in found if one.severity != "note"), None)
    said = first.title if first is not None else "Nothing that a log tells is wrong."
    return f"{ended} ({taken}). {said}"
