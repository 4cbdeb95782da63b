"""What lies in a simulated file: two workers made the session's sample."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from steepest import __version__
from steepest.simulate.blocks import Maker, Plan, events_for, pythia_seed
from steepest.simulate.columns import COLUMNS, schema
from steepest.simulate.processes import PROCESSES
from steepest.simulate.production import produce

JET_COLUMNS = [c.name for c in COLUMNS if not pa.types.is_list(c.type)]
PART_COLUMNS = [c.name for c in COLUMNS if pa.types.is_list(c.type)]


def numbers(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def test_columns_and_types(table):
    assert table.schema.equals(schema())
    assert table.column_names == [
        *("pt", "eta", "phi", "mass", "energy", "n_constituents"),
        *("tau1", "tau2", "tau3", "tau4", "e2", "e3", "c2", "d2", "pt_dispersion"),
        *("soft_drop_mass", "part_pt", "part_eta", "part_phi", "part_energy", "part_charge"),
        *("part_class", "part_d0", "part_dz", "is_top", "process", "event_number", "weight"),
    ]
    assert table.num_rows == 28
    assert table.schema.field("mass").metadata[b"unit"] == b"GeV"


def test_every_jet_lies_in_the_window_and_is_finite(table):
    assert np.all((numbers(table, "pt") > 550) & (numbers(table, "pt") < 650))
    assert np.all(np.abs(numbers(table, "eta")) < 2)
    for name in JET_COLUMNS:
        if name != "process":
            assert np.all(np.isfinite(numbers(table, name)))
    assert set(numbers(table, "weight")) == {1.0}


def test_half_of_each_pair_of_rows_is_top(table):
    tops = numbers(table, "is_top").reshape(-1, 2)
    assert np.all(tops.sum(axis=1) == 1)
    assert 0 < tops[:, 0].sum() < len(tops)  # not always the first
    names = np.where(numbers(table, "is_top") == 1, "top", "qcd")
    assert table["process"].to_pylist() == names.tolist()


def test_event_numbers_are_seed_and_row(table):
    assert numbers(table, "event_number").tolist() == [11 * 10**9 + row for row in range(28)]


def test_jets_are_the_sum_of_their_constituents(table):
    for row in table.to_pylist():
        pt, eta, phi, energy = (
            np.array(row[f"part_{name}"]) for name in ("pt", "eta", "phi", "energy")
        )
        assert len({len(row[name]) for name in PART_COLUMNS}) == 1
        assert row["n_constituents"] == len(pt)
        assert np.all(np.diff(pt) <= 0)
        px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
        total = np.array([energy.sum(), px.sum(), py.sum(), pz.sum()])
        mass2 = total[0] ** 2 - np.sum(total[1:] ** 2)
        assert np.hypot(total[1], total[2]) == pytest.approx(row["pt"], rel=1e-5)
        assert np.sqrt(mass2) == pytest.approx(row["mass"], rel=2e-3)
        assert energy.sum() == pytest.approx(row["energy"], rel=1e-5)
        neutral = np.array(row["part_charge"]) == 0
        assert np.array_equal(neutral, np.isin(row["part_class"], [1, 2]))
        assert not np.any(np.array(row["part_d0"])[neutral])
        assert np.sqrt(np.sum(pt**2)) / np.sum(pt) == pytest.approx(row["pt_dispersion"], rel=1e-5)
        assert row["c2"] == pytest.approx(row["e3"] / row["e2"] ** 2, rel=1e-4)
        assert row["d2"] == pytest.approx(row["e3"] / row["e2"] ** 3, rel=1e-4)
        assert row["soft_drop_mass"] <= row["mass"] * (1 + 1e-6)


def test_tops_weigh_as_much_as_a_top(table):
    mass, is_top = numbers(table, "mass"), numbers(table, "is_top") == 1
    assert 165 < np.median(mass[is_top]) < 190
    assert np.median(mass[~is_top]) < 140


def test_one_worker_makes_the_same_file_as_two(plan, sample, tmp_path):
    path = tmp_path / "jets.parquet"
    summary = produce(plan, path, workers=1)
    assert path.read_bytes() == sample.read_bytes()
    assert (summary.jets, summary.workers, summary.path) == (28, 1, path)
    assert summary.size == path.stat().st_size
    assert summary.rate == pytest.approx(28 / summary.seconds)


def test_a_shorter_file_is_the_beginning_of_a_longer_one(plan, table):
    made = Maker(replace(plan, jets=5)).block(0, lambda jets: True)
    assert made.equals(table.slice(0, 5))


@pytest.mark.parametrize(
    "processes",
    [("qcd", "top"), pytest.param(tuple(PROCESSES), marks=pytest.mark.slow)],
    ids=["two", "all"],
)
def test_a_block_does_not_depend_on_those_made_before(processes):
    plan = Plan(jets=9 * len(processes), seed=13, processes=processes, jets_per_block=3)
    alone, after = Maker(plan), Maker(plan)
    first = after.block(0, lambda jets: True)
    assert after.block(1, lambda jets: jets == 0) is None  # given up after some events
    last = after.block(2, lambda jets: True)
    assert alone.block(2, lambda jets: True).equals(last)
    assert alone.block(0, lambda jets: True).equals(first)


def test_few_events_at_once_when_few_jets_are_missing():
    """They do not depend on the length of the file, only on its blocks."""
    assert [events_for(missing) for missing in (50, 20, 3, 1)] == [64, 40, 6, 4]


def test_another_seed_gives_other_jets(plan, table):
    other = Maker(replace(plan, jets=2, seed=12)).block(0, lambda jets: True)
    assert not set(numbers(other, "pt")) & set(numbers(table, "pt"))
    assert numbers(other, "event_number")[0] == 12 * 10**9


def test_fewer_constituents_and_bits_leave_the_jets_as_they_are(plan, table):
    few = Maker(replace(plan, jets=6, leading=8, bits=7)).block(0, lambda jets: True)
    full = table.slice(0, 6)
    assert few.select(JET_COLUMNS).equals(full.select(JET_COLUMNS))
    for name in PART_COLUMNS:
        kept = pc.list_slice(full[name], 0, 8)
        assert pc.list_value_length(few[name]).to_pylist() == [8] * 6
        exact = kept.combine_chunks().flatten().to_numpy()
        rounded = few[name].combine_chunks().flatten().to_numpy()
        np.testing.assert_allclose(rounded, exact, rtol=2.0**-8)
    values = few["part_pt"].combine_chunks().flatten().to_numpy()
    assert not np.any(values.view(np.uint32) & np.uint32(0xFFFF))


def test_without_a_detector_the_particles_themselves(plan):
    bare = Maker(replace(plan, jets=6, detector=None)).block(0, lambda jets: True)
    charged = np.concatenate(bare["part_charge"].to_pylist()) != 0
    d0 = np.concatenate(bare["part_d0"].to_pylist())
    assert np.mean(np.abs(d0[charged]) < 1e-6) > 0.5  # exactly from the primary vertex
    assert np.all((numbers(bare, "pt") > 550) & (numbers(bare, "pt") < 650))


def test_a_block_can_be_given_up(plan):
    assert Maker(plan).block(0, lambda jets: False) is None


def test_metadata_tell_how_the_file_was_made(sample):
    told = json.loads(pq.read_schema(sample).metadata[b"steepest"])
    assert told["steepest"] == __version__
    assert told["pythia"].startswith("8.")
    assert told["fastjet"].startswith("3.")
    assert (told["format"], told["seed"], told["jets"], told["block_jets"]) == (1, 11, 28, 10)
    assert (told["leading"], told["bits"]) == (None, None)
    assert told["detector"]["track_efficiency"] == [0.8, 0.75]
    assert told["detector"]["hadronic"]["phi_towers"] == 64
    assert told["selection"] == {
        "algorithm": "anti-kT",
        "radius": 0.8,
        "pt": [550.0, 650.0],
        "abs_eta_max": 2.0,
    }
    top, qcd = told["processes"]["top"], told["processes"]["qcd"]
    assert (top["is_top"], top["decay"]["resonance"], top["decay"]["partons"]) == (1, 6, 3)
    assert (qcd["is_top"], qcd["decay"]) == (0, None)
    assert "PhaseSpace:pTHatMin = 150" in top["pythia"]
    assert "PhaseSpace:pTHatMin = 275" in qcd["pythia"]
    assert "PartonLevel:MPI = off" in qcd["pythia"]


def test_other_readers_read_it(sample, table):
    frame = polars.read_parquet(sample)
    assert frame["mass"].to_list() == table["mass"].to_pylist()
    assert frame["event_number"].to_list() == table["event_number"].to_pylist()
    assert frame["part_d0"].to_list() == table["part_d0"].to_pylist()


def test_nothing_is_left_beside_the_file(sample: Path):
    assert [file.name for file in sample.parent.iterdir()] == ["jets.parquet"]


def test_blocks_share_no_seed():
    seeds = {pythia_seed(s, p, b) for s in (0, 1, 2) for p in (0, 1) for b in range(200)}
    assert len(seeds) == 3 * 2 * 200
    assert min(seeds) >= 1
    assert max(seeds) <= 900_000_000


def test_the_last_block_is_as_long_as_needed():
    plan = Plan(jets=1001)
    assert (plan.blocks, plan.rows_of(0), plan.rows_of(10)) == (11, 100, 1)
