"""Paths, globs and formats: which files are opened, and what is said of those that are not."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steepest.errors import EventsError
from steepest.events import open_events, paths
from steepest.events.formats import damage
from steepest.events.formats import registry as formats

PT = {"pt": np.arange(10.0), "y": [0, 1] * 5}


def test_one_file(write) -> None:
    path = write(PT)
    source = open_events(path)
    assert source.path == path
    assert source.files == [path]
    assert source.rows == 10
    assert source.schema.names == ["pt", "y"]


def test_a_path_object_will_do(write) -> None:
    assert open_events(Path(write(PT))).rows == 10


def test_a_glob_is_sorted_and_skips_folders(write, tmp_path) -> None:
    for name in ("b.parquet", "a.parquet", "c.parquet"):
        write(PT, name)
    (tmp_path / "d.parquet").mkdir()
    source = open_events(str(tmp_path / "*.parquet"))
    assert [Path(file).name for file in source.files] == ["a.parquet", "b.parquet", "c.parquet"]
    assert source.rows == 30


def test_a_glob_goes_through_folders(write, tmp_path) -> None:
    write(PT, "2024/a.parquet")
    write(PT, "2025/deep/a.parquet")
    assert open_events(str(tmp_path / "**" / "*.parquet")).rows == 20


def test_a_list_keeps_its_order(write) -> None:
    paths = [write(PT, "b.parquet"), write(PT, "a.parquet")]
    source = open_events(paths)
    assert source.files == paths
    assert source.path == paths


def test_a_name_with_wildcards_is_that_file(write) -> None:
    assert open_events(write(PT, "jets[1].parquet")).rows == 10


def test_the_home_folder(write, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(PT)
    assert open_events("~/jets.parquet").rows == 10


def test_what_a_file_is_counts_not_its_suffix(write) -> None:
    assert open_events(write(PT, "jets.data")).rows == 10


def test_embedded_samples_mix_with_files(write, monkeypatch) -> None:
    packaged = Path(write(PT, "packaged.parquet"))
    monkeypatch.setattr(paths, "embedded_path", lambda text: packaged)
    assert open_events(["embedded:some-jets", write(PT)]).rows == 20


def test_a_format_is_registered_by_its_module(write, tmp_path, monkeypatch) -> None:
    class Lines:
        NAME, SUFFIXES, MAGIC = "Lines", (".lines",), b""

        @staticmethod
        def open_file(path: Path):
            return formats.parquet.open_file(path.with_suffix(".parquet"))

    monkeypatch.setattr(formats, "FORMATS", (formats.parquet, Lines))
    write(PT)
    (tmp_path / "jets.lines").write_text("1\n2\n")
    assert open_events(str(tmp_path / "jets.lines")).rows == 10


def test_an_empty_file_among_many_is_legal(write) -> None:
    empty = pa.table({"pt": pa.array([], pa.float64()), "y": pa.array([], pa.int64())})
    source = open_events([write(empty, "a.parquet"), write(PT, "b.parquet")])
    blocks = list(source.batches(["pt"]))
    assert [(block.file, block.first_row, block.batch.num_rows) for block in blocks] == [(1, 0, 10)]


def test_the_fingerprint_changes_with_the_events(write) -> None:
    first = open_events(write(PT)).fingerprint()
    size = os.path.getsize(first["path"])
    again = open_events(write(PT)).fingerprint()
    other = open_events(write({**PT, "pt": np.arange(10.0) + 1})).fingerprint()
    assert first == again
    assert first != other
    (file,) = first["files"]
    assert file["name"] == "jets.parquet"
    assert file["rows"] == 10
    assert file["size"] == size
    assert file["sha256_of"] == "content"
    assert len(file["sha256"]) == 64


def test_large_files_are_fingerprinted_by_their_footer(write, monkeypatch) -> None:
    monkeypatch.setattr(formats.parquet, "SMALL", 100)
    first = open_events(write(PT)).fingerprint()["files"][0]
    other = open_events(write({**PT, "pt": np.arange(10.0) + 1})).fingerprint()["files"][0]
    assert first["sha256_of"] == "footer"
    assert first["sha256"] != other["sha256"]


# --- messages -----------------------------------------------------------------------------------


def test_missing_file(write, refused, tmp_path) -> None:
    write(PT)
    message = """
