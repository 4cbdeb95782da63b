"""Logs of other programs: what losses alone tell of a descent, and what they cannot.

::

    columns.py      which column or tag is the step, the loss, the validation loss, η
    read.py         CSV, JSON lines, trainer_state.json, event files → `Log`
    events.py       the records of TensorBoard's event files
    checks.py       a log → findings
    explained.py    the verdict, and the checks that a log does not allow
"""

from steepest.explain.logs.explained import explain_log
from steepest.explain.logs.read import Log, is_log, read_log

__all__ = ["Log", "explain_log", "is_log", "read_log"]
