"""Loss surfaces of a trained model on its own events, with the path that training took.

What to use when: `landscape_of_run` computes the landscape of a run's folder and writes its
numbers; `landscape_of_subject` that of any objective. `Landscape` has arrays, numbers and figures.

The way: `spans` chooses directions, `grid` the points, `surface` and `estimate` evaluate J there,
`honesty` sets the path beside it, `curvature` and `sayings` say what can be said in numbers,
`figures` draw.
"""

from steepest.landscape.landscape import landscape_of_run, landscape_of_subject
from steepest.landscape.options import Asked
from steepest.landscape.result import Landscape

__all__ = ["Asked", "Landscape", "landscape_of_run", "landscape_of_subject"]
