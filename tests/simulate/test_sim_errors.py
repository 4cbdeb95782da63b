from __future__ import annotations

import sys

import pytest

from steepest.errors import InputError, MissingExtraError
from steepest.simulate import extra, simulate_jets

OK = {"jets": 10, "seed": 1, "workers": 1, "leading": 5, "bits": 8}


@pytest.mark.parametrize(
    ("option", "value", "expected", "found"),
    [
        ("jets", 0, "a whole number from 1 to 1,000,000,000", "0"),
        ("jets", 10**10, "a whole number from 1 to 1,000,000,000", "10,000,000,000"),
        ("jets", 1.5, "a whole number from 1 to 1,000,000,000", "1.5, a float"),
        ("seed", -1, "a whole number from 0 to 9,000,000,000", "-1"),
        ("seed", True, "a whole number from 0 to 9,000,000,000", "True, a bool"),
        ("workers", 0, "a whole number from 1 on", "0"),
        ("leading", 0, "a whole number from 1 on", "0"),
        ("bits", 24, "a whole number from 1 to 23", "24"),
    ],
)
def test_options_out_of_range(tmp_path, option, value, expected, found):
    with pytest.raises(InputError) as caught:
        simulate_jets(tmp_path / "jets.parquet", **{**OK, option: value})
    assert str(caught.value) == (
        f"The option {option!r} is out of its range.\n  expected: {expected}\n  found:    {found}"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("package", ["pythia8mc", "fastjet", "awkward"])
def test_a_missing_package_is_told_before_any_work(tmp_path, monkeypatch, package):
    for name in ("pythia8mc", "fastjet", "fastjet._swig", "awkward"):
        monkeypatch.setitem(sys.modules, name, None if name == package else sys)
    with pytest.raises(MissingExtraError) as caught:
        simulate_jets(tmp_path / "jets.parquet", jets=10)
    assert str(caught.value) == (
        f"Simulating jets needs the package {package!r}, which is not installed.\n"
        "  do:       pip install 'steepest[simulate]'"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_broken_package_is_told_as_it_is(monkeypatch):
    def broken(name):
        raise ImportError("libpythia8.so: cannot open shared object file")

    monkeypatch.setattr(extra.importlib, "import_module", broken)
    with pytest.raises(InputError) as caught:
        extra.pythia()
    assert str(caught.value) == (
        "Simulating jets needs the package 'pythia8mc', which is installed but cannot be loaded.\n"
        "  found:    libpythia8.so: cannot open shared object file\n"
        "  cause:    a file of it is missing, or was built for another system\n"
        "  do:       pip install --force-reinstall pythia8mc"
    )
