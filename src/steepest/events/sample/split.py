"""Which events train, validate and test: a hash of the event number, or of file name and row.

The part of an event depends on its key and the seed alone: not on the other events, nor on the
order or number of files, nor on batches, machine or version. With 64-bit arithmetic modulo 2⁶⁴,
γ = 0x9E3779B97F4A7C15 and ``mix`` the finaliser of SplitMix64::

    mix(z):  z ← (z ⊕ z≫30) · 0xBF58476D1CE4E5B9
             z ← (z ⊕ z≫27) · 0x94D049BB133111EB
             z ⊕ z≫31

    u = (mix(mix(key + γ) ⊕ mix(seed + 2γ)) ≫ 11) / 2⁵³          in [0, 1)

    u < test → test;   u < test + validation → validation;   else train

so the test part stays when the validation share changes. With k folds, an event is in fold ⌊k u⌋,
the test part of that fold's model. It is in the validation part of the other models if
k u − ⌊k u⌋ < validation · k/(k − 1), which is the validation share of all events.

The key of an integer event number is the number itself (two's complement), of text the FNV-1a hash
of its UTF-8 bytes, and without an event number ``mix(FNV-1a(file name without folders)) + row``.

Sources: Steele, Lea, Flood, OOPSLA 2014, doi:10.1145/2660193.2660195 (SplitMix64); Fowler, Noll, Vo
(FNV-1a, 64 bits; draft-eastlake-fnv).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa

from steepest.errors import EventsError
from steepest.events.words import counted
from steepest.ranks import current
from steepest.recipe import SplitRecipe
from steepest.storage import AnyArray, blocks

TRAIN, VALIDATION, TEST = 0, 1, 2
PARTS = ("train", "validation", "test")

GOLDEN = 0x9E3779B97F4A7C15
FNV_BASIS, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
EXACT = 2.0**53


def assign_parts(keys: np.ndarray, split: SplitRecipe) -> np.ndarray:
    """Return the part of each event: 0 train, 1 validation, 2 test.

    Parameters
    ----------
    keys
        ``(events,)``: integers of any width, floats with integer values, or text; or the uint64
        keys that `event_keys` and `row_keys` return.
    split
        The shares and the seed.

    Returns
    -------
    numpy.ndarray
        ``(events,)`` int8. Equal keys have equal parts. With folds, the parts of the model of
        `split.fold`; where that is None, what `parts_of_fold` takes.

    Raises
    ------
    EventsError
        A key is missing, or is a float that is no integer.

    Examples
    --------
    >>> split = SplitRecipe(validation=0.1, test=0.2)
    >>> parts = assign_parts(np.arange(100_000), split)
    >>> np.bincount(parts) / 100_000
    array([0.70135, 0.09952, 0.19913])
    """
    if keys.dtype != np.uint64:
        keys = event_keys(pa.array(keys), "the keys", "the array")
    shares = _uniform(keys, split.seed)
    if split.folds is not None:  # codes of `parts_of_fold`
        folds = np.floor(split.folds * shares)
        validates = split.folds * shares - folds < split.validation / (1 - split.test)
        codes = (2 * folds + validates).astype(np.int8)
        return codes if split.cross_validated else parts_of_fold(codes, split.fold or 0)
    parts = np.full(len(keys), TRAIN, dtype=np.int8)
    parts[shares < split.test + split.validation] = VALIDATION
    parts[shares < split.test] = TEST
    return parts


def parts_of_fold(codes: np.ndarray, fold: int) -> np.ndarray:
    """Return the part of each event for the model of a fold.

    `codes` are those of `assign_parts` for all folds: 2 · fold, plus 1 for an event that validates
    the other models.

    Examples
    --------
    >>> codes = np.array([0, 1, 2, 3], dtype=np.int8)
    >>> [PARTS[part] for part in parts_of_fold(codes, 0)]
    ['test', 'test', 'train', 'validation']
    """
    parts = np.where(codes % 2, np.int8(VALIDATION), np.int8(TRAIN))
    parts[codes // 2 == fold] = TEST
    return parts


def assign_folds(keys: np.ndarray, split: SplitRecipe) -> np.ndarray:
    """Return the fold of each event, int8 ``(events,)``: the number of the model to score it."""
    return assign_parts(keys, split.model_copy(update={"fold": None})) // 2


def event_keys(
    column: pa.Array, name: str, file: str, rows: np.ndarray | None = None
) -> np.ndarray:
    """Return the uint64 keys of a column of event numbers.

    Parameters
    ----------
    column
        ``(events,)``: integers of any width, floats with integer values, or text.
    name, file, rows
        What the column is called, and each event's file and row in it: for messages.

    Returns
    -------
    numpy.ndarray
        ``(events,)`` uint64: the integer itself, or the hash of the text.

    Raises
    ------
    EventsError
        A value is null, or a float that is no integer; or the type is no number and no text.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        first = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        row = first if rows is None else rows[first]
        raise EventsError(
            f"{name} has no value for {counted(column.null_count, 'event')} in {file}, "
            f"first at row {row}.",
            expected="a number or text for each event, to split by",
            found="null",
            do="select the events that have one, or leave events.split.by out",
        )
    if _is_text(column.type):
        return _fnv1a(column)
    if pa.types.is_integer(column.type):
        return _two_complement(pl.Series(column).to_numpy())  # without Arrow's import of pandas
    if pa.types.is_floating(column.type):
        return _two_complement(_integral(column, name, file, rows))
    raise EventsError(
        f"{name} in {file} cannot be split by.",
        expected="integers, floats with integer values, or text",
        found=str(column.type),
        do="name a column with event numbers, or leave events.split.by out",
    )


