"""Writes Parquet files and compares whole messages, with the test's folder written as DIR."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steepest.errors import SteepestError

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write columns to a Parquet file of the test's folder and return its path."""

    def write(columns: Any, name: str = "jets.parquet", **options: Any) -> str:
        table = columns if isinstance(columns, pa.Table) else pa.table(columns)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, **options)
        return str(path)

    return write


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., None]:
    """Check that a call raises exactly one error with exactly one message."""

    def refused(kind: type[SteepestError], message: str, call: Callable[..., Any], *args: Any,
                **options: Any) -> None:  # fmt: skip
        with pytest.raises(kind) as caught:
            call(*args, **options)
        assert type(caught.value) is kind
        found = str(caught.value).replace(str(tmp_path), "DIR")
        assert found.splitlines() == message.strip("\n").splitlines()

    return refused
