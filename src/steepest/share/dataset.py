"""Events for others: Parquet files in splits, with a card, in one commit on the Hub.

Files of any format that steepest reads become ``data/SPLIT-00000-of-00001.parquet``. Their pages
are cut by content, so that a later version of the events only sends the parts that have changed.
Titles and units of columns stay in the files.
"""

from __future__ import annotations

import inspect
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steepest._version import __version__
from steepest.errors import InputError, Interrupted
from steepest.events import EventSource, open_events
from steepest.folder.files import explained, json_text, write_text
from steepest.folder.hub import repository
from steepest.folder.manifest import Manifest
from steepest.share.columns import Split, summaries_of
from steepest.share.dataset_card import card_of_events
from steepest.share.run import Prepared
from steepest.share.upload import CARD, MARKS, Published, Target, publish
from steepest.training import TrainingCallback
from steepest.training.callback import interruptible

FORMAT = {"format": "steepest-events", "version": 1}
SPLITS = {"train": "train", "training": "train", "test": "test", "validation": "validation",
          "valid": "validation", "val": "validation"}  # fmt: skip
"""Words in the names of files, and the splits that they say."""
FILE_BYTES = 2**29
"""Of a file that is published, about, as the events are stored."""
GROUP_ROWS, GROUP_BYTES = 2**20, 2**26
"""Of a group of rows at most: large ones have more pages that another version has too."""
_SPLIT = re.compile(r"(\w+)=(.+)")
_SCRATCH = "work"


def share_events(
    files: Sequence[str],
    target: Target,
    *,
    license: str | None = None,
    callback: TrainingCallback | None = None,
) -> Published:
    """Publish events as a dataset.

    Parameters
    ----------
    files
        Files, globs or addresses, as `steepest.events.open_events` takes them; ``SPLIT=FILE`` names
        the split. Without it a file is of the split that its name says (train, test, validation),
        else of train.
    target
        Where; its kind is "dataset".
    license
        As the Hub writes it, such as ``cc-by-4.0``; None says nothing of it.
    callback
        Progress; the default shows nothing.

    Raises
    ------
    EventsError
        A file is missing or damaged.
    InputError
        Splits have other columns, or a name that is none; the Hub refuses, cannot be reached, or
        holds something else at this name.
    MissingExtraError
        huggingface_hub is not installed.
    Interrupted
        After Ctrl-C; nothing is sent then.
    """
    repository(target.repo, what="dataset")
    with _written(files, target.repo, license, callback or TrainingCallback()) as folder:
        return publish(folder, target)


def prepare_events(
    files: Sequence[str],
    repo: str,
    *,
    license: str | None = None,
    callback: TrainingCallback | None = None,
) -> Prepared:
    """Return what `share_events` would upload; nothing is sent, and the Hub is not asked."""
    repository(repo, what="dataset")
    with _written(files, repo, license, callback or TrainingCallback()) as folder:
        found = sorted(file for file in folder.rglob("*") if file.is_file())
        sizes = {file.relative_to(folder).as_posix(): file.stat().st_size for file in found}
        return Prepared(sizes, (folder / CARD).read_text(encoding="utf-8"))


@contextmanager
def _written(
    files: Sequence[str],
    repo: str,
    license: str | None,
    callback: TrainingCallback,
) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "dataset"
        write_events(files, folder, repo, license=license, callback=callback)
        yield folder


def write_events(
    files: Sequence[str],
    folder: Path,
    repo: str,
    *,
    license: str | None = None,
    callback: TrainingCallback | None = None,
) -> None:
    """Write the folder that is uploaded: Parquet files, README.md, steepest.json."""
    callback = callback or TrainingCallback()
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"There is something at {folder}.", expected="a new folder", do="name another one"
        )
    named = splits_of(files)
    sources = {name: open_events(paths) for name, paths in named.items()}
    schema = _common(sources)
    total, done, splits = sum(s.rows for s in sources.values()), 0, []
    callback.stage("Writing events")
    scratch = folder / _SCRATCH
    scratch.mkdir(parents=True)
    lost = "the folder is not complete"
    with interruptible(callback), explained("Writing the dataset", folder, lost):
        for name, source in sources.items():
            splits.append(_write_split(scratch, name, source, schema, done, total, callback))
            done += source.rows
        origins = {name: _origins(source) for name, source in sources.items()}
        made = _settings(sources)
        manifest = Manifest(folder, f"the dataset {folder}", "share it again", apart=(_SCRATCH,))
        card = card_of_events(repo, splits, schema, origins, made, license)
        mark = json_text(
            {
                **FORMAT,
                "steepest": __version__,
                "splits": {
                    s.name: {"rows": s.rows, "files": s.sizes, "from": origins[s.name]}
                    for s in splits
                },
            }
        )
        for name, text in {CARD: card, MARKS["dataset"]: mark}.items():
            manifest.write(name, lambda file, text=text: write_text(file, text))
        shutil.move(scratch / "data", folder / "data")
        scratch.rmdir()


