"""The playground in Chromium: every preset plays, links and exports reproduce, keyboard, widths."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest

from steepest.descent import MemoryCheckpointer
from steepest.descent.state import Path
from steepest.lab import Dataset
from steepest.recipe import Recipe
from steepest.training.fit import fit

READY = "() => globalThis.steepestLab?.state.ready"
STATES = {
    "line": "rate=0.2&epochs=12",
    "race": "rate=0.1&race=rate%3A0.02&race=rate%3A0.4&epochs=15",
    "single": "data=two-classes&scaling=standard&batch=1&rate=0.05&schedule=inverse-time&epochs=1",
    "network": "data=two-moons&hidden=4-3&scaling=min-max&batch=64&optimizer=adam&rate=0.01&seed=4"
    "&l2=0.01&schedule=cosine&epochs=4",
    "jets": "data=top-jets&features=mass,tau32,c2&scaling=standard&rate=1.5&epochs=6",
}

CASES = [
    pytest.param(query, id=name, marks=[] if name in ("race", "network") else pytest.mark.slow)
    for name, query in STATES.items()
]


def opened(page, address, query=""):
    page.goto(f"{address}/#play{'?' + query if query else ''}")
    page.wait_for_function(READY)
    return page


@pytest.mark.slow
def test_every_preset_plays(page, address):
    opened(page, address)
    names = page.eval_on_selector_all(".tour option", "all => all.map(one => one.value)")
    presets = [name for name in names if name]
    assert len(presets) == 12
    for preset in presets:
        page.select_option(".tour select", preset)
        page.wait_for_function(f"() => location.hash.endsWith('show={preset}')")
        page.wait_for_function(READY)
        page.wait_for_timeout(50)
        page.click("#step")
        page.wait_for_function("() => steepestLab.first.descent.step >= 1")
        assert page.inner_text(".tour p").strip()
        assert page.inner_text(".said").strip()
        assert page.locator(".steps li").count() == 7


@pytest.mark.parametrize("query", CASES)
def test_a_link_gives_the_state_again(page, address, query):
    opened(page, address, query)
    page.evaluate("() => steepestLab.set({ speed: 2 })")
    link = page.evaluate("() => location.hash")
    first = page.evaluate("() => JSON.stringify(steepestLab.lab)")
    page.goto("about:blank")
    page.goto(f"{address}/{link}")
    page.wait_for_function(READY)
    assert page.evaluate("() => JSON.stringify(steepestLab.lab)") == first


@pytest.mark.parametrize("query", [*CASES, "start=0.25,-1"])
def test_the_exported_recipe_gives_the_descent_of_the_page(page, address, query):
    opened(page, address, query)
    script = """async () => {
      const { recipeText } = await import("./app/exports.js");
      const { first, lab } = steepestLab;
      const thetas = [];
      while (first.take()) thetas.push(Array.from(first.descent.theta));
      return { text: recipeText(lab, first.problem), thetas };
    }"""
    found = page.evaluate(script)
    recipe = Recipe.from_dict(tomllib.loads(found["text"]))
    assert recipe.descent.dtype == "float64"
    assert recipe.model.start == ((0.25, -1.0) if "start=" in query else None)
    dataset, kept = Dataset("own", "Own", recipe), MemoryCheckpointer()
    fit(dataset.sample, None, dataset.schema, recipe.model, recipe.descent, kept)
    path = Path.joined(kept.path)
    for step, theta in zip(path.steps.tolist()[1:], path.thetas[1:], strict=True):
        scale = max(1.0, float(np.abs(theta).max()))
        assert np.abs(np.array(found["thetas"][step - 1]) - theta).max() <= 1e-12 * step * scale


def test_the_python_lines_say_the_same_recipe(page, address):
    opened(page, address, STATES["network"])
    script = """async () => {
      const { recipeText, pythonText } = await import("./app/exports.js");
      const { first, lab } = steepestLab;
      return [recipeText(lab, first.problem), pythonText(lab, first.problem)];
    }"""
    toml, python = page.evaluate(script)
    table = python[python.index("from_dict(") + len("from_dict(") : python.index(")\nrun")]
    assert Recipe.from_dict(eval(table)) == Recipe.from_dict(tomllib.loads(toml))


def test_a_click_on_the_surface_starts_there(page, address):
    opened(page, address)
    expected = page.evaluate(
        "() => [steepestLab.stage.contour.frame.ofX(150), steepestLab.stage.contour.frame.ofY(120)]"
    )
    page.click(".surface canvas:last-of-type", position={"x": 150, "y": 120})
    page.wait_for_function("() => steepestLab.lab.start !== null")
    start = page.evaluate("() => Array.from(steepestLab.first.descent.start)")
    np.testing.assert_allclose([start[1], start[0]], expected, atol=0.05)  # a pixel or two


def test_rate_batch_and_penalty_change_without_a_reset(page, address):
    opened(page, address)
    page.evaluate("() => { for (let i = 0; i < 5; i++) steepestLab.first.take(); }")
    before = page.evaluate("() => Array.from(steepestLab.first.descent.theta)")
    for change in ({"rate": 0.05}, {"l2": 0.3}, {"batch": 1}, {"batch": 10}):
        page.evaluate("(change) => steepestLab.set(change)", change)
    assert page.evaluate("() => Array.from(steepestLab.first.descent.theta)") == before
    assert page.evaluate("() => steepestLab.first.descent.step") == 5
    page.evaluate("() => steepestLab.first.take()")
    assert page.evaluate("() => steepestLab.first.descent.theta[0]") != before[0]


def test_the_keyboard_plays_steps_and_resets(page, address):
    opened(page, address)
    page.keyboard.press("s")
    page.wait_for_function("() => steepestLab.first.descent.step === 1")
    page.keyboard.press("r")
    page.wait_for_function("() => steepestLab.first.descent.step === 0")
    page.keyboard.press(" ")
    page.wait_for_function("() => steepestLab.first.descent.step > 2")
    assert page.inner_text("#play") == "Pause"
    page.keyboard.press(" ")
    page.wait_for_function("() => document.querySelector('#play').textContent === 'Play'")
    assert page.evaluate("() => steepestLab.playing") is False
    page.click(
        "#reset"
    )  # keys work where a button has the focus, but for the space, which is its own
    page.keyboard.press("s")
    page.wait_for_function("() => steepestLab.first.descent.step === 1")
    page.focus("#rate")
    before = page.input_value("#rate-number")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("(v) => document.querySelector('#rate-number').value !== v", arg=before)
    page.focus(".surface .stack")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => steepestLab.lab.start !== null")


def test_the_seven_steps_are_lit_one_after_the_other(page, address):
    opened(page, address, "speed=0")
    watch = """() => new Promise((done, fail) => {
      setTimeout(() => fail(new Error(`in 30 seconds: ${seen}`)), 30000);
      const now = () => document.querySelector(".steps li.lit .step-name b")?.textContent;
      const seen = [now()];
      new MutationObserver(() => {
        if (now() && now() !== seen.at(-1)) seen.push(now());
        if (seen.length === 13) done(seen.join(""));
      }).observe(document.querySelector(".steps"), { subtree: true, attributes: true });
      document.querySelector("#play").click();
    })"""
    assert page.evaluate(watch) == "1234567234567"  # init is not repeated
    page.evaluate("() => steepestLab.playing && steepestLab.play()")
    assert page.inner_text("#play") == "Play"


LIT = "() => [...document.querySelectorAll('.steps li.lit b')].map((b) => b.textContent).join('')"


def test_the_steps_that_go_on_are_lit(page, address):
    """At speeds that no eye follows: none by one, which would flicker."""
    opened(page, address, "speed=3&epochs=400")
    page.wait_for_function(f"() => ({LIT})() === '1'")
    page.click("#play")
    page.wait_for_function(f"() => ({LIT})() === '23456'")
    page.click("#play")
    page.wait_for_function(f"() => ({LIT})() === ''")
    page.evaluate("() => steepestLab.set({ speed: 7 })")
    page.click("#play")
    page.wait_for_function(f"() => ({LIT})() === '7'")
    assert "after 400 steps" in page.inner_text(".steps li:last-child").replace("\xa0", " ")


def test_the_numbers_of_a_step_are_those_of_the_descent(page, address):
    """θ, ŷ, J, ∇J and η∇J, as they are and not as they were."""
    opened(page, address, "rate=0.1&batch=1")
    page.click("#step")
    page.wait_for_function("() => steepestLab.first.descent.step === 1")
    script = """async () => {
      const { short, vector } = await import("./app/numbers.js");
      const { descent, problem } = steepestLab.first;
      const row = descent.rows[descent.first], eta = descent.rate;
      return [`(0, 0)`, `ŷ = ${short(0)}, y = ${short(problem.events.y[row])}`,
        `J = ${short(descent.loss, 5)} over 1 event`, `∇J = ${vector(descent.gradient, 2)}`,
        `η∇J = ${vector(descent.gradient.map((g) => eta * g), 2)}`,
        `θ = ${vector(descent.theta, 2)}, t = 1, epoch 0.01`];
    }"""
    expected = page.evaluate(script)
    page.wait_for_function(
        "() => document.querySelector('.steps').textContent.includes('t\xa0=\xa01,')"
    )
    shown = page.eval_on_selector_all(".step-numbers", "all => all.map((one) => one.textContent)")
    for said, wanted in zip(shown, expected, strict=False):
        assert wanted in said.replace("\xa0", " ")


def test_zones_of_the_slider_are_what_happens(page, address):
    """Above 2/λmax it diverges, below it does not; the predicted number of steps is counted."""
    opened(page, address)
    script = """async (rate) => {
      await steepestLab.set({ rate, epochs: 2000 });
      steepestLab.reset();
      const { first, forecast } = steepestLab;
      const q = first.problem.quadratic, { objective, events } = first.problem;
      const start = objective.value(first.descent.theta, events) - q.lowest;
      let steps = 0;
      while (objective.value(first.descent.theta, events) - q.lowest > 1e-3 * start
             && first.take()) steps++;
      return [document.querySelector(".badge")?.textContent, forecast.steps, steps,
              first.descent.stopped?.kind ?? null];
    }"""
    for part, zone in ((0.02, "too small"), (0.3, "just right"), (0.9, "overshooting")):
        bound = page.evaluate("() => steepestLab.zones.bound")
        badge, predicted, counted, stopped = page.evaluate(script, part * bound)
        page.wait_for_function(
            "(z) => document.querySelector('.badge').textContent === z", arg=zone
        )
        assert (predicted, stopped) == (counted, None), (part, badge)
    assert page.evaluate(script, 1.05 * bound)[3] == "diverged"
    page.wait_for_function("() => document.querySelector('.badge').textContent === 'diverging'")


def test_links_that_are_not_understood_are_said_to_be_so(page, address):
    opened(page, address, "rate=abc&batch=-3&data=elsewhere&hidden=999")
    note = page.inner_text(".note")
    assert "elsewhere" in note
    assert "rate = “abc”" in note
    opened(page, address)
    page.goto(f"{address}/#play?rate=abc&optimizer=none")
    page.wait_for_selector(".note")
    assert "rate" in page.inner_text(".note")
    assert page.evaluate("() => steepestLab.lab.rate") == 0.1


@pytest.mark.parametrize("width", [390, pytest.param(768, marks=pytest.mark.slow), 1280])
def test_nothing_is_wider_than_the_window(page, address, width):
    page.set_viewport_size({"width": width, "height": 800})
    for view in ("#play?show=scaling", "#exercises"):
        page.goto(f"{address}/{view}")
        page.wait_for_selector("main.play, main.exercises")
        page.wait_for_timeout(100)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_exercises_are_graded_and_exported(page, address):
    page.goto(f"{address}/#exercises")
    page.wait_for_selector(".exercises li")
    page.click("text=converges >> nth=0")
    page.wait_for_selector("li.right")
    page.fill("#answer-momentum", "1.9")
    page.press("#answer-momentum", "Enter")
    page.wait_for_function("() => document.querySelectorAll('li.right').length === 2")
    page.fill("#answer-largest-rate", "7")
    page.press("#answer-largest-rate", "Enter")
    page.wait_for_selector("li.wrong")
    with page.expect_download() as download:
        page.click("text=Export as JSON")
    written = json.loads(download.value.path().read_text())
    assert (written["format"], written["version"]) == ("steepest-exercises", 1)
    assert (written["answered"], written["correct"]) == (3, 2)
    rate = next(one for one in written["answers"] if one["id"] == "largest-rate")
    assert rate["computed"] == pytest.approx(0.5085, rel=0.01)


def test_the_picture_has_the_surface_and_the_data(page, address):
    opened(page, address)
    page.wait_for_function("() => steepestLab.surface.done")
    with page.expect_download() as download:
        page.click(".export >> text=PNG")
    assert download.value.path().read_bytes().startswith(b"\x89PNG")
    assert download.value.path().stat().st_size > 20_000


def test_a_mesh_is_drawn_in_a_new_canvas(page, address):
    """Of a picture in three dimensions after another one and contours between them."""
    opened(page, address, "show=linear")
    drawn = """() => {
      const gl = document.querySelector(".surface canvas");
      const copy = Object.assign(document.createElement("canvas"), { width: 60, height: 40 });
      copy.getContext("2d").drawImage(gl, 0, 0, 60, 40);
      const pixels = copy.getContext("2d").getImageData(0, 0, 60, 40).data;
      return pixels.filter((value, i) => i % 4 === 3 && value > 0).length > 200;
    }"""
    if not page.evaluate("() => steepestLab.stage.surface3d.works"):
        pytest.skip("this Chromium has no WebGL2")
    page.wait_for_function(drawn)
    page.select_option(".tour select", "descend")
    page.wait_for_function("() => steepestLab.lab.view === 'contour' && steepestLab.surface.done")
    page.select_option(".tour select", "linear")
    page.wait_for_function("() => steepestLab.lab.view === '3d' && steepestLab.surface.done")
    page.wait_for_function(drawn)


def test_the_valley_of_some_events_lies_at_the_minimum_of_all(page, address):
    opened(page, address, "data=top-jets&scaling=standard")
    page.wait_for_function("() => steepestLab.surface.done")
    script = """() => {
      const { values, points, minimum, events } = steepestLab.surface;
      const at = values.indexOf(Math.min(...values));
      const found = [at % points, Math.floor(at / points)];
      const place = found.map((index, axis) => steepestLab.surface.coordinate(axis, index));
      const step = [0, 1].map((axis) => steepestLab.surface.coordinate(axis, 1)
        - steepestLab.surface.coordinate(axis, 0));
      const away = place.map((value, axis) => Math.abs(value - minimum[axis]) / step[axis]);
      const { first } = steepestLab, { quadratic } = first.problem;
      first.descent.theta.set(quadratic.minimum);
      return { away, events, curve: first.loss(), lowest: quadratic.lowest, stride: first.stride };
    }"""
    found = page.evaluate(script)
    assert found["events"] < 1000
    assert max(found["away"]) <= 1.0
    assert found["stride"] > 1
    assert found["curve"] == pytest.approx(found["lowest"], rel=1e-12)  # so does the curve of J


def test_the_slider_follows_the_bound(page, address):
    page.goto(f"{address}/icon.svg")
    script = """async () => {
      const { fitsRange, sliderRange } = await import("./app/slider.js");
      const range = sliderRange({ bound: 0.5 }, 0.1);
      return [[0.5, 0.1], [0.5, 100], [range[1], 0.1], [NaN, 0.1]].map(([bound, rate]) =>
        fitsRange(range, { bound }, rate));
    }"""
    assert page.evaluate(script) == [True, False, False, True]
