"""Models as ONNX: a file that C++ and others read, see `write_onnx` and docs/onnx.md.

::

    graph.py        nodes, constants, inputs
    functions.py    functions of float64 that onnxruntime lacks
    expressions.py  derived features
    layers.py       encoding, scaling, dense layers
    particles.py    what a network reads of particles
    network.py      the network itself, by the exporters of PyTorch
    check.py, check_particles.py   compared with the model in onnxruntime
    for_hls4ml.py, for_weaver.py   the forms that these read
    export.py       write_onnx
"""

from steepest.share.onnx.export import Exported, write_onnx

__all__ = ["Exported", "write_onnx"]
