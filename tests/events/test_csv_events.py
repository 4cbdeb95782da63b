"""CSV and TSV: layout and types are found, no value changes, what is wrong is named by its row."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steepest.errors import EventsError
from steepest.events import load_sample, open_events
from steepest.events.formats import csv
from steepest.recipe import EventsRecipe


@pytest.fixture
def written(tmp_path):
    def write(text: str | bytes, name: str = "jets.csv") -> str:
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def table(path: str, columns: list[str] | None = None, batch_rows: int = 65_536) -> dict:
    """Return all values of the columns, checking that rows count through."""
    source = open_events(path)
    columns = columns or source.schema.names
    found: dict = {name: [] for name in columns}
    row = 0
    for block in source.batches(columns, batch_rows=batch_rows):
        assert block.first_row == row
        assert block.batch.num_rows <= batch_rows
        assert block.batch.schema.names == columns
        row += block.batch.num_rows
        for name, values in block.batch.to_pydict().items():
            found[name] += values
    assert row == source.rows
    return found


def types(path: str) -> dict[str, str]:
    return {field.name: str(field.type) for field in open_events(path).schema}


LAYOUTS = {
    "comma": "pt,y\n1.5,0\n2.5,1\n",
    "tab": "pt\ty\n1.5\t0\n2.5\t1\n",
    "semicolon": "pt;y\n1.5;0\n2.5;1\n",
    "windows": "pt,y\r\n1.5,0\r\n2.5,1\r\n",
    "no newline at the end": "pt,y\n1.5,0\n2.5,1",
    "blank lines": "\n\npt,y\n1.5,0\n\n2.5,1\n\n",
    "spaces": "pt, y\n1.5, 0\n 2.5, 1\n",
    "quotes": '"pt","y"\n"1.5","0"\n"2.5","1"\n',
    "blanks": "pt y\n1.5 0\n2.5 1\n",
    "aligned": "  pt     y\n 1.5     0\n  2.5    1 \n",
    "blanks and tabs": "pt\ty\n 1.5\t0\n2.5\t 1\n",
    "comments": "# made by job 7, tag v2\n# it's \"one\n\npt,y\n1.5,0\n2.5,1\n",
    "NumPy's header": "#pt,y\n1.5,0\n2.5,1\n",
    "NumPy's default": "# pt y\n1.500000000000000000e+00 0\n2.5e0 1\n",
    "byte order mark": "\ufeffpt,y\n1.5,0\n2.5,1\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_rows", [1, 65_536])
def test_layouts(layout, batch_rows, written) -> None:
    found = table(written(LAYOUTS[layout]), batch_rows=batch_rows)
    assert found == {"pt": [1.5, 2.5], "y": [0, 1]}


@pytest.mark.parametrize("name", ["higgs.train", "higgs.tsv", "higgs.csv", "higgs"])
def test_without_a_header_columns_are_counted(name, written) -> None:
    path = written("1\t0.5\t-2\n0\t0.25\t3\n", name)
    assert table(path) == {"c0": [1, 0], "c1": [0.5, 0.25], "c2": [-2, 3]}


@pytest.mark.parametrize("comment", ["# made by job 7, tag v2", "# 2024, 11", "# pt", "#"])
def test_a_comment_that_is_no_header(comment, written) -> None:
    assert table(written(f"{comment}\n1.5,0\n2.5,1\n")) == {"c0": [1.5, 2.5], "c1": [0, 1]}


def test_units_in_numpys_header(written) -> None:
    assert table(written("# pt [GeV], y\n1.5,0\n")) == {"pt [GeV]": [1.5], "y": [0]}


def test_one_column_with_blanks_in_its_name(written) -> None:
    assert table(written("jet pt\n1.5\n2.5\n")) == {"jet pt": [1.5, 2.5]}


MARKERS = ["NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-", ""]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("row", [0, 3, 150])
def test_markers_of_missing_numbers(marker, row, written, monkeypatch) -> None:
    monkeypatch.setattr(csv, "FIRST", 100)
    monkeypatch.setattr(csv, "BLOCK", 256)
    cells = [[str(i), f"{i}.5", "true", f"t{i}"] for i in range(200)]
    cells[row] = [marker] * 4
    path = written("i,f,b,t\n" + "".join(",".join(row) + "\n" for row in cells))
    assert types(path) == {"i": "int64", "f": "double", "b": "bool", "t": "string"}
    found = table(path, batch_rows=7)
    expected = {"i": list(range(200)), "f": [i + 0.5 for i in range(200)], "b": [True] * 200}
    for name, values in expected.items():
        assert found[name][:row] + found[name][row + 1 :] == values[:row] + values[row + 1 :]
    assert (found["i"][row], found["b"][row]) == (None, None)
    assert found["f"][row] is None or np.isnan(found["f"][row])
    assert found["t"][row] == (marker or None)  # among text it is text


def test_markers_are_said_with_their_counts(written) -> None:
    rows = [f"{i},{i / 7},{i % 2}" for i in range(100)]
    rows[4], rows[9], rows[50] = "NA,0.1,0", "NA,-,1", "NULL,0.3,1"
    path = written("i,f,y\n" + "\n".join(rows))
    features = [{"name": name, "value": name, "fill": "median"} for name in ("i", "f")]
    sample = load_sample(EventsRecipe(path=path, label="y", features=features))
    assert sample.notes[-3:-1] == [
        f"{path} has missing values in the column 'i': 2 written as NA, 1 written as NULL.",
        f"{path} has missing values in the column 'f': 1 written as -.",
    ]
    assert np.isnan(sample.features).sum() == 4


def test_a_value_that_is_none_beside_a_marker(written) -> None:
    path = written("i,y\n" + "1,0\n" * 10_000 + "NA,1\nx,1\n")
    with pytest.raises(EventsError, match="'i' at row 10001 that is not a number"):
        table(path)


def test_a_row_of_another_length_among_blanks(written) -> None:
    with pytest.raises(EventsError, match=r"at row 1 \(line 4\)"):
        open_events(written("# job 7\npt  y\n1   0\n2\n"))


def test_a_column_without_a_name_is_called_by_its_place(written) -> None:
    assert table(written(",pt\n0,1.5\n1,2.5\n")) == {"c0": [0, 1], "pt": [1.5, 2.5]}


def test_types_follow_from_all_values(written) -> None:
    text = "i,f,b,t,late,empty\n1,1.5,true,top,7,\n-2,inf,False,qcd,8,\n3,nan,,1,9.5,\n"
    assert types(written(text)) == {
        "i": "int64", "f": "double", "b": "bool", "t": "string", "late": "double", "empty": "null",
    }  # fmt: skip
    found = table(written(text), ["b", "t", "late"])
    assert found == {"b": [True, False, None], "t": ["top", "qcd", "1"], "late": [7.0, 8.0, 9.5]}


def test_integers_keep_every_digit(written) -> None:
    path = written("n,long,mixed\n9007199254740993,18446744073709551615,1\n1,2,2.5\n")
    assert types(path) == {"n": "int64", "long": "string", "mixed": "double"}
    assert table(path, ["n", "long"]) == {
        "n": [9007199254740993, 1],
        "long": ["18446744073709551615", "2"],
    }


@pytest.mark.parametrize("late", ["0.5", "x", "18446744073709551616", "true", "1e3"])
def test_what_comes_after_the_first_rows(late, written, monkeypatch) -> None:
    monkeypatch.setattr(csv, "FIRST", 3)
    monkeypatch.setattr(csv, "BLOCK", 64)
    path = written("n,y\n" + "1,0\n" * 200 + f"{late},1\n")
    if late in ("x", "true"):
        with pytest.raises(EventsError, match="column 'n' at row 200 that is not a number"):
            table(path)
        assert table(path, ["y"])["y"][-1] == 1  # a column that is not used is not read
    else:
        kept = late if late.isdigit() else float(late)
        assert table(path)["n"][-1] == kept
    assert table(path, ["y"], batch_rows=7)["y"] == [0] * 200 + [1]


def test_a_column_that_is_empty_at_first(written, monkeypatch) -> None:
    monkeypatch.setattr(csv, "FIRST", 2)
    monkeypatch.setattr(csv, "BLOCK", 64)
    path = written("n,y\n" + ",0\n" * 100 + "2.5,1\n")
    assert table(path, ["n"])["n"] == [None] * 100 + [2.5]


def test_only_the_columns_asked_for_are_converted(written) -> None:
    path = written("pt,bad,y\n1.5,1,0\n2.5,2,1\n")
    assert table(path, ["y", "pt"]) == {"y": [0, 1], "pt": [1.5, 2.5]}


def test_quoted_newlines_and_separators(written) -> None:
    found = table(written('pt,name\n1,"a,b"\n2,"c\nd"\n'))
    assert found == {"pt": [1, 2], "name": ["a,b", "c\nd"]}


def test_training_from_csv(written) -> None:
    rows = "".join(f"{i % 2},{i / 7}\n" for i in range(100))
    sample = load_sample(EventsRecipe(path=written("y,pt\n" + rows), label="y", select="pt > 1"))
    assert sample.names == ("pt",)
    assert sample.rows[0] == 8
    (file,) = sample.source["files"]
    assert file["sha256_of"] == "content"
    assert file["rows"] == 100


def test_many_files(written, tmp_path) -> None:
    written("pt,y\n1.5,0\n", "a.csv")
    written("y,pt\n1,2.5\n", "b.csv")
    blocks = list(open_events(str(tmp_path / "*.csv")).batches(["pt"]))
    assert [block.batch.to_pydict() for block in blocks] == [{"pt": [1.5]}, {"pt": [2.5]}]


VALUE = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "bool": st.booleans(),
}


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_numbers_come_back_as_they_were(tmp_path, data) -> None:
    kind = data.draw(st.sampled_from(sorted(VALUE)))
    values = data.draw(st.lists(VALUE[kind], min_size=1, max_size=20))
    path = tmp_path / "p.csv"
    path.write_text("v,row\n" + "".join(f"{value!r},{i}\n" for i, value in enumerate(values)))
    assert table(str(path), ["v"])["v"] == values
    assert types(str(path))["v"] == kind


# --- messages -----------------------------------------------------------------------------------


def test_a_value_that_does_not_parse(written, refused) -> None:
    rows = "".join(f"{i},{i % 2}\n" for i in range(12_000))
    path = written("pt,y\n" + rows + "12.5GeV,1\n")
    message = """
