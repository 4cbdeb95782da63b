"""Parquet: only what is asked for is read, rows are numbered, damage is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steepest.errors import EventsError
from steepest.events import load_sample, open_events, parse
from steepest.recipe import EventsRecipe

ROWS, GROUP = 1000, 100


def damage(path: str, group: int, column: str) -> None:
    """Overwrite the column's pages in a row group, so that reading them fails."""
    metadata = pq.ParquetFile(path).metadata.row_group(group)
    chunk = next(
        metadata.column(i)
        for i in range(metadata.num_columns)
        if metadata.column(i).path_in_schema == column
    )
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    content = bytearray(Path(path).read_bytes())
    content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    Path(path).write_bytes(bytes(content))


@pytest.fixture
def jets(write) -> str:
    row = np.arange(ROWS)
    columns = {
        "row": row,
        "pt": row / 10.0,
        "eta": (row % 7 - 3.0).astype(np.float32),
        "y": row % 2,
        "s": np.where(row < 500, "a", "b"),
        "other": row * 1.5,
    }
    return write(columns, row_group_size=GROUP)


def numbered(path: str, select: str | None, batch_rows: int = 65_536) -> dict[int, float]:
    """Return row → pt as the blocks have them."""
    where = parse(select).pruning() if select else ()
    found = {}
    for block in open_events(path).batches(["pt"], where, batch_rows):
        assert block.batch.num_rows <= batch_rows
        for i, value in enumerate(block.batch.column(0).to_pylist()):
            found[block.first_row + i] = value
    return found


@pytest.mark.parametrize("batch_rows", [1, 7, 33, 100, 65_536])
def test_rows_are_numbered_whatever_the_batches(jets, batch_rows) -> None:
    assert numbered(jets, None, batch_rows) == {row: row / 10 for row in range(ROWS)}


@pytest.mark.parametrize(
    ("select", "groups"),
    [
        ("pt >= 50", range(5, 10)),
        ("pt > 49.9", range(5, 10)),
        ("pt >= 49.9", range(4, 10)),
        ("20 <= pt < 40", range(2, 4)),
        ("pt < 0", []),
        ("pt == 55", [5]),
        ("row in [5, 950]", [0, 9]),
        ("row == 123.0", [1]),
        ("row > 898.5", range(8, 10)),
        ("s == 'b'", range(5, 10)),
        ("s > 'a' AND pt < 60", range(5, 6)),
        ("s < 'a'", []),
        ("abs(pt) <= 9.9", [0]),
        ("abs(eta) < 2", range(10)),
        ("pt > 50 OR row < 100", range(10)),
        ("pt * 2 > 150", range(10)),
    ],
)
def test_row_groups_that_cannot_hold_an_event_are_not_read(jets, select, groups) -> None:
    expected = {
        row: row / 10 for group in groups for row in range(group * GROUP, (group + 1) * GROUP)
    }
    assert numbered(jets, select) == expected


def test_a_damaged_row_group_that_is_pruned_is_not_touched(jets) -> None:
    damage(jets, 3, "pt")
    recipe = EventsRecipe(path=jets, label="y", features=["pt"], select="pt >= 50")
    sample = load_sample(recipe)
    assert np.array_equal(sample.rows, np.arange(500, 1000))
    assert np.array_equal(sample.features[:, 0], np.arange(500, 1000) / 10)
    assert sample.read["row_groups"] == 5
    assert sample.read["row_groups_total"] == 10
    assert sample.read["rows"] == 500
    assert sample.read["rows_total"] == 1000


def test_columns_that_are_not_asked_for_are_not_read(jets) -> None:
    for group in range(10):
        damage(jets, group, "other")
        damage(jets, group, "s")
    sample = load_sample(
        EventsRecipe(path=jets, label="y", features=["pt"], weight="row + 1", select="abs(eta) < 3")
    )
    assert sample.read["columns"] == ["eta", "pt", "row", "y"]
    assert len(sample.rows) == int((np.arange(ROWS) % 7 % 6 != 0).sum())


def test_damage_names_file_and_row_group(jets, refused) -> None:
    damage(jets, 3, "pt")
    with pytest.raises(EventsError) as caught:
        load_sample(EventsRecipe(path=jets, label="y", features=["pt"]))
    assert caught.value.what == f"{jets} is damaged in row group 3 of 10 (rows 300 to 399)."
    assert caught.value.details["expected"] == "readable columns pt, y"
    assert caught.value.details["found"]
    assert caught.value.details["cause"] == "the file was damaged while it was copied or stored"
    assert (
        caught.value.details["do"] == "copy it again, and compare its checksum with the original's"
    )


