import json
import subprocess
import sys
from typing import Any, cast

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from steepest.evaluate import (
    Experiment,
    best_cut,
    binary_merits,
    calibration_curve,
    calibration_error,
    class_efficiency_in_bins,
    efficiency_in_bins,
    regression_in_bins,
    regression_merits,
    roc_curve,
    significance_at,
    significance_scan,
)
from steepest.evaluate.figures import (
    as_numbers,
    axis_label,
    calibration_figure,
    class_efficiency_figure,
    confusion_figure,
    confusion_matrix,
    descent_curves,
    descent_figure,
    drawn_into,
    efficiency_figure,
    feature_figure,
    feature_histograms,
    fold_curves,
    fold_figure,
    process_scores,
    pull_figure,
    pull_histogram,
    rejection_curve,
    residual_figure,
    residual_histograms,
    resolution_figure,
    roc_figure,
    save,
    score_figure,
    score_histograms,
    significance_curve,
    significance_figure,
    stack_figure,
)
from steepest.evaluate.figures.histogram import histogram_edges
from steepest.evaluate.figures.style import labelled, style, with_units


def texts(figure):
    """Return everything a figure says."""
    found = []
    for axes in figure.axes:
        found += [axes.get_xlabel(), axes.get_ylabel(), *(text.get_text() for text in axes.texts)]
        if axes.get_legend():
            found += [text.get_text() for text in axes.get_legend().get_texts()]
    found += [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    return [text for text in found if text]


@pytest.fixture
def draw(tmp_path):
    """Write a figure and its numbers; return what it says."""

    def written(figure, numbers):
        json.dumps(as_numbers(numbers), allow_nan=False)
        assert save(figure, tmp_path / "figure").name == "figure.png"
        return texts(figure)

    return written


def test_importing_evaluate_imports_neither_matplotlib_nor_scipy():
    code = (
        "import sys, steepest.evaluate.figures; "
        "sys.exit(any(m in sys.modules for m in ('matplotlib', 'mplhep', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_roc(toy, draw):
    labels, scores, weights = toy(size=5000, negative=0.03, rounded=False)
    merits = binary_merits(labels, scores, weights)
    curves = [
        rejection_curve(roc_curve(labels, scores, weights), "Network", merits["auc"]),
        rejection_curve(roc_curve(labels, np.round(scores, 1)), "Linear"),
    ]
    said = draw(roc_figure(curves), curves)
    assert f"Network, AUC {merits['auc'].format()}" in said
    assert "Linear" in said
    assert any(text.startswith("Signal efficiency") for text in said)
    assert any(text.startswith("Background rejection") for text in said)


def test_rejection_curve_stops_where_too_few_background_events_are_left(toy):
    labels, scores, _ = toy(size=5000, rounded=False)
    roc = roc_curve(labels, scores)
    curve = rejection_curve(roc, "Network", minimum_background=25, points=100)
    assert curve.background_passed.min() == 25
    assert curve.rejection.size <= 102
    assert (curve.low[:-1] < curve.rejection[:-1]).all()  # the last accepts everything
    assert (curve.rejection[:-1] < curve.high[:-1]).all()
    for merit in curve.working_points:
        assert merit.counts["background_passed"] >= 25


def test_roc_of_a_separation_without_background_left(draw):
    labels, scores = np.repeat([0, 1], 8), np.arange(16.0)
    curve = rejection_curve(roc_curve(labels, scores), "Network")
    assert curve.rejection.size == 0
    draw(roc_figure([curve]), curve)


@pytest.mark.parametrize("negative", [0.0, 0.1])
def test_scores(toy, draw, negative):
    training, test = toy(0, 3000, negative), toy(1, 1000, negative)
    numbers = score_histograms(
        training.labels, training.scores, test.labels, test.scores, training.weights, test.weights
    )
    width = np.diff(numbers.signal_test.edges)
    for content in (numbers.signal_training, numbers.background_test):
        assert (content.contents * width).sum() == pytest.approx(1)
    said = draw(score_figure(numbers, "Top", "QCD", "Network output"), numbers)
    assert {"Network output", "Probability density", "Top, training", "QCD, training"} <= set(said)
    p = numbers.signal_agreement.p_value
    assert f"Top, test ($p_{{KS}}$ = {p:.2g})" in said


def test_scores_that_are_no_probabilities_and_disagree(draw):
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 500)
    training, test = random.normal(labels * 4.0), random.normal(labels + 1.0)
    numbers = score_histograms(labels, training, labels, test)
    assert numbers.signal_test.edges[0] < 0
    assert "Signal, test ($p_{KS}$ < 0.001)" in draw(score_figure(numbers), numbers)


def test_errors_of_weighted_histograms():
    numbers = score_histograms([0, 1, 1], [0.1, 0.9, 0.9], [0, 1, 1], [0.1, 0.9, 0.9],
                               test_weights=[1, 3, 4], bins=1)  # fmt: skip
    assert numbers.signal_test.contents[0] == pytest.approx(1)
    assert numbers.signal_test.errors[0] == pytest.approx(5 / 7)


@pytest.mark.parametrize("n_features", [1, 26])
def test_features(draw, n_features):
    random = np.random.default_rng(0)
    names = ["pt", "mass", "tau32", "n_constituents", "my_$feature", *map(str, range(21))]
    before = random.exponential(100, (500, n_features))
    labels = random.integers(0, 2, 500)
    numbers = feature_histograms(names[:n_features], before, before / 100, labels)
    assert len(numbers) == min(n_features, 24)
    figure = feature_figure(numbers)
    assert len(figure.axes) == min(n_features, 24)
    said = draw(figure, numbers)
    assert {"$p_{T}$", "Background", "Signal"} <= set(said)


def test_features_are_drawn_once_where_scaling_keeps_their_shape():
    random = np.random.default_rng(0)
    before = random.exponential(100, (500, 2))
    ranks = before.argsort(axis=0).argsort(axis=0) / 500
    after = np.column_stack([(before[:, 0] - 50) / 20, ranks[:, 1]])
    figure = feature_figure(feature_histograms(["pt", "mass"], before, after))
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert labels == ["$p_{T}$", "$m$", "$m$, scaled"]
    (above,) = figure.axes[0].child_axes
    ends = np.array(figure.axes[0].get_xlim())
    np.testing.assert_allclose(above.get_xlim(), (ends - 50) / 20)
    assert not figure.axes[1].child_axes


def stacked(expected=None):
    scores, weights = np.array([0.1, 0.2, 0.9, 0.8, 0.9]), np.array([1.0, 3.0, 2.0, 1.0, -0.5])
    index = np.array([0, 0, 1, 2, 2])
    inside = [index == number for number in range(3)]
    names = ["W+jets", "top", "QCD"]
    return process_scores(names, [False, True, False], scores, inside, weights, expected, bins=2)


def test_scores_of_samples_are_stacked(draw):
    numbers = stacked()
    assert [each.histogram.contents.tolist() for each in numbers] == [[4, 0], [0, 2], [0, 0.5]]
    np.testing.assert_allclose(numbers[2].histogram.errors, [0, 1.25**0.5])
    assert [each.expected for each in numbers] == [4.0, 2.0, 0.5]
    figure = stack_figure(numbers)
    upper, lower = ([*axes.patches] for axes in figure.axes)
    tops: Any = [cast(Any, patch).get_data() for patch in upper[:2]]
    assert [data.values.tolist() for data in tops] == [[0, 0.5], [4, 0.5]]  # the small one below
    assert tops[1].baseline.tolist() == [0, 0.5]
    ratio = cast(Any, lower[1]).get_data().values
    np.testing.assert_allclose(ratio, [1, 5])
    said = draw(figure, numbers)
    assert {"W+jets: 4", "top: 2", "QCD: 0.5", "(S + B) / B", "Score"} <= set(said)


def test_stacked_scores_are_scaled_to_the_yields(draw):
    numbers = stacked([40.0, 1.82e6, 0.5])
    assert numbers[0].histogram.contents.tolist() == [40, 0]
    assert numbers[0].histogram.errors[0] == pytest.approx(10 * 10**0.5)
    assert "top: 1.82$\\cdot 10^{6}$" in draw(stack_figure(numbers), numbers)


def test_small_backgrounds_are_stacked_as_one(draw):
    inside = [np.arange(10) == number for number in range(10)]
    names = [f"process {number}" for number in range(10)]
    weights = np.arange(1.0, 11.0)
    numbers = process_scores(names, [False] * 10, np.full(10, 0.5), inside, weights)
    said = draw(stack_figure(numbers), numbers)
    assert "3 others: 6" in said
    assert "process 9: 10" in said


def test_features_of_several_classes_and_of_none(draw):
    random = np.random.default_rng(0)
    before = random.normal(size=(300, 2))
    labels = random.integers(0, 3, 300)
    named = feature_histograms(["eta", "phi"], before, before, labels, None, ["a", "b", "c"])
    assert [content.label for content in named[0].before] == ["a", "b", "c"]
    unnamed = feature_histograms(["eta", "phi"], before, before, labels)
    assert unnamed[0].before[2].label == "class 2"
    single = feature_histograms(["eta", "phi"], before, np.zeros((300, 2)))
    assert draw(feature_figure(single), single)[0] == r"$\eta$"


def test_bins_of_counts_are_even_also_after_scaling():
    counts = np.random.default_rng(0).poisson(60, 5000).astype(float)
    edges, scaled = histogram_edges(counts, 40), histogram_edges((counts - 60) / 7.7, 40)
    np.testing.assert_allclose((edges - 60) / 7.7, scaled)
    assert np.diff(edges)[0] == round(np.diff(edges)[0])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("pt", "$p_{T}$"),
        ("jet_soft_drop_mass", "$m_{SD}$"),
        ("tau_21", r"$\tau_{21}$"),
        ("n_particles", "Number of constituents"),
        ("a$b", r"a\$b"),
        ("anything else", "anything else"),
    ],
)
def test_axis_labels(name, label):
    assert axis_label(name) == label


