"""Whether a graph says what the model says: in onnxruntime, over random and extreme events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from steepest.encoding import CategoryColumn
from steepest.errors import InputError, SteepestError
from steepest.events import Expression
from steepest.scaling import Scaling
from steepest.share.onnx.graph import FLAG, INTEGER, TEXT
from steepest.share.onnx.needed import runtime
from steepest.trained import TrainedModel

Array = np.ndarray
EVENTS = 4096
ALLOWED = {False: 1e-12, True: 1e-6}
"""By whether it is in float32: of probabilities; of values relative to them, or to the inputs. In
float32 all is relative to the largest scaled input too, if that is above one: sums of large terms
round as these do."""
OF_FEATURES = 1e-5
"""Of a matrix of features, which is scaled in float32 too, as hls4ml has no float64."""
_EXTREME = (0.0, 1.0, -1.0, 1e-30, -1e-30, 1e6, -1e6, 1e30, -1e30, 0.5, np.pi)


@dataclass(frozen=True)
class Agreement:
    """How far a graph is from the model.

    Attributes
    ----------
    largest
        The largest difference.
    allowed
        What it may be.
    events
        In how many events; those that the model refuses are not among them.
    worst
        The inputs of the event of the largest difference.
    """

    largest: float
    allowed: float
    events: int
    worst: dict[str, Any]

    def require(self, path: Path) -> None:
        """Raise InputError if it is too far."""
        if self.events and self.largest <= self.allowed:
            return
        at = ", ".join(f"{name} = {value}" for name, value in self.worst.items())
        raise InputError(
            f"{path} was not written: the graph differs from the model.",
            expected=f"differences up to {self.allowed:g}"
            if self.events
            else "events that the model can score",
            found=f"{self.largest:.3g} for {at}" if self.events else "none",
            cause="values so extreme that rounding shows, or an operator that onnxruntime has "
            "otherwise",
            do="leave --float32 out, if it was given; else report it, with the recipe",
        )


def compared_graph(
    model: TrainedModel,
    made: Any,
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, str],
    float32: bool,
) -> Agreement:
    """Compare a graph of columns with the model."""
    columns = columns_of(model, expressions, kinds, float32)
    batch = pa.record_batch(columns)
    features = [_values(expression, batch) for expression in expressions.values()]
    expected, kept = _scored(model, features)
    given = {name: values[kept] for name, values in columns.items() if name in kinds}
    found = _run(made, given)
    if float32:
        expected, found = _relative(model, expected, found, features, kept)
    return _agreement(model, expected, found, given, features, kept, ALLOWED[float32])


def compared_features(model: TrainedModel, made: Any) -> Agreement:
    """Compare a graph of a float32 matrix of features with the model."""
    random = np.random.default_rng(0)
    scaling = model.scaling
    assert isinstance(scaling, Scaling)
    shift, width = _spread(scaling)
    X = (shift + width * random.normal(size=(EVENTS, len(shift))) * 3).astype(np.float32)
    expected = model.predict(X.astype(np.float64))
    found = _run(made, {"features": X}).reshape(expected.shape)
    kept = np.ones(len(X), dtype=bool)
    features = list(X.astype(np.float64).T)
    expected, found = _relative(model, expected, found, features, kept)
    return _agreement(model, expected, found, dict(zip(model.names, X.T, strict=True)),
                      features, kept, OF_FEATURES)  # fmt: skip


def _relative(
    model: TrainedModel, expected: Array, found: Array, features: list[Array], kept: Array
) -> tuple[Array, Array]:
    """Both, divided by the largest scaled input of the event, where that is above one."""
    rows = _encoded(model, features)[kept]
    size = np.maximum(np.abs(model.scaled(rows)).max(axis=1), 1.0)
    size = size.reshape(-1, *[1] * (expected.ndim - 1))
    return expected / size, found / size


def columns_of(
    model: TrainedModel,
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, str],
    float32: bool,
) -> dict[str, Any]:
    """Return columns of random events, the last of them extreme in one column each."""
    random = np.random.default_rng(0)
    centres = _centres(model, expressions)
    columns: dict[str, Any] = {}
    for name, kind in kinds.items():
        if kind == TEXT:
            columns[name] = random.choice(_words(model, expressions, name), EVENTS)
        elif kind in (FLAG, INTEGER):
            columns[name] = values_of(random, kind, EVENTS)
        else:
            columns[name] = _numbers(random, *centres.get(name, (0.0, 0.0)))
            if float32:
                columns[name] = columns[name].astype(np.float32).astype(np.float64)
    plain = [name for name, kind in kinds.items() if kind not in (TEXT, FLAG, INTEGER)]
    places = np.arange(EVENTS)[::-1]
    for index, name in enumerate(plain):
        marks = _marks(model, expressions, name)
        at = places[index :: len(plain)][: 4 * len(marks)]
        columns[name][at] = np.resize(marks, len(at))
    if not columns:  # constants alone
        columns["unused"] = np.zeros(EVENTS)
    return columns


def values_of(random: np.random.Generator, kind: str, count: int) -> Array:
    """Return random values of a kind of column: conditions, integers, or numbers of many sizes."""
    if kind == FLAG:
        return random.random(count) < 0.5
    if kind == INTEGER:
        return random.integers(0, 2**40, count)
    return _numbers(random, 0.0, 0.0, count)


def _numbers(
    random: np.random.Generator, centre: float, width: float, count: int = EVENTS
) -> Array:
    """Around the centre if there is one; else positive and negative, of many sizes."""
    normal = random.normal(size=count)
    if width > 0:
        return centre + 2 * width * normal
    size = 10.0 ** random.uniform(-3, 3, count)
    return np.where(random.random(count) < 0.5, np.abs(normal) * size, normal)


def _centres(
    model: TrainedModel, expressions: Mapping[str, Expression]
) -> dict[str, tuple[float, float]]:
    """Centre and width of the columns that are features themselves."""
    scaling = model.scaling
    assert isinstance(scaling, Scaling)
    spread = dict(zip(model.input_names, zip(*_spread(scaling), strict=True), strict=True))
    return {
        e.column: spread[name]
        for name, e in expressions.items()
        if e.column is not None and name in spread
    }


def _spread(scaling: Scaling) -> tuple[Array, Array]:
    arrays = scaling.to_arrays()
    if "shift" in arrays:
        return arrays["shift"], arrays["width"]
    ends = np.cumsum(arrays["lengths"])
    parts = [arrays["knots"][a:b] for a, b in zip(ends - arrays["lengths"], ends, strict=True)]
    return (
        np.array([np.median(part) for part in parts]),
        np.array([part[-1] - part[0] or 1.0 for part in parts]) / 4,
    )


def _marks(model: TrainedModel, expressions: Mapping[str, Expression], name: str) -> list[float]:
    """Extreme values, and those that stand for none."""
    marks = list(_EXTREME)
    for column in model.encoding.columns if model.encoding is not None else ():
        if isinstance(column, CategoryColumn) or name not in expressions[column.name].columns:
            continue
        marks += [np.nan] if column.fill is not None else []
        marks += [column.missing] if column.missing is not None else []
    return marks


def _words(model: TrainedModel, expressions: Mapping[str, Expression], name: str) -> list[str]:
    """Texts of a column: categories, what stands for none, words of the expressions, others."""
    words = ["", "something else"]
    for column in model.encoding.columns if model.encoding is not None else ():
        if isinstance(column, CategoryColumn) and expressions[column.name].column == name:
            words += [*column.categories, *([column.missing] if column.missing else [])]
    for expression in expressions.values():
        words += expression.texts
    return sorted(set(words))


def _values(expression: Expression, batch: pa.RecordBatch) -> Array:
    values = expression.evaluate(batch)
    if values.dtype == object:  # "" is the graph's way to say that there is no text
        return np.array([value or None for value in values.tolist()], dtype=object)
    return values.astype(np.float64)


def _scored(model: TrainedModel, features: list[Array]) -> tuple[Array, Array]:
    """The model's predictions, and for which events there is one."""
    inputs = _encoded(model, features)
    kept: Array = np.asarray(np.isfinite(inputs).all(axis=1))
    with np.errstate(all="ignore"):
        for row in np.flatnonzero(kept & (np.abs(inputs) > 1e200).any(axis=1)):
            try:
                model.scaled(inputs[row : row + 1])
            except SteepestError:
                kept[row] = False
        predictions = model.predict_encoded(inputs[kept]) if kept.any() else np.empty(0)
    finite = np.isfinite(predictions.reshape(len(predictions), -1)).all(axis=1)
    kept[np.flatnonzero(kept)[~finite]] = False
    return predictions[finite], kept


