"""HDF5: datasets and compound fields as columns; what does not fit together is named."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from steepest.errors import EventsError, MissingExtraError
from steepest.events import load_sample, open_events
from steepest.events.formats import hdf5
from steepest.recipe import EventsRecipe

h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")

ROWS = 1000
ROW = np.arange(ROWS)
PROCESS = h5py.enum_dtype({"top": 1, "qcd": 2}, basetype="i1")


@pytest.fixture
def stored(tmp_path):
    """Write datasets, by their paths in the file, and return the file's path."""

    def store(datasets: dict, name: str = "jets.h5", **options) -> str:
        with h5py.File(tmp_path / name, "w") as file:
            for place, values in datasets.items():
                file.create_dataset(place, data=values, **options)
        return str(tmp_path / name)

    return store


def table(path: str, columns=None, batch_rows: int = 65_536) -> dict:
    source = open_events(path)
    columns = columns or source.schema.names
    found: dict = {name: [] for name in columns}
    row = 0
    for block in source.batches(columns, batch_rows=batch_rows):
        assert block.first_row == row
        assert block.batch.num_rows <= batch_rows
        assert block.batch.schema.types == [source.schema.field(name).type for name in columns]
        row += block.batch.num_rows
        for name, values in block.batch.to_pydict().items():
            found[name] += values
    assert row == source.rows
    return found


def types(path: str) -> dict[str, str]:
    return {field.name: str(field.type) for field in open_events(path).schema}


FLAT = {
    "pt": ROW / 10.0,
    "eta": (ROW / 7).astype(">f4"),
    "half": (ROW % 8).astype("f2"),
    "n": ROW.astype(">i8") + 2**53,
    "flag": ROW % 3 == 0,
    "y": (ROW % 2).astype("u1"),
}


@pytest.mark.parametrize("batch_rows", [33, 65_536])
@pytest.mark.parametrize("options", [{}, {"chunks": (100,), "compression": "gzip"}])
def test_datasets_of_a_group(stored, batch_rows, options) -> None:
    found = table(stored(FLAT, **options), batch_rows=batch_rows)
    assert found == {name: values.tolist() for name, values in FLAT.items()}


def test_types(stored) -> None:
    assert types(stored(FLAT)) == {
        "pt": "double", "eta": "float", "half": "halffloat", "n": "int64", "flag": "bool",
        "y": "uint8",
    }  # fmt: skip


def test_text(stored) -> None:
    path = stored({"fixed": np.array([b"top", b"qcd"]), "free": ["Jürgen", ""]})
    assert table(path) == {"fixed": ["top", "qcd"], "free": ["Jürgen", ""]}


