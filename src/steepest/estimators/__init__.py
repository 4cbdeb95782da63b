"""scikit-learn estimators on the same descent.

================  ==============================================================================
you want          use
================  ==============================================================================
classes           `Classifier`: logistic or softmax regression, or a dense network
particles         `ParticleClassifier`: a network on the particles of each jet or event
numbers           `Regressor`: linear regression or a dense network, by descent or exactly
progress          ``verbose=True`` or ``"bar"``; ``callbacks`` are given a `Progress` each epoch
================  ==============================================================================
"""

from steepest.estimators.classifier import Classifier
from steepest.estimators.particles import ParticleClassifier
from steepest.estimators.progress import Progress
from steepest.estimators.regressor import Regressor

__all__ = ["Classifier", "ParticleClassifier", "Progress", "Regressor"]
