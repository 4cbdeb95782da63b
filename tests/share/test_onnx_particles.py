"""Networks of PyTorch as ONNX: the exported graph says what the model says, or is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from share.particle_models import SMALL, groups_of, model_of, quantities
from steepest.errors import InputError
from steepest.events.particles import particle_groups
from steepest.groups import FEATURES, Groups, Jagged
from steepest.losses import Head, MeanSquaredError
from steepest.share.onnx import network, write_onnx
from steepest.trained import TrainedModel

torch = pytest.importorskip("torch", reason="needs the extra [torch]")
onnx = pytest.importorskip("onnx", reason="needs the extra [onnx]")
pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")
pytest.importorskip("onnxscript", reason="needs the extra [onnx]")

from steepest.share.onnx.check import session_of  # noqa: E402

LENGTHS = np.array([3, 0, 1, 12, 7, 2])
NAMED = {name: f"part_{name}" for name in ("pt", "eta", "phi", "mass")}


def padded(values: np.ndarray, lengths: np.ndarray = LENGTHS, more: int = 0) -> np.ndarray:
    wide = np.zeros((len(lengths), int(lengths.max()) + more))
    wide[np.arange(wide.shape[1]) < lengths[:, None]] = values
    return wide


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, Path, Any]:
    """Three classes, heads, a further feature, numbers of events, and few particles read."""
    model = model_of(
        "deep-sets",
        "multiclass",
        particles={**NAMED, "pt": "1000 * part_pt_in_TeV", "most": 6,
                   "features": [{"name": "d", "value": "tanh(part_d0 / 0.1)"}]},
        further=("d",),
        events=("met", "njets"),
        heads=(Head("mass", "jet_mass", 0.1, MeanSquaredError(80.0, 20.0)), Head("r", "r")),
        scaling="asinh",
    )  # fmt: skip
    path = tmp_path_factory.mktemp("rich") / "x.onnx"
    return model, path, write_onnx(model, path)


def columns_of_rich(lengths: np.ndarray = LENGTHS, seed: int = 5) -> tuple[dict, dict]:
    flat = quantities(lengths, seed)
    random = np.random.default_rng(seed)
    events = {"met": random.normal(5, 2, len(lengths)), "njets": random.normal(5, 2, len(lengths))}
    lists = {NAMED[name]: flat[name] for name in ("eta", "phi", "mass")}
    return {**lists, "part_pt_in_TeV": flat["pt"] / 1000, "part_d0": flat["d0"]}, events


def test_all_that_a_network_may_have_is_inside(rich: tuple):
    model, path, done = rich
    assert done.agreement.largest < 1e-5
    assert done.exporter == "torch.export"
    assert (done.output, done.heads) == ("scores", ("prediction_mass", "prediction_r"))
    lists, events = columns_of_rich()
    flat = quantities(LENGTHS, 5)
    momenta = Jagged.of_lengths(np.column_stack([flat[n] for n in ("energy", "px", "py", "pz")]),
                                LENGTHS)  # fmt: skip
    made = particle_groups(momenta, 6, further=np.tanh(flat["d0"] / 0.1)[:, None])
    assert made.cut == 2
    inputs = Groups({"particles": made.groups["particles"],
                     FEATURES: np.column_stack(list(events.values()))})  # fmt: skip
    expected, heads = model.predict(inputs), model.predict_heads(inputs)
    session = session_of(path.read_bytes())
    for more in (0, 4):
        given = {name: padded(values, more=more) for name, values in lists.items()} | events
        scores, mass, r = session.run(None, given)
        np.testing.assert_allclose(scores, expected, atol=1e-7)
        np.testing.assert_allclose(mass, heads["mass"], rtol=1e-7)
        np.testing.assert_allclose(r, heads["r"], rtol=1e-6, atol=1e-7)
    for event, length in enumerate(LENGTHS):
        alone = {n: padded(v)[[event], : max(length, 1)] for n, v in lists.items()}
        alone |= {name: values[[event]] for name, values in events.items()}
        np.testing.assert_allclose(session.run(None, alone)[0], expected[[event]], atol=1e-7)


def test_a_thousand_events_and_padding_between_particles(rich: tuple):
    _, path, _ = rich
    lengths = np.random.default_rng(3).integers(0, 15, 1000)
    lists, events = columns_of_rich(lengths, 8)
    session = session_of(path.read_bytes())
    given = {name: padded(values, lengths) for name, values in lists.items()} | events
    first = session.run(None, given)[0]
    assert first.shape == (1000, 3)
    np.testing.assert_allclose(first.sum(axis=1), 1.0)
    reversed_ = {n: v[:, ::-1].copy() if v.ndim == 2 else v for n, v in given.items()}
    np.testing.assert_allclose(session.run(None, reversed_)[0], first, atol=1e-7)


def test_columns_that_the_recipe_does_not_name(tmp_path: Path):
    read = {name: f"part_{name}" for name in ("pt", "eta", "phi", "energy")}
    model = replace(model_of("deep-sets"), momenta=read)
    done = write_onnx(model, tmp_path / "x.onnx")
    assert done.inputs.keys() == set(read.values())
    lists = {f"part_{name}": values for name, values in quantities(LENGTHS, 5).items()}
    given = {name: padded(lists[name]) for name in done.inputs}
    (found,) = session_of((tmp_path / "x.onnx").read_bytes()).run(None, given)
    expected = model.predict(groups_of(model, quantities(LENGTHS, 5), LENGTHS))
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_what_is_no_momentum_has_no_score(rich: tuple):
    _, path, _ = rich
    lists, events = columns_of_rich()
    given = {name: padded(values) for name, values in lists.items()} | events
    for name, event, wrong in (("part_mass", 0, np.inf), ("part_eta", 2, np.nan),
                               ("part_d0", 3, np.nan)):  # fmt: skip
        given[name][event, 0] = wrong
    for found in session_of(path.read_bytes()).run(None, given):
        bad = np.isnan(found.reshape(len(LENGTHS), -1)).any(axis=1)
        assert bad.tolist() == [True, False, True, True, False, False]


def test_the_metadata_say_what_goes_in(rich: tuple):
    _, path, done = rich
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(told["particles"])["most"] == 6
    assert json.loads(told["features"])[FEATURES] == ["met", "njets"]
    shapes = {i.name: [d.dim_param for d in i.type.tensor_type.shape.dim]
              for i in onnx.load(path).graph.input}  # fmt: skip
    assert shapes["part_eta"] == ["events", "particles"]
    assert shapes["met"] == ["events"]
    assert shapes.keys() == done.inputs.keys()
    assert (done.inputs["part_eta"], done.inputs["met"]) == ("list of numbers", "number")
    assert "exported by torch.export" in " ".join(done.sentences())


@pytest.mark.slow
@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize("kind", SMALL)
def test_every_network(kind: str, float32: bool, tmp_path: Path):
    model = model_of(kind, "regression" if kind == "lorentz-net" else "binary")
    done = write_onnx(model, tmp_path / "x.onnx", float32=float32)
    assert done.agreement.largest <= 1e-5
    assert done.inputs.keys() == {"part_px", "part_py", "part_pz", "part_energy"}
    flat = quantities(LENGTHS, 9)
    columns = {f"part_{name}": flat[name] for name in ("px", "py", "pz", "energy")}
    if float32:
        columns = {name: values.astype(np.float32) for name, values in columns.items()}
        flat = {name.removeprefix("part_"): v.astype(float) for name, v in columns.items()}
    expected = model.predict(groups_of(model, flat, LENGTHS))
    given = {name: padded(values) for name, values in columns.items()}
    if float32:
        given = {name: values.astype(np.float32) for name, values in given.items()}
    (found,) = session_of((tmp_path / "x.onnx").read_bytes()).run(None, given)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


# --- modules of one's own ------------------------------------------------------------------------


class OfEvents(torch.nn.Module):
    def __init__(self, inputs, outputs, width=4):
        super().__init__()
        layers = [torch.nn.Linear(len(inputs["features"]), width), torch.nn.GELU()]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(width, outputs))

    def forward(self, cloud):
        return self.layers(cloud["features"])


class Recorded(torch.nn.Module):
    """What `torch.export` does not take, and TorchScript records."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.out = torch.nn.Linear(len(inputs["features"]), outputs)

    def forward(self, cloud):
        x = cloud["features"]
        if float(x.sum()) > -1e30:  # of ordinary events always
            x = torch.tanh(x)
        return self.out(x)


