"""Files with the same events, under whatever name, order or compression."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from samples import write_jets
from steepest.errors import EventsError
from steepest.events import load_sample
from steepest.events.sample.checks import Repeats
from steepest.recipe import EventsRecipe

RNG = np.random.default_rng(0)
JETS = {"pt": RNG.normal(600, 20, 200), "mass": RNG.normal(90, 20, 200), "y": np.arange(200) % 2}


def recipe(*paths: str, **keys: object) -> EventsRecipe:
    return EventsRecipe(path=list(paths), label="y", features=["pt", "mass"], **keys)


def test_a_copy_in_another_order(write, refused) -> None:
    order = RNG.permutation(200)
    copy = {name: values[order] for name, values in JETS.items()}
    paths = write(JETS, "run1.parquet"), write(copy, "copy.parquet", compression="zstd")
    message = """
DIR/run1.parquet and DIR/copy.parquet hold the same events, which would count twice.
  expected: files of different events
  found:    200 selected events in each, with the same values of mass, pt, y
  cause:    a copy under another name, or the same events in two formats
  do:       leave one of the two out of events.path
"""
    refused(EventsError, message, load_sample, recipe(*paths))


def test_one_value_makes_other_events(write) -> None:
    changed = {**JETS, "mass": JETS["mass"].copy()}
    changed["mass"][137] = np.nextafter(changed["mass"][137], 0)
    paths = write(JETS, "a.parquet"), write(changed, "b.parquet")
    assert len(load_sample(recipe(*paths)).features) == 400


def test_the_label_and_the_weight_count(write) -> None:
    for name in ("y", "w"):
        first = {**JETS, "w": np.ones(200)}
        second = {**first, name: 1 - first[name]}
        paths = write(first, "a.parquet"), write(second, "b.parquet")
        assert len(load_sample(recipe(*paths, weight="w")).features) == 400


@given(
    values=arrays(np.float64, st.tuples(st.integers(1, 20), st.integers(1, 4)), unique=True),
    seed=st.integers(0, 9),
)
def test_any_order_any_blocks(values: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    repeats = Repeats()
    repeats.add(0, values)
    for piece in np.array_split(rng.permutation(values), rng.integers(1, 4)):
        repeats.add(1, piece)
    assert repeats.pair() == (0, 1)


@pytest.mark.parametrize("change", ["swap of columns", "swap within a column", "one row fewer"])
def test_what_is_not_the_same(change: str) -> None:
    values = RNG.normal(size=(6, 2))
    other = values[:, ::-1].copy() if change == "swap of columns" else values.copy()
    if change == "swap within a column":
        other[[0, 1], 0] = other[[1, 0], 0]
    if change == "one row fewer":
        other = other[1:]
    repeats = Repeats()
    repeats.add(0, values)
    repeats.add(1, other)
    assert repeats.pair() is None


def test_particles_tell_events_apart(tmp_path) -> None:
    """Files with as many jets of each class, but other particles; then a copy in another order."""
    first = tmp_path / "a.parquet"
    write_jets(first, 120)
    table = pq.read_table(first)
    others = {name: pc.list_slice(table[name], 0, 5) for name in table.column_names[1:]}
    pq.write_table(pa.table({"y": table["y"], **others}), tmp_path / "b.parquet")
    jets = EventsRecipe(path=str(tmp_path / "*.parquet"), label="y", particles={})
    assert len(load_sample(jets).labels) == 240
    pq.write_table(table.take(RNG.permutation(120)), tmp_path / "b.parquet")
    with pytest.raises(EventsError, match="hold the same events"):
        load_sample(jets)
