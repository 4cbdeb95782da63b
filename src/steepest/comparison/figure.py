"""The figure of a comparison: the results of all runs in one panel, their losses in another."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.evaluate import figures
from steepest.evaluate.figures.histogram import histogram, histogram_edges
from steepest.evaluate.figures.style import COLOURS, LINE_STYLES, MARKERS, drawing, short
from steepest.storage import in_memory
from steepest.training.evaluation import MINIMUM_BACKGROUND

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from steepest.comparison.comparison import Comparison


def numbers_of(comparison: Comparison) -> dict[str, Any]:
    """Return the numbers of both panels."""
    results = {"binary": _curves, "multiclass": _areas}.get(
        comparison.scored[0].model.task, _residuals
    )
    return {"runs": list(comparison.names), **results(comparison), "losses": _losses(comparison)}


def _curves(comparison: Comparison) -> dict[str, Any]:
    pairs = zip(comparison.scored, comparison.names, comparison.merits["auc"], strict=True)
    draw = partial(figures.rejection_curve, minimum_background=MINIMUM_BACKGROUND)
    return {"roc": [draw(scored.roc, name, auc) for scored, name, auc in pairs]}


def _areas(comparison: Comparison) -> dict[str, Any]:
    classes = comparison.scored[0].model.classes
    return {
        "areas": {
            name: comparison.merits[f"auc_{name}"]
            for name in classes
            if f"auc_{name}" in comparison.merits
        }
    }


def _residuals(comparison: Comparison) -> dict[str, Any]:
    """Histograms of unit area, in the same bins."""
    columns = [scored.columns for scored in comparison.scored]
    residuals = [np.subtract(in_memory(predicted), labels) for labels, predicted, _ in columns]
    edges = histogram_edges(np.concatenate(residuals), 50)
    weights = [np.ones(len(y)) if w is None else w for y, _, w in columns]
    return {
        "residuals": [
            histogram(values, weight, edges, name)
            for values, weight, name in zip(residuals, weights, comparison.names, strict=True)
        ],
        "unit": comparison.scored[0].model.unit,
    }


def _losses(comparison: Comparison) -> list[dict[str, Any]]:
    """The validation losses by epoch, or the training losses of a run without; each fold's own."""
    found = []
    for name, folder in zip(comparison.names, comparison.folders, strict=True):
        folds = folder.trained_folds if folder.recipe.events.split.cross_validated else [folder]
        for fold in folds:
            history, column = fold.history, "validation_loss"
            if column not in history.schema.names:
                column = "training_loss"
            epoch, loss = (history[c].to_numpy().astype(float) for c in ("epoch", column))
            known = np.isfinite(loss)
            of_fold = fold.path.name if len(folds) > 1 else None
            found.append({"run": name, "fold": of_fold, "loss": column,
                          "epoch": epoch[known], "values": loss[known]})  # fmt: skip
    return found


def drawn(comparison: Comparison) -> Figure:
    """Return the figure."""
    from matplotlib.ticker import MaxNLocator

    numbers = numbers_of(comparison)
    with drawing(14.0, 6.0) as figure:
        left, right = figure.subplots(1, 2)
        if "roc" in numbers:
            figures.drawn_into(partial(figures.roc_figure, numbers["roc"]), left)
        elif "areas" in numbers:
            _draw_areas(left, numbers)
        else:
            _draw_residuals(left, numbers)
        _draw_losses(right, numbers)
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _style(index: int) -> dict[str, Any]:
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINE_STYLES[index % 6]}


def _draw_areas(axes: Axes, numbers: dict[str, Any]) -> None:
    """The area of each class, a point with its interval for each run."""
    runs, areas = numbers["runs"], numbers["areas"]
    for index, name in enumerate(runs):
        merits = [of_runs[index] for of_runs in areas.values()]
        y = np.arange(len(merits)) + 0.5 * (index - (len(runs) - 1) / 2) / len(runs)
        value = np.array([merit.value for merit in merits])
        ends = np.array([[m.value - m.low, m.high - m.value] for m in merits]).T
        axes.errorbar(value, y, xerr=np.clip(ends, 0, None), linestyle="none", markersize=6,
                      marker=MARKERS[index % len(MARKERS)], color=COLOURS[index % len(COLOURS)],
                      label=short(name, 40))  # fmt: skip
    axes.set_yticks(range(len(areas)), [short(name, 24) for name in areas])
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylim(len(areas) - 0.4, -0.6 - 0.25 * len(areas) ** 0.5)  # room for the legend
    axes.set_xlabel("AUC of each class against the rest")
    axes.legend(loc="upper left")


def _draw_residuals(axes: Axes, numbers: dict[str, Any]) -> None:
    unit = f" [{numbers['unit']}]" if numbers["unit"] else ""
    for index, content in enumerate(numbers["residuals"]):
        axes.stairs(content.contents, content.edges, linewidth=1.6, label=short(content.label, 40),
                    **_style(index))  # fmt: skip
    highest = max(float(content.contents.max()) for content in numbers["residuals"])
    axes.set_ylim(0, 1.4 * highest)
    axes.axvline(0, ymax=0.7, color="black", linewidth=0.9, linestyle=(0, (1, 2)))
    axes.set(xlabel=f"Predicted − true{unit}", ylabel="Probability density")
    axes.legend(loc="upper right")


def _draw_losses(axes: Axes, numbers: dict[str, Any]) -> None:
    seen: set[str] = set()
    for each in numbers["losses"]:
        name, index = each["run"], numbers["runs"].index(each["run"])
        label = f"{short(name, 40)}, {each['loss'].split('_')[0]}"
        alone = "o" if len(each["epoch"]) == 1 else ""  # a line of one point is not seen
        axes.plot(each["epoch"], each["values"], marker=alone,
                  label=None if name in seen else label, **_style(index))  # fmt: skip
        seen.add(name)
    axes.set(xlabel="Epoch", ylabel="Loss")
    axes.legend()
