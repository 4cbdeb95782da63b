"""Loops of PyTorch: faults are named, healthy ones are not, and nothing of the loop changes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import steepest
from steepest.errors import InputError
from steepest.training import TrainingCallback

torch = pytest.importorskip("torch")
nn: Any = torch.nn

RANDOM = np.random.default_rng(1)
X = torch.tensor(RANDOM.normal(size=(1024, 4)), dtype=torch.float32)
Y = ((X[:, :1] + 0.7 * X[:, 1:2] * X[:, 2:3]) > 0).float()
BCE = nn.BCEWithLogitsLoss()


@pytest.fixture(autouse=True)
def one_thread():
    """Small products: threads would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def batches(x: Any = X, y: Any = Y) -> list[Any]:
    return list(zip(x.split(64), y.split(64), strict=True))


def network(*, depth: int = 1, activation: Any = nn.ReLU, last: Any = None, scale: float = 1.0):
    torch.manual_seed(3)
    layers: list[Any] = []
    width = 4
    for _ in range(depth):
        layers += [nn.Linear(width, 24), activation()]
        width = 24
    module = nn.Sequential(*layers, nn.Linear(width, 1), *([last()] if last else []))
    with torch.no_grad():
        for p in module.parameters():
            p.mul_(scale)
    return module


def trained(module: Any, optimizer: Any, data: list[Any], loss: Any, epochs: int) -> None:
    for _ in range(epochs):
        for x, y in data:
            optimizer.zero_grad()
            loss(module(x), y).backward()
            optimizer.step()


def explained(
    module: Any,
    rate: float = 0.01,
    *,
    optimizer: str = "Adam",
    loss: Any = BCE,
    data: list[Any] | None = None,
    epochs: int = 0,
    try_fixes: bool = True,
    **options: Any,
) -> Any:
    used = getattr(torch.optim, optimizer)(module.parameters(), lr=rate, **options)
    data = data or batches()
    trained(module, used, data, loss, epochs)
    return steepest.explain(module, loss, data, used, try_fixes=try_fixes)


def constant(module: Any) -> Any:
    for p in module.parameters():
        nn.init.constant_(p, 0.1)
    return module


def zero(module: Any) -> Any:
    for p in module.parameters():
        nn.init.zeros_(p)
    return module


def negative(module: Any) -> Any:
    with torch.no_grad():
        module[0].bias.fill_(-50.0)
    return module


