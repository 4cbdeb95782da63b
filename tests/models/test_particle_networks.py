"""Every particle network: published size, symmetries, the outputs of weaver-core, derivatives."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from steepest.errors import EventsError, RecipeError
from steepest.events.particles import FEATURES, particle_groups
from steepest.groups import MOMENTA, PARTICLES, POINTS, Groups, Jagged, join_inputs
from steepest.losses import loss_named
from steepest.models import kind_named
from steepest.objective import Batch, StepBlock
from steepest.optimizers import update_rule
from steepest.recipe import Optimizer

torch = pytest.importorskip("torch")

from steepest.models.cloud import Cloud  # noqa: E402
from steepest.models.dropout import dropout  # noqa: E402
from steepest.models.masked_cloud import MaskedCloud  # noqa: E402
from steepest.models.torch_model import NETWORKS, TorchModel  # noqa: E402
from steepest.objective.autograd import AutogradObjective, cloud_of  # noqa: E402

INPUTS = {PARTICLES: tuple("abcdefg"), POINTS: ("eta", "phi"), MOMENTA: ("E", "px", "py", "pz")}
RULE = TypeAdapter(Optimizer)
LENGTHS = np.array([12, 7, 3, 1, 9, 0, 5])

networks = pytest.mark.parametrize("name", NETWORKS)
LARGE = ("particle-transformer", "lorentz-net")
large_ones_slowly = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in LARGE else n for n in NETWORKS]
)


def jets(lengths=LENGTHS, seed: int = 0) -> Groups:
    random, total = np.random.default_rng(seed), int(np.sum(lengths))
    momentum = random.normal(scale=10.0, size=(total, 3))
    energy = np.sqrt((momentum**2).sum(axis=1, keepdims=True) + 1.0)
    arrays = {
        PARTICLES: random.normal(size=(total, 7)),
        POINTS: random.normal(size=(total, 2)),
        MOMENTA: np.concatenate([energy, momentum], axis=1),
    }
    return Groups({name: Jagged.of_lengths(a, lengths) for name, a in arrays.items()})


def disturb(module) -> None:
    """Give normalisations, which start as the identity, something to do."""
    torch.manual_seed(4)
    for key, buffer in module.named_buffers():
        if key.endswith("running_mean"):
            buffer.normal_(0.0, 0.3)
        if key.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    for parameter in module.parameters():
        if parameter.dim() == 1:
            torch.nn.init.normal_(parameter, 1.0, 0.2)


def module_of(name: str, outputs: int = 2):
    """The network in float64 and evaluation mode."""
    torch.manual_seed(1)
    module = TorchModel.build(name, {}, INPUTS, outputs).module().double().eval()
    disturb(module)
    return module


def logits(module, inputs: Groups) -> np.ndarray:
    with torch.no_grad():
        return module(cloud_of(inputs)).numpy()


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("deep-sets", 82_858),
        ("particle-net", 366_160),
        ("particle-net-lite", 26_416),
        ("particle-transformer", 2_141_134),
        ("lorentz-net", 224_072),
    ],
)
def test_networks_have_their_published_size(name: str, parameters: int) -> None:
    """With seven features and two classes; 82,458 of Deep Sets with three features."""
    assert TorchModel.build(name, {}, INPUTS, 2).size == parameters


@networks
def test_particles_in_another_order_change_nothing(name: str) -> None:
    inputs, random = jets(), np.random.default_rng(3)
    ends = np.cumsum(LENGTHS)
    order = np.concatenate(
        [random.permutation(np.arange(end - n, end)) for n, end in zip(LENGTHS, ends, strict=True)]
    )
    module = module_of(name)
    shuffled = inputs.map(lambda _, values: values[order])
    np.testing.assert_allclose(logits(module, inputs), logits(module, shuffled), atol=1e-10)


@networks
def test_the_longest_jet_of_a_batch_changes_nothing_for_the_others(name: str) -> None:
    """A jet alone, beside short ones, and beside one of 40 particles has the same logits."""
    inputs, module = jets(), module_of(name)
    together = logits(module, inputs)
    for jet in range(len(LENGTHS)):
        alone = logits(module, inputs[jet : jet + 1])
        np.testing.assert_allclose(alone[0], together[jet], atol=1e-10)
    longer = jets(np.array([40]), seed=9)
    padded = logits(module, join_inputs([inputs, longer]))
    np.testing.assert_allclose(padded[:-1], together, atol=1e-10)


@large_ones_slowly
def test_derivatives_are_those_of_differences(name: str) -> None:
    """∇J and ∇²J·v along a direction, against central differences of J in float64."""
    model = TorchModel.build(name, {"dropout": 0.0}, INPUTS, 1)
    objective = AutogradObjective(model, loss_named("binary-cross-entropy"), 1e-3, "float64")
    random = np.random.default_rng(0)
    batch = Batch(jets(), random.integers(0, 2, len(LENGTHS)).astype(float), random.random(7))
    theta, memory = objective.initial(1), objective.memory()
    # a short way along a smooth direction crosses few of the ReLUs' kinks
    direction = random.normal(size=objective.size) / np.sqrt(objective.size)

    def training(at: np.ndarray) -> float:
        objective.restore(memory)
        return objective.loss_and_gradient(at, batch)[0]

    objective.restore(memory)
    _, gradient = objective.loss_and_gradient(theta, batch)
    step = 1e-6
    slope = (training(theta + step * direction) - training(theta - step * direction)) / (2 * step)
    assert gradient @ direction == pytest.approx(slope, rel=2e-3, abs=1e-7)

    objective.restore(memory)
    product = objective.hessian_vector(theta, direction, batch)
    other = random.normal(size=objective.size)
    mirrored = objective.hessian_vector(theta, other, batch)
    assert product @ other == pytest.approx(mirrored @ direction, rel=1e-6, abs=1e-9)


@pytest.mark.slow
def test_curvature_of_a_smooth_network_is_that_of_differences() -> None:
    """Particle Transformer has no kinks: vᵀ∇²J v is the second difference of J."""
    model = TorchModel.build("particle-transformer", {}, INPUTS, 1)
    objective = AutogradObjective(model, loss_named("binary-cross-entropy"), 0.0, "float64")
    batch = Batch(jets(), np.array([0.0, 1, 1, 0, 1, 0, 1]))
    theta, random = objective.initial(2), np.random.default_rng(1)
    v, step = random.normal(size=objective.size), 1e-4
    points = [objective.loss(theta + s * step * v, batch) for s in (-1, 0, 1)]
    second = (points[0] - 2 * points[1] + points[2]) / step**2
    assert v @ objective.hessian_vector(theta, v, batch) == pytest.approx(second, rel=1e-3)


def boost(momenta: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """E, px, py, pz seen from a frame that moves with −velocity."""
    beta2 = velocity @ velocity
    gamma = 1 / np.sqrt(1 - beta2)
    along = momenta[:, 1:] @ velocity
    energy = gamma * (momenta[:, 0] + along)
    shift = ((gamma - 1) * along / beta2 + gamma * momenta[:, 0])[:, None] * velocity
    return np.concatenate([energy[:, None], momenta[:, 1:] + shift], axis=1)


def rotate(momenta: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return np.concatenate([momenta[:, :1], momenta[:, 1:] @ matrix.T], axis=1)


def lorentz_net(**options):
    torch.manual_seed(0)
    module: Any = TorchModel.build("lorentz-net", options, INPUTS, 2).module().double().eval()
    for layer in module.layers[:-1]:  # published weights start so small that p hardly moves
        layer.move[-1].weight.data *= 300
    return module


def test_lorentz_net_is_invariant_under_boosts_and_rotations() -> None:
    inputs, module = jets(), lorentz_net(beams=False)
    q, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    before = logits(module, inputs)
    for change in (
        lambda p: boost(p, np.array([0.3, -0.2, 0.5])),
        lambda p: rotate(p, q),
    ):
        after = logits(module, inputs.map(lambda n, v, c=change: c(v) if n == MOMENTA else v))
        np.testing.assert_allclose(after, before, rtol=1e-7, atol=1e-9)


def test_beams_leave_lorentz_net_invariant_under_rotations_about_them_alone() -> None:
    inputs, module = jets(), lorentz_net()
    before = logits(module, inputs)
    c, s = np.cos(0.7), np.sin(0.7)
    about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    about_x = np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])

    def turned(matrix: np.ndarray) -> np.ndarray:
        return logits(module, inputs.map(lambda n, v: rotate(v[:], matrix) if n == MOMENTA else v))

    np.testing.assert_allclose(turned(about_z), before, rtol=1e-7, atol=1e-9)
    assert np.abs(turned(about_x) - before).max() > 1e-6


@large_ones_slowly
def test_dropout_and_running_means_go_on_where_they_were_restored(name: str) -> None:
    model = TorchModel.build(name, {"dropout": 0.3}, INPUTS, 1)
    objective = AutogradObjective(model, loss_named("binary-cross-entropy"))
    inputs = jets().map(lambda _, values: values[:].astype(np.float32))
    batch = Batch(inputs, np.array([0, 1, 1, 0, 1, 0, 1], dtype=np.float32))
    theta = objective.initial(0)
    objective.restore(objective.initial_memory(5))
    objective.loss_and_gradient(theta, batch)
    middle = objective.memory()
    first = [objective.loss_and_gradient(theta, batch)[0] for _ in range(3)]
    objective.restore(middle)
    assert [objective.loss_and_gradient(theta, batch)[0] for _ in range(3)] == first
    assert len(set(first)) == 3  # dropout drew anew each time
    state = torch.random.get_rng_state()
    objective.loss_and_gradient(theta, batch)
    assert torch.equal(state, torch.random.get_rng_state())  # the user's own stream is left alone


@networks
def test_kinds_are_found_by_their_name(name: str) -> None:
    model = kind_named(name).build({}, INPUTS, 2)
    assert kind_named(name).from_config(model.config()) == model


def test_neighbours_are_the_nearest_of_the_same_jet() -> None:
    inputs = jets()
    cloud, points, k = cloud_of(inputs), inputs[POINTS].values, 4
    found = cloud.neighbours(cloud[POINTS], k).numpy()
    jet = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    for i in range(len(points)):
        others = np.flatnonzero((jet == jet[i]) & (np.arange(len(jet)) != i))
        distance = ((points[others] - points[i]) ** 2).sum(axis=1)
        nearest = set(others[np.argsort(distance)[:k]])
        assert set(found[i]) - {len(points)} == nearest
        assert np.count_nonzero(found[i] == len(points)) == k - len(nearest)


def test_pairs_are_those_of_a_jet() -> None:
    cloud = Cloud({}, {}, torch.tensor([2, 0, 3]))
    i, j = cloud.pairs(ordered=True)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [
        (0, 1), (1, 0), (2, 3), (2, 4), (3, 2), (3, 4), (4, 2), (4, 3),
    ]  # fmt: skip
    i, j = cloud.pairs(ordered=False)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == [
        (0, 0), (1, 0), (1, 1), (2, 2), (3, 2), (3, 3), (4, 2), (4, 3), (4, 4),
    ]  # fmt: skip


PARTICLE_NET = (
    (r"^norm\.", "bn_fts."),
    (r"^convolutions", "edge_convs"),
    (r"\.layers\.", ".convs."),
    (r"\.norms\.", ".bns."),
    (r"shortcut\.0", "sc"),
    (r"shortcut\.1", "sc_bn"),
    (r"^hidden", "fc.0.0"),
    (r"^out", "fc.1"),
)
TRANSFORMER = (
    (r"^embedding\.0\.", "embed.input_bn."),
    (r"^embedding\.(\d)", lambda match: f"embed.embed.{int(match[1]) - 1}"),
    (r"^pair_bias\.layers", "pair_embed.embed"),
    (r"^token_blocks", "cls_blocks"),
    (r"^token$", "cls_token"),
    (r"before_attention", "pre_attn_norm"),
    (r"projections", "attn.in_proj"),
    (r"head_scale", "c_attn"),
    (r"attention_out", "attn.out_proj"),
    (r"after_attention", "post_attn_norm"),
    (r"before_layers", "pre_fc_norm"),
    (r"after_expand", "post_fc_norm"),
    (r"expand", "fc1"),
    (r"contract", "fc2"),
    (r"shortcut_scale", "w_resid"),
    (r"^out", "fc.0"),
)
"""Our names of parameters and buffers, to weaver's."""


