"""The lab in a notebook: what Python answers, and the page by anywidget's interface in Chromium."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import steepest
from steepest.lab import built_in
from steepest.lab.api import Api
from steepest.lab.notebook import Answer, answers
from steepest.lab.pages import pages
from steepest.lab.processes import Processes
from steepest.lab.runs import Runs, identifier_of

SCRIPT = resources.files("steepest.lab").joinpath("static", "notebook.js")
PAGE = "<!doctype html><body data-jp-theme-light='false'><div id='cell'></div></body>"
HOST = """async ({ view, height }) => {
  const { default: widget } = await import("/notebook.js");
  const told = new Set();
  const model = {
    get: (name) => ({ view, height })[name],
    on: (event, tell) => event === "msg:custom" && told.add(tell),
    off: (event, tell) => told.delete(tell),
    send: async (content) => {
      const [reply, sent] = await python(content);
      const bytes = (one) => Uint8Array.from(atob(one), (c) => c.charCodeAt(0));
      const buffers = sent.map((one) => new DataView(bytes(one).buffer));
      told.forEach((tell) => tell(reply, buffers));
    },
  };
  globalThis.end = await widget.render({ model, el: document.getElementById("cell") });
  globalThis.left = () => told.size;
}"""


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory) -> Path:
    """A run in a folder of its own."""
    return Path(shutil.copytree(trained, tmp_path_factory.mktemp("runs") / "done"))


@pytest.fixture(scope="module")
def answer(run) -> Answer:
    """What Python answers in a notebook with that run."""
    datasets = built_in()[:1]
    api = Api(Runs([run.parent]), Processes(run.parent), datasets)
    return answers(pages(datasets, server=True), api)


@pytest.fixture
def cell(browser, answer) -> Iterator[Any]:
    """A page that stands for a notebook with one run; returns what shows a view in its cell."""

    def python(asked: dict[str, Any]) -> list[Any]:
        reply, buffers = answer(asked)
        return [reply, [base64.b64encode(one).decode() for one in buffers]]

    page, faults = browser.new_page(), []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    page.route("http://notebook.test/", lambda r: r.fulfill(body=PAGE, content_type="text/html"))
    page.route(
        "http://notebook.test/notebook.js",
        lambda route: route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript"),
    )
    page.expose_function("python", python)
    page.goto("http://notebook.test/")

    def show(view: str) -> Any:
        page.evaluate(HOST, {"view": view, "height": 700})
        frame = page.wait_for_selector("iframe").content_frame()
        frame.wait_for_selector("main")
        return page, frame

    yield show
    page.close()
    assert not faults


def test_the_playground_plays_in_a_cell(cell):
    page, frame = cell("#play?rate=0.2")
    frame.wait_for_selector("#step")
    frame.click("#step")
    frame.wait_for_function("() => steepestLab.first.descent.step === 1")
    assert frame.evaluate("() => steepestLab.lab.rate") == 0.2
    assert frame.evaluate("() => document.documentElement.dataset.theme") == "dark"
    assert page.get_attribute("iframe", "height") == "700"
    page.evaluate("() => end()")
    assert page.locator("iframe").count() == 0
    assert page.evaluate("() => left()") == 0


def test_a_run_is_shown_in_a_cell(cell, run):
    _, frame = cell(f"#runs/{identifier_of(run)}")
    frame.wait_for_selector(".curves .uplot")
    assert frame.inner_text(".run-name") == "done complete"
    frame.click("nav >> text=Exercises")
    frame.wait_for_selector(".exercises li")


def test_what_python_answers(answer, run):
    files = pages(built_in()[:1], server=False)
    alone = answers(files, None)
    reply, buffers = alone({"id": 1, "kind": "bytes", "path": "data/noisy-line.bin"})
    assert (reply, buffers) == ({"id": 1}, [files["data/noisy-line.bin"].content])
    texts = alone({"id": 2, "kind": "read", "path": "files"})[0]["found"]
    assert {"index.html", "app.css", "app/main.js"} <= texts.keys()
    for asked in ({}, {"kind": "read", "path": "api/runs"}, {"kind": "bytes", "path": "../x"},
                  {"kind": "post", "path": "start", "body": {}}):  # fmt: skip
        assert "There is no such" in alone(asked)[0]["error"]
    listed = answer({"kind": "read", "path": "api/runs"})[0]["found"]["runs"]
    assert [one["id"] for one in listed] == [identifier_of(run)]
    again = {"kind": "read", "path": f"api/runs/{identifier_of(run)}/look/-1"}
    assert answer(again)[0]["found"]["status"] == "complete"
    assert "does not offer" in answer({"kind": "post", "path": "start", "body": {}})[0]["error"]


def test_the_widget_answers_its_page(trained):
    pytest.importorskip("anywidget", reason="the extra [notebook] is not installed")
    shown = steepest.Run(trained).lab(height=500)
    assert (shown.height, shown.view) == (500, f"#runs/{identifier_of(trained)}")
    sent = []
    shown.send = lambda *given: sent.append(given)
    asked = {"id": "a", "kind": "read", "path": "data/index.json"}
    shown.comm.handle_msg(
        {"content": {"data": {"method": "custom", "content": asked}}, "buffers": []}
    )
    (reply, buffers), *_ = sent
    assert (reply["id"], reply["found"]["format"], buffers) == ("a", "steepest-lab", [])
    assert steepest.lab.playground(height=300).view == "#play"
