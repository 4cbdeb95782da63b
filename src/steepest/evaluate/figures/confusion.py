"""The confusion matrix as a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from steepest.evaluate.classification import ConfusionMatrix
from steepest.evaluate.figures.style import drawing, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def confusion_figure(matrix: ConfusionMatrix) -> Figure:
    """Return the figure of row-normalised fractions, each with its interval and raw count.

    The numbers are those of `confusion_matrix`.
    """
    n_classes = len(matrix.class_names)
    side = max(4.6, 1.3 * n_classes)
    with drawing(side + 1.9, side + 0.6) as figure:
        axes = figure.subplots()
        image = axes.imshow(np.nan_to_num(matrix.fractions), cmap="Blues", vmin=0, vmax=1)
        for row in range(n_classes):
            for column in range(n_classes):
                dark = matrix.fractions[row, column] > 0.55
                axes.text(column, row, _cell(matrix, row, column), ha="center", va="center",
                          color="white" if dark else "black", fontsize=11)  # fmt: skip
        names = [short(name, 16) for name in matrix.class_names]
        axes.set_xticks(range(n_classes), names)
        axes.set_yticks(range(n_classes), names)
        if max(map(len, names)) > 12:
            axes.tick_params(axis="x", labelrotation=30)
        axes.tick_params(which="both", length=0)
        axes.minorticks_off()
        axes.set_xlabel("Predicted class")
        axes.set_ylabel("True class")
        bar = figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03)
        bar.set_label("Fraction of the true class")
    return figure


def _cell(matrix: ConfusionMatrix, row: int, column: int) -> str:
    value, count = matrix.fractions[row, column], matrix.counts[row, column]
    if not np.isfinite(value):
        return "no events"
    up, down = matrix.high[row, column] - value, value - matrix.low[row, column]
    decimals = 3 if max(up, down) >= 0.0015 else 4
    up, down = max(up, 0.0), max(down, 0.0)
    error = rf"$^{{+{up:.{decimals}f}}}_{{-{down:.{decimals}f}}}$"
    if f"{up:.{decimals}f}" == f"{down:.{decimals}f}":
        error = f" ± {up:.{decimals}f}"
    return f"{value:.{decimals}f}{error}\n({count:,} events)".replace(",", " ")
