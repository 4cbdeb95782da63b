"""The arithmetic: forward and backward passes, update rules; in plain NumPy and compiled.

==============  ====================================================================================
activations     a(x) and its derivatives, in NumPy
dense           a dense network's passes in NumPy: the reference, clear and dtype-preserving
compiled        how Numba compiles, and where machine code is kept; `deferred`: by whom it is called
elementary      exponential and logarithm without branches
vector, rows    vectors in registers, and products of rows with a vector
product, tiles  products of small matrices: in vectors, and in a processor's tiles
pointwise       activations and losses for compiled code; `bends`: activations looking forward
updates, steps  update rules for compiled code, and what all compiled steps share
network         many steps of a dense network in one call, of `layers` that lie as `layout` says
team, sharing   threads that take the same steps, and what each adds up of them
plane, …_plane  J at many points of a plane, with `plane_losses`; `relu_line`: on a line of it
==============  ====================================================================================

All but the first two import Numba: they are imported where they are used.
"""
