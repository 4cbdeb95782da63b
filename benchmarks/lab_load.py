"""The lab under load on loopback: 50 visitors, one hostile; a thousand runs of a million steps.

python -m benchmarks.lab_load [SECONDS]

`steepest lab` runs as a process of its own. Each visitor has an address of 127.0.0.0/8, as the
bounds are those of an address: it opens the page and its events, then the list of runs, a run and
its history, once a second. The hostile one reads slowly, begins requests and bodies that it does
not end, sends large ones, opens connections that say nothing, and event streams. Before and after
it are the others alone. The runs are one run of a million steps, linked a thousand times.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

import steepest

VISITORS, RUNS, STEPS = 50, 1_000, 1_000_000
PATHS = ["/", "/app.css", "/app/playground.js", "/twin/network.js", "/data/index.json",
         "/data/top-jets.bin"]  # fmt: skip
HOSTILE = 40
"""Of each kind of hostile connection."""


async def get(port: int, visitor: str, path: str) -> tuple[int, bytes]:
    """Status and body."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(visitor, 0), limit=2**24
    )
    writer.write(head(port, "GET", path, "Connection: close"))
    answer = await reader.read(-1)
    writer.close()
    top, _, body = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ", 2)[1]) if top else 0, body


def head(port: int, method: str, path: str, *more: str) -> bytes:
    """The first lines of a request."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def visit(port: int, visitor: str, end: float, seen: list[tuple[float, int]]) -> None:
    """Open the page and look at runs until the time is over; times and statuses go to `seen`."""
    number = int(visitor.rpartition(".")[2])

    async def timed(path: str) -> bytes:
        began = time.perf_counter()
        status, body = 0, b""
        with suppress(OSError):
            status, body = await get(port, visitor, path)
        seen.append((time.perf_counter() - began, status))
        return body

    for path in PATHS:
        await timed(path)
    while time.monotonic() < end:
        runs = json.loads(await timed("/api/runs") or b'{"runs": []}')["runs"]
        if runs:
            run = runs[number % len(runs)]["id"]
            await timed(f"/api/runs/{run}")
            await timed(f"/api/runs/{run}/history")
        await asyncio.sleep(1.0)


async def torment(port: int, end: float, outcomes: Counter[str]) -> None:
    """What the hostile visitor does."""
    mine = "127.0.0.250"
    json_type = "Content-Type: application/json"

    async def hold(kind: str, first: bytes, slowly: bytes, read: int) -> None:
        """Open a connection again and again; send slowly, read little."""
        while time.monotonic() < end:
            try:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, local_addr=(mine, 0), limit=1024
                )
                writer.write(first)
                while time.monotonic() < end:
                    if writer.transport.is_closing():
                        raise ConnectionResetError
                    writer.write(slowly)
                    if read:
                        given = await asyncio.wait_for(reader.read(read), 5.0)
                        if not given:
                            break
                        if given.startswith(b"HTTP/1.1 "):
                            outcomes[f"{kind}: answered {given[9:12].decode()}"] += 1
                    await asyncio.sleep(0.3)
                writer.close()
            except (OSError, TimeoutError):
                outcomes[f"{kind}: cut off"] += 1
            await asyncio.sleep(0.1)

    run = json.loads((await get(port, mine, "/api/runs"))[1])["runs"][0]["id"]
    large = head(port, "POST", "/api/start", json_type, "Content-Length: 50000000") + b"x" * 10**6
    never = head(port, "POST", "/api/start", json_type, "Content-Length: 60000") + b"{"
    kinds = {
        "slow reader": (head(port, "GET", "/data/top-jets.bin"), b"", 64),
        "unfinished head": (b"GET / HTTP/1.1\r\nHost: 127", b"x", 0),
        "unfinished body": (never, b" ", 0),
        "large body": (large, b"x" * 1000, 64),
        "silent": (b"", b"", 0),
        "event stream": (head(port, "GET", f"/api/runs/{run}/live"), b"", 64),
        "run after run": (head(port, "GET", f"/api/runs/{run}/history/4999") * 3, b"", 10**6),
    }
    tasks = [hold(kind, *rest) for kind, rest in kinds.items() for _ in range(HOSTILE)]
    await asyncio.gather(*tasks)


async def siege(
    port: int, process: psutil.Process, seconds: float, hostile: bool
) -> dict[str, Any]:
    """Latencies of 49 or 50 visitors, and the server's memory."""
    end, seen, outcomes = time.monotonic() + seconds, [], Counter[str]()
    memory = 0

    async def watch() -> None:
        nonlocal memory
        while time.monotonic() < end:
            memory = max(memory, process.memory_info().rss)
            await asyncio.sleep(0.2)

    people = [f"127.0.0.{k}" for k in range(2, 2 + VISITORS - hostile)]
    tasks = [visit(port, one, end, seen) for one in people]
    if hostile:
        tasks.append(torment(port, end, outcomes))
    before = process.memory_info().rss
    await asyncio.gather(watch(), *tasks)
    times = sorted(took for took, _ in seen)
    return {
        "hostile": hostile,
        "requests": len(seen),
        "statuses": dict(Counter(status for _, status in seen)),
        "seconds": {p: round(times[int(len(times) * p / 100)], 4) for p in (50, 95, 99)},
        "slowest": round(times[-1], 3),
        "memory_mb": [round(before / 1e6), round(memory / 1e6)],
        "outcomes": dict(sorted(outcomes.items())),
    }


