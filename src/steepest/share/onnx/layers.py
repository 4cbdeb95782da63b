"""A trained dense network as nodes: encoding, scaling, layers, and how the loss reads logits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from steepest._version import __version__
from steepest.encoding import CategoryColumn, Encoding, NumberColumn
from steepest.errors import InputError
from steepest.losses import MeanSquaredError, label_loss
from steepest.models.layers import Layer
from steepest.scaling import (
    AnyScaling,
    AsinhScaling,
    DiagonalScaling,
    QuantileScaling,
    WhitenScaling,
)
from steepest.scaling.asinh import KNEE
from steepest.share.onnx import functions
from steepest.share.onnx.expressions import encoded
from steepest.share.onnx.graph import Graph
from steepest.trained import TrainedModel

Array = np.ndarray


@runtime_checkable
class Layered(Protocol):
    """A model of dense layers, with one activation between them."""

    @property
    def activation(self) -> str:
        """Its name."""
        ...

    def layers(self, theta: Array) -> Sequence[Layer]:
        """Weights and biases of each layer."""
        ...


def layers_of(model: TrainedModel) -> tuple[Sequence[Layer], str] | None:
    """Return the layers of a dense or linear model of features, and the activation between them.

    None for any other model.
    """
    network, theta = model.model, model.theta.astype(np.float64)
    if isinstance(model.features, Mapping):
        return None
    if isinstance(network, Layered):
        return network.layers(theta), network.activation
    linear = network.linear_layer(theta)
    return None if linear is None else ([Layer(*linear)], "")


def number_inputs(g: Graph, column: NumberColumn, value: str) -> list[str]:
    """The inputs of a number: filled where it is missing, NaN where there is no fill."""
    if column.is_plain:
        return [value]
    absent = g.node("IsNaN", value)
    if column.missing is not None:
        is_marked = g.node("Equal", value, g.constant(column.missing))
        absent = g.node("Or", absent, is_marked)
    filled = g.where(absent, np.nan if column.fill is None else column.fill, value)
    return [filled, g.cast(absent, np.float64)] if column.indicator else [filled]


def category_inputs(g: Graph, column: CategoryColumn, text: str) -> list[str]:
    """Zeros and a one; NaN for a text that training had not, if that is an error. "" is missing."""
    keys = list(column.categories)
    numbers = list(range(len(keys)))
    absent = [t for t in {"", column.missing or ""} if t not in keys]
    if column.missing in keys:  # it was a category, and is what says that there is none
        numbers[keys.index(str(column.missing))] = -2
    code = encoded(g, text, [*keys, *absent], [*numbers, *[-2] * len(absent)], -1)
    is_absent = g.node("Equal", code, g.constant(-2, np.int64))
    if column.fill is not None:
        place = g.constant(keys.index(column.fill), np.int64)
        code = g.node("Where", is_absent, place, code)
    refused = g.node("Less", code, g.constant(-1 if column.unseen == "zeros" else 0, np.int64))
    inputs = [
        g.where(refused, np.nan, g.cast(g.node("Equal", code, g.constant(k, np.int64)), np.float64))
        for k in range(len(keys))
    ]
    return [*inputs, g.cast(is_absent, np.float64)] if column.indicator else inputs


def encoded_columns(g: Graph, encoding: Encoding | None, values: list[str]) -> list[str]:
    """The model's inputs of the features' values."""
    if encoding is None:
        return values
    inputs = []
    for column, value in zip(encoding.columns, values, strict=True):
        if isinstance(column, CategoryColumn):
            inputs += category_inputs(g, column, value)
        else:
            inputs += number_inputs(g, column, value)
    return inputs


def scaled(g: Graph, scaling: AnyScaling, inputs: list[str]) -> str:
    """The matrix that enters the network, ``(events, inputs)``."""
    if isinstance(scaling, QuantileScaling):
        ends = np.cumsum(scaling.lengths)
        parts = zip(inputs, ends - scaling.lengths, ends, strict=True)
        return g.stack([
            _interpolated(g, value, scaling.knots[a:b], scaling.scores[a:b])
            for value, a, b in parts
        ])  # fmt: skip
    matrix = g.stack(inputs)
    if isinstance(scaling, DiagonalScaling):
        return g.divide(g.subtract(matrix, g.constant(scaling.shift)), g.constant(scaling.width))
    if isinstance(scaling, WhitenScaling):
        z = g.divide(g.subtract(matrix, g.constant(scaling.shift)), g.constant(scaling.width))
        return g.node("MatMul", z, g.constant(scaling.whitener.T))
    if isinstance(scaling, AsinhScaling):
        z = g.subtract(matrix, g.constant(scaling.shift))
        width = g.where(g.less(0.0, z), g.constant(scaling.upper), g.constant(scaling.width))
        z = g.divide(z, width)
        if scaling.tails.any():
            bent = g.multiply(functions.arcsinh(g, g.divide(z, KNEE)), KNEE)
            z = g.where(g.constant(scaling.tails > 0, bool), bent, z)
        return z if scaling.relevance is None else g.multiply(z, g.constant(scaling.relevance))
    raise InputError(
        f"The scaling {scaling.name!r} cannot be written as ONNX.",
        expected="none, standard, min-max, robust, whiten, asinh or quantile",
        found=repr(scaling.name),
    )


def _interpolated(g: Graph, value: str, x: Array, y: Array) -> str:
    """Linear between knots, and on with one slope outside, as `QuantileScaling` has it."""
    slope = (y[-1] - y[0]) / (x[-1] - x[0]) if len(x) > 1 else 1.0
    slopes = np.append(np.diff(y) / np.diff(x), 0.0)
    ceiling = np.append(y[1:], y[-1])
    inside = g.node("Max", g.node("Min", value, g.constant(x[-1])), g.constant(x[0]))
    above = g.node("GreaterOrEqual", g.stack([inside]), g.constant(x[None, :]))
    axes = g.constant([1], np.int64)
    count = g.node("ReduceSum", g.cast(above, np.int64), axes, keepdims=0)
    last = g.constant(len(x) - 1, np.int64)
    place = g.node("Min", g.node("Sub", count, g.constant(1, np.int64)), last)
    place = g.node("Max", place, g.constant(0, np.int64))
    at, rise, start, top = (
        g.node("Gather", g.constant(table), place) for table in (x, slopes, y, ceiling)
    )
    between = g.add(start, g.multiply(rise, g.subtract(inside, at)))
    return g.add(g.node("Min", between, top), g.multiply(g.subtract(value, inside), slope))


def activated(g: Graph, name: str, x: str) -> str:
    """The activation of a layer."""
    if name == "gelu":
        phi = functions.normal_cdf(g, x)
        return g.multiply(x, phi)
    return g.node({"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}[name], x)


def logits(g: Graph, model: TrainedModel, inputs: str, *, valued: bool = False) -> str:
    """The network's logits, ``(events, outputs)``.

    With `valued` the last layer gives those of a regression in the units of its label.
    """
    found = layers_of(model)
    assert found is not None
    layers, activation = found
    loss = label_loss(model.loss)
    if valued and isinstance(loss, MeanSquaredError):
        *before, last = layers
        layers = [*before, Layer(last.weights * loss.width, last.biases * loss.width + loss.centre)]
    value = inputs
    for index, layer in enumerate(layers):
        value = g.node("MatMul", value, g.constant(layer.weights))
        value = g.add(value, g.constant(layer.biases))
        if index < len(layers) - 1:
            value = activated(g, activation, value)
    return value


def predicted(g: Graph, model: TrainedModel, z: str) -> dict[str, str]:
    """The names and nodes of what the model says: a probability, several, or a value; then heads.

    Heads are ``prediction_NAME``, ``(events,)`` each, as in files of predictions.
    """
    outputs = len(model.classes) if model.task == "multiclass" else 1
    heads = {
        f"prediction_{head.name}": _valued(g, head.target, g.take(z, outputs + index))
        for index, head in enumerate(model.heads)
    }
    if model.task == "multiclass":
        if heads:
            z = g.node("Slice", z, *(g.constant([n], np.int64) for n in (0, outputs, 1)))
        return {"scores": g.node("Softmax", z, axis=1), **heads}
    first = g.take(z, 0)
    if model.task == "binary":
        return {"score": g.node("Sigmoid", first), **heads}
    loss = label_loss(model.loss)
    # of any other loss the logit is the value, or the comparison with ours refuses the file
    value = _valued(g, loss, first) if isinstance(loss, MeanSquaredError) else first
    return {"prediction": value, **heads}


def _valued(g: Graph, loss: MeanSquaredError, z: str) -> str:
    """A logit in the units of what it was learnt from."""
    if (loss.centre, loss.width) == (0.0, 1.0):
        return z
    return g.add(g.multiply(z, loss.width), loss.centre)


def outputs_of(model: TrainedModel) -> int:
    """How many numbers the label's output has."""
    return len(model.classes) if model.task == "multiclass" else 1


def metadata_of(model: TrainedModel) -> dict[str, str]:
    """What a file says of its model."""
    told = {
        "steepest": __version__,
        "task": model.task,
        "label": model.label,
        "classes": list(model.classes),
        "features": dict(model.features)
        if isinstance(model.features, Mapping)
        else list(model.features),
        **({} if model.particles is None else {"particles": model.particles}),
    }
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in told.items()}
