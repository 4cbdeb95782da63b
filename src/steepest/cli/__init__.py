"""The command line: one verb a file.

Exit codes: 0 done; 1 something in the user's input; 2 wrong usage; 3 the descent diverged;
130 interrupted.
"""

from steepest.cli.app import main

__all__ = ["main"]