DIR/jets.csv has a value in column 'pt' at row 12000 that is not a number.
  expected: a number, as in the rows before
  found:    '12.5GeV'
  cause:    a line that was damaged or written by hand, or two files joined
  do:       correct that line; an empty cell is a missing value
"""
    refused(EventsError, message, lambda: list(open_events(path).batches(["pt"])))


def test_a_value_that_is_no_boolean(written, refused) -> None:
    path = written("b,y\n" + "true,1\n" * 10_000 + "yes,0\n")
    message = """
DIR/jets.csv has a value in column 'b' at row 10000 that is not true or false.
  expected: true or false, as in the rows before
  found:    'yes'
  cause:    a line that was damaged or written by hand, or two files joined
  do:       correct that line; an empty cell is a missing value
"""
    refused(EventsError, message, lambda: list(open_events(path).batches(["b"])))


def test_a_row_of_another_length(written, refused) -> None:
    message = """
DIR/jets.csv has another number of cells at row 2 (line 5).
  expected: 3 cells, as in the first row
  found:    2: '7,8'
  cause:    the file is cut short, or text holds the separator and is not quoted
  do:       correct that line, or write the file again
"""
    refused(EventsError, message, open_events, written("pt,eta,y\n1,2,3\n\n4,5,6\n7,8\n"))


def test_numbers_and_text_without_a_header(written, refused) -> None:
    message = """
