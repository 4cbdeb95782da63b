"""What in an HDF5 file is a table of events, and which columns it has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from steepest.errors import EventsError, nearest
from steepest.events.formats.hdf5_columns import Column, dataset_columns
from steepest.events.words import counted, listed

__all__ = ["columns_of", "find_table"]


def find_table(file: Any, path: Path, inside: str) -> str:
    """Return the name ``/group`` or ``/group/dataset`` of the table to read.

    Raises
    ------
    EventsError
        There is nothing of that name, or no table, or several and none is named.
    """
    name = "/" + inside.strip("/")
    if inside and inside != "/":
        if file.get(name) is None:
            raise _no_such(file, path, name)
        return name
    tables = _tables(file)
    if len(tables) == 1 or (inside == "/" and "/" in tables):
        return tables[0] if len(tables) == 1 else "/"
    if not tables:
        raise EventsError(
            f"There is no table of events in {path}.",
            expected="datasets with a row for each event",
            found=listed(_names(file), 12) or "an empty file",
            do="write the columns as datasets of one group",
        )
    raise EventsError(
        f"{path} holds {len(tables)} tables, and none is named.",
        expected=f"one of {listed(tables, 12)}",
        found=str(path),
        do=f"write {path}:{tables[0]}",
    )


def columns_of(node: Any, path: Path) -> tuple[int, list[Column]]:
    """Return the number of rows and the columns of a group or a dataset.

    Raises
    ------
    EventsError
        A group's datasets have different lengths; it has none; a dataset is a single value.
    """
    if not _is_group(node):
        if not node.shape:
            raise EventsError(
                f"{path}:{node.name} is a single value.",
                expected="a dataset with a row for each event",
                found=f"{node.dtype} without dimensions" if node.shape == () else "no data",
                do="name a dataset of events, or its group",
            )
        return node.shape[0], dataset_columns(node)
    datasets = _plain(node)
    if not datasets:
        raise EventsError(
            f"There are no columns in {path}:{node.name}.",
            expected="datasets with a row for each event",
            found=listed(sorted(node), 12) or "an empty group",
            do=f"name one of {listed(_tables(node.file), 12) or 'its datasets'}",
        )
    rows = {dataset.shape[0] for dataset in datasets}
    if len(rows) > 1:
        raise _different_lengths(datasets, path, node.name)
    columns = [column for dataset in datasets for column in dataset_columns(dataset)]
    return rows.pop(), columns


def _different_lengths(datasets: list[Any], path: Path, group: str) -> EventsError:
    lengths: dict[int, list[str]] = {}
    for dataset in datasets:
        lengths.setdefault(dataset.shape[0], []).append(dataset.name.rsplit("/", 1)[-1])
    most = max(lengths, key=lambda length: len(lengths[length]))
    return EventsError(
        f"The datasets of {path}:{group} have different lengths.",
        expected="a row for each event in each of them",
        found="; ".join(
            f"{counted(length, 'row')} in {listed(names, 5)}" for length, names in lengths.items()
        ),
        cause="what is not of events lies beside them, or the job that wrote them was stopped",
        do=f"keep those of {counted(most, 'row')} in a group of their own, or name one dataset",
    )


def _tables(file: Any) -> list[str]:
    """Return the names of all tables: groups with plain datasets, and compound datasets."""
    names: list[str] = []

    def visit(name: str, node: Any) -> None:
        if _is_group(node):
            names.extend(["/" + name] if _plain(node) else [])
        elif node.dtype.names and node.shape:
            names.append("/" + name)

    if _plain(file):
        names.append("/")
    file.visititems(visit)
    return names


def _plain(group: Any) -> list[Any]:
    """Return the group's datasets that are columns: not compound, with a row for each event."""
    nodes = [group.get(name) for name in group]
    return [n for n in nodes if n is not None and hasattr(n, "shape") and n.shape
            and not n.dtype.names]  # fmt: skip


def _is_group(node: Any) -> bool:
    return not hasattr(node, "shape")


def _names(file: Any) -> list[str]:
    names: list[str] = []
    file.visit(lambda name: names.append("/" + name))
    return names


def _no_such(file: Any, path: Path, name: str) -> EventsError:
    known = [known for known in _names(file) if hasattr(file.get(known), "keys")
             or hasattr(file.get(known), "shape")]  # fmt: skip
    guess = nearest(name, known)
    return EventsError(
        f"There is no group or dataset {name} in {path}.",
        expected=f"one of {listed(known, 12)}" if known else "a group or dataset",
        found=repr(name) if known else "an empty file",
        do=f"write {path}:{guess}" if guess else "check the name",
    )
