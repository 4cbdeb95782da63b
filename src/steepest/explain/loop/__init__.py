"""Anyone's own loop of PyTorch: a module, its loss, a loader and an optimiser, explained.

::

    loop.py         batches, gradients and Hessian–vector products of a module, on one flat θ
    measured.py     λmax, noise, layers, outputs, inputs
    checks.py       measurements → findings
    trial.py        the loop itself, from copies, at other η
    explained.py    the verdict
"""

from steepest.explain.loop.explained import explain_loop

__all__ = ["explain_loop"]
