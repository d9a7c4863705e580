"""The model files that are measured, made anew in a folder: networks of known structure with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

GROUPS = {"resnet": (3, 4, 6, 3), "vgg": (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)}


class Builder:
    """A model that grows layer by layer; weights go into the file, or, with `external`, into another one beside it."""

    def __init__(self, folder: Path, name: str, kind: str = "float32", external: bool = False) -> None:
        self._path, self._kind = folder / f"{name}.onnx", kind
        self._data = (folder / f"{name}.data").open("wb") if external else None
        self._nodes: list[onnx.NodeProto] = []
        self._stored: list[onnx.TensorProto] = []
        self._random = np.random.default_rng(7)
        self._count = 0

    def name(self, kind: str) -> str:
        """A name that is not taken."""
        self._count += 1
        return f"{kind}{self._count}"

    def apply(self, op: str, *inputs: str, **attributes: object) -> str:
        """The result of a node."""
        result = self.name(op.lower())
        self._nodes.append(helper.make_node(op, list(inputs), [result], name=f"node_{result}", **attributes))
        return result

    def store(self, array: np.ndarray, kind: int | None = None) -> str:
        """An initializer."""
        tensor = onnx.TensorProto(name=self.name("w"), dims=array.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype) if kind is None else kind
        if self._data is None or array.nbytes < 1024:
            tensor.raw_data = array.tobytes()
        else:
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (("location", Path(self._data.name).name), ("offset", self._data.tell()), ("length", array.nbytes)):
                tensor.external_data.add(key=key, value=str(value))
            array.tofile(self._data)
        self._stored.append(tensor)
        return tensor.name

    def weights(self, *shape: int) -> str:
        """Random weights: float32, or, quantised, integers of 8 or 4 bits with a scale for each of the first axis or for blocks of 32."""
        values = self._random.standard_normal(shape, dtype=np.float32) * np.float32(0.05)
        if self._kind == "int4" and shape[-1] % 32 == 0 and len(shape) == 2:
            q = np.clip(np.rint(values * 60), -8, 7).astype(np.int8)
            packed = (q[:, ::2] & 15) | (q[:, 1::2] << 4)
            tensor = onnx.TensorProto(name=self.name("w"), dims=shape, data_type=TensorProto.INT4, raw_data=packed.tobytes())
            self._stored.append(tensor)
            scale = self.store(np.full((shape[0], shape[1] // 32), 1 / 60, np.float32))
            return self.apply("DequantizeLinear", tensor.name, scale, axis=1, block_size=32)
        if self._kind == "int8":
            q = np.clip(np.rint(values * 600), -127, 127).astype(np.int8)
            scale, zero = self.store(np.full(shape[0], 1 / 600, np.float32)), self.store(np.zeros(shape[0], np.int8))
            return self.apply("DequantizeLinear", self.store(q), scale, zero, axis=0)
        return self.store(values)

    def convolve(self, data: str, channels: int, filters: int, kernel: int, stride: int = 1) -> str:
        """A convolution with a bias."""
        bias = self.store(self._random.standard_normal(filters, dtype=np.float32))
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        return self.apply("Conv", data, self.weights(filters, channels, kernel, kernel), bias, **sizes)

    def dense(self, data: str, inputs: int, units: int) -> str:
        """A dense layer, as torch exports it."""
        return self.apply("Gemm", data, self.weights(units, inputs), self.store(np.zeros(units, np.float32)), transB=1)

    def finish(self, last: str, shape: list[int]) -> Path:
        """Write the model, which reads x of that shape."""
        ends = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape), helper.make_tensor_value_info(last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self._nodes, self._path.stem, [ends[0]], [ends[1]], self._stored)
        self._path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString())
        if self._data is not None:
            self._data.close()
        return self._path


def resnet(folder: Path, name: str, width: float = 1.0, kind: str = "float32", external: bool = False) -> Path:
    """ResNet-50, its normalisations folded into the convolutions: 102 MB at width 1."""
    make = Builder(folder, name, kind, external)
    channels, wide = round(64 * width), round(64 * width)
    last = make.apply("Relu", make.convolve("x", 3, channels, 7, 2))
    last = make.apply("MaxPool", last, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for stage, blocks in enumerate(GROUPS["resnet"]):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            inner = make.apply("Relu", make.convolve(last, channels, wide, 1))
            inner = make.apply("Relu", make.convolve(inner, wide, wide, 3, stride))
            inner = make.convolve(inner, wide, 4 * wide, 1)
            skip = last if block else make.convolve(last, channels, 4 * wide, 1, stride)
            last, channels = make.apply("Relu", make.apply("Add", inner, skip)), 4 * wide
        wide *= 2
    last = make.apply("Flatten", make.apply("GlobalAveragePool", last))
    return make.finish(make.dense(last, channels, 1000), [1, 3, 224, 224])


def vgg(folder: Path, name: str, kind: str = "float32") -> Path:
    """VGG-16: 553 MB in float32."""
    make = Builder(folder, name, kind)
    last, channels = "x", 3
    for filters in GROUPS["vgg"]:
        if filters:
            last, channels = make.apply("Relu", make.convolve(last, channels, filters, 3)), filters
        else:
            last = make.apply("MaxPool", last, kernel_shape=[2, 2], strides=[2, 2])
    last = make.apply("Flatten", last)
    for inputs, units in ((25088, 4096), (4096, 4096)):
        last = make.apply("Relu", make.dense(last, inputs, units))
    return make.finish(make.dense(last, 4096, 1000), [1, 3, 224, 224])


def chain(folder: Path, name: str, nodes: int) -> Path:
    """A residual chain of convolutions, four nodes to a block, all with one stored kernel."""
    make = Builder(folder, name)
    kernel, last = make.store(np.full((4, 4, 3, 3), 0.5, np.float32)), "x"
    for _ in range(nodes // 4):
        inner = make.apply("Relu", make.apply("Conv", last, kernel, pads=[1, 1, 1, 1]))
        last = make.apply("Add", make.apply("Conv", inner, kernel, pads=[1, 1, 1, 1]), last)
    return make.finish(last, [1, 4, 64, 64])