def load_weaver(ours, theirs, names) -> None:
    """Load weaver's parameters and buffers into ours."""
    state, source = {}, theirs.state_dict()
    for name, value in ours.state_dict().items():
        other = name
        for pattern, replacement in names:
            other = re.sub(pattern, replacement, other)
        state[name] = source.pop(other).reshape(value.shape)
    assert not source
    ours.load_state_dict(state)


@pytest.mark.parametrize("name", ["particle-net", "particle-net-lite", "particle-transformer"])
def test_outputs_are_those_of_weaver(name: str) -> None:
    """With weaver-core's weights, on jets of 1 to 12 particles: fewer than neighbours too."""
    inputs = jets(LENGTHS[LENGTHS > 0])
    cloud = cloud_of(inputs)
    ours = TorchModel.build(name, {}, INPUTS, 2).module().double().eval()
    if name == "particle-transformer":
        module = pytest.importorskip("weaver.nn.model.ParticleTransformer")
        theirs = module.ParticleTransformer(7, 2, trim=False)
    else:
        module = pytest.importorskip("weaver.nn.model.ParticleNet")
        full = {
            "conv_params": [(16, (64,) * 3), (16, (128,) * 3), (16, (256,) * 3)],
            "fc_params": [(256, 0.1)],
        }
        options = full if name == "particle-net" else {}
        theirs = module.ParticleNet(7, 2, use_fusion=False, trim=False, **options)
    theirs = theirs.double().eval()
    disturb(theirs)
    load_weaver(ours, theirs, TRANSFORMER if name == "particle-transformer" else PARTICLE_NET)
    # weaver takes (jets, features, particles), at least as many as neighbours and one; E is last
    pad = torch.nn.functional.pad
    wide = {n: pad(cloud.padded(values).mT, (0, 20)) for n, values in cloud.particles.items()}
    mask = pad(cloud.mask[:, None], (0, 20))
    if name == "particle-transformer":
        expected = theirs(wide[PARTICLES], wide[MOMENTA][:, [1, 2, 3, 0]], mask)
    else:
        expected = theirs(wide[POINTS], wide[PARTICLES], mask)
    np.testing.assert_allclose(logits(ours, inputs), expected.detach().numpy(), atol=1e-5)


