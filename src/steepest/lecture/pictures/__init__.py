"""The pictures, one a module, in the order of the lecture.

Each has ``NAME``, ``TITLE``, ``compute(data, seed, effort, callback)`` → numbers,
``figure(numbers)`` → a Matplotlib figure that draws these alone, and ``text(numbers)`` → sentences.
`title` has its landscape's files besides, and is told where they go.
"""

from steepest.lecture.pictures import (
    batches,
    contours,
    escapes,
    logistic,
    minima,
    rates,
    section,
    title,
)

__all__ = [
    "PICTURES",
    "batches",
    "contours",
    "escapes",
    "logistic",
    "minima",
    "rates",
    "section",
    "title",
]

PICTURES = (section, logistic, rates, minima, title, contours, batches, escapes)
