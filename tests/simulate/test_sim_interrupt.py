"""Ctrl-C, as a terminal sends it: to the process and to all its workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from steepest.simulate.blocks import Stop

needs_groups = pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")

SCRIPT = """
    import sys
    from pathlib import Path
    from steepest.errors import SteepestError
    from steepest.simulate import output, production
    from steepest.simulate.blocks import Plan

    add = output.Output.add

    def told(self, block):
        add(self, block)
        print("block", flush=True)

    output.Output.add = told
    describe = production.describe

    def start(plan):
        print("start", flush=True)
        return describe(plan)

    production.describe = start

    if __name__ == "__main__":
        plan = Plan(jets=100_000, seed=11, jets_per_block=5)
        try:
            production.produce(plan, Path(sys.argv[1]), workers=int(sys.argv[2]), progress=True)
        except SteepestError as error:
            print(error, flush=True)
            sys.exit(error.exit_code)
"""


def interrupted(
    folder: Path,
    workers: int,
    after: str,
    times: int,
    number: int = signal.SIGINT,
    again: tuple[float, ...] = (),
) -> tuple[int, str, str]:
    """Interrupt the script after it has said `after` so many times; `again` after so many s."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), str(folder / "jets.parquet"), str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        times -= line.strip() == after
        if not times:
            break
    os.killpg(process.pid, number)
    for seconds in again:
        time.sleep(seconds)
        os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@needs_groups
@pytest.mark.parametrize(
    ("workers", "number"),
    [pytest.param(1, signal.SIGTERM, marks=pytest.mark.slow), (2, signal.SIGINT)],
)
def test_the_blocks_so_far_become_the_file(tmp_path, workers, number, table):
    code, out, err = interrupted(tmp_path, workers, "block", 1, number)
    path = tmp_path / "jets.parquet"
    kept = pq.read_table(path)
    rows = kept.num_rows
    assert code == 130
    assert rows >= 10
    assert rows % 10 == 0
    common = min(rows, table.num_rows - table.num_rows % 10)
    assert kept.slice(0, common).equals(table.slice(0, common))
    assert out.replace("block\n", "").replace("start\n", "") == (
        f"Interrupted: the first {rows:,} of 100,000 jets ({rows // 2:,} of each process) are in "
        f"{str(path)!r}.\n"
        "  do:       the same command with --overwrite makes all of them\n"
    )
    assert "Traceback" not in err
    assert "jets/s" in err
    assert sorted(os.listdir(tmp_path)) == ["jets.parquet", "script.py"]


@needs_groups
def test_before_the_first_block_there_is_no_file(tmp_path):
    code, out, err = interrupted(tmp_path, 1, "start", 1)
    assert (code, "Traceback" in err) == (130, False)
    assert out == (
        "Interrupted: not even the first 10 jets were complete yet, nothing was written.\n"
        "  do:       let it run a little longer\n"
    )
    assert os.listdir(tmp_path) == ["script.py"]


@needs_groups
@pytest.mark.slow
def test_an_impatient_ctrl_c_ends_it_too(tmp_path):
    """Wherever the second and the third one come, also while the workers are waited for."""
    code, _, _ = interrupted(tmp_path, 2, "block", 1, again=(0.25, 0.02))
    assert code != 0
    assert pq.read_metadata(tmp_path / "jets.parquet").num_rows % 10 == 0
    assert sorted(os.listdir(tmp_path)) == ["jets.parquet", "script.py"]


def test_what_is_held_is_not_left_half_done():
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with stop.held():
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_second_ctrl_c_raises_and_the_handler_comes_back():
    before = signal.getsignal(signal.SIGINT)
    with Stop() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
