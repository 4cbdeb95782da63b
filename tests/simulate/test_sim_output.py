from __future__ import annotations

import errno
import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steepest.errors import InputError, SteepestError
from steepest.simulate import output as output_module
from steepest.simulate import production
from steepest.simulate.blocks import Plan
from steepest.simulate.columns import COLUMNS, label
from steepest.simulate.output import Output, bytes_expected, check_target

Usage = namedtuple("Usage", "total used free")


def block(first: int, rows: int) -> pa.Table:
    """Rows of noise, which no compression makes small."""
    rng = np.random.default_rng(first)
    jets = {}
    for column in COLUMNS[:-4]:  # the others are labels
        nested = pa.types.is_list(column.type)
        numbers = pa.array(rng.random(rows * 20 if nested else rows) * 100)
        values = numbers.cast(column.type.value_type if nested else column.type, safe=False)
        offsets = np.arange(0, rows * 20 + 1, 20)
        jets[column.name] = pa.ListArray.from_arrays(offsets, values) if nested else values
    labels = np.zeros(rows, dtype=np.int8)
    return label(pa.table(jets), labels, [("qcd", 0)], np.arange(first, first + rows))


def write(path: Path, blocks: int) -> Output:
    output = Output(path, {"key": "value"})
    for index in range(blocks):
        output.add(block(index * 10, 10))
        if output.full:
            break
    return output


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "ROW_GROUP", 20)
    monkeypatch.setattr(output_module, "RESERVE", 2**16)


@pytest.mark.usefixtures("small")
def test_row_groups_and_metadata(tmp_path):
    path = tmp_path / "jets.parquet"
    write(path, 5).finish()
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(g).num_rows for g in range(3)] == [20, 20, 10]
    assert file.schema_arrow.metadata[b"key"] == b"value"
    assert file.read()["event_number"].to_pylist() == list(range(50))
    assert os.listdir(tmp_path) == ["jets.parquet"]
    column = file.metadata.row_group(0).column(0)
    assert (column.compression, column.statistics.has_min_max) == ("ZSTD", True)


@pytest.mark.usefixtures("small")
def test_until_it_is_finished_the_old_file_stays(tmp_path):
    path = tmp_path / "jets.parquet"
    path.write_text("precious")
    output = write(path, 2)
    assert path.read_text() == "precious"
    output.finish()
    assert pq.read_metadata(path).num_rows == 20


@pytest.mark.usefixtures("small")
def test_an_empty_file_is_no_file(tmp_path):
    write(tmp_path / "jets.parquet", 0).finish()
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("small")
def test_a_discarded_file_leaves_nothing(tmp_path):
    write(tmp_path / "jets.parquet", 3).discard()
    assert os.listdir(tmp_path) == []


class FullDisk:
    """Lets `room` bytes be written, and `more` once the reserve is given back."""

    def __init__(self, room: int, more: int) -> None:
        self.room, self.more, self.write = room, more, os.write

    def __call__(self, descriptor: int, data: memoryview) -> int:
        if self.room <= 0:
            self.room, self.more = self.more, 0
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = self.write(descriptor, data[: self.room])
        self.room -= count
        return count


@pytest.mark.usefixtures("small")
def test_a_disk_that_fills_up_keeps_what_was_made(tmp_path, monkeypatch):
    path = tmp_path / "jets.parquet"
    monkeypatch.setattr(output_module.os, "write", FullDisk(room=15_000, more=100_000))
    output = write(path, 20)
    output.finish()
    assert output.full
    assert 20 <= output.rows < 200
    assert pq.read_table(path)["event_number"].to_pylist() == list(range(output.rows))
    assert os.listdir(tmp_path) == ["jets.parquet"]


@pytest.mark.usefixtures("small")
def test_a_disk_without_even_the_reserve(tmp_path, monkeypatch):
    path = tmp_path / "jets.parquet"
    monkeypatch.setattr(output_module.os, "write", FullDisk(room=15_000, more=0))
    with pytest.raises(InputError) as caught:
        write(path, 20)
    assert str(caught.value) == (
        f"The jets cannot be written to {str(path)!r}.\n"
        "  expected: a folder that can be written to, with room\n"
        "  found:    No space left on device\n"
        "  cause:    missing rights, a read-only disk or a full one\n"
        "  do:       give another folder with --out"
    )


def produce_from(blocks, path: Path, monkeypatch: pytest.MonkeyPatch, jets: int = 100):
    """Run the whole production on blocks of noise instead of Pythia's."""
    monkeypatch.setattr(production, "blocks", lambda plan, workers, stop, on_progress: blocks)
    monkeypatch.setattr(production, "describe", lambda plan: {})
    return production.produce(Plan(jets=jets, jets_per_block=5), path)


def noise(count: int, error: BaseException | None = None):
    for index in range(count):
        yield block(index * 10, 10)
    if error:
        raise error


