"""The split: its values are recorded, and they depend on the event alone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from steepest.errors import EventsError
from steepest.events import TEST, TRAIN, VALIDATION, assign_folds, assign_parts, load_sample
from steepest.events.sample.split import _uniform, event_keys, row_keys
from steepest.recipe import EventsRecipe, SplitRecipe

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


GOLDEN_PARTS = "0100220200001020120000002200002020202000"
GOLDEN_PARTS_1 = "0020100000000002002000200000000000020010"


def mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & MASK
    return z ^ (z >> 31)


def fnv1a(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & MASK
    return value


def uniform(key: int, seed: int) -> float:
    return (mix(mix((key + GOLDEN) & MASK) ^ mix((seed + 2 * GOLDEN) & MASK)) >> 11) / 2**53


def test_the_hash_is_the_documented_one() -> None:
    keys = np.array([0, 1, 2, 123456789, 2**63, 2**64 - 1], dtype=np.uint64)
    for seed in (0, 1, 2**63, 12345):
        assert _uniform(keys, seed).tolist() == [uniform(int(key), seed) for key in keys]


def digits(parts: np.ndarray) -> str:
    return "".join(map(str, parts))


def test_golden_values() -> None:
    """These never change: a run's test part must stay its test part."""
    texts = np.array(["a", "b", "run1/42", "é"])
    assert digits(assign_parts(np.arange(40), SplitRecipe())) == GOLDEN_PARTS
    assert digits(assign_parts(np.arange(40), SplitRecipe(seed=1))) == GOLDEN_PARTS_1
    assert digits(assign_parts(texts, SplitRecipe(test=0.5))) == "0020"
    keys = row_keys("jets.parquet", np.array([0, 41]))
    assert keys.tolist() == [1844503893238214673, 1844503893238214714]


def test_text_keys_are_fnv1a_of_the_bytes() -> None:
    texts = ["", "a", "foobar", "run 1", "é", "日本", "x" * 300]
    expected = [fnv1a(text) for text in texts]
    for arrow in (pa.string(), pa.large_string(), pa.string_view()):
        assert event_keys(pa.array(texts, arrow), "n", "f").tolist() == expected
    coded = pa.array(texts).dictionary_encode()
    assert event_keys(coded, "n", "f").tolist() == expected
    assert event_keys(pa.array(["zz", *texts]).slice(1), "n", "f").tolist() == expected


def test_row_keys_are_of_name_and_row() -> None:
    assert row_keys("a.parquet", np.array([5])).tolist() == [mix(fnv1a("a.parquet")) + 5 & MASK]


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"])
def test_the_type_of_the_number_does_not_matter(dtype) -> None:
    numbers = np.arange(100)
    split = SplitRecipe(seed=3)
    assert np.array_equal(assign_parts(numbers.astype(dtype), split), assign_parts(numbers, split))


def test_negative_numbers_keep_their_sign() -> None:
    keys = event_keys(pa.array([-1, -2], pa.int16()), "n", "f")
    assert keys.tolist() == [2**64 - 1, 2**64 - 2]


@pytest.mark.parametrize("seed", [0, 1, 2, 77])
@pytest.mark.parametrize("start", [0, 10**9, 2**60])
def test_shares_are_right(seed, start) -> None:
    split = SplitRecipe(validation=0.1, test=0.2, seed=seed)
    count = 100_000
    parts = assign_parts(np.arange(start, start + count), split)
    for part, share in ((TRAIN, 0.7), (VALIDATION, 0.1), (TEST, 0.2)):
        sigma = np.sqrt(share * (1 - share) / count)
        assert abs((parts == part).mean() - share) < 5 * sigma


def test_seeds_are_independent() -> None:
    numbers = np.arange(100_000)
    first, second = (assign_parts(numbers, SplitRecipe(test=0.5, seed=s)) == TEST for s in (0, 1))
    assert abs((first & second).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 100_000)


def test_strided_numbers_are_spread_too() -> None:
    for stride in (2, 8, 1000, 2**20, 2**32):
        parts = assign_parts(np.arange(20_000) * stride, SplitRecipe(test=0.2))
        assert abs((parts == TEST).mean() - 0.2) < 5 * np.sqrt(0.16 / 20_000)


