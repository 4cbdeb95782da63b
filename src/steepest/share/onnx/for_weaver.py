"""The form of weaver's models: scaled groups of particles in, see `steepest.share.weaver`."""

from __future__ import annotations

import numpy as np

from steepest.groups import FEATURES, MOMENTA
from steepest.share.onnx.check import Agreement
from steepest.share.onnx.check_particles import compared_weaver
from steepest.share.onnx.graph import EVENTS, NUMBER, PARTICLES, Graph, Made
from steepest.share.onnx.layers import metadata_of, predicted
from steepest.share.onnx.network import EXPORTERS, network_logits
from steepest.share.weaver import INPUTS, MASK, VECTORS, preprocess_of
from steepest.trained import TrainedModel


def of_weaver(model: TrainedModel) -> tuple[Made, Agreement]:
    """The form of weaver's models: groups ``(events, features, particles)`` that are scaled."""
    graph = Graph(dtype=np.float32, input_dtype=np.float32)
    content, groups, features = preprocess_of(model), {}, model.groups
    assert content is not None
    for name, names in features.items():
        if name == FEATURES:
            given = graph.column(INPUTS[name], NUMBER, (EVENTS, len(names), 1))
            groups[name] = graph.node("Squeeze", given, graph.constant([2], np.int64))
            continue
        given = graph.column(INPUTS[name], NUMBER, (EVENTS, len(names), PARTICLES))
        groups[name] = graph.node("Transpose", given, perm=[0, 2, 1])
        if name == MOMENTA:
            order = graph.constant([VECTORS.index(n) for n in names], np.int64)
            momenta = graph.node("Gather", groups[name], order, axis=2)
            groups[name] = graph.cast(momenta, np.float64)
    mask = graph.column(MASK, NUMBER, (EVENTS, 1, PARTICLES))
    mask = graph.node("Squeeze", mask, graph.constant([1], np.int64))
    exporter = next(iter(EXPORTERS))
    z = network_logits(graph, model, groups, graph.cast(mask, bool), exporter)
    (node,) = predicted(graph, model, z).values()
    if model.task != "multiclass":
        node = graph.node("Unsqueeze", node, graph.constant([1], np.int64))
    if model.task == "binary":
        node = graph.node("Concat", graph.subtract(1.0, node), node, axis=1)
    output = "softmax" if model.classes else "output"
    shape = [EVENTS, len(content["output_names"])]
    whole = graph.model({output: (node, np.float32, shape)}, metadata_of(model))
    made = Made(whole, dict(graph.inputs), (output,), exporter)
    return made, compared_weaver(model, whole, content)
