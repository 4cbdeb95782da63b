"""Ranks of one machine exchange messages by sockets; else gloo does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from steepest.ranks import Ranks, sockets
from steepest.ranks.sockets import CHUNK, Sockets, connected
from thread_ranks import on_ranks

if not hasattr(socket, "AF_UNIX"):
    pytest.skip("the system has no such sockets", allow_module_level=True)


def joined(ranks: Ranks, timeout: float = 60.0) -> Sockets | None:
    ranks.local_size = ranks.size
    return connected(ranks, timeout)


@pytest.mark.parametrize("size", [2, 3])
def test_each_rank_has_the_messages_of_all_in_their_order(size: int):
    """Also where one is a message ahead, and of messages in several pieces."""

    def work(ranks: Ranks) -> list[list[bytes]]:
        found, own = [], joined(ranks)
        assert own is not None
        for length in (1, 24, CHUNK, CHUNK, 8, 0, 3 * CHUNK + 1):
            parts = own.gather(memoryview(bytes([ranks.rank + 1]) * length))
            found.append([bytes(part) for part in parts])
        own.close()
        return found

    expected = [
        [bytes([rank + 1]) * length for rank in range(size)]
        for length in (1, 24, CHUNK, CHUNK, 8, 0, 3 * CHUNK + 1)
    ]
    assert on_ranks(work, size) == [expected] * size


def test_a_rank_that_has_ended_or_is_silent_is_an_error():
    def work(ranks: Ranks) -> str:
        own = joined(ranks, timeout=1)
        assert own is not None
        if ranks.rank == 0:
            found = ""
            with pytest.raises(BlockingIOError):
                own.gather(memoryview(b"nobody answers"))
            ranks.any(False)  # both are here
            ranks.any(False)  # the other has closed
            with pytest.raises(OSError, match=r"closed|reset|Broken pipe"):
                own.gather(memoryview(b"and now nobody reads"))
        else:
            found = str(ranks.any(False))
            own.close()
            ranks.any(False)
        own.close()
        return found

    assert on_ranks(work) == ["", "False"]


def test_ranks_that_cannot_be_connected_do_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A path too long for a socket; ranks of several machines; more of them than is worth it."""
    deep = tmp_path / ("a" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    assert on_ranks(joined) == [None, None]
    assert not list(deep.iterdir())
    monkeypatch.undo()
    assert on_ranks(lambda ranks: connected(ranks, 60.0)) == [None, None]  # one a machine
    monkeypatch.setattr(sockets, "MOST_RANKS", 1)
    assert on_ranks(joined) == [None, None]
    assert joined(Ranks()) is None


SUMS = """
import sys
import torch
from steepest.ranks.distributed import joined

with joined() as ranks:
    small = torch.arange(5.0) + 0.1 * ranks.rank
    by_sockets = ranks.sum_tensor(small.clone())
    held, ranks._sockets = ranks._sockets, None
    assert torch.equal(by_sockets, ranks.sum_tensor(small.clone()))
    assert (held is None) == (ranks.local_size == 1)
    ranks._sockets = held
    for kind in (torch.float64, torch.float32, torch.bfloat16, torch.int64):
        for shape in ((), (0,), (3, 2), (20_000,)):
            values = torch.full(shape, 1 + ranks.rank, dtype=kind)
            assert ranks.sum_tensor(values).eq(3).all() and values.dtype == kind
    assert ranks.total(ranks.rank + 0.5) == 2.0 and ranks.any(ranks.rank == 1)
    print("summed", flush=True)
    if held is not None and ranks.rank == 0:
        import os
        os._exit(0)
    from steepest.errors import RankLost
    try:
        while held is not None:
            ranks.total(1.0)
    except RankLost as error:
        print(str(error).splitlines()[0], flush=True)
"""


@pytest.mark.slow  # two processes that import PyTorch
@pytest.mark.parametrize("on_a_machine", [1, 2])
def test_sums_of_two_processes(on_a_machine: int):
    """By sockets as by gloo, of any type and shape; and one of them ends."""
    pytest.importorskip("torch")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
    where = {
        "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "LOCAL_WORLD_SIZE": str(on_a_machine),
    }  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SUMS], env={**os.environ, **where, "RANK": str(rank)},
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    (first, errors), (second, more) = (process.communicate(timeout=120) for process in processes)
    assert first == "summed\n", errors
    summed, *lost = second.splitlines()
    assert summed == "summed", more
    assert lost == ["Rank 1 of 2 has lost another one."] * (on_a_machine - 1)


def test_the_limit_is_half_of_a_buffer():
    """Two messages wait in it at most: no rank waits to write while another one does."""
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * CHUNK)
        one.setblocking(False)
        message = np.zeros(CHUNK, np.uint8)
        assert one.send(message.data) == one.send(message.data) == CHUNK
