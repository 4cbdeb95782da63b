"""`write_onnx`: a trained dense network as one file of ONNX, from the columns of files to scores.

Encoding, derived features and scaling are inside. The graph's inputs are the columns that the
features need, ``(events,)`` each; its output is ``score``, ``scores`` or ``prediction``. It is
compared with the model in onnxruntime before it is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steepest._version import __version__
from steepest.encoding import CategoryColumn
from steepest.errors import InputError
from steepest.events import Expression, parse
from steepest.events.expressions.expression import column
from steepest.folder.files import write_atomically
from steepest.scaling import AffineScaling
from steepest.share.onnx.check import Agreement, compared_features, compared_graph
from steepest.share.onnx.expressions import Translation, kinds_of
from steepest.share.onnx.graph import EVENTS, TEXT, Graph
from steepest.share.onnx.layers import Layered, encoded_columns, logits, predicted, scaled
from steepest.trained import TrainedModel

HLS4ML = "hls4ml"


@dataclass(frozen=True)
class Exported:
    """A file of ONNX.

    Attributes
    ----------
    path
        The file.
    inputs
        By name, what it holds: a number, a condition, an integer or a text.
    output
        The name of what it puts out.
    agreement
        How far it is from the model.
    """

    path: Path
    inputs: dict[str, str]
    output: str
    agreement: Agreement

    def sentences(self) -> list[str]:
        """Return what was written, for a person."""
        inputs = ", ".join(
            name if kind == "number" else f"{name} ({kind})" for name, kind in self.inputs.items()
        )
        return [
            f"Inputs: {inputs}; output: {self.output}.",
            f"It differs from the model by at most {self.agreement.largest:.2g} in "
            f"{self.agreement.events:,} events, random and extreme ones "
            f"(allowed: {self.agreement.allowed:g}).",
            f"Written: {self.path}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "file": str(self.path),
            "inputs": self.inputs,
            "output": self.output,
            "largest_difference": self.agreement.largest,
            "allowed": self.agreement.allowed,
            "events": self.agreement.events,
        }


def write_onnx(
    model: TrainedModel, path: str | Path, *, float32: bool = False, purpose: str | None = None
) -> Exported:
    """Write a model as ONNX, if onnxruntime then says what the model says.

    Parameters
    ----------
    model
        A dense network or linear model.
    path
        The file, ``.onnx``; it is replaced.
    float32
        Columns and network in float32; derived features and scaling stay in float64.
    purpose
        "hls4ml": a matrix of features in, and only what hls4ml converts.

    Raises
    ------
    InputError
        The model, its scaling or a feature has no form in ONNX; the graph differs from the model.
    MissingExtraError
        onnx or onnxruntime is not installed.

    Examples
    --------
    >>> write_onnx(run.model, "top-tagger.onnx")  # doctest: +SKIP
    """
    path = Path(path)
    _refuse(model, path, purpose)
    if purpose == HLS4ML:
        graph, output, made = _of_features(model)
        agreement = compared_features(model, made)
    else:
        expressions = expressions_of(model)
        texts = _texts(model)
        kinds = kinds_of(expressions, dict.fromkeys(texts))
        graph, output, made = _of_columns(model, expressions, kinds, float32)
        agreement = compared_graph(model, made, expressions, kinds, float32)
    agreement.require(path)
    try:
        write_atomically(path, lambda file: file.write_bytes(made.SerializeToString()))
    except OSError as error:
        raise InputError(
            f"{path} cannot be written.",
            expected="a folder that is there, with room",
            found=error.strerror or str(error),
            do="name a file elsewhere",
        ) from error
    return Exported(path, dict(graph.inputs), output, agreement)


def expressions_of(model: TrainedModel) -> dict[str, Expression]:
    """Return the expression of each feature, in columns alone.

    Examples
    --------
    >>> expressions_of(model)["tau32"].text  # doctest: +SKIP
    'tau3 / tau2'
    """
    assert not isinstance(model.features, Mapping)
    found = {}
    for feature in model.features:
        if isinstance(feature, str):
            found[feature] = column(feature, f"The feature {feature!r}")
        else:
            name = feature["name"]
            found[name] = parse(feature["value"], f"The feature {name!r}")
    tables = {f["name"] for f in model.features if not isinstance(f, str)}
    # a name that a feature's own expression has is that of a column
    named = {name for name in tables if name not in found[name].columns}
    for _ in named:  # as often as one may be in another
        found = {
            name: e.substituted({used: found[used] for used in e.columns & named})
            if e.columns & named and name in tables
            else e
            for name, e in found.items()
        }
    return found


def _of_columns(
    model: TrainedModel,
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, str],
    float32: bool,
) -> tuple[Graph, str, Any]:
    graph = Graph(input_dtype=np.float32 if float32 else np.float64)
    translation, texts = Translation(graph, kinds), _texts(model)
    values = []
    for name, expression in expressions.items():
        if name not in texts:
            values.append(translation.number(expression))
        elif expression.column is None:
            raise InputError(
                f"The feature {name!r} is text that is computed, which ONNX has no form for.",
                expected="text in a column",
                found=expression.text,
                do="write the feature into the files, and train on that column",
            )
        else:
            values.append(graph.column(expression.column, TEXT))
    inputs = scaled(graph, model, encoded_columns(graph, model.encoding, values))
    if float32:
        inputs, graph.dtype = graph.cast(inputs, np.float32), np.float32
    output, made = _finished(graph, model, inputs)
    return graph, output, made


def _of_features(model: TrainedModel) -> tuple[Graph, str, Any]:
    """The form for hls4ml: Sub, Mul, MatMul, Add, activations; float32, features in a matrix."""
    graph = Graph(dtype=np.float32, input_dtype=np.float32)
    assert isinstance(model.scaling, AffineScaling)
    shift, M = model.scaling.affine()
    matrix = graph.column("features", "number")
    centred = graph.subtract(matrix, graph.constant(shift))
    if np.count_nonzero(M - np.diag(np.diag(M))):
        inputs = graph.node("MatMul", centred, graph.constant(M.T))
    else:
        inputs = graph.multiply(centred, graph.constant(np.diag(M)))
    z = logits(graph, model, inputs)
    name = {"binary": "score", "multiclass": "scores", "regression": "prediction"}[model.task]
    if model.task == "binary":
        z = graph.node("Sigmoid", z)
    elif model.task == "multiclass":
        z = graph.node("Softmax", z, axis=1)
    made = graph.model({name: (z, np.float32, [EVENTS, _outputs(model)])}, _metadata(model))
    shape = made.graph.input[0].type.tensor_type.shape
    shape.dim.add().dim_value = len(model.names)
    return graph, name, made


def _finished(graph: Graph, model: TrainedModel, inputs: str) -> tuple[str, Any]:
    output, result = predicted(graph, model, logits(graph, model, inputs))
    shape = [EVENTS, _outputs(model)] if model.task == "multiclass" else [EVENTS]
    while output in graph.inputs:
        output += "_of_model"
    return output, graph.model({output: (result, graph.dtype, shape)}, _metadata(model))


def _outputs(model: TrainedModel) -> int:
    return len(model.classes) if model.task == "multiclass" else 1


def _metadata(model: TrainedModel) -> dict[str, str]:
    told = {
        "steepest": __version__,
        "task": model.task,
        "label": model.label,
        "classes": list(model.classes),
        "features": list(model.features),
    }
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in told.items()}


def _texts(model: TrainedModel) -> set[str]:
    columns = model.encoding.columns if model.encoding is not None else ()
    return {column.name for column in columns if isinstance(column, CategoryColumn)}


def _refuse(model: TrainedModel, path: Path, purpose: str | None) -> None:
    """Raise InputError for what cannot be written."""
    if path.suffix != ".onnx":
        raise InputError(
            f"{path} is no name of a file of ONNX.", expected="NAME.onnx", found=repr(path.name)
        )
    if purpose not in (None, HLS4ML):
        raise InputError(
            f"There is no form of ONNX for {purpose!r}.", expected=HLS4ML, found=repr(purpose)
        )
    network = model.model
    if not isinstance(network, Layered) or isinstance(model.features, Mapping):
        raise InputError(
            f"A {model.model.title(model.task)} cannot be written as ONNX.",
            expected="a dense network or a linear model of features",
            found=f"model.name = {model.model.kind!r}",
            do="steepest predict writes scores beside the events",
        )
    if purpose != HLS4ML:
        return
    wrong = None
    if model.encoding is not None and not model.encoding.is_plain:
        wrong = "categories and missing values are no numbers of a matrix"
    elif not isinstance(model.scaling, AffineScaling):
        wrong = f"the scaling {model.scaling.name!r} is more than Sub and Mul"
    elif network.hidden and network.activation == "gelu":
        wrong = "the activation 'gelu' is none of hls4ml's"
    elif model.task == "regression" and model.loss != type(model.loss)():
        wrong = "a label in units of its spread is scaled back after the network"
    if wrong is not None:
        raise InputError(
            "The model cannot be written for hls4ml.",
            expected="numbers without a fill; the scaling none, standard, min-max, robust or "
            "whiten; relu, tanh or sigmoid; a classifier or a linear model",
            found=wrong,
            do='train with descent.scaling = "standard"',
        )
