"""The curvature ∇²J(θ) of any objective: for training, explanations, landscapes and the lecture.

What to use when: `hessian_product` for ∇²J · v; `hessian` for the whole matrix of few parameters;
`spectrum_at` for both ends of the spectrum of many, each eigenvalue with its residual;
`largest_curvature` for λmax alone. Bounds that hold at every θ are the objective's own:
`steepest.objective.CurvatureBounds`.
"""

from steepest.curvature.hessian import (
    hessian,
    hessian_product,
    largest_curvature,
    settled,
    spectrum_at,
)
from steepest.curvature.lanczos import Spectrum, lanczos
from steepest.curvature.quadratic import Quadratic

__all__ = [
    "Quadratic",
    "Spectrum",
    "hessian",
    "hessian_product",
    "lanczos",
    "largest_curvature",
    "settled",
    "spectrum_at",
]
