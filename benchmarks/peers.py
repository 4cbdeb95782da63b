"""Dense networks' training by the peers: the same steps on batches of the same size.

Each function takes the events and returns what trains once, from the parameters from which steepest
starts, to the end of its last step, and gives what then computes the loss over all events: that is
not timed. Each draws the batches' order itself. float32 everywhere; no DataLoader but where the
peer's defaults have one.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import numpy as np
import torch

from steepest.models import Dense

__all__ = ["PEERS", "RATE", "Work"]

Array = np.ndarray
Run = Callable[[], Callable[[], float]]
RATE = {"adam": 1e-3, "sgd": 0.05}


@dataclass(frozen=True)
class Work:
    """What is to be trained, and how."""

    X: Array
    y: Array
    hidden: tuple[int, ...]
    batch_size: int
    optimizer: str
    epochs: int

    @property
    def widths(self) -> tuple[int, ...]:
        """Inputs, hidden layers, output."""
        return (self.X.shape[1], *self.hidden, 1)

    @property
    def steps(self) -> int:
        """Steps of all epochs."""
        return self.epochs * -(-len(self.X) // self.batch_size)

    @property
    def start(self) -> list[tuple[Array, Array]]:
        """Weights (inputs, outputs) and biases of each layer to start from."""
        model = Dense(self.X.shape[1], self.hidden)
        layers = model.layers(model.initial(0).astype(np.float32))
        return [(layer.weights, layer.biases) for layer in layers]


def _network(work: Work) -> torch.nn.Sequential:
    torch.manual_seed(0)
    layers: list[torch.nn.Module] = []
    for weights, biases in work.start:
        linear = torch.nn.Linear(*weights.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weights.T.copy()))
            linear.bias.copy_(torch.from_numpy(biases.copy()))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _loss(criterion, network, events, labels) -> float:
    with torch.no_grad():
        return float(criterion(network(events), labels))


def _torch_optimizer(work: Work, model: torch.nn.Module) -> torch.optim.Optimizer:
    kind = torch.optim.Adam if work.optimizer == "adam" else torch.optim.SGD
    return kind(model.parameters(), lr=RATE[work.optimizer], fused=True)


def torch_eager(work: Work) -> Run:
    """Eager torch with a fused optimiser, batches gathered from one tensor."""
    return _torch(work, lambda step: step)


def torch_compile(work: Work) -> Run:
    """The forward and backward pass through torch.compile, the rest as in `torch_eager`."""
    return _torch(work, lambda step: torch.compile(step, dynamic=False))


def _torch(work: Work, prepare: Callable[[Callable], Callable]) -> Run:
    events, labels = torch.from_numpy(work.X), torch.from_numpy(work.y)[:, None]
    criterion = torch.nn.BCEWithLogitsLoss()
    model = _network(work)
    loss_of = prepare(lambda rows: criterion(model(events[rows]), labels[rows]))

    def run() -> Callable[[], float]:
        model.load_state_dict(_network(work).state_dict())
        optimizer = _torch_optimizer(work, model)
        for _ in range(work.epochs):
            order = torch.randperm(len(events))
            for start in range(0, len(events), work.batch_size):
                optimizer.zero_grad(set_to_none=True)
                loss_of(order[start : start + work.batch_size]).backward()
                optimizer.step()
        return lambda: _loss(criterion, model, events, labels)

    return run


def jax_scan(work: Work) -> Run:
    """JAX with optax: one jitted scan over the steps of an epoch, batches gathered inside."""
    import jax
    import jax.numpy as jnp
    import optax

    X, y = jnp.asarray(work.X), jnp.asarray(work.y)
    rule = optax.adam if work.optimizer == "adam" else optax.sgd
    optimizer = rule(RATE[work.optimizer])

    def logits(params, inputs):
        for weight, bias in params[:-1]:
            inputs = jax.nn.relu(inputs @ weight + bias)
        weight, bias = params[-1]
        return (inputs @ weight + bias)[:, 0]

    def loss_of(params, rows):
        return optax.sigmoid_binary_cross_entropy(logits(params, X[rows]), y[rows]).mean()

    def step(carry, rows):
        params, state = carry
        gradient = jax.grad(loss_of)(params, rows)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    epoch = jax.jit(lambda carry, order: jax.lax.scan(step, carry, order)[0], donate_argnums=0)
    steps = len(work.X) // work.batch_size

    def run() -> Callable[[], float]:
        random = np.random.default_rng(0)
        params = [(jnp.array(weights), jnp.array(biases)) for weights, biases in work.start]
        carry = params, optimizer.init(params)
        for _ in range(work.epochs):
            order = random.permutation(len(work.X))[: steps * work.batch_size]
            carry = epoch(carry, jnp.asarray(order.reshape(steps, work.batch_size)))
        params = jax.block_until_ready(carry)[0]
        return lambda: float(loss_of(params, jnp.arange(len(work.X))))

    return run


def scikit_learn(work: Work) -> Run:
    """MLPClassifier in float32, without its stopping rules."""
    from sklearn.neural_network import MLPClassifier

    class Started(MLPClassifier):
        """Starts from given parameters: there is no other way to hand them over."""

        def _initialize(self, *args) -> None:
            super()._initialize(*args)
            self.coefs_ = [weights.copy() for weights, _ in work.start]
            self.intercepts_ = [biases.copy() for _, biases in work.start]

    def run() -> Callable[[], float]:
        model = Started(
            work.hidden, batch_size=work.batch_size, solver=work.optimizer, momentum=0.0,
            nesterovs_momentum=False, learning_rate_init=RATE[work.optimizer], alpha=0.0,
            max_iter=work.epochs, n_iter_no_change=10**6, tol=0.0, random_state=0,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns that it was told when to stop
            model.fit(work.X, work.y)
        return lambda: loss(model)

    def loss(model: MLPClassifier) -> float:
        p = np.clip(model.predict_proba(work.X)[:, 1], 1e-7, 1 - 1e-7)
        return float(-np.mean(work.y * np.log(p) + (1 - work.y) * np.log(1 - p)))

    return run


def lightning(work: Work) -> Run:
    """Lightning's Trainer and torch's DataLoader, both with their defaults."""
    from lightning import LightningModule, Trainer

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    events, labels = torch.from_numpy(work.X), torch.from_numpy(work.y)[:, None]
    criterion = torch.nn.BCEWithLogitsLoss()

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network(work)

        def training_step(self, batch, index):
            return criterion(self.network(batch[0]), batch[1])

        def configure_optimizers(self):
            return _torch_optimizer(work, self)

    def run() -> Callable[[], float]:
        loader = torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(events, labels), work.batch_size, shuffle=True
        )
        module = Module()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on workers of the loader, and on loggers
            with TemporaryDirectory() as folder:  # its checkpoints are a part of its defaults
                options = {"accelerator": "cpu", "logger": False, "default_root_dir": folder}
                Trainer(max_epochs=work.epochs, **options).fit(module, loader)
        return lambda: _loss(criterion, module.network, events, labels)

    return run


PEERS: dict[str, Callable[[Work], Run]] = {
    "torch eager": torch_eager,
    "torch.compile": torch_compile,
    "JAX": jax_scan,
    "scikit-learn": scikit_learn,
    "Lightning": lightning,
}
"""Each peer by its name."""
