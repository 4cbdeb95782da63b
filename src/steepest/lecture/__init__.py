"""The pictures of a lecture on training models, drawn from live runs on real events.

`draw` makes them all, and the page. Each picture is a module: a function that computes its numbers
with the package's own objective, descent and landscape (`descents`), one that draws them, and one
that says in plain sentences what there is to see.
"""

from steepest.lecture.data import Effort, LectureData, lecture_recipe
from steepest.lecture.lecture import Lecture, draw

__all__ = ["Effort", "Lecture", "LectureData", "draw", "lecture_recipe"]
