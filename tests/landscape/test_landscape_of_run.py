"""`Run.landscape` and `steepest landscape`: from a run's folder to the files in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

import steepest
from samples import make_events
from steepest.errors import EventsError, InputError, Interrupted, RunFolderError
from steepest.landscape import Landscape
from steepest.training import TrainingCallback

FEW = {"points": 7, "events": 600}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("landscapes")


def recipe_of(folder: Path, **descent: object) -> dict:
    path = folder / "events.parquet"
    if not path.exists():
        pq.write_table(pa.table(make_events(1600)), path)
    return {
        "events": {
            "path": str(path),
            "label": "is_top",
            "features": ["pt", "mass", "ratio"],
            "weight": "weight",
            "split": {"validation": 0.2, "test": 0, "by": "event_number"},
        },
        "model": {"hidden": [8]},
        "descent": {"epochs": 4, "batch_size": 64, "learning_rate": 0.01} | descent,
        "evaluate": {"baseline": False},
    }


@pytest.fixture(scope="module")
def network(folder: Path) -> steepest.Run:
    return steepest.train(recipe_of(folder), folder / "network")


@pytest.fixture(scope="module")
def other(folder: Path) -> steepest.Run:
    return steepest.train(recipe_of(folder, seed=1), folder / "other")


@pytest.fixture(scope="module")
def linear(folder: Path) -> steepest.Run:
    recipe = recipe_of(folder, batch_size="all", optimizer="sgd", schedule="constant", epochs=50)
    return steepest.train(recipe | {"model": {"hidden": []}}, folder / "linear")


def files_of(landscape: Landscape) -> set[str]:
    return {entry.name for entry in landscape.where.iterdir()}


def numbers_of(landscape: Landscape) -> dict:
    return json.loads((landscape.where / "landscape.json").read_text(encoding="utf-8"))


# --- what it computes ---------------------------------------------------------------------------


def test_the_surface_is_the_training_loss(network: steepest.Run):
    landscape = network.landscape("random", points=5, extent=0.5)
    metrics = network.metrics
    assert metrics is not None
    assert landscape.losses.shape == (5, 5)
    assert landscape.losses[2, 2] == pytest.approx(metrics["losses"]["train"], rel=1e-5)
    assert landscape.numbers["events"]["used"] == metrics["parts"]["train"]["events"]
    validation = network.landscape("random", points=5, part="validation", name="validation")
    assert validation.losses[2, 2] == pytest.approx(metrics["losses"]["validation"], rel=1e-5)


def test_it_goes_along_the_path_where_there_is_one(network: steepest.Run):
    landscape = network.landscape(**FEW)
    assert landscape.directions.kind == "principal"
    assert landscape.where == network.path / "landscape" / "principal"
    assert landscape.path is not None
    assert landscape.surface.grid.holds(landscape.path.coordinates).all()
    assert landscape.path.steps[0] == 0
    said = numbers_of(landscape)
    assert said["path"]["share_of_variance"] == pytest.approx(
        sum(said["directions"]["variance_shares"])
    )


def test_what_lies_in_its_folder(network: steepest.Run):
    landscape = network.landscape(**FEW)
    landscape.write_figures()
    assert files_of(landscape) >= {
        "landscape.json", "directions.safetensors", "surface.parquet", "surface.vti",
        "path.parquet", "path.vtp", "sums.safetensors",
        *(f"{name}.{kind}" for name in ("contour", "relief", "path") for kind in ("png", "pdf")),
    }  # fmt: skip
    arrays = load_file(landscape.where / "directions.safetensors")
    np.testing.assert_array_equal(arrays["origin"], network.model.theta.astype(float))
    table = pq.read_table(landscape.where / "surface.parquet")
    np.testing.assert_array_equal(table["loss"].to_numpy(), landscape.losses.ravel())


def test_the_same_seed_gives_the_same_bits_and_another_one_another_picture(network: steepest.Run):
    one = network.landscape("random", **FEW, seed=4, name="one")
    two = network.landscape("random", **FEW, seed=4, name="two")
    three = network.landscape("random", **FEW, seed=5, name="three")
    assert one.losses.tobytes() == two.losses.tobytes()
    assert one.losses.tobytes() != three.losses.tobytes()


def test_hessian_directions_curve_as_their_eigenvalues_say(linear: steepest.Run):
    landscape = linear.landscape("hessian", points=3, extent=1e-2)
    losses, high = landscape.losses, landscape.directions.notes["eigenvalues"]
    measured = (losses[2, 1] - 2 * losses[1, 1] + losses[0, 1]) / 1e-4
    assert measured == pytest.approx(high[0], rel=1e-3)
    measured = (losses[1, 2] - 2 * losses[1, 1] + losses[1, 0]) / 1e-4
    assert measured == pytest.approx(high[1], abs=1e-3 * high[0])


def test_the_sharpness_stands_against_two_over_the_learning_rate(linear: steepest.Run):
    end = linear.landscape("hessian", points=5).numbers["end"]
    assert end["learning_rate"] == 0.01
    assert end["two_over_learning_rate"] == pytest.approx(200)
    assert end["sharpness_over_bound"] == pytest.approx(end["sharpness"] / 200)
    assert end["bound_holds_for_optimizer"]
    assert 0 < end["lowest_curvatures"][0]["value"] < end["sharpness"]
    assert end["gradient_norm"] > 0


def test_the_line_to_another_run_has_a_barrier(network: steepest.Run, other: steepest.Run):
    landscape = network.landscape("through", str(other.path), points=21)
    (barrier,) = landscape.numbers["barriers"]
    assert (barrier["from"], barrier["to"]) == ("network", "other")
    assert barrier["height"] > 0
    assert landscape.directions.dimensions == 1
    metrics = other.metrics
    assert metrics is not None
    at_one = np.interp(1.0, landscape.axes[0], landscape.losses)
    assert at_one == pytest.approx(metrics["losses"]["train"], rel=0.02)


def test_the_plane_through_another_run_and_the_start(network: steepest.Run, other: steepest.Run):
    landscape = network.landscape("through", str(other.path), f"{network.path}@0", **FEW)
    labels = [mark.label for mark in landscape.directions.marks]
    assert labels == ["network", "other", "network, step 0"]
    assert len(landscape.numbers["barriers"]) == 3
    assert landscape.directions.dimensions == 2


def test_parameters_have_the_values_that_the_report_gives(linear: steepest.Run):
    landscape = linear.landscape("parameters", "mass,intercept", **FEW)
    given = linear.model.coefficients()
    assert given is not None
    (mark,) = landscape.directions.marks
    assert mark.coordinates == pytest.approx((given.values[1, 0], given.intercept[0]))
    assert landscape.directions.labels == ("Coefficient of $m$", "Intercept")
    line = linear.landscape("parameters", "mass", **FEW)
    assert line.losses.ndim == 1
    assert dict(line.figures()).keys() == {"profile", "path"}


def test_as_many_events_as_an_accuracy_needs(linear: steepest.Run):
    landscape = linear.landscape("principal", points=5, standard_error=0.3)
    assert landscape.numbers["events"]["largest_standard_error"] <= 0.3
    assert landscape.numbers["options"]["standard_error"] == 0.3


def test_a_line_after_a_plane_leaves_no_figures_of_the_plane(network: steepest.Run):
    surface = network.landscape("random", **FEW, name="changing")
    assert dict.fromkeys(("contour", "relief", "path")).keys() == dict(surface.figures()).keys()
    for name in ("contour.png", "relief.pdf", "descent.gif"):
        (surface.where / name).touch()
    line = network.landscape("random", **FEW, one_dimensional=True, name="changing")
    line.write_figures()
    assert not files_of(line) & {"contour.png", "relief.pdf", "descent.gif"}
    assert "profile.png" in files_of(line)


def test_every_key_of_the_json_is_documented(network: steepest.Run, other: steepest.Run):
    page = Path(__file__).parents[2] / "docs" / "landscape.md"
    documented = set(re.findall(r"`([a-z_]+)`", page.read_text(encoding="utf-8")))
    landscape = network.landscape("through", str(other.path), points=21, name="documented")
    landscapes = [landscape, network.landscape(**FEW), network.landscape("random", **FEW)]
    landscapes.append(network.landscape("hessian", **FEW))
    for one in landscapes:
        assert keys_in(numbers_of(one)) <= documented


def keys_in(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_in(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys_in(inner)}
    return set()


# --- interrupted, and going on ------------------------------------------------------------------


class StopsAfter(TrainingCallback):
    """Interrupts after so many looks, as Ctrl-C does."""

    def __init__(self, looks: int) -> None:
        self.looks = looks
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    def measured(self, done: int, total: int, unit: str, detail: str = "") -> None:
        self.looks -= 1
        if self.looks == 0:
            self.interrupted = True


def test_what_was_interrupted_goes_on_with_the_same_bits(linear: steepest.Run):
    whole = linear.landscape("random", points=5, name="whole")
    with pytest.raises(Interrupted) as raised:
        linear.landscape("random", points=5, name="parts", callback=StopsAfter(1))
    assert "Interrupted after 256 events at 25 points each." in str(raised.value)
    assert "give the same command again" in str(raised.value)
    callback = StopsAfter(0)
    rest = linear.landscape("random", points=5, name="parts", callback=callback)
    assert "Going on after 256 events." in callback.said
    assert rest.losses.tobytes() == whole.losses.tobytes()


class StopsAt(TrainingCallback):
    """Interrupts when a part of the work begins, as Ctrl-C does."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stage(self, name: str, total: int | None = None) -> None:
        self.interrupted = self.interrupted or name == self.name