def test_descent(draw):
    random = np.random.default_rng(0)
    steps = np.arange(1, 2001)
    loss = 0.3 + np.exp(-steps / 200) + random.normal(0, 0.05, 2000)
    numbers = descent_curves(
        steps, loss, 0.01 * 0.99**steps, [500, 1000, 2000], [0.5, 0.35, 0.4], kept_step=1000
    )
    assert numbers.smoothed_loss is not None
    assert np.abs(numbers.smoothed_loss[-500:] - 0.3).max() < 0.04
    said = draw(descent_figure(numbers), numbers)
    assert {"Step", "Loss", r"Learning rate $\eta$", "Training (running mean)"} <= set(said)
    assert {"Validation", "Kept (step 1000)"} <= set(said)


def test_descent_that_diverges(draw):
    loss = np.append(np.geomspace(1, 1e300, 99), np.inf)
    numbers = descent_curves(np.arange(100), loss, np.full(100, 3.0), diverged_step=99)
    assert numbers.smoothed_loss is None
    said = draw(descent_figure(numbers), numbers)
    assert "Diverged (step 99)" in said
    assert "Training" in said


def test_descent_of_nothing_finite_and_of_zero_rate(draw):
    numbers = descent_curves([0, 1], [np.nan, np.nan], [0.0, 0.0])
    assert as_numbers(numbers)["training_loss"] == [None, None]
    draw(descent_figure(numbers), numbers)


