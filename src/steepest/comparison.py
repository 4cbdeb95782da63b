"""Two or more runs side by side: what differs in their recipes, and whether results differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest import evaluate
from steepest.errors import InputError
from steepest.evaluate import Merit
from steepest.evaluate.merit import with_uncertainty
from steepest.events import evaluated_part, use_revisions
from steepest.folder import RunFolder
from steepest.storage import in_memory
from steepest.training import TrainingCallback
from steepest.training.inputs import encoded, read
from steepest.training.scored import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = 40
"""Groups of events that the jackknife leaves out in turn; its error is then known to 11 %."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """What differs between runs; differences are those to the first run.

    Attributes
    ----------
    names
        Of the runs.
    settings
        By key of the recipe, its value in each run, where not all have the same.
    merits
        By name, the figure of merit of each run, on its own test part.
    differences
        By name, for each run but the first: its difference to the first, the standard deviation of
        that, and their ratio in standard deviations.
    same_events
        Whether all runs are tested on the same events; then differences are those of models on
        these events, and known better than either number.
    """

    names: tuple[str, ...]
    settings: dict[str, tuple[Any, ...]]
    merits: dict[str, tuple[Merit, ...]]
    differences: dict[str, tuple[tuple[float, float, float], ...]]
    same_events: bool
    scored: tuple[Scored, ...]
    folders: tuple[RunFolder, ...]

    @property
    def tested_on(self) -> str:
        """Whether the runs are tested on the same events, in words."""
        return "the same events" if self.same_events else "different events"

    def rows(self) -> list[list[str]]:
        """Return the table as text: a header, settings that differ, and figures of merit."""
        rows = [["", *self.names]]
        rows += [[key, *map(_short, values)] for key, values in self.settings.items()]
        for merits in self.merits.values():
            rows.append([merits[0].title, *(merit.format() for merit in merits)])
        return rows

    def difference_rows(self) -> list[list[str]]:
        """Return the table of differences as text: a header, and for each run value and its σ."""
        rows = [["", *(f"{name} − {self.names[0]}" for name in self.names[1:])]]
        for name, merits in self.merits.items():
            said = [
                f"{with_uncertainty(value, error)}  {abs(ratio):4.1f} σ" if error > 0 else ""
                for value, error, ratio in self.differences[name]
            ]
            rows.append([merits[0].title, *said])
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return plain values: names, settings, merits and differences."""
        from steepest.evaluate.figures import as_numbers

        fields = ("difference", "uncertainty", "standard_deviations")
        return {
            "format": "steepest-comparison",
            "version": 1,
            "runs": [str(folder.path) for folder in self.folders],
            "same_events": self.same_events,
            "settings": {key: list(values) for key, values in self.settings.items()},
            "merits": {
                name: {
                    "values": [merit.to_json() for merit in merits],
                    "differences": as_numbers(
                        [dict(zip(fields, d, strict=True)) for d in self.differences[name]]
                    ),
                }
                for name, merits in self.merits.items()
            },
        }

    def figure(self) -> Figure:
        """Return the figure of the ROC curves (of two classes) and the losses of all runs."""
        from matplotlib.ticker import MaxNLocator

        from steepest.evaluate import figures
        from steepest.evaluate.figures.style import COLOURS, LINE_STYLES, drawing

        binary = self.scored[0].model.task == "binary"
        with drawing(14.0 if binary else 7.0, 6.0) as figure:
            panels = np.ravel(figure.subplots(1, 1 + binary))
            if binary:
                curves = [
                    figures.rejection_curve(scored.roc, name, merit)
                    for scored, name, merit in zip(
                        self.scored, self.names, self.merits["auc"], strict=True
                    )
                ]
                figures.drawn_into(partial(figures.roc_figure, curves), panels[0])
            axes = panels[-1]
            for index, (name, folder) in enumerate(zip(self.names, self.folders, strict=True)):
                history, column = folder.history, "validation_loss"
                if column not in history.schema.names:
                    column = "training_loss"
                epoch, loss = (history[c].to_numpy().astype(float) for c in ("epoch", column))
                known = np.isfinite(loss)
                axes.plot(epoch[known], loss[known], label=f"{name}, {column.split('_')[0]}",
                          color=COLOURS[index % 6], linestyle=LINE_STYLES[index % 6])  # fmt: skip
            axes.set(xlabel="Epoch", ylabel="Loss")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()
        return figure

    def plot(self) -> Any:
        """Draw `figure` with Pyplot, which notebooks show; return its axes."""
        from steepest.evaluate.figures import drawn_into

        return drawn_into(self.figure)

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.names)})"

    def _repr_html_(self) -> str:
        from steepest.terminal import html_table

        (header, *rows), (names, *differences) = self.rows(), self.difference_rows()
        said = f"tested on {self.tested_on}"
        values = html_table(f"{', '.join(self.names)}, {said}", header, rows)
        return values + html_table("Differences", names, differences)


LONGEST = 24
"""Characters of a setting in the table; what is longer ends with "…", and is whole in `to_json`."""