def test_features_of_particles_are_those_of_vector() -> None:
    vector = pytest.importorskip("vector")
    momenta = jets(LENGTHS, seed=5)[MOMENTA]
    derived = particle_groups(momenta)
    assert (derived.cut, derived.empty) == (0, int(np.count_nonzero(LENGTHS == 0)))
    values, offsets = derived.groups[PARTICLES].values, momenta.offsets
    for start, stop in pairwise(offsets):
        E, px, py, pz = momenta.values[start:stop].T
        particles = vector.array({"px": px, "py": py, "pz": pz, "E": E})
        jet = vector.obj(px=px.sum(), py=py.sum(), pz=pz.sum(), E=E.sum())
        expected = {
            "log_pt": np.log(particles.pt),
            "log_energy": np.log(E),
            "log_pt_fraction": np.log(particles.pt / jet.pt) if len(E) else E,
            "log_energy_fraction": np.log(E / jet.E) if len(E) else E,
            "delta_r": particles.deltaR(jet),
            "delta_eta": particles.eta - jet.eta if len(E) else E,
            "delta_phi": particles.deltaphi(jet),
        }
        got: dict[str, Any] = dict(zip(FEATURES, values[start:stop].T, strict=True))
        for name, numbers in expected.items():
            np.testing.assert_allclose(got[name], numbers, rtol=1e-5, atol=1e-5, err_msg=name)


