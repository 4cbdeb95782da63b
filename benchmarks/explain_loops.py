"""Faults put into loops of PyTorch of one's own, and healthy loops: `steepest.explain(module, …)`.

``python -m benchmarks.explain_loops [--set tuned] [--seeds 3] [--page docs/explain.md]``. A loop is
a module, a loss, batches and an optimiser; it is explained before its first step, or after some.
Equivalent causes are listed with each fault; the samples are those of `benchmarks.explain`.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks import explain_held_out, explain_tuned
from benchmarks.explain_table import rate, write_between

__all__ = ["FAULTS", "HEALTHY", "explained", "main", "table"]

SETS = {"tuned": (explain_tuned, 300), "held-out": (explain_held_out, 740)}
"""Modules of samples, and first seeds; draws 700 to 722 of the held-out ones were looked at."""
COUNT, BATCH = 2_000, 64
WATCHED = 200
"""Steps that torchmortem looks on at."""
BEGIN, END = "<!-- bench-loops -->", "<!-- /bench-loops -->"


@dataclass
class Loop:
    """A loop of classification: what a fault changes."""

    x: Tensor
    y: Tensor
    module: nn.Module
    loss: Callable[..., Tensor]
    make: Callable[[Any], torch.optim.Optimizer]
    steps: int = 0

    def batches(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.x.split(BATCH), self.y.split(BATCH), strict=True))


Change = Callable[[Loop], None]


def network(features: int, activation: type[nn.Module] = nn.ReLU, depth: int = 2) -> nn.Sequential:
    """A dense network with one logit."""
    layers: list[nn.Module] = []
    width = features
    for _ in range(depth):
        layers += [nn.Linear(width, 32), activation()]
        width = 32
    return nn.Sequential(*layers, nn.Linear(width, 1))


def base(where: str, sample: str, seed: int) -> Loop:
    """A healthy loop: standardised features, logits, Adam."""
    module, first = SETS[where]
    events = module.MATRICES[sample](COUNT, first + seed)
    x = (events.x - events.x.mean(axis=0)) / events.x.std(axis=0)
    torch.manual_seed(seed)
    return Loop(
        torch.tensor(x, dtype=torch.float32),
        torch.tensor(events.y, dtype=torch.float32)[:, None],
        network(x.shape[1]),
        nn.BCEWithLogitsLoss(),
        lambda given: torch.optim.Adam(given, lr=3e-3),
    )


def _last(layer: Callable[[], nn.Module]) -> Change:
    def change(loop: Loop) -> None:
        loop.module = nn.Sequential(loop.module, layer())

    return change


def _two_classes(loop: Loop) -> None:
    hidden = list(loop.module.children())[:-1]
    loop.module = nn.Sequential(*hidden, nn.Linear(32, 2), nn.Softmax(dim=1))
    loop.y, loop.loss = loop.y[:, 0].long(), nn.CrossEntropyLoss()


def _tanh_for_energies(loop: Loop) -> None:
    """A regression whose targets lie beyond ±1."""
    loop.module = nn.Sequential(loop.module, nn.Tanh())
    loop.y, loop.loss = 5 * loop.x[:, :1] + loop.y, nn.MSELoss()


def _broadcast(loop: Loop) -> None:
    loop.y, loop.loss = loop.x[:, 0] + loop.y[:, 0], nn.MSELoss()


def _rate(name: str, value: float, **options: Any) -> Change:
    def change(loop: Loop) -> None:
        kind = getattr(torch.optim, name)
        loop.make = lambda given: kind(given, lr=value, **options)

    return change


def _negated(loop: Loop) -> None:
    right = loop.loss
    loop.loss = lambda outputs, targets: -right(outputs, targets)


def _every(value: Callable[[Tensor], Any], what: str = "weight") -> Change:
    def change(loop: Loop) -> None:
        with torch.no_grad():
            for name, parameter in loop.module.named_parameters():
                if what in name:
                    value(parameter)

    return change


def _only_last(loop: Loop) -> None:
    right, last = loop.make, list(loop.module.children())[-1]
    loop.make = lambda _: right(last.parameters())


class _Detached(nn.Module):
    def __init__(self, given: nn.Module) -> None:
        super().__init__()
        *hidden, self.last = given.children()
        self.hidden = nn.Sequential(*hidden)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.hidden(x).detach())


def _detached(loop: Loop) -> None:
    loop.module = _Detached(loop.module)


def _unscaled(loop: Loop) -> None:
    powers = torch.logspace(-2, 3, loop.x.shape[1])
    loop.x = loop.x * powers + 5 * powers


def _missing(loop: Loop) -> None:
    loop.x = loop.x.clone()
    loop.x[::200, 0] = torch.nan


def _of(activation: type[nn.Module], depth: int) -> Change:
    def change(loop: Loop) -> None:
        loop.module = network(loop.x.shape[1], activation, depth)

    return change


def _saturated(loop: Loop) -> None:
    _of(nn.Tanh, 2)(loop)
    _every(lambda p: p.mul_(50.0))(loop)


def _trained(steps: int) -> Change:
    def change(loop: Loop) -> None:
        loop.steps = steps

    return change


@dataclass(frozen=True)
class Fault:
    """A change of a healthy loop, and the causes that name it; none for a healthy one."""

    name: str
    causes: frozenset[str]
    change: Change


def _fault(name: str, causes: str, change: Change) -> Fault:
    return Fault(name, frozenset(causes.split()), change)


FAULTS = (
    _fault("sigmoid before a loss of logits", "wrong-output-activation", _last(nn.Sigmoid)),
    _fault("softmax before a loss of logits", "wrong-output-activation", _two_classes),
    _fault("ReLU before a loss of logits", "wrong-output-activation", _last(nn.ReLU)),
    _fault("tanh that cannot reach the targets", "wrong-output-activation", _tanh_for_energies),
    _fault("maximize=True", "gradient-sign", _rate("SGD", 0.1, maximize=True)),
    _fault("negated loss", "gradient-sign", _negated),
    _fault("zero initialisation", "symmetric-start", _every(nn.init.zeros_)),
    _fault("constant initialisation", "symmetric-start",
           _every(lambda p: nn.init.constant_(p, 0.1))),
    _fault("too large initialisation", "start-too-far gradients-explode",
           _every(lambda p: p.mul_(20.0))),
    _fault("shapes that broadcast", "shapes-broadcast", _broadcast),
    _fault("optimiser of the last layer alone", "parameters-not-optimised", _only_last),
    _fault("detached hidden layers", "no-gradient", _detached),
    _fault("unscaled inputs", "features-unscaled start-too-far", _unscaled),
    _fault("η too large, SGD", "learning-rate-too-large dead-units", _rate("SGD", 300.0)),
    _fault("η too large, Adam", "learning-rate-too-large", _rate("Adam", 3.0)),
    _fault("η too small, SGD", "learning-rate-too-small", _rate("SGD", 1e-5)),
    _fault("η too small, Adam", "learning-rate-too-small", _rate("Adam", 1e-6)),
    _fault("dead ReLU", "dead-units", _every(lambda p: nn.init.constant_(p, -20.0), "0.bias")),
    _fault("saturated tanh", "saturated-units start-too-far", _saturated),
    _fault("deep sigmoid", "gradients-vanish", _of(nn.Sigmoid, 8)),
    _fault("missing values", "loss-not-finite", _missing),
)  # fmt: skip
HEALTHY = (
    _fault("before the first step", "", _trained(0)),
    _fault("after 100 steps", "", _trained(100)),
    _fault("after 1,000 steps", "", _trained(1_000)),
    _fault("SGD with momentum", "", _rate("SGD", 0.05, momentum=0.9)),
    _fault("tanh", "", _of(nn.Tanh, 2)),
)


@dataclass(frozen=True)
class Row:
    """What was said of a loop: causes, those that are wrong, and whether torchmortem warned."""

    fault: Fault
    causes: list[str]
    wrong: list[str]
    torchmortem: bool | None


def explained(where: str, sample: str, fault: Fault, seed: int) -> Row:
    """Put the fault into a loop, and have it explained; then let torchmortem look on."""
    import steepest

    loop = base(where, sample, seed)
    fault.change(loop)
    optimizer, batches = loop.make(loop.module.parameters()), loop.batches()
    for step in range(loop.steps):
        _step(loop, batches[step % len(batches)], optimizer)
    with warnings.catch_warnings():  # PyTorch warns of shapes that broadcast, too
        warnings.simplefilter("ignore", UserWarning)
        found = steepest.explain(loop.module, loop.loss, batches, optimizer)  # type: ignore[operator]
        warned = _torchmortem(loop, batches, optimizer)
    causes = [one.cause for one in found.findings]
    wrong = [one.cause for one in found.findings if one.severity == "wrong"]
    return Row(fault, causes, wrong, warned)


def _step(loop: Loop, batch: tuple[Tensor, Tensor], optimizer: torch.optim.Optimizer) -> float:
    optimizer.zero_grad()
    value = loop.loss(loop.module(batch[0]), batch[1])
    value.backward()
    optimizer.step()
    return value.item()


def _torchmortem(
    loop: Loop, batches: list[tuple[Tensor, Tensor]], optimizer: torch.optim.Optimizer
) -> bool | None:
    """Whether it warns, or worse, after it has watched `WATCHED` steps; None where it is not there.

    The package pins nothing that steepest needs: ``pip install --no-deps torchmortem``.
    """
    try:
        from torchmortem import Autopsy, Severity  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    with Autopsy(loop.module, optimizer=optimizer) as autopsy:
        for step in range(WATCHED):
            autopsy.step(loss=_step(loop, batches[step % len(batches)], optimizer))
    return any(one.severity >= Severity.WARNING for one in autopsy.get_report().findings)


def rows_of(where: str, seeds: int) -> Iterator[Row]:
    """Every fault and healthy loop, on every sample."""
    for seed in range(seeds):
        for fault in (*FAULTS, *HEALTHY):
            for sample in SETS[where][0].MATRICES:
                row = explained(where, sample, fault, seed)
                missed = bool(fault.causes) and not fault.causes & set(row.causes[:1])
                if missed or (not fault.causes and row.wrong):
                    said = f"{row.causes[:4]}, wrong {row.wrong[:3]}"
                    print(f"{sample}/{fault.name}/{seed}: {said}", flush=True)
                yield row


def table(rows: list[Row]) -> str:
    """The tables of docs/explain.md."""
    faults = [row for row in rows if row.fault.causes]
    healthy = [row for row in rows if not row.fault.causes]
    wrong = sum(bool(row.wrong) for row in healthy)

    def within(of: list[Row], places: int) -> int:
        return sum(bool(row.fault.causes & set(row.causes[:places])) for row in of)

    lines = ["| loops of PyTorch | count | rate | 68.27 % interval |", "|---|---|---|---|"]
    for what, count, of in (
        ("cause first", within(faults, 1), len(faults)),
        ("cause first or second", within(faults, 2), len(faults)),
        ('healthy with a "wrong"', wrong, len(healthy)),
    ):
        value, low, high = (100 * one for one in rate(count, of))
        lines.append(f"| {what} | {count} of {of} | {value:.1f} % | {low:.1f} to {high:.1f} % |")
    lines += ["", "| fault | loops | first | first or second |", "|---|---|---|---|"]
    by_name: dict[str, list[Row]] = defaultdict(list)
    for row in faults:
        by_name[row.fault.name].append(row)
    for name, of in by_name.items():
        lines.append(f"| {name} | {len(of)} | {within(of, 1)} | {within(of, 2)} |")
    lines += ["", "| on the same loops | alarms on faults | false alarms on healthy loops |",
              "|---|---|---|"]  # fmt: skip
    warned = [
        _share([row.torchmortem for row in of if row.torchmortem is not None])
        for of in (faults, healthy)
    ]
    lines.append(f"| torchmortem, {WATCHED} steps | {warned[0]} | {warned[1]} |")
    found = [_share([bool(row.causes) for row in of]) for of in (faults, healthy)]
    lines.append(f"| steepest explain, any finding | {found[0]} | {found[1]} |")
    lines.append(f'| steepest explain, "wrong" | – | {wrong} of {len(healthy)} |')
    return "\n".join(lines)


def _share(said: list[bool]) -> str:
    return f"{sum(said)} of {len(said)}" if said else "not measured"


def main() -> None:
    """Explain them all, print what was missed, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", choices=tuple(SETS), default="held-out")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = list(rows_of(options.set, options.seeds))
    print(table(found))
    if options.page:
        write_between(options.page, BEGIN, END, table(found))


if __name__ == "__main__":
    main()
