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
    spectrum_at,
)
from steepest.curvature.lanczos import Spectrum, lanczos

__all__ = ["Spectrum", "hessian", "hessian_product", "lanczos", "largest_curvature", "spectrum_at"]