def test_an_enumeration_is_text(tmp_path) -> None:
    path = str(tmp_path / "jets.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("process", data=np.array([1, 2, 3], dtype="i1"), dtype=PROCESS)
    assert table(path) == {"process": ["top", "qcd", "3"]}


def test_jagged_datasets_are_lists(tmp_path) -> None:
    path = str(tmp_path / "jets.h5")
    with h5py.File(path, "w") as file:
        made = file.create_dataset("pt", (3,), dtype=h5py.vlen_dtype(np.dtype("f4")))
        made[0], made[2] = [1.0, 2.0], [3.0]
    assert table(path) == {"pt": [[1.0, 2.0], [], [3.0]]}
    assert types(path) == {"pt": "list<item: float>"}


@pytest.mark.parametrize("options", [{}, {"chunks": True}, {"chunks": True, "compression": "lzf"}])
def test_two_dimensions_are_a_list_and_columns(tmp_path, options) -> None:
    matrix = np.arange(3.0 * ROWS).reshape(ROWS, 3)
    path = str(tmp_path / "jets.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=matrix, **options)
        file["y"] = FLAT["y"]
    assert types(path) == {
        "x": "list<item: double>", "x_0": "double", "x_1": "double", "x_2": "double",
        "y": "uint8",
    }  # fmt: skip
    found = table(path, batch_rows=33)
    assert found["x"] == matrix.tolist()
    assert [found[f"x_{i}"] for i in range(3)] == matrix.T.tolist()
    sample = load_sample(EventsRecipe(path=path, label="y"))
    assert sample.names == ("x_0", "x_1", "x_2")
    assert np.array_equal(sample.features, matrix)


def test_more_dimensions_are_lists_of_lists(stored) -> None:
    cloud = np.arange(24.0, dtype="f4").reshape(2, 3, 4)
    found = table(stored({"cloud": cloud}))
    assert found.pop("cloud") == cloud.tolist()
    assert found == {f"cloud_{i}": cloud[:, :, i].tolist() for i in range(4)}
    source = open_events(stored({"x": np.ones((2, 3, 4, 5))}))
    assert (source.schema.names, source.repeated) == (["x"], frozenset())


def test_several_datasets_of_a_mixed_group(stored, refused) -> None:
    path = stored({"a/pt": ROW, "a/eta": ROW / 2, "a/edges": ROW[:5]})
    assert list(table(f"{path}:/a/pt,eta")) == ["pt", "eta"]
    assert open_events(f"{path}:a/pt,eta").fingerprint()["files"][0]["inside"] == "a/pt,eta"
    with pytest.raises(EventsError, match="no group or dataset /a/phi"):
        open_events(f"{path}:/a/pt,phi")


FRAME = {
    "pt": [1.5, 2.5, 3.5], "e": [0.5, 0.25, 0.125], "n": [1, 2, 3], "ok": [True, False, True],
    "name": ["a", "bb", "c"],
}  # fmt: skip


def pickled(*names: str) -> bytes:
    """A list of names as pandas stores it."""
    return pickle.dumps(list(names), 0)


@pytest.fixture
def pandas_table(tmp_path):
    """The layout of `DataFrame.to_hdf(path, key="df", format="table", data_columns=["n"])`."""
    path = str(tmp_path / "frame.h5")
    fields = [("index", "<i8"), ("values_block_0", "<f8", (2,)), ("values_block_1", "u1", (1,)),
              ("values_block_2", "S2", (1,)), ("n", "<i8")]  # fmt: skip
    rows = np.zeros(3, fields)
    rows["index"], rows["n"] = [7, 8, 9], FRAME["n"]
    rows["values_block_0"] = np.column_stack([FRAME["pt"], FRAME["e"]])
    rows["values_block_1"][:, 0], rows["values_block_2"][:, 0] = FRAME["ok"], FRAME["name"]
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"] = np.bytes_("frame_table")
        made = group.create_dataset("table", data=rows)
        kinds = {"values_block_0": ("pt", "e"), "values_block_1": ("ok",),
                 "values_block_2": ("name",), "n": ("n",)}  # fmt: skip
        for field, names in kinds.items():
            made.attrs[f"{field}_kind"] = np.bytes_(pickled(*names))
        made.attrs["index_kind"] = np.bytes_("integer")
        made.attrs["values_block_1_dtype"] = np.bytes_("bool")
        index = group.create_group("_i_table")
        index.attrs["CLASS"] = np.bytes_("TINDEX")
        index.create_group("index").attrs["CLASS"] = np.bytes_("INDEX")
        index["index/sorted"] = np.arange(5)
    return path


@pytest.mark.parametrize("inside", ["", ":df", ":/df/table"])
def test_a_table_of_pandas(pandas_table, inside) -> None:
    assert table(pandas_table + inside, batch_rows=2) == FRAME


def test_names_of_pandas_are_not_unpickled(pandas_table) -> None:
    class Code:
        def __reduce__(self):
            return (os.mkdir, (pandas_table + ".ran",))

    with h5py.File(pandas_table, "a") as file:
        file["df/table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps([Code()], 0))
    table(pandas_table)
    assert not os.path.exists(pandas_table + ".ran")


def test_a_fixed_frame_of_pandas(tmp_path, refused) -> None:
    path = str(tmp_path / "frame.h5")
    blocks = [(["pt", "e"], "<f8"), (["n"], "<i8"), (["ok"], "?")]
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.attrs["pandas_type"], group.attrs["nblocks"] = np.bytes_("frame"), 4
        group["axis0"], group["axis1"] = np.array(list(FRAME), "S4"), np.arange(3)
        for number, (names, dtype) in enumerate(blocks):
            group[f"block{number}_items"] = np.array(names, "S4")
            values = np.column_stack([FRAME[name] for name in names]).astype(dtype)
            group[f"block{number}_values"] = values
        group["block3_items"] = np.array(["name"], "S4")
        made = group.create_dataset("block3_values", (1,), dtype=h5py.vlen_dtype(np.uint8))
        made[0] = np.frombuffer(pickle.dumps(FRAME["name"]), np.uint8)
    assert open_events(path).schema.names == ["pt", "e", "n", "ok", "name"]
    expected = {name: values for name, values in FRAME.items() if name != "name"}
    assert table(path, list(expected)) == expected
    message = """
The column 'name' of DIR/frame.h5 cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    text, which pandas has pickled
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, table, path, ["name"])


@pytest.mark.parametrize("layout", ["matrix", "compound"])
def test_many_columns_are_read_at_once(layout, stored, monkeypatch) -> None:
    """Also the type of a compound dataset, which has all of its fields, is not asked for each."""
    values = np.arange(50.0 * 800).reshape(50, 800)
    if layout == "compound":
        values = np.ascontiguousarray(values).view([(f"x_{i}", "f8") for i in range(800)])[:, 0]
    path, asked = stored({"x": values}) + ":/x", []
    for name in ("dtype", "chunks"):
        original = getattr(h5py.Dataset, name)
        count = property(lambda self, original=original: asked.append(1) or original.fget(self))
        monkeypatch.setattr(h5py.Dataset, name, count)
    whole = h5py.Dataset.__getitem__
    read = lambda self, *keys: asked.append(1) or whole(self, *keys)  # noqa: E731
    monkeypatch.setattr(h5py.Dataset, "__getitem__", read)
    columns = [f"x_{i}" for i in range(800)]
    assert table(path, columns)["x_7"] == [800.0 * row + 7 for row in range(50)]
    assert len(asked) < 20


COMPOUND = np.zeros(ROWS, dtype=[("pt", ">f8"), ("tag", "S3"), ("p4", "f4", (4,)), ("flag", "?")])
COMPOUND["pt"], COMPOUND["tag"], COMPOUND["flag"] = ROW, b"top", ROW % 2 == 0
COMPOUND["p4"] = ROW[:, None] + np.arange(4)


@pytest.mark.parametrize("inside", ["", ":/deep/jets", ":deep/jets"])
def test_compound_datasets(stored, inside) -> None:
    found = table(stored({"deep/jets": COMPOUND}) + inside, batch_rows=300)
    assert found["pt"] == ROW.tolist()
    assert set(found["tag"]) == {"top"}
    assert found["p4"] == COMPOUND["p4"].tolist()
    assert found["flag"] == COMPOUND["flag"].tolist()


def test_a_part_after_a_colon(stored, tmp_path) -> None:
    datasets = {"train/pt": ROW, "test/pt": ROW[:10], "x": ROW[:5], "run": np.float64(3)}
    path = stored(datasets)
    assert open_events(f"{path}:train").rows == ROWS
    assert open_events(f"{path}:/test/").rows == 10
    assert open_events(f"{path}:/train/pt").schema.names == ["pt"]
    source = open_events(f"{path}:/")
    assert source.schema.names == ["x"]  # a single value is no column
    assert source.fingerprint()["files"][0]["inside"] == "/"
    stored(datasets, "more.h5")
    assert open_events(str(tmp_path / "*.h5:test")).rows == 20


def test_training_from_hdf5(stored) -> None:
    sample = load_sample(EventsRecipe(path=stored(FLAT), label="y", features=["pt"],
                                      select="pt >= 50 AND flag"))  # fmt: skip
    assert np.array_equal(sample.rows, ROW[(ROW >= 500) & (ROW % 3 == 0)])


def test_columns_that_are_not_asked_for_are_not_read(stored) -> None:
    path = stored(FLAT, chunks=(ROWS,), compression="gzip")
    spoil(path, "n")
    assert table(path, ["pt", "y"])["pt"] == FLAT["pt"].tolist()


def spoil(path: str, name: str) -> None:
    """Overwrite a dataset's first chunk."""
    with h5py.File(path) as file:
        place = file[name].id.get_chunk_info(0).byte_offset
    content = bytearray(Path(path).read_bytes())
    content[place : place + 64] = b"\xff" * 64
    Path(path).write_bytes(bytes(content))


def test_a_broken_link_is_no_column(stored) -> None:
    path = stored({"pt": ROW})
    with h5py.File(path, "a") as file:
        file["gone"] = h5py.SoftLink("/nowhere")
    assert open_events(path).schema.names == ["pt"]


# --- messages -----------------------------------------------------------------------------------


def test_truncated(stored, refused) -> None:
    path = stored(FLAT)
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:5000])
    message = f"""
DIR/jets.h5 is cut short: it begins as HDF5 but ends too early.
  expected: as many bytes as its header says
  found:    truncated file: eof = 5000, sblock->base_addr = 0, stored_eof = {len(content)}
  cause:    a copy, download or job was stopped before it was done
  do:       copy or write the file again
"""
    refused(EventsError, message, open_events, path)


def test_damaged_structure(stored) -> None:
    path = stored(FLAT)
    content = bytearray(Path(path).read_bytes())
    content[8:200] = b"\xff" * 192
    Path(path).write_bytes(bytes(content))
    with pytest.raises(EventsError) as caught:
        open_events(path)
    assert caught.value.what == f"The structure of {path} cannot be read."


def test_a_corrupted_chunk(stored, refused) -> None:
    path = stored(FLAT, chunks=(ROWS,), compression="gzip")
    spoil(path, "pt")
    with pytest.raises(EventsError) as caught:
        table(path, ["pt"])
    found = caught.value.details["found"]
    assert found
    message = f"""
{path}:/ cannot be read in column 'pt' (rows 0 to 999).
  expected: readable data
  found:    {found}
  cause:    the file was damaged while it was copied or stored
  do:       copy it again, and compare its checksum with the original's
"""
    assert str(caught.value) == message.strip()


def test_a_compression_without_its_plugin(stored, refused, monkeypatch) -> None:
    path = stored({"pt": ROW}, chunks=True, compression="gzip")

    def refuse(*_):
        raise OSError("Can't synchronously read data (can't open directory)")

    monkeypatch.setattr(hdf5, "read", refuse)
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: False)
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    message = """
DIR/jets.h5:/ cannot be read in column 'pt' (rows 0 to 999).
  expected: a compression that is installed
  found:    deflate (filter 1)
  cause:    a compression that HDF5 only knows by a plugin
  do:       pip install hdf5plugin, or write the dataset again with gzip
"""
    refused(EventsError, message, table, path)


