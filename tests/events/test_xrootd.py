"""Files of an XRootD server on the loopback address: Debian's xrootd-server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

from steepest.errors import EventsError
from steepest.events import open_events

pytest.importorskip("fsspec_xrootd", reason="needs fsspec-xrootd")
h5py = pytest.importorskip("h5py", reason="needs the extra [hdf5]")
uproot = pytest.importorskip("uproot", reason="needs the extra [root]")
XROOTD = shutil.which("xrootd")
if XROOTD is None:
    pytest.skip("needs the program xrootd (Debian: xrootd-server)", allow_module_level=True)

ROWS = 20_000
COLUMNS = {f"x{i}": np.random.default_rng(i).normal(size=ROWS) for i in range(4)}
COLUMNS["y"] = (np.arange(ROWS) % 2).astype("i4")
FORMATS = ["jets.parquet", "jets.h5", "jets.csv", "jets.root", "jets.root:events", "jets.h5:/jets"]


def write_files(folder: Path) -> None:
    table = pa.table(COLUMNS)
    pq.write_table(table, folder / "jets.parquet", row_group_size=ROWS // 2)
    pc.write_csv(table.slice(0, 5_000), folder / "jets.csv")
    with h5py.File(folder / "jets.h5", "w") as file:
        for name, values in COLUMNS.items():
            file.create_dataset(f"jets/{name}", data=values, chunks=(5_000,), compression="gzip")
    with uproot.recreate(folder / "jets.root") as file:
        tree = file.mktree("events", {name: values.dtype for name, values in COLUMNS.items()})
        tree.extend(COLUMNS)


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Serve a folder below /data of the loopback address; as root, by the user nobody."""
    assert XROOTD is not None
    with tempfile.TemporaryDirectory(prefix="xrd") as given:  # short: its sockets lie in there
        folder, port = Path(given), free_port()
        (folder / "data").mkdir()
        write_files(folder / "data")
        config = folder / "xrootd.cfg"
        config.write_text(
            f"all.export /data\noss.localroot {folder}\nxrd.port {port}\n"
            f"all.adminpath {folder}/admin\nall.pidpath {folder}/admin\n"
        )
        command = [XROOTD, "-c", str(config), "-l", str(folder / "xrootd.log")]
        if os.getuid() == 0:
            command += ["-R", "nobody"]
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o777)
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(port, process)
            yield f"root://127.0.0.1:{port}//data"
        finally:
            process.terminate()
            process.wait()


def wait_for(port: int, process: subprocess.Popen) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.skip("xrootd does not start here")


def read(path: str) -> dict[str, np.ndarray]:
    blocks = [block.batch for block in open_events(path).batches(["x3", "y"], batch_rows=9_000)]
    table = pa.Table.from_batches(blocks)
    return {name: table[name].to_numpy() for name in ("x3", "y")}


@pytest.mark.parametrize("name", FORMATS)
def test_formats(server: str, name: str) -> None:
    for column, values in read(f"{server}/{name}").items():
        assert len(values) in (5_000, ROWS)
        np.testing.assert_array_equal(values, COLUMNS[column][: len(values)])


def test_a_glob(server: str) -> None:
    assert open_events(f"{server}/*.parquet").files == [f"{server}/jets.parquet"]


def test_a_file_that_is_not_there(server: str) -> None:
    with pytest.raises(EventsError, match=r"There is no file root://127") as caught:
        open_events(f"{server}/jet.parquet")
    assert caught.value.details["do"] == f"write {server}/jets.parquet"
