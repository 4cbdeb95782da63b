"""Files over the network: each format is read as from a disk, and failures lose nothing."""

from __future__ import annotations

import io
import os
import types
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import ClassVar

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from events.file_server import file_server
from events.s3_server import s3_server
from steepest.errors import EventsError, MissingExtraError
from steepest.events import file_systems, load_sample, open_events, remote, retries, transfers
from steepest.recipe import EventsRecipe

pytest.importorskip("aiohttp", reason="needs the extra [remote]")
h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")
uproot = pytest.importorskip("uproot", reason="needs the extra [root]")

ROWS = 40_000
COLUMNS = {f"x{i}": np.random.default_rng(i).normal(size=ROWS) for i in range(12)}
COLUMNS["y"] = (np.arange(ROWS) % 2).astype("i4")


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(COLUMNS), stream, row_group_size=ROWS // 2)
    return stream.getvalue()


def hdf5() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        for name, values in COLUMNS.items():
            file.create_dataset(f"jets/{name}", data=values, chunks=(5_000,), compression="gzip")
    return stream.getvalue()


def csv() -> bytes:
    stream = io.BytesIO()
    pc.write_csv(pa.table(COLUMNS).slice(0, 5_000), stream)
    return stream.getvalue()


def root(folder) -> bytes:
    path = folder / "jets.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("events", {name: values.dtype for name, values in COLUMNS.items()})
        for start in range(0, ROWS, 5_000):
            tree.extend({n: v[start : start + 5_000] for n, v in COLUMNS.items()})
    return path.read_bytes()


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, bytes]:
    return {
        "jets.parquet": parquet(),
        "jets.h5": hdf5(),
        "jets.csv": csv(),
        "jets.root": root(tmp_path_factory.mktemp("root")),
    }


@pytest.fixture(scope="module")
def server(files):
    with file_server(files) as server:
        yield server


@pytest.fixture(autouse=True)
def waited(monkeypatch, server) -> list[float]:
    """The seconds that would have been waited before requests were repeated."""
    server.tried.clear()
    server.sent.clear()
    server.failed.clear()
    waited: list[float] = []
    clock = types.SimpleNamespace(sleep=waited.append, monotonic=lambda: sum(waited))
    monkeypatch.setattr(retries, "time", clock)
    return waited


def read(path: str, columns=("x3", "y")) -> dict[str, np.ndarray]:
    blocks = [block.batch for block in open_events(path).batches(list(columns), batch_rows=9_000)]
    table = pa.Table.from_batches(blocks)
    return {name: table[name].to_numpy() for name in columns}


def same(found: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(v, COLUMNS[n][: len(v)]) and len(v) > 0 for n, v in found.items())


FORMATS = ["jets.parquet", "jets.h5", "jets.csv", "jets.root", "jets.root:events", "jets.h5:/jets"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["ok", "deaf"])
def test_formats(server, waited, name, kind) -> None:
    assert same(read(f"{server}/{kind}/{name}"))
    assert waited == []


FAULTS = ["cut", "reset", "short", "stall", "500", "503", "429"]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        # a silent server is waited for: one format in the quick suite
        pytest.param(kind, name, marks=pytest.mark.slow if kind == "stall" and k else ())
        for kind in FAULTS
        for k, name in enumerate(FORMATS[:4])
    ],
)
def test_what_fails_once_is_asked_for_again(server, waited, monkeypatch, kind, name) -> None:
    if kind == "stall":
        monkeypatch.setattr(file_systems, "SILENCE", 0.2)
    assert same(read(f"{server}/{kind}/{name}"))
    asked_twice = kind.isdecimal()  # for the size, fsspec tries GET where HEAD fails
    assert len(waited) == len(server.failed) - asked_twice > 0
    least, most = (3.0, 3.0) if kind == "429" else (0.5, 1.0)
    assert all(least <= seconds <= most for seconds in waited)


def test_only_the_part_that_did_not_arrive_is_asked_for_again(server, files, monkeypatch) -> None:
    monkeypatch.setattr(remote, "REQUEST", 4 * remote.BLOCK)
    assert same(read(f"{server}/ok/jets.csv"))
    whole = server.bytes
    server.sent.clear()
    server.tried.clear()
    assert same(read(f"{server}/cut/jets.csv"))
    assert len(server.failed) == len(server.sent) > 5
    assert server.bytes == whole >= len(files["jets.csv"])


