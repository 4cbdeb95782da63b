"""`predict_events`: check the request, score the events part by part, write the file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest._version import __version__
from steepest.encoding import CategoryColumn
from steepest.errors import EventsError, InputError
from steepest.events import EventSource, FeatureReader, open_events, use_revisions
from steepest.events.reading.features import condition
from steepest.events.words import listed, quoted
from steepest.folder import SavedModel, load_model
from steepest.groups import FEATURES
from steepest.prediction.columns import ALL, ScoreColumns, copied_columns
from steepest.prediction.folds import FoldModels, load_folds
from steepest.prediction.parts import Parts
from steepest.prediction.scorer import Scorer
from steepest.prediction.target import Target, target_of
from steepest.prediction.work import assemble, begin, score
from steepest.recipe import Derived, ParticlesRecipe
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible

__all__ = ["Predictions", "predict_events"]


@dataclass(frozen=True)
class Predictions:
    """What was written.

    Attributes
    ----------
    path : Path
        The file.
    rows, events : int
        Rows in it; events that were read. They differ by what `select` leaves out.
    unscored : int
        Rows whose score is NaN, with ``missing="nan"``.
    resumed : int
        Events that an earlier, interrupted run had done.
    seconds : float
        How long it took this time.
    scores, columns : list[str]
        The columns of scores; those that stand beside them.
    left_out : dict[str, str]
        Columns that the format cannot hold, each with its type.
    """

    path: Path
    rows: int
    events: int
    unscored: int
    resumed: int
    seconds: float
    scores: list[str]
    columns: list[str]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Events a second, of those that were done this time."""
        return (self.events - self.resumed) / self.seconds

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**given, "path": str(self.path), "events_per_second": self.rate}


def predict_events(
    model: str | Path,
    events: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    columns: str | Sequence[str] = ALL,
    prefix: str = "",
    select: str | None = None,
    missing: str = "error",
    rntuple: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    callback: TrainingCallback | None = None,
) -> Predictions:
    """Write the scores of all events beside the events, in their order.

    Events are read, scored and written in blocks. An event's score has the bits of
    ``Run.model.predict``, whatever the blocks and whichever events are scored with it.

    Parameters
    ----------
    model
        A run's folder, or a folder with a model alone, such as ``RUN/model``. Of a run with folds,
        each event is scored by the model that has not seen it: by its event number, or the name of
        its file and its row.
    events
        A path, a glob, or several, as `steepest.events.open_events` takes them; they need neither
        label nor weight.
    out
        The file to write, ``.parquet``, ``.root``, ``.h5`` or ``.csv``; ``scores.root:tree`` and
        ``scores.h5:/group`` name what is inside, which is else ``events``.
    columns
        The columns that are copied: "all" that the format can hold, names, or "none"; then the
        file's number and the row in it stand beside the scores.
    prefix
        Put before the names ``score``, ``score_CLASS``, ``predicted`` or ``prediction``.
    select
        A condition that scored events meet; the others are left out. None scores each row: the
        recipe's own selection is not applied.
    missing
        "error": an event that the model cannot score ends the work; "nan": its score is NaN.
    rntuple
        Write ROOT files as an RNTuple instead of a TTree.
    resume
        Go on with what an interrupted run has left, if there is anything.
    overwrite
        Replace the file if there is one.
    callback
        Progress; the default shows nothing.

    Raises
    ------
    RunFolderError
        There is no model, or it is damaged; the disk is full, and what was done is kept.
    EventsError, RecipeError
        A column is missing, an event cannot be scored, or a file is damaged.
    InputError
        The file exists, or cannot be written; what is to be resumed was begun with other input.
    Interrupted
        After Ctrl-C; what was done is kept.
    """
    callback = callback or TrainingCallback()
    start = time.perf_counter()
    target = target_of(out, as_rntuple=rntuple)
    target.writer.require()
    saved, folds = load_folds(model) or (load_model(model), None)
    parts = Parts(target.parts)
    if resume and not overwrite:
        use_revisions(parts.events())
    source = open_events(events)
    target.refuse_unwritable(source.files)
    scorer = _scorer_of(saved, source, target, columns, prefix, select, missing, folds)
    manifest = _manifest_of(saved, source, target, scorer)
    _say(callback, saved, scorer)
    # Of a process that ended just as the file had got its name, the file is made once more.
    if not overwrite and not (resume and parts.renamed(target.path)):
        target.refuse_existing()
    with interruptible(callback), parts.locked():
        done = begin(parts, manifest, scorer, resume, overwrite, callback)
        score(parts, manifest["part_rows"], scorer, callback)
        rows, unscored = assemble(parts, target, manifest, scorer, callback)
        parts.discard()
    return Predictions(
        path=target.path,
        rows=rows,
        events=source.rows,
        unscored=unscored,
        resumed=done,
        seconds=time.perf_counter() - start,
        scores=list(scorer.scores.meanings),
        columns=[field.name for field in scorer.copied.written],
        left_out=scorer.copied.left_out,
    )


