"""The server: who is answered, what is refused, and runs by their identifiers."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steepest.errors import InputError, RecipeError
from steepest.lab import built_in
from steepest.lab.runs import Runs, decimated
from steepest.recipe import Recipe

pytest.importorskip("starlette", reason="the extra [lab] is not installed")
pytest.importorskip("uvicorn", reason="the extra [lab] is not installed")

from steepest.lab.api import Api, routes, started_recipe
from steepest.lab.app import make_app
from steepest.lab.command import run_lab
from steepest.lab.connections import Connections
from steepest.lab.landscapes import landscape_of
from steepest.lab.pages import pages
from steepest.lab.processes import Processes
from steepest.lab.safety import MOST_BYTES, POLICY, Bounds, TooManyError
from steepest.lab.server import hosts_of, listen, new_token, served


@pytest.fixture(scope="module")
def folder(tmp_path_factory, trained) -> Path:
    """A finished run, an interrupted one, a damaged one, and a link out of the folder."""
    place = tmp_path_factory.mktemp("runs")
    shutil.copytree(trained, place / "done")
    (place / "deep" / "er").mkdir(parents=True)
    shutil.copytree(trained, place / "deep" / "er" / "other")
    shutil.copytree(trained, place / "bad")
    (place / "bad" / "metrics.json").write_text("{")
    os.symlink(trained.parent, place / "link")
    (place / "secret.txt").write_text("secret")
    return place


def serving(folder: Path, token: str | None = None, datasets=None) -> Iterator[tuple[str, int]]:
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    datasets = datasets or built_in()[:1]
    api = routes(Api(Runs([folder]), Processes(folder), datasets))
    files = pages(datasets, server=True)
    with served(make_app(files, hosts_of(port), token, api), listening):
        yield "127.0.0.1", port


@pytest.fixture(scope="module")
def server(folder) -> Iterator[tuple[str, int]]:
    yield from serving(folder)


def ask(server, path, method="GET", body=None, source="127.0.0.1", **headers):
    """Status, headers and body, the path as it is written; `source` is the visitor's address."""
    opened = http.client.HTTPConnection(*server, timeout=60, source_address=(source, 0))
    with closing(opened) as connection:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        with closing(connection.getresponse()) as answer:
            return answer.status, dict(answer.getheaders()), answer.read()


def post(server, action, asked, **headers):
    headers = {"Content_Type": "application/json", **headers}
    status, _, body = ask(server, f"/api/{action}", "POST", json.dumps(asked).encode(), **headers)
    return status, json.loads(body) if status != 403 and status != 415 else body.decode()