async def looked(port: int) -> dict[str, Any]:
    """Seconds of the list of runs, of a run, and of its history, at first and again."""
    took: dict[str, Any] = {}

    async def timed(name: str, path: str) -> bytes:
        began = time.perf_counter()
        status, body = await get(port, "127.0.0.1", path)
        assert status == 200, (path, status)
        took[name] = {
            "seconds": round(time.perf_counter() - began, 4),
            "kilobytes": len(body) >> 10,
        }
        return body

    runs = json.loads(await timed("list", "/api/runs"))["runs"]
    await asyncio.sleep(2.5)  # then it is searched again
    await timed("list again", "/api/runs")
    assert len(runs) == RUNS
    for name, run in (("first", runs[7]["id"]), ("another", runs[8]["id"])):
        await timed(f"{name} run", f"/api/runs/{run}")
        await timed(f"{name} history", f"/api/runs/{run}/history")
        await timed(f"{name} history again", f"/api/runs/{run}/history")
    return took


def many_runs(folder: Path) -> None:
    """A run of a million steps, and 999 links to its files."""
    recipe = {
        "events": {
            "path": "embedded:noisy-line",
            "label": "y",
            "features": ["x"],
            "split": {"validation": 0.0, "test": 0.0},
        },
        "model": {"hidden": []},
        "descent": {
            "method": "descent",
            "batch_size": 1,
            "learning_rate": 0.01,
            "epochs": STEPS // 100,
            "history": {"every": 1},
        },
    }
    first = folder / "run-0"
    run = steepest.train(recipe, first, progress=False)
    assert len(run.history) >= STEPS
    for k in range(1, RUNS):
        for path in first.rglob("*"):
            if path.is_file() and "journal" not in path.parts and "checkpoints" not in path.parts:
                target = folder / f"run-{k}" / path.relative_to(first)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.link(path, target)


def main(seconds: float) -> None:
    """Print a line of JSON for each measurement."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # what the hostile one sends is cut off
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        many_runs(folder)
        command = [sys.executable, "-m", "steepest", "lab", place, "--port", "0", "--no-browser"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as server:
            try:
                assert server.stdout is not None
                found = re.search(r":(\d+)/", server.stdout.readline())
                assert found is not None
                port, process = int(found[1]), psutil.Process(server.pid)
                print(json.dumps({"runs": RUNS, "steps": STEPS, **asyncio.run(looked(port))}))
                for hostile in (False, True, False):
                    print(json.dumps(asyncio.run(siege(port, process, seconds, hostile))))
            finally:
                server.terminate()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0)