def test_confusion(draw):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1, 1, 1], 400)
    matrix = confusion_matrix(random.integers(0, 2, 400), probabilities, None, ["QCD", "Top", "W"])
    said = draw(confusion_figure(matrix), matrix)
    assert {"Predicted class", "True class", "Fraction of the true class", "no events"} <= set(said)
    assert sum("events)" in text for text in said) == 6


@pytest.mark.parametrize("negative", [0.0, 0.2])
def test_residuals(draw, negative):
    random = np.random.default_rng(0)
    truth = random.exponential(100, 3000)
    prediction = truth + random.normal(0, 10, 3000)
    weights = np.where(random.random(3000) < negative, -1.0, 1.0)
    merits = regression_merits(truth, prediction, weights)
    numbers = residual_histograms(truth, prediction, weights, merits, "GeV")
    said = draw(residual_figure(numbers, "$p_{T}$"), numbers)
    assert {
        "True $p_{T}$ [GeV]",
        "Predicted $p_{T}$ [GeV]",
        "Predicted − true $p_{T}$ [GeV]",
    } <= set(said)
    assert any(f"Bias:  {merits['bias'].format()}" in text for text in said)


def test_residuals_of_an_exact_prediction(draw):
    numbers = residual_histograms([1.0, 1.0], [1.0, 1.0])
    draw(residual_figure(numbers), numbers)


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_the_same_numbers_give_the_same_bytes(tmp_path, suffix):
    matrix = confusion_matrix([0, 1], [[0.6, 0.4], [0.2, 0.8]])
    figure = confusion_figure(matrix)
    paths = [
        save(each, tmp_path / f"{index}.{suffix}")
        for index, each in enumerate((figure, figure, confusion_figure(matrix)))
    ]
    first, again, anew = (path.read_bytes() for path in paths)
    assert first == again == anew
    assert b"Matplotlib" not in first


