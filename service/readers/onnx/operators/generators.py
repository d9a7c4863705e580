"""Operators that make values out of nothing, or of a shape: constants, ranges, random numbers, windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.graph import ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule, Undecided
from service.readers.onnx.constants import movement as computed
from service.readers.onnx.values import Value, dtype_name


def constant(call: Call) -> Sequence[Value]:
    """Constant: a stored tensor, dense or sparse, or numbers in an attribute."""
    attributes = call.attributes
    tensor = attributes.tensor("value") or attributes.sparse_tensor("sparse_value")
    if tensor is not None:
        return [call.host.stored(call, tensor)]
    if "value_int" in attributes:
        return [call.constant(np.array(attributes.integer("value_int"), dtype=np.int64))]
    if "value_float" in attributes:
        return [call.constant(np.array(attributes.real("value_float"), dtype=np.float32))]
    if "value_ints" in attributes:
        return [call.constant(np.array(attributes.integers("value_ints"), dtype=np.int64))]
    if "value_floats" in attributes:
        return [call.constant(np.array(attributes.reals("value_floats"), dtype=np.float32))]
    texts = attributes.texts("value_strings")
    return [call.opaque(() if texts is None else (len(texts),), "string")]


def constant_of_shape(call: Call) -> Sequence[Value]:
    """ConstantOfShape of a shape that is known; the walk computes the values where it can."""
    shape = call.required_integers(0, "the shape")
    if any(n < 0 for n in shape):
        raise ShapeError(f"{shape} is no shape")
    tensor = call.attributes.tensor("value")
    return [call.opaque(shape, dtype_name(tensor.data_type) if tensor is not None else "float32")]


def count_up(call: Call) -> Sequence[Value]:
    """Range: how long it is depends on the bounds."""
    raise Undecided("how long a range is depends on the data")


def random(call: Call) -> Sequence[Value]:
    """RandomNormal, RandomUniform: of a stated shape."""
    return [call.opaque(call.attributes.integers("shape") or (), dtype_name(call.attributes.integer("dtype", 1)))]


def random_like(call: Call) -> Sequence[Value]:
    """RandomNormalLike, RandomUniformLike, EyeLike: only the shape comes from the input."""
    data = call.input(0)
    stated = call.attributes.integer("dtype")
    return [call.opaque(data.dims, dtype_name(stated) if stated else data.dtype)]


def multinomial(call: Call) -> Sequence[Value]:
    """Multinomial: samples from the probabilities along the last axis."""
    data = call.input(0)
    drawn = call.emit(core.Reduction((data.rank - 1,)), data, dtype="int32")
    return [call.emit(core.Expanding((*data.dims[:-1], call.attributes.integer("sample_size", 1))), drawn)]


def signal_window(call: Call) -> Sequence[Value]:
    """HannWindow, HammingWindow, BlackmanWindow: of a known length."""
    return [call.opaque(call.required_integers(0, "the length")[:1], dtype_name(call.attributes.integer("output_datatype", 1)))]


def mel_matrix(call: Call) -> Sequence[Value]:
    """MelWeightMatrix: (DFT length // 2 + 1, mel bins)."""
    bins, length = call.required_integers(0, "the number of bins")[0], call.required_integers(1, "the DFT length")[0]
    return [call.opaque((length // 2 + 1, bins), dtype_name(call.attributes.integer("output_datatype", 1)))]


def legacy_fill(call: Call) -> Sequence[Value]:
    """ConstantFill and GivenTensorFill, removed from the standard: the shape is an attribute or comes from an input."""
    stated = call.attributes.integers("shape")
    if stated is None:
        source = call.input(0)
        stated = call.required_integers(0, "the shape") if call.attributes.integer("input_as_shape") else source.dims
    return [call.opaque((*stated, *(call.attributes.integers("extra_shape") or ())), "float32")]


RULES = {
    "ConstantFill": Rule(legacy_fill, keeps="nothing"),
    "GivenTensorFill": Rule(legacy_fill, keeps="nothing"),
    "Constant": Rule(constant, keeps="nothing"),
    "ConstantOfShape": Rule(constant_of_shape, fold=computed.constant_of_shape, keeps="nothing"),
    "Range": Rule(count_up, fold=computed.count_up, keeps="nothing"),
    "RandomNormal": Rule(random, keeps="nothing"),
    "RandomUniform": Rule(random, keeps="nothing"),
    "RandomNormalLike": Rule(random_like, keeps="nothing"),
    "RandomUniformLike": Rule(random_like, keeps="nothing"),
    "EyeLike": Rule(random_like, fold=computed.identity_matrix, keeps="nothing"),
    "Multinomial": Rule(multinomial, keeps="nothing"),
    "HannWindow": Rule(signal_window, keeps="nothing"),
    "HammingWindow": Rule(signal_window, keeps="nothing"),
    "BlackmanWindow": Rule(signal_window, keeps="nothing"),
    "MelWeightMatrix": Rule(mel_matrix, keeps="nothing"),
}
