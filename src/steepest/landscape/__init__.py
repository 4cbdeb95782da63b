"""Loss surfaces of a trained model on its own events, with the path that training took.

What to use when: `landscape_of_run` computes the landscape of a run's folder and writes its
numbers; `landscape_of_input` that of any objective. `Landscape` has arrays, numbers and figures.

The way: `spans` chooses directions, `grid` the points, `surface` and `estimate` evaluate J there,
`path_projection` sets the path beside it, `stationary` and `summary` say what can be said in
numbers, `figures` draw.
"""

from steepest.landscape.input import LandscapeOptions
from steepest.landscape.landscape import landscape_of_input, landscape_of_run
from steepest.landscape.result import Landscape

__all__ = ["Landscape", "LandscapeOptions", "landscape_of_input", "landscape_of_run"]
