"""Saved models: version 1, which had dense networks alone, is still read; others are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from steepest.folder import load_model
from steepest.models import Dense
from steepest.trained import TrainedModel

VERSION_1 = Path(__file__).parent / "version-1-model"
EVENTS = [[0.5, 40.0, 0.1], [-1.0, 31.5, None], [2.0, 60.0, 1.5]]
SCORES = [0.4683406799007685, 0.23155092024868054, 0.834754073721194]
"""Of version 1, by the release that wrote it."""


def test_version_1_is_a_dense_network():
    model = load_model(VERSION_1).model
    assert model.model == Dense(4, (8,), 1, "relu")
    assert (model.names, model.task, model.buffers) == (("a", "b", "c"), "binary", {})
    np.testing.assert_allclose(model.predict(EVENTS), SCORES, rtol=1e-12)


def test_it_is_written_as_version_3():
    model = load_model(VERSION_1).model
    config, parameters, scaling = model.to_parts()
    assert (config["version"], config["model"]["name"]) == (3, "dense")
    again = TrainedModel.from_parts(config, parameters, scaling)
    assert again.predict(EVENTS).tobytes() == model.predict(EVENTS).tobytes()


def test_buffers_are_kept_beside_the_parameters():
    config, parameters, scaling = load_model(VERSION_1).model.to_parts()
    parameters["buffers.mean"] = np.arange(3.0)
    model = TrainedModel.from_parts(config, parameters, scaling)
    assert model.buffers["mean"].tolist() == [0, 1, 2]
    assert model.to_parts()[1].keys() == parameters.keys()