class Deciding(torch.nn.Module):
    """What no exporter can follow: the logits depend on a branch."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.out = torch.nn.Linear(len(inputs["features"]), outputs)

    def forward(self, cloud):
        x = cloud["features"]
        return self.out(x) if float(x.abs().max()) < 2.0 else 3.0 + self.out(-x)


class OfPairs(torch.nn.Module):
    """Sums over pairs of particles, written without `len`."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.out = torch.nn.Linear(4, outputs)

    def forward(self, cloud):
        p = cloud["momenta"]
        i, j = cloud.pairs(ordered=True)
        pairs = torch.log1p((p[i] - p[j]).abs())
        of_particle = torch.zeros_like(p).index_add(0, i, pairs)
        return self.out(cloud.mean(of_particle) / (1 + cloud.lengths[:, None]))


def own(name: str, **options: Any) -> dict[str, Any]:
    return {"module": f"{__name__}:{name}", **options}


def of_features(name: str, **options: Any) -> TrainedModel:
    model = model_of("module", options=own(name, **options), groups=(FEATURES,), events=("a", "b"))
    features = model.features[FEATURES]  # pyright: ignore
    return TrainedModel(**{**vars(model), "features": features, "particles": None,
                           "scaling": model.scaling.groups[FEATURES]})  # fmt: skip  # pyright: ignore


