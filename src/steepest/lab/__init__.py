"""The lab: gradient descent in the browser. A playground on real events, and runs as they train."""

from steepest.lab.datasets import Dataset, built_in, from_recipe
from steepest.lab.export import export_site
from steepest.lab.notebook import playground

__all__ = ["Dataset", "built_in", "export_site", "from_recipe", "playground"]
