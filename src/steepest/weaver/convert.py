"""`from_weaver`: a recipe from a data configuration of weaver, and what it leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from steepest.errors import InputError, SteepestError
from steepest.events import extra, open_events
from steepest.recipe import Recipe
from steepest.weaver.expressions import Untranslated, is_condition, translated

KNOWN = {
    "treename", "branch_magic", "file_magic", "selection", "test_time_selection", "preprocess",
    "new_variables", "inputs", "labels", "observers", "monitor_variables", "weights", "bucketing",
}  # fmt: skip
MOMENTA = ("px", "py", "pz", "energy")
"""The order of the variables of a group ``…_vectors``."""
OF_MOMENTA = {
    "part_pt_log", "part_e_log", "part_logptrel", "part_logerel", "part_deltaR", "part_deta",
    "part_dphi", "pfcand_pt_log", "pfcand_e_log", "pfcand_logptrel", "pfcand_logerel",
    "pfcand_deltaR", "pfcand_etarel", "pfcand_phirel",
}  # fmt: skip
"""Usual names of what networks of particles make of the momenta themselves."""
EVENTS = "events.root"
"""Stands for the files, which weaver takes from its command line."""


@dataclass(frozen=True)
class Converted:
    """A recipe, and what it does not have of the configuration.

    Attributes
    ----------
    table
        The recipe, nested as TOML.
    notes
        A sentence for each thing that is left out or differs.
    """

    table: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def recipe(self) -> Recipe:
        """The recipe, checked."""
        return Recipe.from_dict(self.table)

    def to_toml(self) -> str:
        """Return the recipe as TOML, with the notes as comments above it."""
        import tomli_w

        lines = [f"# - {note}\n" for note in self.notes]
        head = ["# Not carried over, or different from weaver:\n", *lines, "\n"] if lines else []
        return "".join(head) + tomli_w.dumps(self.table)


def from_weaver(
    path: str | Path, events: str | Sequence[str] | None = None, model: str | None = None
) -> Converted:
    """Make a recipe of weaver's data configuration.

    Parameters
    ----------
    path
        The YAML file.
    events
        Paths of the events; left out, `events.root` stands for them, with the tree's name.
    model
        `model.name`; left out, "particle-transformer" where there are four-momenta, "particle-net"
        for other lists, and "dense" for values of events.

    Raises
    ------
    InputError
        The file cannot be read, or is no data configuration.
    MissingExtraError
        PyYAML is not installed.

    Examples
    --------
    >>> from_weaver("data.yaml", "jets.root").to_toml()  # doctest: +SKIP
    """
    return _Conversion(_read(Path(path)), _truths(events)).converted(events, model)


_UNKNOWN: frozenset[str] = frozenset()


def _truths(events: str | Sequence[str] | None) -> frozenset[str]:
    """Return the columns of truth values, where the events can be read now."""
    if events is None:
        return _UNKNOWN
    try:
        schema = open_events(events, "").schema
    except SteepestError:
        return _UNKNOWN
    return frozenset(["", *(f.name for f in schema if pa.types.is_boolean(f.type))])


def _read(path: Path) -> dict[str, Any]:
    yaml = extra.load("yaml", "weaver", "Reading a configuration of weaver")
    expected = "the data configuration of weaver, with inputs and labels"
    try:
        table = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The file {path} cannot be read.", expected=expected,
            found=getattr(error, "strerror", None) or str(error),
        ) from None  # fmt: skip
    except yaml.YAMLError as error:
        raise InputError(
            f"The file {path} is not valid YAML.",
            expected=expected,
            found=" ".join(str(error).split()),
        ) from None
    lacking = [
        key
        for key in ("inputs", "labels")
        if not isinstance(table, dict) or not isinstance(table.get(key), dict)
    ]
    if lacking:
        raise InputError(
            f"The file {path} is no data configuration of weaver.",
            expected=expected,
            found=f"no table {' and no table '.join(lacking)}",
        )
    return table


@dataclass
class _Conversion:
    """One conversion: what is known, and what is said on the way."""

    given: dict[str, Any]
    truths: frozenset[str]
    """The columns of truth values."""
    notes: list[str] = field(default_factory=list)

    @property
    def variables(self) -> Mapping[str, str]:
        return self.given.get("new_variables") or {}

    def converted(self, paths: str | Sequence[str] | None, model: str | None) -> Converted:
        events: dict[str, Any] = {"path": self._path(paths), "label": self._label()}
        if select := self._text("selection", self.given.get("selection")):
            events["select"] = select
        if weight := self._weights():
            events["train_weights"] = weight
        features, particles = self._inputs()
        events |= {"features": features} if features else {}
        events |= {"particles": particles} if particles is not None else {}
        momenta = particles is not None and "px" in particles
        name = model or ("particle-transformer" if momenta else "dense" if particles is None
                         else "particle-net")  # fmt: skip
        self._rest()
        table: dict[str, Any] = {"events": events, "model": {"name": name}}
        if len(self.given["labels"].get("value") or ()) > 2 and self._is_simple():
            table["descent"] = {"loss": "cross-entropy"}
        converted = Converted(table, tuple(self.notes))
        _ = converted.recipe  # checks it
        return converted

    def _path(self, paths: str | Sequence[str] | None) -> str | list[str]:
        if paths is not None:
            return paths if isinstance(paths, str) else list(paths)
        tree = self.given.get("treename")
        self.notes.append(
            f"events.path: weaver takes the files from its command line (--data-train); put yours "
            f"in place of {EVENTS}."
        )
        return f"{EVENTS}:{tree}" if tree else EVENTS

    def _text(self, what: str, text: Any) -> str | None:
        """Return an expression of a recipe; None, with a note, if there is none."""
        if text is None:
            return None
        try:
            return translated(text, self.variables)
        except Untranslated as error:
            self.notes.append(f"{what} is left out: {error} has no form in a recipe ({text!r}).")
            return None

    def _is_simple(self) -> bool:
        return self.given["labels"].get("type", "simple") == "simple"

    def _label(self) -> str:
        """Return the label: the number of the class, as weaver counts them; two: the second."""
        value = self.given["labels"].get("value")
        if not self._is_simple():
            (name, text), *others = dict(value or {}).items() or [("", "")]
            if others:
                self.notes.append(
                    f"Labels {', '.join(name for name, _ in others)} are left out: a recipe has "
                    "one label, and model.heads beside it."
                )
            return self._required(f"The label {name}", text)
        flags = [self._required(f"The label {flag}", flag) for flag in value or ()]
        if len(flags) < 2:
            raise InputError(
                "The labels are not those of a classifier.",
                expected="labels.value with two classes or more",
                found=f"{flags}",
            )
        tests = [
            flag if flag in self.truths or is_condition(given, self.variables) else f"{flag} == 1"
            for flag, given in zip(flags, value, strict=True)
        ]
        if self.truths is _UNKNOWN and any(test.endswith(" == 1") for test in tests):
            self.notes.append(
                "Labels that are columns are taken as numbers, since the events were not read: of "
                f"truth values write {flags[0]} in place of {flags[0]} == 1."
            )
        names = ", ".join(f"{index} {flag}" for index, flag in enumerate(value))
        rest = "" if len(flags) == 2 else "; an event without any flag counts as the last"
        self.notes.append(f"The classes are {names}{rest}.")
        if len(tests) == 2:
            return tests[1]
        label = str(len(tests) - 1)
        for index in range(len(tests) - 2, -1, -1):
            label = f"where({tests[index]}, {index}, {label})"
        return label

    def _required(self, what: str, text: Any) -> str:
        try:
            return translated(text, self.variables)
        except Untranslated as error:
            raise InputError(
                f"{what} cannot be carried over.",
                expected="an expression of columns",
                found=f"{text!r}: {error}",
                do="put its values into a column of the events, and name that in the YAML",
            ) from None

    def _weights(self) -> str | None:
        weights = self.given.get("weights") or {}
        if not weights:
            return None
        if weights.get("use_precomputed_weights"):
            branches = " * ".join(f"({each})" for each in weights.get("weight_branches") or ())
            return self._text("weights", branches) if branches else None
        self.notes.append(
            f"weights: the reweighting ({weights.get('reweight_method', 'flat')} in "
            f"{', '.join(weights.get('reweight_vars') or {})}) is left out; classes are balanced "
            "by their sums of weights. Put weights into a column and name it in "
            "events.train_weights to have others."
        )
        return "balanced"

    def _inputs(self) -> tuple[list[Any], dict[str, Any] | None]:
        """Return features of events, and the particles of the one group that networks read."""
        groups = {name: _variables(group) for name, group in self.given["inputs"].items()}
        lengths = {name: group.get("length") for name, group in self.given["inputs"].items()}
        flat = [name for name in groups if lengths[name] in (None, 1)]
        lists = [name for name in groups if name not in flat and not name.endswith("_mask")]
        features = [
            f for name in flat for each in groups[name] if (f := self._feature(each)) is not None
        ]
        if not lists:
            return features, None
        stems = list(dict.fromkeys(name.rsplit("_", 1)[0] for name in lists))
        chosen = next((s for s in stems if f"{s}_vectors" in groups), stems[0])
        for name in [n for n in lists if n.rsplit("_", 1)[0] != chosen]:
            self.notes.append(
                f"inputs.{name} is left out: networks read one list of particles, {chosen}."
            )
        return features, self._particles(chosen, groups, lengths)

    def _particles(
        self, stem: str, groups: Mapping[str, list[list[Any]]], lengths: Mapping[str, Any]
    ) -> dict[str, Any]:
        particles: dict[str, Any] = {}
        vectors = groups.get(f"{stem}_vectors", [])
        if len(vectors) == len(MOMENTA):
            for name, variable in zip(MOMENTA, vectors, strict=True):
                particles[name] = self._required(f"The momentum {name}", variable[0])
        else:
            self.notes.append(
                "events.particles: there are no four-momenta among the inputs; lists of usual "
                "names are looked for, or name px, py, pz and energy, or pt, eta, phi and mass."
            )
        longest = [lengths[n] for n in groups if n.startswith(f"{stem}_") and lengths[n]]
        if longest:
            particles["most"] = int(max(longest))
        given = [v for n, vs in groups.items() if n.startswith(f"{stem}_")
                 and not n.endswith(("_vectors", "_mask", "_points")) for v in vs]  # fmt: skip
        made = [str(v[0]) for v in given if str(v[0]) in OF_MOMENTA]
        if made:
            self.notes.append(f"Made of the momenta by the networks themselves: {', '.join(made)}.")
        further = [f for v in given if str(v[0]) not in made if (f := self._feature(v)) is not None]
        if further:
            particles["features"] = further
        return particles

    def _feature(self, variable: list[Any]) -> Any:
        """Return a feature, with weaver's own shift, factor and limits where they are given."""
        name = str(variable[0])
        text = self._text(f"The input {name}", name)
        if text is None:
            return None
        shift, factor, low, high = ([*variable[1:5], None, None, None, None])[:4]
        automatic = str((self.given.get("preprocess") or {}).get("method", "manual")).lower()
        if automatic.startswith("auto") and (len(variable) < 2 or shift == "auto"):
            shift = None  # said once, below
        if isinstance(shift, int | float):
            factor = 1 if factor is None else factor
            low, high = (-5 if low is None else low), (5 if high is None else high)
            text = text if shift == 0 else f"({text} - {_number(shift)})"
            text = text if factor == 1 else f"{text} * {factor}"
            text = f"min(max({text}, {low}), {high})"
        return name if text == name else {"name": name, "value": text}

    def _rest(self) -> None:
        """Say what else is left out."""
        preprocess = self.given.get("preprocess") or {}
        if str(preprocess.get("method", "manual")).lower().startswith("auto"):
            self.notes.append(
                "preprocess: weaver's medians and widths, and its limits of ±5, are left out; "
                "descent.scaling is fitted on the training part."
            )
        elif any(len(v) > 1 and isinstance(v[1], int | float) for g in self.given["inputs"].values()
                 for v in _variables(g)):  # fmt: skip
            self.notes.append(
                "preprocess: shifts, factors and limits are part of the features, which "
                "descent.scaling then scales once more."
            )
        if any(str(g.get("pad_mode", "constant")).lower() != "constant"
               for g in self.given["inputs"].values()):  # fmt: skip
            self.notes.append("pad_mode: there is no padding; networks read as many as there are.")
        if self.given.get("test_time_selection"):
            self.notes.append(
                "test_time_selection is left out: steepest predict and evaluate take --select."
            )
        for key in ("observers", "monitor_variables"):
            if self.given.get(key):
                self.notes.append(f"{key}: steepest predict copies all columns beside the scores.")
        left = [k for k in ("branch_magic", "file_magic", "bucketing") if self.given.get(k)]
        left += sorted(self.given.keys() - KNOWN)
        self.notes += [f"{key} is left out." for key in left]
        self.notes.append(
            "The network and its training: weaver has them in Python and on its command line; here "
            "they are [model] and [descent]."
        )


def _variables(group: Mapping[str, Any]) -> list[list[Any]]:
    return [list(v) if isinstance(v, list | tuple) else [v] for v in group.get("vars") or ()]


def _number(value: float) -> str:
    return f"({value})" if value < 0 else str(value)
