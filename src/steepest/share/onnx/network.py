"""The network of a model as nodes, by the exporters of PyTorch.

`torch.export` follows the module's own Python with sizes that are symbols. The older TorchScript
exporter records one call of it: what Python decides by a number is then decided for good. A graph
of either is compared with the model before it is written, so that this would be seen.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np

from steepest.errors import InputError
from steepest.events import extra
from steepest.groups import FEATURES, MOMENTA
from steepest.share.onnx import functions
from steepest.share.onnx.graph import OPSET, Graph
from steepest.share.onnx.needed import PURPOSE, onnx_package
from steepest.trained import TrainedModel

JETS, PARTICLES = 3, 5
"""The sizes of the batch that the exporters are shown."""
DOUBLE = {"Erf": functions.erf, "Atan": functions.arctan}
"""Functions that onnxruntime has in float32 alone."""


def network_logits(
    g: Graph,
    model: TrainedModel,
    groups: Mapping[str, str],
    mask: str | None,
    exporter: str,
) -> str:
    """Return the logits of the network, ``(events, outputs)``, for nodes in the graph's dtype.

    Parameters
    ----------
    g
        The graph, whose dtype is that of the network; momenta are float64 in any.
    model
        A model whose module PyTorch computes.
    groups
        The nodes of each group that the network reads: ``(events, particles, features)``, or
        ``(events, features)``.
    mask
        True where there is a particle; None for a network that reads none.
    exporter
        A key of `EXPORTERS`.

    Raises
    ------
    InputError
        The exporter does not take the module.
    """
    module, shown = _module(model, tuple(groups), mask is not None, g.dtype)
    try:
        with _quiet():
            made = EXPORTERS[exporter](module, shown)
    except Exception as error:  # of any kind, from deep inside of it
        raise InputError(
            f"PyTorch cannot export the {model.model.title(model.task)} by {exporter}.",
            expected="a forward without branches on numbers of the data",
            found=_first_line(error),
            cause="`int`, `len` or `if` of a tensor in forward; cloud.jets is the number of jets",
            do="write these with operations of torch",
        ) from error
    given = [*([mask] if mask is not None else []), *groups.values()]
    return _inlined(g, made, given)


def _module(model: TrainedModel, names: Sequence[str], masked: bool, dtype: Any) -> tuple[Any, Any]:
    """The network with its parameters, as a function of padded tensors, and an example of these."""
    torch = extra.load("torch", "torch", PURPOSE)
    from steepest.models.cloud import Cloud
    from steepest.models.masked_cloud import MaskedCloud

    kind = torch.float32 if dtype == np.float32 else torch.float64
    network, sizes = _restored(model, kind), _sizes(model)

    class Padded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *given: Any) -> Any:
            if not masked:
                lengths = torch.zeros_like(given[0][:, 0], dtype=torch.int64)
                return self.network(Cloud({}, dict(zip(names, given, strict=True)), lengths))
            of_groups = dict(zip(names, given[1:], strict=True))
            events = {name: of_groups.pop(name) for name in (FEATURES,) if name in of_groups}
            return self.network(MaskedCloud(of_groups, events, given[0]))

    random = torch.Generator().manual_seed(0)
    shown = [torch.ones(JETS, PARTICLES, dtype=torch.bool)] if masked else []
    for name in names:
        shape = (JETS,) if name == FEATURES else (JETS, PARTICLES)
        of_group = torch.float64 if name == MOMENTA else kind
        shown.append(torch.rand(*shape, sizes[name], generator=random, dtype=of_group) + 0.5)
    return Padded().eval(), tuple(shown)


def _restored(model: TrainedModel, kind: Any) -> Any:
    """The module with the parameters and buffers of the model."""
    import torch

    network: Any = model.model
    module = network.module().to(kind).eval()
    values = {**network.named(model.theta.astype(np.float64)), **model.buffers}
    with torch.no_grad():
        for name, tensor in (*module.named_parameters(), *module.named_buffers()):
            if name in values:
                tensor.copy_(torch.from_numpy(np.array(values[name])))
    return module


def _sizes(model: TrainedModel) -> dict[str, int]:
    """Features of each group."""
    if isinstance(model.features, Mapping):
        return {name: len(features) for name, features in model.features.items()}
    return {FEATURES: len(model.input_names)}


def _exported_dynamo(module: Any, shown: tuple[Any, ...]) -> Any:
    """By `torch.export`, which follows Python."""
    import torch

    script = extra.load("onnxscript", "onnx", "Writing networks of PyTorch as ONNX")
    op = getattr(script, f"opset{OPSET}")

    def hypot(x: Any, y: Any) -> Any:
        return op.Sqrt(op.Add(op.Mul(x, x), op.Mul(y, y)))

    ops = torch.ops
    axes = {0: torch.export.Dim.DYNAMIC}
    wide = {**axes, 1: torch.export.Dim.DYNAMIC}
    shapes = tuple(wide if t.dim() == 3 or t.dtype == torch.bool else axes for t in shown)
    program = torch.onnx.export(
        module,
        shown,
        dynamo=True,
        opset_version=OPSET,
        dynamic_shapes=(shapes,),
        custom_translation_table={ops.aten.hypot.default: hypot, ops.prims.hypot.default: hypot},
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def _exported_script(module: Any, shown: tuple[Any, ...]) -> Any:
    """By TorchScript, which records one call."""
    import torch

    names = [f"x{index}" for index in range(len(shown))]
    file = io.BytesIO()
    torch.onnx.export(
        module,
        shown,
        file,  # pyright: ignore[reportArgumentType]
        dynamo=False,
        opset_version=OPSET,
        input_names=names,
        dynamic_axes={n: {0: "events", 1: "particles"} for n in names},
        verbose=False,
    )
    return onnx_package().load_from_string(file.getvalue())


EXPORTERS: dict[str, Callable[[Any, tuple[Any, ...]], Any]] = {
    "torch.export": _exported_dynamo,
    "TorchScript": _exported_script,
}
"""By name, in the order in which they are tried."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' own remarks."""
    logs = [logging.getLogger(name) for name in ("torch", "onnxscript", "onnx_ir")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def _first_line(error: BaseException) -> str:
    while error.__cause__ is not None:  # what it is about stands in the first of a chain
        error = error.__cause__
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"


def _inlined(g: Graph, made: Any, given: Sequence[str]) -> str:
    """Put the nodes of an exported graph behind those of this one; return its output."""
    if made.functions:
        made = onnx_package("inliner").inline_local_functions(made)
    made = onnx_package("shape_inference").infer_shapes(made)
    kinds = {one.name: one.type.tensor_type.elem_type
             for one in (*made.graph.value_info, *made.graph.input)}  # fmt: skip
    double, dtype = onnx_package().TensorProto.DOUBLE, g.dtype
    known = dict(zip((one.name for one in made.graph.input), given, strict=False))
    for tensor in made.graph.initializer:
        array = onnx_package("numpy_helper").to_array(tensor)
        known[tensor.name] = g.constant(array, array.dtype)
    for node in made.graph.node:
        arguments = [known[name] if name else "" for name in node.input]
        if node.op_type in DOUBLE and kinds.get(node.input[0]) == double:
            g.dtype = np.float64
            known[node.output[0]] = DOUBLE[node.op_type](g, *arguments)
            g.dtype = dtype
            continue
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise InputError(
                "The network has a branch or a loop, which has no form here.",
                expected="a forward that does the same for all events",
                found=f"the operator {node.op_type}",
                do="write it with operations of torch, such as torch.where",
            )
        copy = type(node)()
        copy.CopyFrom(node)
        copy.name = f"/network/{len(g.nodes)}"
        outputs = [f"{copy.name}/{index}" if n else "" for index, n in enumerate(node.output)]
        del copy.input[:], copy.output[:]
        copy.input.extend(arguments)
        copy.output.extend(outputs)
        known.update(zip(node.output, outputs, strict=True))
        g.nodes.append(copy)
    return known[made.graph.output[0].name]