The first line of DIR/jets.csv is neither names nor numbers.
  expected: a header without numbers, or a row of numbers alone
  found:    'top' and '1.5'
  cause:    a table with a column of text and no header
  do:       write the columns' names as the first line
"""
    refused(EventsError, message, open_events, written("top,1.5\nqcd,2.5\n"))


def test_another_encoding(written, refused) -> None:
    path = written("name,y\nJürgen,1\n".encode("latin-1"))
    with pytest.raises(EventsError) as caught:
        open_events(path)
    assert caught.value.what == f"{path} is not text in UTF-8."
    assert caught.value.details["do"] == f"iconv -f latin1 -t utf-8 {path} > converted.csv"


def test_a_header_alone(written, refused) -> None:
    message = """
There are no events in DIR/jets.csv.
  expected: at least one row
  found:    0 rows, 2 columns
  cause:    the job that wrote it selected nothing, or stopped before its first event
  do:       check that job, or give another file
"""
    refused(EventsError, message, open_events, written("pt,y\n"))


def test_a_name_twice(written, refused) -> None:
    message = """
DIR/jets.csv has 2 columns of the name 'pt'.
  expected: one column of each name
  cause:    a join that kept both sides
  do:       rename one of them in the file
"""
    path = written("pt,pt,y\n1,2,3\n")
    refused(EventsError, message, lambda: list(open_events(path).batches(["pt"])))


def test_a_file_of_another_type(written, refused, tmp_path) -> None:
    written("pt,y\n1.5,0\n", "a.csv")
    written("pt,y\n2,0\n", "b.csv")
    message = """
