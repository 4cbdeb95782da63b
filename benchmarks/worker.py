"""One contender of `benchmarks.calls` in a process of its own: ``python -m benchmarks.worker``.

It makes its events, says that it is ready, and then does its work once for each line that it reads.
Only public calls of steepest are used, so that any version of it can be measured.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

Array = np.ndarray
Job = Callable[[], float]
"""Does the work, and returns the seconds that count."""

PYTHON = os.environ.get("COMMAND_PYTHON", sys.executable)
"""That of the environment in which the command line is run."""
COMMAND = [PYTHON, "-c", "from steepest.cli import main; main()"]


def timed(call: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def linear_events(events: int, features: int = 28) -> tuple[Array, Array]:
    """X ``(events, features)``, and a linear function of it with noise, float32."""
    random = np.random.default_rng(0)
    X = random.standard_normal((events, features), dtype=np.float32)
    truth = random.standard_normal(features, dtype=np.float32) / np.sqrt(np.float32(features))
    return X, X @ truth + random.standard_normal(events, dtype=np.float32)


def gradient(who: str, quick: bool) -> Job:
    """Seconds of a batch step: the difference between fits of 60 and of 10 epochs, over 50."""
    X, y = linear_events(40_000 if quick else 4_000_000)
    if who == "steepest":
        from steepest import Regressor

        def fit(epochs: int) -> None:
            Regressor(
                batch_size="all", optimizer="sgd", schedule="constant", learning_rate=0.1,
                scaling="none", dtype="float32", tol=None, epochs=epochs, record_every=epochs,
            ).fit(X, y)  # fmt: skip

        return lambda: (timed(lambda: fit(60)) - timed(lambda: fit(10))) / 50
    if who == "read":
        from benchmarks.machine import cores, sum_once

        return lambda: timed(lambda: [sum_once(X, cores()) for _ in range(5)]) / 5
    if who == "numpy feature-major":
        X = np.asfortranarray(X)
    theta = np.linspace(-0.1, 0.1, X.shape[1], dtype=np.float32)

    def step() -> Array:
        residual = X @ theta - y
        return residual @ X

    return lambda: timed(lambda: [step() for _ in range(10)]) / 10


def single(who: str, quick: bool) -> Job:
    """Seconds of an epoch: the difference between fits of four epochs and of one, over 3."""
    X, z = linear_events(20_000 if quick else 2_000_000)
    y = (z > 0).astype(np.int64)

    def steepest(epochs: int) -> None:
        from steepest import Classifier

        Classifier(
            batch_size=1, optimizer="sgd", schedule="constant", learning_rate=1e-3, tol=None,
            scaling="none", dtype="float32", epochs=epochs,
        ).fit(X, y)  # fmt: skip

    def sklearn(epochs: int) -> None:
        from sklearn.linear_model import SGDClassifier

        SGDClassifier(
            loss="log_loss", penalty=None, learning_rate="constant", eta0=1e-3, max_iter=epochs,
            tol=None, random_state=0,
        ).fit(X, y)  # fmt: skip

    fit = steepest if who == "steepest" else sklearn
    return lambda: (timed(lambda: fit(4)) - timed(lambda: fit(1))) / 3


def network(who: str, quick: bool, hidden: tuple[int, ...], epochs: int) -> Job:
    """Seconds of a whole fit of a dense network."""
    random = np.random.default_rng(0)
    X = random.standard_normal((10_240 if quick else 102_400, 28), dtype=np.float32)
    y = (X[:, 0] * X[:, 1] + X[:, 2] > 0).astype(np.float32)
    if who == "steepest":
        from steepest import Classifier

        return lambda: timed(
            lambda: Classifier(
                hidden=hidden, batch_size=256, optimizer="adam", learning_rate=1e-3, tol=None,
                schedule="constant", scaling="none", dtype="float32", epochs=epochs,
            ).fit(X, y)
        )  # fmt: skip
    import torch

    from benchmarks.machine import cores
    from benchmarks.peers import PEERS, Work

    torch.set_num_threads(cores())
    run = PEERS["torch eager" if who == "torch" else who](Work(X, y, hidden, 256, "adam", epochs))
    return lambda: timed(run)


def train(who: str, quick: bool) -> Job:
    """Seconds of the whole command on the embedded jets."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as out:
            return timed(lambda: command("train", "--out", str(Path(out) / "run")))

    run()  # kernels are compiled
    return run


def help_(who: str, quick: bool) -> Job:
    """Seconds of the shortest command."""
    return lambda: timed(lambda: command("--help"))


def optimum(who: str, quick: bool) -> Job:
    """Seconds to the minimum of a logistic regression."""
    X, z = linear_events(10_000 if quick else 1_000_000)
    y = (z + np.random.default_rng(1).logistic(size=len(z)) > 0).astype(np.int64)
    if who == "steepest":
        from steepest import Classifier

        return lambda: timed(
            lambda: Classifier(method="newton", scaling="none", dtype="float32", tol=1e-8).fit(X, y)
        )
    from sklearn.linear_model import LogisticRegression

    return lambda: timed(lambda: LogisticRegression(C=np.inf, solver=who, tol=1e-6).fit(X, y))


def landscape(who: str, quick: bool) -> Job:
    """Seconds of the whole command on a run of the default recipe."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command("train", "--out", str(folder / "run"))
    names = (f"drawn-{number}" for number in itertools.count())
    drawn = ("landscape", str(folder / "run"), "--points", "51", "--name")
    return lambda: timed(lambda: command(*drawn, next(names)))


def lecture(who: str, quick: bool) -> Job:
    """Seconds of the lecture's fit: 20 points, three parameters, 1,000,000 steps."""
    t = np.arange(20.0)
    y = 0.75 * (t - 9.5) ** 2 + 1 + 3 * np.random.default_rng(0).standard_normal(20)
    X = np.column_stack([t**2, t])
    steps = 10_000 if quick else 1_000_000
    from steepest import Regressor

    return lambda: timed(
        lambda: Regressor(
            batch_size="all", optimizer="sgd", schedule="constant", learning_rate=1e-5, tol=None,
            scaling="none", dtype="float64", epochs=steps, record_every=1_000,
        ).fit(X, y)
    )  # fmt: skip


def command(*arguments: str) -> None:
    """Run steepest's command line in a new process."""
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True, env=os.environ)


WORKS: dict[str, Callable[[str, bool], Job]] = {
    "gradient": gradient,
    "single": single,
    "dense": lambda who, quick: network(who, quick, (64, 64), 5),
    "wide": lambda who, quick: network(who, quick, (256, 256), 2),
    "train": train,
    "help": help_,
    "optimum": optimum,
    "landscape": landscape,
    "lecture": lecture,
}


def main() -> None:
    """Make the events, and work for each line of the standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=WORKS)
    parser.add_argument("who")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # that a fit of few epochs has not converged
    with contextlib.redirect_stdout(sys.stderr):
        job = WORKS[options.work](options.who, options.quick)
    print("worker: ready", flush=True)
    for _ in sys.stdin:
        with contextlib.redirect_stdout(sys.stderr):
            seconds = job()
        print(f"worker: {seconds}", flush=True)


if __name__ == "__main__":
    main()
