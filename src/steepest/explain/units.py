"""Hidden units of a PyTorch module: which are dead, which are saturated, by activation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from steepest.explain.layers import SATURATED, LayerState

Array = np.ndarray

MOST_VALUES = 4_000_000
"""Values of an activation's output that are looked at."""


def unit_states(module: Any, forward: Callable[[], object]) -> tuple[LayerState, ...]:
    """The state of every activation that `forward` runs through, in the order of its calls.

    The last axis of what enters an activation are its units, all others their values; of images
    ``(batch, channels, …)`` the second. A ReLU unit is dead if nothing that enters it is positive.
    """
    from torch import nn

    slopes: dict[type, Callable[[Any], Any]] = {
        nn.ReLU: lambda x: (~(x <= 0)).float(),  # NaN is not dead
        nn.Tanh: lambda x: 1 - x.tanh() ** 2,
        nn.Sigmoid: lambda x: 4 * x.sigmoid() * (-x).sigmoid(),
    }
    found: list[LayerState] = []

    def watch(name: str, one: Any) -> Any:
        kind, slope = type(one).__name__.lower(), slopes[type(one)]

        def hook(_: Any, inputs: tuple[Any, ...]) -> None:
            values = inputs[0].detach()
            axis = 1 if values.dim() in (4, 5) else -1
            values = values.movedim(axis, -1).reshape(-1, values.shape[axis])
            values = values[:: -(-values.numel() // MOST_VALUES)]
            steep = slope(values).cpu().numpy()
            dead = float((steep == 0).all(axis=0).mean()) if kind == "relu" else 0.0
            flat = 0.0 if kind == "relu" else float((steep <= SATURATED).mean())
            found.append(LayerState(dead, flat, kind, name))

        return one.register_forward_pre_hook(hook)

    hooks = [watch(name, one) for name, one in module.named_modules() if type(one) in slopes]
    try:
        forward()
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(found)
