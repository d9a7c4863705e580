"""Fourier transforms, image grids and text."""

from __future__ import annotations

from collections.abc import Sequence

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule
from service.readers.onnx.operators.indexing import sized_by_data
from service.readers.onnx.values import Value


def mixed_to(call: Call, data: Value, axes: Sequence[int], shape: Shape) -> Value:
    """A result of which every unit depends on all units along the axes; the lengths of these become those of `shape`."""
    summary = call.emit(core.Reduction(tuple(axes)), data)
    return call.emit(core.Expanding(shape), summary) if summary.dims != shape else summary


def fourier(call: Call) -> Sequence[Value]:
    """DFT along one axis; the last axis holds real and imaginary parts."""
    data = call.input(0)
    if call.version >= 20:
        stated = call.required_integers(2, "the axis")[0] if call.optional(2) is not None else -2
    else:
        stated = call.attributes.integer("axis", 1)
    axis = call.normal_axis(stated, data.rank)
    length = call.required_integers(1, "the DFT length")[0] if call.optional(1) is not None else data.dims[axis]
    one_sided, inverse = bool(call.attributes.integer("onesided")), bool(call.attributes.integer("inverse"))
    if one_sided and inverse and call.optional(1) is None:
        length = 2 * (length - 1)
    shape = list(data.dims)
    shape[axis] = length // 2 + 1 if one_sided and not inverse else length
    shape[-1] = 1 if one_sided and inverse else 2
    return [mixed_to(call, data, (axis, data.rank - 1), tuple(shape))]


def short_time_fourier(call: Call) -> Sequence[Value]:
    """STFT: a window that slides over the signal, and within it everything."""
    signal, window = call.input(0), call.optional(2)
    step = call.required_integers(1, "the step between frames")[0]
    if call.optional(3) is not None:
        length = call.required_integers(3, "the length of a frame")[0]
    elif window is not None:
        length = window.dims[0]
    else:
        raise ShapeError("the length of a frame is not stated")
    if step < 1 or not 1 <= length < 1 << 20:
        raise ShapeError(f"frames of {length} cannot be {step} apart")
    batch, samples = signal.dims[:2]
    parts = signal.dims[2] if signal.rank == 3 else 1
    lines = call.transpose(call.reshape(signal, (batch, samples, parts)), (0, 2, 1))
    frames = call.emit(core.Pooling((length,), (step,), (1,), ((0, 0),), mode="fourier"), lines)
    frames = call.emit(core.Reduction((1,)), frames)
    bins = length // 2 + 1 if call.attributes.integer("onesided", 1) else length
    count = frames.dims[2]
    spectrum = call.emit(core.Expanding((batch, count, bins, 2)), call.reshape(frames, (batch, count, 1, 1)))
    return [call.influenced(spectrum, window)]


def affine_grid(call: Call) -> Sequence[Value]:
    """AffineGrid: every place of the grid depends on the rows of the matrix of its sample."""
    matrix = call.input(0)
    size = call.required_integers(1, "the size of the grid")
    rank = len(size) - 2
    rows = call.emit(core.Reduction((2,), keepdims=False), matrix)
    placed = call.reshape(rows, (size[0], *[1] * rank, rank))
    return [call.emit(core.Expanding((size[0], *size[2:], rank)), placed)]


def grid_sample(call: Call) -> Sequence[Value]:
    """GridSample: the grid says where the image is read."""
    data, grid = call.input(0), call.input(1)
    shape = (*data.dims[:2], *grid.dims[1:-1])
    return call.data_dependent([shape], "the grid says where the image is read", data, grid)


def text_by_text(call: Call) -> Sequence[Value]:
    """An operator on single strings."""
    dtype = "bool" if call.op == "RegexFullMatch" else "string"
    operands = [v for v in call.inputs if v is not None]
    return [call.elementwise(call.op.lower(), *operands, dtype=dtype)]


def n_grams(call: Call) -> Sequence[Value]:
    """TfIdfVectorizer: counts of n-grams over the last axis."""
    data = call.input(0)
    indexes = call.attributes.integers("ngram_indexes")
    if not indexes:
        call.refuse("missing-attribute", "it has no ngram_indexes")
    summary = call.emit(core.Reduction((data.rank - 1,)), data, dtype="float32")
    return [call.emit(core.Expanding((*data.dims[:-1], max(indexes) + 1)), summary)]


def optimise(call: Call) -> Sequence[Value]:
    """Adagrad, Adam, Momentum: parameters, gradients and states, updated unit by unit."""
    groups = {"Adam": 4, "Adagrad": 3, "Momentum": 3}[call.op]
    tensors = [v for v in call.inputs[2:] if v is not None]
    count = len(tensors) // groups
    results = []
    for group in range(groups):
        if group != 1:
            for number in range(count):
                result = call.elementwise(call.op.lower(), *(tensors[number + count * g] for g in range(groups)))
                results.append(call.influenced(result, call.input(0), call.input(1)))
    return results


_LENGTH = "how long the result is depends on the data"

RULES = {
    "DFT": Rule(fourier, "global"),
    "STFT": Rule(short_time_fourier, "pooling"),
    "AffineGrid": Rule(affine_grid),
    "GridSample": Rule(grid_sample, "resampling", bound="the grid says where the image is read"),
    "StringConcat": Rule(text_by_text),
    "RegexFullMatch": Rule(text_by_text),
    "TfIdfVectorizer": Rule(n_grams),
    "StringNormalizer": Rule(sized_by_data(_LENGTH), bound=_LENGTH),
    "StringSplit": Rule(sized_by_data(_LENGTH), bound=_LENGTH),
    "ImageDecoder": Rule(sized_by_data(_LENGTH), bound=_LENGTH),
}

TRAINING = {
    "Adagrad": Rule(optimise),
    "Adam": Rule(optimise),
    "Momentum": Rule(optimise),
    "Gradient": Rule(sized_by_data("gradients are not followed"), bound="gradients are not followed"),
}