@pytest.mark.parametrize(
    ("fault", "causes"),
    [
        (lambda: explained(network(), 3.0, epochs=2), {"learning-rate-too-large", "dead-units"}),
        (lambda: explained(network(), 30.0, optimizer="SGD"), {"learning-rate-too-large"}),
        (lambda: explained(network(), 1e-6), {"learning-rate-too-small"}),
        (lambda: explained(network(), maximize=True), {"gradient-sign"}),
        (lambda: explained(network(), loss=lambda z, y: -BCE(z, y)), {"gradient-sign"}),
        (lambda: explained(network(last=nn.Sigmoid)), {"wrong-output-activation"}),
        (lambda: explained(network(last=nn.ReLU)), {"wrong-output-activation"}),
        (
            lambda: explained(network(last=nn.Tanh), loss=nn.MSELoss(), data=batches(y=5 * Y)),
            {"wrong-output-activation"},
        ),
        (lambda: explained(zero(network())), {"symmetric-start"}),
        (lambda: explained(constant(network())), {"symmetric-start"}),
        (lambda: explained(network(scale=30.0)), {"start-too-far"}),
        (lambda: explained(negative(network())), {"dead-units"}),
        (
            lambda: explained(network(activation=nn.Tanh), data=batches(1e3 * X)),
            {"saturated-units", "features-unscaled"},
        ),
        (lambda: explained(network(depth=10, activation=nn.Sigmoid)), {"gradients-vanish"}),
        (
            lambda: explained(network(depth=8, activation=nn.ReLU, scale=0.2), loss=BCE),
            {"gradients-vanish", "dead-units"},
        ),
        (
            lambda: explained(network(), data=batches(X * torch.tensor([1e-3, 1.0, 50.0, 1e3]))),
            {"features-unscaled"},
        ),
        (
            lambda: explained(network(), loss=nn.MSELoss(), data=batches(y=Y[:, 0])),
            {"shapes-broadcast"},
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Using a target size:UserWarning")
def test_a_fault_is_named_first_or_second(fault: Callable[[], Any], causes: set[str]):
    found = fault()
    assert causes & {one.cause for one in found.findings[:2]}
    assert found.findings[0].severity == "wrong" or found.findings[0].cause in causes


@pytest.mark.parametrize("epochs", [0, 5])
@pytest.mark.parametrize(
    ("optimizer", "rate", "options"),
    [
        ("Adam", 0.01, {}),
        ("AdamW", 0.003, {}),
        ("SGD", 0.3, {"momentum": 0.5, "nesterov": True}),
        ("SGD", 0.5, {}),
        ("RMSprop", 0.003, {}),
    ],
)
def test_healthy_loops(optimizer: str, rate: float, options: dict[str, Any], epochs: int):
    found = explained(network(), rate, optimizer=optimizer, epochs=epochs, **options)
    assert not [one.cause for one in found.findings if one.severity == "wrong"]


def test_an_activation_is_the_last_that_is_called_not_the_last_that_was_added():
    class Later(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.hidden = nn.Linear(24, 1), nn.Sequential(nn.Linear(4, 24), nn.ReLU())
            nn.init.constant_(self.last.bias, 9.0)

        def forward(self, x: Any) -> Any:
            return self.last(self.hidden(x))

    assert "wrong-output-activation" not in {one.cause for one in explained(Later()).findings}
    squashed = nn.Sequential(Later(), nn.Flatten(), nn.Sigmoid(), nn.Unflatten(1, (1,)))
    assert explained(squashed).findings[0].cause == "wrong-output-activation"


def test_a_rate_at_which_all_tried_ones_are_lost():
    found = explained(network(), 1e5, optimizer="SGD")
    assert [(one.cause, one.severity) for one in found.findings][:1] == [
        ("learning-rate-too-large", "wrong")
    ]


def test_steps_that_jump_about_a_minimum_are_not_wrong():
    found = explained(network(), 0.1, epochs=20)
    assert not [one for one in found.findings if one.severity == "wrong"]


def test_multiclass_with_softmax_before_the_loss():
    y = (Y[:, 0] + (X[:, 3] > 0)).long()
    module = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3), nn.Softmax(dim=1))
    found = explained(module, loss=nn.CrossEntropyLoss(), data=batches(y=y))
    assert found.findings[0].cause == "wrong-output-activation"


def test_curvature_and_noise_are_those_of_plain_algebra():
    line = nn.Linear(4, 1).double()
    x, y = X.double(), Y.double()
    optimizer = torch.optim.SGD(line.parameters(), lr=0.1)
    found = steepest.explain(line, nn.MSELoss(), batches(x, y), optimizer, try_fixes=False)
    design = np.column_stack([x.numpy(), np.ones(1024)])
    exact = np.linalg.eigvalsh(2 / 1024 * design.T @ design)
    measured = found.measured.measured
    assert measured.sharpness.largest == pytest.approx(exact[-1], rel=1e-3)
    assert measured.lowest == pytest.approx(0.1 * exact[0], rel=1e-2)
    theta = np.r_[line.weight.detach().numpy().ravel(), line.bias.detach().numpy()]
    single = 2 * design * (design @ theta - y.numpy()[:, 0])[:, None]
    assert measured.noise.variance == pytest.approx(single.var(axis=0).sum(), rel=0.4)


def test_nothing_of_the_loop_changes():
    module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5),
                           nn.Linear(8, 1))  # fmt: skip
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    data = batches()
    trained(module, optimizer, data, BCE, 1)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    gradients = [p.grad.clone() for p in module.parameters()]
    moments = [s["exp_avg"].clone() for s in optimizer.state.values()]
    torch.manual_seed(9)
    kept_random = torch.random.get_rng_state()
    steepest.explain(module, BCE, data, optimizer)
    assert all(bool((v == before[k]).all()) for k, v in module.state_dict().items())
    assert all(
        bool((p.grad == g).all()) for p, g in zip(module.parameters(), gradients, strict=True)
    )
    kept = [s["exp_avg"] for s in optimizer.state.values()]
    assert all(bool((a == b).all()) for a, b in zip(kept, moments, strict=True))
    assert bool((torch.random.get_rng_state() == kept_random).all())
    assert module.training
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_a_loss_that_is_not_finite_is_said_so():
    bad = X.clone()
    bad[70] = math.nan
    found = explained(network(), data=batches(bad))
    assert found.findings[0].cause == "loss-not-finite"
    assert "batch 1" in found.findings[0].seen
    assert "inputs of the loader" in found.findings[0].seen
    broken = network()
    with torch.no_grad():
        broken[0].weight[0, 0] = math.inf
    assert "0.weight" in explained(broken).findings[0].seen
    log = explained(network(), loss=lambda z, y: (z - z).log().mean() * y.mean())
    assert "log" in log.findings[0].do


