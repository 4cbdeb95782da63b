"""The pictures of a lecture on training models, drawn from live runs on real events.

`draw` makes all pictures and the page. Each picture is a module with three functions: one computes
the numbers with the objective, descent and landscape of this package (`descents`), one draws them,
and one explains them in words.
"""

from steepest.lecture.data import Effort, LectureData, lecture_recipe
from steepest.lecture.lecture import Lecture, draw

__all__ = ["Effort", "Lecture", "LectureData", "draw", "lecture_recipe"]
