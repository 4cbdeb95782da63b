"""The figures draw what they are given, and nothing where J is not finite."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from objectives import DoubleWell, WithACliff, some_events
from steepest.errors import InputError
from steepest.evaluate.figures import save
from steepest.landscape.directions import Directions, Mark, grid_of
from steepest.landscape.figures import (
    Picture,
    animation,
    contour_figure,
    path_figure,
    profile_figure,
    relief_figure,
)
from steepest.landscape.figures.page import page, plain
from steepest.landscape.figures.picture import decade_ticks, levels, shades
from steepest.landscape.input import PathPoints
from steepest.landscape.path_projection import projected_path
from steepest.landscape.surface import evaluate

TRAINED = (Mark("trained", (0.0, 0.0)),)


def picture(objective=None, dimensions: int = 2, extent=(-3.0, 1.2, -0.5, 1.2), **changes):
    """A well around θ₀ = (1, 0, 0), with a path that leads there."""
    labels = ("Principal direction 1", r"Coefficient of $p_{T}$ [1/GeV]")[:dimensions]
    marks = TRAINED if dimensions == 2 else (Mark("trained", (0.0,)),)
    directions = Directions.spanned(
        "principal", np.array([1.0, 0, 0]), np.eye(3)[:dimensions], labels, marks
    )
    t = np.linspace(1, 0, 30)[:, None] ** 2
    thetas = np.array([1.0, 0, 0]) + t * np.array([-0.8, 1.0, 0.3])
    objective, events = objective or DoubleWell(), some_events()
    path = projected_path(objective, directions, PathPoints(np.arange(30), thetas), events)
    grid = grid_of(directions, extent[: 2 * dimensions], 25)
    surface, _ = evaluate(objective, directions, grid, events, len(events))
    given = Picture.of(directions, surface, path, "mean-squared-error", "train", kept_step=20)
    return Picture(**{**vars(given), **changes})


def said(figure: Figure) -> set[str]:
    from matplotlib.text import Text

    return {text.get_text() for text in figure.findobj(Text) if text.get_text()}  # type: ignore


def pixels(figure: Figure) -> np.ndarray:
    from steepest.evaluate.figures.style import style

    buffer = io.BytesIO()
    with style():
        figure.savefig(buffer, format="png", dpi=120)
    return np.asarray(Image.open(buffer).convert("RGB"))


def test_the_contour_has_labels_units_path_and_marks():
    texts = said(contour_figure(picture()))
    assert {
        "Principal direction 1",
        r"Coefficient of $p_{T}$ [1/GeV]",
        "Training loss $J$ (mean squared error)",
        "Path of the descent",
        "Start",
        "Last step (29)",
        "Trained model (step 20)",
    } <= texts


def test_the_same_numbers_give_the_same_files(tmp_path):
    for figure, kind in ((contour_figure, "pdf"), (relief_figure, "png"), (path_figure, "png")):
        files = [save(figure(picture()), tmp_path / f"{n}.{kind}") for n in "ab"]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_what_is_not_finite_is_hatched_not_coloured():
    """θ₀ + 0.5 is the cliff: right of it is a hatching of greys, left of it are colours."""
    figure = contour_figure(picture(WithACliff(), path=None, marks=()))
    assert "$J$ not finite" in said(figure)
    axes = figure.axes[0]
    image = pixels(figure)
    beyond = in_axes(axes, image, (0.8, 1.1), (-0.3, 0.2))
    before = in_axes(axes, image, (-2.5, -1.5), (-0.3, 0.2))
    assert np.ptp(beyond.astype(int), axis=2).max() < 12  # grey
    assert np.unique(beyond.reshape(-1, 3), axis=0).shape[0] > 2  # and hatched
    assert np.ptp(before.astype(int), axis=2).mean() > 30
    assert "$J$ not finite" not in said(contour_figure(picture()))


def in_axes(axes, image: np.ndarray, x: tuple[float, float], y: tuple[float, float]):
    corners = axes.transData.transform([(x[0], y[0]), (x[1], y[1])])
    scale = image.shape[1] / axes.figure.bbox.width
    (left, low), (right, high) = corners * scale
    height = image.shape[0]
    return image[int(height - high) : int(height - low), int(left) : int(right)]


def test_the_relief_has_no_facet_where_j_is_not_finite():
    def facets(given: Picture) -> int:
        return len(relief_figure(given).axes[0].collections[0].get_facecolor())

    whole, cliff = picture(), picture(WithACliff())
    cells = np.isfinite(cliff.losses[:, 0]).sum() - 1
    assert facets(cliff) == facets(whole) * cells // (len(whole.losses) - 1)


def test_a_surface_without_any_finite_point_is_drawn_as_such():
    nowhere = picture(WithACliff(), extent=(0.6, 1.2, -0.5, 1.2), path=None)
    assert not np.isfinite(nowhere.losses).any()
    assert "$J$ not finite" in said(contour_figure(nowhere))
    pixels(relief_figure(nowhere))


def test_a_flat_surface_is_drawn():
    flat = picture(losses=np.ones((25, 25)), path=None)
    pixels(contour_figure(flat))
    pixels(relief_figure(flat))


def test_signed_losses_are_drawn():
    """Negative weights let J fall below zero."""
    signed = picture()
    signed = picture(losses=signed.losses - 2.0)
    pixels(contour_figure(signed))
    pixels(relief_figure(signed))


def test_the_profile_shows_error_band_path_and_gaps():
    given = picture(WithACliff(), dimensions=1, by_name=True)
    given = Picture(**{**vars(given), "standard_errors": np.full(25, 0.1)})
    texts = said(profile_figure(given))
    assert {"On the line", "± standard error", "Path of the descent, true losses"} <= texts
    assert {"$J$ not finite", "Trained model"} <= texts


def test_the_path_figure_says_what_the_plane_holds():
    given = picture()
    assert given.path is not None
    texts = said(path_figure(given))
    assert {"True loss", "Surface under the path", "From the plane"} <= texts
    share = f"{100 * given.path.variance:.3g} % of its variance"
    assert any(share in text for text in texts)


def test_without_a_path_there_is_nothing_to_compare():
    with pytest.raises(InputError, match="The landscape has no path"):
        path_figure(picture(path=None))


def test_a_path_that_the_plane_does_not_hold_is_not_drawn():
    from dataclasses import replace

    given = picture()
    assert given.path is not None
    aside = picture(path=replace(given.path, variance=0.1))
    assert aside.drawn_path() is None
    assert "Path of the descent" not in said(contour_figure(aside))
    assert picture(path=replace(given.path, variance=0.1), by_name=True).drawn_path() is not None
    far = picture(path=replace(given.path, coordinates=given.path.coordinates + 100))
    assert far.drawn_path() is None
    short = picture(path=replace(given.path, coordinates=given.path.coordinates * 1e-3))
    assert short.drawn_path() is None


def test_levels_ascend_and_hold_all_heights():
    losses = np.random.default_rng(0).lognormal(0, 4, (20, 20))
    rings = levels(losses)
    assert (np.diff(rings) > 0).all()
    assert rings[0] == losses.min()
    assert rings[-1] == pytest.approx(losses.max())
    assert len(levels(np.full((3, 3), 2.0))) == 2
    place = shades(losses)
    assert place.min() == 0
    assert place.max() == pytest.approx(1)


def test_round_ticks():
    np.testing.assert_allclose(decade_ticks(np.array([0.12, 9.3])), [0.2, 0.5, 1, 2, 5])
    np.testing.assert_allclose(decade_ticks(np.array([0.21, 1.7])), [0.3, 0.5, 0.7, 1, 1.5])
    np.testing.assert_allclose(decade_ticks(np.array([0.5, 2e3])), [1, 10, 100, 1000])


# --- the film -----------------------------------------------------------------------------------


def test_the_film_begins_at_the_start_and_ends_with_the_whole_path(tmp_path):
    given = picture()
    shown = list(animation.frames(given, 10))
    assert len(shown) == 10 + animation.HOLD
    assert not np.array_equal(shown[0], shown[1])
    np.testing.assert_array_equal(shown[-1], shown[-2])
    file = tmp_path / "descent.gif"
    animation.write_gif(given, file, 10)
    with Image.open(file) as film:
        assert film.format == "GIF"
        assert getattr(film, "n_frames", 1) >= 10
        assert film.info["loop"] == 0


@pytest.mark.skipif(not animation.has_ffmpeg(), reason="needs FFmpeg")
def test_the_film_as_mp4(tmp_path):
    file = tmp_path / "descent.mp4"
    animation.write_mp4(picture(), file, 5)
    assert file.read_bytes()[4:8] == b"ftyp"
    with pytest.raises(InputError, match="FFmpeg did not write"):
        animation.write_mp4(picture(), tmp_path / "nowhere" / "descent.mp4", 3)


def test_an_mp4_that_ffmpeg_does_not_write(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    says = "cat > /dev/null; echo first >&2; echo no such codec >&2; exit 1"
    program.write_text(f"#!/bin/sh\n{says}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(InputError) as caught:
        animation.write_mp4(picture(), tmp_path / "descent.mp4", 3)
    assert str(caught.value) == (
        "FFmpeg did not write the MP4.\n  found:    no such codec\n  do:       use the GIF"
    )


def test_no_mp4_without_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setattr(animation.shutil, "which", lambda _: None)
    assert not animation.has_ffmpeg()
    with pytest.raises(InputError, match="needs the program FFmpeg"):
        animation.write_mp4(picture(), tmp_path / "descent.mp4")


def test_no_film_of_a_line_or_without_a_path():
    for given in (picture(dimensions=1), picture(path=None)):
        with pytest.raises(InputError, match="no path to animate"):
            next(animation.frames(given))


# --- the page -----------------------------------------------------------------------------------


def test_the_page_stands_alone_and_leaves_gaps_where_j_is_not_finite():
    pytest.importorskip("plotly")
    import json
    import re

    for given in (picture(WithACliff()), picture(WithACliff(), dimensions=1)):
        text = page(given, "Loss landscape of <run>")
        assert "Loss landscape of &lt;run&gt;" in text.replace("\\u003c", "<").replace(
            "&amp;", "&"
        ) or ("\\u0026lt;run\\u0026gt;" in text)
        assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', text)
        assert json.dumps("connectgaps") in text
    signed = picture()
    assert "Logarithmic" in page(signed, "a")
    assert "Logarithmic" not in page(picture(losses=signed.losses - 2), "a")


def test_labels_on_the_page_are_html():
    assert plain(r"($\lambda = 0.1$), $\tau_{32}$ & $x^{2}$") == (
        "(λ = 0.1), τ<sub>32</sub> &amp; x<sup>2</sup>"
    )
