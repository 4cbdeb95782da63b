"""Events on the Hub: published as a dataset in one commit, and read again from there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import steepest
from share.loopback_hub import TOKEN, Fault, Hub
from steepest.errors import EventsError, InputError, Interrupted
from steepest.events import hub as hub_events
from steepest.events import open_events
from steepest.share import Target, dataset, prepare_events, share_events, share_run, write_events
from steepest.training import TrainingCallback

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
NAME = "dl4phys/jets"
TARGET = Target(NAME, "dataset")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts, and no revision that is remembered of another test's Hub."""
    monkeypatch.setattr("steepest.events.retries.time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setattr(hub_events, "_REVISIONS", {})


def table_of(rows: int, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    pt = random.exponential(50, rows).astype("float32")
    label = (random.random(rows) < 1 / (1 + np.exp(2 - pt / 30))).astype("int8")
    counts = random.integers(0, 5, rows)
    parts = [random.normal(size=count).astype("float32").tolist() for count in counts]
    missing = np.where(np.arange(rows) % 10 == 0, np.nan, pt / 3)
    fields = [
        pa.field("pt", pa.float32(), metadata={"unit": "GeV", "title": "jet pT"}),
        pa.field("mass", pa.float64()),
        pa.field("part_px", pa.list_(pa.float32()), metadata={"unit": "GeV"}),
        pa.field("channel", pa.dictionary(pa.int8(), pa.string())),
        pa.field("is_top", pa.int8()),
    ]
    channel = pa.array(random.choice(["e", "mu"], rows).tolist()).dictionary_encode()
    columns = [pt, missing, parts, channel.cast(fields[3].type), label]
    return pa.Table.from_arrays(
        [pa.array(c, f.type) if not isinstance(c, pa.Array) else c
         for c, f in zip(columns, fields, strict=True)], schema=pa.schema(fields))  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two files of the training and one of the test."""
    for index, name in enumerate(("jets_train_0", "jets_train_1", "jets_test")):
        pq.write_table(table_of(200 + index, index), tmp_path / f"{name}.parquet")
    return [str(tmp_path / "jets_train_*.parquet"), str(tmp_path / "jets_test.parquet")]


def test_events_go_there_and_come_back(hub: Hub, files: list[str], tmp_path: Path):
    done = share_events(files, TARGET, license="cc-by-4.0")
    assert done.made
    assert done.url.startswith(f"{hub.url}/datasets/{NAME}/commit/")
    assert len(hub.repos[NAME].commits) == 2  # that of the new repository, and one with all files
    assert hub.repos[NAME].files.keys() - {".gitattributes"} == {
        "README.md", "steepest.json", "manifest.json", "data/train-00000-of-00001.parquet",
        "data/test-00000-of-00001.parquet"}  # fmt: skip
    source = open_events(f"hf://datasets/{NAME}/data/train-*.parquet")
    assert source.rows == 401
    assert source.schema.field("pt").metadata == {b"unit": b"GeV", b"title": b"jet pT"}
    read = pa.Table.from_batches([b.batch for b in source.batches(source.schema.names)])
    written = pa.concat_tables([table_of(200, 0), table_of(201, 1)])
    for name in written.column_names:
        expected = written[name].cast(source.schema.field(name).type)
        same = read[name].combine_chunks(), expected.combine_chunks()
        if name == "mass":
            np.testing.assert_array_equal(*(column.to_numpy(False) for column in same))
        else:
            assert same[0].equals(same[1]), name


@pytest.mark.slow
def test_a_model_is_trained_on_what_was_published(hub: Hub, files: list[str], tmp_path: Path):
    share_events(files, TARGET)
    recipe = {
        "events": {"path": f"hf://datasets/{NAME}/data/train-*.parquet", "label": "is_top",
                   "features": ["pt"]},
        "descent": {"epochs": 2},
    }  # fmt: skip
    run = steepest.train(recipe, tmp_path / "run", progress=False)
    assert run.metrics is not None
    assert run.metrics["source"]["files"][0]["dataset"] == NAME
    assert run.model.unit is None
    assert run.model.units["pt"] == {"unit": "GeV", "title": "jet pT"}
    share_run(run.path, Target("dl4phys/tagger"))
    assert f"datasets:\n- {NAME}\n" in hub.repos["dl4phys/tagger"].files["README.md"].decode()


def test_the_card_says_what_the_files_hold(files: list[str]):
    prepared = prepare_events([*files, "holdout=" + files[1]], NAME, license="cc-by-4.0")
    _, front, body = prepared.card.split("---\n", 2)
    data = yaml.safe_load(front)
    assert data["license"] == "cc-by-4.0"
    assert data["size_categories"] == ["n<1K"]
    (config,) = data["configs"]
    assert [entry["split"] for entry in config["data_files"]] == ["train", "test", "holdout"]
    assert config["data_files"][0]["path"] == "data/train-*.parquet"
    features = {f["name"]: f for f in data["dataset_info"]["features"]}
    assert features["pt"]["dtype"] == "float32"
    assert features["part_px"] == {"name": "part_px", "list": "float32"}
    assert features["channel"]["dtype"] == "string"
    assert [s["num_examples"] for s in data["dataset_info"]["splits"]] == [401, 202, 202]
    assert data["dataset_info"]["download_size"] == sum(
        size for name, size in prepared.files.items() if name.endswith(".parquet")
    )
    pt = np.concatenate([table_of(200 + i, i)["pt"].to_numpy() for i in range(3)])
    assert f"| `pt` | float32 | GeV | jet pT | {pt.min():.6g} | {pt.max():.6g} |" in body
    assert "| `part_px` | list of float32 | GeV |" in body
    missing = sum(-(-(200 + i) // 10) for i in (0, 1, 2, 2))
    assert f"| {missing} |" in next(line for line in body.splitlines() if "`mass`" in line)
    assert "jets_train_0.parquet" in body
    assert str(Path(files[0]).parent) not in prepared.card


def test_what_lies_in_the_files(files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dataset, "FILE_BYTES", 5_000)
    monkeypatch.setattr(dataset, "GROUP_ROWS", 64)
    write_events(files, tmp_path / "out", NAME)
    written = sorted((tmp_path / "out" / "data").glob("train-*.parquet"))
    assert len(written) > 2
    assert written[0].name == f"train-00000-of-{len(written):05d}.parquet"
    counts = [pq.ParquetFile(file).metadata.num_rows for file in written]
    assert sum(counts) == 401
    assert max(counts) - counts[-1] <= max(counts)
    assert all(pq.ParquetFile(f).metadata.row_group(0).num_rows <= 64 for f in written)
    whole = pl.concat([pl.read_parquet(file) for file in written])
    expected = pl.from_arrow(pa.concat_tables([table_of(200, 0), table_of(201, 1)]))
    assert isinstance(expected, pl.DataFrame)
    assert whole["pt"].to_list() == expected["pt"].to_list()
    assert whole["part_px"].to_list() == expected["part_px"].to_list()
    mark = json.loads((tmp_path / "out" / "steepest.json").read_text())
    assert (mark["format"], mark["version"]) == ("steepest-events", 1)
    assert mark["splits"]["train"]["rows"] == 401
    assert mark["splits"]["train"]["from"][0]["name"] == "jets_train_0.parquet"
    with pytest.raises(InputError, match="There is something at"):
        write_events(files, tmp_path / "out", NAME)


def test_pages_are_cut_by_content(tmp_path: Path):
    """Rows put before the others change few of the pages: the Hub has the rest already."""
    random = np.random.default_rng(0)
    rows = pa.table({"x": random.normal(size=600_000)})
    more = pa.concat_tables([pa.table({"x": random.normal(size=1_000)}), rows])
    pieces = []
    for name, events in (("first", rows), ("second", more)):
        pq.write_table(events, tmp_path / f"{name}.parquet")
        write_events([str(tmp_path / f"{name}.parquet")], tmp_path / name, NAME)
        file = tmp_path / name / "data" / "train-00000-of-00001.parquet"
        content = file.read_bytes()
        pieces.append({content[i : i + 4096] for i in _pages(file)})
    shared = len(pieces[0] & pieces[1])
    assert len(pieces[0]) >= 4
    assert shared >= len(pieces[0]) - 3


def _pages(file: Path) -> list[int]:
    """Where the pages of the only column start, by their headers' bytes in the file."""
    content, starts = file.read_bytes(), []
    for group in range(pq.ParquetFile(file).metadata.num_row_groups):
        chunk = pq.ParquetFile(file).metadata.row_group(group).column(0)
        first, size = chunk.data_page_offset, chunk.total_compressed_size
        place = content.find(b"\x28\xb5\x2f\xfd", first, first + size)  # the mark of zstd
        while place >= 0:
            starts.append(place)
            place = content.find(b"\x28\xb5\x2f\xfd", place + 4, first + size)
    return starts


def test_the_same_again_sends_nothing_and_fewer_files_take_old_ones_away(
    hub: Hub, files: list[str], monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as context:
        context.setattr(dataset, "FILE_BYTES", 5_000)
        share_events(files, TARGET)
    many = {name for name in hub.repos[NAME].files if name.startswith("data/")}
    done = share_events(files, TARGET)
    now = {name for name in hub.repos[NAME].files if name.startswith("data/")}
    assert set(done.removed) == many - now
    assert now == {"data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"}
    assert "Removed: data/" in " ".join(done.sentences())
    before = hub.repos[NAME].head
    again = share_events(files, TARGET)
    assert (again.sent, again.removed, hub.repos[NAME].head) == ((), (), before)


def test_a_pull_request_and_a_private_one(hub: Hub, files: list[str]):
    hub.add(NAME, {"README.md": b"# Other", "data/old.parquet": b"x"})
    done = share_events(files, Target(NAME, "dataset", pull_request=True))
    assert done.url.endswith("/discussions/1")
    assert len(hub.repos[NAME].commits) == 1
    share_events(files, Target("dl4phys/secret", "dataset", private=True))
    assert hub.repos["dl4phys/secret"].private


@pytest.mark.parametrize("how", [504, 429, "broken", "lost"])
def test_what_may_pass_is_tried_again(how: int | str, hub: Hub, files: list[str]):
    hub.faults.append(Fault("POST", "/commit/", how))
    share_events(files, TARGET)
    assert hub.faults[0].times == 0
    assert len(hub.repos[NAME].commits) == 2
    assert open_events(f"hf://datasets/{NAME}/data/test-*.parquet").rows == 202


def test_what_lasts_is_an_error_and_the_same_call_completes(hub: Hub, files: list[str]):
    hub.faults.append(Fault("PUT", "/lfs/", 503, 99))
    with pytest.raises(InputError, match="The dataset dl4phys/jets") as caught:
        share_events(files, TARGET)
    assert TOKEN not in str(caught.value)
    assert hub.repos[NAME].files.keys() == {".gitattributes"}
    hub.faults.clear()
    share_events(files, TARGET)
    assert open_events(f"hf://datasets/{NAME}/data/train-*.parquet").rows == 401


@pytest.mark.parametrize("content", [{"data/a.parquet": b"x"}, {"steepest.json": b'{"format": 1}'}])
def test_other_content_is_never_overwritten(content: dict, hub: Hub, files: list[str]):
    repo = hub.add(NAME, content)
    with pytest.raises(InputError, match=r"The dataset dl4phys/jets holds something else\."):
        share_events(files, TARGET)
    assert len(repo.commits) == 1


def test_a_card_that_was_changed_by_hand_is_left(hub: Hub, files: list[str]):
    share_events(files, TARGET)
    repo = hub.repos[NAME]
    repo.commit({**repo.files, "README.md": b"# By hand\n"})
    done = share_events(files[:1], TARGET)
    assert done.kept == ("README.md",)
    assert repo.files["README.md"] == b"# By hand\n"


# --- bad input -----------------------------------------------------------------------------------


def test_bad_input(hub: Hub, files: list[str], tmp_path: Path):
    for name in ("../x", "a/b/c", "jets"):
        with pytest.raises(InputError, match="is no name of a dataset on the Hub"):
            share_events(files, Target(name, "dataset"))
    with pytest.raises(InputError, match="There are no events to share"):
        share_events([], TARGET)
    with pytest.raises(EventsError, match=r"absent\.parquet"):
        share_events([str(tmp_path / "absent.parquet")], TARGET)
    pq.write_table(table_of(5).drop_columns(["mass"]), tmp_path / "less.parquet")
    with pytest.raises(InputError, match="'mass' in train alone"):
        share_events([files[0], f"test={tmp_path / 'less.parquet'}"], TARGET)
    assert not any(line.startswith("POST") for line in hub.asked)


def test_it_can_be_interrupted(hub: Hub, files: list[str]):
    callback = TrainingCallback()
    callback.interrupted = True
    with pytest.raises(Interrupted, match="Interrupted after"):
        share_events(files, TARGET, callback=callback)
    assert hub.asked == []


def test_files_of_another_format(tmp_path: Path):
    (tmp_path / "jets.csv").write_text("pt,n\n1.5,3\n2.5,4\n")
    prepared = prepare_events([str(tmp_path / "jets.csv")], NAME)
    assert "| `n` | int64 | 3 | 4 |" in prepared.card
    assert "data/train-00000-of-00001.parquet" in prepared.files
