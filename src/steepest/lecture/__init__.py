"""The pictures of a lecture on training models, drawn from live runs on real events.

`draw` makes them all, and the page. Each picture is a module of `pictures`: a function that
computes its numbers with the package's own objective, descent and landscape, one that draws them,
and one that says in plain sentences what there is to see.
"""

from steepest.lecture.data import LectureData, lecture_recipe
from steepest.lecture.effort import Effort
from steepest.lecture.lecture import Lecture, draw

__all__ = ["Effort", "Lecture", "LectureData", "draw", "lecture_recipe"]
