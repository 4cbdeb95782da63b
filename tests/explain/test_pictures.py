"""The pictures of an explanation: their numbers, against plain algebra; files and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import steepest
from explained_runs import trained
from steepest.curvature import hessian
from steepest.explain.linear import measure_linear
from steepest.explain.measured import measure
from steepest.explain.record import read_record
from steepest.explain.spectrum import measure_noises, measure_path, measure_spectrum
from steepest.training import TrainingCallback

BATCH: dict[str, Any] = {
    "optimizer": "sgd",
    "schedule": "constant",
    "batch_size": "all",
    "scaling": "standard",
}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("network"), hidden=[6], epochs=20)


def test_files_numbers_and_report(network: Path):
    run = steepest.Run(network)
    run.explain(try_fixes=False, progress=False)
    for name in ("spectrum", "sharpness", "noise", "units"):
        assert (network / "figures" / f"explain-{name}.png").stat().st_size > 5_000
        assert (network / "figures" / f"explain-{name}.pdf").exists()
        assert json.loads((network / "figures" / f"explain-{name}.json").read_text())
        assert f"figures/explain-{name}.json" in run.report.read_text()
    assert "noises" in json.loads((network / "explanation.json").read_text())["measured"]


def test_the_spectrum_is_that_of_the_hessian(network: Path):
    record = read_record(network)
    found = measure_spectrum(record, None)
    assert found is not None
    exact = np.linalg.eigvalsh(hessian(record.objective, record.thetas[-1], record.train))
    assert found.whole
    assert found.eigenvalues == pytest.approx(exact, rel=1e-6, abs=1e-9)
    assert found.largest_stable is None  # Adam divides the gradient


def test_the_path_of_a_network_follows_its_gradient(tmp_path: Path):
    record = read_record(trained(tmp_path, hidden=[4], learning_rate=0.02, epochs=300, **BATCH))
    found = measure_path(record, None)
    assert found is not None
    fallen = found.losses[0] - found.losses[-1]
    assert found.predicted[-1] == pytest.approx(found.losses[-1], abs=0.05 * fallen)
    assert found.by == "gradient"


def test_the_path_of_a_linear_model_follows_its_curvature(tmp_path: Path):
    linear: dict[str, Any] = {"hidden": [], "loss": "mean-squared-error", "method": "descent"}
    record = read_record(trained(tmp_path, learning_rate=0.1, epochs=200, **linear, **BATCH))
    found = measure_path(record, measure_linear(record))
    assert found is not None
    assert found.losses == pytest.approx(found.predicted, rel=1e-6)
    assert found.by == "curvature"


def test_what_does_not_apply_is_left_out(tmp_path: Path, network: Path):
    record = read_record(network)
    assert measure_path(record, None) is None
    assert len(measure_noises(record)) >= 2
    batch = read_record(trained(tmp_path, hidden=[3], epochs=3, **BATCH))
    assert measure(batch, TrainingCallback()).noise is None