def test_drawing_changes_no_global_setting(tmp_path):
    before = dict(matplotlib.rcParams)
    save(descent_figure(descent_curves([1, 2], [0.9, 0.5], [0.1, 0.1])), tmp_path / "figure.png")
    assert dict(matplotlib.rcParams) == before


def test_calibration(toy, draw):
    labels, scores, weights = toy(size=4000, negative=0.05)
    curves = [
        calibration_curve(labels, scores, weights, name="Network"),
        calibration_curve([0, 1], [0.0, 1.0], name="Oracle"),
    ]
    errors = [calibration_error(curve) for curve in curves]
    said = draw(calibration_figure(curves, errors), {"curves": curves, "errors": errors})
    assert {"Calibrated", "Score", "Signal fraction", "Events / bin"} <= set(said)
    assert f"Network, error {errors[0].format()}" in said
    assert "Oracle, error consistent with 0" in said
    assert "Network" in draw(calibration_figure(curves[:1]), curves)


@pytest.mark.parametrize("uncertainty", [0.0, 0.1])
def test_significance(toy, draw, uncertainty):
    choosing, test = toy(0, negative=0.03, rounded=False), toy(1, negative=0.03, rounded=False)
    experiment = Experiment(100, 1000, uncertainty)
    choosing_roc = roc_curve(*choosing)
    cut: Any = best_cut(significance_scan(choosing_roc, experiment))
    merit = significance_at(test.labels, test.scores, cut, experiment, test.weights)
    numbers = significance_curve(roc_curve(*test), choosing_roc, experiment, merit)
    assert numbers.significance.size <= 300
    assert (numbers.low <= numbers.significance).all()
    assert (numbers.high >= numbers.significance).all()
    assert numbers.choosing_significance.max() == pytest.approx(
        significance_at(choosing.labels, choosing.scores, cut, experiment, choosing.weights).value,
        rel=0.02,
    )
    said = draw(significance_figure(numbers), numbers)
    assert {"Test part", "Validation part, which chose the cut"} <= set(said)
    assert f"Cut at {cut:.3g}:  Z = {merit.format()}" in said
    alone = significance_curve(roc_curve(*test), None, experiment, merit)
    assert "Validation part, which chose the cut" not in draw(significance_figure(alone), alone)


def test_significance_known_by_a_limit_alone(draw):
    labels, scores = np.repeat([0, 1], 8), np.arange(16.0)
    experiment = Experiment(10, 100)
    merit = significance_at(labels, scores, 9, experiment)
    numbers = significance_curve(roc_curve(labels, scores), None, experiment, merit)
    assert numbers.significance.size == 0
    assert f"Cut at 9:  Z = {merit.format()}" in draw(significance_figure(numbers), numbers)


def test_efficiencies_in_bins(toy, draw):
    labels, scores, weights = toy(negative=0.05)
    pt = np.random.default_rng(0).uniform(500, 600, labels.size)
    edges = [400, 500, 550, 600]  # the first bin is empty
    binned = efficiency_in_bins(labels, scores, pt, edges, 0.5, weights, "pt")
    said = draw(efficiency_figure(binned, 0.5, "Top", "QCD"), binned)
    assert {"$p_{T}$", "Top", "QCD", r"Working point $\varepsilon_{S}$ = 0.5"} <= set(said)
    classes = class_efficiency_in_bins(
        labels, np.column_stack([1 - scores, scores]), pt, edges, weights, ["QCD", "top"], "pt"
    )
    said = draw(class_efficiency_figure(classes), classes)
    assert {"QCD", "top", "Fraction of the class classified correctly"} <= set(said)


