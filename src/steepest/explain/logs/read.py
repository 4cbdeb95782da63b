"""Read a log: a table of losses, a ``trainer_state.json``, or event files of TensorBoard."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from steepest.errors import InputError
from steepest.explain.logs.columns import columns_of
from steepest.explain.logs.events import scalars_of

Array = np.ndarray
Series = tuple[Array, Array]
"""Steps and values, both float64 ``(records,)``, steps ascending."""

TABLES = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".parquet", ".json")


@dataclass(frozen=True, eq=False)
class Log:
    """Losses along a descent.

    Parameters
    ----------
    name
        The file or folder.
    columns
        What was taken for "step", "loss", "validation" and "rate"; None of what is not there.
    loss, validation, rate
        Steps and values; empty without that column. Values may be NaN or infinite.
    restarts
        How often the step went back.
    cut
        What was left out of a file that ends within a record; empty for a whole one.
    """

    name: str
    columns: Mapping[str, str | None]
    loss: Series
    validation: Series
    rate: Series
    restarts: int = 0
    cut: str = ""

    @property
    def steps(self) -> int:
        """The last step."""
        return int(max((s[0][-1] for s in (self.loss, self.validation) if len(s[0])), default=0))


def is_log(path: Path) -> bool:
    """Whether a path is a log of another program, by its name or by what lies in the folder."""
    if path.is_dir():
        return not (path / "recipe.toml").exists() and (
            (path / "trainer_state.json").is_file() or bool(_event_files(path))
        )
    return path.is_file() and (path.suffix.lower() in TABLES or "tfevents" in path.name)


def read_log(path: str | Path, **columns: str | None) -> Log:
    """Read a log; `columns` names "step", "loss", "validation" and "rate" where it is not usual.

    Raises
    ------
    InputError
        The file cannot be read, has no such columns, or no losses.
    """
    path = Path(path)
    if path.is_dir() and (path / "trainer_state.json").is_file():
        path /= "trainer_state.json"
    if path.is_dir() or "tfevents" in path.name:
        return _of_events(path, columns)
    table, cut = _table(path)
    return log_of(table, path, columns, cut)


def log_of(table: pl.DataFrame, path: Path, columns: Mapping[str, str | None], cut: str) -> Log:
    """The log that a table holds, see `read_log`."""
    records = {name: table[name].count() for name in table.columns}
    found = columns_of(table.columns, columns, path, records)
    given = [name for name in found.values() if name is not None]
    table = table.select(list(dict.fromkeys(given)))
    for name in table.columns:
        if not table[name].dtype.is_numeric():
            table = table.with_columns(_numbers(table, name, path))
    step = np.arange(1.0, len(table) + 1)
    if found["step"] is not None:
        step = table[found["step"]].cast(pl.Float64).fill_null(strategy="forward").to_numpy()
    series = {
        what: _series(step, table[name].cast(pl.Float64), found["step"] is None) if name else _NONE
        for what, name in found.items()
        if what != "step"
    }
    return _log(path, found, series, int((np.diff(step) < 0).sum()), cut)


_NONE: Series = (np.empty(0), np.empty(0))


def _series(step: Array, column: pl.Series, numbered: bool) -> Series:
    """The rows that have a value, sorted by step; of a step that comes again the last counts."""
    rows = column.is_not_null().to_numpy()
    values = column.filter(column.is_not_null()).to_numpy()
    return _sorted(step[rows], values, numbered)


def _sorted(steps: Array, values: Array, unique: bool = False) -> Series:
    order = np.argsort(steps, kind="stable")
    steps, values = np.asarray(steps, dtype=np.float64)[order], np.asarray(values)[order]
    if unique or not len(steps):
        return steps, values
    same = np.append(steps[1:] == steps[:-1], [False])
    if same.mean() > 0.5:  # an epoch number beside the losses of batches: order is what counts
        return np.arange(1.0, len(values) + 1), values
    return steps[~same], values[~same]


def _log(
    path: Path, columns: dict[str, str | None], series: dict[str, Series], restarts: int, cut: str
) -> Log:
    if not any(len(series[what][0]) for what in ("loss", "validation")):
        raise InputError(
            f"{path} has no losses.",
            expected="a number in each row of the loss",
            found=f"only empty values in {columns['loss'] or columns['validation']}",
            do="name another column with --loss",
        )
    return Log(path.name, columns, **series, restarts=restarts, cut=cut)


def _table(path: Path) -> tuple[pl.DataFrame, str]:
    """The rows of a table, and what of its end was cut off."""
    try:
        if path.suffix.lower() == ".json":
            return _of_json(path), ""
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            return _of_lines(path)
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path), ""
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            first = file.readline()
        mark = max("\t;, ", key=first.count)
        table = pl.read_csv(
            path,
            separator=mark,
            null_values=["", "None", "null", "NA"],
            truncate_ragged_lines=True,
            infer_schema_length=None,
        )
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}.", expected="a run's folder or a log", do="check the path"
        ) from None
    except (OSError, pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error).splitlines()[0] if str(error) else "nothing") from None
    if not len(table):
        raise _unreadable(path, "a header and no rows" if table.columns else "an empty file")
    return table.rename({name: name.strip() for name in table.columns}), ""


def _of_json(path: Path) -> pl.DataFrame:
    """A ``trainer_state.json`` of Hugging Face's Trainer, a list of objects, or an object of lists.

    The Trainer logs the mean loss of the run (``train_loss``) at its end, which is no point of it.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise _unreadable(path, f"it ends or breaks at character {error.pos:,}") from None
    if isinstance(value, dict) and "log_history" in value:
        value = value["log_history"]
        keep = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
        value = [
            {key: row[key] for key in row if key in keep} for row in value if isinstance(row, dict)
        ]
    if isinstance(value, dict) and any(isinstance(column, list) for column in value.values()):
        value = {key: column for key, column in value.items() if isinstance(column, list)}
        longest = max(map(len, value.values()))
        value = [
            {key: column[i] for key, column in value.items() if i < len(column)}
            for i in range(longest)
        ]
    if not (isinstance(value, list) and value and all(isinstance(row, dict) for row in value)):
        raise _unreadable(path, "no list of records and no log_history")
    return _of_rows(value)


