"""The arithmetic: forward and backward passes, update rules; in plain NumPy and compiled.

=============  ==================================================================================
rules          update rules, written once for arrays and for compiled code
activations    a(x) and its derivatives, in NumPy
dense          a dense network's passes in NumPy: the reference, clear and dtype-preserving
compiled       how Numba compiles, and where machine code is kept
elementary     exponential and logarithm without branches
vector, rows   products in registers: of small matrices, and of rows with a vector
pointwise      activations, losses and rules for compiled code
steps          what all compiled steps share
network        many steps of a dense network in one call
linear         many steps of a linear model in one call, and its gradient over many events
single, lanes  its steps on single events, one by one and several together
lane_losses    the losses and slopes of those taken together
columns        what is asked of features before: finite, their extremes, moments, scaled
shuffling      a random order
=============  ==================================================================================

All but the first three import Numba: they are imported where they are used.
"""
