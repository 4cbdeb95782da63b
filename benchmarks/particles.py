"""Training networks of particles against weaver-core's own loop with its own models, on one thread.

Both train as their users do, in a process of their own: ``steepest train``'s call on a recipe, and
``python -m weaver.train`` with a configuration of the data and of the network, eager and with
``--compile``; the faster of these two counts. Both read the same file of simulated jets (all
particles of a jet, 128 at most), in batches of as many, for as many steps of AdamW.

The package's byte code is written first, as the installation of a package does. Two ranks are held
against one, and beside that stands what the machine gives two processes that have nothing to do
with each other.

weaver-core is of the dependency group ``oracles``, with ``torch==2.13.0`` in the same pip command.
If it lies in another environment, WEAVER_PYTHON names that environment's Python.
"""

from __future__ import annotations

import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pyarrow.parquet as pq

import steepest
from benchmarks.harness import Case, Options, Times, ratio

NETWORKS = {"particle-net-lite": 3.0, "particle-net": 3.0, "particle-transformer": 2.0}
"""By name, how many times as many jets a second are asked for."""
TWO_RANKS = 1.7
"""How many times as fast as one rank two are asked to be."""
SOONER = 5.0
"""How many times sooner the first step is asked for."""
JETS, BATCH, MOST = 4_000, 128, 128
STEPS = {"particle-net-lite": 24, "particle-net": 3, "particle-transformer": 3}
"""That are timed, after one that is not."""

DATA = """
    selection:
    new_variables:
        part_mask: ak.ones_like(part_pt)
        part_px: part_pt * np.cos(part_phi)
        part_py: part_pt * np.sin(part_phi)
        part_pz: part_pt * np.sinh(part_eta)
        part_deta: part_eta - eta
        part_dphi: (part_phi - phi + np.pi) % (2 * np.pi) - np.pi
        part_dr: np.hypot(part_deta, part_dphi)
        part_log_pt: np.log(part_pt)
        part_log_e: np.log(part_energy)
        part_log_ptrel: np.log(part_pt / pt)
        part_log_erel: np.log(part_energy / energy)
        is_qcd: 1 - is_top
    preprocess:
        method: manual
    inputs:
        pf_points:
            length: 128
            pad_mode: constant
            vars: [[part_deta, null], [part_dphi, null]]
        pf_features:
            length: 128
            pad_mode: constant
            vars: [[part_log_pt, null], [part_log_e, null], [part_log_ptrel, null],
                   [part_log_erel, null], [part_dr, null], [part_deta, null], [part_dphi, null]]
        pf_vectors:
            length: 128
            pad_mode: constant
            vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]
        pf_mask:
            length: 128
            pad_mode: constant
            vars: [[part_mask, null]]
    labels:
        type: simple
        value: [is_qcd, is_top]
    observers:
    weights:
"""
NETWORK = """
    import json, time
    import torch

    def get_model(data_config, **kwargs):
        name = "{name}"
        if name == "particle-transformer":
            from weaver.nn.model.ParticleTransformer import ParticleTransformer
            net = ParticleTransformer(7, 2)
        else:
            from weaver.nn.model.ParticleNet import ParticleNet
            full = dict(conv_params=[(16, (64,) * 3), (16, (128,) * 3), (16, (256,) * 3)],
                        fc_params=[(256, 0.1)])
            net = ParticleNet(7, 2, use_fusion=False, **(full if name == "particle-net" else {{}}))
        class Net(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.net = net
            def forward(self, points, features, vectors, mask):
                told("first")
                if name == "particle-transformer":
                    return self.net(features, vectors, mask)
                return self.net(points, features, mask)
        return Net(), dict(input_names=list(data_config.input_names), input_shapes=dict(
            data_config.input_shapes), output_names=["softmax"], dynamic_axes={{}})

    def told(what):
        with open("{times}", "a") as file:
            print(json.dumps([what, time.time(), time.process_time()]), file=file)

    class Loss(torch.nn.CrossEntropyLoss):
        def forward(self, *args):
            told("loss")
            return super().forward(*args)

    def get_loss(data_config, **kwargs):
        return Loss()
"""
OURS = """
    import json, time, torch
    torch.set_num_threads(1)
    import steepest
    from steepest.objective import autograd, torch_losses
    inner = torch_losses.LOSSES["binary-cross-entropy"]

    cloud_of, losses = autograd.cloud_of, 0

    def told(what):
        with open("{times}", "a") as file:
            print(json.dumps([what, time.time(), time.process_time()]), file=file)

    def timed(*args):
        global losses
        if torch.is_grad_enabled():
            told("loss")
            losses += 1
            if losses > {steps}:
                raise SystemExit
        return inner(*args)

    def first(*args):
        if torch.is_grad_enabled():
            told("first")
        return cloud_of(*args)

    torch_losses.LOSSES["binary-cross-entropy"], autograd.cloud_of = timed, first
    steepest.train("{recipe}", "{out}", progress=False)
"""
RECIPE = """
    [events]
    path = "{events}"
    label = "is_top"
    split = {{ validation = 0.0, test = 0.0 }}
    [model]
    name = "{name}"
    [descent]
    optimizer = "adamw"
    learning_rate = 0.001
    schedule = "constant"
    batch_size = {batch}
    epochs = 1
"""