def test_not_hdf5(refused, tmp_path) -> None:
    (tmp_path / "jets.h5").write_bytes(b"root\x00\x01")
    with pytest.raises(EventsError, match="is cut short: it begins as ROOT"):
        open_events(str(tmp_path / "jets.h5"))
    (tmp_path / "jets.h5").write_text("pt,eta\n1,2\n")
    message = r"""
DIR/jets.h5 is named as HDF5 but is not HDF5.
  expected: a file that begins with b'\x89HDF\r\n\x1a\n'
  found:    text that begins with 'pt,eta'
  cause:    the file was renamed, or written by another tool
  do:       give a HDF5 file
"""
    refused(EventsError, message, open_events, str(tmp_path / "jets.h5"))


def test_different_lengths(stored, refused) -> None:
    datasets = {"pt": ROW, "eta": ROW, "y": ROW[:10], "edges": ROW[:5]}
    message = """
The datasets of DIR/jets.h5:/ have different lengths.
  expected: a row for each event in each of them
  found:    5 rows in edges; 1000 rows in eta, pt; 10 rows in y
  cause:    what is not of events lies beside them, or the job that wrote them was stopped
  do:       name those of 1000 rows: DIR/jets.h5:/eta,pt
"""
    refused(EventsError, message, open_events, stored(datasets))


