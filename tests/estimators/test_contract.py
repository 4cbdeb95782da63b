"""scikit-learn's own checks, all of them; one of them has no answer for a model without L2."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from steepest import Classifier, Regressor

ESTIMATORS = [
    Classifier(),
    Classifier(l2=0.01),
    Regressor(),
    Regressor(hidden=(8,), optimizer="adam", learning_rate=0.01, epochs=100),
    Classifier(hidden=(8,), optimizer="adam", learning_rate=0.01, activation="tanh", epochs=100),
    Regressor(method="exact"),
]
LONG = [Classifier(hidden=(8,)), Regressor(hidden=(8,))]
"""η and λ by trial runs: minutes."""


def without_a_minimum(estimator: Classifier | Regressor) -> dict[str, str]:
    """The 15 events of 3 classes of these checks are separable: J falls without end."""
    open_end = isinstance(estimator, Classifier) and estimator.epochs is None
    names = ("dense", "sparse") if open_end and not estimator.l2 else ()
    why = "separable classes without L2: where J stops falling depends on rounding"
    return {f"check_sample_weight_equivalence_on_{name}_data": why for name in names}


@pytest.mark.filterwarnings("ignore:Classifier has no minimum")  # separable blobs
@pytest.mark.filterwarnings("ignore:The network is")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=without_a_minimum)
def test_scikit_learn_s_contract(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The network is")  # better than a linear model, of 20 events
@parametrize_with_checks(LONG)
def test_scikit_learn_s_contract_of_a_default_network(estimator, check):
    check(estimator)


ARRAY_API = """
from sklearn.utils.estimator_checks import estimator_checks_generator
from test_contract import ESTIMATORS, LONG

for estimator in ESTIMATORS + LONG:
    for instance, check in estimator_checks_generator(estimator):
        name = getattr(check, "func", check).__name__
        if name.startswith("check_array_api"):
            check(instance)
            print(name)
"""


@pytest.mark.slow
def test_the_check_that_scikit_learn_skips_without_its_switch():
    """Array API dispatch must be switched on before SciPy is imported: in a process of its own."""
    here = os.path.dirname(__file__)
    paths = [here, *filter(None, sys.path)]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": os.pathsep.join(paths)}
    warned = "error", "ignore:The network is", "ignore:Classifier has no minimum"
    options = [word for warning in warned for word in ("-W", warning)]
    done = subprocess.run(
        [sys.executable, *options, "-c", ARRAY_API],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["check_array_api_input"] * len(ESTIMATORS + LONG)