There is no file DIR/jet.parquet.
  found:    in DIR: jets.parquet
  do:       write DIR/jets.parquet
"""
    refused(EventsError, message, open_events, str(tmp_path / "jet.parquet"))


def test_missing_folder(refused, tmp_path) -> None:
    message = """
There is no file DIR/data/jets.parquet.
  found:    there is no folder DIR/data
  do:       check the path
"""
    refused(EventsError, message, open_events, str(tmp_path / "data" / "jets.parquet"))


def test_folder(write, refused, tmp_path) -> None:
    write(PT)
    message = """
DIR is a folder.
  expected: a file, or a glob over files
  found:    in DIR: jets.parquet
  do:       write DIR/*.parquet
"""
    refused(EventsError, message, open_events, str(tmp_path))


def test_empty_glob(write, refused, tmp_path) -> None:
    for name in "abcdefg":
        write(PT, f"{name}.parquet")
    message = """
No file matches DIR/*.pq.
  expected: at least one file
  found:    in DIR: a.parquet, b.parquet, c.parquet, d.parquet, e.parquet and 2 more
  do:       check the pattern: * stands for any part of a name, ** for any folders
"""
    refused(EventsError, message, open_events, str(tmp_path / "*.pq"))


def test_empty_glob_in_a_folder_that_is_missing(refused, tmp_path) -> None:
    message = """
No file matches DIR/data/*/a*.parquet.
  expected: at least one file
  found:    there is no folder DIR/data
  do:       check the pattern: * stands for any part of a name, ** for any folders
"""
    refused(EventsError, message, open_events, str(tmp_path / "data" / "*" / "a*.parquet"))


def test_no_path(refused) -> None:
    message = """
No path to events is given.
  do:       set events.path to a file or a glob
"""
    refused(EventsError, message, open_events, [])


def test_a_file_twice(write, refused, tmp_path) -> None:
    path = write(PT)
    message = """
DIR/jets.parquet is given twice, so its events would count twice.
  expected: each file once
  do:       remove one of the paths, or make the globs disjoint
"""
    refused(EventsError, message, open_events, [path, str(tmp_path / "*.parquet")])


WRONG = {
    b"pt,eta\n1,2\n": (
        "text that begins with 'pt,eta'",
        "the file was renamed, or written by another tool",
        "give a Parquet file",
    ),
    b"\n<!DOCTYPE html>\n<html>": (
        "a web page: it begins with '<!DOCTYPE html>'",
        "a download that was answered with an error or a login page",
        "download it again",
    ),
    b"version https://git-lfs.github.com/spec/v1\noid sha256:12": (
        "a pointer of Git LFS: it begins with 'version https://git-lfs.github.com/spec/'",
        "the content was not fetched with the repository",
        "git lfs pull",
    ),
    b"\x93NUMBA\x01\x00v\x00": (
        r"binary data that begin with b'\x93NUMBA\x01\x00'",
        "the file was renamed, or written by another tool",
        "give a Parquet file",
    ),
    b"": (
        "an empty file",
        "a copy, download or job was stopped before it wrote anything",
        "make it again",
    ),
}


@pytest.mark.parametrize("content", WRONG)
def test_not_what_its_name_says(content, refused, tmp_path) -> None:
    path = tmp_path / "jets.parquet"
    path.write_bytes(content)
    found, cause, do = WRONG[content]
    message = f"""
DIR/jets.parquet is named as Parquet but is not Parquet.
  expected: a file that begins with b'PAR1'
  found:    {found}
  cause:    {cause}
  do:       {do}
"""
    refused(EventsError, message, open_events, str(path))


def test_unknown_format(refused, tmp_path) -> None:
    path = tmp_path / "jets.xml"
    path.write_text("<jets>\n<jet/>\n")
    message = """
The format of DIR/jets.xml is not known.
  expected: Parquet (.parquet, .pq); ROOT (.root); HDF5 (.h5, .hdf5, .hdf); \
