"""The lab's script time a frame, and the delay of a step, measured in headless Chromium.

python -m benchmarks.lab_frames

Plays stochastic gradient descent (batch size 1) on all 24,000 embedded jets at some speeds. The
time of a frame is that of the script alone: headless Chromium renders in software. Needs playwright
and chromium.
"""

from __future__ import annotations

import json
import shutil
from typing import Any

from playwright.sync_api import sync_playwright

from steepest.lab import Dataset
from steepest.lab.app import make_app
from steepest.lab.pages import pages
from steepest.lab.server import hosts_of, listen, served
from steepest.recipe import Recipe

BUDGET, DELAY = 8.0, 50.0
"""Milliseconds of script a frame, and until a step shows."""
SECONDS = 6
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
STATE = "#play?data=all-jets&features=mass,c2&scaling=standard&batch=1&rate=0.01&epochs=50&speed={}"
READ = """() => {
  const all = steepestLab.scriptMs.slice().sort((a, b) => a - b);
  const at = (part) => all[Math.min(Math.floor(part * all.length), all.length - 1)];
  return { frames: all.length, median: at(0.5), p95: at(0.95), p99: at(0.99), largest: at(1),
           steps: steepestLab.first.descent.step };
}"""
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
  delays.sort((a, b) => a - b);
  return { median: delays[10], largest: delays[19] };
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


def measure() -> list[dict[str, Any]]:
    """Script times of each speed, and the delay of a step."""
    listening, rows = listen("127.0.0.1", 0), []
    app = make_app(pages([all_jets()], server=False), hosts_of(listening.getsockname()[1]))
    with served(app, listening) as address, sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for speed in (3, 5, 7):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(address + "/" + STATE.format(speed))
            page.wait_for_function("() => globalThis.steepestLab?.surface?.done")
            step = page.evaluate(STEP) if speed == 3 else None
            page.evaluate("() => { steepestLab.scriptMs.length = 0; steepestLab.play(); }")
            page.wait_for_timeout(1000 * SECONDS)
            rows.append({"speed": speed, **page.evaluate(READ), "step_shows": step})
            page.close()
        browser.close()
    return rows


if __name__ == "__main__":
    for row in measure():
        print(json.dumps(row))
