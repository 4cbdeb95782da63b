"""The form that hls4ml converts: features in a matrix, Sub, Mul, MatMul, Add and activations.

hls4ml makes C++ of the names, so these are words; it asks for a name of each node, a shape of each
tensor, and no constant that two nodes share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from steepest.scaling import AffineScaling
from steepest.share.onnx.graph import EVENTS, NUMBER, Graph, Made
from steepest.share.onnx.layers import logits, metadata_of, outputs_of
from steepest.share.onnx.needed import onnx_package
from steepest.trained import TrainedModel


def of_features(model: TrainedModel) -> Made:
    """The form for hls4ml: Sub, Mul, MatMul, Add, activations; float32, features in a matrix."""
    graph = Graph(dtype=np.float32, input_dtype=np.float32)
    assert isinstance(model.scaling, AffineScaling)
    shift, M = model.scaling.affine()
    matrix = graph.column("features", NUMBER, (EVENTS, len(model.names)))
    centred = graph.subtract(matrix, graph.constant(shift))
    if np.count_nonzero(M - np.diag(np.diag(M))):
        inputs = graph.node("MatMul", centred, graph.constant(M.T))
    else:
        inputs = graph.multiply(centred, graph.constant(np.diag(M)))
    z = logits(graph, model, inputs, valued=True)
    name = {"binary": "score", "multiclass": "scores", "regression": "prediction"}[model.task]
    if model.task == "binary":
        z = graph.node("Sigmoid", z)
    elif model.task == "multiclass":
        z = graph.node("Softmax", z, axis=1)
    made = graph.model({name: (z, np.float32, [EVENTS, outputs_of(model)])}, metadata_of(model))
    return Made(_spelt_out(made), dict(graph.inputs), (name,))


def _spelt_out(made: Any) -> Any:
    """The same graph with names that are words, and a shape of each tensor."""
    nodes = list(made.graph.node)[:-1]  # the last gives the output its name
    known = {made.graph.input[0].name: made.graph.input[0].name}
    values = {tensor.name: tensor for tensor in made.graph.initializer}
    del made.graph.node[:], made.graph.initializer[:]
    for index, node in enumerate(nodes):
        node.name = f"{node.op_type.lower()}_{index}"
        last = index == len(nodes) - 1
        known[node.output[0]] = made.graph.output[0].name if last else f"{node.name}_out"
        for place, name in enumerate(node.input):
            if name in values:
                copy = made.graph.initializer.add()
                copy.CopyFrom(values[name])
                copy.name = f"{node.name}_param"
                node.input[place] = copy.name
            else:
                node.input[place] = known[name]
        node.output[0] = known[node.output[0]]
        made.graph.node.append(node)
    made = onnx_package("shape_inference").infer_shapes(made)
    made.graph.value_info.extend(_shapes(made))
    onnx_package("checker").check_model(made)
    return made


def _shapes(made: Any) -> Iterator[Any]:
    """The shapes of the constants."""
    make = onnx_package("helper").make_tensor_value_info
    for tensor in made.graph.initializer:
        yield make(tensor.name, tensor.data_type, list(tensor.dims))
