"""The choice of directions: random, along the path, by curvature, through runs, by name.

==========  ====================================================================================
kind        what it shows
==========  ====================================================================================
random      the neighbourhood of the trained model, scaled for each neuron
principal   the plane that contains most of the path
hessian     the directions of largest and lowest curvature
through     the line or plane through other runs or points of their paths
parameters  two coefficients of a linear model in their original units (`coefficients.py`)
==========  ====================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from steepest.errors import InputError
from steepest.landscape.coefficients import no_names, parameters
from steepest.landscape.directions import Directions, Mark
from steepest.landscape.input import PathPoints
from steepest.landscape.lanczos import Spectrum

__all__ = ["hessian", "no_curvature", "no_names", "parameters", "principal", "random", "through"]

Array = np.ndarray


def random(
    theta: Array, groups: Sequence[Array], *, dimensions: int = 2, seed: int = 0
) -> Directions:
    """Return random directions, rescaled for each neuron to the norm of its weights.

    d ← (d_g / ‖d_g‖) ‖θ_g‖ for each group g of weights. A step of one is as long as the weights of
    every neuron, so networks of different scale can be compared. The entries of biases are zero.

    Parameters
    ----------
    theta
        θ₀ ``(size,)``.
    groups
        Indices of the weights of each neuron; entries in no group are biases.
    dimensions, seed
        1 or 2; the same seed gives the same directions.

    Raises
    ------
    InputError
        All weights are zero, so there is no scale.

    Examples
    --------
    >>> plane = random(np.array([3.0, 4.0, 9.0]), [np.array([0, 1])])
    >>> np.linalg.norm(plane.vectors, axis=1), plane.vectors[:, 2]
    (array([5., 5.]), array([0., 0.]))

    References
    ----------
    Li et al., arXiv:1712.09913, section 4.
    """
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 17])))
    vectors = np.zeros((dimensions, len(theta)))
    for vector in vectors:
        for group in groups:
            drawn = generator.normal(size=len(group))
            vector[group] = drawn / np.linalg.norm(drawn) * np.linalg.norm(theta[group])
    labels = tuple(
        f"Random direction {i + 1} [length of each neuron's weights]" for i in range(dimensions)
    )
    marks = (Mark("trained", (0.0,) * dimensions),)
    notes = {"seed": seed, "neurons": len(groups), "biases": "not moved"}
    return Directions.spanned("random", theta, vectors, labels, marks, notes)


def principal(theta: Array, path: PathPoints, *, dimensions: int = 2) -> Directions:
    """Return the directions that contain most of the path: principal components of θ_t − θ₀.

    They are the right singular vectors of the matrix of differences, of unit length; coordinates
    are distances ‖Δθ‖. Each label has the share of Σ ‖θ_t − θ₀‖². (Two components contain much of
    any path in many dimensions, even of a random walk: arXiv:1806.08805.)

    Raises
    ------
    InputError
        The path has fewer points away from θ₀ than dimensions.

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
    marks = (Mark("trained", (0.0,) * dimensions),)
    notes = {"variance_shares": shares.tolist(), "path_points": len(path.steps)}
    return Directions.spanned("principal", theta, vectors, labels, marks, notes)


def hessian(theta: Array, spectrum: Spectrum, *, dimensions: int = 2) -> Directions:
    """Return the eigenvector of the largest curvature and, for a plane, that of the lowest.

    They have unit length, so that J(θ₀ + c d) ≈ J(θ₀) + c ∇J·d + λc²/2.

    Examples
    --------
    >>> from steepest.landscape.lanczos import lanczos
    >>> spectrum = lanczos(lambda v: np.array([1.0, 5.0, 9.0]) * v, 3)
    >>> hessian(np.zeros(3), spectrum).vectors.round(6) + 0.0
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
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
    marks = (Mark("trained", (0.0,) * dimensions),)
    notes = {
        "eigenvalues": values.tolist(),
        "residuals": spectrum.residuals[order].tolist(),
        "products": spectrum.iterations,
    }
    return Directions.spanned("hessian", theta, vectors, labels, marks, notes)


def no_curvature() -> InputError:
    """Return the error for a θ at which ∇²J is not finite."""
    return InputError(
        "There are no Hessian directions: the curvature at the trained parameters is not finite.",
        cause="a descent that diverged",
        do="choose other directions, or train with a smaller learning rate",
    )


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
    refuse_labels = (f"{names[0]} → {names[1]}", f"{names[0]} → {names[2]}")
    Directions.spanned("through", theta, vectors, refuse_labels)
    first = vectors[0] / np.linalg.norm(vectors[0])
    across = vectors[1] - (vectors[1] @ first) * first
    axes = np.stack([first, across / np.linalg.norm(across)])
    labels = (
        rf"Towards {names[1]},  $\Vert\Delta\theta\Vert$",
        rf"At right angles, towards {names[2]},  $\Vert\Delta\theta\Vert$",
    )
    places = [(0.0, 0.0), *((float(a), float(b)) for a, b in vectors @ axes.T)]
    marks = tuple(Mark(label, place) for label, place in zip(names, places, strict=True))
    return Directions.spanned("through", theta, axes, labels, marks, {})
