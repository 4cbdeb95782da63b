"""The scaling of inputs in named groups, with one scaling per group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from steepest.errors import EventsError
from steepest.groups import Groups, Jagged
from steepest.scaling.base import Scaling
from steepest.scaling.blocks import Outlier, first_not_finite
from steepest.storage import AnyArray


@dataclass(frozen=True, eq=False)
class GroupScaling:
    """Fitted scalings of all groups; a group of particles uses all particles of all events.

    Examples
    --------
    >>> import numpy as np
    >>> from steepest.scaling import fit_scaling
    >>> pt = fit_scaling("min-max", [(np.array([[10.0], [30.0]]), None)], ["pt"])
    >>> jets = Jagged(np.array([[10.0], [20.0], [30.0]]), np.array([0, 2, 3]))
    >>> scaled = GroupScaling({"particles": pt}).transform(Groups({"particles": jets}))
    >>> scaled["particles"].values.ravel()
    array([0. , 0.5, 1. ])
    """

    groups: dict[str, Scaling]  # the scaling of each group, by name

    @property
    def name(self) -> str:
        """Name in the recipe, the same for all groups."""
        return next(iter(self.groups.values())).name

    @property
    def constant(self) -> tuple[str, ...]:
        """Features without spread, as ``group.feature``."""
        return tuple(f"{name}.{c}" for name, s in self.groups.items() for c in s.constant)

    @property
    def dropped(self) -> int:
        """Number of directions without spread that whitening set to zero, over all groups."""
        return sum(scaling.dropped for scaling in self.groups.values())

    @property
    def outliers(self) -> tuple[Outlier, ...]:
        """Values that mean and spread were computed without, of all groups."""
        return tuple(o for scaling in self.groups.values() for o in scaling.outliers)

    def transform(
        self, inputs: Groups, dtype: DTypeLike = np.float64, first_row: int = 0
    ) -> Groups:
        """Return the scaled groups; error messages count events from `first_row`.

        EventsError if the groups are not those of the model; or as for `Scaling.transform`.
        """
        return self.apply(inputs, lambda s, values: s.transform(values, dtype), first_row)

    def apply(
        self, inputs: Groups, scale: Callable[[Scaling, Any], AnyArray], first_row: int = 0
    ) -> Groups:
        """Return the groups that are known with ``scale(scaling, values)`` applied to each."""
        if not self.groups.keys() <= inputs.members.keys():
            raise EventsError(
                "The inputs have other groups than the model.",
                expected=", ".join(self.groups),
                found=", ".join(inputs.members),
                do="give the groups that the model was trained on, by their names",
            )

        def scaled(name: str, values: AnyArray) -> AnyArray:
            if isinstance(inputs[name], Jagged) and isinstance(values, np.ndarray):
                self._require_finite(name, values, inputs[name].offsets, first_row)
            return scale(self.groups[name], values)

        return Groups({name: inputs[name] for name in self.groups}).map(scaled)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the arrays, ready for `json.dumps`."""
        return {"groups": {name: scaling.to_json() for name, scaling in self.groups.items()}}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of all groups, as ``group/array``."""
        return {
            f"{name}/{key}": array
            for name, scaling in self.groups.items()
            for key, array in scaling.to_arrays().items()
        }

    @classmethod
    def from_parts(
        cls,
        json: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        one: Callable[[Mapping[str, Any], Mapping[str, np.ndarray]], Scaling],
    ) -> GroupScaling:
        """Restore a scaling from `to_json` and `to_arrays`; `one` restores that of one group."""
        of_group: dict[str, dict[str, np.ndarray]] = {name: {} for name in json["groups"]}
        for path, array in arrays.items():
            name, _, key = path.rpartition("/")
            of_group[name][key] = array
        return cls({name: one(entry, of_group[name]) for name, entry in json["groups"].items()})

    def _require_finite(
        self, name: str, values: np.ndarray, offsets: np.ndarray, first_row: int
    ) -> None:
        """Raise EventsError at the first number that is not finite, naming event and particle."""
        place = first_not_finite(values)
        if place is None:
            return
        particle, column = place
        event = int(np.searchsorted(offsets, particle, side="right")) - 1
        feature = self.groups[name].features[column]
        raise EventsError(
            f"Feature {feature!r} of the group {name!r} is not finite in event "
            f"{first_row + event}, particle {particle - int(offsets[event])}.",
            expected="a finite number in every feature of every particle",
            found=f"{values[particle, column]}",
            cause="a division by zero, a logarithm of zero, or padding that was read as particles",
            do="leave such particles out, or give the feature a finite value where it is missing",
        )


AnyScaling = Scaling | GroupScaling
"""The scaling of a flat matrix, or of inputs in named groups."""
