"""The arithmetic: forward and backward passes, update rules; in plain NumPy and compiled.

==============  ====================================================================================
rules           update rules, written once for arrays and for compiled code
activations     a(x) and its derivatives, in NumPy
dense           a dense network's passes in NumPy: the reference, clear and dtype-preserving
compiled        how Numba compiles, and where machine code is kept; `deferred`: by whom it is called
elementary      exponential and logarithm without branches
vector, rows    vectors in registers, and products of rows with a vector
product         products of small matrices
pointwise       activations and losses for compiled code
updates, steps  update rules for compiled code, and what all compiled steps share
network         many steps of a dense network in one call, of `layers` that lie as `layout` says
team, sharing   threads that take the same steps, and what each adds up of them
linear, groups  many steps of a linear model in one call, and its gradient over many events
single, lanes   its steps on single events, one by one and several together, with `lane_losses`
columns         what is asked of features before: finite, their extremes, moments, scaled
shuffling       a random order; `orders`: NumPy's own; `gathering`: the rows in it, side by side
==============  ====================================================================================

All but the first three import Numba: they are imported where they are used.
"""