def splits_of(files: Sequence[str]) -> dict[str, list[str]]:
    """Return the paths of each split, by its name.

    Raises
    ------
    InputError
        No file is given.

    Examples
    --------
    >>> splits_of(["jets_train.root", "jets_test.root", "holdout=other.h5"])
    {'train': ['jets_train.root'], 'test': ['jets_test.root'], 'holdout': ['other.h5']}
    """
    found: dict[str, list[str]] = {}
    for text in files:
        match = _SPLIT.fullmatch(text)
        if match is not None and not Path(text).exists():
            name, path = match.groups()
        else:
            words = re.split(r"[^a-z]+", text.rsplit("/", 1)[-1].lower())
            said = {SPLITS[word] for word in words if word in SPLITS}
            name, path = said.pop() if len(said) == 1 else "train", text
        found.setdefault(name, []).append(path)
    if not found:
        raise InputError(
            "There are no events to share.",
            expected="files of events",
            do="steepest share --data train=a.parquet test=b.parquet --to ORG/NAME",
        )
    return found


def _common(sources: Mapping[str, EventSource]) -> pa.Schema:
    """The columns, which all splits have."""
    (first, source), *others = sources.items()
    for name, other in others:
        mine, theirs = set(source.schema.names), set(other.schema.names)
        if mine != theirs:
            column = sorted(mine ^ theirs)[0]
            raise InputError(
                f"The splits {first!r} and {name!r} have other columns.",
                expected="the same columns in all splits",
                found=f"{column!r} in {first if column in mine else name} alone",
                do="write the files with the same columns, or share them apart",
            )
    columns = [field for field in source.schema if field.name not in source.repeated]
    return pa.schema([field.with_type(_plain(field.type)) for field in columns])


def _plain(kind: pa.DataType) -> pa.DataType:
    """Dictionaries as their values: the Hub's viewer and other readers take these."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _write_split(
    scratch: Path,
    name: str,
    source: EventSource,
    schema: pa.Schema,
    before: int,
    total: int,
    callback: TrainingCallback,
) -> Split:
    count = max(1, -(-source.nbytes // FILE_BYTES))
    rows = -(-source.rows // count)
    names = [f"data/{name}-{i:05d}-of-{count:05d}.parquet" for i in range(count)]
    (scratch / "data").mkdir(exist_ok=True)
    summaries, done, nbytes = summaries_of(schema), 0, 0
    tables = _tables(source, schema, rows)
    for path in names:
        with pq.ParquetWriter(scratch / path, schema, **_options(schema)) as writer:
            while done < min(rows * (names.index(path) + 1), source.rows):
                table = next(tables)
                writer.write_table(table, row_group_size=GROUP_ROWS)
                for summary in summaries:
                    summary.add(table.column(summary.name))
                done += table.num_rows
                nbytes += table.nbytes
                callback.read(before + done, total)
                if callback.interrupted:
                    raise Interrupted(
                        f"Interrupted after {before + done:,} of {total:,} events.",
                        found="nothing sent",
                        do="give the same command again",
                    )
    sizes = {path: (scratch / path).stat().st_size for path in names}
    return Split(name, source.rows, sizes, nbytes, tuple(summaries))


def _tables(source: EventSource, schema: pa.Schema, rows: int) -> Iterator[pa.Table]:
    """Groups of rows, none of which reaches over the end of a file."""
    held: list[pa.RecordBatch] = []
    start = 0

    def whole() -> pa.Table:
        table = pa.Table.from_batches([b.replace_schema_metadata(None) for b in held])
        return table.select(schema.names).cast(schema)

    for block in source.batches(schema.names):
        batch = block.batch
        while batch.num_rows:
            kept = sum(b.num_rows for b in held)
            room = min(GROUP_ROWS - kept, rows - (start + kept) % rows)
            held.append(batch.slice(0, room))
            batch = batch.slice(min(room, batch.num_rows))
            kept = sum(b.num_rows for b in held)
            full = kept == GROUP_ROWS or sum(b.nbytes for b in held) >= GROUP_BYTES
            if full or (start + kept) % rows == 0:
                yield whole()
                start, held = start + kept, []
    if held:
        yield whole()


def _options(schema: pa.Schema) -> dict[str, Any]:
    """How files are written: pages are cut by content, which pyarrow does from release 21 on.

    A dictionary of numbers differs from file to file, and the pages that refer to it with it.
    """
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    floats = [path for path, kind in leaves if pa.types.is_floating(kind)]
    options: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": [path for path, _ in leaves if path not in floats],
        "use_byte_stream_split": floats,
    }
    if "use_content_defined_chunking" in inspect.signature(pq.ParquetWriter).parameters:
        options |= {"use_content_defined_chunking": True, "write_page_index": True}
    return options


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """The columns of numbers or texts that Parquet makes of a column, by their paths."""
    if pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    elif pa.types.is_nested(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind


def _origins(source: EventSource) -> list[dict[str, Any]]:
    """The files that a split was made of: their names alone, sizes and checksums."""
    told = ("name", "size", "rows", "sha256", "dataset", "revision")
    files = source.fingerprint()["files"]
    return [{key: file[key] for key in told if key in file} for file in files]


def _settings(sources: Mapping[str, EventSource]) -> str | None:
    """What `steepest simulate` has written into the file: its settings, as JSON."""
    for source in sources.values():
        text = (source.schema.metadata or {}).get(b"steepest")
        if text is not None:
            return text.decode()
    return None
