"""The lab's script time a frame, and the delay of a step, measured in headless Chromium.

python -m benchmarks.lab_frames [SECONDS]

Plays stochastic gradient descent (batch size 1) on all 24,000 embedded jets at several speeds, with
a linear model, a network, in three dimensions and as a race. A frame's time is the processor time
of the page's thread in its animation frame, from Chromium's trace: headless Chromium renders in
software, and other programs on the machine would add to a clock's time, which is given too. Needs
playwright and chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from playwright.sync_api import sync_playwright

from steepest.lab import Dataset
from steepest.lab.app import make_app
from steepest.lab.pages import pages
from steepest.lab.server import hosts_of, listen, served
from steepest.recipe import Recipe

BUDGET, DELAY = 8.0, 50.0
"""Milliseconds of script a frame, and until a step shows."""
FLAGS = ["--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"]
JETS = "data=all-jets&features=mass,c2&scaling=standard&batch=1&epochs=50"
STATES = {
    "one step a frame": f"{JETS}&rate=0.01&speed=3",
    "20 steps a frame": f"{JETS}&rate=0.01&speed=5",
    "as many as the frame allows": f"{JETS}&rate=0.01&speed=7",
    "3-D": f"{JETS}&rate=0.01&speed=5&view=3d",
    "race of four": f"{JETS}&rate=0.01&speed=5&race=rate:0.1&race=batch:32&race=schedule:cosine",
    "network 2-16-16-1, Adam": f"{JETS}&hidden=16-16&optimizer=adam&rate=0.001&speed=5",
}
READY = "() => globalThis.steepestLab?.surface?.done"
STEP = """async () => {
  const delays = [];
  for (let i = 0; i < 20; i++) {
    const before = document.querySelector(".steps-done").textContent;
    const began = performance.now();
    document.querySelector("#step").click();
    while (document.querySelector(".steps-done").textContent === before)
      await new Promise((done) => setTimeout(done, 0));
    delays.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 60));
  }
  return delays;
}"""


def all_jets() -> Dataset:
    """All embedded jets, none of which is kept for validation or test."""
    events = {
        "path": "embedded:top-jets",
        "label": "is_top",
        "features": ["mass", "c2"],
        "split": {"validation": 0.0, "test": 0.0},
    }
    return Dataset("all-jets", "All jets", Recipe.from_dict({"events": events}))


def traced(page: Any, action: Callable[[], Any]) -> tuple[Any, list[dict[str, Any]]]:
    """What an action returns, and the events of Chromium's trace meanwhile."""
    devtools, events, done = page.context.new_cdp_session(page), [], []
    devtools.on("Tracing.dataCollected", lambda part: events.extend(part["value"]))
    devtools.on("Tracing.tracingComplete", lambda _: done.append(True))
    categories = {"includedCategories": ["devtools.timeline"]}
    devtools.send("Tracing.start", {"transferMode": "ReportEvents", "traceConfig": categories})
    found = action()
    devtools.send("Tracing.end")
    while not done:
        page.wait_for_timeout(50)
    return found, events


def play(page: Any, seconds: float) -> None:
    """Play for a while."""
    page.evaluate("() => steepestLab.play()")
    page.wait_for_timeout(1000 * seconds)


def script(events: list[dict[str, Any]], name: str, **wanted: str) -> list[float]:
    """Milliseconds of the thread's time in the events of a name."""
    return [
        event["tdur"] / 1000
        for event in events
        if event["name"] == name
        and "tdur" in event
        and wanted.items() <= event["args"].get("data", {}).items()
    ]


def spread(values: list[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile, and the largest."""
    ordered = sorted(values)
    places = {"median": 0.5, "p95": 0.95, "p99": 0.99, "largest": 1.0}
    last = len(ordered) - 1
    return {name: round(ordered[int(p * last)], 2) for name, p in places.items()}


def measure(seconds: float = 6.0) -> list[dict[str, Any]]:
    """Script times of each state, and the delay of a step, in milliseconds."""
    listening, rows = listen("127.0.0.1", 0), []
    app = make_app(pages([all_jets()], server=False), hosts_of(listening.getsockname()[1]))
    with served(app, listening) as address, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for name, query in STATES.items():
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{address}/#play?{query}")
            page.wait_for_function(READY)
            delays, clicked = traced(page, partial(page.evaluate, STEP))
            _, played = traced(page, partial(play, page, seconds))
            clock = [
                one["dur"] / 1000
                for one in played
                if one["name"] == "FireAnimationFrame" and "dur" in one
            ]
            rows.append(
                {
                    "state": name,
                    "frames": len(clock),
                    "frame_script_ms": spread(script(played, "FireAnimationFrame")),
                    "frame_clock_ms": spread(clock),
                    "step_script_ms": spread(script(clicked, "EventDispatch", type="click")),
                    "step_shows_ms": spread(delays),
                    "steps": page.evaluate("() => steepestLab.first.descent.step"),
                }
            )
            page.close()
        browser.close()
    return rows


if __name__ == "__main__":
    for row in measure(float(sys.argv[1]) if len(sys.argv) > 1 else 6.0):
        within = row["frame_script_ms"]["p95"] <= BUDGET and row["step_shows_ms"]["p95"] <= DELAY
        print(json.dumps({**row, "within_budget": within}, ensure_ascii=False))