def measure(options: Options) -> Iterator[Case]:
    """Yield a case for each network, and one for the time to the first step."""
    jets = 600 if options.quick else JETS
    compileall.compile_dir(Path(steepest.__file__).parent, quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "jets.parquet"
        _simulate(events, jets)
        for name, asked in NETWORKS.items():
            steps = 2 if options.quick else STEPS[name]
            times: dict[str, list[_Run]] = {}
            imports: list[float] = []
            for _ in range(options.rounds):
                imports.append(_import_of_pytorch())
                contenders = [("steepest", _ours), ("weaver", _weaver)]
                for who, run in contenders:
                    times.setdefault(who, []).append(run(name, events, steps, Path(folder)))
                if _COMPILE:
                    compiled = _weaver(name, events, steps, Path(folder), compiled=True)
                    times.setdefault("weaver --compile", []).append(compiled)
            yield from _cases(name, asked, times, steps, imports)
        yield _over_ranks("particle-net-lite", events, Path(folder), options)


def _over_ranks(name: str, events: Path, folder: Path, options: Options) -> Case:
    """Two ranks of one thread each against one of one thread, with the same batch in all."""
    times: Times = {}
    for _ in range(options.rounds):
        for who, ranks, runs in (("one rank", 1, 1), ("two ranks", 2, 1), ("two runs", 1, 2)):
            started = [_Trained(name, events, folder, ranks) for _ in range(runs)]
            seconds = [run.seconds_of_a_batch() for run in started]
            times.setdefault(who, []).append(statistics.mean(seconds))
    limit = [2 * one / each for one, each in zip(times["one rank"], times["two runs"], strict=True)]
    return Case(
        "particles",
        f"{name}: a step of {2 * BATCH} jets, on ranks of one thread each",
        times,
        [ratio("two ranks against one", times["one rank"], times["two ranks"], TWO_RANKS)],
        numbers={"two runs at once against one": limit},
    )


class _Trained:
    """A training that goes on, over that many ranks."""

    def __init__(self, name: str, events: Path, folder: Path, ranks: int) -> None:
        self.place, self.ranks = tempfile.TemporaryDirectory(dir=folder), ranks
        recipe, self.run = Path(self.place.name) / "recipe.toml", Path(self.place.name) / "run"
        given = {"events": events, "name": name, "batch": 2 * BATCH // ranks}
        recipe.write_text(dedent(RECIPE).format(**given))
        launcher = ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
        command = [
            sys.executable, "-m", *(launcher if ranks > 1 else []), "steepest", "train",
            str(recipe), "--out", str(self.run), "--set", "descent.epochs=3",
            "--set", "evaluate.baseline=false",
        ]  # fmt: skip
        piped = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=os.environ | _ONE, **piped)

    def seconds_of_a_batch(self) -> float:
        """As the history of the run has it, in all epochs but the first."""
        with self.place:
            _, errors = self.process.communicate()
            if self.process.returncode:
                raise SystemExit(f"{self.ranks} ranks have failed:\n{errors[-3000:]}")
            rates = pq.read_table(self.run / "history.parquet")["events_per_second"].drop_null()
            return 2 * BATCH / statistics.mean(rates.to_pylist()[1:])


_ONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
_COMPILE = bool(os.environ.get("WEAVER_COMPILE", "1") != "0")
"""Compiling takes minutes of one core; WEAVER_COMPILE=0 leaves it out."""
_Run = dict[str, float]


def _cases(
    name: str, asked: float, runs: dict[str, list[_Run]], steps: int, imports: list[float]
) -> Iterator[Case]:
    def times(key: str) -> Times:
        return {who: [run[key] for run in of_who] for who, of_who in runs.items()}

    def best(of: Times) -> str:
        return min((who for who in of if who != "steepest"), key=lambda w: statistics.median(of[w]))

    step, cpu, first = times("step"), times("cpu"), times("first")
    rates = {f"jets/s of {who}": BATCH / statistics.median(all_) for who, all_ in step.items()}
    yield Case(
        "particles",
        f"{name}: a step of {BATCH} jets, one thread ({steps} steps)",
        step,
        [
            ratio(f"against {best(step)}", step[best(step)], step["steepest"], asked),
            ratio(f"CPU time against {best(cpu)}", cpu[best(cpu)], cpu["steepest"], None),
        ],
        numbers=rates,
    )
    other = best(first)
    beyond = {
        who: [max(seconds - torch, 1e-3) for seconds, torch in zip(of_who, imports, strict=True)]
        for who, of_who in first.items()
    }
    yield Case(
        "particles",
        f"{name}: from the start of the process to the first step",
        first,
        [
            ratio(f"against {other}", first[other], first["steepest"], SOONER),
            ratio(
                f"beyond the import of PyTorch, against {other}",
                beyond[other], beyond["steepest"], SOONER,
            ),
        ],
        numbers={"seconds of a process that imports PyTorch alone": statistics.median(imports)},
    )  # fmt: skip


def _import_of_pytorch() -> float:
    began = _now()
    subprocess.run([sys.executable, "-c", "import torch"], env=os.environ | _ONE, check=True)
    return _now() - began


def _simulate(path: Path, jets: int) -> None:
    script = (
        "from steepest.simulate import simulate_jets\n"
        f"if __name__ == '__main__': simulate_jets({str(path)!r}, {jets}, seed=7, leading={MOST})"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def _ours(name: str, events: Path, steps: int, folder: Path) -> _Run:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        times, recipe = Path(place) / "times", Path(place) / "recipe.toml"
        given = {"events": events, "name": name, "batch": BATCH}
        recipe.write_text(dedent(RECIPE).format(**given))
        script = dedent(OURS).format(
            times=times, recipe=recipe, out=Path(place) / "run", steps=steps + 1
        )
        return _timed([sys.executable, "-c", script], times, steps)


def _weaver(name: str, events: Path, steps: int, folder: Path, compiled: bool = False) -> _Run:
    python = os.environ.get("WEAVER_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        times, data, network = (Path(place) / n for n in ("times", "data.yaml", "network.py"))
        data.write_text(dedent(DATA))
        network.write_text(dedent(NETWORK).format(name=name, times=times))
        command = [
            python, "-m", "weaver.train", "--data-train", str(events), "--data-config", str(data),
            "--network-config", str(network), "--model-prefix", str(Path(place) / "net"),
            "--batch-size", str(BATCH), "--num-epochs", "1", "--steps-per-epoch", str(steps + 2),
            "--steps-per-epoch-val", "1", "--optimizer", "adamW", "--start-lr", "0.001",
            "--gpus", "", "--run-mode", "train", "--in-memory", "--fetch-step", "1",
            *(["--compile"] if compiled else []),
        ]  # fmt: skip
        return _timed(command, times, steps, place)


def _timed(command: list[str], times: Path, steps: int, place: str | None = None) -> _Run:
    """Seconds and CPU seconds of a step, and the seconds to the first one."""
    began = _now()
    done = subprocess.run(
        command, env=os.environ | _ONE, cwd=place, capture_output=True, text=True, check=False
    )
    lines = times.read_text().splitlines() if times.exists() else []
    moments = [json.loads(line) for line in lines]
    losses = [moment for moment in moments if moment[0] == "loss"]
    if len(losses) < steps + 2:
        raise SystemExit(f"{command[:3]} took {len(losses)} steps:\n{done.stderr[-3000:]}")
    (_, wall, cpu), (_, last, last_cpu) = losses[1], losses[steps + 1]
    return {
        "step": (last - wall) / steps,
        "cpu": (last_cpu - cpu) / steps,
        "first": moments[0][1] - began,
    }


def _now() -> float:
    import time

    return time.time()