def _encoded(model: TrainedModel, features: list[Array]) -> Array:
    """What enters the scaling, ``(events, inputs)``; NaN for events that the encoding refuses."""
    X = np.empty((len(features[0]), len(features)), dtype=object)
    for index, values in enumerate(features):
        X[:, index] = values
    encoding = model.encoding
    if encoding is None or encoding.is_plain:
        return X.astype(np.float64)
    with np.errstate(all="ignore"):
        inputs = np.full((len(X), len(encoding.names)), np.nan)
        for row in range(len(X)):
            try:
                inputs[row] = encoding.transform(X[row : row + 1])[0]
            except SteepestError:
                continue
    return inputs


def _run(made: Any, given: Mapping[str, Any]) -> Array:
    """What onnxruntime says: of all at once, and the same of the first few alone."""
    session = session_of(made.SerializeToString())
    types = {one.name: one.type for one in session.get_inputs()}
    fed = {name: typed(values, types[name]) for name, values in given.items() if name in types}
    (found,) = session.run(None, fed)
    for row in range(min(3, len(found))):
        (alone,) = session.run(None, {name: v[row : row + 1] for name, v in fed.items()})
        found[row] = np.where(np.abs(alone[0] - found[row]) < 1e-6, found[row], np.nan)
    return found.astype(np.float64)


