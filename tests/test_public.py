"""The public names are exactly these, and the root stays quick to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import steepest


def test_public_names():
    assert sorted(steepest.__all__) == [
        "Classifier",
        "ParticleClassifier",
        "Recipe",
        "Regressor",
        "Run",
        "__version__",
        "compare",
        "explain",
        "load",
        "predict",
        "resume",
        "save",
        "sweep",
        "train",
    ]
    for name in steepest.__all__:
        assert getattr(steepest, name) is not None
    assert dir(steepest) == steepest.__all__


def test_unknown_names_are_attribute_errors():
    with pytest.raises(AttributeError, match="module 'steepest' has no attribute 'tran'"):
        _ = steepest.tran  # type: ignore[attr-defined]


HELP = """
import contextlib, io, sys
from steepest.cli import main
sys.argv[1:] = ["--help"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):
    main()
"""


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import steepest", "numpy matplotlib pyarrow torch scipy sklearn polars"),
        ("import steepest.cli.app", "numpy matplotlib pyarrow torch scipy sklearn polars"),
        ("import steepest.training", "matplotlib torch"),
        (HELP, "numpy matplotlib pyarrow torch scipy sklearn polars rich pydantic"),
    ],
)
def test_heavy_packages_are_imported_where_they_are_used(code: str, absent: str):
    check = f"{code}\nimport sys; print(*[m for m in {absent.split()!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_package_is_a_command():
    command = [sys.executable, "-m", "steepest", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"steepest {steepest.__version__}\n"
