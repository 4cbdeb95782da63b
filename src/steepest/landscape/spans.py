"""The choice of directions: random, along the path, by curvature, through runs, by name.

==========  ====================================================================================
kind        what it shows
==========  ====================================================================================
random      the neighbourhood of the trained model, scaled for each neuron
principal   the plane that contains most of the path
hessian     the directions of largest and lowest curvature
through     the line or plane through other runs or points of their paths
parameters  two coefficients of a linear model in their original units
==========  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steepest.curvature import Spectrum
from steepest.errors import InputError, nearest
from steepest.evaluate.figures import axis_label
from steepest.landscape.directions import Directions, Mark, refuse_parallel
from steepest.landscape.input import PathPoints
from steepest.scaling import AffineScaling
from steepest.trained import TrainedModel

Array = np.ndarray


def random(
    theta: Array, groups: Sequence[Array], *, dimensions: int = 2, seed: int = 0
) -> Directions:
    """Return random directions, rescaled for each neuron to the norm of its weights.

    d ← (d_g / ‖d_g‖) ‖θ_g‖ for each group g of weights. A step of one is as long as the weights of
    every neuron, so networks of different scale can be compared. The entries of biases, which are
    in no group, are zero.

    InputError if all weights are zero, so that there is no scale.

    Examples
    --------
    >>> directions = random(np.array([3.0, 4.0, 9.0]), [np.array([0, 1])])
    >>> np.linalg.norm(directions.vectors, axis=1), directions.vectors[:, 2]
    (array([5., 5.]), array([0., 0.]))

    References
    ----------
    Li et al., arXiv:1712.09913, section 4.
    """
    generator = np.random.default_rng([seed, 17])
    vectors = np.zeros((dimensions, len(theta)))
    for vector in vectors:
        for group in groups:
            drawn = generator.normal(size=len(group))
            vector[group] = drawn / np.linalg.norm(drawn) * np.linalg.norm(theta[group])
    labels = tuple(
        f"Random direction {i + 1} [length of each neuron's weights]" for i in range(dimensions)
    )
    notes = {"seed": seed, "neurons": len(groups), "biases": "not moved"}
    return Directions.spanned("random", theta, vectors, labels, notes=notes)


def principal(theta: Array, path: PathPoints, *, dimensions: int = 2) -> Directions:
    """Return the directions that contain most of the path: principal components of θ_t − θ₀.

    They are the right singular vectors of the matrix of differences, of unit length; coordinates
    are distances ‖Δθ‖. Each label has the share of Σ ‖θ_t − θ₀‖². (Two components contain much of
    any path in many dimensions, even of a random walk: arXiv:1806.08805.)

    InputError if the path has fewer points away from θ₀ than dimensions.

    Examples
    --------
    >>> path = PathPoints(np.arange(3), np.array([[2.0, 0.0], [1.0, 0.1], [0.0, 0.0]]))
    >>> principal(np.zeros(2), path).notes["variance_shares"][0] > 0.99
    True

    References
    ----------
    Li et al., arXiv:1712.09913, section 7.
    """
    differences = path.thetas - theta
    _, sizes, vectors = np.linalg.svd(differences, full_matrices=False)
    kept = int((sizes > 1e-12 * max(sizes[0], 1e-300)).sum()) if len(sizes) else 0
    if kept < dimensions:
        raise InputError(
            f"The path spans {kept} dimensions, not {dimensions}.",
            expected=f"at least {dimensions + 1} different points",
            found=f"{len(path.steps)} points",
            cause="a descent of very few steps, or one along a straight line",
            do="train for more steps, or draw a line: --one-dimensional",
        )
    vectors = vectors[:dimensions]
    starts = differences[0] @ vectors.T
    vectors = vectors * np.where(starts < 0, -1.0, 1.0)[:, None]  # the path starts on the right
    shares = sizes[:dimensions] ** 2 / (sizes**2).sum()
    labels = tuple(
        rf"Principal direction {i + 1} ({100 * share:.3g} % of variance),  $\Vert\Delta\theta\Vert$"
        for i, share in enumerate(shares)
    )
    notes = {"variance_shares": shares.tolist(), "path_points": len(path.steps)}
    return Directions.spanned("principal", theta, vectors, labels, notes=notes)


def hessian(theta: Array, spectrum: Spectrum | None, *, dimensions: int = 2) -> Directions:
    """Return the eigenvector of the largest curvature and, for a plane, that of the lowest.

    They have unit length, so that J(θ₀ + c d) ≈ J(θ₀) + c ∇J·d + λc²/2.

    Raises
    ------
    InputError
        Without a spectrum, because ∇²J is not finite.

    Examples
    --------
    >>> from steepest.curvature import lanczos
    >>> spectrum = lanczos(lambda v: np.array([1.0, 5.0, 9.0]) * v, 3)
    >>> hessian(np.zeros(3), spectrum).vectors.round(6) + 0.0
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    if spectrum is None:
        raise InputError(
            "There are no Hessian directions: the curvature at the trained parameters is not "
            "finite.",
            cause="a descent that diverged",
            do="choose other directions, or train with a smaller learning rate",
        )
    order = [-1, 0][:dimensions]
    vectors = spectrum.vectors[order]
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(len(vectors)), largest])[:, None]
    values = spectrum.values[order]
    names = ("Stiffest direction", "Direction of lowest curvature")
    labels = tuple(
        rf"{name} ($\lambda = {value:.3g}$),  $\Vert\Delta\theta\Vert$"
        for name, value in zip(names, values, strict=False)
    )
    notes = {
        "eigenvalues": values.tolist(),
        "residuals": spectrum.residuals[order].tolist(),
        "products": spectrum.iterations,
    }
    return Directions.spanned("hessian", theta, vectors, labels, notes=notes)


