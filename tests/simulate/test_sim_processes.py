"""Every process: its decay as asked for, its windows, its place in a file, and wrong names."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from steepest.cli.app import app
from steepest.errors import InputError
from steepest.simulate import simulate_jets
from steepest.simulate.blocks import Maker, Plan
from steepest.simulate.generator import Generator
from steepest.simulate.jets import leading_jets, matched
from steepest.simulate.processes import PROCESSES, Decay, known_processes
from steepest.simulate.production import produce

QUICK = ("top", "top-blv", "w", "h-4q", "h-lvqq")  # every kind of decay
DECAYING = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name, process in PROCESSES.items()
    if process.decay is not None
]


def test_names_and_numbers_are_unique():
    numbers = [process.number for process in PROCESSES.values()]
    assert numbers == list(range(10)), "a number once used stays: it fixes the jets of a seed"
    assert [name for name, process in PROCESSES.items() if process.is_top] == ["top", "top-blv"]


@pytest.mark.parametrize("name", DECAYING)
def test_every_event_has_the_decay_and_some_have_it_in_a_jet(name):
    process = PROCESSES[name]
    events = Generator(process, seed=2).batch(12)
    decays = events.decays
    assert decays is not None
    assert process.decay is not None
    products = process.decay.partons + process.decay.leptons
    assert decays.rapidity.shape == (len(decays.event), 1 + products)
    assert set(decays.event) == set(range(events.count))
    low, high = process.pt_hat
    assert np.all((events.pt_hat > low) & (events.pt_hat < high))
    jets = leading_jets(events.particles.as_constituents(), events.count)
    assert np.any(matched(jets, decays))


def test_a_decay_into_other_products_is_not_one_of_them():
    """W bosons decay to quarks or leptons here; only one of each makes a jet of h-lvqq."""
    process = PROCESSES["h-lvqq"]
    loose = replace(process, decay=Decay(25, partons=4, mixed=True))
    strict, other = (Generator(p, seed=1).batch(4) for p in (process, loose))
    assert strict.decays is not None
    assert other.decays is not None
    assert strict.decays.rapidity.shape == (4, 4)
    assert other.decays.rapidity.shape == (4, 5)


@pytest.mark.parametrize(
    ("name", "mass"),
    [
        ("w", 80.4),
        pytest.param("z", 91.2, marks=pytest.mark.slow),
        pytest.param("h-gg", 125.0, marks=pytest.mark.slow),
        pytest.param("top", 172.5, marks=pytest.mark.slow),
    ],
)
def test_the_mass_of_the_resonance_shows_in_its_jets(name, mass):
    """At particle level the median mass of a matched jet lies at the resonance's."""
    events = Generator(PROCESSES[name], seed=4).batch(48)
    jets = leading_jets(events.particles.as_constituents(), events.count)
    assert events.decays is not None
    own = jets.mass[matched(jets, events.decays)]
    assert abs(np.median(own) / mass - 1) < 0.12


def test_a_file_of_three_classes(tmp_path):
    path = tmp_path / "jets.parquet"
    produce(Plan(jets=9, seed=3, processes=("w", "qcd", "h-bb"), jets_per_block=2), path)
    table = pq.read_table(path)
    assert table["process"].value_counts().to_pylist() == [
        {"values": name, "counts": 3} for name in table["process"].unique().to_pylist()
    ]
    assert set(table["process"].to_pylist()) == {"w", "qcd", "h-bb"}
    assert set(table["is_top"].to_pylist()) == {0}
    assert table["event_number"].to_pylist() == list(range(3 * 10**9, 3 * 10**9 + 9))


def test_the_jets_of_a_process_do_not_depend_on_the_others():
    def masses(*names: str) -> list[float]:
        maker = Maker(Plan(jets=12, seed=5, processes=names, jets_per_block=3))
        table = maker.block(0, any_number)
        assert table is not None
        return table.filter(pa.compute.equal(table["process"], "w"))["mass"].to_pylist()

    assert masses("w") == masses("qcd", "w") == masses("w", "top")


def any_number(count: int) -> bool:
    return True


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["top", "Hbb"],
            "There is no process 'Hbb'.\n"
            "  expected: one of top, qcd, top-blv, w, z, h-bb, h-cc, h-gg, h-4q, h-lvqq\n"
            "  found:    'Hbb'\n"
            "  do:       did you mean 'h-bb'?",
        ),
        (
            ["gravitino"],
            "There is no process 'gravitino'.\n"
            "  expected: one of top, qcd, top-blv, w, z, h-bb, h-cc, h-gg, h-4q, h-lvqq\n"
            "  found:    'gravitino'",
        ),
        (
            ["w", "qcd", "w"],
            "The process 'w' was named 2 times.\n"
            "  expected: each process once: all are made in equal numbers\n"
            "  found:    w, qcd, w",
        ),
        (
            [],
            "No process to simulate was named.\n"
            "  expected: one or more of top, qcd, top-blv, w, z, h-bb, h-cc, h-gg, h-4q, h-lvqq\n"
            "  found:    an empty list",
        ),
    ],
)
def test_wrong_names(tmp_path, names, message):
    with pytest.raises(InputError) as caught:
        simulate_jets(tmp_path / "jets.parquet", 10, processes=names)
    assert str(caught.value) == message
    assert list(tmp_path.iterdir()) == []


def test_wrong_names_at_the_command_line(tmp_path):
    line = ["simulate", "--jets", "4", "--out", str(tmp_path / "x.parquet")]
    result = CliRunner().invoke(app, [*line, "--processes", "top,qdc"])
    assert result.exit_code == 1


def test_one_process_will_do():
    assert known_processes(("qcd",)) == ("qcd",)
