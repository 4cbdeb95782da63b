"""Jets drawn as their particles: which, where, and how large."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from steepest.evaluate import figures
from steepest.evaluate.figures.jets import AREA, JetPicture, JetPictures, jet_figure, wrongest


def picture(group: int = 0, particles: int = 3, jet_pt: float = 200.0) -> JetPicture:
    random = np.random.default_rng(group)
    angles = random.normal(0, 0.1, (2, particles))
    return JetPicture("a jet", group, jet_pt, random.exponential(20, particles), *angles)


def test_the_worst_of_two_classes_by_their_scores():
    random = np.random.default_rng(0)
    labels, p = random.integers(0, 2, 100), random.uniform(size=100)
    chosen = wrongest(labels, p, 6)
    wrong = np.where(labels == 1, 1 - p, p)
    assert labels[chosen].tolist() == [0, 0, 0, 1, 1, 1]
    for label in (0, 1):
        rows = [row for row in chosen if labels[row] == label]
        best_of_rest = np.delete(wrong, rows)[np.delete(labels, rows) == label].max()
        assert (np.diff(wrong[rows]) <= 0).all()
        assert wrong[rows].min() >= best_of_rest


def test_the_worst_of_many_classes_by_the_probability_of_the_true_one():
    p = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]])
    assert wrongest(np.array([0, 1, 2]), p, 2) == [1, 2]


def test_circles_are_where_the_particles_are_and_as_large_as_their_pt():
    jets = tuple(picture(group, 3 + group) for group in (0, 1, 0, 1))
    figure = jet_figure(JetPictures(jets, ("qcd", "top")))
    drawn = [axes for axes in figure.axes if axes.collections]
    assert len(drawn) == 4
    for axes, jet in zip(drawn, jets, strict=True):
        circles: Any = axes.collections[0]
        places = np.asarray(circles.get_offsets())
        np.testing.assert_allclose(places, np.column_stack([jet.delta_eta, jet.delta_phi]))
        np.testing.assert_allclose(circles.get_sizes(), AREA * jet.pt / 200.0)
        low, high = axes.get_xlim()
        assert -low == high >= np.abs(places).max()
    assert drawn[0].get_xlim() == drawn[3].get_xlim()
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts[:2] == ["qcd", "top"]


@pytest.mark.parametrize("particles", [0, 1])
def test_a_jet_alone_or_without_particles(particles: int):
    figure = jet_figure(JetPictures((picture(0, particles),), ("qcd",)))
    assert math.isclose(figure.axes[0].get_xlim()[1], 0.2 if not particles else 0.4, abs_tol=0.21)


def test_its_numbers_are_drawn_again():
    numbers = JetPictures((picture(), picture(1)), ("qcd", "top"))
    text = json.loads(json.dumps(figures.as_numbers(numbers)))
    again = figures.drawn_again("jet_figure", text)()
    offsets = again.axes[1].collections[0].get_offsets()
    np.testing.assert_allclose(offsets[:, 0], numbers.jets[1].delta_eta)


def test_the_labels_of_a_jet_alone_are_inside():
    """Drawn by Pyplot, as ``run.draw`` does, with a long name of its group."""
    import matplotlib.pyplot as plt

    numbers = JetPictures((picture(0, 20),), ("Background (is_top = 0)",))
    axes = figures.drawn_into(lambda: jet_figure(numbers))
    try:
        figure = axes.figure
        figure.canvas.draw()
        box = axes.get_tightbbox().transformed(figure.transFigure.inverted())
        assert box.x0 >= 0 <= box.y0
        assert box.x1 <= 1 >= box.y1
    finally:
        plt.close(axes.figure)
