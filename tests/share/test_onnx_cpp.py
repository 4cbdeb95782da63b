"""`examples/onnx-cpp`: compiled, it scores events as the model does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from share.debian_headers import headers_of_debian
from share.particle_models import groups_of, model_of, quantities
from share.test_onnx import MATRIX
from share.test_onnx import model_of as dense_model_of
from steepest.encoding import CategoryColumn, Encoding, NumberColumn
from steepest.share.onnx import write_onnx

onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")
pytestmark = pytest.mark.slow
SOURCE = Path(__file__).parents[2] / "examples" / "onnx-cpp"
HEADER = "onnxruntime_cxx_api.h"
SYSTEM = [Path("/usr/include"), Path("/usr/local/include")]


def headers(folder: Path) -> Path | None:
    """The folder with onnxruntime's headers, which its Python package lacks."""
    if "ONNXRUNTIME_ROOT" in os.environ:
        found = headers_in(Path(os.environ["ONNXRUNTIME_ROOT"]) / "include")
    else:
        found = headers_in(*SYSTEM)
    if found is None and (unpacked := headers_of_debian(folder)) is not None:
        return headers_in(unpacked)
    return found


def headers_in(*roots: Path) -> Path | None:
    for root in roots:
        for inside in ("", "onnxruntime", "onnxruntime/core/session"):
            if (root / inside / HEADER).is_file():
                return root / inside
    return None


def library(folder: Path) -> Path:
    """The folder with the library: that of the headers' release, else of the Python package."""
    for root in (os.environ.get("ONNXRUNTIME_ROOT", "/none"), "/usr", "/usr/local"):
        found = [
            *Path(root).glob("lib/libonnxruntime.so"),
            *Path(root).glob("lib/*/libonnxruntime.so"),
        ]
        if found and found[0].is_file():
            return found[0].parent
    packaged = next((Path(onnxruntime.__file__).parent / "capi").glob("libonnxruntime.so.*"))
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(packaged)
    return folder


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    include = headers(tmp_path_factory.mktemp("debian"))
    if include is None:
        pytest.skip("needs onnxruntime's headers: libonnxruntime-dev, or set ONNXRUNTIME_ROOT")
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    folder = tmp_path_factory.mktemp("program")
    lib = library(folder)
    command = ["g++", "-std=c++17", "-o", folder / "score", SOURCE / "score.cpp",
               "-isystem", include, f"-L{lib}", "-lonnxruntime", f"-Wl,-rpath,{lib}",
               "-Wall", "-Wextra", "-Werror"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "score"


def scored(program: Path, model: Path, events: pl.DataFrame) -> pl.DataFrame:
    file = model.with_suffix(".csv")
    events.write_csv(file)
    done = subprocess.run([program, model, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return pl.read_csv(done.stdout.encode())


@pytest.mark.parametrize("float32", [False, True])
def test_numbers_texts_and_gaps(program: Path, float32: bool, tmp_path: Path):
    encoding = Encoding((NumberColumn("pt", None, 550.0), CategoryColumn("channel", ("e", "mu"))))
    features = [{"name": "pt", "value": "pt", "fill": 550.0}, "channel"]
    matrix = np.column_stack([MATRIX[:, 0], MATRIX[:, 1] > 80, MATRIX[:, 1] <= 80]).astype(float)
    model = dense_model_of(features, task="multiclass", encoding=encoding, matrix=matrix)
    write_onnx(model, tmp_path / "x.onnx", float32=float32)
    pt: list[float | None] = MATRIX[:50, 0].round(3).tolist()
    pt[3] = None
    events = pl.DataFrame({"more": range(50), "channel": ["e", "mu"] * 25, "pt": pt})
    found = scored(program, tmp_path / "x.onnx", events)
    assert found.columns == ["scores_0", "scores_1", "scores_2"]
    expected = model.predict([[p, c] for p, c in zip(pt, events["channel"], strict=True)])
    np.testing.assert_allclose(found.to_numpy(), expected, atol=1e-5 if float32 else 1e-12)


def test_particles(program: Path, tmp_path: Path):
    pytest.importorskip("onnxscript", reason="needs the extra [onnx]")
    names = {q: f"{q.upper()}_{{i}}" for q in ("energy", "px", "py", "pz")}
    model = model_of("deep-sets", particles=names)
    done = write_onnx(model, tmp_path / "x.onnx")
    assert done.inputs.keys() == {"ENERGY", "PX", "PY", "PZ"}
    lengths = np.array([3, 0, 1, 7])
    flat = quantities(lengths, 4)
    columns = {}
    for quantity, pattern in names.items():
        wide = np.zeros((4, 7))
        wide[np.arange(7) < lengths[:, None]] = flat[quantity]
        columns |= {pattern.replace("{i}", str(i)): wide[:, i] for i in range(7)}
    found = scored(program, tmp_path / "x.onnx", pl.DataFrame(columns))
    expected = model.predict(groups_of(model, flat, lengths))
    np.testing.assert_allclose(found["score"].to_numpy(), expected, atol=1e-7)


def test_errors_are_sentences(program: Path, tmp_path: Path):
    write_onnx(dense_model_of(["pt"]), tmp_path / "x.onnx")
    (tmp_path / "x.csv").write_text("mass\n1.0\n")
    (tmp_path / "y.csv").write_text("pt\nmuch\n")
    (tmp_path / "z.csv").write_text("pt,mass\n1.0\n")
    for name, says in {
        "x.csv": "score: the events have no column pt",
        "y.csv": "score: 'much' is no number",
        "z.csv": "has another number of cells than the header",
        "absent.csv": "score: there is no file",
    }.items():
        command = [program, tmp_path / "x.onnx", tmp_path / name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert says in done.stderr