def test_waits_double_and_end(server, waited) -> None:
    def fails() -> None:
        raise ConnectionResetError("reset")

    with pytest.raises(ConnectionResetError) as caught:
        retries.patiently(fails)
    assert len(waited) == retries.ATTEMPTS - 1
    for attempt, seconds in enumerate(waited):
        assert 2.0**attempt / 2 <= seconds <= 2.0**attempt
    assert caught.value.__notes__ == [f"6 attempts in {sum(waited):.0f} s"]
    assert sum(waited) <= retries.TOTAL
    waited[:] = [retries.TOTAL]  # of slow answers
    with pytest.raises(ConnectionResetError):
        retries.patiently(lambda: waited.append(retries.TOTAL) or fails())
    assert len(waited) == 2, "one attempt, no wait"


def test_a_file_that_xrootd_does_not_have(waited, refused) -> None:
    url, told = "root://host//jets.root", "File stat request failed: [3011] Unable to locate it"

    def ask() -> None:
        def fails() -> None:
            raise OSError(told)

        with retries.refusals(url):
            retries.patiently(fails)

    message = f"There is no file {url}.\n  found:    {told}\n  do:       check the path"
    refused(EventsError, message, ask)
    assert waited == []


def test_a_server_that_stays_down_or_silent(server, waited, monkeypatch) -> None:
    with pytest.raises(EventsError) as caught:
        open_events(f"{server}/down/jets.root")
    assert caught.value.what == f"{server}/down/jets.root cannot be downloaded."
    found = "status 503, 1 attempt in 0 s; the server asks to wait 3600 s"
    assert caught.value.details["found"] == found
    assert waited == []
    monkeypatch.setattr(file_systems, "SILENCE", 0.1)
    with pytest.raises(EventsError, match=r"silent/jets.h5 cannot be downloaded") as caught:
        open_events(f"{server}/silent/jets.h5")
    assert "6 attempts in " in str(caught.value.details["found"])
    assert len(server.failed) == 1 + retries.ATTEMPTS


def test_what_the_server_asks_for_as_a_date(monkeypatch, waited) -> None:
    class RefusedError(OSError):
        status = 429
        headers: ClassVar[dict[str, str]] = {
            "Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
        }

    answers = [RefusedError("no"), None]

    def call() -> int:
        if (error := answers.pop(0)) is not None:
            raise error
        return 5

    assert retries.patiently(call) == 5
    assert 35 <= waited[0] <= 40


def test_a_file_over_the_network_is_skipped(server, files, tmp_path) -> None:
    (tmp_path / "jets.parquet").write_bytes(files["jets.parquet"])
    given = [f"{server}/down/jets.parquet", f"{server}/ok/jets.parquet", f"{server}/ok/no.parquet"]
    recipe = EventsRecipe(path=given, label="y", features=["x1"], on_bad_file="skip")
    sample = load_sample(recipe)
    assert np.array_equal(sample.features[:, 0], COLUMNS["x1"])
    skipped = sample.source["skipped"]
    assert [one["path"] for one in skipped] == [given[0], given[2]]
    assert "status 503, 1 attempt" in skipped[0]["reason"]
    with pytest.raises(EventsError, match=r"down/jets.parquet cannot be downloaded") as caught:
        load_sample(recipe.model_copy(update={"on_bad_file": "stop"}))
    assert 'on_bad_file = "skip"' in str(caught.value.details["do"])


def test_a_size_that_is_not_that_of_the_file(server, files) -> None:
    (file,) = remote.remote_files(f"{server}/ok/jets.csv")
    file.fs.invalidate_cache()
    size = len(files["jets.csv"])
    larger = remote.RemoteFile(file.url, file.fs, file.path, size + 5)
    with pytest.raises(EventsError, match="cannot be downloaded") as caught:
        larger.whole()
    assert "bytes in place of" in str(caught.value.details["found"])


@pytest.mark.parametrize("name", ["jets.parquet", "jets.h5", "jets.root"])
def test_only_the_columns_that_are_used_are_downloaded(server, files, name) -> None:
    assert same(read(f"{server}/ok/{name}"))
    assert server.bytes < 0.35 * len(files[name]), "2 of 13 columns, and the metadata"
    assert all(is_range for *_, is_range in server.sent)


@pytest.mark.parametrize("name", ["jets.parquet", "jets.h5", "jets.root"])
def test_what_was_downloaded_is_kept_while_the_file_is_open(server, name) -> None:
    source = open_events(f"{server}/ok/{name}")
    first = [block.batch for block in source.batches(["x5"])]
    server.sent.clear()
    assert [block.batch for block in source.batches(["x5"])] == first
    assert server.sent == []