def _short(value: Any) -> str:
    """Return a setting as text.

    Examples
    --------
    >>> _short(None), _short(0.1), _short("count(Jet_pt > 20) >= 1 AND MET_pt > 30")
    ('left out', '0.1', 'count(Jet_pt > 20) >= 1…')
    """
    text = "left out" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def compare_runs(
    paths: Sequence[str | Path], callback: TrainingCallback | None = None
) -> Comparison:
    """Compare the results of runs, on the same events where all have the same test part.

    Raises
    ------
    InputError
        Fewer than two runs, or runs of different tasks or classes.
    """
    callback = callback or TrainingCallback()
    if len(paths) < 2:
        raise InputError(
            "A comparison needs two runs.", expected="two or more", found=str(len(paths))
        )
    folders = tuple(RunFolder(path) for path in paths)
    scored = tuple(_scored(folder, callback) for folder in folders)
    first = scored[0].model
    for folder, other in zip(folders, scored, strict=True):
        if (other.model.task, other.model.classes) != (first.task, first.classes):
            raise InputError(
                f"The runs {folders[0].path} and {folder.path} cannot be compared.",
                expected=f"the same task: {first.task} {', '.join(first.classes)}",
                found=f"{other.model.task} {', '.join(other.model.classes)}",
                do="choose runs with the same label",
            )
    callback.stage("Comparing")
    efficiencies = folders[0].recipe.evaluate.signal_efficiencies
    columns = [tuple(None if c is None else in_memory(c) for c in s.columns) for s in scored]
    measure = partial(_merits, first.task, first.classes, efficiencies)
    merits = [measure(*each) for each in columns]
    same = all(_same(columns[0], other) for other in columns[1:])
    names = [folder.path.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder.path) for folder in folders]
    differences = _paired(measure, columns, merits) if same else _independent(merits)
    return Comparison(
        tuple(names),
        differing_settings(folders),
        {name: tuple(each[name] for each in merits) for name in merits[0]},
        differences,
        same,
        scored,
        folders,
    )


def _scored(folder: RunFolder, callback: TrainingCallback) -> Scored:
    """Return a run's evaluated part, with the predictions of its model."""
    model = folder.model
    use_revisions((folder.environment or {}).get("events"))
    parts = encoded(read(folder.recipe, callback, folder.path), model.encoding).parts()
    return Scored(model, parts[evaluated_part(parts)])


def _merits(
    task: str, classes: Sequence[str], efficiencies: Any, labels: Any, predicted: Any, weights: Any
) -> dict[str, Merit]:
    match task:
        case "binary":
            return evaluate.binary_merits(labels, predicted, weights, efficiencies)
        case "multiclass":
            return evaluate.multiclass_merits(labels, predicted, weights, classes)
        case _:
            return evaluate.regression_merits(labels, predicted, weights)


def _same(one: tuple, other: tuple) -> bool:
    """Whether labels and weights are the same; so are then the events."""
    return np.array_equal(one[0], other[0]) and (
        one[2] is other[2] is None
        or (one[2] is not None and other[2] is not None and np.array_equal(one[2], other[2]))
    )


def _paired(measure: Any, columns: list[tuple], merits: list[dict[str, Merit]]) -> dict[str, tuple]:
    """Differences on the same events, with the jackknife's error: groups are left out in turn."""
    group = np.arange(len(columns[0][0])) % GROUPS
    without = [
        [measure(*(None if c is None else c[group != left] for c in each)) for each in columns]
        for left in range(GROUPS)
    ]
    found = {}
    for name in merits[0]:
        values = np.array([[each[name].value for each in row] for row in without])
        with np.errstate(invalid="ignore"):  # a rejection may be infinite
            away = values[:, 1:] - values[:, :1]
            errors = np.sqrt((GROUPS - 1) * away.var(axis=0))
        found[name] = _differences([each[name] for each in merits], errors.tolist())
    return found


def _independent(merits: list[dict[str, Merit]]) -> dict[str, tuple]:
    """Differences on different events, whose uncertainties add up."""
    found = {}
    for name, first in merits[0].items():
        errors = [float(np.hypot(first.uncertainty, m[name].uncertainty)) for m in merits[1:]]
        found[name] = _differences([each[name] for each in merits], errors)
    return found


def _differences(merits: list[Merit], errors: list[float]) -> tuple:
    return tuple(
        (merit.value - merits[0].value, error, (merit.value - merits[0].value) / (error or np.nan))
        for merit, error in zip(merits[1:], errors, strict=True)
    )


def differing_settings(folders: Sequence[RunFolder]) -> dict[str, tuple[Any, ...]]:
    """Keys of the recipes that differ."""
    flat = [dict(_flat(folder.recipe.to_dict())) for folder in folders]
    keys = dict.fromkeys(key for each in flat for key in each)
    values = {key: tuple(each.get(key) for each in flat) for key in keys}
    return {key: v for key, v in values.items() if any(other != v[0] for other in v)}


def _flat(table: dict[str, Any], prefix: str = "") -> Any:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
