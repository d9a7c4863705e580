"""ONNX ModelProto → the neutral graph."""

from service.readers.onnx_reader.inputs import declared
from service.readers.onnx_reader.reading import Reading, model_inputs, opsets_of
from service.readers.onnx_reader.weight_reader import OnnxWeights

__all__ = ["OnnxWeights", "Reading", "declared", "model_inputs", "opsets_of"]