NumPy (.npy, .npz); CSV (.csv, .tsv)
  found:    text that begins with '<jets>'
  do:       write the events as Parquet
"""
    refused(EventsError, message, open_events, str(path))


def test_a_part_of_a_file_without_parts(write, refused) -> None:
    message = """
DIR/jets.parquet:tree names a part of a file, but a Parquet file has no parts.
  expected: DIR/jets.parquet alone
  found:    'tree'
  do:       write DIR/jets.parquet
"""
    refused(EventsError, message, open_events, write(PT) + ":tree")


def test_a_colon_in_a_name_is_no_part(write) -> None:
    assert open_events(write(PT, "run:1.parquet")).rows == 10
    assert open_events(write(PT, "run.parquet:1")).rows == 10


def test_unreadable(write, refused, monkeypatch) -> None:
    path = write(PT)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    message = """
DIR/jets.parquet cannot be read.
  expected: a readable file
  found:    Permission denied
  cause:    its permissions or those of its folder
  do:       chmod u+r DIR/jets.parquet
"""
    refused(EventsError, message, open_events, path)


def test_zero_rows(write, refused) -> None:
    message = """
There are no events in DIR/jets.parquet.
  expected: at least one row
  found:    0 rows, 1 column
  cause:    the job that wrote it selected nothing, or stopped before its first event
  do:       check that job, or give another file
"""
    refused(EventsError, message, open_events, write({"pt": pa.array([], pa.float64())}))


def test_a_file_lacks_a_column(write, refused) -> None:
    paths = [write(PT, "a.parquet"), write({"pt": [1.0]}, "b.parquet")]
    source = open_events(paths)
    assert sum(block.batch.num_rows for block in source.batches(["pt"])) == 11
    message = """
DIR/b.parquet has no column 'y', which DIR/a.parquet has.
  expected: a column 'y' in each of the 2 files
  found:    pt
  cause:    the files come from different jobs or versions
  do:       leave that file out, or write the column into it
"""
    refused(EventsError, message, lambda: list(source.batches(["pt", "y"])))


def test_a_column_of_another_type(write, refused) -> None:
    other = {"pt": np.arange(3, dtype=np.int32), "y": [0, 1, 0]}
    source = open_events([write(PT, "a.parquet"), write(other, "b.parquet")])
    message = """
The column 'pt' has another type in DIR/b.parquet than in DIR/a.parquet.
  expected: double
  found:    int32
  cause:    the files come from different jobs or versions
  do:       write that file again with 'pt' cast to double
"""
    refused(EventsError, message, lambda: list(source.batches(["pt"])))


def test_missing_column(write, refused) -> None:
    source = open_events(write({"tau1": [1.0], "tau3": [2.0], "mass": [3.0]}))
    message = """
There is no column 'tua3' in DIR/jets.parquet.
  expected: one of tau1, tau3, mass
  found:    'tua3'
  do:       write 'tau3'
"""
    refused(EventsError, message, lambda: list(source.batches(["tua3"])))


def test_a_column_twice(tmp_path, refused) -> None:
    table = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["pt", "pt"])
    pq.write_table(table, tmp_path / "jets.parquet")
    source = open_events(str(tmp_path / "jets.parquet"))
    message = """
DIR/jets.parquet has 2 columns of the name 'pt'.
  expected: one column of each name
  cause:    a join that kept both sides
  do:       rename one of them in the file
"""
    refused(EventsError, message, lambda: list(source.batches(["pt"])))


def test_large_files_of_other_formats_are_fingerprinted_by_samples(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(damage, "SMALL", 1000)
    monkeypatch.setattr(damage, "SAMPLE", 10)
    found = []
    for row in (0, 0, 4999):
        lines = ["1,0"] * 5000
        lines[row] = "2,0"
        (tmp_path / "jets.csv").write_text("pt,y\n" + "\n".join(lines))
        found.append(open_events(str(tmp_path / "jets.csv")).fingerprint()["files"][0])
    assert found[0] == found[1] != found[2]
    assert found[0]["sha256_of"] == "samples"
