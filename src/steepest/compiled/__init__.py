"""The arithmetic in Numba: loops over arrays, compiled for float32 and float64.

===========  =======================================================================================
rules        update rules, written once for NumPy and for compiled code
threads      the cores of this process; work shared by threads, and steps that threads take together
blas         one thread of BLAS while threads of ours call it
jit          how kernels are compiled and cached
clock        a clock that stops while they are compiled
pointwise    activations, losses, and the exponentials and logarithms that they need
updates      the update rules on slices of θ
barrier      how threads within a kernel wait for each other
linear       steps and gradients of linear models with one output
columns      what scaling needs of the columns of a matrix
network      steps, losses, gradients and logits of dense networks
===========  =======================================================================================

`rules`, `threads`, `blas` and `clock` do not import Numba; others are imported where they are used.
"""
