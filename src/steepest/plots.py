"""The figures of a run's report, drawn again: into a notebook, or into axes of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from steepest.errors import RunFolderError, nearest
from steepest.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    Into = Axes | NDArray[Any] | None

_LOSS = "Loss and learning rate"
_MAIN = {"descent": _LOSS, "folds": "Loss of each fold", "roc": "ROC curve",
         "roc-classes": "ROC curves of the classes", "residuals": "Residuals"}  # fmt: skip
"""The figures that a run shows of itself, by their names in the report, and what they show."""


class Plots:
    """Draws the figures of a run from the numbers in its folder, by the report's own functions.

    Each method takes Matplotlib axes to draw into, or makes a new figure, and returns the axes that
    it has drawn: one, or an array of several. A figure of several panels divides the axes given.
    Runs that are drawn into the same axes differ by colour, line style and name in the legend: of
    losses, ROC curves, scores, calibration, significance and bins.

    Examples
    --------
    >>> run.plot.names  # doctest: +SKIP
    ('calibration', 'descent', 'features', 'roc', 'scores')
    >>> run.plot.roc().set_title("Top jets")  # doctest: +SKIP
    >>> _, (left, right) = plt.subplots(1, 2)  # doctest: +SKIP
    >>> run.plot.loss(left), run.plot.scores(right)  # doctest: +SKIP
    >>> other.plot.roc(run.plot.roc())  # doctest: +SKIP
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @property
    def names(self) -> tuple[str, ...]:
        """The figures that the run has."""
        return tuple(sorted(self._folder.drawings))

    def __call__(self, name: str, axes: Into = None) -> Any:
        """Draw a figure by its name, as `names` has it; the methods draw the usual ones.

        Raises
        ------
        RunFolderError
            The run has no such figure.
        """
        from steepest.evaluate import figures

        known = self._folder.drawings
        if name not in known:
            close = nearest(name, known)
            raise RunFolderError(
                f"The run {self._folder.path} has no figure {name!r}.",
                expected=", ".join(sorted(known)) or "a complete run",
                found=name,
                cause="" if known else "the run is not complete, or of an older version",
                do=f"perhaps {close!r}?" if close else "choose one of these: run.plot.names",
            )
        function, options = known[name]["function"], known[name]["options"]
        draw = figures.drawn_again(function, self._folder.figure(name), options)
        units = known[name].get("units", {})
        return figures.drawn_into(
            lambda: figures.with_units(draw, units), axes, name, self._folder.path.absolute()
        )

    def pictures(self) -> dict[str, bytes]:
        """Return loss and main result as PNG, by what they show; while a run goes on, its loss."""
        from steepest.evaluate import figures
        from steepest.training.figures import descent

        folder = self._folder.path / "figures"
        shown = {
            title: (folder / f"{name}.png").read_bytes()
            for name, title in _MAIN.items()
            if (folder / f"{name}.png").is_file()
        }
        if _LOSS in shown or self._folder.folds:  # each fold has a history of its own
            return shown
        try:
            history = self._folder.history
        except RunFolderError:  # nothing is recorded yet
            return shown
        if len(history) == 0:
            return shown
        _, draw, _ = descent(history, None)
        return {_LOSS: figures.rendered(draw()), **shown}

    def loss(self, axes: Into = None) -> Any:
        """Loss and learning rate against the step; of a running descent too.

        Of a run with folds: the losses of all folds.
        """
        if self._folder.folds:
            return self("folds", axes)
        from steepest.evaluate import figures
        from steepest.training.figures import descent

        kept = (self._folder.metrics or {}).get("descent", {}).get("kept_step")
        _, draw, _ = descent(self._folder.history, kept)
        return figures.drawn_into(draw, axes, "descent", self._folder.path.absolute())

    def roc(self, axes: Into = None) -> Any:
        """Background rejection against signal efficiency; of several classes, each in turn."""
        return self("roc-classes" if "roc-classes" in self.names else "roc", axes)

    def scores(self, axes: Into = None) -> Any:
        """The scores of signal and background, in the training part and the evaluated one."""
        return self("scores", axes)

    def stacked_scores(self, axes: Into = None) -> Any:
        """The expected events of the samples in bins of the score, stacked."""
        return self("stacked-scores", axes)

    def calibration(self, axes: Into = None) -> Any:
        """The fraction of signal against the score."""
        return self("calibration", axes)

    def confusion(self, axes: Into = None) -> Any:
        """The confusion matrix of several classes."""
        return self("confusion", axes)

    def residuals(self, axes: Into = None) -> Any:
        """Prediction against truth, and their difference, of a regression."""
        return self("residuals", axes)

    def significance(self, axes: Into = None) -> Any:
        """The significance against the cut."""
        return self("significance", axes)

    def features(self, axes: Into = None) -> Any:
        """The features, before and after scaling."""
        return self("features", axes)

    def jets(self, axes: Into = None) -> Any:
        """The jets that are most wrongly classified, as their particles."""
        return self("jets", axes)

    def bins(self, column: str | None = None, axes: Into = None) -> Any:
        """Figures of merit in bins of a column; left out, of the only one that the run has."""
        found = [name for name in self.names if name.startswith("bins-")]
        if column is None and len(found) != 1:
            raise RunFolderError(
                f"The run {self._folder.path} has {len(found)} figures of merit in bins.",
                expected="the column of one of them"
                if found
                else "[[evaluate.bins]] in its recipe",
                found=", ".join(name.removeprefix("bins-") for name in found) or "none",
            )
        return self(f"bins-{column}" if column is not None else found[0], axes)
