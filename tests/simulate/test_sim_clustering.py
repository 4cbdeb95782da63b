"""Many jets in one call against one at a time, flat records against Awkward, and silence."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from steepest.errors import InputError
from steepest.simulate import extra
from steepest.simulate import jets as sub
from steepest.simulate.generator import Generator, flat_columns
from steepest.simulate.jets import Clustered, offsets_of, soft_drop_mass
from steepest.simulate.processes import PROCESSES

COUNTS = np.array([30, 1, 12, 4])


def momenta(seed: int, count: int) -> tuple[np.ndarray, ...]:
    """Massless four-momenta within one jet."""
    rng = np.random.default_rng(seed)
    pt, y, phi = (
        rng.exponential(20, count) + 0.5,
        rng.normal(0, 0.3, count),
        rng.normal(0, 0.3, count),
    )
    return pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(y), pt * np.cosh(y)


JETS = [momenta(seed, count) for seed, count in enumerate(COUNTS.tolist())]
TOGETHER = tuple(np.concatenate(column) for column in zip(*JETS, strict=True))


def test_many_jets_are_measured_as_one_at_a_time():
    together = sub.substructure(TOGETHER, COUNTS)
    for place, jet in enumerate(JETS):
        alone = sub.substructure(jet, COUNTS[place : place + 1])
        assert {n: values[0] for n, values in alone.items()} == {
            n: values[place] for n, values in together.items()
        }
    assert together["tau1"][0] != together["tau1"][2]


@pytest.mark.parametrize("count", [1, 3, 4])
def test_exclusive_jets_are_those_of_fastjets_own_classes(count):
    fastjet = extra.fastjet()
    clustered = Clustered(TOGETHER, COUNTS, "kt_algorithm", 1000.0)
    found, offsets = clustered.exclusive(count)
    definition = fastjet.JetDefinition(fastjet.kt_algorithm, 1000.0)
    for place, jet in enumerate(JETS):
        inputs = [fastjet.PseudoJet(*row) for row in np.column_stack(jet).tolist()]
        sequence = fastjet.ClusterSequence(inputs, definition)
        expected = sorted(s.e() for s in sequence.exclusive_jets_up_to(count))
        own = slice(offsets[place], offsets[place + 1])
        assert np.sort(found[3][own]) == pytest.approx(expected, rel=1e-12)


def test_members_of_a_list_make_up_its_jets():
    """A list without particles has no jets, and the next one's places start at 0 again."""
    counts = np.array([30, 0, 17])
    clustered = Clustered(TOGETHER, counts, "antikt_algorithm", 0.4)
    (px, _, _, energy), offsets = clustered.inclusive(5.0)
    places, ends = clustered.members(5.0)
    assert offsets[1] == offsets[2] < len(px)
    starts = offsets_of(counts)
    for place in range(3):
        for jet in range(offsets[place], offsets[place + 1]):
            own = starts[place] + places[ends[jet] : ends[jet + 1]]
            assert own.max() < starts[place + 1]
            assert TOGETHER[0][own].sum() == pytest.approx(px[jet])
            assert TOGETHER[3][own].sum() == pytest.approx(energy[jet])


def test_soft_drop_is_fastjets_own_bit_for_bit():
    clustered = Clustered(TOGETHER, COUNTS, "cambridge_algorithm", 1000.0)
    answer = clustered.sequences.to_numpy_softdrop_grooming(
        1, 0.0, 0.1, "scalar_z", 0.8, "larger_pt", float("inf")
    )
    expected = np.maximum(answer[8], 0.0).tolist()
    assert [soft_drop_mass(jet, 0.1) for jet in JETS] == expected
    assert expected[0] > 1.0


@pytest.mark.parametrize(
    ("module", "found"),
    [
        (None, "import of fastjet._ext halted; None in sys.modules"),
        (sys, "no function 'interfacemulti' in it"),
    ],
)
def test_a_fastjet_without_its_layer_of_arrays_is_told_with_a_version_that_has_it(
    monkeypatch, module, found
):
    extra.fastjet()
    monkeypatch.setitem(sys.modules, "fastjet._ext", module)
    with pytest.raises(InputError) as caught:
        extra.fastjet_arrays()
    assert str(caught.value) == (
        "Simulating jets needs the module 'fastjet._ext' of the package 'fastjet'.\n"
        "  expected: a version of FastJet that has it, such as 3.5.2\n"
        f"  found:    FastJet {version('fastjet')}: {found}\n"
        "  cause:    a newer version, which has moved it\n"
        "  do:       pip install 'fastjet==3.5.2.*'"
    )


def test_flat_columns_are_those_of_the_nested_record():
    import awkward as ak

    record = Generator(PROCESSES["qcd"], seed=5).pythia.nextBatch(3)
    event, start, table = flat_columns(record)
    entries = record["prt"]
    assert np.bincount(event).tolist() == ak.num(entries, axis=1).tolist()
    assert np.array_equal(np.unique(start), np.flatnonzero(np.diff(event, prepend=-1)))
    flat = ak.flatten(entries, axis=1)
    for name in ("id", "status", "daughter1", "daughter2"):
        assert np.array_equal(table[name], np.asarray(flat[name]))
    for name in ("px", "py", "pz", "e"):
        assert np.array_equal(table[name], np.asarray(flat["p", name]))
    vertex = ak.fill_none(flat["vProd"], {"px": 0.0, "py": 0.0, "pz": 0.0, "e": 0.0})
    for name in "xyz":
        assert np.array_equal(table[name], np.asarray(vertex[f"p{name}"]))
        assert np.any(table[name] != 0)


@pytest.mark.parametrize(
    "before", ["", pytest.param("import os; os.close(1)", marks=pytest.mark.slow)]
)
def test_a_fresh_process_prints_nothing_with_and_without_a_standard_output(before):
    lines = [
        before,
        "from steepest.simulate.generator import Generator",
        "from steepest.simulate.processes import PROCESSES",
        'assert Generator(PROCESSES["qcd"], seed=1).batch(1).count == 1',
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
