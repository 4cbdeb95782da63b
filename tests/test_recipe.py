"""Recipes: defaults, TOML both ways, settings, and every message whole."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from steepest.errors import RecipeError
from steepest.recipe import Adam, Momentum, OneCycle, Recipe, default_recipe

MINIMAL = {"events": {"path": "jets.parquet", "label": "is_top"}}


def wrong(*settings: str) -> str:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict(MINIMAL).with_settings(settings)
    return str(caught.value)


def test_only_path_and_label_are_needed():
    recipe = Recipe.from_dict(MINIMAL)
    assert recipe.model.hidden == (64, 64)
    for key in ("path", "label"):
        table = {"events": {k: v for k, v in MINIMAL["events"].items() if k != key}}
        with pytest.raises(RecipeError) as caught:
            Recipe.from_dict(table)
        assert str(caught.value) == (
            f"The recipe lacks the key 'events.{key}'.\n"
            f"  do:       add it: events.{key} = … (see docs/recipe.md)"
        )


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["descent.optimizer.momentum=0.5", "descent.optimizer.name=momentum"],
        ["descent.schedule={name = 'step', every = 3}", "descent.batch_size=all"],
        ["events.features=['pt', {name = 'tau32', value = 'tau3 / tau2'}]"],
        ["descent.stop.patience=3", "model.hidden=[]", "descent.learning_rate=0.25"],
    ],
)
def test_toml_both_ways(settings, tmp_path: Path):
    recipe = Recipe.from_dict(MINIMAL).with_settings(settings)
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe
    file = tmp_path / "recipe.toml"
    file.write_text(recipe.to_toml(), encoding="utf-8")
    assert Recipe.from_toml(file, anchor=False) == recipe


def test_named_tables_have_a_short_form():
    recipe = Recipe.from_dict(MINIMAL).with_settings(["descent.optimizer=momentum"])
    assert recipe.descent.optimizer == Momentum()
    assert recipe.to_dict()["descent"]["optimizer"] == "momentum"
    changed = recipe.with_settings(["descent.optimizer.momentum=0.5"])
    assert changed.descent.optimizer == Momentum(momentum=0.5)


def test_paths_are_taken_from_the_recipe_s_folder(tmp_path: Path):
    file = tmp_path / "recipe.toml"
    for written, expected in {
        "jets.parquet": str(tmp_path / "jets.parquet"),
        "/data/jets.parquet": "/data/jets.parquet",
        "embedded:top-jets": "embedded:top-jets",
    }.items():
        file.write_text(f'[events]\npath = "{written}"\nlabel = "y"\n', encoding="utf-8")
        assert Recipe.from_toml(file).events.path == expected
    file.write_text('[events]\npath = ["a", "b"]\nlabel = "y"\n', encoding="utf-8")
    assert Recipe.from_toml(file).events.paths == [str(tmp_path / "a"), str(tmp_path / "b")]
    settings = ["events.path=here.parquet"]
    assert Recipe.from_toml(file, settings=settings).events.path == "here.parquet"


def test_the_default_recipe_is_one():
    assert Recipe.from_toml(default_recipe(), anchor=False).events.path == "embedded:top-jets"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "descent.optimzer=sgd",
            "The recipe has an unknown key 'descent.optimzer'.\n"
            "  expected: one of accumulate, batch_size, checkpoint, clip_gradient, compile, "
            "device, dtype, ema, epochs, history, keep, l2, learning_rate, log, loss, method, "
            "optimizer, precision, scaling, schedule, seed, stop, validate_every\n"
            "  do:       write 'optimizer', or remove it",
        ),
        (
            "descent.schedule={name = 'step', evry = 3}",
            "The recipe has an unknown key 'descent.schedule.evry'.\n"
            "  expected: one of every, factor, name, warmup\n"
            "  do:       write 'every', or remove it",
        ),
        (
            "colour=3",
            "The recipe has an unknown key 'colour'.\n"
            "  expected: one of descent, evaluate, events, model\n"
            "  do:       remove it",
        ),
        (
            "events.features=[{nam = 'x', value = 'y'}]",
            "The recipe has an unknown key 'events.features[0].nam'.\n"
            "  expected: one of fill, indicator, missing, name, unseen, value\n"
            "  do:       write 'name', or remove it",
        ),
        (
            "descent.optimizer=sgdd",
            "The recipe has a wrong value for 'descent.optimizer'.\n"
            "  expected: one of 'sgd', 'momentum', 'nesterov', 'rmsprop', 'adam', 'adamw'\n"
            "  found:    'sgdd'",
        ),
        (
            "descent.optimizer={beta1 = 0.9}",
            "The recipe has a wrong value for 'descent.optimizer'.\n"
            "  expected: a name, or a table with a name\n"
            "  found:    {'beta1': 0.9}",
        ),
        (
            "descent.epochs=-3",
            "The recipe has a wrong value for 'descent.epochs'.\n"
            "  expected: greater than 0 or 'auto'\n"
            "  found:    -3",
        ),
        (
            "descent.learning_rate=fast",
            "The recipe has a wrong value for 'descent.learning_rate'.\n"
            "  expected: a valid number or 'auto'\n"
            "  found:    'fast'",
        ),
        (
            "events.split={validation = 0.5, test = 0.6}",
            "The recipe has a wrong value for 'events.split'.\n"
            "  expected: validation + test must be below 1, to leave events to train on\n"
            "  found:    {'validation': 0.5, 'test': 0.6}",
        ),
        (
            "descent.method=exact",
            "The recipe: method 'exact' is for linear regression.\n"
            "  expected: model.hidden = []\n"
            "  found:    model.hidden = [64, 64]\n"
            "  do:       set model.hidden = [], or descent.method = 'descent'",
        ),
        (
            "seed",
            "The setting 'seed' cannot be understood.\n"
            "  expected: KEY=VALUE, such as descent.learning_rate=0.1",
        ),
        (
            "events.label.name=3",
            "The recipe has a wrong value for 'events.label'.\n"
            "  expected: text, or a table with value, and perhaps name and unit, of text\n"
            "  found:    {'name': 3}",
        ),
        (
            "descent.seed.x=1",
            "The setting 'descent.seed.x=1': 'seed' is a value, not a table.",
        ),
    ],
)
def test_messages(setting: str, message: str):
    if setting.startswith("events.label"):
        setting = "events.label={name = 3}"
    assert wrong(setting) == message


@pytest.mark.parametrize(
    "setting",
    [
        "descent.learning_rate=true",
        'descent.epochs="3"',
        "descent.epochs=true",
        'events.split.test="0.2"',
        "events.label=3",
        "evaluate.baseline=1",
    ],
)
def test_values_of_another_type_are_not_converted(setting: str):
    assert "has a wrong value for" in wrong(setting)


def test_an_option_of_a_named_table_that_is_left_out_is_the_default_s():
    recipe = Recipe.from_dict(MINIMAL).with_settings(["descent.optimizer.beta1=0.8"])
    assert recipe.descent.optimizer == Adam(beta1=0.8)
    file_table = {"events": MINIMAL["events"]}
    settings = ["descent.schedule.warmup=0.1"]
    schedule = Recipe.from_dict(file_table).with_settings(settings).descent.schedule
    assert schedule == OneCycle(warmup=0.1)


def test_one_hidden_layer_is_a_list_too():
    assert wrong("model.hidden=64") == (
        "The recipe has a wrong value for 'model.hidden'.\n  expected: a list\n  found:    64"
    )


def test_contradictions():
    assert wrong("descent.method=exact", "model.hidden=[]", "descent.loss=cross-entropy") == (
        "The recipe: method 'exact' minimises only the mean squared error.\n"
        "  found:    descent.loss = 'cross-entropy'\n"
        "  do:       leave descent.loss out, or set descent.method = 'descent'"
    )
    assert wrong("descent.keep=best", "events.split.validation=0") == (
        "The recipe: keep = 'best' needs the validation loss, but there are no validation "
        "events.\n"
        "  found:    events.split.validation = 0\n"
        "  do:       set events.split.validation above 0, or leave descent.keep out"
    )
    assert wrong("descent.stop.patience=3", "events.split.validation=0") == (
        "The recipe: stop.patience needs the validation loss, but there are no validation "
        "events.\n"
        "  found:    events.split.validation = 0\n"
        "  do:       set events.split.validation above 0, or leave descent.stop.patience out"
    )


def test_files_that_cannot_be_read(tmp_path: Path):
    (tmp_path / "other.toml").write_text("", encoding="utf-8")
    missing = tmp_path / "recipe.toml"
    with pytest.raises(RecipeError) as caught:
        Recipe.from_toml(missing)
    assert str(caught.value) == (
        f"There is no recipe {missing}.\n"
        f"  found:    in {tmp_path}: other.toml\n"
        "  do:       check the path; `steepest train` without a recipe trains on the embedded jets"
    )
    missing.write_text("[events]\npath = jets.parquet\n", encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        Recipe.from_toml(missing)
    assert str(caught.value) == (
        f"The recipe {missing} is not valid TOML.\n"
        "  found:    Invalid value (at line 2, column 8): path = jets.parquet\n"
        '  do:       put text in quotes: label = "is_top"'
    )
    missing.write_bytes("[events]  # für Jets".encode("latin-1"))
    with pytest.raises(RecipeError) as caught:
        Recipe.from_toml(missing)
    assert str(caught.value) == (
        f"The recipe {missing} cannot be read.\n"
        "  expected: a TOML file, UTF-8\n"
        "  found:    byte 13 is not UTF-8\n"
        "  cause:    it was saved in another encoding\n"
        "  do:       save it as UTF-8"
    )


BINS = {"column": "pt", "edges": [500, 600]}


def test_a_single_table_of_bins_is_a_list_of_one():
    single = Recipe.from_dict({**MINIMAL, "evaluate": {"bins": BINS}})
    assert single == Recipe.from_dict({**MINIMAL, "evaluate": {"bins": [BINS]}})
    assert Recipe.from_dict(tomllib.loads(single.to_toml())) == single
    assert single.evaluate.columns == ["pt"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"bins": {**BINS, "edges": [2, 1]}},
            "The recipe has a wrong value for 'evaluate.bins[0].edges'.\n"
            "  expected: two or more increasing numbers\n"
            "  found:    [2, 1]",
        ),
        (
            {"bins": [BINS, {**BINS, "edges": [2]}]},
            "The recipe has a wrong value for 'evaluate.bins[1].edges'.\n"
            "  expected: two or more increasing numbers\n"
            "  found:    [2]",
        ),
        (
            {"bins": {"colum": "pt", "edges": [1, 2]}},
            "The recipe has an unknown key 'evaluate.bins[0].colum'.\n"
            "  expected: one of column, edges\n"
            "  do:       write 'column', or remove it",
        ),
        (
            {"significance": {"signal": 0, "background": 1}},
            "The recipe has a wrong value for 'evaluate.significance.signal'.\n"
            "  expected: greater than 0\n"
            "  found:    0",
        ),
    ],
)
def test_messages_about_what_is_evaluated(table: dict, message: str):
    with pytest.raises(RecipeError) as caught:
        Recipe.from_dict({**MINIMAL, "evaluate": table})
    assert str(caught.value) == message


def test_a_table_of_numbers_is_told_from_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "higgs.train"
    path.write_text("1\t0.869\t-0.635\n0\t0.908\t0.329\n")
    with pytest.raises(RecipeError, match=r"higgs.train is not a recipe") as caught:
        Recipe.from_toml(path)
    assert 'path = "higgs.train"' in str(caught.value.details["do"])