def _scorer_of(
    saved: SavedModel,
    source: EventSource,
    target: Target,
    columns: str | Sequence[str],
    prefix: str,
    select: str | None,
    missing: str,
    folds: FoldModels | None,
) -> Scorer:
    """Return what scores the events, all of it checked against their columns."""
    if missing not in ("error", "nan"):
        raise InputError(
            "The option 'missing' is not known.", expected="'error' or 'nan'", found=repr(missing)
        )
    model = saved.model
    if isinstance(model.features, Mapping) and model.particles is None:
        raise EventsError(
            f"The model {saved.path} reads groups of inputs that are not in files.",
            expected="a model of features, or of particles that a recipe names",
            found=f"the groups {', '.join(model.features)}",
            do="read the groups in Python, and give them to the model: load_model(…).model.predict",
        )
    groups = model.features if isinstance(model.features, Mapping) else {}
    given = groups.get(FEATURES, ()) if groups else model.features
    tables = [f if isinstance(f, str) else Derived.model_validate(f) for f in given]
    particles = ParticlesRecipe.model_validate(model.particles) if groups else None
    encoded = model.encoding.columns if model.encoding is not None else ()
    texts = [column.name for column in encoded if isinstance(column, CategoryColumn)]
    scores = ScoreColumns(model, prefix)
    copied = copied_columns(source, columns, target.writer)
    scores.refuse_taken(field.name for field in copied.written)
    scorer = Scorer(
        source=source,
        scores=scores,
        copied=copied,
        features=FeatureReader(tables, texts, source, particles, tuple(groups)),
        select=condition(select, source, "The selection") if select is not None else None,
        missing=missing,
        nulls=target.writer.nulls,
        folds=folds,
    )
    if folds is not None:
        folds.require(source)
    source.require(scorer.columns)
    return scorer


def _manifest_of(
    saved: SavedModel, source: EventSource, target: Target, scorer: Scorer
) -> dict[str, Any]:
    """Return what is being made: for the parts, and for the file's metadata."""
    fingerprint = source.fingerprint()
    model = scorer.model
    return {
        "written": target.writer.name,
        "steepest": __version__,
        "model": {
            "sha256": saved.sha256,
            "task": model.task,
            "label": model.label,
            "classes": list(model.classes),
            "features": list(model.features),
        },
        "scores": scorer.scores.meanings,
        "columns": [field.name for field in scorer.copied.written],
        "left_out": scorer.copied.left_out,
        "select": scorer.select.text if scorer.select is not None else None,
        "missing": scorer.missing,
        "path": fingerprint["path"],
        "events": fingerprint["files"],
        "model_path": str(saved.path.resolve()),
        "part_rows": scorer.part_rows,
    }


def _say(callback: TrainingCallback, saved: SavedModel, scorer: Scorer) -> None:
    """Say what is worth knowing before the work begins."""
    if saved.unchecked:
        callback.say(saved.unchecked)
    if saved.diverged:
        callback.say(
            f"The run {saved.path.parent} has diverged: its model is the last good one before, and "
            "has not converged."
        )
    left_out = [f"{name} ({why})" for name, why in scorer.copied.left_out.items()]
    if left_out:
        callback.say(f"Not copied, since the format cannot hold them: {listed(left_out, 12)}.")
    if saved.select is not None and scorer.select is None:
        callback.say(
            f"The model was trained on events with {saved.select}; every event gets a score. "
            f"--select {quoted(saved.select)} leaves the others out."
        )
