"""Sweeps: trials are ordinary runs, chosen by their validation losses, pruned, taken up again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import steepest
from samples import make_events, small_recipe
from steepest.errors import InputError, Interrupted, MissingExtraError, RecipeError, RunFolderError
from steepest.folder import RunFolder
from steepest.sweeps import Sweep
from steepest.sweeps.ranges import ranges_in
from steepest.sweeps.result import FEWEST
from steepest.sweeps.study import Storage
from steepest.training import TrainingCallback

pytest.importorskip("optuna")

RATE = "descent.learning_rate=log(1e-3,1)"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("sweep")
    pq.write_table(pa.table(make_events(400)), folder / "events.parquet")
    return small_recipe(folder / "events.parquet")


@pytest.fixture(scope="module")
def swept(recipe: dict, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    """Four trials, none of them pruned."""
    settings = [RATE, "model.hidden=choice([4],[8])", "descent.epochs=3"]
    out = tmp_path_factory.mktemp("swept") / "sweep"
    return steepest.sweep(recipe, settings, 4, out, pruner="none", progress=False)


def test_each_trial_is_an_ordinary_run(swept: Sweep, recipe: dict, tmp_path: Path):
    for trial in swept.trials:
        assert trial.path is not None
        run = steepest.Run(trial.path)
        assert run.recipe.descent.learning_rate == float(trial.values["descent.learning_rate"])
        assert json.dumps(list(run.recipe.model.hidden)) == trial.values["model.hidden"]
        assert run.recipe.descent.epochs == 3
        assert run.report.exists()
    best = swept.trials[0]
    settings = [f"{key}={value}" for key, value in best.values.items()]
    again = steepest.train(recipe, tmp_path / "run", settings=[*settings, "descent.epochs=3"],
                           progress=False)  # fmt: skip
    assert np.array_equal(again.model.theta, swept.best.model.theta)


def test_the_best_has_the_lowest_validation_loss(swept: Sweep):
    """That of the parameters that are kept; the test part has no say."""
    lowest = {}
    for trial in swept.trials:
        assert trial.path is not None
        history = steepest.Run(trial.path).history["validation_loss"].drop_nulls()
        lowest[trial.number] = history.min()
        assert trial.loss == lowest[trial.number]
    assert swept.trials[0].number == min(lowest, key=lambda number: lowest[number])
    assert swept.best.path == swept.trials[0].path
    told = json.dumps(swept.to_json()) + str(swept.rows()) + " ".join(swept.sentences())
    assert "auc" not in told
    assert swept.importance is None  # of four trials
    assert swept.table["validation_loss"].is_sorted()
    assert "<td>complete</td>" in swept._repr_html_()


def test_more_trials_and_the_same_draws(swept: Sweep, recipe: dict, tmp_path: Path):
    """A sweep of two that goes on to four is the one of four."""
    settings = [RATE, "model.hidden=choice([4],[8])", "descent.epochs=3"]
    arguments = {"pruner": "none", "progress": False}
    first = steepest.sweep(recipe, settings, 2, tmp_path / "sweep", **arguments)
    assert len(first.trials) == 2
    more = steepest.sweep(recipe, settings, 4, tmp_path / "sweep", **arguments)
    assert [t.values for t in more.trials] == [t.values for t in swept.trials]
    assert [t.loss for t in more.trials] == [t.loss for t in swept.trials]
    same = steepest.sweep(recipe, settings, 3, tmp_path / "sweep", **arguments)
    assert len(same.trials) == 4


class _CtrlC(TrainingCallback):
    """Sends SIGINT in the course of a trial."""

    def __init__(self, trial: int, epoch: float) -> None:
        self.trial, self.epoch, self.now = trial, epoch, -1

    def stage(self, name: str, total: int | None = None) -> None:
        self.now = int(name.split()[1].strip(",")) if name.startswith("Trial") else self.now

    def steps(self, state, loss, rate, epochs) -> None:
        if self.now == self.trial and epochs >= self.epoch:
            self.now = -1
            os.kill(os.getpid(), signal.SIGINT)


def test_after_ctrl_c_the_same_call_goes_on(recipe: dict, tmp_path: Path):
    settings = [RATE, "descent.epochs=6", "descent.checkpoint.steps=4"]
    arguments = {"pruner": "none", "progress": False}
    whole = steepest.sweep(recipe, settings, 3, tmp_path / "whole", **arguments)
    with pytest.raises(Interrupted, match="its trials are kept") as caught:
        steepest.sweep(recipe, settings, 3, tmp_path / "cut", callback=_CtrlC(1, 1.0),
                       pruner="none")  # fmt: skip
    assert "complete trials: 1, in" in str(caught.value)
    cut = RunFolder(tmp_path / "cut" / "trial-0001")
    assert cut.metrics is None
    after = steepest.sweep(recipe, settings, 3, tmp_path / "cut", **arguments)
    assert "Going on after step" in cut.log
    assert [t.values for t in after.trials] == [t.values for t in whole.trials]
    assert [t.loss for t in after.trials] == [t.loss for t in whole.trials]
    assert {t.status for t in after.trials} == {"complete"}


class _Damage(TrainingCallback):
    """Damages the database in the course of the first trial, as a server that leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def steps(self, state, loss, rate, epochs) -> None:
        if epochs >= 1 and self.path.stat().st_size > 100:
            with self.path.open("r+b") as file:
                file.truncate(0)
                file.write(b"no database" * 9)


