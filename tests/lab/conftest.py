"""The lab served on loopback, and Chromium to look at it: skipped where either is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE_MS = 120_000
"""A machine that is busy, or stops its processes for a while, is no fault of the page."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a lab without runs."""
    pytest.importorskip("starlette", reason="the extra [lab] is not installed")
    pytest.importorskip("uvicorn", reason="the extra [lab] is not installed")
    from steepest.lab import built_in
    from steepest.lab.app import make_app
    from steepest.lab.pages import pages
    from steepest.lab.server import hosts_of, listen, served

    listening = listen("127.0.0.1", 0)
    app = make_app(pages(built_in(), server=False), hosts_of(listening.getsockname()[1]))
    with served(app, listening) as found:
        yield found


@pytest.fixture(scope="session")
def runs_folder(trained, tmp_path_factory) -> Path:
    """A run twice, with a landscape."""
    import steepest

    folder = tmp_path_factory.mktemp("shown")
    shutil.copytree(trained, folder / "first")
    steepest.Run(folder / "first").landscape(points=9, progress=False)
    shutil.copytree(folder / "first", folder / "second")
    return folder


@pytest.fixture(scope="session")
def runs_address(runs_folder) -> Iterator[str]:
    """The address of a lab with these runs."""
    pytest.importorskip("starlette", reason="the extra [lab] is not installed")
    pytest.importorskip("uvicorn", reason="the extra [lab] is not installed")
    from steepest.lab import built_in
    from steepest.lab.api import Api, routes
    from steepest.lab.app import make_app
    from steepest.lab.pages import pages
    from steepest.lab.processes import Processes
    from steepest.lab.runs import Runs
    from steepest.lab.server import hosts_of, listen, served

    listening, datasets = listen("127.0.0.1", 0), built_in()[:1]
    api = routes(Api(Runs([runs_folder]), Processes(runs_folder), datasets))
    files, hosts = pages(datasets, server=True), hosts_of(listening.getsockname()[1])
    with served(make_app(files, hosts, None, api), listening) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def opened(browser: Any) -> dict[str, Any]:
    """The page that tests share, while none has failed: a new one takes a second of CPU time."""
    return {}


@pytest.fixture
def page(browser: Any, address: str, opened: dict[str, Any]) -> Iterator[Any]:
    """An empty page whose errors and violations of the policy fail the test."""
    if "page" not in opened:
        opened["page"] = browser.new_page()
        opened["page"].set_default_timeout(PATIENCE_MS)
        opened["size"] = opened["page"].viewport_size
    page, faults = opened.pop("page"), []
    icons = "**/favicon.ico"  # pages name an icon

    def heard(error: Any) -> None:
        faults.append(str(error))

    def said(message: Any) -> None:
        if message.type == "error":
            faults.append(message.text)

    page.route(icons, lambda route: route.fulfill(status=204))
    page.on("pageerror", heard)
    page.on("console", said)
    yield page
    page.goto(f"{address}/icon.svg")
    page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    page.goto("about:blank")
    page.unroute(icons)
    page.remove_listener("pageerror", heard)
    page.remove_listener("console", said)
    page.set_viewport_size(opened["size"])
    page.context.clear_cookies()
    assert not faults
    opened["page"] = page
