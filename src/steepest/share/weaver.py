"""``preprocess.json``: what a network of particles reads, in the format of weaver.

The file is the one that weaver-core 0.5 writes beside a model in ONNX, and from which the
software of experiments prepares its inputs::

    {"output_names": ["qcd", "top"], "input_names": ["pf_points", …, "pf_mask"],
     "pf_points": {"var_length": 128, "var_names": ["delta_eta", …],
                   "var_infos": {"delta_eta": {"median": 0, "norm_factor": 1, …}}}, …}

Each variable x enters as (x − median) · norm_factor, clipped to lower_bound and upper_bound, with
infinities replaced by replace_inf_value; behind the last particle stands pad. The variables of
particles are those of `steepest.events.particles`, the momenta are in GeV.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.folder.files import json_text
from steepest.groups import FEATURES, MOMENTA, PARTICLES, POINTS
from steepest.scaling import AsinhScaling, DiagonalScaling, GroupScaling, Scaling
from steepest.trained import TrainedModel

NAME = "preprocess.json"
INPUTS = {POINTS: "pf_points", PARTICLES: "pf_features", MOMENTA: "pf_vectors", FEATURES: FEATURES}
"""By the group's name, what weaver's models call it, in their order; then the mask."""
MASK = "pf_mask"
VECTORS = ("px", "py", "pz", "energy")
"""The order of a momentum there."""
_FARTHEST = 1e32
"""What weaver writes for no bound."""


def preprocess_of(model: TrainedModel) -> dict[str, Any] | None:
    """Return the content of the file; None where the format does not hold it.

    That is a model that reads no particles, or a scaling that is more than a shift and a factor.
    """
    features = model.groups
    if not features or model.particles is None:
        return None
    assert isinstance(model.scaling, GroupScaling)
    groups = {name: _linear(model.scaling.groups[name]) for name in features}
    if not features.keys() <= INPUTS.keys() or not all(groups.values()):
        return None
    read = [group for group in INPUTS if group in features]
    names = [*(INPUTS[group] for group in read), MASK]
    most = model.particles["most"]
    found: dict[str, Any] = {
        "output_names": list(model.classes) or [model.label],
        "input_names": names,
    }
    for group in read:
        shift, factor = groups[group] or ((), ())
        numbers = zip(shift, factor, strict=True)
        infos = {name: _info(*pair) for name, pair in zip(features[group], numbers, strict=True)}
        ordered = VECTORS if group == MOMENTA else features[group]
        found[INPUTS[group]] = {
            "var_names": list(ordered),
            "var_infos": {name: infos[name] for name in ordered},
            "var_length": 1 if group == FEATURES else most,
        }
    mask = {"var_names": ["mask"], "var_infos": {"mask": _info(0.0, 1.0)}, "var_length": most}
    return {**found, MASK: mask}


def preprocess_files(model: TrainedModel) -> dict[str, str]:
    """Return the file's text by its name; nothing where there is none."""
    content = preprocess_of(model)
    return {} if content is None else {NAME: json_text(content)}


def _linear(scaling: Scaling) -> tuple[list[float], list[float]] | None:
    """Shift and factor of each feature, if the scaling is no more than these."""
    if isinstance(scaling, AsinhScaling):
        bent = scaling.tails.any() or not np.array_equal(scaling.upper, scaling.width)
        assert scaling.relevance is None  # which dense networks alone have
    else:
        bent = not isinstance(scaling, DiagonalScaling)
    if bent:
        return None
    arrays = scaling.to_arrays()
    return arrays["shift"].tolist(), (1 / arrays["width"]).tolist()


def _info(shift: float, factor: float) -> dict[str, float]:
    return {
        "median": shift,
        "norm_factor": factor,
        "replace_inf_value": 0,
        "lower_bound": -_FARTHEST,
        "upper_bound": _FARTHEST,
        "pad": 0,
    }