def _of_lines(path: Path) -> tuple[pl.DataFrame, str]:
    rows, lines = [], path.read_text(encoding="utf-8", errors="replace").splitlines()
    cut = ""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError:
            if number < len(lines):
                raise _unreadable(path, f"line {number:,} is no JSON") from None
            cut = f"line {number:,} is cut off, and left out"
            continue
        rows += [row] if isinstance(row, dict) else []
    if not rows:
        raise _unreadable(path, "no records")
    return _of_rows(rows), cut


def _of_rows(rows: list[dict[str, Any]]) -> pl.DataFrame:
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [_number(row.get(name)) for row in rows] for name in names}
    return pl.DataFrame(
        {name: column for name, column in columns.items() if any(v is not None for v in column)},
        schema_overrides=dict.fromkeys(names, pl.Float64),
        strict=False,
    )


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _numbers(table: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """A column of text as numbers: "nan" and "inf" are, and anything else is an error."""
    texts = table[name].cast(pl.String).str.strip_chars().str.to_lowercase()
    numbers = texts.str.replace("infinity", "inf").cast(pl.Float64, strict=False)
    bad = texts.is_not_null() & numbers.is_null()
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(
            f"{path} has no number in column {name!r}.",
            expected="numbers, nan or inf",
            found=f"{table[name][row]!r} in row {row + 1:,}",
            cause="a damaged line, or a column of text",
            do="mend that line, or name another column",
        )
    return numbers


def _event_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*tfevents*") if file.is_file())


def _of_events(path: Path, columns: Mapping[str, str | None]) -> Log:
    files = _event_files(path) if path.is_dir() else [path]
    if not files:
        raise _unreadable(path, "no run, no event file and no trainer_state.json")
    if not all(file.is_file() for file in files):
        raise InputError(f"There is no file {path}.", do="check the path")
    found: dict[str, list[tuple[int, float]]] = {}
    for file in files:
        inside = file.parent.relative_to(path).as_posix() if path.is_dir() else "."
        for tag, step, value in scalars_of(file):
            name = tag if inside == "." else f"{inside}/{tag}"
            found.setdefault(name, []).append((step, value))
    if not found:
        raise _unreadable(path, "event files without scalars")
    given = {key: value for key, value in columns.items() if key != "step"}
    names = columns_of(found, given, path, {tag: len(values) for tag, values in found.items()})
    names["step"] = None
    series = {
        what: _pairs(found[name]) if name else _NONE
        for what, name in names.items()
        if what != "step"
    }
    taken = names["loss"] or names["validation"]
    steps = np.array([step for step, _ in found[taken]] if taken else [0])
    return _log(path, names, series, int((np.diff(steps) < 0).sum()), "")


def _pairs(values: Iterable[tuple[int, float]]) -> Series:
    steps, numbers = zip(*values, strict=True)
    return _sorted(np.array(steps, dtype=np.float64), np.array(numbers, dtype=np.float64))


def _unreadable(path: Path, found: str) -> InputError:
    return InputError(
        f"{path} cannot be read as a log.",
        expected="a table of losses (CSV, JSON, JSON lines, Parquet), trainer_state.json, or event "
        "files of TensorBoard",
        found=found,
        do="check the file, or write the losses as a CSV file with the columns step and loss",
    )


def finite(series: Series) -> Series:
    """The records whose values are finite."""
    rows = np.isfinite(series[1])
    return series[0][rows], series[1][rows]


def mean(values: Array) -> float:
    """The mean; NaN of none."""
    return float(values.mean()) if len(values) else math.nan
