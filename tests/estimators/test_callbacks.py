"""Progress: what callbacks see, that they may end a fit, and what `verbose` prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from steepest import Classifier, Regressor, terminal
from steepest.estimators import Progress

random = np.random.default_rng(0)
X = random.normal(size=(90, 2))
Y = X @ [1.0, -2.0] + 0.3 * random.normal(size=90)


class Recorder:
    """A callback with a memory."""

    def __init__(self) -> None:
        self.seen: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)


def stop_after_three(progress: Progress) -> bool:
    return progress.epoch == 3


def test_callbacks_see_every_epoch():
    recorder = Recorder()
    model = Regressor(batch_size=30, epochs=7, schedule="exponential", callbacks=[recorder])
    model.fit(X[:60], Y[:60], validation=(X[60:], Y[60:]))
    assert [p.epoch for p in recorder.seen] == [1, 2, 3, 4, 5, 6, 7]
    assert [p.step for p in recorder.seen] == [2, 4, 6, 8, 10, 12, 14]
    assert {p.epochs for p in recorder.seen} == {7}
    history: Any = model.history_
    rounds = history.drop_nulls("training_loss")
    assert [p.loss for p in recorder.seen] == rounds["training_loss"].to_list()
    assert [p.learning_rate for p in recorder.seen] == rounds["learning_rate"].to_list()
    assert [dict(p.validation) for p in recorder.seen] == [
        {"validation_loss": loss, "validation_r_squared": r2}
        for loss, r2 in zip(rounds["validation_loss"], rounds["validation_r_squared"], strict=True)
    ]
    assert recorder.seen[-1].seconds >= recorder.seen[0].seconds >= 0.0
    with pytest.raises(AttributeError):
        recorder.seen[0].epoch = 3  # type: ignore[misc]


def test_classifiers_have_their_figure_of_merit():
    for classes, name in ((2, "validation_auc"), (3, "validation_accuracy")):
        recorder = Recorder()
        y = np.digitize(Y, np.linspace(-1, 1, classes - 1) if classes > 2 else [0.0])
        Classifier(epochs=1, callbacks=[recorder]).fit(X, y, validation=(X, y))
        assert set(recorder.seen[0].validation) == {"validation_loss", name}


def test_looking_on_changes_nothing():
    descent = {"hidden": (4,), "batch_size": 16, "optimizer": "adam", "epochs": 5}
    plain = Regressor(**descent).fit(X, Y)
    watched = Regressor(**descent, callbacks=[Recorder()]).fit(X, Y)
    assert watched.predict(X).tobytes() == plain.predict(X).tobytes()


@pytest.mark.parametrize("batch_size", ["all", 30])
def test_true_ends_the_descent(batch_size):
    descent = {"batch_size": batch_size, "learning_rate": 0.1}
    model = Regressor(**descent, callbacks=[stop_after_three, Recorder()]).fit(X, Y)
    assert model.stop_reason_ == "a callback returned True"
    history: Any = model.history_
    assert history["epoch"].to_list()[-1] == 3.0
    short = Regressor(**descent, epochs=3).fit(X, Y)
    assert model.coef_.tobytes() == short.coef_.tobytes()


def test_batch_descent_that_records_rarely_looks_up_rarely():
    recorder = Recorder()
    Regressor(epochs=50, record_every=20, callbacks=[recorder]).fit(X, Y)
    assert [p.epoch for p in recorder.seen] == [20, 40, 50]


def test_a_pass_is_an_epoch():
    recorder = Recorder()
    model = Regressor(batch_size=30, epochs=2, callbacks=[recorder])
    for rows in (slice(None), slice(0, 40), slice(None)):
        model.partial_fit(X[rows], Y[rows])
    assert [(p.epoch, p.step) for p in recorder.seen] == [(1, 3), (2, 5), (3, 8)]


def test_a_callback_s_exception_is_not_swallowed():
    def fails(progress: Progress) -> None:
        raise ZeroDivisionError("in a callback")

    with pytest.raises(ZeroDivisionError, match="in a callback"):
        Regressor(callbacks=[fails]).fit(X, Y)


def test_callbacks_survive_clone_and_grid_search():
    recorder = Recorder()
    model = clone(Regressor(epochs=10, callbacks=[recorder, stop_after_three]))
    assert model.callbacks[1] is stop_after_three
    search = GridSearchCV(model, {"l2": [0.0, 10.0]}, cv=2).fit(X, Y)
    assert search.best_params_ == {"l2": 0.0}
    assert search.best_estimator_.n_iter_ == 3
    assert len(search.best_estimator_.callbacks[0].seen) == 3  # its own copy
    assert not recorder.seen


def test_verbose_prints_some_twenty_lines(capsys):
    Regressor(epochs=100, verbose=True).fit(X, Y, validation=(X, Y))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Learning rate: η = 2/(λ₁ + λₙ) = ")
    assert lines[1].startswith("epoch 1 of 100: loss ")
    assert ", validation_loss " in lines[1]
    assert ", η " in lines[1]
    assert lines[-1].startswith("epoch 100 of 100: ")
    assert 20 <= len(lines) - 1 <= 22
    Regressor(epochs=3).fit(X, Y)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("model", [Regressor, Classifier])
def test_a_bar_shows_notes_and_how_far_the_descent_is(model, capsys, monkeypatch):
    shown = []
    steps = terminal.TerminalCallback.steps
    monkeypatch.setattr(
        terminal.TerminalCallback, "steps",
        lambda self, *given: shown.append(given[-1]) or steps(self, *given),
    )  # fmt: skip
    labels = np.median(Y) < Y if model is Classifier else Y
    quiet = model(hidden=(4,), epochs=30, seed=1).fit(X, labels)
    assert shown == []
    bar = model(hidden=(4,), epochs=30, seed=1, verbose="bar").fit(X, labels)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Learning rate: η = " in printed.err
    assert 0 < shown[-1] <= 30
    np.testing.assert_array_equal(bar.model_.theta, quiet.model_.theta)
