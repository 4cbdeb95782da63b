"""`predict_events`: check the request, score the events part by part, write the file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest._version import __version__
from steepest.encoding import CategoryColumn
from steepest.errors import EventsError, InputError, Interrupted
from steepest.events import Block, EventSource, FeatureReader, open_events, use_revisions
from steepest.events.reading.explode import exploded
from steepest.events.reading.features import condition, row_filter_of
from steepest.events.reading.friends import with_friends
from steepest.events.source import without_bad_files
from steepest.events.words import counted, listed, quoted
from steepest.folder import SavedModel, load_model
from steepest.folder.files import explained, sync_folder, write_synced
from steepest.groups import FEATURES
from steepest.prediction.columns import ALL, ScoreColumns, copied_columns
from steepest.prediction.each import STEM, predict_each
from steepest.prediction.folds import FoldModels, load_folds
from steepest.prediction.parts import GO_ON, KEPT, Parts, refuse_other
from steepest.prediction.scorer import Scorer
from steepest.prediction.target import Predictions, Target, target_of
from steepest.recipe import Derived, FriendRecipe, ParticlesRecipe
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible


def predict_events(
    model: str | Path,
    events: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    columns: str | Sequence[str] = ALL,
    prefix: str = "",
    select: str | None = None,
    friends: Sequence[str] | None = None,
    missing: str = "error",
    on_bad_file: str = "stop",
    rntuple: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    callback: TrainingCallback | None = None,
) -> Predictions:
    """Write the scores of all events beside the events, in their order.

    Events are read, scored and written in blocks. An event's score has the bits of
    ``Run.model.predict``, whatever the blocks and whichever events are scored with it; of networks
    of particles up to rounding, see `steepest.trained.TrainedModel.predict`.

    Parameters
    ----------
    model
        A run's folder, a folder with a model alone, such as ``RUN/model``, or a model on the Hub,
        ``hf://ORG/NAME[@REVISION]``. Of a run with folds,
        each event is scored by the model that has not seen it: by its event number, or the name of
        its file and its row.
    events
        A path, a glob, or several, as `steepest.events.open_events` takes them; they need neither
        label nor weight.
    out
        The file to write, ``.parquet``, ``.root``, ``.h5`` or ``.csv``; ``scores.root:tree`` and
        ``scores.h5:/group`` name what is inside, which is else ``events``. With ``{stem}`` in it
        each file of events has a file of its own: friends, row by row.
    columns
        The columns that are copied: "all" that the format can hold, names, or "none"; then the
        file's number and the row in it stand beside the scores.
    prefix
        Put before the names ``score``, ``score_CLASS``, ``predicted`` or ``prediction``.
    select
        A condition that scored events meet; the others are left out. None scores each row: the
        recipe's own selection is not applied.
    friends
        Paths of the friends of these events, in the order of the recipe's; left out, those of the
        recipe; ``[]`` for events that have all columns.
    missing
        "error": an event that the model cannot score ends the work; "nan": its score is NaN.
    on_bad_file
        "stop": a file that cannot be read ends the work; "skip": it is left out as a whole, and
        told. If it turns out to be damaged after some of its events were scored, all begins anew.
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
    options: dict[str, Any] = {
        "columns": columns, "prefix": prefix, "select": select, "friends": friends,
        "missing": missing, "on_bad_file": on_bad_file, "rntuple": rntuple, "resume": resume,
        "overwrite": overwrite, "callback": callback or TrainingCallback(),
    }  # fmt: skip
    one = partial(_predict_file, model)
    if STEM in os.fspath(out):
        return predict_each(one, events, os.fspath(out), options)
    return one(events, out, **options)


