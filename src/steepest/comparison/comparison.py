"""`compare_runs`, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steepest.comparison.differences import (
    Difference,
    independent_differences,
    merits_of,
    paired_differences,
)
from steepest.comparison.tested import are_same, tested_events
from steepest.errors import InputError
from steepest.evaluate import Merit
from steepest.evaluate.merit import with_uncertainty
from steepest.folder import RunFolder
from steepest.training import TrainingCallback
from steepest.training.scored import Scored

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST = 24
"""Characters of a setting in the table; what is longer ends with "…", and is whole in `to_json`."""


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
        By name, for each run but the first, see `Difference`.
    same_events
        Whether all runs are tested on the same events; then differences are those of models on
        these events, and known better than either number.
    """

    names: tuple[str, ...]
    settings: dict[str, tuple[Any, ...]]
    merits: dict[str, tuple[Merit, ...]]
    differences: dict[str, tuple[Difference, ...]]
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
        rows += [[key, *map(_setting_text, values)] for key, values in self.settings.items()]
        for merits in self.merits.values():
            rows.append([merits[0].title, *(merit.format() for merit in merits)])
        return rows

    def difference_rows(self) -> list[list[str]]:
        """Return the table of differences as text: a header, and for each run value and its σ."""
        rows = [["", *(f"{name} − {self.names[0]}" for name in self.names[1:])]]
        for name, merits in self.merits.items():
            rows.append([merits[0].title, *map(_said, self.differences[name])])
        return rows

    def to_json(self) -> dict[str, Any]:
        """Return plain values: names, settings, merits and differences."""
        return {
            "format": "steepest-comparison",
            "version": 1,
            "runs": [str(folder.path) for folder in self.folders],
            "same_events": self.same_events,
            "settings": {key: list(values) for key, values in self.settings.items()},
            "merits": {
                name: {
                    "values": [merit.to_json() for merit in merits],
                    "differences": [each.to_json() for each in self.differences[name]],
                }
                for name, merits in self.merits.items()
            },
        }

    def figure_numbers(self) -> dict[str, Any]:
        """Return what `figure` draws, as plain values."""
        from steepest.comparison.figure import numbers_of
        from steepest.evaluate.figures import as_numbers

        return as_numbers(numbers_of(self))

    def figure(self) -> Figure:
        """Return the figure of all runs: their results, and their losses.

        The results are ROC curves of two classes; the areas under them of more; histograms of the
        residuals of a regression.
        """
        from steepest.comparison.figure import drawn

        return drawn(self)

    def plot(self) -> Any:
        """Draw `figure` with Pyplot, which notebooks show; return its axes."""
        from steepest.evaluate.figures import drawn_into

        return drawn_into(self.figure)

    def __repr__(self) -> str:
        return f"Comparison({', '.join(self.names)})"

    def __str__(self) -> str:
        """The tables that the command prints."""
        from steepest.terminal import text_table

        (header, *rows), (names, *differences) = self.rows(), self.difference_rows()
        values = text_table("Runs", header, rows)
        others = text_table("Differences", names, differences)
        return f"{values}\n\n{others}\n\nAll runs are tested on {self.tested_on}."

    def _repr_html_(self) -> str:
        from steepest.terminal import html_table

        (header, *rows), (names, *differences) = self.rows(), self.difference_rows()
        said = f"tested on {self.tested_on}"
        values = html_table(f"{', '.join(self.names)}, {said}", header, rows)
        return values + html_table("Differences", names, differences)


def _said(difference: Difference) -> str:
    """The difference with its significance; 0 where no event makes one, else empty if unknown."""
    if difference.uncertainty > 0:
        value = with_uncertainty(difference.value, difference.uncertainty)
        return f"{value}  {abs(difference.standard_deviations):4.1f} σ"
    return "0" if difference.value == 0 else ""


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
    tested = [tested_events(folder, callback) for folder in folders]
    scored = tuple(each.scored for each in tested)
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
    recipe = folders[0].recipe.evaluate
    merits = [merits_of(each, recipe) for each in scored]
    known = [name for name in merits[0] if all(name in each for each in merits)]
    merits = [{name: each[name] for name in known} for each in merits]
    same = are_same(tested)
    names = [folder.path.name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder.path) for folder in folders]
    return Comparison(
        tuple(names),
        differing_settings(folders),
        {name: tuple(each[name] for each in merits) for name in known},
        paired_differences(scored, merits, recipe) if same else independent_differences(merits),
        same,
        scored,
        folders,
    )


def differing_settings(folders: Sequence[RunFolder]) -> dict[str, tuple[Any, ...]]:
    """Keys of the recipes that differ, with the value of each run."""
    flat = [folder.recipe.to_flat_dict() for folder in folders]
    keys = dict.fromkeys(key for each in flat for key in each)
    values = {key: tuple(each.get(key) for each in flat) for key in keys}
    return {key: v for key, v in values.items() if any(other != v[0] for other in v)}


def _setting_text(value: Any) -> str:
    """Return a setting as text.

    Examples
    --------
    >>> _setting_text(None), _setting_text(0.1)
    ('left out', '0.1')
    >>> _setting_text("count(Jet_pt > 20) >= 1 AND MET_pt > 30")
    'count(Jet_pt > 20) >= 1…'
    """
    text = "left out" if value is None else str(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
