"""ONNX ModelProto → the neutral graph."""

from service.readers.onnx.constants.weight_reader import OnnxWeights
from service.readers.onnx.editing import forget_shapes, resize_inputs
from service.readers.onnx.inputs import declared
from service.readers.onnx.reading import Reading, model_inputs, opsets_of

__all__ = ["OnnxWeights", "Reading", "declared", "forget_shapes", "model_inputs", "opsets_of", "resize_inputs"]
