from __future__ import annotations

import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

import steepest.simulate
from steepest.cli.simulate import simulate
from steepest.simulate import Summary

app = typer.Typer()
app.command()(simulate)


@pytest.fixture
def passed(monkeypatch, tmp_path) -> dict:
    """What the command passes on."""
    calls: dict = {}

    def note(path, jets, **options):
        calls.update(path=path, jets=jets, **options)
        return Summary(path, jets, 2_500_000, 10.0, 2)

    monkeypatch.setattr(steepest.simulate, "simulate_jets", note)
    return calls


def test_what_is_left_out_has_its_default(passed, tmp_path):
    path = tmp_path / "jets.parquet"
    result = CliRunner().invoke(app, ["--jets", "1000", "--out", str(path)])
    assert result.exit_code == 0
    assert passed == {
        "path": path,
        "jets": 1000,
        "seed": 0,
        "processes": ["top", "qcd"],
        "workers": None,
        "detector": True,
        "leading": None,
        "bits": None,
        "progress": True,
        "overwrite": False,
    }
    assert result.stdout == ""
    assert result.stderr == f"1,000 jets in {path}: 2.5 MB, 10 s, 50 jets/s a worker\n"


def test_every_option_is_passed_on(passed, tmp_path):
    line = "--jets 9 --out x.parquet --seed 3 --workers 2 --no-detector --leading 32 --bits 9"
    CliRunner().invoke(app, [*line.split(), "--overwrite", "--processes", "w, h-bb"])
    assert passed["processes"] == ["w", "h-bb"]
    assert passed["seed"] == 3
    assert passed["workers"] == 2
    assert passed["detector"] is False
    assert passed["leading"] == 32
    assert passed["bits"] == 9
    assert passed["overwrite"] is True


def test_help_has_an_example():
    result = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "120"})
    assert "steepest simulate --jets 10000 --out jets.parquet --seed 1" in result.stdout
    assert "is_top" in result.stdout


def test_help_loads_nothing_heavy():
    code = (
        "import sys, steepest.cli.simulate\n"
        "heavy = {'pythia8mc', 'fastjet', 'awkward', 'steepest.simulate'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_small_file_for_real(tmp_path):
    path = tmp_path / "jets.parquet"
    result = CliRunner().invoke(
        app, ["--jets", "2", "--out", str(path), "--workers", "1", "--leading", "4"]
    )
    assert result.exit_code == 0
    assert result.stdout == ""
    assert f"2 jets in {path}: {path.stat().st_size / 1000:.1f} kB, " in result.stderr
    table = pq.read_table(path)
    assert sorted(table["is_top"].to_pylist()) == [0, 1]
    assert [len(row) for row in table["part_pt"].to_pylist()] == [4, 4]
