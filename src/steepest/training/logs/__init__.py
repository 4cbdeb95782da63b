"""Logs of a training in other tools' formats: `descent.log = ["tensorboard", "mlflow"]`."""

from steepest.training.logs.logged import logged, require_loggers

__all__ = ["logged", "require_loggers"]
