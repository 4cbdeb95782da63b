"""A run that is still going on, read without making or locking anything.

The run writes, at most twice a second and without waiting for the disk:

``live/progress.json``
    How far it is; replaced as a whole.
``live/history-STEP.arrows``
    The history after the checkpoint at that step, as an Arrow IPC stream that grows. The next
    checkpoint puts these rows into ``journal/``, and begins a new stream; the one before is removed
    with the checkpoint after.

A reader takes the journal's parts, then of the streams the rows that come after them, up to where
the last one ends, be it in the middle of a batch. That is a prefix of the history. When a killed
run is resumed, the prefix ends at its checkpoint again, and the same rows follow.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steepest.errors import RunFolderError
from steepest.folder.files import PARTIAL
from steepest.folder.manifest import sealed, unsealed

FOLDER = "live"
FORMAT = {"format": "steepest-progress", "version": 1}
TRIALS = 20
"""The run may remove a file after a reader has listed it; then the reader lists again."""


class LiveWriter:
    """Writes what readers of a running descent see.

    A full disk does not end the run here, but at its next checkpoint, which says so; until then
    nothing is published.

    Parameters
    ----------
    run
        The run's folder.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / FOLDER
        self._step = 0
        self._off = False

    def publish(self, progress: Mapping[str, Any], history: pa.Table) -> None:
        """Append to the history, then replace the progress."""
        if self._off:
            return
        try:
            self.folder.mkdir(exist_ok=True)
            self._append(history)
            values = sealed({**FORMAT, **progress, "written": time.time()})
            text = json.dumps(values, allow_nan=False)
            temporary = self.folder / f"{PARTIAL}progress.json"
            temporary.write_text(text + "\n", encoding="utf-8")
            os.replace(temporary, self.folder / "progress.json")
        except OSError:
            self._off = True

    def checkpointed(self, step: int) -> None:
        """All rows up to that step are in the journal: begin a new stream."""
        with suppress(OSError):
            for stream in self.folder.glob("history-*.arrows"):
                if stream != self._path:
                    stream.unlink()
        self._step, self._off = step, False

    def restart(self, step: int) -> None:
        """Forget what was published beyond the checkpoint from which the run resumes."""
        remove_live(self.folder.parent)
        self._step = max(step, 0)

    @property
    def _path(self) -> Path:
        return self.folder / f"history-{self._step:012d}.arrows"

    def _append(self, history: pa.Table) -> None:
        if not len(history):
            return
        with self._path.open("ab") as stream:
            if not stream.tell():
                stream.write(history.schema.serialize())
            for batch in history.to_batches():
                stream.write(batch.serialize())


def remove_live(run: Path) -> None:
    """Remove the live files; what they hold is in the journal or in history.parquet."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)


def read_progress(run: Path) -> dict[str, Any] | None:
    """Return how far a running descent is, as live/progress.json has it; None if it is not there.

    Its ``written`` is the time of writing, in seconds since 1970: at most a second ago while steps
    are being taken.
    """
    try:
        return unsealed((run / FOLDER / "progress.json").read_bytes())
    except (FileNotFoundError, ValueError):  # a machine that crashed may leave an empty file
        return None


def write_table(table: pa.Table, path: Path) -> None:
    """Write a part of the history, with checksums."""
    pq.write_table(table, path, write_page_checksum=True)


def read_table(path: Path) -> pa.Table:
    """Read a part of the history; pyarrow's error where it is not what was written."""
    data = pa.BufferReader(path.read_bytes())
    return pq.ParquetFile(data, page_checksum_verification=True).read()


def read_history(run: Path) -> pa.Table | None:
    """Return the history that a running descent has published so far; None if there is none.

    Raises
    ------
    RunFolderError
        If a part of the journal is damaged.
    """
    for trial in range(TRIALS):
        try:
            return _prefix(run)
        except FileNotFoundError:  # the run was faster: list again
            time.sleep(0.005 * trial)
        except (pa.ArrowException, OSError) as error:
            raise RunFolderError(
                f"The journal of the run {run} is damaged.",
                found=str(error).splitlines()[0],
                cause="it was changed, or cut short by a copy",
                do="restore it, or train anew into another folder",
            ) from error
    raise RunFolderError(
        f"The history of the run {run} cannot be read.",
        cause=f"its files were replaced {TRIALS} times while they were read",
        do="try again; lengthen descent.checkpoint.seconds or steps",
    )


def _prefix(run: Path) -> pa.Table | None:
    """The journal's parts and what the streams add; FileNotFoundError if one was removed."""
    # listed first: a stream that a checkpoint then closes has its rows in the journal as well
    streams = sorted((run / FOLDER).glob("history-*.arrows"))
    tables = [read_table(part) for part in sorted((run / "journal").glob("step-*.parquet"))]
    for stream in streams:
        table = _read_stream(stream)
        if table is None:
            continue
        if tables:
            last = tables[-1]["step"][-1].as_py()
            table = table.slice(np.searchsorted(table["step"].to_numpy(), last, side="right"))
        if len(table):
            tables.append(table)
    return pa.concat_tables(tables, promote_options="default") if tables else None


def _read_stream(path: Path) -> pa.Table | None:
    """The whole batches of a stream that may still be growing."""
    batches: list[pa.RecordBatch] = []
    data = path.read_bytes()  # a wrong size in it cannot ask for more memory than that
    with suppress(pa.ArrowException, OSError):
        reader = pa.ipc.open_stream(pa.BufferReader(data))
        for batch in reader:
            batches.append(batch)  # noqa: PERF402 - those before a cut are kept
    return pa.Table.from_batches(batches) if batches else None