def test_a_lost_database_ends_the_sweep_with_a_checkpoint(recipe: dict, tmp_path: Path):
    settings = [RATE, "descent.epochs=6"]
    out = tmp_path / "sweep"
    with pytest.raises(InputError, match="database of the sweep cannot be used") as caught:
        steepest.sweep(recipe, settings, 2, out, callback=_Damage(out / "study.db"))
    assert "study.db" in str(caught.value)
    run = RunFolder(out / "trial-0000")
    assert run.metrics is None
    assert "Interrupted after step" in run.log
    assert steepest.resume(run.path, progress=False).metrics is not None


def test_a_pruned_trial_ends_early_and_can_be_resumed(recipe: dict, tmp_path: Path):
    settings = ["descent.learning_rate=log(1e-9,0.1)", "descent.epochs=10"]
    found = steepest.sweep(recipe, settings, 8, tmp_path / "sweep", progress=False)
    assert {trial.status for trial in found.trials} == {"complete", "pruned"}
    pruned = next(t for t in found.trials if t.status == "pruned")
    frozen, path = found.study.trials[pruned.number], pruned.path
    part = max(frozen.intermediate_values)
    of_others = [
        t.intermediate_values[part] for t in found.study.trials[: pruned.number] if t.value
    ]
    assert min(frozen.intermediate_values.values()) > np.median(of_others)
    assert path is not None
    history = steepest.Run(path).history
    assert history["epoch"].max() == part / 2  # of ten epochs, in twentieths
    assert 2.5 <= part / 2 < 10
    assert pruned.loss == history["validation_loss"].drop_nulls()[-1]
    assert "Pruned by the sweep" in RunFolder(path).log
    resumed = steepest.resume(path, progress=False)
    assert resumed.history["epoch"].max() == 10
    assert resumed.metrics is not None


def test_a_trial_that_diverges_is_said_and_is_not_the_best(recipe: dict, tmp_path: Path):
    rates = "descent.learning_rate=choice(0.05,1e12)"
    settings = [rates, "descent.optimizer=sgd", "descent.schedule=constant"]
    found = steepest.sweep(recipe, settings, 4, tmp_path / "sweep", progress=False)
    statuses = {t.values["descent.learning_rate"]: t.status for t in found.trials}
    assert statuses == {"0.05": "complete", "1e12": "diverged"}
    assert found.best.recipe.descent.learning_rate == 0.05
    (why,) = {t.why for t in found.trials if t.status == "diverged"}
    assert why


def test_importance_names_the_key_that_matters(tmp_path: Path):
    """Of losses that depend on the learning rate alone."""
    import optuna

    storage = Storage(tmp_path)
    ranges = ranges_in(["descent.learning_rate=log(1e-6,1e-1)", "model.width=int(1,50)"])[1]
    study, random = storage.open(), np.random.default_rng(0)
    for number in range(FEWEST + 20):
        if number == FEWEST - 1:
            assert Sweep(study, storage, ranges).importance is None
        rate, width = float(10 ** random.uniform(-6, -1)), int(random.integers(1, 51))
        study.add_trial(
            optuna.create_trial(
                value=(np.log10(rate) + 2) ** 2,
                params={"descent.learning_rate": rate, "model.width": width},
                distributions={
                    "descent.learning_rate": optuna.distributions.FloatDistribution(
                        1e-6, 1e-1, log=True
                    ),
                    "model.width": optuna.distributions.IntDistribution(1, 50),
                },
            )
        )
    importance = Sweep(study, storage, ranges).importance
    assert importance is not None
    assert importance["descent.learning_rate"] > 0.8
    assert sum(importance.values()) == pytest.approx(1.0)
    assert "fANOVA" in " ".join(Sweep(study, storage, ranges).sentences())


