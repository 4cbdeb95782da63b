"""`ParticleClassifier`: jagged arrays of any kind in, the same network as by a recipe."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.base import clone

import steepest
from steepest.errors import EventsError, InputError, RecipeError, RunFolderError
from steepest.estimators import ParticleClassifier

pytest.importorskip("torch")
SMALL = {"per_particle": [16, 16], "per_jet": [16]}
FAST = {"options": SMALL, "epochs": 6, "batch_size": 32, "learning_rate": 0.01}


def jets_of(events: int, seed: int = 0, most: int = 12) -> tuple[dict, np.ndarray, np.ndarray]:
    """Lists of arrays of jets with two prongs (True) and with one; the labels, and the lengths."""
    random = np.random.default_rng(seed)
    y, lengths = random.integers(0, 2, events).astype(bool), random.integers(1, most, events)
    columns = {"pt": [], "eta": [], "phi": [], "energy": [], "charge": []}
    for two, n in zip(y, lengths, strict=True):
        pt, eta = random.exponential(20.0, n) + 1.0, random.normal(0, 0.1, n)
        eta += two * random.choice([-0.4, 0.4], n)
        row = pt, eta, random.normal(0, 0.1, n), pt * np.cosh(eta), random.integers(-1, 2, n)
        for name, values in zip(columns, row, strict=True):
            columns[name].append(values)
    return columns, y, lengths


JETS, Y, LENGTHS = jets_of(300)
FITTED = ParticleClassifier("deep-sets", **FAST).fit(JETS, Y)


def test_it_learns_and_says_as_scikit_learn_does():
    other, y, _ = jets_of(200, seed=1)
    assert FITTED.score(other, y) > 0.85
    p = FITTED.predict_proba(other)
    assert p.shape == (200, 2)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_array_equal(FITTED.predict(other), p[:, 1] > 0.5)
    np.testing.assert_allclose(1 / (1 + np.exp(-FITTED.decision_function(other))), p[:, 1])
    assert FITTED.classes_.tolist() == [False, True]
    assert FITTED.history_ is not None
    assert FITTED.history_.height > 0
    assert not hasattr(FITTED, "partial_fit")
    copy: ParticleClassifier = clone(FITTED)  # type: ignore[assignment]
    assert copy.get_params() == FITTED.get_params()


def test_awkward_arrays_are_the_same_as_lists():
    """Records of jagged fields, and jagged records."""
    ak = pytest.importorskip("awkward")
    columns = {name: ak.Array([one.tolist() for one in lists]) for name, lists in JETS.items()}
    expected = FITTED.predict_proba(JETS)
    for X in (columns, ak.zip(columns), ak.zip(columns, depth_limit=1)):
        np.testing.assert_array_equal(FITTED.predict_proba(X), expected)
        again = ParticleClassifier("deep-sets", **FAST).fit(X, Y)
        np.testing.assert_array_equal(again.predict_proba(X), expected)


def test_cartesian_momenta_are_the_same():
    pt, eta, phi = (JETS[name] for name in ("pt", "eta", "phi"))
    cartesian = {
        "px": [p * np.cos(f) for p, f in zip(pt, phi, strict=True)],
        "py": [p * np.sin(f) for p, f in zip(pt, phi, strict=True)],
        "pz": [p * np.sinh(h) for p, h in zip(pt, eta, strict=True)],
        "energy": JETS["energy"],
        "charge": JETS["charge"],
    }
    np.testing.assert_allclose(
        FITTED.predict_proba(cartesian), FITTED.predict_proba(JETS), atol=1e-5
    )


def test_it_is_the_network_of_a_recipe(tmp_path):
    """With the same events, seed and descent: the same bits of θ; and its file is scored alike."""
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int32)
    lists = {n: pa.ListArray.from_arrays(offsets, np.concatenate(v)) for n, v in JETS.items()}
    pq.write_table(pa.table({"y": Y.astype(int), **lists}), tmp_path / "jets.parquet")
    momentum = {name: name for name in ("pt", "eta", "phi", "energy")}
    recipe = {
        "events": {
            "path": str(tmp_path / "jets.parquet"),
            "label": "y",
            "particles": {**momentum, "features": ["charge"]},
            "split": {"validation": 0.0, "test": 0.0},
        },
        "model": {"name": "deep-sets", **SMALL},
        "descent": {"epochs": 6, "batch_size": 32, "learning_rate": 0.01, "optimizer": "adamw"},
    }
    run = steepest.train(steepest.Recipe.from_dict(recipe), tmp_path / "run")
    np.testing.assert_array_equal(run.model.theta, FITTED.model_.theta)
    FITTED.save(tmp_path / "model")
    scored = tmp_path / "scores.parquet"
    steepest.predict(tmp_path / "model", tmp_path / "jets.parquet", scored)
    np.testing.assert_array_equal(
        pq.read_table(scored)["score"].to_numpy(), FITTED.predict_proba(JETS)[:, 1]
    )


@pytest.mark.parametrize("labels", [np.array(["qcd", "top", "w"]), np.array([3, 7, 9])])
def test_saved_and_loaded_it_says_the_same(tmp_path, labels):
    y = labels[Y.astype(int) + (LENGTHS > 9)]
    model = ParticleClassifier("deep-sets", **{**FAST, "epochs": 1}, most=8).fit(JETS, y)
    again = ParticleClassifier.load(model.save(tmp_path / "model"))
    assert again.get_params() == model.get_params()
    np.testing.assert_array_equal(again.predict(JETS), model.predict(JETS))
    np.testing.assert_array_equal(again.predict_proba(JETS), model.predict_proba(JETS))
    assert again.classes_.dtype == model.classes_.dtype
    with pytest.raises(RunFolderError, match="something at"):
        model.save(tmp_path / "model")
    (tmp_path / "model" / "estimator.json").unlink()
    with pytest.raises(RunFolderError, match="holds no ParticleClassifier"):
        ParticleClassifier.load(tmp_path / "model")


def test_weights_validation_and_early_stopping():
    """An event of weight 0 is no event in one batch of all; a part set aside is looked at."""
    whole = {"options": SMALL, "batch_size": "all", "epochs": 3, "scaling": "none"}
    weight = (np.arange(300) < 200).astype(float)
    heavy = ParticleClassifier("deep-sets", **whole).fit(JETS, Y, weight)
    some = {name: lists[:200] for name, lists in JETS.items()}
    light = ParticleClassifier("deep-sets", **whole).fit(some, Y[:200])
    np.testing.assert_allclose(heavy.predict_proba(JETS), light.predict_proba(JETS), atol=1e-4)
    stopped = ParticleClassifier("deep-sets", **FAST, early_stopping=True).fit(JETS, Y)
    told = ParticleClassifier("deep-sets", **FAST).fit(JETS, Y, validation=(some, Y[:200]))
    for model in (stopped, told):
        assert model.history_ is not None
        assert "validation_loss" in model.history_.columns


def without(name: str) -> dict:
    return {n: lists for n, lists in JETS.items() if n != name}


def changed(name: str, values: object) -> dict:
    return {**JETS, name: [values, *JETS[name][1:]]}


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((300, 4)), "These are no particles"),
        (without("eta"), "These are no particles"),
        (changed("eta", np.zeros(40)), "differ in length in event 0"),
        ({**JETS, "charge": JETS["charge"][:-1]}, "'charge' has other events than 'pt'"),
        (changed("charge", np.full(LENGTHS[0], np.nan)), "'charge' is not finite in event 0"),
        (changed("pt", np.full(LENGTHS[0], np.inf)), "not finite"),
        (changed("energy", np.full(LENGTHS[0], 0.1)), "less energy than momentum"),
        ({**JETS, "eta": np.zeros((300, 2, 2))}, "'eta' is not a list of numbers"),
    ],
)
def test_what_are_no_particles_is_refused(X, message):
    with pytest.raises(EventsError, match=message):
        ParticleClassifier("deep-sets", **FAST).fit(X, Y)


def test_other_refusals():
    with pytest.raises(EventsError, match="no charge"):
        FITTED.predict(without("charge"))
    with pytest.raises(EventsError, match="different events"):
        ParticleClassifier("deep-sets").fit(JETS, Y[:-1])
    with pytest.raises(EventsError, match="one class only"):
        ParticleClassifier("deep-sets").fit(JETS, np.zeros(300))
    with pytest.raises(InputError, match="dense reads no particles"):
        ParticleClassifier("dense").fit(JETS, Y)
    with pytest.raises(RecipeError, match="no option 'width'"):
        ParticleClassifier("deep-sets", options={"width": 3}).fit(JETS, Y)
