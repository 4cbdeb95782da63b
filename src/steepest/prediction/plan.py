"""The request: columns, model and events, checked before any event is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from steepest._version import __version__
from steepest.encoding import CategoryColumn
from steepest.errors import EventsError, InputError
from steepest.events import EventSource, FeatureReader
from steepest.events.reading.features import condition
from steepest.events.words import listed, quoted
from steepest.folder import SavedModel
from steepest.prediction.columns import copied_columns
from steepest.prediction.scorer import Scorer
from steepest.prediction.scores import ScoreColumns
from steepest.prediction.size import bytes_of_a_row, part_rows
from steepest.prediction.target import Target
from steepest.recipe import Derived
from steepest.training import TrainingCallback

__all__ = ["manifest_of", "say", "scorer_of"]


def scorer_of(
    saved: SavedModel,
    source: EventSource,
    target: Target,
    columns: str | Sequence[str],
    prefix: str,
    select: str | None,
    missing: str,
) -> Scorer:
    """Return what scores the events, all of it checked against their columns."""
    if missing not in ("error", "nan"):
        raise InputError(
            "The option 'missing' is not known.", expected="'error' or 'nan'", found=repr(missing)
        )
    model = saved.model
    if isinstance(model.features, Mapping):
        raise EventsError(
            f"The model {saved.path} reads groups of inputs, which cannot be read from files yet.",
            expected="a model of one list of features",
            found=f"the groups {', '.join(model.features)}",
            do="read the groups in Python, and give them to the model: load_model(…).model.predict",
        )
    tables = [f if isinstance(f, str) else Derived.model_validate(f) for f in model.features]
    encoded = model.encoding.columns if model.encoding is not None else ()
    texts = [column.name for column in encoded if isinstance(column, CategoryColumn)]
    scores = ScoreColumns(model, prefix)
    copied = copied_columns(source, columns, target.writer)
    scores.refuse_taken(field.name for field in copied.written)
    scorer = Scorer(
        source=source,
        scores=scores,
        copied=copied,
        features=FeatureReader(tables, texts, source),
        select=condition(select, source, "The selection") if select is not None else None,
        missing=missing,
        nulls=target.writer.NULLS,
    )
    source.require(scorer.columns)
    return scorer


def manifest_of(
    saved: SavedModel, source: EventSource, target: Target, scorer: Scorer
) -> dict[str, Any]:
    """Return what is being made: for the parts, and for the file's metadata."""
    width = bytes_of_a_row(source, scorer.columns) + 8 * len(scorer.scores.fields)
    fingerprint = source.fingerprint()
    model = scorer.model
    return {
        "written": target.writer.NAME,
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
        "part_rows": part_rows(width),
    }


def say(callback: TrainingCallback, saved: SavedModel, scorer: Scorer) -> None:
    """Say what is worth knowing before the work begins."""
    if saved.diverged:
        callback.say(
            f"The run {saved.path.parent} has diverged: its model is the last good one before, and "
            "has not converged."
        )
    left_out = [f"{name} ({why})" for name, why in scorer.copied.left_out.items()]
    if left_out:
        callback.say(f"Not copied, since the format cannot hold them: {listed(left_out, 12)}.")
    select = saved.run.recipe.events.select if saved.run is not None else None
    if select is not None and scorer.select is None:
        callback.say(
            f"The model was trained on events with {select}; every event gets a score. "
            f"--select {quoted(select)} leaves the others out."
        )