def _predict_file(
    model: str | Path,
    events: Any,
    out: str | os.PathLike[str],
    *,
    columns: str | Sequence[str],
    prefix: str,
    select: str | None,
    friends: Sequence[str] | None,
    missing: str,
    on_bad_file: str,
    rntuple: bool,
    resume: bool,
    overwrite: bool,
    callback: TrainingCallback,
    keep: bool = False,
) -> Predictions:
    """Score events into one file; with `keep`, one that is there with the same is left as it is."""
    start = time.perf_counter()
    target = target_of(out, as_rntuple=rntuple)
    target.writer.require()
    saved, folds = load_folds(model) or (load_model(model), None)
    parts = Parts(target.parts)
    begun = parts.events() if resume and not overwrite else None
    use_revisions(begun)
    known = {f["path"]: f["reason"] for f in (begun or {}).get("skipped", ())}
    opened = open_events(events, "", on_bad_file, known if on_bad_file == "skip" else {})
    target.refuse_unwritable(opened.files)

    def prepared(opened: EventSource) -> tuple[Scorer, dict[str, Any]]:
        source = exploded(_befriended(opened, saved, friends), saved.model.explode)
        scorer = _scorer_of(saved, source, target, columns, prefix, select, missing, folds)
        return scorer, _manifest_of(saved, source, target, scorer)

    def scored(sources: Sequence[EventSource]) -> tuple[Scorer, dict[str, Any], int]:
        again = sources[0] is not opened
        scorer, manifest = prepared(sources[0]) if again else first
        if again:
            callback.say(scorer.source.notes[0])
        how = resume and not again, overwrite or again
        done = begin(parts, manifest, scorer, *how, callback)
        score(parts, manifest["part_rows"], scorer, callback)
        return scorer, manifest, done

    first = prepared(opened)
    if keep and target.path.exists() and not parts.renamed(target.path):
        return _kept(target, *first, time.perf_counter() - start)
    _say(callback, saved, first[0])
    # Of a process that ended just as the file had got its name, the file is made once more.
    if not overwrite and not (resume and parts.renamed(target.path)):
        target.refuse_existing()
    with interruptible(callback), parts.locked():
        scorer, manifest, done = without_bad_files([opened], scored)
        rows, unscored = assemble(parts, target, manifest, scorer, callback)
        parts.discard()
    return Predictions(
        path=target.path,
        rows=rows,
        events=scorer.source.rows,
        unscored=unscored,
        resumed=done,
        seconds=time.perf_counter() - start,
        scores=list(scorer.scores.meanings),
        columns=[field.name for field in scorer.copied.written],
        left_out=scorer.copied.left_out,
        skipped=scorer.source.skipped,
        files=[target.path],
    )


def _kept(target: Target, scorer: Scorer, manifest: dict[str, Any], seconds: float) -> Predictions:
    """Describe a file that is complete already, if it was made of the same."""
    begun = target.writer.metadata(target.path, target.part).get(METADATA_KEY)
    known = json.loads(begun) if begun else {}
    refuse_other(f"The file {target.path} was", known, manifest)
    inside = f":{target.part}" if target.part else ""
    return Predictions(
        path=target.path,
        rows=open_events(f"{target.path}{inside}").rows,
        events=scorer.source.rows,
        unscored=0,
        resumed=scorer.source.rows,
        seconds=seconds,
        scores=list(scorer.scores.meanings),
        columns=[field.name for field in scorer.copied.written],
        left_out=scorer.copied.left_out,
        files=[target.path],
    )


def _befriended(source: EventSource, saved: SavedModel, paths: Sequence[str] | None) -> EventSource:
    """Return the events with their friends: those of the recipe, or at the paths given."""
    known = saved.friends
    if paths is not None:
        if known and paths and len(known) != len(paths):
            raise InputError(
                "There are not as many friends as the model was trained with.",
                expected=listed([", ".join(friend.paths) for friend in known], 5),
                found=listed(paths, 5),
                do="give a path for each, in this order",
            )
        known = tuple(
            friend.model_copy(update={"path": path})
            for friend, path in zip(known, paths, strict=False)
        ) or tuple(FriendRecipe(path=path) for path in paths)
    return with_friends(source, known)


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
        **({"skipped": fingerprint["skipped"]} if source.skipped else {}),
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
    for note in scorer.source.notes[:1] if scorer.source.skipped else ():
        callback.say(note)
    left_out = [f"{name} ({why})" for name, why in scorer.copied.left_out.items()]
    if left_out:
        callback.say(f"Not copied, since the format cannot hold them: {listed(left_out, 12)}.")
    if saved.select is not None and scorer.select is None:
        callback.say(
            f"The model was trained on events with {saved.select}; every event gets a score. "
            f"--select {quoted(saved.select)} leaves the others out."
        )


METADATA_KEY = "steepest"
"""Under this key the file says what it is, as JSON."""
FORMAT = {"format": "steepest-predictions", "version": 1}


