"""What a visitor does: an exported site, the keyboard, the tour, training from the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from steepest.lab import built_in, export_site

READY = "() => globalThis.steepestLab?.state.ready"


class Quiet(SimpleHTTPRequestHandler):
    """A file server that says nothing of its requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The address of a folder, as `python -m http.server` serves it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


def test_an_exported_site_plays_below_a_folder_of_a_file_server(page, tmp_path):
    export_site(tmp_path / "course" / "lab", built_in()[:1])
    with file_server(tmp_path) as address:
        page.goto(f"{address}/course/lab/#play?rate=0.2")
        page.wait_for_function(READY)
        page.click("#step")
        page.wait_for_function("() => steepestLab.first.descent.step === 1")
        assert page.locator("nav a").all_inner_texts() == ["Playground", "Exercises"]
        page.click("nav >> text=Exercises")
        page.wait_for_selector(".exercises li")
        assert page.locator(".exercises li").count() == 5  # those on the noisy line
        page.goto("about:blank")  # before the server ends


def test_the_token_does_not_stay_in_the_address(page):
    """It is a cookie after the first request, with which the rest of the page is loaded."""
    pytest.importorskip("starlette", reason="the extra [lab] is not installed")
    pytest.importorskip("uvicorn", reason="the extra [lab] is not installed")
    from steepest.lab.app import make_app
    from steepest.lab.pages import pages
    from steepest.lab.server import hosts_of, listen, new_token, served

    listening, token = listen("127.0.0.1", 0), new_token()
    files, hosts = pages(built_in()[:1], server=False), hosts_of(listening.getsockname()[1])
    with served(make_app(files, hosts, token), listening) as address:
        page.goto(f"{address}/?token={token}#play?rate=0.2")
        page.wait_for_function(READY)
        assert page.url == f"{address}/#play?rate=0.2"
        page.reload()
        page.wait_for_function(READY)
        page.goto("about:blank")  # before the server ends


FOCUSABLE = """() => {
  const all = document.querySelectorAll(
    "a[href], button, input, select, textarea, summary, [tabindex='0']");
  const seen = [...all].filter((one) => !one.disabled && one.checkVisibility());
  seen.forEach((one, k) => (one.dataset.k = k));
  document.activeElement.blur();
  return seen.length;
}"""
OUTLINED = """() => {
  const { dataset, ...one } = document.activeElement;
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return [Number(document.activeElement.dataset.k ?? -1), outlineStyle, outlineWidth];
}"""


@pytest.mark.parametrize("view", ["#play?race=rate:0.4", "#exercises"])
def test_the_keyboard_reaches_everything(page, address, view):
    """By Tab, one after the other, and what has the focus is outlined."""
    page.goto(f"{address}/{view}")
    page.wait_for_selector(".steps, .exercises li")
    count, reached = page.evaluate(FOCUSABLE), []
    for _ in range(count):
        page.keyboard.press("Tab")
        place, style, width = page.evaluate(OUTLINED)
        assert (style, width) == ("solid", "3px")
        reached.append(place)
    assert sorted(reached) == list(range(count))


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1440])
def test_the_tour_is_played_through(page, address, width):
    """By its own button: each picture plays, says why, and fits into the window."""
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{address}/#play?show=descend")
    page.wait_for_function(READY)
    titles = []
    for _ in range(12):
        titles.append(page.eval_on_selector(".tour select", "one => one.selectedOptions[0].text"))
        page.click("#play")
        page.wait_for_function("() => steepestLab.first.descent.step >= 1")
        page.wait_for_function("() => steepestLab.surface.done")
        page.evaluate("() => steepestLab.playing && steepestLab.play()")
        assert len(page.inner_text(".said").strip()) > 20
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        before = page.evaluate("() => location.hash")
        page.click("[aria-label='Next picture']")
        page.wait_for_function(
            "(hash) => location.hash !== hash && steepestLab.first.descent.step === 0", arg=before
        )
    assert len(set(titles)) == 12


@pytest.mark.slow
def test_an_animation_is_recorded(page, address):
    page.goto(f"{address}/#play?rate=0.1&speed=2")
    page.wait_for_function("() => globalThis.steepestLab?.surface?.done")
    with page.expect_download() as download:
        page.click(".export >> text=Animation")
    content = download.value.path().read_bytes()
    assert content.startswith(b"\x1a\x45\xdf\xa3")  # EBML: WebM
    assert len(content) > 20_000


@pytest.mark.slow
def test_training_from_the_page_survives_page_and_server(browser, tmp_path):
    pytest.importorskip("starlette", reason="the extra [lab] is not installed")
    from steepest.lab.api import Api, routes
    from steepest.lab.app import make_app
    from steepest.lab.pages import pages
    from steepest.lab.processes import Processes
    from steepest.lab.runs import Runs
    from steepest.lab.server import hosts_of, listen, served

    run = tmp_path / "noisy-line-1"

    @contextmanager
    def opened() -> Iterator[tuple[Any, str, Processes]]:
        """A lab of its own, and a page; both end with the context."""
        listening, datasets = listen("127.0.0.1", 0), built_in()[:1]
        processes = Processes(tmp_path)
        api = routes(Api(Runs([tmp_path]), processes, datasets))
        files, hosts = pages(datasets, server=True), hosts_of(listening.getsockname()[1])
        with served(make_app(files, hosts, None, api), listening) as address:
            page = browser.new_page()
            page.set_default_timeout(120_000)
            try:
                yield page, address, processes
            except BaseException:
                processes.stop(run)  # so that a failure leaves nothing behind
                raise
            finally:
                page.close()

    def ended(processes: Processes) -> None:
        """Wait for the process, which ends a little after its run."""
        for _ in range(600):
            if not processes.running(run):
                return
            time.sleep(0.1)
        raise AssertionError("it is still running")

    with opened() as (page, address, processes):
        page.goto(f"{address}/#play?batch=1&epochs=900000&hidden=16")
        page.wait_for_function(READY)
        page.click("nav >> text=Runs")
        page.click("text=Train the playground's setting")
        page.wait_for_selector(".row:has-text('noisy-line-1') .status.training")
        page.wait_for_selector(".progress progress")
        assert processes.running(run)
    with opened() as (page, address, processes):
        assert processes.running(run)
        page.goto(f"{address}/#runs")
        page.click(".row:has-text('noisy-line-1')")
        page.wait_for_selector(".curves .uplot")
        page.click("button:text-is('Stop')")
        page.wait_for_selector(".run-name .status.interrupted")
        ended(processes)
        page.click("button:text-is('Resume')")
        page.wait_for_selector(".run-name .status.training")
        page.click("button:text-is('Stop')")
        page.wait_for_selector(".run-name .status.interrupted")
        ended(processes)