class _Opaque(torch.autograd.Function):
    """A square whose derivative cannot be differentiated again."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        context.save_for_backward(x)
        return x * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *upstream: Any) -> Any:
        return 2 * context.saved_tensors[0] * upstream[0]


def test_without_second_derivatives_it_says_what_is_lost():
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return _Opaque.apply(self.line(x))

    found = explained(Module())
    said = next(one for one in found.checks if one.name == "curvature")
    assert not said.passed
    assert "though ∇J changes" in said.sentence
    assert "saddle or minimum" in said.sentence


def test_parameters_that_are_not_optimised_or_have_no_gradient():
    module = network()
    optimizer = torch.optim.Adam(module[0].parameters(), lr=0.01)
    found = steepest.explain(module, BCE, batches(), optimizer, try_fixes=False)
    assert found.findings[0].cause == "parameters-not-optimised"

    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(4, 1), nn.Linear(4, 1)

        def forward(self, x: Any) -> Any:
            return self.used(x)

    assert "no-gradient" in {one.cause for one in explained(Module()).findings}


def test_an_optimiser_of_another_module():
    found = steepest.explain(
        network(), BCE, batches(), torch.optim.Adam(network().parameters(), lr=0.01)
    )
    assert found.findings[0].cause == "parameters-not-optimised"
    assert "another module" in found.findings[0].seen
    assert [one.passed for one in found.checks if one.name == "trial"] == [False]


def test_a_rate_of_zero():
    found = explained(network(), 0.0)
    assert found.verdict.endswith("η is 0.")
    assert found.findings[0].severity == "wrong"
    module = network()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 10)
    warming = steepest.explain(module, BCE, batches(), optimizer)
    assert "η is 0 now; a scheduler sets it, from 0.001." in warming.verdict
    for one in (*found.checks, *warming.checks):
        assert not (one.passed and "nan" in one.sentence)


@pytest.mark.parametrize("shuffle", [False, True])
def test_the_random_numbers_of_a_loader_stay(shuffle: bool):
    module, data = network(), torch.utils.data.TensorDataset(X, Y)
    own = torch.Generator().manual_seed(3)
    state = own.get_state()
    for generator in (None, own):
        loader = torch.utils.data.DataLoader(
            data, batch_size=64, shuffle=shuffle, generator=generator
        )
        torch.manual_seed(9)
        before = torch.get_rng_state(), random.getstate()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        steepest.explain(module, BCE, loader, optimizer, try_fixes=False)
        assert bool((torch.get_rng_state() == before[0]).all())
        assert random.getstate() == before[1]
    assert bool((own.get_state() == state).all())


def test_a_loss_with_the_other_sign_is_wrong():
    found = explained(network(), 1e-4, loss=lambda z, y: -BCE(z, y), try_fixes=False)
    assert found.verdict.endswith(found.findings[0].title)
    assert (found.findings[0].cause, found.findings[0].severity) == ("gradient-sign", "wrong")
    assert "binary_cross_entropy_with_logits" in found.findings[0].seen
    endless = explained(network(), 1e-2, loss=lambda z, y: -BCE(z, y) - 0.1)
    assert (endless.findings[0].cause, endless.findings[0].severity) == ("gradient-sign", "wrong")
    density = explained(network(), 1e-3, loss=lambda z, y: ((z - y) ** 2).mean() - 2.0)
    assert not [one for one in density.findings if one.severity == "wrong"]


def test_weights_that_are_nan_are_not_dead_units():
    module = network()
    with torch.no_grad():
        module[0].weight.fill_(math.nan)
    found = explained(module)
    assert [one.cause for one in found.findings] == ["loss-not-finite"]
    assert not [one for one in found.checks if one.passed and "gradient" in one.sentence]
    assert not [one for one in found.checks if one.passed and "nan" in one.sentence]


def test_a_healthy_network_of_sequences_is_not_wrong_before_its_first_step():
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.out = nn.LSTM(1, 8, batch_first=True), nn.Linear(8, 1)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(x[:, :, None])[0][:, -1])

    torch.manual_seed(0)
    found = explained(Recurrent(), 1e-3)
    assert not [one for one in found.findings if one.severity == "wrong"]


def test_what_is_refused():
    for optimizer, said in (
        (None, "NoneType"),
        (torch.optim.LBFGS(network().parameters()), "closure"),
        (torch.optim.SGD([torch.zeros(2)], lr=0.1), "none"),
    ):
        with pytest.raises(InputError, match=said):
            steepest.explain(network(), BCE, batches(), optimizer)
    module = network()
    optimizer = torch.optim.Adam(module.parameters())
    with pytest.raises(InputError, match="no batches"):
        steepest.explain(module, BCE, [], optimizer)
    with pytest.raises(InputError, match="not \\(inputs, targets\\)"):
        steepest.explain(module, BCE, [{"x": X}], optimizer)


def test_inputs_of_other_shapes_and_an_interrupt():
    class Module(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.line = nn.Linear(4, 1)

        def forward(self, x: Any, w: Any) -> Any:
            return self.line(x) * w

    data = [(x, torch.ones(len(x), 1), y) for x, y in batches()]
    module = Module()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    callback = TrainingCallback()
    callback.interrupted = True
    found = steepest.explain(module, BCE, data, optimizer, callback=callback)
    assert list(found.measured.trial.after) == [1.0]
    given = [({"x": x}, y) for x, y in batches()]
    named = steepest.explain(
        network(), BCE, given, torch.optim.SGD(module.parameters(), lr=0.1),
        forward=lambda _, inputs: module.line(inputs["x"]), try_fixes=False,
    )  # fmt: skip
    assert "J = " in named.verdict
