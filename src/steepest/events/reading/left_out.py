"""Columns that are no features unless they are named, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from steepest.events.expressions.types import column_type
from steepest.events.formats.nested import unreadable_name

__all__ = ["by_reason", "left_out", "only_counts", "type_reason"]


def type_reason(arrow: pa.DataType, alone: bool = True) -> str:
    """Return why a column is no feature by its type; with `alone`, also if it must be named."""
    dtype = column_type(arrow)
    if dtype is None:
        return f"of a type that is no feature: {unreadable_name(arrow) or arrow}"
    if isinstance(dtype, pl.List):
        return "lists: name an element or a reduction, as x[0] or sum(x)"
    named = {pl.String: "text: name it to take it", pl.Boolean: "true or false: name it to take it"}
    return next((text for kind, text in named.items() if dtype == kind), "") if alone else ""


NUMBERS_OF_EVENTS = frozenset(
    ("run", "runnumber", "runno", "event", "eventnumber", "eventno", "eventid", "evt", "evtnumber",
     "evtnum", "evtid", "lumi", "lumiblock", "luminosityblock", "lumisection", "lumisec", "ls",
     "bx", "bunchcrossing", "orbit", "orbitnumber", "entry", "entrynumber", "index", "row",
     "rownumber", "unnamed0", "dsid", "mcchannelnumber")
)  # fmt: skip
"""Names, without their case and what is neither letter nor digit, of numbers that only count."""
TRUTH = re.compile(r"([^_.]+[_.])?(?i:n?gen|truth|mc_|mctruth)|.*Flavou?r(Algo|Phys)?$")
"""Names of columns that only simulated events have, of lists too: Jet_genJetIdx, Jet.Flavor."""
WEIGHT = re.compile(r"weight|wgt|sumw|genw", re.IGNORECASE)


def only_counts(name: str) -> bool:
    """Whether a column holds numbers of runs, events or rows, by its name."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in NUMBERS_OF_EVENTS


def left_out(schema: pa.Schema) -> dict[str, str]:
    """Return the columns that are no features unless they are named, each with the reason."""
    reasons = {name: _name_reason(name, schema) for name in schema.names}
    return {name: reason for name, reason in reasons.items() if reason}


MOST_NAMES, FEWEST_ALIKE = 12, 4


def by_reason(left: Mapping[str, str]) -> str:
    """Return columns with the reason why they are left out, those of one reason together.

    Of many columns, those of one object are counted: ``Jet_* (40)``.

    Examples
    --------
    >>> jets = [f"Jet_{i}" for i in range(20)]
    >>> print(by_reason(dict.fromkeys(["run", *jets, "Tau_pt"], "lists") | {"y": "the label"}))
    run, Jet_* (20), Tau_pt (lists); y (the label)
    """
    reasons = {reason: [n for n in left if left[n] == reason] for reason in left.values()}
    return "; ".join(f"{_brief(those)} ({reason})" for reason, those in reasons.items())


def _brief(names: list[str]) -> str:
    """Return names, of which those that begin alike are counted if they are many."""
    stems = [re.match(r"[^_.]+[_.]|.*", name) for name in names]
    alike: dict[str, list[str]] = {}
    for name, stem in zip(names, stems, strict=True):
        alike.setdefault(stem[0] if stem is not None else name, []).append(name)
    few = len(names) <= MOST_NAMES
    told = [
        ", ".join(those) if few or len(those) < FEWEST_ALIKE else f"{stem}* ({len(those)})"
        for stem, those in alike.items()
    ]
    return ", ".join(told)


def _name_reason(name: str, schema: pa.Schema) -> str:
    """Return why a column is no feature unless it is named; empty if it may be one."""
    indices = (schema.pandas_metadata or {}).get("index_columns", ())
    if only_counts(name) or name in indices or name.startswith("__index_level_"):
        return "a number of events or rows"
    if WEIGHT.search(name):
        return "a weight, by its name"
    return "truth, by its name" if TRUTH.match(name) else ""
