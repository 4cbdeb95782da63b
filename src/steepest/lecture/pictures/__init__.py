"""The pictures, one per module, in the order of the lecture.

Each has ``NAME``, ``TITLE``, ``compute(data, seed, effort, callback)``, which returns the numbers,
``figure(numbers)``, which draws them, and ``text(numbers)``, which explains them in sentences.
`title` also writes the files of its landscape, and takes their folder as an argument.
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