def test_no_such_group(stored, refused) -> None:
    message = """
There is no group or dataset /trian in DIR/jets.h5.
  expected: one of /test, /test/pt, /train, /train/pt
  found:    '/trian'
  do:       write DIR/jets.h5:/train
"""
    path = stored({"train/pt": ROW, "test/pt": ROW})
    refused(EventsError, message, open_events, f"{path}:trian")


def test_many_tables(stored, refused) -> None:
    message = """
DIR/jets.h5 holds 3 tables, and none is named.
  expected: one of /jets, /test, /train
  found:    DIR/jets.h5
  do:       write DIR/jets.h5:/jets
"""
    path = stored({"train/pt": ROW, "test/pt": ROW, "jets": COMPOUND})
    refused(EventsError, message, open_events, path)


def test_no_table(stored, refused) -> None:
    message = """
There is no table of events in DIR/jets.h5.
  expected: datasets with a row for each event
  found:    /run
  do:       write the columns as datasets of one group
"""
    refused(EventsError, message, open_events, stored({"run": np.float64(3)}))
    message = """
There is no group or dataset /pt in DIR/jets.h5.
  expected: a group or dataset
  found:    an empty file
  do:       check the name
"""
    refused(EventsError, message, open_events, stored({}) + ":pt")


def test_a_single_value(stored, refused) -> None:
    message = """
DIR/jets.h5:/run is a single value.
  expected: a dataset with a row for each event
  found:    float64 without dimensions
  do:       name a dataset of events, or its group
"""
    path = stored({"run": np.float64(3), "pt": ROW})
    refused(EventsError, message, open_events, f"{path}:run")


