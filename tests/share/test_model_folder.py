"""A model in a folder of its own: written, read again, and refused where it is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import steepest
from share.particle_models import groups_of, quantities
from steepest import Classifier, Regressor, load, save
from steepest.errors import InputError, RunFolderError
from steepest.folder import load_model
from steepest.folder.manifest import entry_of, sealed

VERSION_2, VERSION_3, VERSION_4 = (
    Path(__file__).parent / f"version-{number}-folder" for number in (2, 3, 4)
)
"""Each as a release wrote it: later ones must read it. Version 1 is in tests/folder."""
EVENTS = [[560.0, 80.0, 0.7], [610.0, 170.0, 0.5], [640.0, 120.0, 0.6]]
SCORES = json.loads((VERSION_3 / "scores.json").read_text())


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    return save(trained, tmp_path / "model")


def test_it_holds_all_that_is_known_of_the_model(folder: Path, trained: Path):
    assert sorted(file.name for file in folder.iterdir()) == [
        "config.json",
        "manifest.json",
        "model.safetensors",
        "scaling.safetensors",
        "training.json",
    ]
    config = json.loads((folder / "config.json").read_text())
    assert config["library_name"] == "steepest"
    assert (config["features"], config["classes"], config["loss"]) == (
        ["pt", "mass", "ratio"],
        ["0", "1"],
        "binary-cross-entropy",
    )
    told = json.loads((folder / "training.json").read_text())
    run = steepest.Run(trained)
    assert run.metrics is not None
    assert told["metrics"]["merits"] == run.metrics["merits"]
    assert told["recipe"]["descent"]["epochs"] == 4
    assert told["environment"]["steepest"] == steepest.__version__
    assert told["environment"]["packages"]["numpy"] == np.__version__
    assert told["environment"]["events"]["files"][0]["sha256"]


def test_it_tells_nothing_of_the_machine(folder: Path, trained: Path):
    told = (folder / "training.json").read_text()
    assert json.loads(told)["recipe"]["events"]["path"] == "events.parquet"
    assert str(trained.parent) not in told
    assert "processor" not in told
    assert "command" not in told


def test_scores_are_those_of_the_run(folder: Path, trained: Path, tmp_path: Path):
    expected = steepest.Run(trained).predict(EVENTS)
    assert load(folder).predict(EVENTS).tobytes() == expected.tobytes()
    moved = Path(shutil.move(folder, tmp_path / "elsewhere"))
    assert load(str(moved)).predict(EVENTS).tobytes() == expected.tobytes()
    again = save(load(moved), tmp_path / "again")
    assert load(again).predict(EVENTS).tobytes() == expected.tobytes()


def test_the_selection_of_the_training_goes_with_it(recipe_table: dict, tmp_path: Path):
    recipe_table["events"]["select"] = "pt > 560"
    run = steepest.train(recipe_table, tmp_path / "run", progress=False)
    assert load_model(save(run, tmp_path / "model")).select == "pt > 560"


def test_a_folder_of_version_3_is_read():
    model = load(VERSION_3)
    assert model.names == ("pt", "mass", "tau32")
    assert model.unit is None
    assert model.units["mass"] == {"title": "m", "unit": "GeV"}
    np.testing.assert_allclose(model.predict(EVENTS), SCORES, rtol=1e-12)


def test_a_folder_of_version_2_is_read():
    model = load(VERSION_2)
    assert (model.names, model.task) == (("pt", "mass", "tau32"), "regression")
    expected = json.loads((VERSION_2 / "scores.json").read_text())
    np.testing.assert_allclose(model.predict(EVENTS), expected, rtol=1e-12)


def test_a_folder_of_version_4_is_read():
    pytest.importorskip("torch", reason="needs the extra [torch]")
    told = json.loads((VERSION_4 / "scores.json").read_text())
    model, lengths = load(VERSION_4), np.array([3, 0, 5])
    inputs = groups_of(model, quantities(lengths, 2), lengths)
    np.testing.assert_allclose(model.predict(inputs), told["scores"], rtol=1e-6)
    np.testing.assert_allclose(model.predict_heads(inputs)["mass"], told["mass"], rtol=1e-6)


# --- estimators ----------------------------------------------------------------------------------

RANDOM = np.random.default_rng(1)
X = RANDOM.normal(size=(200, 3))
LABELS = {
    "two": (X[:, 0] > 0).astype(int),
    "three": np.digitize(X[:, 1], [-0.5, 0.5]) * 10,
    "words": np.where(X[:, 0] + X[:, 1] > 0, "top", "qcd"),
    "booleans": X[:, 2] > 0,
}


@pytest.mark.parametrize("labels", LABELS)
def test_a_classifier_is_as_before(labels: str, tmp_path: Path):
    y = LABELS[labels]
    factors = dict.fromkeys(np.unique(y).tolist(), 2.0)
    model = Classifier(hidden=(4,), epochs=3, class_weight=factors).fit(X, y)
    model.save_pretrained(tmp_path / "model")
    again = Classifier.from_pretrained(tmp_path / "model")
    assert again.predict(X).tolist() == model.predict(X).tolist()
    assert again.predict(X).dtype == model.predict(X).dtype
    assert again.predict_proba(X).tobytes() == model.predict_proba(X).tobytes()
    assert again.get_params() == model.get_params()
    assert (again.n_iter_, again.stop_reason_) == (model.n_iter_, model.stop_reason_)


def test_a_regressor_is_as_before(tmp_path: Path):
    model = Regressor().fit(X, X @ [1.0, 2.0, 3.0] + 4.0)
    assert save(model, tmp_path / "model") == tmp_path / "model"
    again = Regressor.from_pretrained(str(tmp_path / "model"))
    assert again.predict(X).tobytes() == model.predict(X).tobytes()
    assert again.coef_.round(6).tolist() == [1.0, 2.0, 3.0]
    with pytest.raises(RunFolderError, match="a model of classification"):
        Classifier.from_pretrained(tmp_path / "model")


def test_a_run_becomes_an_estimator(trained: Path):
    model = Classifier.from_pretrained(trained)
    events = pd.DataFrame(EVENTS, columns=["pt", "mass", "ratio"])
    assert model.predict(events).dtype.kind == "i"
    expected = steepest.Run(trained).predict(EVENTS)
    assert model.predict_proba(events)[:, 1].tobytes() == expected.tobytes()
    assert model.feature_names_in_.tolist() == ["pt", "mass", "ratio"]


# --- what is refused -----------------------------------------------------------------------------


def resealed(folder: Path) -> None:
    """Write a manifest that agrees with what lies there."""
    files = {f.name: entry_of(f.read_bytes()) for f in folder.iterdir() if f.suffix != ".md"}
    files.pop("manifest.json", None)
    table = sealed({"format": "steepest-manifest", "version": 1, "files": files})
    (folder / "manifest.json").write_text(json.dumps(table))


def header(tensors: dict) -> bytes:
    """A file of safetensors with this header and 32 bytes of numbers."""
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text + bytes(32)


def tensor(shape: list[int], end: int = 32) -> dict:
    return {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}


def edited(name: str, change: Callable[[dict], object]) -> Callable[[Path], object]:
    """Change a JSON file, and the manifest with it: as its author might have written it."""

    def edit(folder: Path) -> None:
        table = json.loads((folder / name).read_text())
        change(table)
        (folder / name).write_text(json.dumps(table))
        resealed(folder)

    return edit


def written(name: str, data: bytes, seal: bool = True) -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(data)
        if seal:
            resealed(folder)

    return write


def flipped(name: str) -> Callable[[Path], object]:
    def flip(folder: Path) -> None:
        data = bytearray((folder / name).read_bytes())
        data[-1] ^= 1
        (folder / name).write_bytes(bytes(data))

    return flip


HUGE = 2**60
WHAT = "layers.0.weights"
DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    **{
        f"a bit of {name}": (flipped(name), f"{name} of the model .* is damaged")
        for name in ("config.json", "model.safetensors", "scaling.safetensors", "training.json")
    },
    "manifest": (written("manifest.json", b"{}", seal=False), "manifest.json of the model"),
    "no scaling": (lambda f: (f / "scaling.safetensors").unlink(), "has no scaling.safetensors"),
    "no json": (written("config.json", b"<html>"), "config.json of the model .* is damaged"),
    "deep json": (written("config.json", b"[" * 100_000), "lists in lists without an end"),
    "no features": (edited("config.json", lambda c: c.update(features=[1, 2, 3])), "is damaged"),
    "no units": (edited("config.json", lambda c: c.update(units=["GeV"])), "is damaged"),
    "no particles": (edited("config.json", lambda c: c.update(particles={"x": 1})), "is damaged"),
    "no momenta": (edited("config.json", lambda c: c.update(momenta={"px": "a"})), "is damaged"),
    "another library": (
        written("config.json", b'{"model_type": "bert"}'),
        "holds no model of steepest",
    ),
    "later": (edited("config.json", lambda c: c.update(version=99)), "from 1 to 4 of its format"),
    "later training": (
        edited("training.json", lambda t: t.update(version=2)),
        "a later release of steepest",
    ),
    "no training": (written("training.json", b"[]"), "training.json of the model .* is damaged"),
    "unknown kind": (
        edited("config.json", lambda c: c["model"].update(name="quantum-net")),
        "of the kind 'quantum-net', which is not known here",
    ),
    "huge layer": (
        edited("config.json", lambda c: c["model"].update(hidden=[HUGE])),
        "parameters of other shapes",
    ),
    "negative layer": (
        edited("config.json", lambda c: c["model"].update(hidden=[-8])),
        "is damaged",
    ),
    "huge tensor": (
        written("model.safetensors", header({WHAT: tensor([HUGE, HUGE])})),
        "model.safetensors of the model .* is damaged",
    ),
    "negative tensor": (
        written("model.safetensors", header({WHAT: tensor([-4, -2])})),
        "model.safetensors of the model .* is damaged",
    ),
    "beyond the end": (
        written("model.safetensors", header({WHAT: tensor([HUGE // 4], HUGE)})),
        "model.safetensors of the model .* is damaged",
    ),
    "huge header": (
        written("model.safetensors", (2**62).to_bytes(8, "little") + b"{}"),
        "model.safetensors of the model .* is damaged",
    ),
    "name of a path": (
        written("model.safetensors", header({"../../etc/passwd": tensor([8])})),
        "is damaged",
    ),
    "name of a path in the scaling": (
        written("scaling.safetensors", header({"../shift": tensor([8])})),
        "expected: the array 'shift'",
    ),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_damage_is_an_error_of_ours(how: str, folder: Path):
    damage, message = DAMAGE[how]
    damage(folder)
    with pytest.raises(RunFolderError, match=message):
        load(folder)


def test_a_class_of_its_author_is_no_function_that_is_called(folder: Path):
    table = {"network": "module", "inputs": {"features": ["pt"]}, "outputs": 1}
    options = {"options": {"module": "subprocess:Popen"}}
    edited("config.json", lambda c: c.update(model={"name": "module", **table, **options}))(folder)
    with pytest.raises(InputError, match=r"no class of torch\.nn\.Module"):
        load(folder)


def test_what_is_not_whole_is_not_saved(trained_copy: Path, tmp_path: Path):
    with pytest.raises(RunFolderError, match="There is something at"):
        save(trained_copy, trained_copy)
    (trained_copy / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match="is not complete"):
        save(trained_copy, tmp_path / "model")
    with pytest.raises(RunFolderError, match="There is no run in"):
        save(tmp_path / "nowhere", tmp_path / "model")
    with pytest.raises(InputError, match="found:    a int"):
        save(3, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_an_estimator_that_cannot_be_restored(tmp_path: Path):
    model = Regressor(seed=3).fit(X, X[:, 0])
    model.save_pretrained(tmp_path / "model")
    assert Regressor.from_pretrained(tmp_path / "model").seed == 3
    edited("estimator.json", lambda e: e.update(version=2))(tmp_path / "model")
    with pytest.raises(RunFolderError, match="found:    format 'steepest-estimator', version 2"):
        Regressor.from_pretrained(tmp_path / "model")
    edited("estimator.json", lambda e: e.update(version=1, estimator="Classifier"))(
        tmp_path / "model"
    )
    with pytest.raises(RunFolderError, match="found:    a Classifier"):
        Regressor.from_pretrained(tmp_path / "model")
    model.callbacks, model.optimizer = [print], {"name": object()}
    with pytest.raises(InputError, match="cannot be saved"):
        model.save_pretrained(tmp_path / "other")
    with pytest.raises(InputError, match="is no name of a model on the Hub"):
        Regressor.from_pretrained("../elsewhere")
