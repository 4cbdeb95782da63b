"""Recipes from the data configurations of weaver (https://github.com/hqucms/weaver-core).

`expressions` translates the Python of its variables; `convert` makes a recipe of the whole, and
tells what cannot be carried over.
"""

from steepest.weaver.convert import Converted, from_weaver

__all__ = ["Converted", "from_weaver"]
