"""The twin in JavaScript against the library: random numbers, steps, curvature, in Chromium."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from steepest.curvature import hessian
from steepest.descent import MemoryCheckpointer
from steepest.descent.state import Path
from steepest.explain import explain_setting, linear, record
from steepest.lab import built_in
from steepest.recipe import Recipe
from steepest.training.fit import fit
from steepest.training.inputs import batch_of, objective_for, scaling_of

STEPS = 30
PER_STEP = 1e-12
"""θ of the twin may differ by so much a step, relative to the largest θ."""

_SETUP = """
const { load, Objective, LOSSES, LOSS_OF_TASK, Descent } = await import("./twin/index.js");
const index = await (await fetch("./data/index.json")).json();
const description = index.datasets.find((one) => one.name === given.dataset);
const data = await load(description, async (path) => (await fetch(`./${path}`)).arrayBuffer());
const hidden = given.hidden ?? [];
const scaled = description.task === "regression" && hidden.length > 0;
const events = data.events(given.features ?? description.chosen, given.scaling, scaled);
const objective = new Objective({
  inputs: events.names.length, hidden, activation: given.activation ?? "tanh",
  outputs: description.task === "multiclass" ? description.classes.length : 1,
  loss: LOSSES[LOSS_OF_TASK[description.task]], l2: given.l2 ?? 0 });
"""


def in_page(page: Any, address: str, script: str, given: dict[str, Any]) -> Any:
    page.goto(address + "/icon.svg")
    return page.evaluate(f"async (given) => {{ {_SETUP} {script} }}", given)


DATASETS = {dataset.name: dataset for dataset in built_in()}
DESCENTS = [
    {"dataset": "noisy-line", "rate": 0.1},
    {"dataset": "noisy-line", "rate": 0.4, "momentum": 0.8, "optimizer": "momentum"},
    {"dataset": "parabola", "rate": 1e-5},
    {"dataset": "parabola", "rate": 0.3, "scaling": "standard"},
    {"dataset": "parabola", "rate": 0.3, "scaling": "whiten", "batch": 4},
    {"dataset": "noisy-line", "rate": 0.02, "batch": 1, "schedule": {"name": "inverse-time"}},
    {"dataset": "noisy-line", "rate": 0.05, "hidden": [4], "scaling": "standard", "batch": 7},
    {"dataset": "two-classes", "rate": 1.0, "scaling": "standard", "l2": 0.01},
    {"dataset": "two-classes", "rate": 0.1, "scaling": "min-max", "optimizer": "adam"},
    {"dataset": "two-classes", "rate": 0.1, "scaling": "robust", "optimizer": "rmsprop"},
    {"dataset": "two-classes", "rate": 0.1, "scaling": "standard", "batch": 1,
     "optimizer": "nesterov", "momentum": 0.5, "schedule": {"name": "one-cycle"}},
    {"dataset": "three-classes", "rate": 0.5},
    {"dataset": "three-classes", "rate": 0.05, "optimizer": "adamw", "batch": 32,
     "schedule": {"name": "cosine", "warmup": 0.2}},
    {"dataset": "two-moons", "rate": 0.3, "hidden": [8, 4], "activation": "tanh"},
    {"dataset": "two-moons", "rate": 0.1, "hidden": [8], "activation": "relu", "batch": 16,
     "schedule": {"name": "step", "every": 2.0, "factor": 0.5}},
    {"dataset": "two-moons", "rate": 0.5, "hidden": [5], "activation": "sigmoid", "l2": 0.02},
    {"dataset": "three-classes", "rate": 0.1, "hidden": [6], "activation": "tanh", "batch": 50,
     "schedule": {"name": "exponential", "factor": 0.7}},
    {"dataset": "top-jets", "rate": 0.5, "scaling": "standard"},
    {"dataset": "top-jets", "rate": 0.01, "scaling": "standard", "batch": 1,
     "features": ["mass", "tau32", "tau21", "c2"]},
]  # fmt: skip


def _recipe(given: dict[str, Any], dataset: Any, epochs: int) -> Recipe:
    table = dataset.recipe.to_dict()
    features = given.get("features") or dataset.description()["chosen"]
    written = {(f if isinstance(f, str) else f["name"]): f for f in table["events"]["features"]}
    table["events"]["features"] = [written[name] for name in features]
    optimizer = {"name": given.get("optimizer", "sgd")}
    if "momentum" in given:
        optimizer["momentum"] = given["momentum"]
    hidden = given.get("hidden", [])
    start = {"tanh": "glorot-uniform", "sigmoid": "glorot-uniform", "relu": "he-uniform"}
    table["model"] = {"hidden": hidden}
    if hidden:
        table["model"] |= {
            "activation": given.get("activation", "tanh"),
            "initialization": start[given.get("activation", "tanh")],
        }
    table["descent"] = {
        "method": "descent",
        "batch_size": given.get("batch", "all"),
        "optimizer": optimizer,
        "learning_rate": given["rate"],
        "schedule": given.get("schedule", {"name": "constant"}),
        "scaling": given.get("scaling", "none"),
        "l2": given.get("l2", 0.0),
        "epochs": epochs,
        "dtype": "float64",
        "seed": 5,
        "keep": "last",
        "history": {"every": 1},
    }
    return Recipe.from_dict(table)


def _library(recipe: Recipe, dataset: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps and θ of the path, and the losses before each step."""
    own = type(dataset)(dataset.name, dataset.title, recipe)
    kept = MemoryCheckpointer()
    fit(own.sample, None, own.schema, recipe.model, recipe.descent, kept)
    path = Path.joined(kept.path)
    losses = np.concatenate([table["loss"].to_numpy() for table in kept.history])
    return path.steps, path.thetas, losses


