"""Bytes to graph. `onnx` is imported nowhere else."""
