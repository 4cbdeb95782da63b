"""Why a run converged, crawled, oscillated or diverged: measured, then proved by trying the fix.

::

    record.py       the run: J, events, the path of θ, the history
    linear.py       exact curvature of linear models;  sharpness.py  λmax and noise of any model
    layers.py       units and gradients;  data.py  the events;  curves.py  the history
    rates.py, checks.py, event_checks.py   measurements → findings, each with its bound
    trials.py       each fix, tried: the same descent with it and without
    explanation.py  verdict, findings in order, checks; explanation.json
    forecast.py     the same curvature before the first step: rates, steps, batch size, time
    setting.py      one line on the present η of a small problem in memory
    logs/           what losses alone tell: CSV, trainer_state.json, event files
    loop/           a loop of PyTorch of anyone's own
"""

import sys
from types import ModuleType
from typing import Any

from steepest.explain.explanation import (
    FORMAT,
    Explanation,
    explain_run,
    refuse_existing,
    write_mended,
)
from steepest.explain.findings import Check, Finding, Trial
from steepest.explain.forecast import Forecast, forecast
from steepest.explain.setting import Setting, explain_setting

__all__ = [
    "FORMAT",
    "Check",
    "Explanation",
    "Finding",
    "Forecast",
    "Setting",
    "Trial",
    "explain_run",
    "explain_setting",
    "forecast",
    "refuse_existing",
    "write_mended",
]


class _Explain(ModuleType):
    """The room, which is a function too: ``steepest.explain(module, loss, loader, optimizer)``."""

    def __call__(self, *given: Any, **options: Any) -> Explanation:
        from steepest.events.extra import load

        load("torch", "torch", "Explaining a loop of PyTorch")
        from steepest.explain.loop import explain_loop

        return explain_loop(*given, **options)


sys.modules[__name__].__class__ = _Explain