def test_bins_of_nothing(draw):
    binned = efficiency_in_bins([0, 1], [0.2, 0.8], [1.0, 1.0], [2, 3], 0.5)
    draw(efficiency_figure(binned), binned)
    regression = regression_in_bins([0.0, 1.0], [0.0, 1.0], [1.0, 1.0], [2, 3])
    draw(resolution_figure(regression), regression)


def test_resolution_and_pulls(draw):
    random = np.random.default_rng(0)
    truth, pull = random.uniform(0, 100, 2000), random.normal(size=2000)
    binned = regression_in_bins(truth, truth + pull, truth, [0, 50, 100], None, "mass", "GeV")
    said = draw(resolution_figure(binned, "$m$"), binned)
    assert {"Bias of $m$ [GeV]", "Resolution of $m$ [GeV]", "$m$"} <= set(said)
    pull[0] = 9.0
    numbers = pull_histogram(pull)
    assert numbers.pulls.outside == 1
    assert (numbers.expected * np.diff(numbers.pulls.edges)).sum() == pytest.approx(1, abs=1e-6)
    said = draw(pull_figure(numbers, "$m$"), numbers)
    assert {"Standard normal", "Events"} <= set(said)
    assert any(f"Width:  {numbers.merits['pull_width'].format()}" in text for text in said)


LONG = (
    "sqrt((jet1_energy + jet2_energy)**2 - (jet1_px + jet2_px)**2 - (jet1_py + jet2_py)**2 - "
    "(jet1_pz + jet2_pz)**2 + 0.5 * abs(jet1_mass - jet2_mass)) / 1000"
)


def long_figures():
    """Every figure that names a column, a class or a model, with an expression as its name."""
    rng = np.random.default_rng(0)
    truth, inside = rng.normal(90, 10, 400), rng.uniform(0, 1, 400)
    predicted, label = truth + rng.normal(0, 3, 400), rng.integers(0, 2, 400)
    score = np.clip(0.35 + 0.3 * label + rng.normal(0, 0.15, 400), 0.001, 0.999)
    both, edges = np.column_stack([1 - score, score]), [0, 0.3, 0.6, 1]
    signal, background, classes = f"Signal ({LONG} = 1)", f"Background ({LONG} = 0)", ["qcd", LONG]
    curve = calibration_curve(label, score, name=LONG)
    yield residual_figure(residual_histograms(truth, predicted), LONG)
    yield resolution_figure(regression_in_bins(truth, predicted, inside, edges, column=LONG), LONG)
    yield efficiency_figure(
        efficiency_in_bins(label, score, inside, edges, 0.5, column=LONG), 0.7, signal, background
    )
    yield class_efficiency_figure(
        class_efficiency_in_bins(label, both, inside, edges, None, classes, LONG)
    )
    yield pull_figure(pull_histogram((predicted - truth) / 3), LONG)
    yield score_figure(score_histograms(label, score, label, score), signal, background)
    yield feature_figure(
        feature_histograms([LONG, "pt"], both, both, label, None, [background, signal])
    )
    yield calibration_figure([curve], [calibration_error(curve)], "Score", f"Fraction of {LONG}")
    yield confusion_figure(confusion_matrix(label, both, None, classes))
    yield roc_figure([rejection_curve(roc_curve(label, score), f"{LONG} against the rest")])


def test_long_names_stay_within_the_figure():
    for figure in long_figures():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()  # moves labels to their places
        renderer = canvas.get_renderer()
        width, height = figure.bbox.width, figure.bbox.height
        for axes in figure.axes:
            legend = axes.get_legend()
            labels = [label for label in (axes.xaxis.label, axes.yaxis.label) if label.get_text()]
            names = [*labels, *([legend] if legend else [])]
            for box in (name.get_window_extent(renderer) for name in names):
                assert min(box.x0, box.y0) > -5, texts(figure)
                assert (box.x1 < width + 5, box.y1 < height + 5) == (True, True), texts(figure)
        assert max(axes.get_position().width for axes in figure.axes) > 0.15
        assert not any(LONG in text for text in texts(figure))