def test_interrupted_behind_the_surface(linear: steepest.Run):
    with pytest.raises(Interrupted) as raised:
        linear.landscape("random", name="late", callback=StopsAt("Path and curvature"), **FEW)
    assert str(raised.value) == (
        "Interrupted after 600 events at 49 points each.\n"
        f"  found:    what is done is kept in {linear.path / 'landscape' / 'late'}\n"
        "  do:       give the same command again"
    )
    whole = linear.landscape("random", name="undisturbed", **FEW)
    rest = linear.landscape("random", name="late", **FEW)
    assert rest.losses.tobytes() == whole.losses.tobytes()


def test_sums_of_another_surface_are_not_gone_on_with(linear: steepest.Run):
    with pytest.raises(Interrupted):
        linear.landscape("random", points=5, name="mixed", callback=StopsAfter(1))
    callback = StopsAfter(0)
    changed = linear.landscape("random", points=5, seed=9, name="mixed", callback=callback)
    alone = linear.landscape("random", points=5, seed=9, name="alone")
    assert callback.said == []
    assert changed.losses.tobytes() == alone.losses.tobytes()


def test_damaged_sums_are_made_again(linear: steepest.Run):
    first = linear.landscape("random", points=5, name="damaged")
    (first.where / "sums.safetensors").write_bytes(b"nothing of it")
    assert linear.landscape("random", points=5, name="damaged").losses.tobytes() == (
        first.losses.tobytes()
    )
    save_file({"losses": np.zeros(3)}, first.where / "sums.safetensors")  # of something else
    assert linear.landscape("random", points=5, name="damaged").losses.tobytes() == (
        first.losses.tobytes()
    )