QUICK = {1, 4, 10, 12, 13}
"""Places of those that every run of the tests makes; the others take Chromium a while."""
CASES = [
    pytest.param(
        given,
        id="-".join(map(str, given.values()))[:60],
        marks=[] if place in QUICK else pytest.mark.slow,
    )
    for place, given in enumerate(DESCENTS)
]


@pytest.mark.parametrize("given", CASES)
def test_steps_are_the_librarys(page, address, given):
    dataset = DATASETS[given["dataset"]]
    events, batch = len(dataset.sample), given.get("batch", "all")
    per_epoch = 1 if batch == "all" else -(-events // batch)
    epochs = max(1, -(-STEPS // per_epoch))
    asked = {"scaling": "none", "optimizer": "sgd", **given, "epochs": epochs, "seed": 5}
    script = """
    const descent = new Descent(objective, events, {
      batchSize: given.batch ?? "all", rate: given.rate, epochs: given.epochs, seed: given.seed,
      optimizer: { name: given.optimizer, momentum: given.momentum },
      schedule: given.schedule ?? { name: "constant" } });
    const [thetas, losses] = [[Array.from(descent.theta)], []];
    while (descent.take()) {
      losses.push(descent.loss);
      if (descent.step <= 400 || descent.step === descent.totalSteps)
        thetas.push([descent.step, Array.from(descent.theta)]);
    }
    return { start: thetas[0], thetas: thetas.slice(1), losses, stopped: descent.stopped };
    """
    found = in_page(page, address, script, asked)
    steps, thetas, losses = _library(_recipe(given, dataset, epochs), dataset)
    assert found["stopped"] == {"kind": "epochs", "step": epochs * per_epoch}
    np.testing.assert_array_equal(found["start"], thetas[0])
    twin = dict(found["thetas"])
    shared = [i for i, step in enumerate(steps.tolist()) if step in twin and step <= 400]
    assert len(shared) >= min(STEPS, 20)
    for i in shared:
        scale = max(1.0, float(np.abs(thetas[i]).max()))
        difference = np.abs(np.array(twin[int(steps[i])]) - thetas[i]).max()
        assert difference <= PER_STEP * int(steps[i]) * scale, (int(steps[i]), difference)
    np.testing.assert_allclose(found["losses"][:300], losses[:300], rtol=3e-10)


def test_random_numbers_are_numpys(page, address):
    script = """
    const { Random, Order } = await import("./twin/index.js");
    return given.entropies.map((entropy) => {
      const random = new Random(entropy);
      const doubles = Array.from({ length: 5 }, () => random.double());
      const order = new Order(entropy[0], entropy[2] ?? 0, given.count);
      for (let i = 0; i < 7; i++) order.advance(3);
      return [doubles, Array.from(order.finished())];
    });
    """
    entropies = [[seed, 1, epoch] for seed, epoch in product((0, 7, 2**31, 2**40 + 3), (0, 12))]
    page.goto(address + "/icon.svg")
    found = page.evaluate(
        f"async (given) => {{ {script} }}", {"entropies": entropies, "count": 1000}
    )
    for entropy, (doubles, order) in zip(entropies, found, strict=True):
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        np.testing.assert_array_equal(doubles, random.random(5))
        again = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        np.testing.assert_array_equal(order, again.permutation(1000))


@pytest.mark.parametrize("given", [
    {"dataset": "parabola", "scaling": "none", "rate": 1e-5},
    {"dataset": "parabola", "scaling": "standard", "rate": 0.3},
    {"dataset": "two-classes", "scaling": "standard", "rate": 0.5, "l2": 0.01},
    {"dataset": "top-jets", "scaling": "none", "rate": 1e-5},
], ids=lambda g: f"{g['dataset']}-{g['scaling']}")  # fmt: skip
def test_predictions_are_those_of_explain(page, address, given):
    """λmax, κ, the rates, and the steps on the quadratic at the minimum are those of `explain`.

    Of a logistic regression `steepest explain --before` follows J itself, which takes longer.
    """
    script = """
    const { measureProblem } = await import("./twin/index.js");
    const q = measureProblem(objective, events);
    const start = objective.initial(0);
    return { largest: q.largest, kappa: q.kappa, bound: q.bound, best: q.best,
      own: q.stepsTo(start, given.rate, 1e-3), fastest: q.stepsTo(start, q.best, 1e-6) };
    """
    found = in_page(page, address, script, given)
    measured = _measured(given)
    curvature = measured.curvature
    for name, value in (
        ("largest", curvature.eigenvalues[-1]),
        ("kappa", curvature.kappa),
        ("bound", curvature.bound),
        ("best", curvature.best),
    ):
        assert found[name] == pytest.approx(value, rel=1e-6), name
    for name, (rate, part) in {
        "own": (given["rate"], 1e-3),
        "fastest": (curvature.best, 1e-6),
    }.items():
        expected = curvature.steps_to(measured.start, rate, part)
        wanted = found[name] if found[name] is not None else np.inf
        assert wanted == pytest.approx(expected, abs=1.1, rel=1e-5), name


def _measured(given: dict[str, Any]) -> linear.LinearCurvature:
    dataset = DATASETS[given["dataset"]]
    recipe = _recipe(given, dataset, 1)
    own = type(dataset)(dataset.name, dataset.title, recipe)
    kept = MemoryCheckpointer()
    fitted = fit(own.sample, None, own.schema, recipe.model, recipe.descent, kept)
    made = record.Record.__new__(record.Record)  # what measure_linear reads of a run, no more
    scaling = scaling_of(recipe.descent.scaling, own.sample, own.schema.inputs)
    objective = objective_for(own.schema, recipe.model, recipe.descent, own.sample)
    values = {
        "objective": objective, "train": batch_of(own.sample, scaling, objective, "training"),
        "thetas": Path.joined(kept.path).thetas, "model": fitted.model, "schema": own.schema,
        "parts": {0: own.sample},
    }  # fmt: skip
    for name, value in values.items():
        object.__setattr__(made, name, value)
    found = linear.measure_linear(made)
    assert found is not None
    return found


def test_the_hessian_of_a_network_is_the_librarys(page, address):
    given = {"dataset": "two-moons", "scaling": "none", "hidden": [4, 3], "rate": 0.1, "l2": 0.05}
    script = """
    const { finished, hessian, sharpness } = await import("./twin/index.js");
    const theta = objective.initial(5);
    return { hessian: hessian(objective, theta, events).map((row) => Array.from(row)),
      largest: finished(sharpness(objective, theta, events)).largest };
    """
    found = in_page(page, address, script, given)
    dataset = DATASETS["two-moons"]
    recipe = _recipe(given, dataset, 1)
    scaling = scaling_of("none", dataset.sample, dataset.schema.inputs)
    objective = objective_for(dataset.schema, recipe.model, recipe.descent, dataset.sample)
    events = batch_of(dataset.sample, scaling, objective, "training")
    expected = hessian(objective, objective.initial(5), events)
    np.testing.assert_allclose(found["hessian"], expected, atol=1e-13)
    assert found["largest"] == pytest.approx(np.linalg.eigvalsh(expected)[-1], rel=1e-9)


SETTINGS = [
    *(({"dataset": "noisy-line"}, part, "sgd") for part in (0.02, 0.3, 0.9, 1.05, 3.0)),
    ({"dataset": "parabola"}, 0.5, "sgd"),
    ({"dataset": "two-classes", "scaling": "standard"}, 0.4, "sgd"),
    ({"dataset": "noisy-line"}, 0.6, "momentum"),
    ({"dataset": "noisy-line"}, 1.2, "nesterov"),
    ({"dataset": "two-moons", "hidden": [4], "scaling": "standard"}, 1.5, "sgd"),
]
REGIMES = {"small": "too small", "right": "just right"}


@pytest.mark.parametrize(
    ("given", "part", "optimizer"),
    [
        pytest.param(*one, marks=[] if place % 3 == 0 else pytest.mark.slow)
        for place, one in enumerate(SETTINGS)
    ],
)
def test_the_page_says_what_explain_setting_says(page, address, given, part, optimizer):
    """The same regime and the same sentence, at the start of a descent with all events a step."""
    page.goto(f"{address}/#play")
    page.wait_for_function("() => globalThis.steepestLab?.state.ready")
    script = """async ([state, part]) => {
      const { settingText } = await import("./app/explain.js");
      const { zoneOf } = await import("./app/forecast.js");
      await steepestLab.set(state);
      const rate = Number((part * steepestLab.zones.bound).toPrecision(6));
      await steepestLab.set({ rate });
      const { first, lab, zones } = steepestLab;
      const zone = zoneOf(rate, zones);
      return { rate, zone, text: settingText(first.problem, lab, zones, zone),
               line: document.querySelector(".said").textContent.trim() };
    }"""
    names = {"dataset": "data"}
    state = {names.get(key, key): value for key, value in given.items()}
    found = page.evaluate(script, [{**state, "optimizer": optimizer, "momentum": 0.5}, part])
    dataset = DATASETS[given["dataset"]]
    rule = {"optimizer": optimizer, "momentum": 0.5} if optimizer != "sgd" else {}
    recipe = _recipe({"rate": 0.1, **given, **rule}, dataset, 1)
    own = type(dataset)(dataset.name, dataset.title, recipe)
    scaling = scaling_of(recipe.descent.scaling, own.sample, own.schema.inputs)
    objective = objective_for(own.schema, recipe.model, recipe.descent, own.sample)
    events = batch_of(own.sample, scaling, objective, "training")
    theta = objective.initial(0)
    expected = explain_setting(objective, theta, events, found["rate"], recipe.descent.optimizer)
    assert REGIMES.get(found["zone"], found["zone"]) == expected.regime
    if optimizer == "sgd":
        assert found["text"] == expected.sentence
    else:  # steps with momentum are counted on both sides to within an oscillation
        assert found["text"].partition(".")[0] == expected.sentence.partition(".")[0]
    assert found["line"] == found["text"]