def test_a_module_of_ones_own_on_features(tmp_path: Path):
    model = of_features("OfEvents", width=5)
    done = write_onnx(model, tmp_path / "x.onnx")
    assert (done.exporter, done.agreement.largest < 1e-12) == ("torch.export", True)
    events = np.random.default_rng(0).normal(5, 2, (20, 2))
    given = {"a": events[:, 0], "b": events[:, 1]}
    (found,) = session_of((tmp_path / "x.onnx").read_bytes()).run(None, given)
    np.testing.assert_allclose(found, model.predict(events), rtol=1e-12)


@pytest.mark.slow
def test_a_module_of_ones_own_on_particles(tmp_path: Path):
    model = model_of("module", options=own("OfPairs"), groups=("momenta",))
    done = write_onnx(model, tmp_path / "x.onnx")
    assert (done.exporter, done.agreement.largest < 1e-5) == ("torch.export", True)


def test_the_other_exporter_is_tried(tmp_path: Path):
    done = write_onnx(of_features("Recorded"), tmp_path / "x.onnx")
    assert done.exporter == "TorchScript"
    assert done.to_json()["exporter"] == "TorchScript"


def test_what_no_exporter_follows_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture):
    with pytest.raises(InputError, match=r"cannot export the Deciding by torch\.export"):
        write_onnx(of_features("Deciding"), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr().out == ""


# --- what is refused -----------------------------------------------------------------------------


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(network.DOUBLE, "Erf", lambda g, x: g.node("Tanh", x))
    with pytest.raises(InputError, match=r"x\.onnx was not written: the graph differs"):
        write_onnx(of_features("OfEvents"), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


REFUSED = {
    "a selection of particles": (
        {"particles": {"pt": "part_pt[part_pt > 1]", "eta": "eta", "phi": "phi", "mass": "m"}},
        r"events\.particles\.pt cannot be written as ONNX: it has an element of a list",
    ),
    "a sum over a list": (
        {"particles": {"features": [{"name": "d", "value": "d0 / sum(d0)"}]}, "further": ("d",)},
        "The particles' feature 'd' cannot be written as ONNX: it has the function sum",
    ),
    "a column of both": (
        {"particles": {"features": ["met"]}, "further": ("met",), "events": ("met",)},
        "met cannot be both a number of the event and a list",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_has_no_form_is_refused_by_name(what: str, tmp_path: Path):
    options, message = REFUSED[what]
    with pytest.raises(InputError, match=message):
        write_onnx(model_of("deep-sets", **options), tmp_path / "x.onnx")  # pyright: ignore
    assert not list(tmp_path.iterdir())


def test_groups_that_files_do_not_have(tmp_path: Path):
    model = model_of("deep-sets")
    for changed in ({"particles": None}, {"features": {"tracks": ("pt",)}}):
        with pytest.raises(InputError, match="reads groups that are not in files"):
            write_onnx(TrainedModel(**{**vars(model), **changed}), tmp_path / "x.onnx")


def test_networks_are_not_for_hls4ml(tmp_path: Path):
    with pytest.raises(InputError, match="A Deep Sets cannot be written as ONNX for hls4ml"):
        write_onnx(model_of("deep-sets"), tmp_path / "x.onnx", purpose="hls4ml")