CHILD = """
import sys
import steepest, steepest.sweeps.study as study
study.HEARTBEAT, study.GRACE = 1, 2
steepest.sweep(sys.argv[1], sys.argv[3:], 3, sys.argv[2], pruner="none", progress=False)
"""


@pytest.mark.slow
def test_two_processes_share_the_trials(recipe: dict, tmp_path: Path):
    path = tmp_path / "recipe.toml"
    path.write_text(steepest.Recipe.from_dict(recipe).to_toml())
    command = [sys.executable, "-c", CHILD, path, tmp_path / "sweep", RATE]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    found = steepest.sweep(path, [RATE], 3, tmp_path / "sweep", progress=False)
    assert [t.status for t in found.trials] == ["complete"] * 3
    assert len({t.values["descent.learning_rate"] for t in found.trials}) == 3


@pytest.mark.slow
def test_the_trial_of_a_killed_process_is_taken_up(
    recipe: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "recipe.toml"
    path.write_text(steepest.Recipe.from_dict(recipe).to_toml())
    settings = [RATE, "descent.epochs=20000", "descent.checkpoint.steps=200"]
    command = [sys.executable, "-c", CHILD, path, tmp_path / "sweep", *settings]
    with subprocess.Popen(command) as process:
        first = tmp_path / "sweep" / "trial-0000"
        while not list(first.glob("checkpoints/step-*/COMPLETE")):
            assert process.poll() is None
        process.kill()
    from steepest.sweeps import study

    monkeypatch.setattr(study, "HEARTBEAT", 1)
    monkeypatch.setattr(study, "GRACE", 2)
    found = steepest.sweep(path, settings, 1, tmp_path / "sweep", progress=False)
    while [t.status for t in found.trials] != ["complete"]:  # until the grace is over
        assert [t.status for t in found.trials] == ["running"]
        found = steepest.sweep(path, settings, 1, tmp_path / "sweep", progress=False)
    assert "Going on after step" in RunFolder(first).log
    assert [t.path for t in found.trials] == [first]


# --- the command --------------------------------------------------------------------------------


def test_the_command(recipe: dict, tmp_path: Path, capsys, monkeypatch):
    path = tmp_path / "recipe.toml"
    path.write_text(steepest.Recipe.from_dict(recipe).to_toml())
    from steepest.cli import main

    def said(*options: str) -> tuple[str, str]:
        arguments = ["sweep", str(path), "-n", "2", "-s", RATE, "-o", str(tmp_path / "out")]
        monkeypatch.setattr("sys.argv", ["steepest", *arguments, *options])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr()

    out, err = said()
    assert "Trial 1: complete" in err
    assert "2 trials: 2 complete." in out
    assert "chosen by its validation loss" in out
    numbers = json.loads(said("--json")[0])
    assert numbers["format"] == "steepest-sweep"
    assert numbers["ranges"] == {"descent.learning_rate": "log(0.001,1.0)"}
    assert [t["status"] for t in numbers["trials"]] == ["complete", "complete"]


def test_a_database_by_its_url(recipe: dict, tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'mine.db'}"
    found = steepest.sweep(recipe, [RATE], 1, tmp_path / "out", storage=url, progress=False)
    assert (tmp_path / "mine.db").exists()
    assert not (tmp_path / "out" / "study.db").exists()
    assert found.to_json()["storage"] == url


# --- bad input ----------------------------------------------------------------------------------

BAD = {
    "descent.learning_rate=logg(1e-4,1)": "write log",
    "descent.learning_rate=log(0,1)": "ends above 0",
    "descent.learning_rate=log(1,0.1)": "a lower and a higher end",
    "descent.learning_rate=log(1)": "two numbers",
    "descent.learning_rate=log(a,b)": "two numbers",
    "descent.learning_rate=uniform(nan,1)": "both finite",
    "descent.epochs=int(1,2.5)": "two integers",
    "descent.optimizer=choice(adam)": "two different values",
    "descent.optimizer=choice(adam,adam)": "two different values",
    "descent.optimizer=choice(adam,adm)": "adm",
    "descent.learning_rat=log(1e-3,1)": "write 'learning_rate'",
    "descent.epochs=log(1,100)": "integer",
    "descent.epochs=5": "A sweep needs a range",
    "events.select=choice('pt>5','pt>6')": "cannot vary events.select",
    "events.split.seed=int(0,5)": "cannot vary events.split.seed",
    "descent.loss=choice(a,b)": "cannot vary descent.loss",
    "evaluate.baseline=choice(true,false)": "cannot vary evaluate.baseline",
    "model.widht=int(1,5)": "unknown key 'model.widht'",
}


@pytest.mark.parametrize("setting", BAD)
def test_bad_ranges(setting: str, recipe: dict, tmp_path: Path):
    with pytest.raises(RecipeError) as caught:
        steepest.sweep(recipe, [setting], 2, tmp_path / "out", progress=False)
    assert BAD[setting] in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_two_ranges_of_one_key(recipe: dict, tmp_path: Path):
    with pytest.raises(RecipeError, match="Two ranges are of one key"):
        steepest.sweep(recipe, [RATE, RATE], 2, tmp_path / "out", progress=False)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ({"validation": 0.0}, "no validation events"),
        ({"folds": 3}, "no fold has any that are its own"),
    ],
)
def test_there_must_be_events_to_choose_on(split, message, recipe: dict, tmp_path: Path):
    recipe = {**recipe, "events": {**recipe["events"], "split": split}}
    with pytest.raises(RecipeError, match=message):
        steepest.sweep(recipe, [RATE], 2, tmp_path / "out", progress=False)


