"""A gradient of many events, a piece at a time: few results are kept at once."""

from __future__ import annotations

import numpy as np

from steepest.losses import BinaryCrossEntropy
from steepest.models import Dense
from steepest.objective import Batch, DenseObjective, dense


class Counted:
    """Does the work itself, and notes how many pieces it was given at once."""

    def __init__(self) -> None:
        self.groups: list[int] = []

    def map(self, work, items, per_thread):
        self.groups.append(len(items))
        return [work(item) for item in items]


def test_the_gradients_of_a_network_s_pieces_are_summed_group_by_group(monkeypatch):
    pool, pieces = Counted(), 2 * dense.PIECES + 3
    monkeypatch.setattr(dense, "_POOL", pool)
    random = np.random.default_rng(0)
    X = random.normal(size=(pieces * dense.PIECE - 5, 2))
    batch = Batch(X, (X[:, 0] > X[:, 1]).astype(np.float64))
    objective = DenseObjective(Dense(2, (3,), activation="tanh"), BinaryCrossEntropy(), l2=0.1)
    theta = objective.initial(1)
    loss, gradient = objective.loss_and_gradient(theta, batch)
    assert pool.groups == [dense.PIECES, dense.PIECES, 3]
    monkeypatch.setattr(dense, "FEWEST", len(X) + 1)  # in NumPy
    expected_loss, expected = objective.loss_and_gradient(theta, batch)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-13)
    np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-14)
