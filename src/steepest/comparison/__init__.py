"""Two or more runs side by side: what differs in their recipes, and whether results differ."""

from steepest.comparison.comparison import Comparison, compare_runs, differing_settings
from steepest.comparison.differences import GROUPS, Difference

__all__ = ["GROUPS", "Comparison", "Difference", "compare_runs", "differing_settings"]