def test_the_hardest_particles_are_kept_with_the_axis_of_all() -> None:
    momenta = jets(LENGTHS, seed=6)[MOMENTA]
    all_of_them, derived = particle_groups(momenta), particle_groups(momenta, most=4)
    assert derived.cut == np.count_nonzero(LENGTHS > 4)
    for event in range(len(LENGTHS)):
        whole = all_of_them.groups[PARTICLES][event : event + 1].values[:]
        kept = derived.groups[PARTICLES][event : event + 1].values
        hardest = np.sort(np.argsort(-whole[:, 0])[:4])
        np.testing.assert_array_equal(kept, whole[hardest])


@pytest.mark.parametrize(
    ("momentum", "message"),
    [
        ([np.nan, 1, 2, 3], "is not finite"),
        ([0, 0, 0, 0], "has no transverse momentum"),
        ([5, 0, 0, 5], "has no transverse momentum"),
        ([3, 4, 0, 0], "has less energy than momentum"),
    ],
)
def test_momenta_that_cannot_be_are_named(momentum: list[float], message: str) -> None:
    momenta = jets(np.array([2, 3]))[MOMENTA]
    values = momenta.values.copy()
    values[3] = momentum
    with pytest.raises(EventsError, match=f"Particle 1 of the event at row 1 {message}"):
        particle_groups(Jagged(values, momenta.offsets))


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_blocks_of_steps_are_steps_one_by_one(optimizer: str) -> None:
    """Five steps on the device, against five by the rule in NumPy: every number of the result."""
    objective, batch = deep_sets_with_dropout()
    rule = update_rule(RULE.validate_python({"name": optimizer}), objective.weight_mask)
    theta, rows = objective.initial(0), np.array([0, 3, 5, 1, 2, 4, 6, 0, 2, 3])
    rates = np.linspace(0.01, 0.02, 5)
    state = rule.initial_state(theta)
    wanted = np.array([True, False, True, True, False])
    block = StepBlock(batch, rows, 2, rates, 3, wanted, ~wanted, 1e9)
    objective.restore(objective.initial_memory(5))
    result = objective.run_steps(block, rule, theta, state, 1.5)
    memory = objective.memory()
    objective.restore(objective.initial_memory(5))
    loss_sum, values, path = 1.5, [], []
    for step, rate in enumerate(rates.tolist()):
        loss, gradient = objective.loss_and_gradient(
            theta, batch.take(rows[2 * step : 2 * step + 2])
        )
        before = theta
        theta, state = rule.update(theta, gradient, state, rate, 4 + step)
        loss_sum += loss
        ratio = np.linalg.norm(theta - before) / np.linalg.norm(before)
        values.append((loss, rate, np.linalg.norm(gradient), ratio))
        path.append(theta)
    np.testing.assert_allclose(result.theta, theta, rtol=1e-4, atol=1e-5)
    for ours, expected in zip(result.optimizer_state, state, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(result.values, np.array(values)[wanted], rtol=1e-4)
    np.testing.assert_allclose(result.path, np.array(path)[~wanted], rtol=1e-4, atol=1e-5)
    assert (result.taken, result.exceeded) == (5, False)
    assert result.loss_sum == pytest.approx(loss_sum, rel=1e-6)
    assert memory.streams == objective.memory().streams


def test_a_block_says_that_a_loss_was_above_the_limit() -> None:
    objective, batch = deep_sets_with_dropout()
    rule = update_rule(RULE.validate_python({"name": "sgd"}), objective.weight_mask)
    theta, none = objective.initial(0), np.zeros(2, dtype=bool)
    objective.restore(objective.initial_memory(5))
    block = StepBlock(batch, None, 4, np.full(2, 0.1), 0, none, none, 1e-9)
    assert objective.run_steps(block, rule, theta, rule.initial_state(theta), 0.0).exceeded


def deep_sets_with_dropout():
    model = TorchModel.build("deep-sets", {"dropout": 0.3}, INPUTS, 1)
    objective = AutogradObjective(model, loss_named("binary-cross-entropy"), 1e-3)
    inputs = jets().map(lambda _, values: values[:].astype(np.float32))
    return objective, Batch(inputs, np.array([0, 1, 1, 0, 1, 0, 1], dtype=np.float32))


@pytest.mark.parametrize(
    ("kind", "options", "inputs", "message"),
    [
        ("deep-sets", {"width": 3}, INPUTS, "has no option 'width'"),
        ("deep-sets", {}, ("pt", "mass"), "reads particles"),
        ("module", {"module": "no_such_package:Net"}, INPUTS, "cannot be imported"),
    ],
)
def test_networks_that_cannot_be_made_are_refused(kind, options, inputs, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        kind_named(kind).build(options, inputs, 1)


def test_groups_of_other_particles_are_refused() -> None:
    other = Jagged.of_lengths(np.zeros((4, 2)), np.array([1, 3]))
    inputs = Groups(
        {PARTICLES: Jagged.of_lengths(np.zeros((4, 7)), np.array([2, 2])), POINTS: other}
    )
    with pytest.raises(EventsError, match="differ in event 0"):
        cloud_of(inputs)


@pytest.mark.parametrize("name", ["particle-net", "particle-transformer"])
def test_buckets_change_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jets in any order, padded a few at a time or all at once: the same logits and gradient."""
    small = {
        "particle-net": {"convolutions": [[4, [8, 8]], [4, [8]]], "hidden": 8, "dropout": 0.0},
        "particle-transformer": {
            "embedding": [16], "pair_widths": [8], "attention_heads": 2, "layers": 2,
            "dropout": 0.0,
        },
    }  # fmt: skip
    lengths = np.random.default_rng(3).integers(0, 20, 41)
    module = TorchModel.build(name, small[name], INPUTS, 2).module().double()
    results = []
    for bucket in (3, 16, 1000):
        monkeypatch.setattr("steepest.models.cloud.BUCKET", bucket)
        cloud = cloud_of(jets(lengths))
        assert len(cloud.buckets) == -(-41 // bucket)
        module.train()
        out = module(cloud)
        gradient = torch.autograd.grad(out.square().sum(), list(module.parameters()))
        results.append([out.detach(), *gradient])
    for other in results[1:]:
        for one, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(one, expected, rtol=1e-8, atol=1e-8)
    rows = np.random.default_rng(4).permutation(41)
    inputs = jets(lengths)
    np.testing.assert_allclose(
        logits(module.eval(), inputs[rows]), logits(module, inputs)[rows], atol=1e-8
    )


def test_a_transformer_that_was_saved_before_auxiliary_heads() -> None:
    """What was called heads then are the heads of an attention."""
    name = "particle-transformer"
    model = TorchModel.build(name, {"attention_heads": 4}, INPUTS, 2)
    config = model.config()
    options = dict(config["options"])
    options["heads"] = options.pop("attention_heads")
    assert kind_named(name).from_config(config | {"options": options}) == model


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_share_and_the_mean(p: float) -> None:
    """Of 10⁶ entries: shares to five standard deviations, no row or column alike, its gradient."""
    torch.manual_seed(1)
    x = torch.ones(1000, 1000, dtype=torch.float64, requires_grad=True)
    y = dropout(x, p)
    zeros = (y == 0).double()
    assert abs(float(zeros.mean()) - p) < 5e-3 * np.sqrt(p * (1 - p))
    for axis in (0, 1):
        spread = float(zeros.mean(axis).var()) * 1000
        assert abs(spread / (p * (1 - p)) - 1) < 0.25
    assert abs(float((zeros[:, 1:] * zeros[:, :-1]).mean()) - p**2) < 5e-3
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], y)
    assert dropout(x, 0.0) is not None
    torch.testing.assert_close(dropout(x, 0.0), x)
    torch.testing.assert_close(dropout(x, 1.0), torch.zeros_like(x))


@networks
def test_padding_may_stand_anywhere(name: str):
    """A padded batch, as exporters see it, is the batch without padding."""
    groups, random = jets(), np.random.default_rng(1)
    places = [np.sort(random.choice(15, length, replace=False)) for length in LENGTHS]
    mask = np.zeros((len(LENGTHS), 15), dtype=bool)
    for row, place in zip(mask, places, strict=True):
        row[place] = True
    padded = {}
    for group in NETWORKS[name].groups:
        values = np.full((*mask.shape, groups[group].values.shape[1]), 3.0)
        values[mask] = groups[group].values
        padded[group] = torch.from_numpy(values)
    network = TorchModel.build(name, {}, INPUTS, 2).module().double().eval()
    wanted = groups.map(lambda _, values: np.asarray(values, dtype=np.float64))
    with torch.no_grad():
        expected = network(cloud_of(wanted)).numpy()
        found = network(MaskedCloud(padded, {}, torch.from_numpy(mask))).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)