def test_fingerprints_are_those_of_the_content(server, files, tmp_path) -> None:
    for name in ("jets.h5", "jets.root", "jets.csv"):
        (tmp_path / name).write_bytes(files[name])
        (local,) = open_events(str(tmp_path / name)).fingerprint()["files"]
        source = open_events(f"{server}/ok/{name}?token=1")
        assert source.fingerprint()["files"] == [local]
        assert source.nbytes == len(files[name])


def test_training_reads_a_url(server) -> None:
    recipe = EventsRecipe(path=f"{server}/ok/jets.parquet", label="y", features=["x1", "x2"])
    sample = load_sample(recipe)
    assert np.array_equal(sample.features[:, 0], COLUMNS["x1"])


@pytest.mark.parametrize("name", ["jets.parquet", "jets.h5", "jets.root", "jets.csv"])
def test_progress_is_reported(server, name) -> None:
    reports = []
    with transfers.observe(lambda received, requested: reports.append((received, requested))):
        read(f"{server}/ok/{name}")
    assert all(received <= requested for received, requested in reports)
    assert reports[-1][0] == reports[-1][1] > 0


@pytest.mark.parametrize("name", ["jets.parquet", "jets.h5", "jets.root"])
def test_what_does_not_arrive_is_an_error_and_can_be_read_later(server, name, monkeypatch) -> None:
    source = open_events(f"{server}/ok/{name}")
    (file,) = source.opened
    assert isinstance(file.path, remote.RemoteFile)
    fine = file.path.fs.open

    def refuse(*_, **__):
        raise ConnectionResetError("the connection was reset")

    monkeypatch.setattr(file.path.fs, "open", refuse)
    with pytest.raises(EventsError) as caught:
        list(source.batches(["x7"]))
    assert caught.value.what.startswith(f"{server}/ok/{name}")
    assert caught.value.what.endswith("cannot be downloaded.")
    assert "the connection was reset, 6 attempts in " in str(caught.value.details["found"])
    monkeypatch.setattr(file.path.fs, "open", fine)
    found = [block.batch["x7"].to_numpy() for block in source.batches(["x7"])]
    assert np.array_equal(np.concatenate(found), COLUMNS["x7"])


MESSAGES = {
    "ok/absent.parquet": """
There is no file URL/ok/absent.parquet.
  found:    status 404
  do:       check the path
""",
    "secret/jets.parquet": """
URL/secret/jets.parquet may not be read.
  expected: credentials that allow it
  found:    status 401
  cause:    no credentials, or ones that have expired or are not for this file
  do:       set them as the package for this kind of path documents it
""",
    "ok/*.parquet": """
No file matches URL/ok/*.parquet.
  expected: at least one file
  cause:    most web servers do not list their files
  do:       write the paths of the files
""",
    "ok/jets.parquet:tree": """
URL/ok/jets.parquet:tree names a part of a file, but a Parquet file has no parts.
  expected: URL/ok/jets.parquet alone
  found:    'tree'
  do:       write URL/ok/jets.parquet
""",
}


@pytest.mark.parametrize("path", MESSAGES)
def test_messages(server, path) -> None:
    with pytest.raises(EventsError) as caught:
        open_events(f"{server}/{path}")
    assert str(caught.value).replace(server, "URL").splitlines() == MESSAGES[path].split("\n")[1:-1]


def test_a_server_that_does_not_answer() -> None:
    with file_server({}) as closed:
        pass
    with pytest.raises(EventsError, match=r"jets.parquet cannot be downloaded"):
        open_events(f"{closed}/ok/jets.parquet")


def test_a_file_system_that_connects_as_it_is_made() -> None:
    with pytest.raises(EventsError, match=r"ftp://127.0.0.1:1/x.parquet cannot be downloaded"):
        open_events("ftp://127.0.0.1:1/x.parquet")


def test_one_file_twice(server) -> None:
    url = f"{server}/ok/jets.parquet"
    with pytest.raises(EventsError, match=f"{url} is given twice"):
        open_events([url, url])


def test_without_the_packages(refused, monkeypatch) -> None:
    def absent(url, **_):
        raise ImportError("Install the package to access it")

    monkeypatch.setattr(fsspec, "url_to_fs", absent)
    message = """
Reading https:// needs the package 'aiohttp', which is not installed.
  do:       pip install 'steepest[remote]'
"""
    refused(MissingExtraError, message, open_events, "https://host/jets.parquet")
    message = """
Reading root://host//jets.root needs a package for root://, which is not installed.
  found:    Install the package to access it
  do:       pip install fsspec-xrootd
"""
    refused(EventsError, message, open_events, "root://host//jets.root:events")


