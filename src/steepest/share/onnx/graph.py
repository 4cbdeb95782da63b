"""A graph of ONNX, built node by node: numbers of all events at once, ``(events,)`` or wider.

Everything is in float64, for which onnxruntime has fewer operators than for float32;
`steepest.share.onnx.functions` builds the others of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from steepest.share.onnx.needed import onnx_package

OPSET, OPSET_ML, IR = 18, 3, 8
"""Versions that onnxruntime has read since 1.14."""
EVENTS, PARTICLES = "events", "particles"
"""The names of the first axis, and of the second of a column of lists."""
NUMBER, FLAG, INTEGER, TEXT = "number", "condition", "integer", "text"


@dataclass(frozen=True)
class Made:
    """A graph as ONNX, the kinds of its inputs by name, and the names of its outputs."""

    model: Any
    inputs: dict[str, str]
    outputs: tuple[str, ...]
    exporter: str | None = None


@dataclass
class Graph:
    """Nodes, constants, inputs; each method adds a node and returns the name of its result."""

    nodes: list[Any] = field(default_factory=list)
    constants: dict[tuple[str, tuple[int, ...], bytes], Any] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    """By name of a column, what it holds: a number, a condition, an integer or a text."""
    shapes: dict[str, Sequence[Any]] = field(default_factory=dict)
    """Of inputs that are not ``(events,)``: names of axes, and numbers."""
    dtype: type = np.float64
    """Of constants from here on."""
    input_dtype: type = np.float64
    """Of columns of numbers."""

    @property
    def helper(self) -> Any:
        """`onnx.helper`."""
        return onnx_package("helper")

    def node(self, operator: str, *arguments: str, domain: str = "", **options: Any) -> str:
        """Add a node; return the name of its result."""
        name = f"/{operator}/{len(self.nodes)}"  # which no column is called
        made = self.helper.make_node(operator, list(arguments), [name], domain=domain, **options)
        self.nodes.append(made)
        return name

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return the name of a constant, which is one with all others of its value."""
        array = np.asarray(value, dtype=self.dtype if dtype is None else dtype)
        key = str(array.dtype), array.shape, array.tobytes()
        if key not in self.constants:
            tensor = onnx_package("numpy_helper").from_array(
                array, f"/constant/{len(self.constants)}"
            )
            self.constants[key] = tensor
        return self.constants[key].name

    def column(self, name: str, kind: str, shape: Sequence[Any] | None = None) -> str:
        """Return the input of a column, or of a wider array."""
        self.inputs[name] = kind
        if shape is not None:
            self.shapes[name] = shape
        return name

    # --- numbers ---------------------------------------------------------------------------------

    def add(self, a: str, b: str | float) -> str:
        """Add: a + b."""
        return self.node("Add", a, self._number(b))

    def subtract(self, a: str | float, b: str | float) -> str:
        """Subtract: a − b."""
        return self.node("Sub", self._number(a), self._number(b))

    def multiply(self, a: str, b: str | float) -> str:
        """Multiply: a · b."""
        return self.node("Mul", a, self._number(b))

    def divide(self, a: str | float, b: str | float) -> str:
        """Divide: a / b."""
        return self.node("Div", self._number(a), self._number(b))

    def where(self, condition: str, a: str | float, b: str | float) -> str:
        """Choose: a where the condition holds, else b."""
        return self.node("Where", condition, self._number(a), self._number(b))

    def less(self, a: str | float, b: str | float) -> str:
        """Compare: a < b."""
        return self.node("Less", self._number(a), self._number(b))

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """Horner's rule, the highest power first."""
        value = self._number(coefficients[0])
        for coefficient in coefficients[1:]:
            value = self.add(self.multiply(value, x), coefficient)
        return value

    def cast(self, value: str, dtype: Any) -> str:
        """The values in another type."""
        kind = self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", value, to=kind)

    def rounded(self, value: str) -> str:
        """Numbers of float64 as float32 has them."""
        return self.cast(self.cast(value, np.float32), np.float64)

    def stack(self, columns: Sequence[str]) -> str:
        """``(events,)`` each as ``(events, columns)``."""
        axes = self.constant([1], np.int64)
        wide = [self.node("Unsqueeze", column, axes) for column in columns]
        return wide[0] if len(wide) == 1 else self.node("Concat", *wide, axis=1)

    def take(self, matrix: str, column: int) -> str:
        """One column of a matrix, ``(events,)``."""
        return self.node("Gather", matrix, self.constant(column, np.int64), axis=1)

    def _number(self, value: str | float) -> str:
        return value if isinstance(value, str) else self.constant(value)

    # --- the whole -------------------------------------------------------------------------------

    def model(
        self, outputs: dict[str, tuple[str, Any, Sequence[Any]]], metadata: dict[str, str]
    ) -> Any:
        """Return the model; `outputs` has for each name the result, its type and its shape."""
        h = self.helper
        types = {
            NUMBER: h.np_dtype_to_tensor_dtype(np.dtype(self.input_dtype)),
            FLAG: h.np_dtype_to_tensor_dtype(np.dtype(bool)),
            INTEGER: h.np_dtype_to_tensor_dtype(np.dtype(np.int64)),
            TEXT: onnx_package().TensorProto.STRING,
        }
        for name, (result, _, _) in outputs.items():
            self.nodes.append(h.make_node("Identity", [result], [name]))
        graph = h.make_graph(
            self.nodes,
            "steepest",
            [
                h.make_tensor_value_info(n, types[k], self.shapes.get(n, [EVENTS]))
                for n, k in self.inputs.items()
            ],
            [
                h.make_tensor_value_info(name, h.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
                for name, (_, dtype, shape) in outputs.items()
            ],
            list(self.constants.values()),
        )
        opsets = [h.make_opsetid("", OPSET), h.make_opsetid("ai.onnx.ml", OPSET_ML)]
        model = h.make_model(graph, opset_imports=opsets, ir_version=IR, producer_name="steepest")
        h.set_model_props(model, metadata)
        onnx_package("checker").check_model(model)
        return model