def test_a_group_without_columns(stored, refused) -> None:
    message = """
There are no columns in DIR/jets.h5:/deep.
  expected: datasets with a row for each event
  found:    jets
  do:       name one of /deep/jets
"""
    refused(EventsError, message, open_events, stored({"deep/jets": COMPOUND}) + ":deep")


def test_a_type_that_cannot_be_read(stored, refused) -> None:
    path = stored({"z": np.ones(3, dtype="c16"), "pt": np.ones(3)})
    assert table(path, ["pt"]) == {"pt": [1.0, 1.0, 1.0]}
    message = """
The column 'z' of DIR/jets.h5 cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    complex128
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, table, path, ["z"])


def test_jagged_datasets_of_the_other_byte_order(tmp_path, refused) -> None:
    path = str(tmp_path / "jets.h5")
    other = np.dtype("f4").newbyteorder("S")
    with h5py.File(path, "w") as file:
        file.create_dataset("pt", (3,), dtype=h5py.vlen_dtype(other))[0] = [1.0, 2.0]
    message = f"""
The column 'pt' of DIR/jets.h5 cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    lists of {other.str}, whose bytes h5py does not swap
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, table, path)


def test_text_that_is_not_utf8(stored, refused) -> None:
    path = stored({"name": np.array(["Jürgen".encode("latin-1"), b"top"])})
    message = r"""
The column 'name' of DIR/jets.h5 is not text in UTF-8 (rows 0 to 1).
  expected: UTF-8
  found:    b'J\xfcrgen'
  cause:    bytes that are no text, or another encoding
  do:       write it again as UTF-8
"""
    refused(EventsError, message, table, path)


def test_no_rows(stored, refused) -> None:
    message = """
There are no events in DIR/jets.h5.
  expected: at least one row
  found:    0 rows, 1 column
  cause:    the job that wrote it selected nothing, or stopped before its first event
  do:       check that job, or give another file
"""
    refused(EventsError, message, open_events, stored({"pt": np.empty(0)}))


def test_a_file_of_another_type(stored, refused, tmp_path) -> None:
    stored({"pt": ROW / 2}, "a.h5")
    stored({"pt": ROW}, "b.h5")
    message = """
The column 'pt' has another type in DIR/b.h5 than in DIR/a.h5.
  expected: double
  found:    int64
  cause:    the files come from different jobs or versions
  do:       write that file again with 'pt' cast to double
"""
    source = open_events(str(tmp_path / "*.h5"))
    refused(EventsError, message, lambda: list(source.batches(["pt"])))


def test_removed_while_in_use(stored) -> None:
    path = stored({"pt": ROW})
    source = open_events(path)
    Path(path).unlink()
    with pytest.raises(EventsError) as caught:
        list(source.batches(["pt"]))
    assert caught.value.what == f"{path} can no longer be opened."


def test_without_the_extra(stored, refused, monkeypatch) -> None:
    path = stored({"pt": ROW})
    monkeypatch.setitem(sys.modules, "h5py", None)
    message = """
Reading HDF5 files needs the package 'h5py', which is not installed.
  do:       pip install 'steepest[hdf5]'
"""
    refused(MissingExtraError, message, open_events, path)