@pytest.mark.usefixtures("small")
def test_a_full_disk_is_told(tmp_path, monkeypatch):
    path = tmp_path / "jets.parquet"
    monkeypatch.setattr(output_module.os, "write", FullDisk(room=15_000, more=100_000))
    with pytest.raises(InputError) as caught:
        produce_from(noise(10), path, monkeypatch)
    rows = pq.read_metadata(path).num_rows
    assert str(caught.value) == (
        f"The disk is full: the first {rows} of 100 jets ({rows // 2} of each process) are in "
        f"{str(path)!r}.\n"
        "  expected: room for all the jets\n"
        "  found:    no space left on the disk\n"
        "  cause:    other files, or many jets with all their constituents\n"
        "  do:       free some space, or store less with --leading and --bits; then --overwrite"
    )
    assert caught.value.exit_code == 1


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (3, "the first 30 of 100 jets (15 of each process) are in {path!r}"),
        (0, "not even the first 10 jets, nothing was written"),
    ],
)
def test_a_worker_that_dies_is_told(tmp_path, monkeypatch, count, kept):
    from concurrent.futures.process import BrokenProcessPool

    path = tmp_path / "jets.parquet"
    with pytest.raises(SteepestError) as caught:
        produce_from(noise(count, BrokenProcessPool()), path, monkeypatch)
    found = kept.format(path=str(path))
    assert str(caught.value) == (
        "A worker process ended before its jets were done.\n"
        "  expected: workers that run to their end\n"
        f"  found:    {found}\n"
        '  cause:    too little memory, or a script without `if __name__ == "__main__":`\n'
        "  do:       fewer --workers; in a script put the call under that line"
    )
    assert path.exists() == bool(count)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("unforeseen")])
def test_any_other_error_keeps_the_blocks_too(tmp_path, monkeypatch, error):
    path = tmp_path / "jets.parquet"
    with pytest.raises(type(error)):
        produce_from(noise(4, error), path, monkeypatch)
    assert pq.read_metadata(path).num_rows == 40


def test_no_folder(tmp_path):
    path = tmp_path / "nowhere" / "jets.parquet"
    with pytest.raises(InputError) as caught:
        check_target(path, overwrite=False, expected=1)
    assert str(caught.value) == (
        f"The jets cannot be written to {str(path)!r}.\n"
        "  expected: an existing folder\n"
        f"  found:    no folder {str(path.parent)!r}\n"
        "  cause:    a typing error, or the folder was not created yet\n"
        f"  do:       mkdir -p {path.parent}"
    )


def test_a_folder_instead_of_a_file(tmp_path):
    with pytest.raises(InputError) as caught:
        check_target(tmp_path, overwrite=True, expected=1)
    assert str(caught.value) == (
        f"The jets cannot be written to {str(tmp_path)!r}.\n"
        "  expected: the name of a file\n"
        "  found:    a folder of this name\n"
        "  do:       give a file name, such as --out jets.parquet"
    )


def test_an_existing_file_is_left_as_it_is(tmp_path):
    path = tmp_path / "jets.parquet"
    path.write_bytes(bytes(1234))
    with pytest.raises(InputError) as caught:
        check_target(path, overwrite=False, expected=1)
    assert str(caught.value) == (
        f"The file {str(path)!r} exists already; it was not changed.\n"
        "  expected: a new file name\n"
        "  found:    a file of 1,234 bytes\n"
        "  cause:    an earlier run wrote it\n"
        "  do:       give another --out, or --overwrite to replace it"
    )
    assert path.read_bytes() == bytes(1234)
    check_target(path, overwrite=True, expected=1)


def test_a_folder_without_the_right_to_write(tmp_path, monkeypatch):
    monkeypatch.setattr(output_module.os, "access", lambda path, mode: False)
    with pytest.raises(InputError) as caught:
        check_target(tmp_path / "jets.parquet", overwrite=False, expected=1)
    assert caught.value.details["found"] == "no permission to write in this folder"


def test_a_folder_that_refuses_after_all(tmp_path):
    """As some network disks do; here the folder vanishes between the check and the file."""
    with pytest.raises(InputError) as caught:
        Output(tmp_path / "gone" / "jets.parquet", {})
    assert caught.value.details["found"] == "No such file or directory"


def test_too_little_room(tmp_path, monkeypatch):
    monkeypatch.setattr(output_module.shutil, "disk_usage", lambda path: Usage(9, 8, 10**6))
    path = tmp_path / "jets.parquet"
    with pytest.raises(InputError) as caught:
        check_target(path, overwrite=False, expected=bytes_expected(10**6, None))
    assert str(caught.value) == (
        f"The disk has no room for {str(path)!r}.\n"
        "  expected: about 1,794 MB free\n"
        "  found:    1 MB free\n"
        "  cause:    a full disk, or many jets with all their constituents\n"
        "  do:       free some space, give another folder, or store less with --leading and --bits"
    )