def test_a_study_of_something_else(swept: Sweep, recipe: dict, tmp_path: Path):
    folder = swept.storage.folder
    with pytest.raises(InputError, match="is of another recipe") as caught:
        steepest.sweep(recipe, [RATE], 9, folder, progress=False)
    assert "descent.epochs" in str(caught.value)
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(RunFolderError, match="holds no sweep"):
        steepest.sweep(recipe, [RATE], 1, tmp_path, progress=False)
    with pytest.raises(RunFolderError, match="holds no sweep"):
        steepest.sweep(recipe, [RATE], 1, swept.best.path, progress=False)


def test_other_bad_input(recipe: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails(kind: type[Exception], match: str, **options) -> str:
        arguments = {"settings": [RATE], "trials": 1, "out": tmp_path / "out", **options}
        with pytest.raises(kind, match=match) as caught:
            steepest.sweep(recipe, progress=False, **arguments)
        return str(caught.value)

    fails(InputError, "A sweep has trials", trials=0)
    assert "successive-halving" in fails(InputError, "no pruner 'med'", pruner="med")
    fails(InputError, "database of the sweep cannot be used", storage="nonsense")
    hidden = fails(InputError, "cannot be used", storage="sqlite://me:secret@/no/such/folder/x.db")
    assert "secret" not in hidden
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.db").write_text("hello")
    assert "not a database" in fails(InputError, "cannot be used", out=tmp_path / "broken")
    many = "descent.batch_size=int(5000,6000)"
    fails(InputError, "trial-0000 cannot be trained", settings=[many], out=tmp_path / "many")
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert "pip install 'steepest[sweep]'" in fails(MissingExtraError, "A sweep needs the package")


def test_no_complete_trial_has_no_best(recipe: dict, tmp_path: Path):
    settings = ["descent.batch_size=int(5000,6000)"]
    with pytest.raises(InputError, match="cannot be trained"):
        steepest.sweep(recipe, settings, 1, tmp_path / "out", progress=False)
    storage = Storage(tmp_path / "out")
    found = Sweep(storage.open(), storage, ranges_in(settings)[1])
    (trial,) = found.trials
    assert trial.status == "failed"
    assert trial.why is not None
    assert trial.why.startswith("descent.batch_size is")
    with pytest.raises(InputError, match="no complete trial yet"):
        _ = found.best
