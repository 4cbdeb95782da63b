"""`write_onnx`: a trained model as one file of ONNX, from the columns of files to scores.

Encoding, derived features, what networks read of particles, and scaling are inside. The graph's
inputs are the columns that the features need, ``(events,)`` each, and of particles padded lists,
``(events, particles)``; its output is ``score``, ``scores`` or ``prediction``. It is compared with
the model in onnxruntime before it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from steepest.encoding import CategoryColumn
from steepest.errors import InputError
from steepest.events import Expression
from steepest.folder.files import write_atomically, write_text
from steepest.groups import FEATURES, MOMENTA
from steepest.scaling import AffineScaling, GroupScaling
from steepest.share.onnx.check import Agreement, compared_features, compared_graph
from steepest.share.onnx.check_particles import compared_particles
from steepest.share.onnx.expressions import Translation, expressions_of, kinds_of
from steepest.share.onnx.for_hls4ml import of_features
from steepest.share.onnx.for_weaver import of_weaver
from steepest.share.onnx.graph import EVENTS, PARTICLES, TEXT, Graph, Made
from steepest.share.onnx.layers import (
    encoded_columns,
    layers_of,
    logits,
    metadata_of,
    outputs_of,
    predicted,
    scaled,
)
from steepest.share.onnx.network import EXPORTERS, network_logits
from steepest.share.onnx.particles import (
    ParticleExpressions,
    particle_expressions,
    particle_nodes,
    refuse_groups,
)
from steepest.share.weaver import preprocess_files, preprocess_of
from steepest.trained import TrainedModel

HLS4ML, WEAVER = "hls4ml", "weaver"


@dataclass(frozen=True)
class Exported:
    """A file of ONNX.

    Attributes
    ----------
    path
        The file.
    inputs
        By name, what it holds: a number, a condition, an integer or a text, or a list of these.
    output
        The name of what it puts out.
    agreement
        How far it is from the model.
    heads
        The names of what the auxiliary heads put out.
    exporter
        Which exporter of PyTorch wrote the network; None for dense layers, which need none.
    beside
        The names of further files.
    """

    path: Path
    inputs: dict[str, str]
    output: str
    agreement: Agreement
    heads: tuple[str, ...] = ()
    exporter: str | None = None
    beside: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """Return what was written, for a person."""
        inputs = ", ".join(
            name if kind == "number" else f"{name} ({kind})" for name, kind in self.inputs.items()
        )
        by = [f"The network was exported by {self.exporter}."] if self.exporter else []
        return [
            f"Inputs: {inputs}; output: {', '.join((self.output, *self.heads))}.",
            *by,
            f"It differs from the model by at most {self.agreement.largest:.2g} in "
            f"{self.agreement.events:,} events, random and extreme ones "
            f"(allowed: {self.agreement.allowed:g}).",
            f"Written: {', '.join((str(self.path), *self.beside))}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "file": str(self.path),
            "inputs": self.inputs,
            "output": self.output,
            "heads": list(self.heads),
            "exporter": self.exporter,
            "beside": list(self.beside),
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
        A dense network, a linear model, a network of particles, or a module of one's own.
    path
        The file, ``.onnx``; it is replaced.
    float32
        Columns and network in float32; derived features and scaling stay in float64.
    purpose
        "hls4ml": a matrix of features in, and only what hls4ml converts. "weaver": a network of
        particles with the inputs that preprocess.json says, which is written beside the file.

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
        made = of_features(model)
        agreement = compared_features(model, made.model)
        agreement.require(path)
    elif purpose == WEAVER:
        made, agreement = of_weaver(model)
        agreement.require(path)
    elif layers_of(model) is not None:
        made, agreement = _made(model, float32, None)
        agreement.require(path)
    else:
        made, agreement = _by_an_exporter(model, path, float32)
    beside = preprocess_files(model) if purpose == WEAVER else {}
    try:
        write_atomically(path, lambda file: file.write_bytes(made.model.SerializeToString()))
        for name, text in beside.items():
            write_text(path.with_name(name), text)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written.",
            expected="a folder that is there, with room",
            found=error.strerror or str(error),
            do="name a file elsewhere",
        ) from error
    output, *heads = made.outputs
    return Exported(
        path, made.inputs, output, agreement, tuple(heads), made.exporter, tuple(beside)
    )


def _by_an_exporter(model: TrainedModel, path: Path, float32: bool) -> tuple[Made, Agreement]:
    """The graph by the first exporter of PyTorch whose graph says what the model says."""
    refusals: list[InputError] = []
    for exporter in EXPORTERS:
        try:
            made, agreement = _made(model, float32, exporter)
            agreement.require(path)
        except InputError as error:
            refusals.append(error)
        else:
            return made, agreement
    raise refusals[0]


def _made(model: TrainedModel, float32: bool, exporter: str | None) -> tuple[Made, Agreement]:
    """The graph of a model that reads columns, and how far it is from the model."""
    expressions = expressions_of(model)
    if isinstance(model.features, Mapping):
        refuse_groups(model)
        particles = particle_expressions(model)
        _refuse_both(expressions, particles)
        kinds = kinds_of(expressions | particles.all, {})
        made = _of_particles(model, expressions, particles, kinds, float32, exporter)
        return made, compared_particles(model, made.model, expressions, particles, kinds, float32)
    texts = _texts(model)
    kinds = kinds_of(expressions, dict.fromkeys(texts))
    made = _of_columns(model, expressions, kinds, float32, exporter)
    return made, compared_graph(model, made.model, expressions, kinds, float32)


def _of_particles(
    model: TrainedModel,
    expressions: Mapping[str, Expression],
    particles: ParticleExpressions,
    kinds: Mapping[str, str],
    float32: bool,
    exporter: str | None,
) -> Made:
    shapes: dict[str, Sequence[str]] = dict.fromkeys(particles.columns, (EVENTS, PARTICLES))
    graph = Graph(input_dtype=np.float32 if float32 else np.float64, shapes=shapes)
    translation = Translation(graph, kinds)
    nodes = particle_nodes(graph, model, particles, translation)
    groups, features = dict(nodes.groups), model.features
    assert isinstance(features, Mapping)
    assert isinstance(model.scaling, GroupScaling)
    if FEATURES in features:
        values = [translation.number(expression) for expression in expressions.values()]
        groups[FEATURES] = scaled(graph, model.scaling.groups[FEATURES], values)
    groups = {name: groups[name] for name in features}
    if float32:
        groups = {
            name: node if name == MOMENTA else graph.cast(node, np.float32)
            for name, node in groups.items()
        }
        graph.dtype = np.float32
    assert exporter is not None
    z = network_logits(graph, model, groups, nodes.mask, exporter)
    return _finished(graph, model, z, exporter, nodes.refused)


def _of_columns(
    model: TrainedModel,
    expressions: Mapping[str, Expression],
    kinds: Mapping[str, str],
    float32: bool,
    exporter: str | None,
) -> Made:
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
    assert not isinstance(model.scaling, GroupScaling)
    inputs = scaled(graph, model.scaling, encoded_columns(graph, model.encoding, values))
    if float32:
        inputs, graph.dtype = graph.cast(inputs, np.float32), np.float32
    if exporter is None:
        return _finished(graph, model, logits(graph, model, inputs))
    z = network_logits(graph, model, {FEATURES: inputs}, None, exporter)
    return _finished(graph, model, z, exporter)


def _finished(
    graph: Graph,
    model: TrainedModel,
    z: str,
    exporter: str | None = None,
    refused: str | None = None,
) -> Made:
    """The graph of these logits; what is said of events that are refused is NaN."""
    outputs = {}
    for name, node in predicted(graph, model, z).items():
        shape = [EVENTS, outputs_of(model)] if name == "scores" else [EVENTS]
        if refused is not None:
            wide = graph.node("Unsqueeze", refused, graph.constant([1], np.int64))
            node = graph.where(wide if name == "scores" else refused, np.nan, node)
        while name in graph.inputs:
            name += "_of_model"
        outputs[name] = (node, graph.dtype, shape)
    made = graph.model(outputs, metadata_of(model))
    kinds = {
        name: f"list of {kind}s" if name in graph.shapes else kind
        for name, kind in graph.inputs.items()
    }
    return Made(made, kinds, tuple(outputs), exporter)


def _refuse_both(events: Mapping[str, Expression], particles: ParticleExpressions) -> None:
    """Raise InputError for a column that is of the event and of the particles."""
    for name, expression in events.items():
        if both := sorted(expression.columns & particles.columns):
            raise InputError(
                f"{both[0]} cannot be both a number of the event and a list.",
                expected="columns of numbers in features, and of lists in particles",
                found=f"the feature {name!r}, which is {expression.text}",
                do="write the feature into the files, and train on that column",
            )


def _texts(model: TrainedModel) -> set[str]:
    columns = model.encoding.columns if model.encoding is not None else ()
    return {column.name for column in columns if isinstance(column, CategoryColumn)}


def _refuse(model: TrainedModel, path: Path, purpose: str | None) -> None:
    """Raise InputError for what cannot be written."""
    if path.suffix != ".onnx":
        raise InputError(
            f"{path} is no name of a file of ONNX.", expected="NAME.onnx", found=repr(path.name)
        )
    if purpose not in (None, HLS4ML, WEAVER):
        raise InputError(
            f"There is no form of ONNX for {purpose!r}.",
            expected=f"{HLS4ML} or {WEAVER}",
            found=repr(purpose),
        )
    if purpose == WEAVER and (preprocess_of(model) is None or model.heads):
        raise InputError(
            f"A {model.model.title(model.task)} cannot be written for weaver.",
            expected="a network of particles without auxiliary heads; the scaling none, standard, "
            "min-max or robust",
            found=f"model.name = {model.model.kind!r}, the scaling {model.scaling.name!r}"
            + (
                f", the heads {', '.join(head.name for head in model.heads)}" if model.heads else ""
            ),
            do="leave --for out: the file then reads the columns themselves",
        )
    layers, torch = layers_of(model), hasattr(model.model, "module")
    if layers is None and (not torch or purpose == HLS4ML):
        raise InputError(
            f"A {model.model.title(model.task)} cannot be written as ONNX"
            + (" for hls4ml." if purpose else "."),
            expected="a dense network or a linear model of features"
            + ("" if purpose else ", or a network of PyTorch"),
            found=f"model.name = {model.model.kind!r}",
            do="steepest predict writes scores beside the events",
        )
    if purpose != HLS4ML:
        return
    assert layers is not None
    wrong, do = None, ""
    if model.encoding is not None and not model.encoding.is_plain:
        wrong = "categories and missing values are no numbers of a matrix"
        do = "train on features without fill and categories"
    elif not isinstance(model.scaling, AffineScaling):
        wrong = f"the scaling {model.scaling.name!r} is more than Sub and Mul"
        do = 'train with descent.scaling = "standard"'
    elif len(layers[0]) > 1 and layers[1] == "gelu":
        wrong = "the activation 'gelu' is none of hls4ml's"
        do = 'train with model.activation = "relu"'
    if wrong is not None:
        raise InputError(
            "The model cannot be written for hls4ml.",
            expected="numbers without a fill; the scaling none, standard, min-max, robust or "
            "whiten; relu, tanh or sigmoid",
            found=wrong,
            do=do,
        )