def test_a_longer_sample_goes_on_from_a_shorter_one(linear: steepest.Run):
    linear.landscape("random", points=5, events=512, name="longer")
    callback = StopsAfter(0)
    longer = linear.landscape("random", points=5, events=1024, name="longer", callback=callback)
    assert callback.said == ["Going on after 512 events."]
    alone = linear.landscape("random", points=5, events=1024, name="at-once")
    assert longer.losses.tobytes() == alone.losses.tobytes()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_at_the_command_line(linear: steepest.Run):
    code = "from steepest.cli import main; main()"
    command = [sys.executable, "-c", code, "landscape", str(linear.path), "-d", "random"]
    command += ["--points", "401", "--name", "killed"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    time.sleep(5)
    started.send_signal(signal.SIGINT)
    said = started.communicate(timeout=60)[1]
    assert started.returncode == 130, said
    assert "Traceback" not in said
    assert "Interrupted" in said


# --- bad input ----------------------------------------------------------------------------------


def test_a_run_without_a_path_says_how_to_record_one(network: steepest.Run, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(network.path, copy)
    (copy / "path.safetensors").unlink()
    run = steepest.Run(copy)
    with pytest.raises(RunFolderError) as raised:
        run.landscape("principal", **FEW)
    for part in ("has no path", "above 64 MiB", 'method = "exact"', "random, hessian, through"):
        assert part in str(raised.value)
    landscape = run.landscape(**FEW)  # what is chosen then
    assert landscape.directions.kind == "random"
    assert landscape.path is None
    assert numbers_of(landscape)["path"] is None
    assert dict(landscape.figures()).keys() == {"contour", "relief"}
    with pytest.raises(RunFolderError, match="has no path"):
        network.landscape("through", f"{copy}@0", **FEW)


def without_checksums(run: steepest.Run, folder: Path) -> Path:
    """A copy of a run, as an older release would have left it."""
    copy = shutil.copytree(run.path, folder / "copy")
    (copy / "manifest.json").unlink()
    return copy


def test_a_path_of_another_model(network: steepest.Run, linear: steepest.Run, tmp_path: Path):
    copy = without_checksums(network, tmp_path)
    shutil.copy(linear.path / "path.safetensors", copy / "path.safetensors")
    with pytest.raises(RunFolderError, match="is not of this model"):
        steepest.Run(copy).landscape("random", **FEW)


def test_a_run_of_another_model(network: steepest.Run, linear: steepest.Run):
    with pytest.raises(InputError, match="of another model: its widths differ"):
        network.landscape("through", str(linear.path), **FEW)


def test_a_run_that_scales_otherwise(network: steepest.Run, folder: Path):
    run = steepest.train(recipe_of(folder, scaling="min-max", epochs=1), folder / "min-max")
    with pytest.raises(InputError, match="scales its features in another way"):
        network.landscape("through", str(run.path), **FEW)


def test_no_such_run_and_no_such_step(network: steepest.Run):
    with pytest.raises(RunFolderError, match="There is no run in"):
        network.landscape("through", "nowhere", **FEW)
    with pytest.raises(InputError, match="names no step"):
        network.landscape("through", f"{network.path}@first", **FEW)


def test_a_plane_of_parallel_directions(network: steepest.Run, other: steepest.Run):
    with pytest.raises(InputError, match="are parallel: they span no plane"):
        network.landscape("through", str(other.path), str(other.path), **FEW)


@pytest.mark.parametrize("count", [0, 3])
def test_through_too_few_or_too_many_runs(network: steepest.Run, other: steepest.Run, count: int):
    with pytest.raises(InputError, match=f"A run and {count} others span neither a line nor a pl"):
        network.landscape("through", *[str(other.path)] * count, **FEW)


def test_one_parameter_twice_is_named_as_it_was_given(linear: steepest.Run):
    with pytest.raises(InputError, match="The directions 'mass' and 'mass' are parallel"):
        linear.landscape("parameters", "mass", "mass", **FEW)
    with pytest.raises(InputError, match="3 parameters span neither a line nor a plane"):
        linear.landscape("parameters", "mass,ratio,mass", **FEW)


def test_parameters_of_a_network(network: steepest.Run):
    with pytest.raises(InputError, match="have no units of their own"):
        network.landscape("parameters", "mass", "ratio", **FEW)


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("randon",), {}, "perhaps 'random'?"),
        (("random", "runs/b"), {}, "take nothing more"),
        (("random",), {"events": 0}, "--events is 0."),
        (("random",), {"standard_error": 1.5}, "--standard-error is 1.5."),
        (("random",), {"seed": -1}, "--seed is -1."),
        (("random",), {"points": 2}, "are too few"),
        (("random",), {"points": 1_000_000}, "does not fit into memory"),
        (("random",), {"part": "test"}, "has no test part"),
        (("random",), {"name": "../up"}, "cannot be the name"),
        (("random",), {"extent": (1, -1)}, "The extent"),
    ],
)
def test_what_cannot_be_asked(network: steepest.Run, arguments, options, said: str):
    with pytest.raises(InputError) as raised:
        network.landscape(*arguments, **options)
    assert said in str(raised.value)


