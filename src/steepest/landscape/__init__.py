"""Loss surfaces of a trained model on its own events, with the path of the training.

`landscape_of_run` computes the landscape of a run folder and writes its numbers.
`landscape_of_input` does this for any objective. `Landscape` has arrays, numbers and figures.

Modules: `spans` chooses the directions, `directions` has the grid; `surface` and `estimate`
evaluate J; `path_projection` computes the true losses of the path; `stationary` and `summary` have
the results in numbers; `figures` draws them.
"""

from steepest.landscape.input import LandscapeOptions
from steepest.landscape.landscape import landscape_of_input, landscape_of_run
from steepest.landscape.result import Landscape

__all__ = ["Landscape", "LandscapeOptions", "landscape_of_input", "landscape_of_run"]