def session_of(content: bytes) -> Any:
    """Return a session of onnxruntime on one thread, which says nothing."""
    ort = runtime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a class for each of its codes
        raise InputError(
            "onnxruntime does not take the graph.",
            expected="operators that it has in this version",
            found=str(error).splitlines()[0],
            cause="an older onnxruntime",
            do="pip install --upgrade onnxruntime; else report it, with the recipe",
        ) from error


def typed(values: Any, kind: str) -> Any:
    """Return values as an input of onnxruntime of that type."""
    names = {"double": np.float64, "float": np.float32, "bool": bool, "int64": np.int64}
    kind = kind.removeprefix("tensor(").removesuffix(")")
    return np.asarray(values, dtype=names.get(kind, object))


def _agreement(
    model: TrainedModel,
    expected: Array,
    found: Array,
    given: Mapping[str, Any],
    features: list[Array],
    kept: Array,
    allowed: float,
) -> Agreement:
    if len(expected) == 0:
        return Agreement(np.inf, allowed, 0, {})
    difference = np.abs(found - expected).reshape(len(expected), -1).max(axis=1)
    if model.task == "regression":  # relative: to what it says, or to what that is a sum of
        numbers = [np.abs(v[kept]) for v in features if v.dtype == np.float64]
        size = np.max([np.ones(len(expected)), np.abs(expected), *numbers], axis=0)
        difference /= np.where(np.isfinite(size), size, 1.0)
    difference = np.where(np.isnan(difference), np.inf, difference)
    worst = int(np.argmax(difference))
    at = {name: values[worst] for name, values in given.items()}
    return Agreement(float(difference[worst]), allowed, len(expected), at)
