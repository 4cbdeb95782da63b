"""ROOT: branches and fields as they are, only what is asked for is read, damage is named."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from events.split_tree import nest, rename
from steepest.errors import EventsError, MissingExtraError
from steepest.events import extra, load_sample, open_events
from steepest.events.formats import root_columns
from steepest.recipe import EventsRecipe

ak = pytest.importorskip("awkward", reason="needs the extra [root]")
uproot = pytest.importorskip("uproot", reason="needs the extra [root]")

ROWS = 1000
ROW = np.arange(ROWS)
JAGGED = [[float(row)] * (row % 4) for row in range(ROWS)]
COLUMNS = {
    "i1": (ROW % 100).astype("i1"),
    "u8": ROW.astype("u8") + 2**63,
    "flag": ROW % 4 == 1,
    "pt": ROW / 10.0,
    "eta": (ROW / 7).astype(">f4"),
    "name": ak.Array([f"s{row % 3}" for row in range(ROWS)]),
    "jet_pt": ak.values_astype(ak.Array(JAGGED), "float32"),
    "matrix": np.arange(6.0 * ROWS).reshape(ROWS, 2, 3),
    "fixed": np.arange(4 * ROWS, dtype="i4").reshape(ROWS, 4),
    "y": (ROW % 2).astype("i4"),
}
TREE = {
    "i1": "int8",
    "u8": "uint64",
    "flag": "bool",
    "pt": "float64",
    "eta": "float32",
    "name": "string",
    "jet_pt": "var * float32",
    "matrix": ("float64", (2, 3)),
    "fixed": ("int32", (4,)),
    "y": "int32",
}
EXPECTED = {
    **{name: COLUMNS[name].tolist() for name in COLUMNS},
    "njet_pt": [row % 4 for row in range(ROWS)],
}


@pytest.fixture
def tree(tmp_path):
    """Write a TTree in pieces, each a basket of each branch, and return its path."""

    def write(columns=COLUMNS, types=TREE, name="jets.root", tree="events", pieces=4) -> str:
        path = tmp_path / name
        with uproot.recreate(path) as file:
            made = file.mktree(tree, types)
            size = -(-len(next(iter(columns.values()))) // pieces)
            for start in range(0, size * pieces, size):
                made.extend({n: values[start : start + size] for n, values in columns.items()})
        return str(path)

    return write


def small(tree, columns=None, **options) -> str:
    columns = columns or {"pt": np.arange(10.0), "y": np.arange(10, dtype="i4") % 2}
    types = {name: values.dtype for name, values in columns.items()}
    return tree(columns, types, pieces=1, **options)


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


def basket(path: str, branch: str, number: int = 0, tree: str = "events") -> int:
    """Return the place in the file at which a basket's data begin."""
    with uproot.open(path) as file:
        return int(file[tree][branch].member("fBasketSeek")[number]) + 80


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_rows", [33, 250, 65_536])
def test_branches_of_all_types(tree, batch_rows) -> None:
    assert table(tree(), batch_rows=batch_rows) == EXPECTED


def test_types(tree) -> None:
    assert {field.name: str(field.type) for field in open_events(tree()).schema} == {
        "i1": "int8",
        "u8": "uint64",
        "flag": "bool",
        "pt": "double",
        "eta": "float",
        "name": "string",
        "njet_pt": "int32",
        "jet_pt": "list<item: float>",
        "matrix": "list<item: list<item: double>>",
        "fixed": "list<item: int32>",
        "y": "int32",
    }


@pytest.mark.parametrize("batch_rows", [33, 65_536])
def test_fields_of_an_rntuple(tmp_path, batch_rows) -> None:
    nested = ak.Array([[[1, 2], [3]], []] * 50)
    columns = {
        "x": np.arange(100.0),
        "flag": np.arange(100) % 3 == 0,
        "name": COLUMNS["name"][:100],
        "jet_pt": COLUMNS["jet_pt"][:100],
        "nested": nested,
        "met": ak.Array([{"pt": float(i), "phi": 0.5} for i in range(100)]),
    }
    path = str(tmp_path / "jets.root")
    with uproot.recreate(path) as file:
        file.mkrntuple("events", columns)
        file["events"].extend(columns)
    found = table(path, batch_rows=batch_rows)
    assert found.pop("met.pt") == 2 * [float(i) for i in range(100)]
    assert found.pop("met.phi") == 200 * [0.5]
    columns.pop("met")
    assert found == {name: 2 * ak.to_list(values) for name, values in columns.items()}
    types = {field.name: str(field.type) for field in open_events(path).schema}
    assert types["nested"] == "list<item: list<item: int64>>"
    assert types["name"] == "string"


