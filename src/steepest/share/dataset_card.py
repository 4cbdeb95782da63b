"""The card of a dataset, README.md: the events, their splits and columns, and how they were made.

The metadata at the top is what the Hub's viewer and other readers go by: which files are which
split, the types of the columns, the sizes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import pyarrow as pa

from steepest._version import __version__
from steepest.folder.hub import load
from steepest.share.columns import ColumnSummary, Split, feature_of
from steepest.share.markdown import code, table

_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"),
          (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"))  # fmt: skip


def card_of_events(
    repo: str,
    splits: Sequence[Split],
    schema: pa.Schema,
    origins: Mapping[str, Sequence[Mapping[str, Any]]],
    settings: str | None,
    license: str | None,
) -> str:
    """Return the text of README.md.

    Parameters
    ----------
    repo
        ``ORG/NAME``.
    splits
        What was written.
    schema
        The columns.
    origins
        The files that each split was made of.
    settings
        What `steepest simulate` has written into the files, as JSON; None for other files.
    license
        As the Hub writes it, or None.
    """
    name, rows = repo.rpartition("/")[2], sum(split.rows for split in splits)
    sections = [
        f"# {name}\n\n{rows:,} events of particle collisions in {len(schema):,} columns.",
        f"## How to use it\n\n{_use(repo, splits)}",
        f"## Splits\n\n{_splits(splits)}",
        f"## Columns\n\n{_columns(splits)}",
        f"## How it was made\n\n{_made(origins, settings)}",
    ]
    data = _metadata(name, splits, schema, rows, license)
    return f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n"


def _metadata(
    name: str, splits: Sequence[Split], schema: pa.Schema, rows: int, license: str | None
) -> Any:
    size = next((words for most, words in _SIZES if rows < most), "n>1B")
    sizes = [sum(split.sizes.values()) for split in splits]
    of_splits = [
        {"name": split.name, "num_bytes": split.nbytes, "num_examples": split.rows}
        for split in splits
    ]
    files = [{"split": s.name, "path": f"data/{s.name}-*.parquet"} for s in splits]
    return load("Writing the card").DatasetCardData(
        license=license,
        size_categories=[size],
        pretty_name=name,
        tags=["particle-physics", "high-energy-physics", "steepest"],
        configs=[{"config_name": "default", "data_files": files}],
        dataset_info={
            "config_name": "default",
            "features": [{"name": f.name, **feature_of(f.type)} for f in schema],
            "splits": of_splits,
            "download_size": sum(sizes),
            "dataset_size": sum(split.nbytes for split in splits),
        },
    )


def _use(repo: str, splits: Sequence[Split]) -> str:
    path = f"hf://datasets/{repo}/data/{splits[0].name}-*.parquet"
    recipe = f'[events]\npath = "{path}"\nlabel = "…"'
    loaded = f'datasets.load_dataset("{repo}", split="{splits[0].name}")'
    return (
        "```\npip install 'steepest[hub]'\n```\n\nA recipe of steepest reads only the columns and "
        f"groups of rows that it needs:\n\n```toml\n{recipe}\n```\n\nWith Polars:\n\n```python\n"
        f'import polars\n\nevents = polars.scan_parquet("{path}")\n'
        f"```\n\nWith datasets:\n\n```python\nimport datasets\n\nevents = {loaded}\n```"
    )


def _splits(splits: Sequence[Split]) -> str:
    rows = [
        [code(s.name), f"{s.rows:,}", f"{len(s.sizes)}", f"{sum(s.sizes.values()) / 1e6:,.1f} MB"]
        for s in splits
    ]
    return table(["split", "events", "files", "size"], rows)


def _columns(splits: Sequence[Split]) -> str:
    merged = [
        reduce(ColumnSummary.with_more, of_splits)
        for of_splits in zip(*(split.columns for split in splits), strict=True)
    ]
    head = ["column", "type", "unit", "meaning", "smallest", "largest", "missing"]
    cells = [
        [
            code(c.name),
            _type(c.type),
            c.unit,
            c.title,
            _number(c.low),
            _number(c.high),
            f"{c.missing:,}" if c.missing else "",
        ]
        for c in merged
    ]
    told = [i for i in range(len(head)) if i < 2 or any(row[i] for row in cells)]
    return table([head[i] for i in told], [[row[i] for i in told] for row in cells])


def _type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return f"list of {_type(kind.value_type)}"
    return str(feature_of(kind).get("dtype", "table"))


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


def _made(origins: Mapping[str, Sequence[Mapping[str, Any]]], settings: str | None) -> str:
    rows = []
    for split, files in origins.items():
        for file in files[:20]:
            known = file.get("dataset")
            name = f"{known} at {str(file.get('revision'))[:7]}: {file['name']}" if known else None
            checksum = str(file.get("sha256", ""))[:16]
            rows.append([code(split), code(name or file["name"]), f"{file['rows']:,}",
                         code(checksum) if checksum else ""])  # fmt: skip
        if len(files) > 20:
            rows.append([code(split), f"and {len(files) - 20:,} more, see steepest.json", "", ""])
    made = table(["split", "from the file", "events", "SHA-256 begins with"], rows)
    text = f"Written by steepest {__version__} from these files, all rows and columns of them:\n\n"
    text += made
    if settings is None:
        return text
    try:
        settings = json.dumps(json.loads(settings), indent=2, ensure_ascii=False)
    except ValueError:
        return text
    return (
        f"{text}\n\nThe files are of `steepest simulate`:\n\n"
        f"<details><summary>Its settings</summary>\n\n```json\n{settings}\n```\n\n</details>"
    )
