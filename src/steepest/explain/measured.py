"""All measurements of a run, made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steepest.explain.curves import Curves, measure_curves
from steepest.explain.data import Data, measure_data
from steepest.explain.layers import Layers, measure_layers
from steepest.explain.linear import LinearCurvature, measure_linear
from steepest.explain.record import Record
from steepest.explain.sharpness import Noise, Sharpness, measure_noise, measure_sharpness
from steepest.training import TrainingCallback


@dataclass(frozen=True)
class Measured:
    """What is known of a run; None where a measurement does not apply."""

    curves: Curves
    linear: LinearCurvature | None
    sharpness: tuple[Sharpness, ...]
    noise: Noise | None
    layers: Layers | None
    data: Data

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "curves": self.curves.to_json(),
            "linear": self.linear.to_json() if self.linear else None,
            "sharpness": [one.to_json() for one in self.sharpness],
            "noise": self.noise.to_json() if self.noise else None,
            "layers": self.layers.to_json() if self.layers else None,
            "data": self.data.to_json(),
        }


def measure(record: Record, callback: TrainingCallback) -> Measured:
    """Measure a run."""
    callback.stage("Measuring the curvature")
    linear = measure_linear(record) if record.is_linear else None
    sharpness = measure_sharpness(record)
    noise = measure_noise(record)
    callback.stage("Measuring layers and events")
    return Measured(
        curves=measure_curves(record),
        linear=linear,
        sharpness=tuple(sharpness),
        noise=noise,
        layers=None if record.is_linear else measure_layers(record),
        data=measure_data(record),
    )