def test_an_unfinished_run(tmp_path: Path, network: steepest.Run):
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(network.path / "recipe.toml", bare / "recipe.toml")
    shutil.copy(network.path / "log.txt", bare / "log.txt")
    with pytest.raises(RunFolderError, match=r"has no model/config\.json"):
        steepest.Run(bare).landscape()


def test_events_that_are_gone(network: steepest.Run, tmp_path: Path):
    copy = without_checksums(network, tmp_path)
    recipe = (copy / "recipe.toml").read_text().replace("events.parquet", "gone.parquet")
    (copy / "recipe.toml").write_text(recipe)
    with pytest.raises(EventsError, match="There is no file"):
        steepest.Run(copy).landscape("random", **FEW)


def test_parameters_that_overflow(network: steepest.Run, tmp_path: Path):
    """A diverged θ: all of the surface is not finite, and it is said so."""
    copy = without_checksums(network, tmp_path)
    file = copy / "model" / "model.safetensors"
    save_file({name: values * 1e30 for name, values in load_file(file).items()}, file)
    run = steepest.Run(copy)
    callback = StopsAfter(0)
    landscape = run.landscape("random", points=5, extent=0.9, events=300, callback=callback)
    assert "The curvature at the trained parameters is not finite." in callback.said
    said = numbers_of(landscape)
    assert said["surface"]["not_finite"] > 0
    assert said["end"]["sharpness"] is None
    landscape.write_figures()
    with pytest.raises(InputError, match="There are no Hessian directions"):
        run.landscape("hessian", points=5, events=300)