The column 'pt' has another type in DIR/b.csv than in DIR/a.csv.
  expected: double
  found:    int64
  cause:    the files come from different jobs or versions
  do:       write that file again with 'pt' cast to double
"""
    source = open_events(str(tmp_path / "*.csv"))
    refused(EventsError, message, lambda: list(source.batches(["pt"])))


def test_binary_data_named_as_csv(written, refused) -> None:
    message = """
DIR/jets.csv is named as CSV but is not CSV.
  expected: lines of text
  found:    data compressed by gzip
  cause:    the file was compressed as a whole
  do:       gunzip it
"""
    refused(EventsError, message, open_events, written(b"\x1f\x8b\x08\x00\x00\x00"))


def test_no_parts(written, refused) -> None:
    message = """
DIR/jets.csv:tree names a part of a file, but a CSV file has no parts.
  expected: DIR/jets.csv alone
  found:    'tree'
  do:       write DIR/jets.csv
"""
    refused(EventsError, message, open_events, written("pt,y\n1,2\n") + ":tree")


def test_removed_while_in_use(written, refused) -> None:
    path = written("pt,y\n1,2\n")
    source = open_events(path)
    Path(path).unlink()
    with pytest.raises(EventsError) as caught:
        list(source.batches(["pt"]))
    assert caught.value.what == f"{path} can no longer be opened."


def test_what_the_parser_refuses_otherwise(written, refused, monkeypatch) -> None:
    def refuse(*_):
        raise pa.ArrowInvalid("straddling object")

    monkeypatch.setattr(csv, "stream", refuse)
    message = """
DIR/jets.csv cannot be read.
  found:    straddling object
  cause:    the file was damaged while it was copied or stored
"""
    refused(EventsError, message, open_events, written("pt,y\n1,2\n"))


def test_memory_does_not_grow_with_the_file(written, monkeypatch) -> None:
    monkeypatch.setattr(csv, "BLOCK", 2**16)
    path = written("pt,eta,y\n" + "1.5,2.5,1\n" * 1_000_000)
    before = pa.total_allocated_bytes()
    most = 0
    for block in open_events(path).batches(["pt"], batch_rows=10_000):
        most = max(most, pa.total_allocated_bytes() - before)
        del block
    assert os.path.getsize(path) > 9_000_000
    assert most < 4_000_000  # some 30 blocks