TRAVERSALS = [
    "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/data/../../secret.txt",
    "/data/%2e%2e%2f%2e%2e%2fsecret.txt", "/..\\secret.txt", "/..%5csecret.txt",
    "/data/..%5c..%5csecret.txt", "/secret.txt", "/index.html%00.js", "/%00", "/link/",
    "//etc/passwd", "/%2fetc%2fpasswd", "/file:///etc/passwd", "/data/top-jets.bin/../../x",
    "/api/runs/../../secret.txt", "/api/runs/%2e%2e%2fsecret.txt", "/api/runs/done",
    "/api/runs/..%5csecret.txt", "/api/runs/%00", "/api/runs/done/history", "/api/runs/link/live",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_out(server, path):
    status, _, body = ask(server, path)
    assert status in (400, 404), path
    assert b"secret\n" not in body
    assert b"root:" not in body


def test_every_answer_has_the_policy(server):
    for path in ("/", "/app/main.js", "/absent", "/api/runs"):
        _, headers, _ = ask(server, path)
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY


def test_pages_are_not_sent_twice(server):
    _, headers, body = ask(server, "/app.css")
    status, _, again = ask(server, "/app.css", If_None_Match=headers["etag"])
    assert (status, again, len(body) > 1000) == (304, b"", True)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1:1", ""])
def test_other_hosts_are_refused(server, host):
    assert ask(server, "/", Host=host)[0] in (400, 403)


def test_other_origins_are_refused(server):
    assert ask(server, "/api/runs", Origin="http://evil.example")[0] == 403
    assert ask(server, "/api/runs", Origin="null")[0] == 403
    assert ask(server, "/api/runs", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")[0] == 403
    assert ask(server, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200
    assert ask(server, "/api/runs", Origin=f"http://127.0.0.1:{server[1]}")[0] == 200
    assert post(server, "start", {}, Origin="http://evil.example")[0] == 403
    assert post(server, "start", {}, Content_Type="text/plain")[0] == 415
    assert ask(server, "/", "DELETE")[0] == 405


def test_other_addresses_need_the_token(folder):
    token = new_token()
    for server in serving(folder, token):
        assert ask(server, "/")[0] == 401
        assert ask(server, "/?token=wrong")[0] == 401
        status, headers, _ = ask(server, f"/?token={token}", Host="lab.example:80")
        assert status == 200
        cookie = headers["set-cookie"].split(";")[0]
        assert "HttpOnly" in headers["set-cookie"]
        assert ask(server, "/api/runs", Cookie=cookie)[0] == 200
        assert ask(server, "/api/runs", Cookie="steepest-lab=wrong")[0] == 401


def test_large_and_broken_requests_are_refused(server):
    json_type = {"Content_Type": "application/json"}
    status, _, body = ask(server, "/api/start", "POST", b"x" * (MOST_BYTES + 1), **json_type)
    assert status == 400
    assert b"KiB" in body
    status, _, body = ask(server, "/api/start", "POST", b"{", **json_type)
    assert (status, b"not JSON" in body) == (400, True)
    assert ask(server, "/" + "x" * 70_000)[0] in (400, 404, 414, 431)


def listed(server):
    status, _, body = ask(server, "/api/runs")
    assert status == 200
    return {run["name"]: run for run in json.loads(body)["runs"]}


def test_runs_are_listed_without_following_links(server):
    runs = listed(server)
    assert set(runs) == {"done", "deep/er/other", "bad"}
    assert runs["done"]["status"] == "complete"
    assert runs["bad"]["status"] == "damaged"
    assert "metrics.json" in runs["bad"]["error"]
    assert len({run["id"] for run in runs.values()}) == 3


def test_a_runs_results_are_shown(server, folder):
    identifier = listed(server)["done"]["id"]
    detail = json.loads(ask(server, f"/api/runs/{identifier}")[2])
    assert Recipe.from_dict(__import__("tomllib").loads(detail["recipe"]))
    merit = detail["merits"][0]
    assert {"name", "value", "low", "high", "counts", "definition"} <= merit.keys()
    history = json.loads(ask(server, f"/api/runs/{identifier}/history/20")[2])
    assert history["rows"] > 0
    assert all(len(curve["step"]) <= 22 for curve in history["columns"].values())
    assert str(folder).encode() not in ask(server, "/api/runs")[2]


def test_what_differs_between_recipes(server):
    runs = listed(server)
    both = f"{runs['done']['id']},{runs['deep/er/other']['id']}"
    assert json.loads(ask(server, f"/api/differences/{both}")[2]) == {}


def test_a_stream_ends_with_a_finished_run(server):
    identifier = listed(server)["done"]["id"]
    status, headers, body = ask(server, f"/api/runs/{identifier}/live")
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream")
    event = json.loads(body.decode().removeprefix("data: ").strip())
    assert event["status"] == "complete"
    assert ask(server, "/api/runs/0123456789abcdef/live")[0] == 404


def test_decimation_keeps_peaks_and_ends():
    values = np.sin(np.arange(1_000_000) / 5e4)
    values[123_456], values[777_777] = 50.0, -50.0
    table = pa.table({
        "step": np.arange(1, 1_000_001), "epoch": np.arange(1_000_000.0), "loss": values,
        "validation_loss": np.where(np.arange(1_000_000) % 100_000 == 0, 1.0, np.nan),
    })  # fmt: skip
    found = decimated(table, 1_000)
    loss = found["columns"]["loss"]
    assert len(loss["step"]) <= 1_002
    assert {50.0, -50.0} <= set(loss["value"])
    assert (loss["step"][0], loss["step"][-1]) == (1, 1_000_000)
    assert len(found["columns"]["validation_loss"]["step"]) == 10
    assert found["rows"] == 1_000_000


def test_what_a_page_may_start():
    datasets = built_in()[:1]
    asked = {"data": "noisy-line", "model": {"hidden": []}, "descent": {"epochs": 5}}
    recipe, name = started_recipe(asked, datasets)
    assert (name, recipe.descent.epochs, recipe.descent.stop.seconds) == ("noisy-line", 5, 3600.0)
    wrong = [
        [], {"data": "/etc/passwd"}, {"data": "top-jets"},
        {**asked, "model": {"initial": "/etc/passwd"}},
        {**asked, "descent": {"checkpoint": {"steps": 1}}},
        {**asked, "features": ["x + y"]}, {**asked, "features": "x"},
        {**asked, "descent": {"epochs": 10**9}},
        {**asked, "descent": {"learning_rate": -1.0}},
    ]  # fmt: skip
    for one in wrong:
        with pytest.raises(RecipeError):
            started_recipe(one, datasets)


def test_unknown_runs_are_neither_stopped_nor_resumed(server):
    for action in ("stop", "resume"):
        assert post(server, action, {"run": "../done"})[0] == 404
        assert post(server, action, {"run": 7})[0] == 404
    status, answer = post(server, "stop", {"run": listed(server)["done"]["id"]})
    assert status == 400
    assert "not started from the lab" in answer["error"]


def test_processes_are_known_again_and_bounded(tmp_path):
    """Of a record of another process with that number, nothing is ended."""
    processes = Processes(tmp_path)
    run = tmp_path / "run"
    born = {"pid": os.getpid(), "born": 1.0}
    (tmp_path / ".lab.json").write_text(json.dumps({os.path.realpath(run): born}))
    assert not processes.running(run)
    with pytest.raises(InputError, match="not started from the lab"):
        processes.stop(run)
    mine = {"pid": os.getpid(), "born": __import__("psutil").Process().create_time()}
    record = {os.path.realpath(tmp_path / f"{k}"): mine for k in range(4)}
    (tmp_path / ".lab.json").write_text(json.dumps(record))
    assert processes.running(tmp_path / "0")
    with pytest.raises(InputError, match="training already"):
        processes.resume(tmp_path / "0")
    with pytest.raises(InputError, match="4 runs"):
        processes.start(Recipe.from_dict(built_in()[0].recipe.to_dict()), "more")


@pytest.mark.slow
def test_a_run_is_started_stopped_and_resumed(tmp_path):
    for server in serving(tmp_path):
        model, descent = {"hidden": [16]}, {"epochs": 900_000, "batch_size": 1, "seed": 1}
        asked = {"data": "noisy-line", "model": model, "descent": descent}
        assert post(server, "start", asked)[1] == {"started": "noisy-line-1"}
        run = _until(server, "training", has="step")
        assert post(server, "stop", {"run": run["id"]})[0] == 200
        stopped = _until(server, "interrupted", seconds=90)
        assert stopped["step"] > 0
        assert post(server, "resume", {"run": run["id"]})[0] == 200
        again = _until(server, "training", beyond=stopped["step"])
        assert again["step"] > stopped["step"]
        assert post(server, "stop", {"run": run["id"]})[0] == 200
        _until(server, "interrupted", seconds=90)


def _until(server, status, seconds=60, has="step", beyond=-1):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        run = listed(server).get("noisy-line-1", {})
        if run.get("status") == status and run.get(has, -1) > beyond:
            return run
        time.sleep(0.5)
    raise AssertionError(f"not {status}: {run}")


def test_requests_beyond_the_bound_wait_for_their_turn():
    """And are refused if it does not come; what was counted is forgotten."""

    async def held():
        bounds = Bounds(requests=2, streams=1)
        entered = []

        async def one(k):
            async with bounds.request("a"):
                entered.append(k)
                await asyncio.sleep(0.02)

        await asyncio.gather(*(one(k) for k in range(5)))
        async with bounds.stream("a"), bounds.stream("b"):
            with pytest.raises(TooManyError):
                await bounds.stream("a").__aenter__()
        async with bounds.stream("a"):
            return entered

    with ThreadPoolExecutor(1) as thread:  # Playwright has a loop in this one
        assert thread.submit(asyncio.run, held()).result() == [0, 1, 2, 3, 4]


def test_no_address_takes_all_connections(monkeypatch, folder):
    """One too many is ended, as is one that asks nothing, or does not read what it asked for."""
    few = partial(Connections, most=3, idle=0.8, stalled=0.8)
    monkeypatch.setattr("steepest.lab.safety.Connections", few)
    for server in serving(folder, datasets=built_in()[-1:]):
        silent = [socket.create_connection(server) for _ in range(2)]
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(server)
        asked = f"GET /data/top-jets.bin HTTP/1.1\r\nHost: 127.0.0.1:{server[1]}\r\n\r\n"
        slow.sendall(8 * asked.encode())  # more than the system's buffers take
        with socket.create_connection(server) as refused:
            refused.settimeout(20)
            with suppress(ConnectionResetError):
                assert refused.recv(1) == b""
        assert ask(server, "/", source="127.0.0.2")[0] == 200
        for waiting in silent:
            waiting.settimeout(20)
            with suppress(ConnectionResetError):
                assert waiting.recv(1) == b""
        size = len(pages(built_in()[-1:], server=True)["data/top-jets.bin"].content)
        slow.settimeout(20)
        time.sleep(2)  # more than it may stall
        assert _all_of(slow) < 8 * size
        assert ask(server, "/")[0] == 200  # all were forgotten
        for connection in (*silent, slow):
            connection.close()


def _all_of(connection):
    received = 0
    with suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            received += len(data)
    return received


def test_a_hostile_visitor_leaves_the_others_served(server):
    """Slow readers, huge and unfinished bodies, silence, and open streams, of one address."""
    run, mine, visitors, each = listed(server)["done"]["id"], "127.0.0.250", 49, 40
    host = f"Host: 127.0.0.1:{server[1]}\r\n"
    json_type = "Content-Type: application/json\r\n"
    begun = (
        f"GET /data/noisy-line.bin HTTP/1.1\r\n{host}\r\n",
        f"GET / HTTP/1.1\r\n{host}",
        f"POST /api/start HTTP/1.1\r\n{host}{json_type}Content-Length: 60000\r\n\r\n{{",
        f"POST /api/start HTTP/1.1\r\n{host}{json_type}Content-Length: 9999999\r\n\r\n"
        + "x" * 99_999,
        f"GET /api/runs/{run}/live HTTP/1.1\r\n{host}\r\n",
        "",
    )
    hostile = []
    for text in begun * each:
        with suppress(OSError):
            hostile.append(socket.create_connection(server, source_address=(mine, 0)))
            hostile[-1].sendall(text.encode())  # and nothing is read
    paths = ("/", "/app.css", "/api/runs", f"/api/runs/{run}", f"/api/runs/{run}/history")
    answered = []

    def visit(number):
        source = f"127.0.0.{number + 2}"
        answered.append([ask(server, path, source=source)[0] for path in paths])

    threads = [threading.Thread(target=visit, args=(k,)) for k in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for connection in hostile:
        connection.close()
    assert answered == [[200] * len(paths)] * visitors


def test_folders_of_runs_must_exist(tmp_path):
    with pytest.raises(InputError, match="There is no folder"):
        run_lab(
            [tmp_path / "absent"], [], None, [],
            host="127.0.0.1", port=0, export=None, browser=False, say=print,
        )  # fmt: skip


def test_a_port_that_is_taken_is_said_to_be_so():
    with listen("127.0.0.1", 0) as taken, pytest.raises(InputError, match="cannot listen"):
        listen("127.0.0.1", taken.getsockname()[1])


def test_a_row_of_a_landscape_is_along_the_first_axis(runs_folder):
    shown = landscape_of(runs_folder / "first", "principal")
    table = pq.read_table(runs_folder / "first" / "landscape" / "principal" / "surface.parquet")
    losses = {(row["x"], row["y"]): row["loss"] for row in table.to_pylist()}
    [across, up] = shown["axes"]
    assert shown["losses"] == [losses[x, y] for y in up for x in across]
    assert len(set(shown["losses"])) > 20


def test_landscapes_of_a_run(runs_address):
    """With the path, and by names that are looked up."""
    with urlopen(f"{runs_address}/api/runs") as answer:
        run = json.load(answer)["runs"][0]["id"]
    with urlopen(f"{runs_address}/api/runs/{run}") as answer:
        assert json.load(answer)["landscapes"] == ["principal"]
    with urlopen(f"{runs_address}/api/runs/{run}/landscapes/principal") as answer:
        shown = json.load(answer)
    assert [len(axis) for axis in shown["axes"]] == [9, 9]
    assert (len(shown["losses"]), len(shown["labels"])) == (81, 2)
    assert shown["path"].keys() == {"step", "x", "y", "loss"}
    assert "$" not in "".join(shown["labels"])
    for name in ("other", "..", "%2e%2e", "principal%2f..%2fprincipal"):
        with pytest.raises(HTTPError, match="404") as refused:
            urlopen(f"{runs_address}/api/runs/{run}/landscapes/{name}")
        refused.value.close()
