"""Networks with nothing else set, against scikit-learn's with nothing else and the linear baseline.

Twelve tables of scikit-learn's and the embedded jets; each split three times, 70 % for training.
The loss on the rest is the mean cross entropy, or the mean squared error over the variance of the
target. ``python -m benchmarks.estimators [TABLE …]`` prints a line a table as it is done.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from steepest import Classifier, Regressor
from steepest.events import open_events

__all__ = ["main"]

Table = Any
HIDDEN = (64, 64)
SPLITS = 3
JETS = 6000


def jets(label: str) -> Table:
    """Features and a label of the embedded jets."""
    source = open_events("embedded:top-jets")
    names = [
        name for name in ("pt", "mass", "tau21", "tau32", "is_top") if name in source.schema.names
    ]
    block = next(iter(source.batches(names))).batch
    columns = {n: block[n].to_numpy(zero_copy_only=False).astype(float)[:JETS] for n in names}
    features = [n for n in names if n not in (label, "is_top")]
    X, y = np.column_stack([columns[n] for n in features]), columns[label]
    kept = np.isfinite(X).all(axis=1) & np.isfinite(y)
    return X[kept], y[kept]


CLASSIFICATION: dict[str, Callable[[], Table]] = {
    "iris": lambda: datasets.load_iris(return_X_y=True),
    "wine": lambda: datasets.load_wine(return_X_y=True),
    "breast cancer": lambda: datasets.load_breast_cancer(return_X_y=True),
    "digits": lambda: datasets.load_digits(return_X_y=True),
    "moons": lambda: datasets.make_moons(1000, noise=0.25, random_state=0),
    "20 features, a tenth of the labels wrong": lambda: datasets.make_classification(
        1500, 20, n_informative=6, n_redundant=4, flip_y=0.1, random_state=1
    ),
    "top jets": lambda: jets("is_top"),
}
REGRESSION: dict[str, Callable[[], Table]] = {
    "diabetes": lambda: datasets.load_diabetes(return_X_y=True),
    "friedman 1": lambda: datasets.make_friedman1(1000, noise=1, random_state=0),
    "friedman 2": lambda: datasets.make_friedman2(1000, noise=100, random_state=0),
    "friedman 3": lambda: datasets.make_friedman3(1000, noise=0.1, random_state=0),
    "jet mass": lambda: jets("mass"),
}


def losses_of(name: str) -> dict[str, float]:
    """Return the mean loss over the splits, by model."""
    classes = name in CLASSIFICATION
    X, y = (CLASSIFICATION if classes else REGRESSION)[name]()
    found: dict[str, list[float]] = {}
    for seed in range(SPLITS):
        stratify = y if classes else None
        train, test, y_train, y_test = train_test_split(
            X, y, test_size=0.3, random_state=seed, stratify=stratify
        )
        for model, fitted in models(classes, seed).items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fitted.fit(train, y_train)
            if classes:
                P = np.clip(fitted.predict_proba(test), 1e-15, 1)
                loss = log_loss(y_test, P, labels=np.unique(y))
            else:
                loss = mean_squared_error(y_test, fitted.predict(test)) / np.var(y_train)
            found.setdefault(model, []).append(float(loss))
    return {model: float(np.mean(values)) for model, values in found.items()}


def models(classes: bool, seed: int) -> dict[str, Any]:
    """Return the models that are compared, by name."""
    Ours, Theirs = (Classifier, MLPClassifier) if classes else (Regressor, MLPRegressor)
    linear = LogisticRegression() if classes else LinearRegression()
    mlp = {"hidden_layer_sizes": HIDDEN, "random_state": seed}
    return {
        "steepest": Ours(hidden=HIDDEN, seed=seed),
        "MLP": Theirs(**mlp),
        "MLP, features scaled": make_pipeline(StandardScaler(), Theirs(**mlp)),
        "linear": make_pipeline(StandardScaler(), linear),
    }


def main() -> None:
    """Print a line a table, and write all of it as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="TABLE")
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    options = parser.parse_args()
    results = {}
    for name in options.tables or [*CLASSIFICATION, *REGRESSION]:
        results[name] = losses_of(name)
        shown = "  ".join(f"{model} {loss:.4f}" for model, loss in results[name].items())
        print(f"{name:42s} {shown}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "estimators.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
