"""Batch normalisation over ranks, by gloo: as if one rank had the whole batch."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from steepest.ranks import Ranks

torch = pytest.importorskip("torch")
distributed = pytest.importorskip("torch.distributed")
if not distributed.is_available():
    pytest.skip("PyTorch is built without its distributed engine", allow_module_level=True)

from steepest.objective.batch_norm import synchronised  # noqa: E402

PARTS = {"halves": (8, 8), "unequal": (11, 5), "one has none": (16, 0), "three": (7, 1, 8)}


class Gloo(Ranks):
    """A rank that is a thread, with a gloo process group of its own."""

    def __init__(self, rank: int, size: int, store: Any) -> None:
        self.rank, self.size = rank, size
        self.group = distributed.ProcessGroupGloo(store, rank, size, timedelta(seconds=60))

    def sum_tensor(self, values: Any) -> Any:
        self.group.allreduce([values]).wait()
        return values


def networks(kind: str) -> tuple[Any, Any]:
    """The same network twice, in float64, with batch normalisations."""
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        norms = {
            "affine": torch.nn.BatchNorm1d(3),
            "plain": torch.nn.BatchNorm1d(3, affine=False),
            "cumulative": torch.nn.BatchNorm1d(3, momentum=None),
            "unremembered": torch.nn.BatchNorm1d(3, track_running_stats=False),
        }
        first, last = torch.nn.Linear(4, 3), torch.nn.Linear(3, 1)
        made.append(torch.nn.Sequential(first, norms[kind], torch.nn.Tanh(), last).double())
    return made[0], made[1]


def over_gloo(network: Any, inputs: Any, sizes: tuple[int, ...], steps: int) -> list[Any]:
    """Outputs, gradients and buffers on each rank, after some passes over its part."""
    import copy

    store = distributed.HashStore()
    found: list[Any] = [None] * len(sizes)

    def call(rank: int, own: Any) -> None:
        try:
            ranks, module = Gloo(rank, len(sizes), store), copy.deepcopy(network)
            with synchronised(module, ranks):
                for _ in range(steps):
                    output = module(own)
            gradients = torch.autograd.grad(output.square().sum(), list(module.parameters()))
            assert type(module[1]).__name__ == "BatchNorm1d"
            assert "forward" not in vars(module[1])
            found[rank] = output.detach(), gradients, dict(module.named_buffers())
        except Exception as error:
            found[rank] = error

    each = zip(range(len(sizes)), inputs.split(sizes), strict=True)
    threads = [threading.Thread(target=call, args=one) for one in each]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for one in found:
        if isinstance(one, Exception):
            raise one
    return found


@pytest.mark.parametrize("kind", ["affine", "plain", "cumulative", "unremembered"])
@pytest.mark.parametrize("parts", PARTS)
def test_parts_of_a_batch_are_the_whole(parts: str, kind: str):
    """Outputs, the sum of the gradients, and running values, of two passes over the batch."""
    whole, network = networks(kind)
    inputs = torch.randn(16, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    inputs = inputs + torch.tensor([100.0, 0.0, -3.0, 0.0])  # means far from zero
    found = over_gloo(network, inputs, PARTS[parts], steps=2)
    whole(inputs)
    expected = whole(inputs)
    gradients = torch.autograd.grad(expected.square().sum(), list(whole.parameters()))
    outputs = torch.cat([output for output, *_ in found])
    np.testing.assert_allclose(outputs, expected.detach(), rtol=1e-9, atol=1e-11)
    for index, gradient in enumerate(gradients):
        summed = sum(of_rank[index] for _, of_rank, _ in found)
        np.testing.assert_allclose(summed, gradient, rtol=1e-8, atol=1e-9)
    for *_, buffers in found:
        for name, values in whole.named_buffers():
            np.testing.assert_allclose(buffers[name], values, rtol=1e-9, err_msg=name)


def test_in_evaluation_mode_each_rank_is_alone():
    whole, network = networks("affine")
    inputs = torch.randn(6, 4, dtype=torch.float64)
    with synchronised(network.eval(), Ranks()):
        output = network(inputs)  # which a rank without `sum_tensor` could not do in training
    np.testing.assert_array_equal(output.detach(), whole.eval()(inputs).detach())


def test_a_batch_of_images():
    """Channels of more than one dimension."""
    torch.manual_seed(0)
    norm = torch.nn.BatchNorm2d(2).double()
    inputs = torch.randn(4, 2, 3, 5, dtype=torch.float64)
    sequence = torch.nn.Sequential(torch.nn.Identity(), norm)
    store, found = distributed.HashStore(), [None, None]

    def call(rank: int) -> None:
        import copy

        module = copy.deepcopy(sequence)
        with synchronised(module, Gloo(rank, 2, store)):
            found[rank] = module(inputs[2 * rank : 2 * rank + 2]).detach()

    threads = [threading.Thread(target=call, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    np.testing.assert_allclose(torch.cat(found), norm(inputs).detach(), rtol=1e-9, atol=1e-12)