def test_an_unknown_scheme(refused) -> None:
    message = """
warp:// of warp://host/jets.root is not known.
  expected: https://, s3://, root://, hf:// or another file system of fsspec
  do:       check the path
"""
    refused(EventsError, message, open_events, "warp://host/jets.root")


def test_a_local_file_as_a_url(files, tmp_path) -> None:
    (tmp_path / "jets.parquet").write_bytes(files["jets.parquet"])
    assert same(read(f"file://{tmp_path}/jets.parquet"))


# --- file systems that list -----------------------------------------------------------------------


@pytest.fixture
def memory(files):
    """The files in fsspec's file system in memory, which lists its files."""
    fs = fsspec.filesystem("memory")
    for name, content in files.items():
        fs.pipe_file(f"/data/a/{name}", content)
    fs.pipe_file("/data/b/jets.parquet", files["jets.parquet"])
    yield fs
    fs.rm("/data", recursive=True)


def test_globs(memory) -> None:
    source = open_events("memory://data/*/jets.parquet")
    assert source.files == ["memory:///data/a/jets.parquet", "memory:///data/b/jets.parquet"]
    assert source.rows == 2 * ROWS
    assert same(read("memory://data/a/jets.h5"))
    with pytest.raises(EventsError, match=r"No file matches memory://data/\*\.pq"):
        open_events("memory://data/*.pq")


def test_a_nearby_name_and_a_folder(memory) -> None:
    with pytest.raises(EventsError) as caught:
        open_events("memory://data/a/jet.parquet")
    assert caught.value.details["do"] == "write memory://data/a/jets.parquet"
    with pytest.raises(EventsError, match=r"memory://data/a is a folder"):
        open_events("memory://data/a")


# --- S3 -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3(files):
    """A small S3 server whose address is in the environment; nobody's credentials are."""
    objects = {f"jets/data/{name}": content for name, content in files.items()}
    objects |= {f"{bucket}/jets.root": files["jets.root"] for bucket in ("busy", "cut")}
    with s3_server(objects) as server, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", server)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        patch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        yield server


@pytest.mark.parametrize("name", FORMATS)
def test_s3(s3, waited, files, name) -> None:
    s3.sent.clear()
    assert same(read(f"s3://jets/data/{name}"))
    assert all(is_range for *_, is_range in s3.sent)
    if "csv" not in name:
        assert s3.bytes < 0.35 * len(files[name.partition(":")[0]]), "2 of 13 columns"
    assert s3.keys == {None}, "a public bucket, read without credentials"
    assert waited == []


def test_s3_lists(s3) -> None:
    assert open_events("s3://jets/data/*.parquet").files == ["s3://jets/data/jets.parquet"]
    assert open_events("s3a://jets/*/jets.h5:/jets").rows == ROWS
    with pytest.raises(EventsError, match=r"No file matches s3://jets/data/\*\.pq"):
        open_events("s3://jets/data/*.pq")
    with pytest.raises(EventsError, match="s3://jets/data is a folder") as caught:
        open_events("s3://jets/data")
    assert caught.value.details["found"] == "jets.csv, jets.h5, jets.parquet, jets.root"


@pytest.mark.parametrize("bucket", ["busy", "cut"])
def test_what_fails_once_on_s3_is_asked_for_again(s3, waited, bucket) -> None:
    s3.failed.clear()
    assert same(read(f"s3://{bucket}/jets.root"))
    assert len(waited) == len(s3.failed) > 0


def test_what_s3_refuses(s3, waited, refused) -> None:
    message = """
There is no file s3://jets/data/jet.parquet.
  expected: one of jets.csv, jets.h5, jets.parquet, jets.root
  found:    [Errno 2] No such file or directory: 'jets/data/jet.parquet'
  do:       write s3://jets/data/jets.parquet
"""
    refused(EventsError, message, open_events, "s3://jets/data/jet.parquet")
    with pytest.raises(EventsError, match=r"There is no file s3://absent/\*"):
        open_events("s3://absent/*.parquet")
    for name in ("a.root", "*.root"):
        with pytest.raises(EventsError, match="may not be read") as caught:
            open_events(f"s3://secret/{name}")
        assert "AWS_ACCESS_KEY_ID" in str(caught.value.details["do"])
    assert waited == []


def test_s3_is_asked_with_the_credentials_of_the_environment(s3, monkeypatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "reader")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "word")
    s3.keys.clear()
    assert open_events("s3://jets/data/jets.parquet").rows == ROWS
    assert s3.keys == {"reader"}
