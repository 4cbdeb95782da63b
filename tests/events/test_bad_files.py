"""Files that cannot be read among others: named, or skipped and counted."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

import steepest
from samples import make_events, small_recipe
from steepest.errors import EventsError, Interrupted, RunFolderError
from steepest.events import MemoryBudget, load_sample, open_events, same_events
from steepest.events.formats import first_look
from steepest.events.reading.store import FromFiles
from steepest.prediction import predict_events
from steepest.recipe import EventsRecipe
from steepest.training import TrainingCallback
from thread_ranks import on_ranks

ROWS = 300
SUFFIXES = ["parquet", "root", "h5", "csv", "npz"]


def columns(number: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(number)
    values = {"pt": random.exponential(50, ROWS), "w": random.uniform(0.5, 2, ROWS)}
    return {**values, "y": random.integers(0, 2, ROWS)}


def write_file(path: Path, values: dict[str, np.ndarray]) -> None:
    if path.suffix == ".parquet":
        pq.write_table(pa.table(values), path, row_group_size=100, compression="gzip")
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.table(values), path)
    elif path.suffix == ".npz":
        np.savez_compressed(path, **values)  # pyright: ignore[reportArgumentType]
    elif path.suffix == ".h5":
        h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")
        with h5py.File(path, "w") as file:
            for name, column in values.items():
                file.create_dataset(name, data=column, chunks=(50,), compression="gzip")
    else:
        uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
        with uproot.recreate(path) as file:
            tree = file.mktree("events", {name: v.dtype for name, v in values.items()})
            for start in range(0, ROWS, 100):
                tree.extend({name: v[start : start + 100] for name, v in values.items()})


def written(folder: Path, suffix: str = "parquet", count: int = 4) -> list[Path]:
    paths = [folder / f"jets-{number}.{suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        write_file(path, columns(number))
    return paths


def cut(path: Path) -> None:
    """As a copy that was stopped."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil(path: Path) -> None:
    """Damage events of a file whose metadata stay as they are."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".csv":
        place = content.index(b",", 2000)
        del content[place]
    else:
        packed = rb"\x1f\x8b|\x28\xb5\x2f\xfd" if path.suffix == ".parquet" else rb"ZL\x08"
        places = [match.start() for match in re.finditer(packed, content)]
        for place in places if path.suffix == ".parquet" else places[1:2]:
            content[place : place + 40] = bytes(40)
    path.write_bytes(bytes(content))


def recipe(files, **keys) -> EventsRecipe:
    path = [str(file) for file in files] if isinstance(files, list) else str(files)
    return EventsRecipe.model_validate(
        {"path": path, "label": "y", "weight": "w", "features": ["pt"], **keys}
    )


def same(sample, paths: list[Path]) -> None:
    """The sample is that of the paths alone."""
    alone = load_sample(recipe(paths))
    for name in ("features", "labels", "weights", "part", "rows", "file"):
        np.testing.assert_array_equal(getattr(sample, name), getattr(alone, name))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_cannot_be_opened_is_skipped(tmp_path, monkeypatch, suffix) -> None:
    monkeypatch.setattr(first_look, "LIMIT", 2.0)
    paths = written(tmp_path, suffix)
    if suffix == "csv":
        paths[1].write_bytes(b"\x00" * 100)
    else:
        cut(paths[1])
    with pytest.raises(EventsError) as caught:
        load_sample(recipe(tmp_path / f"*.{suffix}"))
    assert str(paths[1]) in caught.value.what
    assert 'on_bad_file = "skip"' in str(caught.value.details["do"])
    sample = load_sample(recipe(tmp_path / f"*.{suffix}", on_bad_file="skip"))
    same(sample, [paths[0], *paths[2:]])
    (skipped,) = sample.source["skipped"]
    assert skipped["path"] == str(paths[1])
    assert skipped["reason"].startswith(caught.value.what.rstrip("."))
    (note,) = [note for note in sample.notes if note.startswith("Skipped 1 file of 4")]
    assert skipped["reason"] in note


@pytest.mark.parametrize("suffix", ["parquet", "root", "csv"])
def test_a_file_that_turns_out_to_be_bad_is_skipped_as_a_whole(tmp_path, suffix) -> None:
    paths = written(tmp_path, suffix)
    for path in (paths[1], paths[3]):
        spoil(path)
    opened = open_events([str(path) for path in paths], "", "skip")
    if suffix != "csv":  # of which types are found over all rows as it is opened
        assert opened.files == [str(path) for path in paths]
    sample = load_sample(recipe(tmp_path / f"*.{suffix}", on_bad_file="skip"))
    same(sample, [paths[0], paths[2]])
    assert [one["path"] for one in sample.source["skipped"]] == [str(paths[1]), str(paths[3])]
    with pytest.raises(EventsError) as caught:
        load_sample(recipe(tmp_path / f"*.{suffix}"))
    assert str(paths[1]) in str(caught.value)
    assert 'on_bad_file = "skip"' in str(caught.value.details["do"])


def test_no_file_that_can_be_read(tmp_path, refused) -> None:
    paths = written(tmp_path, count=2)
    paths[0].write_bytes(b"PAR1 is all")
    spoil(paths[1])
    message = """