def row_keys(file: str, rows: np.ndarray) -> np.ndarray:
    """Return the uint64 keys of rows of a file, from its name (without folders) and the rows.

    Examples
    --------
    >>> row_keys("jets.parquet", np.array([0, 1]))
    array([1844503893238214673, 1844503893238214674], dtype=uint64)
    """
    return _key_of(file) + np.asarray(rows).astype(np.uint64)


def content_keys(values: np.ndarray) -> np.ndarray:
    """Return a uint64 hash of each row of ``(rows, columns)`` float64 numbers.

    Examples
    --------
    >>> len(set(content_keys(np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0]]))))
    2
    """
    bits = np.ascontiguousarray(values, dtype=np.float64).view(np.uint64)
    keys = np.zeros(len(bits), dtype=np.uint64)
    for column in bits.T:
        keys = _mix((keys + column) * np.uint64(GOLDEN))
    return keys


def together(
    some: np.ndarray, part: np.ndarray, features: AnyArray, labels: AnyArray, split: SplitRecipe
) -> tuple[np.ndarray, list[str]]:
    """Put all copies of an event into one part, by a hash of its features and label; say so.

    Parameters
    ----------
    some
        ``(events,)`` uint64: hashes of some of the features, by which copies are looked for.
    part
        ``(events,)`` int8, by file and row.
    features, labels, split
        What copies have in common, and the shares of the parts.

    Returns
    -------
    tuple
        The parts, and a sentence if there are copies. Where half of all events have a copy, their
        values are few, and say nothing about copies.

    Examples
    --------
    >>> X, y = np.array([[0.5], [0.25], [0.5], [0.75], [1.5]]), np.zeros(5)
    >>> parts, notes = together(content_keys(X), np.array([0, 0, 2, 0, 0]), X, y, SplitRecipe())
    >>> bool(parts[0] == parts[2]), len(notes)
    (True, 1)
    """
    ranks = current()
    if not ranks.any(bool(_copied(some).any())):
        return part, []
    hashed = [content_keys(np.column_stack(rows)) for rows in blocks(features, labels)]
    keys = np.concatenate(hashed)
    copies = _copied(keys)
    count = round(ranks.total(int(copies.sum())))
    if count == 0 or 2 * count > ranks.total(len(keys)):
        return part, []
    part = part.copy()
    part[copies] = assign_parts(keys[copies], split)
    return part, [
        f"{counted(count, 'event')} have a copy with the same features and label. All copies of "
        "one are put into one part; events.split.by would do so by the event's number."
    ]


def _copied(keys: np.ndarray) -> np.ndarray:
    """Return which keys are there more than once; of many ranks, on any of them."""
    ordered = np.sort(np.concatenate(current().gather(keys)))
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(keys, repeated) if len(repeated) else np.zeros(len(keys), dtype=bool)


@lru_cache
def _key_of(file: str) -> np.ndarray:
    """What the rows of a file are counted from, uint64 ``(1,)``."""
    hashed = int(FNV_BASIS)
    for letter in file.encode():
        hashed = (hashed ^ letter) * int(FNV_PRIME) % 2**64
    return _mix(np.array([hashed], dtype=np.uint64))


def _uniform(keys: np.ndarray, seed: int) -> np.ndarray:
    """Return u in [0, 1), float64."""
    start = np.array([(seed + 2 * GOLDEN) % 2**64], dtype=np.uint64)
    mixed = _mix(_mix(keys + np.uint64(GOLDEN)) ^ _mix(start))
    mixed >>= np.uint64(11)
    uniform = mixed.astype(np.float64)
    uniform *= 2.0**-53
    return uniform


def _mix(z: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of 64 bits in which each bit moves every other."""
    shifted = z >> np.uint64(30)
    z = z ^ shifted
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= np.right_shift(z, np.uint64(27), out=shifted)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= np.right_shift(z, np.uint64(31), out=shifted)
    return z


def _two_complement(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint64 else values.astype(np.int64).view(np.uint64)


def _integral(column: pa.Array, name: str, file: str, rows: np.ndarray | None) -> np.ndarray:
    values = column.to_numpy(zero_copy_only=False).astype(np.float64)
    bad = ~((values == np.floor(values)) & (np.abs(values) <= EXACT))
    if bad.any():
        first = int(np.argmax(bad))
        row = first if rows is None else rows[first]
        raise EventsError(
            f"{name} is not an integer for {counted(int(bad.sum()), 'event')} in {file}, "
            f"first at row {row}.",
            expected="event numbers: integers, not beyond 2**53 if they are stored as floats",
            found=repr(float(values[first])),
            do="name a column with event numbers, or leave events.split.by out",
        )
    return values


def _is_text(arrow: pa.DataType) -> bool:
    return pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or arrow == pa.string_view()


def _fnv1a(texts: pa.Array) -> np.ndarray:
    """Return the FNV-1a hash of each text's UTF-8 bytes; a pass takes in one byte of all texts."""
    column = texts.cast(pa.large_binary())
    ends = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset :][: len(column) + 1]
    offsets, lengths = ends[:-1], np.diff(ends)
    data = column.buffers()[2]
    letters = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, np.uint8)
    hashes = np.full(len(column), FNV_BASIS)
    left = np.flatnonzero(lengths > 0)
    place = 0
    while len(left):
        hashes[left] = (hashes[left] ^ letters[offsets[left] + place]) * FNV_PRIME
        place += 1
        left = left[lengths[left] > place]
    return hashes