@pytest.mark.parametrize("title", ["A title of many words, " * 7, "$p_{T}$ of a long title " * 8])
def test_a_long_label_and_long_titles_stay_within_the_figure(title):
    rows = np.random.default_rng(0).normal(size=(200, 2))
    numbers = feature_histograms(["pt", "x"], rows, rows)
    units = {"pt": {"title": title, "unit": "GeV"}}
    label = "CMS Simulation of the working group on nothing at all, " * 3
    figure = labelled(lambda: with_units(lambda: feature_figure(numbers), units), label)
    FigureCanvasAgg(figure).draw()
    for text in figure.findobj(Text):
        if len(text.get_text()) > 8:  # ticks beyond the axes are not drawn
            box = text.get_window_extent()
            assert box.x0 > -5, text.get_text()
            assert box.x1 < figure.bbox.width + 5, text.get_text()
    assert min(axes.get_position().width for axes in figure.axes) > 0.15


def test_beside_mathematics_all_characters_are_drawn():
    """A text with $…$ has one font alone: the title of a legend too becomes mathematics."""
    labels, scores = np.repeat([0, 1], 200), np.arange(400) % 300
    experiment = Experiment(6_720, 3.933e8, 0.1)
    cut = significance_at(labels, scores, 150, experiment)
    numbers = significance_curve(roc_curve(labels, scores), None, experiment, cut)
    legend = significance_figure(numbers).axes[0].get_legend()
    assert legend is not None
    said = legend.get_title().get_text()
    assert "$\\cdot 10^{8}$" in said
    assert "⁸" not in said


def test_every_character_of_a_small_yield_is_drawn():
    labels, scores = np.repeat([0, 1], 200), np.arange(400) % 300
    cut = significance_at(labels, scores, 150, Experiment(1.82e-10, 1.82e-7))
    assert "⁻" in cut.format()
    drawn = set()
    with style():
        for family in matplotlib.rcParams["font.family"]:
            drawn |= set(FT2Font(findfont(FontProperties(family=[family]))).get_charmap())
    assert {ord(character) for character in cut.format()} <= drawn


def test_figures_of_a_notebook(toy, monkeypatch, recwarn):
    """They are drawn later, with other settings; the first one makes Matplotlib interactive."""
    import matplotlib.pyplot as plt

    labels, scores, _ = toy(size=500)
    first, figure = matplotlib.is_interactive(), plt.figure

    def of_a_notebook(**options):
        matplotlib.interactive(True)
        return figure(**options)

    monkeypatch.setattr(plt, "figure", of_a_notebook)
    try:
        axes = drawn_into(lambda: roc_figure([rejection_curve(roc_curve(labels, scores), "A")]))
        assert matplotlib.is_interactive()
        families = {text.get_math_fontfamily() for text in axes.figure.findobj(Text)}
        assert families == {"dejavusans"}  # "custom" fonts are those of mplhep
        axes.figure.canvas.draw()
    finally:
        matplotlib.interactive(first)
        plt.close("all")
    assert not recwarn.list


def test_labels_of_ticks_are_mathematics_only_beside_a_power_of_ten():
    rows = [[2e6, -1.0], [3e6, 0.0], [4e6, 1.0]]
    numbers = feature_histograms(["pt", "eta"], rows, rows)
    figure = feature_figure(numbers)
    figure.draw_without_rendering()
    large, small, *_ = figure.axes
    power = "$\\times\\mathdefault{10^{6}}\\mathdefault{}$"
    assert large.xaxis.get_offset_text().get_text() == power
    assert all("$" not in tick.get_text() for tick in small.get_xticklabels())


def test_a_loss_that_is_known_once_is_a_point():
    fold = {"step": [1, 2], "loss": [0.9, 0.6], "validation_loss": [None, 0.7]}
    (line,) = fold_figure(fold_curves([fold])).axes[0].lines
    assert line.get_marker() == "o"
    longer = fold_figure(fold_curves([{"step": [1, 2], "loss": [0.9, 0.6]}]))
    assert longer.axes[0].lines[0].get_marker() != "o"
