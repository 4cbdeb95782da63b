"""What a sweep has found: `Sweep`."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from steepest.errors import InputError
from steepest.run import Run
from steepest.sweeps.ranges import Range
from steepest.sweeps.study import Storage, load_optuna, quiet
from steepest.sweeps.trial import LOSS

if TYPE_CHECKING:
    import optuna

FEWEST = 10
"""Complete trials from which on the importance of keys is told."""
SHOWN = 10
"""Trials in a table."""


@dataclass(frozen=True)
class Trial:
    """One trial.

    Attributes
    ----------
    number
        From 0.
    status
        "complete", "pruned", "diverged", "running", "waiting" or "failed".
    loss
        The validation loss: of a complete trial that of its model, else the last one.
    values
        The keys that vary, each as TOML.
    path
        The folder of its run; None if it has none yet.
    seconds
        How long it took, in its last process.
    why
        Of one that diverged or failed.
    """

    number: int
    status: str
    loss: float | None
    values: dict[str, str]
    path: Path | None
    seconds: float | None
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "path": None if self.path is None else str(self.path)}


@dataclass(frozen=True, repr=False)
class Sweep:
    """The trials of a sweep, as they are in its study now.

    Attributes
    ----------
    study
        Optuna's: ``optuna.visualization`` and others take it.
    storage, ranges
        Where it lies; what varies.
    """

    study: optuna.Study
    storage: Storage
    ranges: tuple[Range, ...]

    @cached_property
    def trials(self) -> list[Trial]:
        """The trials, the lowest loss first: complete ones, then the others by number."""
        retried = {n for trial in self.study.trials
                   for n in trial.system_attrs.get("retry_history", ())}  # fmt: skip
        found = [self._trial(t) for t in self.study.trials if t.number not in retried]

        def place(trial: Trial) -> tuple[bool, float, int]:
            done = trial.status == "complete"
            return not done, (trial.loss if done and trial.loss is not None else 0.0), trial.number

        return sorted(found, key=place)

    def _trial(self, frozen: optuna.trial.FrozenTrial) -> Trial:
        attrs = frozen.user_attrs
        why = attrs.get("diverged") or attrs.get("failed")
        status = {"fail": "failed"}.get(frozen.state.name.lower(), frozen.state.name.lower())
        if "diverged" in attrs:
            status = "diverged"
        elif status == "failed" and why is None:
            status = "interrupted"
        loss = frozen.value
        if loss is None and frozen.intermediate_values:
            loss = frozen.intermediate_values[max(frozen.intermediate_values)]
        path = attrs.get("folder")
        kinds = {each.key: each.kind for each in self.ranges}
        values = {
            key: str(value) if kinds.get(key) == "choice" else repr(value)
            for key, value in frozen.params.items()
        }
        return Trial(
            number=frozen.number,
            status=status,
            loss=loss if loss is not None and math.isfinite(loss) else None,
            values={each.key: values[each.key] for each in self.ranges if each.key in values},
            path=None if path is None else self.storage.folder / path,
            seconds=None if frozen.duration is None else frozen.duration.total_seconds(),
            why=why,
        )

    @property
    def complete(self) -> list[Trial]:
        """The trials that were trained to their end, the lowest loss first."""
        return [t for t in self.trials if t.status == "complete" and t.loss is not None]

    @property
    def best(self) -> Run:
        """The run with the lowest validation loss.

        Raises
        ------
        InputError
            No trial is complete.
        """
        if not self.complete:
            raise InputError(
                "The sweep has no complete trial yet.",
                found=", ".join(f"{t.number} {t.status}" for t in self.trials[:5]) or "no trial",
                do="go on with it, with more --trials",
            )
        path = self.complete[0].path
        assert path is not None  # of a complete one
        return Run(path)

    @property
    def table(self) -> pl.DataFrame:
        """The trials as a data frame, a row each."""
        return pl.DataFrame(
            [
                {"trial": t.number, "status": t.status, LOSS: t.loss, **t.values,
                 "seconds": t.seconds, "path": None if t.path is None else str(t.path)}
                for t in self.trials
            ],
            infer_schema_length=None,
        )  # fmt: skip

    @cached_property
    def importance(self) -> dict[str, float] | None:
        """The share of the spread of losses that each key explains; None of too few trials.

        Functional ANOVA of a random forest that is fitted to the complete trials: shares of the
        forest's variance over the ranges, which add up to 1 without what keys do together.

        References
        ----------
        F. Hutter, H. Hoos, K. Leyton-Brown, ICML 2014.
        """
        if len(self.complete) < FEWEST or len(self.ranges) < 2:
            return None
        importance = load_optuna().importance
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's about the forest
            found = importance.get_param_importances(
                self.study, evaluator=importance.FanovaImportanceEvaluator(seed=0)
            )
        return {key: float(share) for key, share in found.items()}

    def rows(self, most: int | None = SHOWN) -> list[list[str]]:
        """Return the table as text: a header, and the trials, the best first."""
        rows = [["trial", "status", "validation loss", *(each.key for each in self.ranges)]]
        for trial in self.trials[:most]:
            loss = "" if trial.loss is None else f"{trial.loss:.5g}"
            values = (_short(trial.values.get(each.key, "")) for each in self.ranges)
            rows.append([str(trial.number), trial.status, loss, *values])
        return rows

    def sentences(self) -> list[str]:
        """Return what there is to say below the table."""
        counts: dict[str, int] = {}
        for trial in self.trials:
            counts[trial.status] = counts.get(trial.status, 0) + 1
        told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        said = [f"{len(self.trials)} trials: {told}."] if counts else ["There is no trial yet."]
        if self.importance is not None:
            shares = ", ".join(f"{key} {share:.0%}" for key, share in self.importance.items())
            said.append(
                f"Importance, as shares of the variance of the loss (fANOVA, "
                f"{len(self.complete)} complete trials): {shares}."
            )
        if self.complete:
            said.append(f"Best: {self.complete[0].path}, chosen by its validation loss.")
        return said

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format": "steepest-sweep",
            "version": 1,
            "study": self.study.study_name,
            "storage": self.storage.shown,
            "folder": str(self.storage.folder),
            "chosen_by": LOSS,
            "ranges": {each.key: each.text for each in self.ranges},
            "trials": [trial.to_json() for trial in self.trials],
            "best": self.complete[0].number if self.complete else None,
            "importance": self.importance,
        }

    def __repr__(self) -> str:
        return f"Sweep({str(self.storage.folder)!r}, {len(self.trials)} trials)"

    def _repr_html_(self) -> str:
        from steepest.terminal import html_table

        header, *rows = self.rows()
        return html_table(" ".join(self.sentences()), header, rows)


def _short(value: str) -> str:
    """Return a number with five digits, and other values as they are."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if value.lstrip("-").isdigit() else f"{number:.5g}"
