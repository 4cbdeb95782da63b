"""Dense networks in compiled code: against NumPy, and with the same bits for any threads."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from steepest import recipe as spec
from steepest.compiled import threads
from steepest.compiled.network.layout import Layout
from steepest.losses import loss_named
from steepest.models import Dense, layers
from steepest.models.layers import ACTIVATIONS
from steepest.objective import Batch, DenseObjective, StepBlock
from steepest.objective.compiled import PARTED_FROM, Network
from steepest.optimizers import update_rule

LOSSES = {"mean-squared-error": 1, "binary-cross-entropy": 1, "cross-entropy": 3}
TOLERANCE = {"float32": 3e-5, "float64": 1e-12}
ROWS = Layout((5, 17, 9, 1)).rows


def problem(loss="binary-cross-entropy", activation="relu", dtype="float64", events=700, l2=0.0,
            hidden=(17, 9), weighted=True):  # fmt: skip
    """An objective, θ, and events with weights of either sign."""
    random, outputs = np.random.default_rng(events), LOSSES[loss]
    objective = DenseObjective(Dense(5, hidden, outputs, activation), loss_named(loss), l2, dtype)
    targets = random.integers(0, max(2, outputs), events)
    targets = targets if outputs > 1 else targets.astype(dtype)
    weights = random.normal(1, 1, events).astype(dtype) if weighted else None
    batch = Batch(random.normal(size=(events, 5)).astype(dtype), targets, weights)
    return objective, objective.initial(1), batch


def network_of(objective):
    return Network(objective.model, objective.loss_function.name, objective.l2, objective.dtype)


def block_of(batch, batch_size, steps, seed=0, every=2, limit=1e9):
    """Steps over shuffled events, some recorded and some on the path."""
    rows = np.random.default_rng(seed).permutation(len(batch))[: steps * batch_size]
    recorded, on_path = (np.arange(steps) % n == 0 for n in (every, 3))
    rates = np.linspace(1e-2, 1e-3, steps)
    return StepBlock(batch, rows, batch_size, rates, 4, recorded, on_path, limit)


def steps_in_numpy(objective, block, rule, theta, state):
    """What `run_steps` does, one step after the other."""
    loss_sum, values, path = 0.0, [], []
    for index, rate in enumerate(block.rates):
        first = index * block.batch_size
        batch = block.events.take(block.rows[first : first + block.batch_size])
        loss, gradient = objective.loss_and_gradient(theta, batch)
        before, step = theta, block.first_step + index + 1
        theta, state = rule.update(theta, gradient, state, rate, step)
        loss_sum += loss
        norm = np.linalg.norm
        if block.recorded[index]:
            values.append([loss, rate, norm(gradient), norm(theta - before) / norm(before)])
        if block.on_path[index]:
            path.append(theta)
    return theta, state, loss_sum, np.array(values), np.array(path)


def bits(result):
    arrays = result.theta, *result.optimizer_state, result.values, result.path
    return [array.tobytes() for array in arrays], result.loss_sum, result.taken


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_losses_and_gradients_are_those_of_numpy(loss, activation, dtype):
    objective, theta, batch = problem(loss, activation, dtype)
    network, gradient = network_of(objective), np.zeros(len(theta))
    total = network.add_block(theta, batch, 1 / len(batch), gradient)
    expected_loss, expected = objective.loss_and_gradient(theta, batch)
    np.testing.assert_allclose(total / len(batch), expected_loss, rtol=TOLERANCE[dtype])
    assert network.losses(theta, batch) == pytest.approx(total, rel=1e-6)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("events", [0, 1, 7, 8, 9, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("hidden", [(1,), (17, 9), ()])
def test_any_number_of_events(events, weighted, hidden):
    objective, theta, batch = problem("cross-entropy", "tanh", events=events, weighted=weighted,
                                      hidden=hidden)  # fmt: skip
    gradient = np.zeros(len(theta))
    total = network_of(objective).add_block(theta, batch, 1.0, gradient)
    if events == 0:
        assert total == 0.0
        assert not gradient.any()
        return
    loss, expected = objective.loss_and_gradient(theta, batch)
    np.testing.assert_allclose(total, loss * events, rtol=1e-11)
    np.testing.assert_allclose(gradient, expected * events, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("options", [
    spec.SGD(), spec.Momentum(), spec.Nesterov(), spec.RMSprop(), spec.Adam(),
    spec.AdamW(weight_decay=0.3),
], ids=lambda options: options.name)  # fmt: skip
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize(("batch_size", "l2"), [(1, 0.1), (63, 0.0), (100, 0.1)])
def test_steps_are_those_of_numpy(options, dtype, batch_size, l2):
    objective, theta, batch = problem(dtype=dtype, l2=l2, activation="sigmoid")
    rule = update_rule(options, objective.weight_mask)
    block = block_of(batch, batch_size, steps=6)
    start = rule.initial_state(theta)
    found = network_of(objective).run_steps(block, rule, theta, start, 0.0)
    after, state, loss_sum, values, path = steps_in_numpy(objective, block, rule, theta, start)
    tolerance = {"rtol": 1e-3 if dtype == "float32" else 1e-9, "atol": TOLERANCE[dtype]}
    np.testing.assert_allclose(found.theta, after, **tolerance)
    for one, other in zip(found.optimizer_state, state, strict=True):
        np.testing.assert_allclose(one, other, **tolerance)
    assert found.loss_sum == pytest.approx(loss_sum, rel=1e-5)
    np.testing.assert_allclose(found.values, values, **tolerance)
    np.testing.assert_allclose(found.path, path, **tolerance)
    assert found.taken == 6


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("batch_size", [64, 600, 9000])
def test_the_bits_depend_on_no_number_of_threads(dtype, batch_size, monkeypatch):
    monkeypatch.setattr("steepest.objective.compiled.WORTH_A_THREAD", 1)
    monkeypatch.setattr(threads, "seconds_queued", lambda: 0.0)
    monkeypatch.setattr(threads.BarrierGroup, "_alone_until", 0.0)
    objective, theta, batch = problem(dtype=dtype, l2=0.1, events=9000)
    rule = update_rule(spec.AdamW(), objective.weight_mask)
    block = block_of(batch, batch_size, steps=min(5, 9000 // batch_size))
    found = []
    for cores in (1, 2, 3, 8):
        monkeypatch.setattr(threads, "usable_cores", lambda cores=cores: cores)
        found.append(network_of(objective).run_steps(block, rule, theta, rule.initial_state(theta),
                                                     0.0))  # fmt: skip
    assert all(bits(other) == bits(found[0]) for other in found)


def test_the_bits_do_not_depend_on_where_steps_are_cut():
    objective, theta, batch = problem("cross-entropy", "gelu", "float32")
    rule = update_rule(spec.Adam(), objective.weight_mask)
    network, block = network_of(objective), block_of(batch, 70, steps=9)
    whole = network.run_steps(block, rule, theta, rule.initial_state(theta), 0.0)
    state, loss_sum, values, path = rule.initial_state(theta), 0.0, [], []
    for first, last in ((0, 1), (1, 5), (5, 9)):
        now = slice(first, last)
        piece = replace(
            block, rows=block.rows[first * 70 : last * 70], rates=block.rates[now],
            first_step=4 + first, recorded=block.recorded[now], on_path=block.on_path[now],
        )  # fmt: skip
        result = network.run_steps(piece, rule, theta, state, loss_sum)
        theta, state, loss_sum = result.theta, result.optimizer_state, result.loss_sum
        values.append(result.values)
        path.append(result.path)
    joined = replace(result, values=np.concatenate(values), path=np.concatenate(path), taken=9)
    assert bits(joined) == bits(whole)


def test_what_is_given_stays_as_it_is():
    objective, theta, batch = problem()
    rule = update_rule(spec.Adam(), objective.weight_mask)
    state = rule.initial_state(theta)
    given = theta.copy()
    network_of(objective).run_steps(block_of(batch, 100, 3), rule, theta, state, 0.0)
    assert (theta == given).all()
    assert not any(vector.any() for vector in state)


@pytest.mark.parametrize("batch_size", [10, *PARTED_FROM[:2]])
def test_steps_end_before_a_loss_above_the_limit(batch_size):
    objective, theta, batch = problem("mean-squared-error")
    rule = update_rule(spec.SGD(), objective.weight_mask)
    block = replace(block_of(batch, batch_size, 1), rows=None, batch_size=len(batch),
                    rates=np.array([1e-3, 1e6, 1e-3, 1e-3]), recorded=np.ones(4, dtype=bool),
                    on_path=np.ones(4, dtype=bool), loss_limit=1e6)  # fmt: skip
    found = network_of(objective).run_steps(block, rule, theta, (), 0.0)
    assert found.taken == 2
    assert len(found.values) == len(found.path) == 2
    assert (found.theta == found.path[-1]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_steps_end_at_a_loss_that_is_no_number(bad):
    objective, theta, batch = problem("mean-squared-error", "tanh", weighted=False)
    batch.targets[3] = bad
    rule = update_rule(spec.SGD(), objective.weight_mask)
    block = replace(block_of(batch, 100, 7), rows=np.arange(700)[::-1].copy())
    found = network_of(objective).run_steps(block, rule, theta, (), 0.0)
    assert found.taken == 6
    assert np.isfinite(found.theta).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("hidden", [(17, 9), (64,), (1,), (6, 5, 3)])
def test_logits_of_an_event_have_the_same_bits_whatever_the_others_are(dtype, hidden):
    objective, theta, batch = problem("cross-entropy", "gelu", dtype, hidden=hidden)
    network, random = network_of(objective), np.random.default_rng(0)
    whole = network.logits(theta, batch.inputs)
    twin = layers.logits(objective.model.layers(theta), objective.model.function, batch.inputs)
    np.testing.assert_allclose(whole, twin, rtol=1e-4 if dtype == "float32" else 1e-11, atol=1e-5)
    for count in (1, 2, 3, 7, 8, 9, 31, 255, 256, 257):
        rows = random.permutation(len(batch))[:count]
        assert (network.logits(theta, batch.inputs[rows]) == whole[rows]).all()


def test_four_fits_at_once_have_the_bits_of_one():
    objective, theta, batch = problem(hidden=(64, 64), events=2000, dtype="float32")
    rule = update_rule(spec.Adam(), objective.weight_mask)
    block = block_of(batch, 500, steps=4)

    def fit(results, number):
        results[number] = bits(
            network_of(objective).run_steps(block, rule, theta, rule.initial_state(theta), 0.0)
        )

    alone, results = {}, {}
    fit(alone, 0)
    fits = [threading.Thread(target=fit, args=(results, number)) for number in range(4)]
    for one in fits:
        one.start()
    for one in fits:
        one.join(60)
    assert [results[number] for number in range(4)] == [alone[0]] * 4
