"""A model that was shared is scored where only the core and the Hub's client are installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import steepest
from share.loopback_hub import TOKEN, Hub
from share.test_hub import EVENTS
from steepest.share import Target, share_run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]
ROOT = Path(__file__).parents[2]
NAME = "dl4phys/top-tagger"
ABSENT = ("torch", "uproot", "awkward", "h5py", "onnx", "onnxruntime", "plotly", "starlette")
PROGRAM = """
import importlib.util, json, sys
import steepest
found = [name for name in json.loads(sys.argv[2]) if importlib.util.find_spec(name)]
assert not found, found
assert steepest.__file__.startswith(sys.prefix), steepest.__file__
model = steepest.load(sys.argv[1])
print(model.predict(json.loads(sys.argv[3])).tobytes().hex())
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with steepest[hub] and no other extra."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "venv", with_pip=True)
    interpreter = folder / "venv" / "bin" / "python"
    command = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
               "--constraint", ROOT / "constraints.txt", f"{ROOT}[hub]"]  # fmt: skip
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"pip cannot install the core: {done.stderr.strip().splitlines()[-1]}")
    return interpreter


def test_scores_are_those_of_the_run(python: Path, hub: Hub, trained: Path, tmp_path: Path):
    share_run(trained, Target(NAME))
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTHON"))}
    environment = clean | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
    }

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            [python, *command], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    here = steepest.Run(trained).predict(EVENTS)
    said = run("-c", PROGRAM, f"hf://{NAME}", json.dumps(ABSENT), json.dumps(EVENTS))
    assert said.strip() == here.tobytes().hex()
    table = pl.DataFrame(np.array(EVENTS), schema=["pt", "mass", "ratio"])
    table.write_parquet(tmp_path / "events.parquet")
    run("-m", "steepest", "predict", f"hf://{NAME}", tmp_path / "events.parquet",
        "--out", tmp_path / "scores.parquet")  # fmt: skip
    assert pl.read_parquet(tmp_path / "scores.parquet")["score"].to_list() == here.tolist()
    assert sys.prefix not in said
