"""Two or more runs side by side: what differs in their recipes, and whether results differ."""

from steepest.comparison.comparison import Comparison, compare_runs
from steepest.comparison.differences import GROUPS, Difference
from steepest.comparison.settings import differing_settings

__all__ = ["GROUPS", "Comparison", "Difference", "compare_runs", "differing_settings"]
