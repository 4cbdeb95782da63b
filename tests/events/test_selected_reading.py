"""ROOT and HDF5: columns that only unselected events need are not read; nothing else differs."""

from __future__ import annotations

from functools import partialmethod
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from steepest.errors import EventsError
from steepest.events import EventSource, load_sample, open_events, parse
from steepest.events.formats import hdf5, root, unindexed
from steepest.events.formats.contract import RowFilter
from steepest.events.reading import reading
from steepest.events.reading.features import row_filter_of
from steepest.recipe import EventsRecipe

uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")
ak = pytest.importorskip("awkward", reason="needs the extra [root]")

ROWS, PIECES, BLOCK = 4_000, 8, 100


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(3)
    run = np.repeat(np.arange(10), ROWS // 10)
    pt = random.exponential(100, size=ROWS)
    pt[random.random(ROWS) < 0.01] = np.nan
    mass, tau = random.normal(80, 10, size=(2, ROWS))
    mass[run == 0] = np.nan  # would be refused if it were selected
    return {"run": run, "pt": pt, "mass": mass, "tau": tau, "y": random.integers(0, 2, ROWS)}


def lists(counts: np.ndarray, seed: int) -> ak.Array:
    values = np.random.default_rng(seed).exponential(30, size=counts.sum())
    return ak.unflatten(values, counts)


def write_tree(path: Path, misfit: int | None = None, pieces: int = PIECES) -> str:
    values = columns()
    counts = np.random.default_rng(5).integers(0, 4, ROWS)
    other = counts.copy()
    if misfit is not None:
        other[misfit] += 1
    values |= {"jets": lists(counts, 1), "masses": lists(other, 2)}
    types = {n: "var * float64" if n in ("jets", "masses") else v.dtype for n, v in values.items()}
    with uproot.recreate(path) as file:
        file.mktree("events", types)
        for part in np.array_split(np.arange(ROWS), pieces):
            file["events"].extend({n: v[part[0] : part[-1] + 1] for n, v in values.items()})
    return f"{path}:events"


def write_ntuple(path: Path) -> str:
    values = columns()
    with uproot.recreate(path) as file:
        written = file.mkrntuple("events", {name: v[:1] for name, v in values.items()})
        written.extend({name: v[1:1501] for name, v in values.items()})
        written.extend({name: v[1501:] for name, v in values.items()})
    return f"{path}:events"


def write_hdf5(path: Path) -> str:
    with h5py.File(path, "w") as file:
        for name, values in columns().items():
            file.create_dataset(name, data=values, chunks=(250,))
    return str(path)


WRITERS = {"tree": write_tree, "ntuple": write_ntuple, "hdf5": write_hdf5}
SELECTIONS = [
    "run == 3",
    "run == 3 OR run == 7",
    "pt > 250 AND run > 0",
    "pt > 20 AND run > 0",
    "NOT (pt < 300) AND run > 0",
    "run > 0",
    "run / pt > 0.3",
    "mass > 100",
    "run in (1, 9) AND mass > 60 AND pt > 1",
]
REFUSED = ["pt < -1", "pt > 0", "pt > 400"]
"""They select no event, or some whose mass is NaN."""


@pytest.fixture(scope="module", params=WRITERS)
def events(request, tmp_path_factory) -> str:
    name = f"events.{'h5' if request.param == 'hdf5' else 'root'}"
    return WRITERS[request.param](tmp_path_factory.mktemp("events") / name)


def with_events(*values: list) -> list:
    """Each combination with each format: every second one is for the quick suite."""
    return [
        pytest.param(*one, marks=[] if place % 2 == 0 else pytest.mark.slow)
        for place, one in enumerate(product(*values, WRITERS))
    ]


@pytest.fixture
def _small_blocks(monkeypatch) -> None:
    small = partialmethod(EventSource.batches, batch_rows=BLOCK)
    monkeypatch.setattr(EventSource, "batches", small)


def outcome(path: str, select: str):
    recipe = EventsRecipe(
        path=path, label="y", features=["mass", {"name": "r", "value": "tau / mass"}],
        select=select, split={"validation": 0.2, "test": 0.2},
    )  # fmt: skip
    try:
        sample = load_sample(recipe, extra=["tau"])
    except EventsError as error:
        return str(error)
    arrays = (sample.features, sample.labels, sample.part, sample.rows, sample.file)
    return [np.asarray(a).tobytes() for a in arrays], sample.read, sample.notes, sample.source


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize(
    ("select", "events"), with_events([*SELECTIONS, *REFUSED]), indirect=["events"]
)
def test_the_same_sample_as_without(events, select, monkeypatch) -> None:
    """Arrays, counts and notes; and the error where nothing is selected, or NaN."""
    found = outcome(events, select)
    assert isinstance(found, str) == (select in REFUSED)
    monkeypatch.setattr(reading, "row_filter_of", lambda *_: None)
    assert outcome(events, select) == found


@pytest.mark.parametrize(
    ("select", "block", "events"), with_events(SELECTIONS, [100, 333, 65_536]), indirect=["events"]
)
def test_blocks_have_all_columns_where_an_event_passes(events, select, block) -> None:
    source, names = open_events(events), ["mass", "pt", "run", "tau", "y"]
    tells = row_filter_of(parse(select), source.schema)
    whole = list(source.batches(names, batch_rows=block))
    filtered = list(source.batches(names, (), block, tells))
    assert [(b.first_row, b.batch.num_rows) for b in filtered] == [
        (b.first_row, b.batch.num_rows) for b in whole
    ]
    for a, b in zip(filtered, whole, strict=True):
        few = b.batch.select(list(tells.columns))
        if tells.passes(few):
            assert a.batch.schema == b.batch.schema
            for name in names:
                np.testing.assert_array_equal(a.batch[name], b.batch[name])
        else:
            assert a.batch.schema == few.schema


@pytest.mark.usefixtures("_small_blocks")
def test_other_datasets_of_rejected_blocks_are_not_read(tmp_path, monkeypatch) -> None:
    path = write_hdf5(tmp_path / "events.h5")
    read, original = [], hdf5.read

    def counting(file, column, start, *rest):
        read.append((column.name, start))
        return original(file, column, start, *rest)

    monkeypatch.setattr(hdf5, "read", counting)
    sample = outcome(path, "run == 3")
    assert sample[1]["selected"] == ROWS // 10
    assert sample[1]["rows"] == ROWS
    passing = range(3 * ROWS // 10, 4 * ROWS // 10, BLOCK)
    assert {s for n, s in read if n == "run"} == set(range(0, ROWS, BLOCK))
    for name in ("mass", "tau", "y"):
        assert [s for n, s in read if n == name] == list(passing)


@pytest.fixture
def requested(monkeypatch) -> list[int]:
    """The bytes that are requested of each ROOT file, once it is closed."""
    totals, original = [], root._opened

    def opened(path):
        file = original(path)
        leave = type(file).__exit__

        class Counting(type(file)):
            def __exit__(self, *error):
                totals.append(self.file.source.num_requested_bytes)
                return leave(self, *error)

        file.__class__ = Counting
        return file

    monkeypatch.setattr(root, "_opened", opened)
    return totals


def bytes_of(path: str, branch: str, first: int, last: int) -> int:
    """Compressed bytes of the baskets that have rows from `first` to `last`."""
    file, _, name = path.rpartition(":")
    with uproot.open(file) as opened:
        b = opened[name][branch]
        baskets = [number for number, _ in b.entries_to_ranges_or_baskets(first, last)]
        return sum(b.basket(number).compressed_bytes for number in baskets)


def test_other_baskets_of_rejected_blocks_are_not_read(tmp_path, requested) -> None:
    path = write_tree(tmp_path / "events.root")
    source, names = open_events(path), ["mass", "run", "tau", "y"]

    def taken(blocks) -> int:
        requested.clear()
        for _ in blocks:
            pass
        (total,) = requested
        return total

    passing = (
        RowFilter(("run",), lambda batch: False),
        row_filter_of(parse("run == 3"), source.schema),
    )
    none, some = (taken(source.batches(names, (), BLOCK, row_filter)) for row_filter in passing)
    whole = taken(source.batches(names, (), BLOCK))
    first, last = 3 * ROWS // 10, 4 * ROWS // 10
    others = ("mass", "tau", "y")
    selected = sum(bytes_of(path, name, first, last) for name in others)
    everything = sum(bytes_of(path, name, 0, ROWS) for name in others)
    assert selected < 0.3 * everything
    assert abs(some - none - selected) < 0.1 * selected, "keys are not counted in compressed bytes"
    assert abs(whole - none - everything) < 0.1 * everything


@pytest.mark.parametrize("trusted", [0, 1, 3, 6])
def test_after_some_blocks_that_pass_the_rest_is_read_at_once(events, monkeypatch, trusted) -> None:
    """The first four or five of some 40 blocks pass, and others later."""
    monkeypatch.setattr(unindexed, "TRUSTED", trusted)
    source, names = open_events(events), ["mass", "run", "tau", "y"]
    tells = row_filter_of(parse("run == 0 OR run == 4"), source.schema)
    found = list(source.batches(names, (), BLOCK, tells))
    whole = list(source.batches(names, (), BLOCK))
    assert [(b.first_row, b.batch.num_rows) for b in found] == [
        (b.first_row, b.batch.num_rows) for b in whole
    ]
    narrow = [b for b in found if b.batch.num_columns == 1]
    if trusted <= 3:
        assert narrow == []
    else:
        assert len(narrow) > len(found) / 2
    for a, b in zip(found, whole, strict=True):
        for name in a.batch.schema.names:
            np.testing.assert_array_equal(a.batch[name], b.batch[name])


@pytest.mark.usefixtures("_small_blocks")
def test_a_selection_on_lists(tmp_path, monkeypatch) -> None:
    path = write_tree(tmp_path / "events.root")
    found = outcome(path, "max(jets) > 150 AND run > 0")
    assert 0 < found[1]["selected"] < ROWS / 10
    monkeypatch.setattr(reading, "row_filter_of", lambda *_: None)
    assert outcome(path, "max(jets) > 150 AND run > 0") == found


@pytest.mark.usefixtures("_small_blocks")
@pytest.mark.parametrize("row", [0, 1234, ROWS - 1])
def test_lists_that_do_not_fit_are_refused_as_without(tmp_path, monkeypatch, row) -> None:
    path = write_tree(tmp_path / "events.root", misfit=row)
    select = "run > 20 AND sum(jets * masses) > 10"
    found = outcome(path, select)
    assert f"at row {row}" in found
    monkeypatch.setattr(reading, "row_filter_of", lambda *_: None)
    assert outcome(path, select) == found


def test_a_selection_without_columns_has_no_row_filter() -> None:
    schema = pa.schema([("x", pa.float64())])
    assert row_filter_of(None, schema) is None
    assert row_filter_of(parse("1 < 2"), schema) is None