def begin(
    parts: Parts,
    manifest: dict[str, Any],
    scorer: Scorer,
    resume: bool,
    overwrite: bool,
    callback: TrainingCallback,
) -> int:
    """Take up what is there, or begin; return how many events are done."""
    if resume and parts.resume(manifest):
        done = min(parts.count * manifest["part_rows"], scorer.source.rows)
        callback.say(f"Going on after {done:,} of {scorer.source.rows:,} events.")
        return done
    if not resume and not overwrite:
        parts.refuse_unfinished()
    parts.begin(manifest)
    return 0


def score(parts: Parts, rows: int, scorer: Scorer, callback: TrainingCallback) -> None:
    """Score what is not done yet, part by part."""
    callback.stage("Scoring events")
    pieces = _pieces(scorer, parts.count * rows, rows)
    for _, of_part in groupby(pieces, key=lambda piece: piece[0]):
        parts.write(scorer.schema, _scored(of_part, parts, scorer, callback))


def _pieces(scorer: Scorer, start: int, rows: int) -> Iterator[tuple[int, int, Block]]:
    """Yield (part, events so far, block) from an event on; no block reaches over a part's end.

    A block of ROOT or HDF5 that the selection leaves nothing of has the selection's columns alone.
    """
    source = scorer.source
    row_filter = row_filter_of(scorer.select, source.schema)
    for block in source.batches(scorer.columns, (), scorer.block_rows, row_filter, start):
        place = 0
        while place < block.batch.num_rows:
            count = min(block.batch.num_rows - place, rows - start % rows)
            piece = Block(block.batch.slice(place, count), block.file, block.first_row + place)
            yield start // rows, start + count, piece
            start, place = start + count, place + count


def _scored(
    pieces: Iterator[tuple[int, int, Block]],
    parts: Parts,
    scorer: Scorer,
    callback: TrainingCallback,
) -> Iterator[pa.RecordBatch]:
    total = scorer.source.rows
    for _, so_far, block in pieces:
        if callback.interrupted:
            kept = f"{counted(parts.count, 'part')} of the scores" if parts.count else "nothing"
            raise Interrupted(
                f"Interrupted after {so_far - block.batch.num_rows:,} of {total:,} events.",
                found=f"{kept} kept in {parts.folder}" if parts.count else "no complete part yet",
                do=GO_ON if parts.count else "give the same command again",
            )
        yield scorer.score(block)
        callback.read(so_far, total)


def assemble(
    parts: Parts,
    target: Target,
    manifest: dict[str, Any],
    scorer: Scorer,
    callback: TrainingCallback,
) -> tuple[int, int]:
    """Make the file of the parts; return its rows, and how many have no score."""
    callback.stage(f"Writing {target.path.name}")
    counts = np.zeros(2, dtype=np.int64)
    first = next(iter(scorer.scores.meanings))

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in parts.batches():
            if callback.interrupted:
                raise Interrupted(
                    f"Interrupted while {target.path.name} was written.",
                    found=f"all scores kept in {parts.folder}",
                    do=GO_ON,
                )
            counts[:] += batch.num_rows, np.isnan(batch.column(first).to_numpy()).sum()
            callback.read(int(counts[0]), scorer.source.rows)
            yield batch

    whole = target.parts / f"whole{target.path.suffix}"
    metadata = {METADATA_KEY: json.dumps({**FORMAT, **manifest}, ensure_ascii=False)}
    with explained(f"Writing {target.path.name}", target.path.parent, KEPT):
        write_synced(
            whole,
            lambda path: target.writer.write(path, target.part, scorer.schema, rows(), metadata),
        )
        if counts[0] == 0:
            parts.discard()
            raise _nothing_selected(scorer)
        parts.rename(whole, target.path)
        sync_folder(target.path.parent)
    return int(counts[0]), int(counts[1])


def _nothing_selected(scorer: Scorer) -> EventsError:
    assert scorer.select is not None  # without one there are rows, since there are events
    return EventsError(
        f"The selection leaves no event of {listed(scorer.source.files, 3)}.",
        expected="at least one event",
        found=f"0 of {counted(scorer.source.rows, 'row')}",
        cause="a condition that cannot hold, or another unit (GeV, MeV)",
        do=f"loosen the selection, which is {scorer.select.text!r}",
    )
