"""The lab's script time a frame, and the time from a click to the picture, in headless Chromium.

python -m benchmarks.lab_frames [SECONDS]

Plays stochastic gradient descent (batch size 1) on all 24,000 embedded jets at several speeds, with
a linear model, a network, in three dimensions and as a race. The page is first warmed up: fonts,
surface and curvature are there, and some steps are taken and played.

A frame's script is the processor time of the page's thread in its animation frame, from Chromium's
trace; the clock's time, to which other programs on the machine add, is given too. A click is that
of a mouse on Step. `click_script_ms` is the processor time of its handlers, and `click_shown_ms`
the clock's until the next frame is presented, as the browser's Event Timing has it, in units of
8 ms; that this frame has the step and its picture is asserted. Headless Chromium renders in
software. Needs playwright and chromium.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from playwright.sync_api import sync_playwright

from steepest.lab import Dataset
from steepest.lab.app import make_app
from steepest.lab.pages import pages
from steepest.lab.server import hosts_of, listen, served
from steepest.recipe import Recipe

BUDGET, DELAY = 8.0, 50.0
"""Milliseconds of script a frame, and from a click until its step shows."""
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
CLICKS, WARM_UP = 20, 5
READY = """() => {
  const { surface, coming, looking, state } = globalThis.steepestLab ?? {};
  return state?.ready && surface.done && !coming && !looking;
}"""
WATCH = """async () => {
  await document.fonts.ready;
  globalThis.seen = { drawn: 0, shown: [] };
  new PerformanceObserver((list) => {
    const clicks = list.getEntries().filter(({ name }) => name === "click");
    seen.shown.push(...clicks.map(({ duration }) => duration));
  }).observe({ type: "event", durationThreshold: 16 });
  document.querySelector("#step").addEventListener("click", () => {
    const { step } = steepestLab.first.descent;
    requestAnimationFrame(() => {
      const says = document.querySelector(".steps-done").textContent;
      if (says !== `step ${step + 1}` || steepestLab.dirty) throw new Error(`not drawn: ${says}`);
      seen.drawn += 1;
    });
  }, { capture: true });
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
    """Play for a while, then pause."""
    page.evaluate("() => steepestLab.play()")
    page.wait_for_timeout(1000 * seconds)
    page.evaluate("() => steepestLab.playing && steepestLab.play()")


def click(page: Any, times: int) -> None:
    """Click on Step, with time between for the browser to rest."""
    box = page.locator("#step").bounding_box()
    for _ in range(times):
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(150)


def warm_up(page: Any) -> None:
    """Wait for all that is computed once, and use what is measured."""
    page.wait_for_function(READY)
    page.evaluate(WATCH)
    click(page, WARM_UP)
    play(page, 0.5)
    page.evaluate("() => steepestLab.reset()")
    page.wait_for_function(READY)
    page.wait_for_timeout(300)
    page.evaluate("() => Object.assign(seen, { drawn: 0, shown: [] })")


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


def measure_state(page: Any, seconds: float) -> dict[str, Any]:
    """Script times of a page that shows a state, and the delays of its steps, in milliseconds."""
    warm_up(page)
    _, clicked = traced(page, partial(click, page, CLICKS))
    seen = page.evaluate("() => seen")
    assert seen["drawn"] == CLICKS, seen
    quick = [16.0] * (CLICKS - len(seen["shown"]))  # what took less than 16 ms is not told
    _, played = traced(page, partial(play, page, seconds))
    frames = script(played, "FireAnimationFrame")
    clock = [
        one["dur"] / 1000 for one in played if one["name"] == "FireAnimationFrame" and "dur" in one
    ]
    assert frames
    return {
        "frames": len(clock),
        "frame_script_ms": spread(frames),
        "frame_clock_ms": spread(clock),
        "click_script_ms": spread(script(clicked, "EventDispatch", type="click")),
        "click_shown_ms": spread(quick + seen["shown"]),
        "steps": page.evaluate("() => steepestLab.first.descent.step"),
    }


def measure(seconds: float = 4.0) -> Iterator[dict[str, Any]]:
    """The row of each state."""
    listening = listen("127.0.0.1", 0)
    app = make_app(pages([all_jets()], server=False), hosts_of(listening.getsockname()[1]))
    with served(app, listening) as address, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for name, query in STATES.items():
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.on("pageerror", lambda error: print(error, file=sys.stderr))
            page.goto(f"{address}/#play?{query}")
            row = {"state": name, **measure_state(page, seconds)}
            within = (
                row["frame_script_ms"]["p95"] <= BUDGET and row["click_shown_ms"]["p95"] <= DELAY
            )
            yield {**row, "within_budget": within}
            page.close()
        browser.close()


if __name__ == "__main__":
    for row in measure(float(sys.argv[1]) if len(sys.argv) > 1 else 4.0):
        print(json.dumps(row, ensure_ascii=False), flush=True)