def test_the_test_part_stays_when_the_validation_share_changes() -> None:
    numbers = np.arange(10_000)
    parts = [assign_parts(numbers, SplitRecipe(validation=v, test=0.2)) for v in (0, 0.1, 0.5)]
    for other in parts[1:]:
        assert np.array_equal(other == TEST, parts[0] == TEST)


def test_a_share_of_zero_is_empty() -> None:
    parts = assign_parts(np.arange(10_000), SplitRecipe(validation=0.0, test=0.0))
    assert (parts == TRAIN).all()
    assert parts.dtype == np.int8


# --- as load_sample applies it ------------------------------------------------------------------


def jets(count: int, start: int = 0) -> dict:
    row = np.arange(count)
    return {"id": row + start, "pt": row + 1.0, "y": row % 2}


def parts_by_event(recipe: EventsRecipe) -> dict[tuple[str, int], int]:
    sample = load_sample(recipe)
    names = [file["name"] for file in sample.source["files"]]
    keys = [(names[file], int(row)) for file, row in zip(sample.file, sample.rows, strict=True)]
    return dict(zip(keys, sample.part.tolist(), strict=True))


@pytest.mark.parametrize("by", [None, "id"])
def test_stable_when_files_are_added_or_reordered(write, by) -> None:
    a, b = write(jets(300), "a.parquet"), write(jets(200, 300), "b.parquet")
    split = SplitRecipe(by=by)
    alone = parts_by_event(EventsRecipe(path=b, label="y", features=["pt"], split=split))
    for paths in ([a, b], [b, a]):
        both = parts_by_event(EventsRecipe(path=paths, label="y", features=["pt"], split=split))
        assert len(both) == 500
        assert alone.items() <= both.items()


def test_files_of_one_length_are_split_apart(write) -> None:
    other = {**jets(500), "pt": np.arange(500.0) + 0.5}
    paths = [write(jets(500), "a.parquet"), write(other, "b.parquet")]
    parts = parts_by_event(EventsRecipe(path=paths, label="y", features=["pt"]))
    a = [part for (name, _), part in parts.items() if name == "a.parquet"]
    b = [part for (name, _), part in parts.items() if name == "b.parquet"]
    assert a != b


def test_the_folder_does_not_matter(write, tmp_path) -> None:
    recipes = [
        EventsRecipe(path=write(jets(200), f"{folder}/a.parquet"), label="y", features=["pt"])
        for folder in ("here", "there")
    ]
    assert parts_by_event(recipes[0]) == parts_by_event(recipes[1])


@pytest.mark.parametrize("by", [None, "id"])
def test_stable_under_row_groups_and_selection(write, by) -> None:
    recipes = {"label": "y", "features": ["pt"], "split": SplitRecipe(by=by)}
    whole = parts_by_event(EventsRecipe(path=write(jets(900)), **recipes))
    small = parts_by_event(EventsRecipe(path=write(jets(900), row_group_size=17), **recipes))
    some = parts_by_event(
        EventsRecipe(path=write(jets(900), row_group_size=50), select="pt > 300", **recipes)
    )
    assert whole == small
    assert len(some) == 600
    assert some.items() <= whole.items()


