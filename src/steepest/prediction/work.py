"""The work: scores, part by part, then the file of the parts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.errors import EventsError, Interrupted
from steepest.events import Block
from steepest.events.reading.features import row_filter_of
from steepest.events.words import counted, listed
from steepest.folder.files import explained, sync_folder, write_synced
from steepest.prediction.parts import GO_ON, KEPT, Parts
from steepest.prediction.scorer import Scorer
from steepest.prediction.target import Target
from steepest.training import TrainingCallback

__all__ = ["METADATA_KEY", "assemble", "begin", "score"]

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
