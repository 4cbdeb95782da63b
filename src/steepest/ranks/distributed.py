"""Ranks of ``torch.distributed``: processes of one machine or many, as ``torchrun`` starts them.

What says that there are many are the variables that ``torchrun`` sets: ``WORLD_SIZE``, ``RANK``,
``LOCAL_RANK``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and ``MASTER_PORT``. Another launcher may set
them too. Numbers and objects go over gloo, gradients on a GPU over NCCL, sums on one machine
over sockets (`steepest.ranks.sockets`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np

from steepest.errors import MissingExtraError, RankLost, RecipeError
from steepest.ranks import current, use
from steepest.ranks.base import Ranks
from steepest.ranks.sockets import MOST_BYTES, Sockets, connected

T = TypeVar("T")
TIMEOUT = timedelta(hours=2)
"""How long a rank waits for the others."""
VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class DistributedRanks(Ranks):
    """One rank of ``torch.distributed``, whose process group is there."""

    def __init__(self, torch: Any, store: Any) -> None:
        self._torch, self._distributed, self._store = torch, torch.distributed, store
        self.rank = self._distributed.get_rank()
        self.size = self._distributed.get_world_size()
        self.local_size = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        self._sockets: Sockets | None = None
        self._sockets = connected(self, TIMEOUT.total_seconds())

    def sum(self, values: np.ndarray) -> np.ndarray:
        """By one all-reduce; each rank gets the same bits."""
        tensor = self._torch.from_numpy(np.array(values, order="C", copy=True))
        return self.sum_tensor(tensor).numpy()

    def sum_tensor(self, values: T) -> T:
        """By one all-reduce or by sockets, where the tensor lies; it is changed."""
        tensor: Any = values
        written = tensor.nbytes * (self.size - 1)
        if self._sockets is not None and tensor.device.type == "cpu" and 0 < written <= MOST_BYTES:
            self._call(lambda: self._sum_by_sockets(tensor))
        else:
            self._call(lambda: self._distributed.all_reduce(tensor))
        return values

    def _sum_by_sockets(self, values: Any) -> None:
        """In the order of the ranks, so that each has the same bits."""
        torch, sockets = self._torch, self._sockets
        assert sockets is not None
        own = values.reshape(-1).view(torch.uint8).numpy()
        parts = [torch.frombuffer(p, dtype=values.dtype) for p in sockets.gather(own.data)]
        total = parts[0] + parts[1]
        for part in parts[2:]:
            total += part
        values.copy_(total.view(values.shape))

    def close(self) -> None:
        """Leave the other ranks."""
        if self._sockets is not None:
            self._sockets.close()
        with suppress(Exception):
            if not self._torch.cuda.is_available():  # NCCL would wait for the others
                self._distributed.destroy_process_group()

    def gather(self, value: T) -> list[T]:
        """What each rank has, on every rank."""
        every: list[Any] = [None] * self.size
        self._call(lambda: self._distributed.all_gather_object(every, value))
        return every

    def to_main(self, value: T) -> list[T]:
        """What each rank has, on the main rank."""
        every: list[Any] | None = [None] * self.size if self.is_main else None
        self._call(lambda: self._distributed.gather_object(value, every, dst=0))
        return every or []

    def from_main(self, value: T) -> T:
        """The main rank's value."""
        held: list[Any] = [value]
        self._call(lambda: self._distributed.broadcast_object_list(held, src=0))
        return held[0]

    def first_to_say(self) -> bool:
        """Whether no other rank has said why all of them end: asked once a rank."""
        try:
            return self._store.add("said", 1) == 1
        except Exception:  # its rank has ended: better twice than never
            return True

    def _call(self, collective: Callable[[], object]) -> None:
        try:
            collective()
        except (RuntimeError, ValueError, OSError) as error:
            raise RankLost(
                f"Rank {self.rank} of {self.size} has lost another one.",
                found=str(error).splitlines()[0][:200] if str(error) else type(error).__name__,
                cause="a process was killed: by the scheduler, or for want of memory",
                do="start the same command again with --continue: it goes on from the last "
                "checkpoint (torchrun --max-restarts does so)",
            ) from error


@contextmanager
def joined() -> Iterator[Ranks]:
    """Be one of the ranks that a launcher has started; alone where none has.

    An error ends all ranks. One of them says so: the others' errors are marked as said.

    Raises
    ------
    RecipeError
        The launcher's variables are not complete.
    MissingExtraError
        PyTorch is not installed.
    """
    wanted = os.environ.get("WORLD_SIZE", "1")
    if wanted == "1" or current().size > 1:
        yield current()
        return
    ranks = _join(wanted)
    try:
        with use(ranks):
            yield ranks
    except BaseException as error:
        if not ranks.first_to_say():
            error.said = True  # type: ignore[attr-defined]
        raise
    finally:  # after an error too: what is left open may abort the process at its exit
        ranks.close()


def _join(wanted: str) -> DistributedRanks:
    missing = [name for name in VARIABLES if name not in os.environ]
    if missing or not wanted.isdigit():
        raise RecipeError(
            "The environment says that there are many processes, but not which one this is.",
            expected=f"the variables {', '.join(VARIABLES)}, as torchrun sets them",
            found=f"WORLD_SIZE = {wanted!r}; without {', '.join(missing) or 'none missing'}",
            do="start with torchrun, or unset WORLD_SIZE",
        )
    try:
        import torch
        import torch.distributed as distributed
    except ImportError:
        raise MissingExtraError("torch", "torch", "Training over many ranks") from None
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        backend = "cpu:gloo,cuda:nccl"
    store = _store(distributed)
    rank, size = int(os.environ["RANK"]), int(wanted)
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT
    )
    return DistributedRanks(torch, store)


def _store(distributed: Any) -> Any:
    """Where the ranks find each other: at torchrun, or else at rank 0.

    On one machine torchrun keeps it for processes that it starts again. They must not find the
    addresses of those that have ended, and look under the number of the restart.
    """
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    serves = os.environ["RANK"] == "0" and not kept
    store = distributed.TCPStore(
        host, port, is_master=serves, timeout=TIMEOUT, wait_for_workers=False
    )
    one_machine = os.environ.get("GROUP_WORLD_SIZE") == "1"
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") if one_machine else "0"
    return distributed.PrefixStore(f"start {start}", store)