None of the 2 files can be read.
  expected: at least one file that can be read
  found:    DIR/jets-0.parquet is cut short: it begins as Parquet but does not end as Parquet \
(11 bytes that end in b' all')
  do:       check DIR/jets-0.parquet, DIR/jets-1.parquet
""".replace("\\\n", "")
    refused(EventsError, message, load_sample, recipe(tmp_path / "*.parquet", on_bad_file="skip"))
    with pytest.raises(EventsError, match="None of the 1 file can be read"):
        load_sample(recipe(paths[0], on_bad_file="skip"))


def test_what_is_not_there_is_skipped_and_other_columns_are_not(tmp_path) -> None:
    paths = written(tmp_path, count=2)
    given = [*map(str, paths), str(tmp_path / "absent.parquet")]
    sample = load_sample(recipe(given, on_bad_file="skip"))
    same(sample, paths)
    assert "There is no file" in sample.source["skipped"][0]["reason"]
    write_file(tmp_path / "other.parquet", {"eta": columns(9)["pt"]})
    with pytest.raises(EventsError, match="has no column 'pt'"):
        load_sample(recipe(tmp_path / "*.parquet", on_bad_file="skip"))
    with pytest.raises(EventsError, match="No file matches"):
        load_sample(recipe([*given, tmp_path / "*.root"], on_bad_file="skip"))


def test_the_fingerprint_knows_what_is_skipped(tmp_path) -> None:
    paths = written(tmp_path)
    whole = open_events(str(tmp_path / "*.parquet")).fingerprint()
    cut(paths[1])
    skipping = open_events(str(tmp_path / "*.parquet"), "", "skip").fingerprint()
    alone = open_events([str(path) for path in (paths[0], *paths[2:])]).fingerprint()
    assert skipping["files"] == alone["files"]
    assert "skipped" not in whole
    again = {**skipping, "skipped": [{**skipping["skipped"][0], "reason": "another one"}]}
    assert same_events(skipping, again)
    assert not same_events(skipping, {**skipping, "skipped": []})
    assert not same_events(skipping, whole)


def samples(tmp_path: Path, **keys) -> EventsRecipe:
    return EventsRecipe.model_validate(
        {
            "samples": [
                {"name": "s", "path": str(tmp_path / "s/*.parquet"), "cross_section": 2.0, **keys},
                {"name": "b", "path": str(tmp_path / "b/*.parquet"), "cross_section": 3.0},
            ],
            "weight": "w",
            "features": ["pt"],
            "luminosity": 0.5,
        }
    )


@pytest.fixture
def processes(tmp_path) -> Path:
    for name in "sb":
        (tmp_path / name).mkdir()
        written(tmp_path / name, count=3)
    return tmp_path


@pytest.mark.parametrize("harm", [cut, spoil])
def test_the_yield_of_a_sample_stays_without_skipped_files(processes, harm) -> None:
    harm(processes / "s/jets-1.parquet")
    sample = load_sample(samples(processes, on_bad_file="skip"))
    sums = np.bincount(sample.sample, sample.weights)
    np.testing.assert_allclose(sums, [2.0 * 500, 3.0 * 500], rtol=1e-12)
    np.testing.assert_array_equal(np.bincount(sample.sample), [2 * ROWS, 3 * ROWS])
    notes = " ".join(sample.notes)
    assert "Sample 's': 600 events in 2 files (1 skipped)" in notes
    assert "Σw is that of the files that were read" in notes
    given = load_sample(samples(processes, on_bad_file="skip", sum_of_weights=1000.0))
    assert any("which is then too low" in note for note in given.notes)


def test_a_sample_may_skip_what_the_others_do_not(processes) -> None:
    spoil(processes / "b/jets-1.parquet")
    with pytest.raises(EventsError, match=r"b/jets-1.parquet is damaged"):
        load_sample(samples(processes, on_bad_file="skip"))
    everywhere = samples(processes).model_copy(update={"on_bad_file": "skip"})
    assert np.bincount(load_sample(everywhere).sample).tolist() == [3 * ROWS, 2 * ROWS]
    stops = samples(processes, on_bad_file="stop").model_copy(update={"on_bad_file": "skip"})
    assert len(load_sample(stops).source["skipped"]) == 1
    cut(processes / "s/jets-0.parquet")
    with pytest.raises(EventsError, match=r"s/jets-0.parquet is cut short"):
        load_sample(stops)


def test_a_part_with_the_sum_of_weights_that_cannot_be_read(tmp_path) -> None:
    uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
    for number in range(3):
        with uproot.recreate(tmp_path / f"s-{number}.root") as file:
            file["Events"] = columns(number)
            if number != 1:
                file["Runs"] = {"sumw": np.full(2, 10.0)}
                file["count"] = np.histogram([0.5], bins=1, range=(0, 1), weights=[20.0])
    for given in ("Runs:sumw", "count:1"):
        keys = {"path": str(tmp_path / "s-*.root:Events"), "sum_of_weights": given}
        chosen = EventsRecipe.model_validate(
            {
                "samples": [{"name": "s", "cross_section": 1.0, **keys}],
                "label": "y",
                "features": ["pt"],
                "on_bad_file": "skip",
            }
        )
        sample = load_sample(chosen)
        assert len(sample) == 2 * ROWS
        np.testing.assert_allclose(sample.weights, 1_000 / 40.0)
        with pytest.raises(EventsError, match=r"s-1.root"):
            load_sample(chosen.model_copy(update={"on_bad_file": "stop"}))


def test_a_file_that_turns_bad_while_it_is_used(tmp_path, monkeypatch) -> None:
    paths = [tmp_path / f"jets-{number}.parquet" for number in range(2)]
    for number, path in enumerate(paths):
        pq.write_table(pa.table(columns(number)), path, row_group_size=100, compression="zstd")
    chosen = recipe(tmp_path / "*.parquet", on_bad_file="skip", weight=None)
    sample = load_sample(chosen, budget=MemoryBudget(1_000, tmp_path))
    assert isinstance(sample.features, FromFiles)
    shutil.copy(paths[1], tmp_path / "kept")
    paths[1].unlink()
    with pytest.raises(EventsError, match=r"have changed while they were in use"):
        sample.features.read(0, 2 * ROWS)
    shutil.copy(tmp_path / "kept", paths[1])
    assert sample.features.read(0, 2 * ROWS).shape == (2 * ROWS, 1)
    monkeypatch.setattr(sample.features, "_is_changed", lambda: False)  # as of a large file
    spoil(paths[1])
    with pytest.raises(EventsError, match=r"jets-1.parquet is damaged") as caught:
        sample.features.read(0, 2 * ROWS)
    assert "only while the events are first read" in str(caught.value.details["do"])


def test_friends_and_rows_of_jets_of_files_that_are_left(tmp_path) -> None:
    lists = [[1.0, 2.0], [], [3.0]] * (ROWS // 3)
    (tmp_path / "friends").mkdir()
    for number, path in enumerate(written(tmp_path, count=3)):
        table = pa.table({**columns(number), "Jet_pt": lists, "event": np.arange(ROWS)})
        pq.write_table(table, path, compression="gzip")
        other = pa.table({"score": columns(number)["pt"] + 1, "event": np.arange(ROWS)})
        pq.write_table(other, tmp_path / "friends" / path.name)
    spoil(tmp_path / "jets-1.parquet")
    friend = str(tmp_path / "friends/{stem}.parquet")
    keys = {"friends": [friend], "features": ["score"], "on_bad_file": "skip"}
    sample = load_sample(recipe(tmp_path / "jets-*.parquet", **keys))
    expected = np.concatenate([columns(0)["pt"], columns(2)["pt"]]) + 1
    np.testing.assert_array_equal(sample.features[:, 0], expected)
    jets = load_sample(recipe(tmp_path / "jets-*.parquet", **keys, explode="Jet"))
    kept = np.concatenate([np.repeat(columns(n)["pt"], [2, 0, 1] * (ROWS // 3)) for n in (0, 2)])
    np.testing.assert_array_equal(jets.features[:, 0], kept + 1)
    other = pa.table({"score": columns(0)["pt"], "event": np.arange(ROWS)[::-1]})
    pq.write_table(other, tmp_path / "friends/jets-0.parquet")
    with pytest.raises(EventsError, match="different events"):  # is no damage
        load_sample(recipe(tmp_path / "jets-*.parquet", **keys))


def test_ranks_skip_what_one_of_them_cannot_read(tmp_path) -> None:
    paths = written(tmp_path)
    spoil(paths[3])  # of the second rank's rows alone
    chosen = recipe(tmp_path / "*.parquet", on_bad_file="skip")
    samples = on_ranks(lambda ranks: load_sample(chosen))
    whole = load_sample(chosen)
    for name in ("features", "labels"):
        both = np.concatenate([getattr(sample, name) for sample in samples])
        np.testing.assert_array_equal(both, getattr(whole, name))
    assert [len(sample.source["files"]) for sample in samples] == [3, 3]


# --- runs and predictions -------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    for number in range(3):
        values = make_events(400, number)
        pq.write_table(pa.table(values), tmp_path / f"e{number}.parquet", compression="gzip")
    spoil(tmp_path / "e1.parquet")
    table = small_recipe(tmp_path / "e*.parquet")
    table["events"]["on_bad_file"] = "skip"
    table["evaluate"] = {"baseline": False}
    return steepest.train(table, tmp_path / "run", progress=False)


def test_a_run_names_and_counts_what_it_skipped(run, tmp_path) -> None:
    (skipped,) = run.metrics["source"]["skipped"]
    assert skipped["path"] == str(tmp_path / "e1.parquet")
    told = "Skipped 1 file of 3, which cannot be read: "
    assert told + skipped["reason"] in (run.path / "log.txt").read_text()
    assert any(warning.startswith(told) for warning in run.metrics["warnings"])
    assert "e1.parquet" in run.report.read_text()
    assert run.evaluate(progress=False)["source"] == run.metrics["source"]


def test_a_run_does_not_go_on_with_a_file_that_was_skipped(tmp_path) -> None:
    for number in range(2):
        pq.write_table(pa.table(make_events(400, number)), tmp_path / f"e{number}.parquet")
    shutil.copy(tmp_path / "e1.parquet", tmp_path / "whole")
    cut(tmp_path / "e1.parquet")
    table = small_recipe(tmp_path / "e*.parquet")
    table["events"]["on_bad_file"] = "skip"
    table["descent"]["checkpoint"] = {"steps": 1}

    class Stops(TrainingCallback):
        def round(self, state, values) -> None:
            self.interrupted = True

    with pytest.raises(Interrupted):
        steepest.train(table, tmp_path / "run", callback=Stops())
    shutil.copy(tmp_path / "whole", tmp_path / "e1.parquet")
    with pytest.raises(RunFolderError) as caught:
        steepest.resume(tmp_path / "run", progress=False)
    assert "e1.parquet skipped" in str(caught.value.details["expected"])
    cut(tmp_path / "e1.parquet")
    ended = steepest.resume(tmp_path / "run", progress=False).metrics
    assert ended is not None
    assert ended["status"] == "complete"


def test_other_events_are_evaluated_without_bad_files(run, tmp_path) -> None:
    events = str(tmp_path / "e*.parquet")
    found = run.evaluate(events, progress=False)  # as the recipe says
    assert found["source"]["skipped"][0]["path"] == str(tmp_path / "e1.parquet")
    good = [str(tmp_path / f"e{number}.parquet") for number in (0, 2)]
    assert found["merits"] == run.evaluate(good, progress=False)["merits"]
    with pytest.raises(EventsError, match=r"e1.parquet is damaged"):
        run.evaluate(events, on_bad_file="stop", progress=False)


def test_scores_without_bad_files(run, tmp_path) -> None:
    events, out = str(tmp_path / "e*.parquet"), tmp_path / "scores.parquet"
    with pytest.raises(EventsError) as caught:
        predict_events(run.path, events, out)
    assert "--on-bad-file skip" in str(caught.value.details["do"])
    done = predict_events(run.path, events, out, on_bad_file="skip", overwrite=True)
    assert list(done.skipped) == [str(tmp_path / "e1.parquet")]
    assert (done.rows, done.events) == (800, 800)
    good = [str(tmp_path / f"e{number}.parquet") for number in (0, 2)]
    predict_events(run.path, good, tmp_path / "good.parquet")
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "good.parquet"))


def test_scores_go_on_without_bad_files(run, tmp_path, monkeypatch) -> None:
    from steepest.prediction import scorer

    for name, value in (("MOST_IN_BLOCK", 100), ("MOST_IN_PART", 100), ("LEAST", 1)):
        monkeypatch.setattr(scorer, name, value)

    class Stops(TrainingCallback):
        def read(self, rows, total) -> None:
            self.interrupted = total == 800 and rows >= 500

    given = run.path, str(tmp_path / "e*.parquet"), tmp_path / "scores.parquet"
    with pytest.raises(Interrupted):
        predict_events(*given, on_bad_file="skip", callback=Stops())
    done = predict_events(*given, on_bad_file="skip", resume=True)
    assert done.resumed >= 400
    assert list(done.skipped) == [str(tmp_path / "e1.parquet")]
    assert pq.read_table(given[2]).num_rows == 800