def test_the_tree_is_named_after_a_colon(tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    with uproot.recreate(path) as file:
        file.mktree("signal", {"pt": "f8"}).extend({"pt": np.arange(3.0)})
        file.mktree("deep/background", {"pt": "f8"}).extend({"pt": np.arange(5.0)})
    assert open_events(f"{path}:signal").rows == 3
    assert open_events(f"{path}:signal;1").rows == 3
    assert open_events(f"{path}:deep/background").rows == 5
    source = open_events([f"{path}:signal", f"{path}:deep/background"])
    assert source.rows == 8
    assert [file["inside"] for file in source.fingerprint()["files"]] == [
        "signal",
        "deep/background",
    ]


def test_globs_with_a_tree(tree, tmp_path) -> None:
    for name in ("b.root", "a.root"):
        small(tree, name=name)
    source = open_events(str(tmp_path / "*.root:events"))
    assert [Path(file).name for file in source.files] == ["a.root", "b.root"]
    assert source.rows == 20


def test_training_from_root(tree) -> None:
    recipe = EventsRecipe(path=tree(), label="y", select="pt >= 50 AND name == 's1'")
    sample = load_sample(recipe)
    assert sample.names == ("i1", "u8", "pt", "eta", "njet_pt")
    assert np.array_equal(sample.rows, ROW[(ROW >= 500) & (ROW % 3 == 1)])
    assert np.array_equal(sample.features[:, 2], sample.rows / 10)


def test_columns_that_are_not_asked_for_are_not_read(tree) -> None:
    path = tree()
    content = bytearray(Path(path).read_bytes())
    for number in range(4):
        place = basket(path, "matrix", number)
        content[place : place + 200] = b"\xff" * 200
    Path(path).write_bytes(bytes(content))
    assert table(path, ["pt", "y"])["pt"] == EXPECTED["pt"]


def test_five_branches_of_two_hundred_cost_five(tree, monkeypatch) -> None:
    random = np.random.default_rng(0)
    columns = {f"x{i}": random.normal(size=2000) for i in range(200)}
    path = small(tree, columns)
    with uproot.open(path) as file:
        whole = sum(int(branch.compressed_bytes) for branch in file["events"].values())
        opened = file.file.source.num_requested_bytes
    bytes_read = []
    for used in (5, 200):
        source = open_events(path)
        file = uproot.open({path: None})
        monkeypatch.setattr("steepest.events.formats.root._opened", lambda _, file=file: file)
        assert sum(b.batch.num_rows for b in source.batches(list(columns)[:used])) == 2000
        bytes_read.append(file.file.source.num_requested_bytes - opened)
        monkeypatch.undo()
    assert bytes_read[1] >= whole
    assert bytes_read[0] < 0.05 * bytes_read[1]


SPLIT = {
    "evt": np.arange(10, dtype="i4"),
    "ele": np.zeros(10, "i4"),
    "ele.pt": np.arange(10.0),
    "qA": np.arange(10, dtype="i4") + 100,
    "muon": np.zeros(10, "i4"),
    "muon.pt": np.arange(10.0) + 50,
    "qB": np.arange(10, dtype="i4") + 200,
    "y": np.arange(10, dtype="i4") % 2,
}


def test_branches_below_branches(tree) -> None:
    """Also two leaves of one name: each has its own values, by its whole path."""
    path = tree(SPLIT, {name: v.dtype for name, v in SPLIT.items()}, pieces=2)
    nest(path, "events", "ele", 2)
    nest(path, "events", "muon", 2)
    rename(path, "qB", "qA")
    assert table(path, batch_rows=3) == {
        "evt": SPLIT["evt"].tolist(),
        "ele.pt": SPLIT["ele.pt"].tolist(),
        "ele/qA": SPLIT["qA"].tolist(),
        "muon.pt": SPLIT["muon.pt"].tolist(),
        "muon/qA": SPLIT["qB"].tolist(),
        "y": SPLIT["y"].tolist(),
    }
    assert table(path, ["muon/qA", "ele.pt"])["muon/qA"] == SPLIT["qB"].tolist()


def test_cycles_of_a_tree(tree, refused) -> None:
    path = small(tree)
    with uproot.update(path) as file:
        file.mktree("events", {"pt": "f8"}).extend({"pt": np.arange(3.0)})
    assert open_events(f"{path}:events").rows == open_events(f"{path}:events;2").rows == 3
    assert open_events(f"{path}:events;1").rows == 10
    message = """
The tree 'events' in DIR/jets.root has no cycle 7.
  expected: one of 2, 1
  found:    '7'
  do:       write DIR/jets.root:events, which is the last one written
"""
    refused(EventsError, message, open_events, f"{path}:events;7")
    with pytest.raises(EventsError, match="is given twice"):
        open_events([f"{path}:events", f"{path}:events;2"])


def test_a_version_below_zero(tree) -> None:
    path = small(tree)
    content = bytearray(Path(path).read_bytes())
    content[4:8] = (-938200).to_bytes(4, "big", signed=True)
    Path(path).write_bytes(content)
    assert open_events(path).rows == 10


def test_fields_with_dots_in_their_names(tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    columns = {"jet.pt": ak.Array(np.arange(5.0)), "jet.m": ak.Array(np.arange(5.0) + 1)}
    with uproot.recreate(path) as file:
        file.mkrntuple("events", ak.zip(columns).layout.form).extend(columns)
    assert table(path) == {name: values.to_list() for name, values in columns.items()}
    assert table(path, ["jet.m"]) == {"jet.m": [1.0, 2.0, 3.0, 4.0, 5.0]}


def test_parts_of_a_pair_have_no_names(tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    pairs = ak.Array([(row, f"s{row}") for row in range(5)])
    with uproot.recreate(path) as file:
        file.mkrntuple("events", ak.zip({"p": pairs}, depth_limit=1).layout.form).extend(
            {"p": pairs}
        )
    assert table(path, ["p.1"]) == {"p.1": ["s0", "s1", "s2", "s3", "s4"]}
    assert table(path, ["p.1", "p.0"])["p.0"] == [0, 1, 2, 3, 4]


def test_a_list_of_records_in_an_rntuple_is_a_list_of_each_field(tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    jets = [
        {"pt": 50.0, "flavour": 5, "hits": [1, 2], "origin": {"z": 0.1}},
        {"pt": 40.0, "flavour": 0, "hits": [], "origin": {"z": 0.2}},
    ]
    columns = {
        "Jet": ak.Array([jets, [], jets[1:]]),
        "vertices": ak.Array([[[{"x": 1}], [{"x": 2}, {"x": 3}]], [], [[]]]),
        "pairs": ak.Array([[(1, 0.5)], [], [(2, 1.5), (3, 2.5)]]),
    }
    with uproot.recreate(path) as file:
        file["events"] = columns  # uproot writes an RNTuple unless it is told otherwise
    expected = {
        "Jet.pt": [[50.0, 40.0], [], [40.0]],
        "Jet.flavour": [[5, 0], [], [0]],
        "Jet.hits": [[[1, 2], []], [], [[]]],
        "Jet.origin.z": [[0.1, 0.2], [], [0.2]],
        "vertices.x": [[[1], [2, 3]], [], [[]]],
        "pairs.0": [[1], [], [2, 3]],
        "pairs.1": [[0.5], [], [1.5, 2.5]],
    }
    assert table(path) == expected
    for name, values in expected.items():
        assert table(path, [name]) == {name: values}


# --- messages -----------------------------------------------------------------------------------


def test_truncated(tree, refused) -> None:
    path = tree()
    content = Path(path).read_bytes()
    Path(path).write_bytes(content[:5000])
    message = f"""
DIR/jets.root is cut short: it begins as ROOT but ends too early.
  expected: {len(content)} bytes, as its header says
  found:    5000 bytes
  cause:    a copy, download or job was stopped before it was done
  do:       copy or write the file again
"""
    refused(EventsError, message, open_events, path)


def test_truncated_to_almost_nothing(tree, refused) -> None:
    path = tree()
    Path(path).write_bytes(Path(path).read_bytes()[:10])
    message = """
DIR/jets.root is cut short: it begins as ROOT but ends too early.
  expected: a header
  found:    10 bytes
  cause:    a copy, download or job was stopped before it was done
  do:       copy or write the file again
"""
    refused(EventsError, message, open_events, path)


def test_not_root(refused, tmp_path) -> None:
    (tmp_path / "jets.root").write_text("pt,eta\n1,2\n")
    message = """
DIR/jets.root is named as ROOT but is not ROOT.
  expected: a file that begins with b'root'
  found:    text that begins with 'pt,eta'
  cause:    the file was renamed, or written by another tool
  do:       give a ROOT file
"""
    refused(EventsError, message, open_events, str(tmp_path / "jets.root"))


def test_root_whatever_its_suffix(tree) -> None:
    assert open_events(small(tree, name="jets.parquet")).rows == 10


def test_no_such_tree(tree, refused) -> None:
    message = """
There is no tree 'event' in DIR/jets.root.
  expected: one of events
  found:    'event'
  do:       write DIR/jets.root:events
"""
    refused(EventsError, message, open_events, small(tree) + ":event")


def test_many_trees(refused, tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    with uproot.recreate(path) as file:
        for name in ("signal", "background"):
            file.mktree(name, {"pt": "f8"}).extend({"pt": np.arange(3.0)})
        file["mass"] = np.histogram([1.0, 2.0])
    message = """
DIR/jets.root holds 2 trees, and none is named.
  expected: one of signal, background
  found:    DIR/jets.root
  do:       write DIR/jets.root:signal
"""
    refused(EventsError, message, open_events, path)
    message = """
'mass' in DIR/jets.root is no tree.
  expected: one of signal, background
  found:    TH1D
  do:       write DIR/jets.root:signal
"""
    refused(EventsError, message, open_events, f"{path}:mass")
    message = """
There is no tree 'zzzzzz' in DIR/jets.root.
  expected: one of signal, background
  found:    'zzzzzz'
  do:       check the name
"""
    refused(EventsError, message, open_events, f"{path}:zzzzzz")


def test_no_tree_at_all(refused, tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    with uproot.recreate(path) as file:
        file["mass"] = np.histogram([1.0, 2.0])
    message = """
There is no TTree or RNTuple in DIR/jets.root.
  expected: a TTree or an RNTuple
  found:    mass (TH1D)
  do:       check that job, or give another file
"""
    refused(EventsError, message, open_events, path)


def test_an_empty_file_of_root(refused, tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    uproot.recreate(path).close()
    message = """
There is no TTree or RNTuple in DIR/jets.root.
  expected: a TTree or an RNTuple
  found:    an empty file
  cause:    the job that wrote it stopped before it wrote the tree
  do:       check that job, or give another file
"""
    refused(EventsError, message, open_events, path)


def test_an_empty_tree(refused, tmp_path) -> None:
    path = str(tmp_path / "jets.root")
    with uproot.recreate(path) as file:
        file.mktree("events", {"pt": "f8", "y": "i4"})
    message = """
There are no events in DIR/jets.root.
  expected: at least one row
  found:    0 rows, 2 columns
  cause:    the job that wrote it selected nothing, or stopped before its first event
  do:       check that job, or give another file
"""
    refused(EventsError, message, open_events, path)


def test_a_corrupted_basket(tree, refused) -> None:
    path = tree()
    content = bytearray(Path(path).read_bytes())
    place = basket(path, "pt", 2)
    content[place : place + 64] = b"\xff" * 64
    Path(path).write_bytes(bytes(content))
    blocks = open_events(path).batches(["pt", "y"], batch_rows=250)
    with pytest.raises(EventsError) as caught:
        list(blocks)
    found = caught.value.details["found"]
    assert found
    message = f"""
{path}:events is damaged at row 500 or after.
  expected: readable columns pt, y
  found:    {found}
  cause:    the file was damaged while it was copied or stored
  do:       copy it again, and compare its checksum with the original's
"""
    assert str(caught.value) == message.strip()


def test_damaged_metadata(tree) -> None:
    path = small(tree)
    content = bytearray(Path(path).read_bytes())
    content[100:400] = b"\xff" * 300
    Path(path).write_bytes(bytes(content))
    with pytest.raises(EventsError) as caught:
        open_events(path)
    assert caught.value.what == f"The metadata of {path} cannot be read."


@pytest.mark.parametrize("seed", range(8))
def test_damage_anywhere_is_an_events_error_or_harmless(tree, seed) -> None:
    random = np.random.default_rng(seed)
    path = tree()
    content = bytearray(Path(path).read_bytes())
    start = int(random.integers(0, len(content) - 64))
    content[start : start + 64] = random.bytes(64)
    Path(path).write_bytes(bytes(content))
    try:
        table(path)
    except EventsError as error:
        assert path in str(error)  # noqa: PT017  (it may also be harmless)
    except (AssertionError, UnicodeDecodeError):
        pytest.fail("damage came through as another error")


def test_a_file_lacks_a_branch(tree, refused, tmp_path) -> None:
    small(tree, name="a.root")
    small(tree, {"pt": np.arange(3.0)}, name="b.root")
    source = open_events(str(tmp_path / "*.root"))
    message = """
DIR/b.root has no column 'y', which DIR/a.root has.
  expected: a column 'y' in each of the 2 files
  found:    pt
  cause:    the files come from different jobs or versions
  do:       leave that file out, or write the column into it
"""
    refused(EventsError, message, lambda: list(source.batches(["y"])))


def test_a_branch_of_another_type(tree, refused, tmp_path) -> None:
    small(tree, name="a.root")
    small(tree, {"pt": np.arange(3, dtype="f4")}, name="b.root")
    source = open_events(str(tmp_path / "*.root"))
    message = """
The column 'pt' has another type in DIR/b.root than in DIR/a.root.
  expected: double
  found:    float
  cause:    the files come from different jobs or versions
  do:       write that file again with 'pt' cast to double
"""
    refused(EventsError, message, lambda: list(source.batches(["pt"])))


def test_one_tree_twice(tree, refused) -> None:
    path = small(tree)
    message = """
DIR/jets.root:events is given twice, so its events would count twice.
  expected: each file once
  do:       remove one of the paths, or make the globs disjoint
"""
    refused(EventsError, message, open_events, [path, f"{path}:events"])


def test_removed_while_in_use(tree) -> None:
    path = small(tree)
    source = open_events(path)
    Path(path).unlink()
    with pytest.raises(EventsError) as caught:
        list(source.batches(["pt"]))
    assert caught.value.what == f"{path} can no longer be opened."


def test_a_branch_of_another_length(tree, refused, monkeypatch) -> None:
    path = small(tree)
    source = open_events(path)
    monkeypatch.setattr(source.opened[0], "rows", 12)
    message = """
The branch 'pt' of DIR/jets.root:events has another length than the tree.
  expected: 12 entries
  found:    10 entries
  cause:    the job that wrote it did not fill this branch for each event
  do:       leave it out, or write the tree again
"""
    refused(EventsError, message, lambda: list(source.batches(["pt"])))


@pytest.mark.parametrize("package", ["uproot", "awkward"])
def test_without_the_extra(tree, refused, monkeypatch, package) -> None:
    path = small(tree)
    monkeypatch.setitem(sys.modules, package, None)
    message = f"""
Reading ROOT files needs the package '{package}', which is not installed.
  do:       pip install 'steepest[root]'
"""
    refused(MissingExtraError, message, open_events, path)


def test_a_column_that_cannot_be_read_is_refused_when_it_is_asked_for(tmp_path, refused) -> None:
    path = str(tmp_path / "jets.root")
    rows = ak.Array([{"pt": 1.0, "either": 1.0}, {"pt": 2.0, "either": [2.0]}])
    with uproot.recreate(path) as file:
        file.mkrntuple("events", rows.layout.form).extend(rows)
    source = open_events(path)
    assert next(source.batches(["pt"])).batch.to_pydict() == {"pt": [1.0, 2.0]}
    message = """
The column either of DIR/jets.root:events cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    std::variant<double,std::vector<double>>
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, lambda: list(source.batches(["either"])))


def test_what_uproot_cannot_read_is_no_damage(tree, refused, monkeypatch) -> None:
    source = open_events(tree())

    def unknown(*arguments):
        raise NotImplementedError("a packing of bits\nthat is new")
        yield

    monkeypatch.setattr("steepest.events.formats.root.pieces", unknown)
    message = """
The column pt, y of DIR/jets.root:events cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    a packing of bits
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, lambda: list(source.batches(["pt", "y"])))


def test_a_type_that_uproot_cannot_deserialise_is_no_damage(tree, refused, monkeypatch) -> None:
    source, pieces = open_events(tree()), root_columns.pieces

    def strange(tree, columns, *rest):
        if any(column.name == "jet_pt" for column in columns):
            raise ValueError("a shape below zero")
        yield from pieces(tree, columns, *rest)

    monkeypatch.setattr("steepest.events.formats.root.pieces", strange)
    message = """
The column jet_pt of DIR/jets.root:events cannot be read.
  expected: numbers, booleans, text, or lists of these
  found:    float[], of which uproot says: a shape below zero
  do:       leave it out, or write it as numbers
"""
    refused(EventsError, message, lambda: list(source.batches(["pt", "jet_pt", "y"])))
    assert next(source.batches(["pt", "y"])).batch.num_rows == 1000


def test_an_extra_whose_own_package_is_missing_is_not_called_missing(tmp_path, monkeypatch) -> None:
    (tmp_path / "halfinstalled.py").write_text("import a_package_that_is_nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError) as caught:
        extra.load("halfinstalled", "root", "Reading ROOT files")
    assert str(caught.value) == "No module named 'a_package_that_is_nowhere'"
