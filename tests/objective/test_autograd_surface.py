"""J of networks at many points of a surface: as point by point, with the events gathered once."""

from __future__ import annotations

import numpy as np
import pytest

from steepest.groups import Groups, Jagged
from steepest.losses import loss_named
from steepest.objective import Batch, losses_on_surface
from steepest.objective.surface import losses_one_by_one

pytest.importorskip("torch")


@pytest.mark.parametrize("weighted", [False, True])
def test_losses_on_a_surface_are_those_of_each_point(weighted: bool):
    from steepest.models.torch_model import TorchModel
    from steepest.objective.autograd import AutogradObjective

    random = np.random.default_rng(0)
    lengths = random.integers(0, 6, 700)  # more than one chunk
    jets = Jagged.of_lengths(random.normal(size=(lengths.sum(), 3)), lengths)
    weights = random.uniform(0.5, 2.0, 700) if weighted else None
    batch = Batch.of(
        Groups({"particles": jets}), random.integers(0, 2, 700).astype(float), weights, "float64"
    )
    options = {"per_particle": [5, 4], "per_jet": [4]}
    model = TorchModel.build("deep-sets", options, {"particles": tuple("abc")}, 1)
    objective = AutogradObjective(model, loss_named("binary-cross-entropy"), 0.1, "float64")
    directions = random.normal(size=(2, model.size))
    given = objective.initial(0), directions, random.normal(size=(5, 2)), batch
    np.testing.assert_allclose(
        losses_on_surface(objective, *given), losses_one_by_one(objective, *given), rtol=1e-12
    )
