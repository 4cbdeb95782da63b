"""Linear models with one output, in compiled code.

=========  =========================================================================================
products   z = X w + b, and g ← g + Xᵀ d
gradient   loss and gradient over many events
steps      steps on batches of events
single     steps on single events
=========  =========================================================================================
"""