def through(theta: Array, others: Sequence[tuple[str, Array]], name: str) -> Directions:
    """Return the line through θ₀ and another θ, or the plane through θ₀ and two others.

    On the line, the coordinate is 0 at θ₀ and 1 at the other θ. In the plane, the first axis points
    to the first one, the second is orthogonal to it, and coordinates are distances ‖Δθ‖
    (arXiv:1802.10026, appendix A.1).

    Examples
    --------
    >>> line = through(np.zeros(2), [("b", np.array([0.0, 2.0]))], "a")
    >>> line.theta_at([0.5]), [mark.coordinates for mark in line.marks]
    (array([0., 1.]), [(0.0,), (1.0,)])
    """
    if not 1 <= len(others) <= 2:
        raise InputError(
            f"A run and {len(others)} others span neither a line nor a plane.",
            expected="one other run (a line) or two (a plane)",
            found=", ".join(label for label, _ in others) or "none",
            do="steepest landscape RUN --directions through RUN2 [RUN3]; a point of a path is "
            "RUN@STEP",
        )
    names = [name, *(label for label, _ in others)]
    vectors = np.stack([other - theta for _, other in others])
    if len(others) == 1:
        labels = (f"Straight line from {names[0]} (0) to {names[1]} (1)",)
        marks = (Mark(names[0], (0.0,)), Mark(names[1], (1.0,)))
        notes = {"distance": float(np.linalg.norm(vectors[0]))}
        return Directions.spanned("through", theta, vectors, labels, marks, notes)
    refuse_parallel(vectors, tuple(f"{names[0]} → {other}" for other in names[1:]))
    first = vectors[0] / np.linalg.norm(vectors[0])
    across = vectors[1] - (vectors[1] @ first) * first
    axes = np.stack([first, across / np.linalg.norm(across)])
    labels = (
        rf"Towards {names[1]},  $\Vert\Delta\theta\Vert$",
        rf"At right angles, towards {names[2]},  $\Vert\Delta\theta\Vert$",
    )
    places = [(0.0, 0.0), *map(tuple, (vectors @ axes.T).tolist())]
    return Directions.spanned("through", theta, axes, labels, tuple(map(Mark, names, places)))


def parameters(model: TrainedModel | None, names: Sequence[str]) -> Directions:
    """Return the directions of one or two coefficients of a linear model, in original units.

    With x' = M(x − s), the coefficients in original units are c = Mᵀ C and b − sᵀc. Along the
    direction of a coefficient, all other coefficients and the intercept are fixed in original
    units. A name is that of a feature, or "intercept"; with K > 2 classes it is followed by the
    class: ``mass@top``.

    Raises
    ------
    InputError
        Without a model; for a network, a scaling that is not affine or has dropped directions, or
        an unknown name.
    """
    if model is None:
        raise InputError(
            "The parameters of this objective have no names.",
            expected="a linear model of a run",
            do="choose other directions: random, principal, hessian or through",
        )
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
            bias_along[output] = bias_onto[output] = 1.0
            onto[:, output] = -matrix @ shift
        else:
            along[:, output] = inverse.T[:, feature]
            bias_along[output] = shift[feature]
            onto[:, output] = matrix[:, feature]
    theta = model.theta.astype(np.float64)
    offset = to_units @ theta
    labels = tuple(_parameter_label(model, place) for place in places)
    refuse_parallel(vectors, tuple(names))
    marks = (Mark("trained", tuple(offset.tolist())),)
    notes = {"names": list(names), "held": "the other coefficients, in original units"}
    return Directions("parameters", theta, vectors, labels, offset, to_units, marks, notes)


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


def _parameter_label(model: TrainedModel, place: tuple[int, int]) -> str:
    feature, output = place
    of_class = f", {model.classes[output]}" if model.task == "multiclass" else ""
    if feature == len(model.input_names):
        return f"Intercept{of_class}"
    symbol, _, unit = axis_label(model.input_names[feature], units=model.units).partition(" [")
    per = f" [1/{unit.rstrip(']')}]" if unit else ""
    return f"Coefficient of {symbol}{of_class}{per}"
