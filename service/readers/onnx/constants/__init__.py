"""Constants of an ONNX model: how they are computed, and how weights are read."""