def test_truncated(jets, refused) -> None:
    content = Path(jets).read_bytes()
    Path(jets).write_bytes(content[:5000])
    message = f"""
DIR/jets.parquet is cut short: it begins as Parquet but does not end as Parquet.
  expected: 'PAR1' as the first and the last 4 bytes
  found:    5000 bytes that end in {content[4996:5000]!r}
  cause:    a copy, download or job was stopped before it was done
  do:       copy or write the file again
"""
    refused(EventsError, message, open_events, jets)


@pytest.mark.parametrize("length", [4, 8, 11])
def test_truncated_to_almost_nothing(jets, length) -> None:
    Path(jets).write_bytes((b"PAR1" * 3)[:length])
    with pytest.raises(EventsError, match="is cut short"):
        open_events(jets)


def test_damaged_metadata(jets, refused) -> None:
    content = Path(jets).read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    Path(jets).write_bytes(content[: -8 - length] + b"\xff" * length + content[-8:])
    with pytest.raises(EventsError) as caught:
        open_events(jets)
    assert caught.value.what == f"The metadata of {jets} cannot be read."


def test_encrypted(jets, refused) -> None:
    Path(jets).write_bytes(Path(jets).read_bytes()[:-4] + b"PARE")
    message = """
DIR/jets.parquet is encrypted.
  expected: a Parquet file without encryption
  do:       write it again without encryption
"""
    refused(EventsError, message, open_events, jets)


def test_removed_while_in_use(jets, refused) -> None:
    source = open_events(jets)
    Path(jets).unlink()
    with pytest.raises(EventsError) as caught:
        list(source.batches(["pt"]))
    assert caught.value.what == f"{jets} can no longer be opened."


@pytest.mark.parametrize("seed", range(12))
def test_damage_anywhere_is_an_events_error_or_harmless(jets, seed) -> None:
    random = np.random.default_rng(seed)
    content = bytearray(Path(jets).read_bytes())
    start = int(random.integers(0, len(content) - 64))
    content[start : start + 64] = random.bytes(64)
    Path(jets).write_bytes(bytes(content))
    try:
        for _ in open_events(jets).batches(["row", "pt", "eta", "y", "s", "other"]):
            pass
    except EventsError as error:
        assert jets in str(error)  # noqa: PT017  (it may also be harmless)


def test_a_dotted_name_and_its_stem_are_two_columns(write) -> None:
    path = write({"jet.pt": [1.0, 2.0], "jet": [3.0, 4.0]})
    for name in ("jet.pt", "jet"):
        (block,) = open_events(path).batches([name])
        assert block.batch.schema.names == [name]


def test_nan_in_statistics_prunes_nothing_wrongly(write) -> None:
    values = np.array([np.nan, 1.0, 2.0, np.nan, np.nan, np.nan, -5.0, np.nan])
    path = write({"pt": values, "y": [0, 1] * 4}, row_group_size=2)
    assert list(numbered(path, "pt >= 1"))[:2] == [0, 1]


def test_without_statistics_all_is_read(write) -> None:
    path = write({"pt": np.arange(100.0)}, row_group_size=10, write_statistics=False)
    assert len(numbered(path, "pt > 1000")) == 100


VALUES = {
    "int8": st.integers(-128, 127),
    "uint64": st.integers(0, 2**64 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float32": st.floats(width=32),
    "float64": st.floats(),
    "string": st.text(max_size=4),
    "bool": st.booleans(),
}


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_pruning_never_loses_an_event(tmp_path, data) -> None:
    kind = data.draw(st.sampled_from(sorted(VALUES)))
    values = data.draw(st.lists(st.none() | VALUES[kind], min_size=1, max_size=12))
    arrow = {"float32": pa.float32(), "float64": pa.float64(), "bool": pa.bool_()}.get(kind)
    column = pa.array(values, arrow or pa.type_for_alias(kind))
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({"v": column, "row": range(len(values))}), path, row_group_size=2)
    if kind == "bool":
        text = data.draw(st.sampled_from(["v", "NOT v", "v == true"]))
    else:
        literal = data.draw(st.sampled_from([v for v in values if v is not None] or [0]))
        if kind == "string":
            literal = str(literal)
            quote = '"' if '"' not in literal else "'"
            if quote in literal:
                return
            written = f"{quote}{literal}{quote}"
        elif literal != literal or literal in (float("inf"), float("-inf")):
            written = "0"
        else:
            written = repr(literal)
        operator = data.draw(st.sampled_from(["==", "<", "<=", ">", ">=", "!="]))
        forms = ("v {0} {1}", "{1} {0} v", "v in [{1}]", "NOT v {0} {1}")
        text = data.draw(st.sampled_from(forms)).format(operator, written)
    expression = parse(text)
    wanted, found = [], []
    for where, rows in (((), wanted), (expression.pruning(), found)):
        for block in open_events(path).batches(["v", "row"], where):
            selected = expression.evaluate(block.batch)
            rows.extend(block.first_row + np.flatnonzero(selected))
            assert block.batch.column(1)[0].as_py() == block.first_row
    assert wanted == found, text
