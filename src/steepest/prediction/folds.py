"""The models of all folds: each event is scored by the one that has not seen it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from steepest.errors import RunFolderError
from steepest.events import EventSource, assign_folds
from steepest.events.sample.split import event_keys, row_keys
from steepest.events.source import EVENT_ROW
from steepest.folder import RunFolder, SavedModel
from steepest.folder.hub import is_address
from steepest.recipe import SplitRecipe
from steepest.trained import TrainedModel


@dataclass(frozen=True)
class FoldModels:
    """The models of the folds that are trained, and the split that says an event's fold."""

    models: tuple[TrainedModel, ...]
    split: SplitRecipe
    run: Path

    @property
    def columns(self) -> list[str]:
        """The column that the split is by, if there is one."""
        return [] if self.split.by is None else [self.split.by]

    def of_fold(self, fold: int, where: str) -> TrainedModel:
        """Return the model of a fold; RunFolderError if it is not trained."""
        if fold < len(self.models):
            return self.models[fold]
        raise RunFolderError(
            f"The event {where} is of fold {fold}, whose model is not trained.",
            expected=f"the models of {self.split.folds} folds",
            found=f"{len(self.models)}; the others have seen the event, if it is of the training",
            cause=f"`steepest train --finish {self.run}` ended the run before its last fold",
            do=f"steepest train --resume {self.run} trains the rest; for events that no "
            f"training had, one fold can be the model: {self.run / 'folds' / '0'}",
        )

    def require(self, source: EventSource) -> None:
        """Raise EventsError if the events lack the column that the split is by."""
        for name in self.columns:
            if name not in source.schema.names:
                raise source.missing(name, " (events.split.by, which gives the fold of an event)")

    def numbers(self, batch: pa.RecordBatch, file: str, rows: np.ndarray) -> np.ndarray:
        """Return the fold of each event, from its number, or from the file's name and its row."""
        if self.split.by is None:
            if EVENT_ROW in batch.schema.names:  # where an event has several rows
                rows = batch.column(EVENT_ROW).to_numpy()
            return assign_folds(row_keys(Path(file).name, rows), self.split)
        role = f"The split's column {self.split.by!r}"
        return assign_folds(event_keys(batch.column(self.split.by), role, file, rows), self.split)


def load_folds(path: str | Path) -> tuple[SavedModel, FoldModels] | None:
    """Read the models of a run's folds; None for what is no run with folds.

    The first model stands for all, with the checksums of all.

    Raises
    ------
    RunFolderError
        A fold is not trained yet, or its model is damaged.
    """
    path = path if is_address(path) else Path(path)
    if isinstance(path, str) or not (path / "recipe.toml").is_file():
        return None
    run = RunFolder(path)
    split, select = run.recipe.events.split, run.recipe.events.select
    if not split.cross_validated:
        return None
    folds = run.trained_folds
    if run.metrics is None or not folds:
        raise RunFolderError(
            f"The run {path} is not complete.",
            expected=f"the models of {split.folds} folds",
            found=f"{len(folds)} that are trained",
            cause="it was interrupted, or is still training",
            do=f"steepest train --resume {path}",
        )
    saved = [fold.saved_model for fold in folds]
    sums = {
        f"folds/{number}/{name}": checksum
        for number, model in enumerate(saved)
        for name, checksum in model.sha256.items()
    }
    friends = run.recipe.events.friends or ()
    first = SavedModel(path, saved[0].model, sums, select=select, friends=friends)
    return first, FoldModels(tuple(model.model for model in saved), split, path)
