"""preprocess.json and the form of ONNX that goes with it, as weaver writes them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steepest
from share.particle_models import model_of, quantities
from steepest.errors import InputError
from steepest.events.particles import cartesian, particle_groups
from steepest.groups import FEATURES, Groups, Jagged
from steepest.losses import Head
from steepest.scaling import GroupScaling
from steepest.share.weaver import preprocess_of
from steepest.trained import TrainedModel

pytest.importorskip("torch", reason="needs the extra [torch]")
NO_BOUND = {"replace_inf_value": 0, "lower_bound": -1e32, "upper_bound": 1e32, "pad": 0}


@pytest.fixture(scope="module")
def model() -> TrainedModel:
    particles = {"most": 30, "features": ["part_d0"]}
    return model_of("particle-transformer", "multiclass", particles=particles,
                    further=("part_d0",), events=("met",))  # fmt: skip


def test_what_the_file_says(model: TrainedModel):
    content: Any = preprocess_of(model)
    assert content["output_names"] == ["qcd", "w", "top"]
    assert content["input_names"] == ["pf_features", "pf_vectors", "features", "pf_mask"]
    assert content["pf_vectors"]["var_names"] == ["px", "py", "pz", "energy"]
    assert content["pf_vectors"]["var_infos"]["px"] == {"median": 0, "norm_factor": 1, **NO_BOUND}
    scaling: Any = model.scaling
    of_particles = scaling.groups["particles"]
    assert content["pf_features"]["var_names"] == list(of_particles.features)
    for index, name in enumerate(of_particles.features):
        info = content["pf_features"]["var_infos"][name]
        shift, width = of_particles.shift[index], of_particles.width[index]
        assert info == {"median": shift, "norm_factor": 1 / width, **NO_BOUND}
    assert {name: content[name]["var_length"] for name in content["input_names"]} == {
        "pf_features": 30, "pf_vectors": 30, "features": 1, "pf_mask": 30}  # fmt: skip


def test_it_is_what_weaver_writes(model: TrainedModel, tmp_path: Path):
    config = pytest.importorskip("weaver.utils.data.config", reason="needs weaver-core")
    content: Any = preprocess_of(model)
    inputs = {}
    for name in content["input_names"]:
        infos = content[name]["var_infos"]
        variables = [
            [v, infos[v]["median"], infos[v]["norm_factor"], -1e32, 1e32, 0]
            for v in content[name]["var_names"]
        ]
        inputs[name] = {"length": content[name]["var_length"], "vars": variables}
    labels = {"type": "simple", "value": list(model.classes)}
    config.DataConfig(print_info=False, inputs=inputs, labels=labels).export_json(tmp_path / "j")
    assert json.loads((tmp_path / "j").read_text()) == json.loads(json.dumps(content))


def test_it_lies_in_the_models_folder(model: TrainedModel, tmp_path: Path):
    steepest.save(model, tmp_path / "model")
    text = (tmp_path / "model" / "preprocess.json").read_text()
    assert json.loads(text) == preprocess_of(model)
    assert steepest.load(tmp_path / "model").names == model.names


def test_what_the_format_does_not_hold():
    assert preprocess_of(model_of("deep-sets", scaling="quantile")) is None
    assert preprocess_of(model_of("deep-sets", scaling="whiten")) is None
    bent = model_of("deep-sets", scaling="asinh")
    assert preprocess_of(bent) is not None  # a shift and a factor, without tails
    of_particles: Any = bent.scaling.groups["particles"]  # pyright: ignore
    with_tails = replace(of_particles, tails=np.ones_like(of_particles.tails))
    bent = replace(bent, scaling=GroupScaling({"particles": with_tails}))
    assert preprocess_of(bent) is None
    assert preprocess_of(model_of("deep-sets", scaling="robust")) is not None
    groups: dict[str, Any] = {"features": {"tracks": ("pt",)}, "particles": None}
    assert preprocess_of(TrainedModel(**{**vars(model_of("deep-sets")), **groups})) is None


def prepared(member: Any, names: tuple[str, ...], content: dict[str, Any]) -> np.ndarray:
    """What a reader of the file makes of a group, ``(events, features, particles)``."""
    rows = []
    for name in content["var_names"]:
        info = content["var_infos"][name]
        values = (member.values[:, names.index(name)] - info["median"]) * info["norm_factor"]
        wide = np.full((len(member), content["var_length"]), info["pad"], dtype=np.float32)
        wide[np.arange(wide.shape[1]) < member.lengths[:, None]] = values
        rows.append(wide)
    return np.stack(rows, axis=1)


@pytest.mark.parametrize(
    "kind", ["deep-sets", pytest.param("particle-transformer", marks=pytest.mark.slow)]
)
def test_the_graph_reads_what_the_file_says(kind: str, tmp_path: Path):
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="needs the extra [onnx]")
    from steepest.share.onnx import write_onnx
    from steepest.share.onnx.check import session_of

    model = model_of(kind, particles={"most": 20})
    done = write_onnx(model, tmp_path / "x.onnx", purpose="weaver")
    assert (done.beside, done.agreement.largest < 1e-5) == (("preprocess.json",), True)
    content = json.loads((tmp_path / "preprocess.json").read_text())
    session = session_of((tmp_path / "x.onnx").read_bytes())
    assert [one.name for one in session.get_inputs()] == content["input_names"]
    lengths = np.array([3, 0, 1, 20])
    momenta = Jagged.of_lengths(cartesian(quantities(lengths, 6)), lengths)
    groups = particle_groups(momenta).groups
    features: Any = model.features
    inputs = Groups({name: groups[name] for name in features})
    names = {"pf_features": "particles", "pf_vectors": "momenta"}
    given = {
        name: prepared(groups[names[name]], features[names[name]], content[name])
        for name in content["input_names"][:-1]
    }
    given["pf_mask"] = (np.arange(20) < lengths[:, None])[:, None].astype(np.float32)
    (found,) = session.run(["softmax"], given)
    np.testing.assert_allclose(found[:, 1], model.predict(inputs), atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-6)


def test_what_cannot_be_written_for_weaver(tmp_path: Path):
    pytest.importorskip("onnx", reason="needs the extra [onnx]")
    from steepest.share.onnx import write_onnx

    for model in (
        model_of("deep-sets", scaling="quantile"),
        model_of("deep-sets", heads=(Head("m", "m"),)),
    ):
        with pytest.raises(InputError, match="A Deep Sets cannot be written for weaver"):
            write_onnx(model, tmp_path / "x.onnx", purpose="weaver")
    assert not list(tmp_path.iterdir())
    assert FEATURES not in preprocess_of(model_of("deep-sets"))  # pyright: ignore
