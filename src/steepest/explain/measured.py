"""All measurements of a run, made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steepest.explain.budget import Budget
from steepest.explain.curves import Curves, measure_curves
from steepest.explain.data import Data, measure_data
from steepest.explain.findings import Check
from steepest.explain.layers import Layers, measure_layers
from steepest.explain.linear import LinearCurvature, measure_linear
from steepest.explain.record import Record
from steepest.explain.sharpness import Noise, Sharpness, measure_sharpness
from steepest.explain.spectrum import (
    PathNumbers,
    SpectrumNumbers,
    measure_noises,
    measure_path,
    measure_spectrum,
)
from steepest.training import TrainingCallback


@dataclass(frozen=True)
class Measured:
    """What is known of a run; None where a measurement does not apply."""

    curves: Curves
    linear: LinearCurvature | None
    sharpness: tuple[Sharpness, ...]
    noises: tuple[Noise, ...]
    spectrum: SpectrumNumbers | None
    path: PathNumbers | None
    layers: Layers | None
    data: Data
    skipped: tuple[Check, ...] = ()
    """What there was no time for."""

    @property
    def noise(self) -> Noise | None:
        """The noise at the end of the path."""
        return self.noises[-1] if self.noises else None

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "curves": self.curves.to_json(),
            "linear": self.linear.to_json() if self.linear else None,
            "sharpness": [one.to_json() for one in self.sharpness],
            "noise": self.noise.to_json() if self.noise else None,
            "noises": [one.to_json() for one in self.noises],
            "layers": self.layers.to_json() if self.layers else None,
            "data": self.data.to_json(),
        }


def measure(record: Record, callback: TrainingCallback) -> Measured:
    """Measure a run."""
    budget = Budget(callback)
    callback.stage("Measuring the curvature")
    linear = measure_linear(record) if record.is_linear else None
    sharpness = measure_sharpness(record, budget=budget)
    callback.stage("Measuring the noise")
    noises = measure_noises(record, budget=budget)
    callback.stage("Measuring the spectrum")
    spectrum = measure_spectrum(record, linear, budget)
    callback.stage("Measuring layers and events")
    return Measured(
        curves=measure_curves(record),
        linear=linear,
        sharpness=tuple(sharpness),
        noises=noises,
        spectrum=spectrum,
        path=measure_path(record, linear),
        layers=None if record.is_linear else measure_layers(record),
        data=measure_data(record),
        skipped=tuple(budget.skipped.values()),
    )