def test_rows_of_one_event_stay_together(write) -> None:
    columns = {"id": np.arange(600) // 3, "pt": np.arange(600.0), "y": np.arange(600) % 2}
    recipe = EventsRecipe(path=write(columns), label="y", split=SplitRecipe(by="id"))
    part = load_sample(recipe).part.reshape(200, 3)
    assert (part == part[:, :1]).all()


def test_text_event_numbers(write) -> None:
    columns = {
        "id": [f"run1:{n}" for n in range(300)],
        "pt": np.arange(300.0),
        "y": [0, 1, 1] * 100,
    }
    table = pa.table(columns)
    plain = EventsRecipe(path=write(table, "a.parquet"), label="y", split=SplitRecipe(by="id"))
    coded = table.set_column(0, "id", table["id"].dictionary_encode())
    path = write(coded, "b.parquet")
    again = plain.model_copy(update={"path": path})
    expected = assign_parts(np.array(columns["id"]), SplitRecipe())
    assert np.array_equal(load_sample(plain).part, expected)
    assert np.array_equal(load_sample(again).part, expected)
    assert len(set(expected.tolist())) == 3


# --- messages -----------------------------------------------------------------------------------


def split_by(write, column) -> EventsRecipe:
    columns = {"id": column, "pt": np.arange(len(column)) + 1.0, "y": [0, 1] * (len(column) // 2)}
    path = write(columns, row_group_size=10)
    return EventsRecipe(
        path=path, label="y", features=["pt"], select="pt > 5", split=SplitRecipe(by="id")
    )


def test_null_event_number(write, refused) -> None:
    message = """
The split's column 'id' has no value for 2 events in DIR/jets.parquet, first at row 27.
  expected: a number or text for each event, to split by
  found:    null
  do:       select the events that have one, or leave events.split.by out
"""
    column = [None if n in (0, 27, 28) else n for n in range(60)]
    refused(EventsError, message, load_sample, split_by(write, column))


def test_fractional_event_number(write, refused) -> None:
    message = """
The split's column 'id' is not an integer for 1 event in DIR/jets.parquet, first at row 33.
  expected: event numbers: integers, not beyond 2**53 if they are stored as floats
  found:    0.5
  do:       name a column with event numbers, or leave events.split.by out
"""
    column = np.arange(60.0)
    column[33] = 0.5
    refused(EventsError, message, load_sample, split_by(write, column))


@pytest.mark.parametrize("value", [np.nan, np.inf, 2.0**54])
def test_floats_that_are_no_event_numbers(value) -> None:
    with pytest.raises(EventsError, match="is not an integer for 1 event"):
        assign_parts(np.array([1.0, value]), SplitRecipe())


def test_boolean_event_number(write, refused) -> None:
    message = """
The split's column 'id' in DIR/jets.parquet cannot be split by.
  expected: integers, floats with integer values, or text
  found:    bool
  do:       name a column with event numbers, or leave events.split.by out
"""
    refused(EventsError, message, load_sample, split_by(write, [True, False] * 30))


def test_no_such_column(write, refused) -> None:
    recipe = split_by(write, np.arange(60)).model_copy(update={"split": SplitRecipe(by="idd")})
    message = """
There is no column 'idd' (events.split.by) in DIR/jets.parquet.
  expected: one of id, pt, y
  found:    'idd'
  do:       write 'id'
"""
    refused(EventsError, message, load_sample, recipe)


# --- folds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [2, 3, 10])
def test_each_event_is_tested_by_one_fold_and_trains_the_others(folds: int) -> None:
    split = SplitRecipe(folds=folds, validation=0.1)
    keys = np.arange(30_000)
    numbers = assign_folds(keys, split)
    expected = [int(folds * uniform(key, 0)) for key in range(100)]
    assert numbers[:100].tolist() == expected
    parts = [assign_parts(keys, split.model_copy(update={"fold": fold})) for fold in range(folds)]
    for fold, part in enumerate(parts):
        np.testing.assert_array_equal(part == TEST, numbers == fold)
        assert (part == VALIDATION).mean() == pytest.approx(0.1, abs=0.01)
    # An event that validates one model validates all that do not test it.
    counted = np.sum([part == VALIDATION for part in parts], axis=0)
    assert set(np.unique(counted)) == {0, folds - 1}


def test_folds_do_not_depend_on_other_events() -> None:
    split = SplitRecipe(folds=5)
    whole = assign_folds(np.arange(1000), split)
    some = np.array([999, 3, 500])
    np.testing.assert_array_equal(assign_folds(some, split), whole[some])


def test_parts_of_a_sample_with_folds(write) -> None:
    recipe = split_by(write, np.arange(60))
    split = SplitRecipe(folds=3, validation=0.2, by="id")
    sample = load_sample(recipe.model_copy(update={"split": split}))
    one = load_sample(recipe.model_copy(update={"split": split.model_copy(update={"fold": 1})}))
    np.testing.assert_array_equal(sample.of_fold(1).part, one.part)
    assert one.notes == sample.notes
