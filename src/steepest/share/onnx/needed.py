"""Packages of the extra ``[onnx]``, imported where they are used."""

from __future__ import annotations

from typing import Any

from steepest.events import extra

PURPOSE = "Writing ONNX"


def onnx_package(module: str = "") -> Any:
    """Return `onnx`, or a module of it, or raise the error with the install line."""
    return extra.load("onnx" + (f".{module}" if module else ""), "onnx", PURPOSE)


def runtime() -> Any:
    """Return `onnxruntime`, or raise the error with the install line."""
    return extra.load("onnxruntime", "onnx", PURPOSE)
