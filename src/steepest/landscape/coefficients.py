"""Directions by name: one or two coefficients of a linear model, in original units."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from steepest.errors import InputError, nearest
from steepest.landscape.directions import Directions, Mark
from steepest.scaling import AffineScaling
from steepest.trained import TrainedModel

__all__ = ["no_names", "parameters"]

Array = np.ndarray


def no_names() -> InputError:
    """Return the error for an objective whose parameters have no names."""
    return InputError(
        "The parameters of this objective have no names.",
        expected="a linear model of a run",
        do="choose other directions: random, principal, hessian or through",
    )


def parameters(
    model: TrainedModel, names: Sequence[str], title: Callable[[str], str]
) -> Directions:
    """Return the directions of one or two coefficients of a linear model, in original units.

    With x' = M(x − s), the coefficients in original units are c = Mᵀ C and b − sᵀc. Along the
    direction of a coefficient, all other coefficients and the intercept are fixed in original
    units. A name is that of a feature, or "intercept"; with K > 2 classes it is followed by the
    class: ``mass@top``.

    Parameters
    ----------
    model
        A linear model with an affine scaling.
    names
        One or two names.
    title
        Returns the axis label of a feature.

    Raises
    ------
    InputError
        For a network, a scaling that is not affine or has dropped directions, or an unknown name.
    """
    matrix, shift = _affine(model)
    inputs = len(model.input_names)
    if not 1 <= len(names) <= 2:
        raise InputError(
            f"{len(names)} parameters span neither a line nor a plane.",
            expected="one name or two",
            found=", ".join(names) or "none",
            do="steepest landscape RUN --directions parameters mass,tau32",
        )
    places = [_place(model, name) for name in names]
    to_units = np.zeros((len(names), model.model.size))
    vectors = np.zeros_like(to_units)
    inverse = np.linalg.inv(matrix)
    for row, (feature, output) in enumerate(places):
        unit, projection = vectors[row], to_units[row]
        (along, bias_along), (onto, bias_onto) = _layer(model, unit), _layer(model, projection)
        if feature == inputs:  # the intercept
            bias_along[output] = 1.0
            bias_onto[output] = 1.0
            onto[:, output] = -matrix @ shift
        else:
            along[:, output] = inverse.T[:, feature]
            bias_along[output] = shift[feature]
            onto[:, output] = matrix[:, feature]
    theta = model.theta.astype(np.float64)
    offset = to_units @ theta
    labels = tuple(_parameter_label(model, place, title) for place in places)
    checked = Directions.spanned("parameters", theta, vectors, tuple(names))
    marks = (Mark("trained", tuple(offset.tolist())),)
    notes = {"names": list(names), "held": "the other coefficients, in original units"}
    return Directions("parameters", theta, checked.vectors, labels, offset, to_units, marks, notes)


def _layer(model: TrainedModel, theta: Array) -> tuple[Array, Array]:
    layer = model.model.linear_layer(theta)
    assert layer is not None  # `_affine` has refused other models
    return layer


def _affine(model: TrainedModel) -> tuple[Array, Array]:
    """Return M and s, or raise InputError if there are no coefficients in original units."""
    if model.model.linear_layer(model.theta) is None:
        raise InputError(
            "The parameters of a network have no units of their own.",
            expected="a linear model: model.hidden = []",
            found=f"a {model.model.title(model.task)}",
            do="choose other directions: random, principal, hessian or through",
        )
    scaling = model.scaling
    if not isinstance(scaling, AffineScaling) or scaling.dropped:
        raise InputError(
            f"With the scaling {scaling.name!r} the model has no coefficients in original units.",
            expected="an affine scaling of features that are linearly independent",
            found=f"{scaling.dropped} directions without spread" if scaling.dropped else "none",
            do='train with descent.scaling = "standard"',
        )
    shift, matrix = scaling.affine()
    return matrix, shift


def _place(model: TrainedModel, name: str) -> tuple[int, int]:
    """Return input and output of a name; the index after the last input is the intercept."""
    plain, _, kind = name.partition("@")
    known = [*model.input_names, "intercept"]
    outputs = list(model.classes) if model.task == "multiclass" else [""]
    if plain not in known or kind not in outputs:
        said, choice = (kind, outputs) if plain in known else (plain, known)
        close = nearest(said, choice)
        raise InputError(
            f"There is no parameter {name!r}.",
            expected=", ".join(known)
            + (f"; followed by @ and one of {', '.join(outputs)}" if len(outputs) > 1 else ""),
            found=name,
            do=f"perhaps {close!r}?" if close else "choose from these",
        )
    return known.index(plain), outputs.index(kind)


def _parameter_label(
    model: TrainedModel, place: tuple[int, int], title: Callable[[str], str]
) -> str:
    feature, output = place
    of_class = f", {model.classes[output]}" if model.task == "multiclass" else ""
    if feature == len(model.input_names):
        return f"Intercept{of_class}"
    symbol, _, unit = title(model.input_names[feature]).partition(" [")
    per = f" [1/{unit.rstrip(']')}]" if unit else ""
    return f"Coefficient of {symbol}{of_class}{per}"
