"""ONNX: what onnxruntime says of a file is what the model says of the same columns."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtr

from samples import make_events
from steepest import Classifier, Regressor
from steepest.encoding import CategoryColumn, Encoding, NumberColumn
from steepest.errors import InputError
from steepest.events import parse
from steepest.events.expressions.functions import FUNCTIONS as EVERY
from steepest.events.expressions.functions import delta_phi, delta_r
from steepest.losses import MeanSquaredError, loss_named
from steepest.models import Dense
from steepest.models.through_origin import ThroughOrigin
from steepest.scaling import SCALINGS, AsinhScaling, fit_scaling
from steepest.trained import TrainedModel

pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")
import onnx

from steepest.share.onnx import functions, write_onnx
from steepest.share.onnx.check import session_of
from steepest.share.onnx.expressions import CONDITIONS, FUNCTIONS, Translation, kinds_of
from steepest.share.onnx.graph import EVENTS, NUMBER, Graph

RANDOM = np.random.default_rng(2)
SIZES = np.concatenate(
    [10.0 ** RANDOM.uniform(-18, 18, 200), RANDOM.uniform(0, 10, 300), [0.0, 1.0]]
)
REAL = np.concatenate([SIZES, -SIZES, [1e300, -1e300, 708.0, -708.0, 0.66, 2.414213562373095]])
UNIT = np.concatenate([RANDOM.uniform(-1, 1, 400), [0.0, 1.0, -1.0, 1e-17, 1 - 1e-15, -1 + 1e-15]])
MODERATE = np.concatenate([RANDOM.uniform(-700, 700, 300), UNIT])
ANGLES = np.concatenate([RANDOM.uniform(-10, 10, 400), [np.pi, -np.pi, 0.0]])


def evaluated(build: Any, *columns: np.ndarray) -> np.ndarray:
    """What onnxruntime says of a function of columns."""
    graph = Graph()
    names = [graph.column(f"x{i}", NUMBER) for i in range(len(columns))]
    result = build(graph, *names)
    model = graph.model({"y": (result, np.float64, [EVENTS])}, {})
    (found,) = session_of(model.SerializeToString()).run(
        None, dict(zip(names, columns, strict=True))
    )
    return found


SINGLE = {
    "log1p": (np.log1p, np.concatenate([SIZES, UNIT[UNIT > -1]])),
    "sinh": (np.sinh, MODERATE),
    "cosh": (np.cosh, MODERATE),
    "tan": (np.tan, ANGLES),
    "arctan": (np.arctan, REAL),
    "arcsin": (np.arcsin, UNIT),
    "arccos": (np.arccos, UNIT),
    "arcsinh": (np.arcsinh, REAL),
    "arccosh": (np.arccosh, 1 + SIZES),
    "arctanh": (np.arctanh, UNIT[np.abs(UNIT) < 1]),
    "log10": (np.log10, SIZES[SIZES > 0]),
    "normal_cdf": (ndtr, np.concatenate([RANDOM.uniform(-38, 38, 500), UNIT, [0.0, 60, -60]])),
}


@pytest.mark.parametrize("name", SINGLE)
def test_functions_that_are_built_here(name: str):
    function, x = SINGLE[name]
    expected = function(x)
    found = evaluated(getattr(functions, name), x)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)


PAIRED = {
    "arctan2": (np.arctan2, [np.array([0.0, -0.0, 1.0, -1.0, 1e-300, 3.0])] * 2),
    "hypot": (np.hypot, [REAL[:300], REAL[300:600]]),
    "modulo": (np.mod, [REAL[:200], RANDOM.permutation(REAL[REAL != 0])[:200]]),
    "delta_phi": (delta_phi, [ANGLES, ANGLES[::-1]]),
}


@pytest.mark.parametrize("name", PAIRED)
def test_functions_of_two(name: str):
    function, (a, b) = PAIRED[name]
    if name == "arctan2":
        a, b = (grid.ravel() for grid in np.meshgrid(a, b))
    np.testing.assert_allclose(
        evaluated(getattr(functions, name), a, b), function(a, b), rtol=1e-13, atol=1e-15
    )


def test_the_distance_of_two_directions():
    columns = [RANDOM.uniform(-3, 3, 100) for _ in range(4)]
    np.testing.assert_allclose(
        evaluated(functions.delta_r, *columns), delta_r(*columns), rtol=1e-13
    )


def test_every_function_of_the_language_has_a_form():
    assert EVERY.keys() == {*FUNCTIONS, *CONDITIONS, "where", "bit"}


COLUMNS = {
    "pt": RANDOM.exponential(50, 500),
    "eta": RANDOM.normal(0, 2, 500),
    "phi": RANDOM.uniform(-np.pi, np.pi, 500),
    "tight": RANDOM.random(500) < 0.5,
    "flags": RANDOM.integers(0, 2**40, 500),
    "channel": RANDOM.choice(["e", "mu", "tau"], 500),
}
COLUMNS["pt"][:3] = [0.0, np.nan, 1e200]
EXPRESSIONS = [
    *(f"{name}(abs(eta) + 1)" for name in sorted(EVERY) if name in FUNCTIONS and name not in (
        "pow", "hypot", "atan2", "delta_phi", "delta_r", "deltaPhi", "deltaR", "min", "max",
        "arcsin", "arccos", "arctanh")),
    "arcsin(eta / 20) + arccos(eta / 20) + arctanh(eta / 20)",
    "pow(pt, 0.5) + pt ** 2", "hypot(eta, phi)", "atan2(eta, phi)", "delta_phi(phi, eta)",
    "delta_r(eta, phi, 1, 3)", "deltaR(eta, phi, 1, 3) + deltaPhi(phi, eta)",
    "min(eta, phi, 0)", "max(eta, phi, pt)", "-eta + +phi",
    "eta - phi - 1 - eta * 2 / (phi + 10)", "phi % 1.5", "-phi % 1", "3 / 10",
    "where(pt > 40 AND tight, pt, eta)", "where(NOT tight OR eta < 0, 1, 0)",
    "where(0 < eta < 1, 1, 0)", "where(isfinite(pt) AND pt != 0, 1 / pt, -1)",
    "where(isnan(pt), 1, 2)", "where(bit(flags, 3), 1, 0)", "where(flags & 12 == 4, 1, 0)",
    "where((flags | 1) == flags, 1, 0)", "flags / 2", 'where(channel == "e", 1, 0)',
    'where(channel != "e", pt, eta)', 'where(channel in ["e", "tau"], 1, 0)',
    "where(eta not in [1, 2], eta, 0)", "where(tight == (eta > 0), 1, 0)",
    "where(tight != true, 1, 0)", "where(eta >= 1, where(phi <= 0, 1, 2), 3)",
    "where(tight, 1, 0) + 1",
]  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions_are_what_they_are_in_a_file(text: str):
    expression = parse(text)
    with np.errstate(all="ignore"):
        expected = expression.evaluate(pa.record_batch(COLUMNS)).astype(np.float64)
    expected = np.broadcast_to(expected, 500)
    kinds = kinds_of({"x": expression}, {})
    graph = Graph()
    result = Translation(graph, kinds).number(expression)
    model = graph.model({"y": (result, np.float64, ["events"])}, {})
    session = session_of(model.SerializeToString())
    given = {one.name: COLUMNS[one.name] for one in session.get_inputs()}
    types = {one.name: one.type for one in session.get_inputs()}
    given = {n: v.astype(object) if v.dtype.kind == "U" else v for n, v in given.items()}
    given = {n: v.astype(float) if types[n] == "tensor(double)" else v for n, v in given.items()}
    (found,) = session.run(None, given)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("sum(part_pt)", "the function sum"),
        ("part_pt[0]", "an element of a list"),
        ("max(part_pt)", "max of a list"),
        ("p4(pt, eta, phi, m).mass", "mass of a four-vector"),
        ("deltaR(p4(a), p4(b))", "the function p4"),
        ("count(part_pt[part_pt > 5])", "the function count"),
        ('where(channel == "e", "a", "b") == "a"', "a text that is computed"),
    ],
)
def test_what_has_no_form_is_refused_by_name(text: str, what: str, tmp_path: Path):
    model = model_of(["pt"])
    derived = TrainedModel(
        **{
            **vars(model),
            "features": (
                {
                    "name": "pt",
                    "value": f"0 + where({text} > 0, 1, 0)"
                    if "== " not in text
                    else f"where({text}, 1, 0)",
                },
            ),
        }
    )
    with pytest.raises(InputError, match=f"cannot be written as ONNX: it has {what}"):
        write_onnx(derived, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


# --- whole models --------------------------------------------------------------------------------

TASKS = {"binary": "binary-cross-entropy", "multiclass": "cross-entropy",
         "regression": "mean-squared-error"}  # fmt: skip
EVENTS_READ = make_events(600)
MATRIX = np.column_stack([EVENTS_READ["pt"], EVENTS_READ["mass"], EVENTS_READ["ratio"] ** 5])


def model_of(
    features: list[Any],
    scaling: str = "standard",
    hidden: tuple[int, ...] = (8, 4),
    activation: str = "relu",
    task: str = "binary",
    encoding: Encoding | None = None,
    matrix: np.ndarray | None = None,
) -> TrainedModel:
    """A model with random parameters on a fitted scaling."""
    names = [f if isinstance(f, str) else f["name"] for f in features]
    inputs = list(encoding.names) if encoding else names
    X = MATRIX[:, : len(inputs)] if matrix is None else matrix
    outputs = 3 if task == "multiclass" else 1
    network: Any = Dense(len(inputs), hidden, outputs, activation)
    theta = (0.3 * np.random.default_rng(3).normal(size=network.size)).astype("float32")
    return TrainedModel(
        scaling=fit_scaling(scaling, [(X, None)], inputs),
        model=network,
        loss=loss_named(TASKS[task]),
        theta=theta,
        classes={"binary": ("0", "1"), "multiclass": ("a", "b", "c"), "regression": ()}[task],
        label="y",
        features=tuple(features),
        encoding=encoding,
    )


@pytest.mark.parametrize("float32", [False, True])
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("scaling", SCALINGS)
def test_scalings_and_activations(scaling: str, activation: str, float32: bool, tmp_path: Path):
    task = {"relu": "binary", "tanh": "multiclass"}.get(activation, "binary")
    model = model_of(["pt", "mass", "ratio"], scaling, activation=activation, task=task)
    done = write_onnx(model, tmp_path / "x.onnx", float32=float32)
    assert done.agreement.largest <= (1e-6 if float32 else 1e-12)
    assert done.agreement.events > 3000


def test_relevance(tmp_path: Path):
    model = model_of(["pt", "mass", "ratio"], "asinh")
    assert isinstance(model.scaling, AsinhScaling)
    model = replace(model, scaling=model.scaling.with_relevance([3.0, 0.2, 1.0]))
    assert write_onnx(model, tmp_path / "x.onnx").agreement.largest <= 1e-12


@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.parametrize("task", TASKS)
def test_tasks(task: str, hidden: tuple[int, ...], tmp_path: Path):
    model = model_of(["pt", "mass", "ratio"], hidden=hidden, task=task)
    done = write_onnx(model, tmp_path / "x.onnx")
    session = session_of((tmp_path / "x.onnx").read_bytes())
    columns = {name: MATRIX[:, i] for i, name in enumerate(model.names)}
    for events in (1, 600):
        given = {name: values[:events] for name, values in columns.items()}
        (found,) = session.run(None, given)
        np.testing.assert_allclose(found, model.predict(MATRIX[:events]), rtol=1e-12, atol=1e-13)
    assert done.output == {"binary": "score", "multiclass": "scores"}.get(task, "prediction")
    told = {entry.key: entry.value for entry in onnx.load(tmp_path / "x.onnx").metadata_props}
    assert json.loads(told["features"]) == ["pt", "mass", "ratio"]
    assert told["task"] == task


@pytest.mark.parametrize("purpose", [None, "hls4ml"])
@pytest.mark.parametrize("task", TASKS)
def test_linear_models_through_the_origin(task: str, purpose: str | None, tmp_path: Path):
    dense = model_of(["pt", "mass", "ratio"], "none", (), task=task)
    network = ThroughOrigin(3, len(dense.classes) if task == "multiclass" else 1)
    theta = np.random.default_rng(4).normal(size=network.size) * 0.003
    model = replace(dense, model=network, theta=theta)
    done = write_onnx(model, tmp_path / "x.onnx", purpose=purpose)
    given = {name: MATRIX[:, i] for i, name in enumerate(model.names)}
    if purpose == "hls4ml":
        given = {"features": MATRIX.astype(np.float32)}
    (found,) = session_of((tmp_path / "x.onnx").read_bytes()).run(None, given)
    expected = model.predict(MATRIX)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=done.agreement.allowed)
    assert np.std(expected) > 0.005


def test_derived_features_fills_and_categories_are_inside(tmp_path: Path):
    features = [
        "pt",
        {"name": "tau32", "value": "tau3 / tau2", "fill": 0.6, "indicator": True},
        {"name": "log_tau32", "value": "log(tau32 + 1)", "fill": 0.1},
        {"name": "b", "value": "b_score", "missing": -999, "fill": 0.4},
        "channel",
        {"name": "kind", "value": "kind", "missing": "none", "fill": "qcd", "unseen": "zeros"},
    ]
    encoding = Encoding(
        (
            NumberColumn("pt"),
            NumberColumn("tau32", None, 0.6, True),
            NumberColumn("log_tau32", None, 0.1),
            NumberColumn("b", -999.0, 0.4),
            CategoryColumn("channel", ("e", "mu")),
            CategoryColumn("kind", ("qcd", "top"), "none", "qcd", True, "zeros"),
        )
    )
    matrix = np.random.default_rng(0).normal(size=(300, len(encoding.names)))
    matrix[:, 0] = EVENTS_READ["pt"][:300]
    model = model_of(features, encoding=encoding, matrix=matrix)
    done = write_onnx(model, tmp_path / "x.onnx")
    assert done.inputs == {"pt": "number", "tau3": "number", "tau2": "number",
                           "b_score": "number", "channel": "text", "kind": "text"}  # fmt: skip
    session = session_of((tmp_path / "x.onnx").read_bytes())
    given: dict[str, Any] = {
        "pt": np.array([560.0, 600.0, 560.0, 560.0]),
        "tau3": np.array([0.3, 0.0, 0.3, 0.3]),
        "tau2": np.array([0.5, 0.0, 0.5, 0.5]),
        "b_score": np.array([0.9, -999.0, np.nan, 0.9]),
        "channel": np.array(["e", "mu", "e", "tau"], dtype=object),
        "kind": np.array(["top", "none", "w", "qcd"], dtype=object),
    }
    (found,) = session.run(None, given)
    X = [
        [560.0, 0.6, np.log(1.6), 0.9, "e", "top"],
        [600.0, np.nan, np.nan, -999.0, "mu", "none"],
        [560.0, 0.6, np.log(1.6), None, "e", "w"],
    ]
    np.testing.assert_allclose(found[:3], model.predict(X), rtol=1e-12)
    assert np.isnan(found[3])  # a channel that training had not is an error there


def test_estimators_with_a_scaled_label(tmp_path: Path):
    model = Regressor(hidden=(4,), epochs=3).fit(MATRIX, EVENTS_READ["mass"] * 7 + 100)
    write_onnx(model.model_, tmp_path / "x.onnx")
    session = session_of((tmp_path / "x.onnx").read_bytes())
    (found,) = session.run(None, {f"x{i}": MATRIX[:, i] for i in range(3)})
    np.testing.assert_allclose(found, model.predict(MATRIX), rtol=1e-12)


def test_columns_may_be_called_as_parts_of_a_graph(tmp_path: Path):
    names = ["c2", "score", "Add_3"]
    done = write_onnx(model_of(names), tmp_path / "x.onnx")
    assert done.inputs == dict.fromkeys(names, "number")
    assert done.output == "score_of_model"


def test_a_graph_that_onnxruntime_does_not_take():
    with pytest.raises(InputError, match="onnxruntime does not take the graph"):
        session_of(b"no graph")


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(FUNCTIONS, "exp", lambda g, x: g.node("Abs", x))
    model = model_of([{"name": "pt", "value": "exp(pt / 100)"}])
    with pytest.raises(InputError, match=r"x\.onnx was not written: the graph differs"):
        write_onnx(model, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


# --- hls4ml --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_form_for_hls4ml(task: str, tmp_path: Path):
    model = model_of(["pt", "mass", "ratio"], task=task)
    done = write_onnx(model, tmp_path / "x.onnx", purpose="hls4ml")
    graph = onnx.load(tmp_path / "x.onnx").graph
    operators = {node.op_type for node in graph.node}
    last = {"binary": "Sigmoid", "multiclass": "Softmax"}.get(task, "Relu")
    assert operators == {"Sub", "Mul", "MatMul", "Add", "Relu", last}
    assert list(done.inputs) == ["features"]
    assert done.agreement.largest <= 1e-5
    named = [*(n.name for n in graph.node), *(t.name for t in graph.initializer)]
    assert all(name.isidentifier() for name in named)  # hls4ml makes C++ of these
    assert len(set(named)) == len(named)
    shaped = {one.name for one in (*graph.value_info, *graph.input, *graph.output)}
    assert shaped >= {name for node in graph.node for name in (*node.input, *node.output)}


def test_a_label_in_units_of_its_spread_for_hls4ml(tmp_path: Path):
    model = model_of(["pt", "mass", "ratio"], task="regression")
    model = replace(model, loss=MeanSquaredError(80.0, 20.0))
    write_onnx(model, tmp_path / "x.onnx", purpose="hls4ml")
    given = {"features": MATRIX.astype(np.float32)}
    (found,) = session_of((tmp_path / "x.onnx").read_bytes()).run(None, given)
    np.testing.assert_allclose(found[:, 0], model.predict(MATRIX), rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.filterwarnings("ignore")
def test_hls4ml_makes_firmware_of_it(task: str, tmp_path: Path):
    hls4ml = pytest.importorskip("hls4ml", reason="needs hls4ml")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    model = model_of(["pt", "mass", "ratio"], task=task, activation="relu")
    model = replace(model, theta=model.theta * 3)
    if task == "regression":
        model = replace(model, loss=MeanSquaredError(80.0, 20.0))
    write_onnx(model, tmp_path / "x.onnx", purpose="hls4ml")
    graph = onnx.load(tmp_path / "x.onnx")
    how = {"granularity": "name", "backend": "Vitis"}
    config = hls4ml.utils.config_from_onnx_model(graph, default_precision="fixed<32,14>", **how)
    if task == "multiclass":  # tables of so many entries, over what the logits are
        layers = config["LayerName"]
        layers["softmax_10"]["TableSize"] = 4096
        for name in ("matmul_8", "add_9"):
            layers[name]["Precision"]["result"] = "fixed<18,6>"
    firmware = hls4ml.converters.convert_from_onnx_model(
        graph, hls_config=config, output_dir=str(tmp_path / "firmware"), backend="Vitis"
    )
    firmware.compile()
    X = MATRIX[:200].astype(np.float32)
    found = firmware.predict(np.ascontiguousarray(X))
    expected = model.predict(X)
    difference = np.abs(found.reshape(expected.shape) - expected).max()
    assert np.std(expected) > 0.1
    assert difference < {"binary": 0.02, "multiclass": 0.1}.get(task, 0.02 * np.std(expected))


REFUSED_FOR_HLS4ML = {
    "asinh": (model_of(["pt"], "asinh"), "the scaling 'asinh'"),
    "gelu": (model_of(["pt"], activation="gelu"), "'gelu' is none of hls4ml's"),
    "fills": (
        model_of(["b"], encoding=Encoding((NumberColumn("b", None, 0.5),)), matrix=MATRIX[:, :1]),
        "categories and missing values",
    ),
}


@pytest.mark.parametrize("what", REFUSED_FOR_HLS4ML)
def test_what_hls4ml_does_not_take(what: str, tmp_path: Path):
    model, says = REFUSED_FOR_HLS4ML[what]
    with pytest.raises(InputError, match=says):
        write_onnx(model, tmp_path / "x.onnx", purpose="hls4ml")


def test_bad_input(tmp_path: Path):
    model = Classifier(l2=0.1).fit(MATRIX, EVENTS_READ["is_top"]).model_
    with pytest.raises(InputError, match=r"expected: NAME\.onnx"):
        write_onnx(model, tmp_path / "x.pt")
    grouped: dict[str, Any] = {**vars(model_of(["pt"])), "features": {"particles": ("pt",)}}
    with pytest.raises(InputError, match="cannot be written as ONNX"):
        write_onnx(TrainedModel(**grouped), tmp_path / "x.onnx")
    with pytest.raises(InputError, match="There is no form of ONNX for 'tpu'"):
        write_onnx(model, tmp_path / "x.onnx", purpose="tpu")
