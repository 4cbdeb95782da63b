"""Threshold rules of other tools, restated on what a run's history and layers say.

Restated from the papers, with their published thresholds; not their code:

- AutoTrainer (Zhang et al., ICSE 2021): vanishing gradient, first over last layer < 1e-3;
  exploding, > 70 or not finite; dying ReLU, ≥ 70 % of a layer's units; oscillation, the metric
  moves by more than 0.03 and back in ≥ 20 % of the rounds; slow convergence, it gains less than
  0.01 and is below 0.6. Its metric is the accuracy; here the validation AUC.
- DeepDiagnosis (Wardat et al., ICSE 2022): dead, ≥ 70 % of outputs ≤ 0; saturated, half of the
  values; vanishing, mean |g| < 1e-7; update ratio a hundred times off 1e-3; loss not finite, or not
  falling.
- UMLAUT (Schoop et al., CHI 2021): η > 0.01 or < 1e-7; inputs outside [−1, 1]; loss not finite;
  the validation loss above its lowest (overfitting).

Tools that pip installs read the exported history: `explain_pip_peers` runs them in an environment
of their own, and adds their answers to the rows under "peers".
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["RULES", "alarms"]

Row = dict[str, Any]


def _finite(row: Row, name: str) -> np.ndarray:
    values = row["history"].get(name, [])
    return np.array([v for v in values if v is not None and math.isfinite(v)], dtype=float)


def _bad(row: Row) -> bool:
    losses = [v for v in row["history"].get("loss", []) if v is not None]
    return any(not math.isfinite(v) for v in losses)


def _gradients(row: Row) -> list[float]:
    return (row["layers"] or {}).get("gradients", [])


def _dead(row: Row) -> float:
    return max((s["dead"] for s in (row["layers"] or {}).get("end", [])), default=0.0)


def _auto_trainer(row: Row) -> bool:
    gradients, metric = _gradients(row), _finite(row, "validation_auc")
    ratio = gradients[0] / gradients[-1] if len(gradients) > 1 and gradients[-1] else 1.0
    moves = np.diff(metric)
    turned = moves[1:] * moves[:-1] < 0 if len(moves) > 1 else np.zeros(0, bool)
    swings = turned & (np.abs(moves[1:]) > 0.03) if len(moves) > 1 else turned
    return bool(
        _bad(row)
        or not 1e-3 <= ratio <= 70
        or _dead(row) >= 0.7
        or (len(swings) > 0 and swings.mean() >= 0.2)
        or (len(metric) > 1 and np.ptp(metric) < 0.01 and metric[-1] < 0.6)
    )


def _deep_diagnosis(row: Row) -> bool:
    ratios, losses = _finite(row, "update_ratio"), _finite(row, "training_loss")
    saturated = max((s["saturated"] for s in (row["layers"] or {}).get("start", [])
                     if s["activation"] in ("tanh", "sigmoid")), default=0.0)  # fmt: skip
    return bool(
        _bad(row)
        or _dead(row) >= 0.7
        or saturated > 0.5
        or any(g < 1e-7 for g in _gradients(row))
        or (len(ratios) > 0 and not 1e-5 <= np.median(ratios) <= 1e-1)
        or (len(losses) > 1 and losses[-1] >= losses[0])
    )


def _umlaut(row: Row) -> bool:
    largest, rate = row["inputs"]
    validation = _finite(row, "validation_loss")
    if rate == "auto":
        rate = max(_finite(row, "learning_rate"), default=0.0)
    return bool(
        _bad(row)
        or not 1e-7 <= rate <= 0.01
        or largest > 1
        or (len(validation) > 1 and validation[-1] > validation.min())
    )


RULES: dict[str, Any] = {
    "AutoTrainer's rules": _auto_trainer,
    "DeepDiagnosis' rules": _deep_diagnosis,
    "UMLAUT's rules": _umlaut,
    "gradsnitch": None,
    "trainspotter": None,
    "losslint": None,
    "runmedic": None,
    "trainproof": None,
    "torchmortem": None,
}


def alarms(name: str, row: Row) -> bool | None:
    """Whether a tool says that something is wrong; None where it was not asked."""
    rule = RULES[name]
    return rule(row) if rule is not None else row.get("peers", {}).get(name)
