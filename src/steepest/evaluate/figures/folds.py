"""The losses of the models of all folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from steepest.evaluate.arrays import Floats
from steepest.evaluate.figures.beside import legend
from steepest.evaluate.figures.style import COLOURS, LINE_STYLES, drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 2_000
"""Steps drawn of a fold, evenly spaced."""


@dataclass(frozen=True, slots=True)
class FoldCurves:
    """The loss of each fold's model against the step.

    Attributes
    ----------
    part
        "validation", or "training" where there is no validation part.
    steps, losses
        One array for each fold.
    """

    part: str
    steps: tuple[Floats, ...]
    losses: tuple[Floats, ...]


def fold_curves(histories: Sequence[Mapping[str, ArrayLike]]) -> FoldCurves:
    """Return the numbers of `fold_figure` from the history of each fold.

    Examples
    --------
    >>> fold = {"step": [1, 2], "loss": [0.9, 0.6], "validation_loss": [None, 0.7]}
    >>> fold_curves([fold, fold]).losses[0]
    array([0.7])
    """
    validation = [history.get("validation_loss", ()) for history in histories]
    validated = all(np.isfinite(np.asarray(v, dtype=np.float64)).any() for v in validation)
    name = "validation_loss" if validated else "loss"
    steps, losses = [], []
    for history in histories:
        step, loss = (np.asarray(history[key], dtype=np.float64) for key in ("step", name))
        known = np.flatnonzero(np.isfinite(loss))
        known = known[:: -(-len(known) // POINTS) or 1]
        steps.append(step[known])
        losses.append(loss[known])
    return FoldCurves("validation" if validated else "training", tuple(steps), tuple(losses))


def fold_figure(curves: FoldCurves) -> Figure:
    """Return the figure of the loss of each fold against the step."""
    with drawing(7.5, 5.0) as figure:
        axes = figure.subplots()
        for fold, (steps, losses) in enumerate(zip(curves.steps, curves.losses, strict=True)):
            place = fold % len(COLOURS), (fold // len(COLOURS) + fold) % len(LINE_STYLES)
            alone = "o" if len(steps) == 1 else ""  # a line of one point is not seen
            colour, line = COLOURS[place[0]], LINE_STYLES[place[1]]
            axes.plot(steps, losses, color=colour, linestyle=line, marker=alone, linewidth=1.4,
                      label=f"Fold {fold}")  # fmt: skip
        positive = np.concatenate(curves.losses)
        if positive.size and positive.min() > 0 and positive.max() > 30 * positive.min():
            axes.set_yscale("log")
        axes.set_xlim(left=0.0)
        axes.set_xlabel("Step")
        axes.set_ylabel(f"{curves.part.capitalize()} loss")
        legend(axes, ncols=-(-len(curves.steps) // 8), fontsize=11)
    return figure
