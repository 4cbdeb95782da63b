"""Dense networks in compiled code.

========  ==========================================================================================
layout    where a network's arrays lie
layers    a block of events through the layers and back, by BLAS
steps     many steps in one call, by one thread or several; losses and gradients of many events
logits    the logits of events, each with the same bits whichever others there are
========  ==========================================================================================

The NumPy twin is `steepest.models.layers` with `steepest.losses` and `steepest.compiled.rules`.
"""
