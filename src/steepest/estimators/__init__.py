"""scikit-learn estimators on the same descent.

================  ==============================================================================
you want          use
================  ==============================================================================
classes           `Classifier`: logistic or softmax regression, or a dense network
numbers           `Regressor`: linear regression or a dense network, by descent or exactly
progress          ``verbose=True``, or ``callbacks``, which are given a `Progress` each epoch
================  ==============================================================================

>>> import numpy as np
>>> from steepest import Classifier, Regressor
>>> rng = np.random.default_rng(0)
>>> X = rng.normal(size=(500, 2))

Linear regression by batch gradient descent at the rate that the curvature gives, and exactly:

>>> y = X @ [1.0, 2.0] + 3.0
>>> descent = Regressor(epochs=200).fit(X, y)
>>> descent.coef_.round(6), round(descent.intercept_, 6)
(array([1., 2.]), 3.0)
>>> Regressor(method="exact").fit(X, y).coef_.round(12)
array([1., 2.])

Logistic regression (no hidden layer), and a small network by mini-batches:

>>> signal = (X[:, 0] * X[:, 1] > 0).astype(int)
>>> linear = Classifier().fit(X, signal)
>>> network = Classifier(
...     hidden=(32,), optimizer="adam", batch_size=32, epochs=60, learning_rate=0.01
... ).fit(X, signal)
>>> bool(network.score(X, signal) > 0.95 > linear.score(X, signal))
True
"""

from steepest.estimators.classifier import Classifier
from steepest.estimators.progress import Progress
from steepest.estimators.regressor import Regressor

__all__ = ["Classifier", "Progress", "Regressor"]
