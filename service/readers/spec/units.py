"""Layers that act unit by unit, along one axis, or join: dense, activation, normalisation, add, concat."""

from __future__ import annotations

from service.graph.network import Tensor
from service.graph.operators import (
    BatchNormalization,
    Concatenation,
    Contraction,
    Dense,
    Elementwise,
    Embedding,
    Mixing,
    Neighbourhood,
    Reshaping,
    Shape,
    ShapeError,
    Transposing,
    Unknown,
    broadcast,
)
from service.readers.spec.draft import Draft, Refusal, Rule, shape_of

FUNCTIONS = {
    "relu": "relu",
    "relu6": "clip",
    "leaky_relu": "leakyrelu",
    "prelu": "prelu",
    "elu": "elu",
    "selu": "selu",
    "celu": "celu",
    "gelu": "gelu",
    "silu": "swish",
    "swish": "swish",
    "mish": "mish",
    "exponential": "exp",
    "sigmoid": "sigmoid",
    "hard_sigmoid": "hardsigmoid",
    "hard_swish": "hardswish",
    "tanh": "tanh",
    "hard_tanh": "clip",
    "softplus": "softplus",
    "softsign": "softsign",
    "linear": "identity",
    "softmax": "softmax",
    "log_softmax": "logsoftmax",
}
"""The activations of a spec, and the functions that the ONNX operators for them are called by in the graph."""


EPSILON = 1e-5
"""What ONNX and PyTorch add to the variance."""


def tensor_axis(draft: Draft, name: str, axis: int) -> int:
    """An axis of the spec (from 0 without the batch, or from the end) as an axis of the tensor."""
    rank = len(draft.shape) - 1
    if not -rank <= axis < rank:
        raise Refusal(name, "out-of-range", f"the input has axes 0 to {rank - 1}, not {axis}")
    return 1 + axis % rank


def dense(draft: Draft) -> Tensor:
    """A matrix along one axis.

    Without `axis` it is the last one of (features) or (positions, features); trailing axes of length 1 are dropped before, so that a
    dense layer may follow a global pool. A feature map of more axes needs a `flatten` before, or an `axis`.
    """
    value = _dense_input(draft)
    shape = shape_of(value)
    axis = len(shape) - 1 if draft.fields.get("axis") is None else tensor_axis(draft, "axis", draft.fields["axis"])
    order = (*(i for i in range(len(shape)) if i != axis), axis)
    moved = value if axis == len(shape) - 1 else draft.apply(Transposing(order), value)
    units, ties = draft.fields["units"], _ties(draft, shape[axis])
    output = draft.apply(Dense(units, ties), moved)
    weights = (len(ties) if ties else shape[axis], units)
    draft.kernel(weights)
    draft.values(weights)
    if draft.fields["bias"]:
        draft.bias((units,))
    back = tuple(order.index(i) for i in range(len(shape)))
    return output if moved is value else draft.apply(Transposing(back), output)


def _dense_input(draft: Draft) -> Tensor:
    shape = draft.shape
    if draft.fields.get("axis") is not None:
        return draft.input
    kept = len(shape)
    while kept > 2 and shape[kept - 1] == 1:
        kept -= 1
    if kept > 3:
        message = f"the input {shape[1:]} has several axes: put a flatten layer before, or name the axis that the layer acts on"
        raise Refusal("", "needs-flatten", message)
    if kept == 3:
        positions = f"{shape[1]} leading positions of {shape[2]} values"
        draft.note("dense-over-positions", f"the layer acts on the last axis: {positions}; a flatten layer before would join them")
    return draft.input if kept == len(shape) else draft.apply(Reshaping(shape[:kept]), draft.input)


def _ties(draft: Draft, inputs: int) -> tuple[tuple[int, ...], ...] | None:
    ties: tuple[tuple[int, ...], ...] | None = draft.fields.get("tie")
    if ties is None:
        return None
    members = [index for group in ties for index in group]
    if len(set(members)) < len(members):
        raise Refusal("tie", "duplicate", "an input stands in more than one place")
    if max(members) >= inputs:
        raise Refusal("tie", "out-of-range", f"the layer has inputs 0 to {inputs - 1}, not {max(members)}")
    if len(members) < inputs:
        missing = next(index for index, member in enumerate([*sorted(members), inputs]) if index != member)
        raise Refusal("tie", "incomplete", f"input {missing} is in no group")
    return ties


def activation(draft: Draft) -> Tensor:
    """A function of each unit, or a softmax along an axis."""
    name, axis = draft.fields["function"], draft.fields.get("axis")
    function = FUNCTIONS[name]
    if "softmax" in name:
        return draft.apply(Mixing((tensor_axis(draft, "axis", 0 if axis is None else axis),), function), draft.input)
    if axis is not None:
        raise Refusal("axis", "conflict", f"{name} acts on every unit alone and has no axis")
    if name == "prelu":
        draft.other("slope", draft.shape[1:] if draft.fields["untied"] else draft.shape[1:2])
    return draft.apply(Elementwise(function), draft.input)


def unknown(draft: Draft) -> Tensor:
    """A layer that nothing is known of. Its result is taken to have the shape that is stated, or else that of its first input."""
    shape = (draft.shape[0], *draft.fields["shape"]) if "shape" in draft.fields else draft.shape
    reason = draft.fields.get("reason", "nothing is known of this layer")
    taken = "stated" if "shape" in draft.fields else "its input's"
    message = f"{reason}; the shape {shape[1:]} of its result is {taken}, and what follows sees an unknown part of the input"
    draft.note("unknown-layer", message)
    return draft.apply(Unknown((shape,), reason), *dict.fromkeys(draft.inputs))


def embedding(draft: Draft) -> Tensor:
    """A table looked up by index: (*places) to (units, *places)."""
    vocabulary, units, rank = draft.fields["vocabulary"], draft.fields["units"], len(draft.shape)
    rows = draft.apply(Embedding(vocabulary, (units,)), draft.input)
    draft.kernel((vocabulary, units))
    return draft.apply(Transposing((0, rank, *range(1, rank))), rows)


def dot(draft: Draft) -> Tensor:
    """The sums of products of two tensors along one axis of each; their other axes stand one after the other."""
    axes = draft.fields["axes"]
    shapes = [shape_of(tensor) for tensor in draft.inputs]
    if len(shapes) != 2:
        raise Refusal("inputs", "wrong-length", f"a dot product has two inputs, not {len(shapes)}")
    labels = []
    for place, (shape, axis) in enumerate(zip(shapes, axes, strict=True)):
        if not -len(shape) < axis < len(shape) - 1:
            raise Refusal(f"axes/{place}", "out-of-range", f"the input has axes 0 to {len(shape) - 2}, not {axis}")
        named = ["batch", *(f"{place}.{index}" for index in range(1, len(shape)))]
        named[1 + axis % (len(shape) - 1)] = "sum"
        labels.append(tuple(named))
    kept = tuple(label for named in labels for label in named if label not in ("batch", "sum"))
    result = draft.apply(Contraction(tuple(labels), ("batch", *kept)), *draft.inputs)
    return result if kept else draft.apply(Reshaping((draft.shape[0], 1)), result)


def scale(draft: Draft) -> Tensor:
    """A trained factor for each channel (LayerScale, Touvron et al. 2021)."""
    draft.other("scale", draft.shape[1:2])
    return draft.apply(Elementwise("mul"), draft.input)


def dropout(draft: Draft) -> Tensor:
    """The identity at inference."""
    return draft.apply(Elementwise("dropout"), draft.input)


def batch_norm(draft: Draft) -> Tensor:
    """An affine function of each channel: by its running mean and variance, and by a scale and a shift if `affine`."""
    _affine(draft, draft.shape[1:2])
    for role in ("mean", "variance"):
        draft.statistic(role, draft.shape[1:2])
    return draft.apply(BatchNormalization(EPSILON), draft.input)


def layer_norm(draft: Draft) -> Tensor:
    """Normalisation over `axes`, by default the channels at each place."""
    named = draft.fields.get("axes", (0,))
    axes = tuple(sorted({tensor_axis(draft, "axes", axis) for axis in named}))
    if len(axes) < len(named):
        raise Refusal("axes", "duplicate", "an axis stands there twice")
    _affine(draft, tuple(draft.shape[axis] for axis in axes))
    return draft.apply(Mixing(axes, "layernormalization"), draft.input)


def group_norm(draft: Draft) -> Tensor:
    """Normalisation over all places and the channels of a group (Wu and He 2018)."""
    shape, groups = draft.shape, draft.fields["groups"]
    if shape[1] % groups:
        raise Refusal("groups", "not-divisible", f"{groups} groups do not divide {shape[1]} channels")
    _affine(draft, shape[1:2])
    split = draft.apply(Reshaping((shape[0], groups, shape[1] // groups, *shape[2:])), draft.input)
    mixed = draft.apply(Mixing(tuple(range(2, len(shape) + 1)), "groupnormalization"), split)
    return draft.apply(Reshaping(shape), mixed)


def local_response_norm(draft: Draft) -> Tensor:
    """Each unit is divided by the squares of `size` neighbours across the maps (Krizhevsky 2012)."""
    size = draft.fields["size"]
    return draft.apply(Neighbourhood(1, (size - 1) // 2, size // 2), draft.input)


def _affine(draft: Draft, shape: Shape) -> None:
    for role in ("scale", "shift"):
        if draft.fields["affine"] in (True, role):
            draft.other(role, shape)


def join(function: str) -> Rule:
    """The rule of a layer that joins two or more tensors unit by unit with this function."""

    def rule(draft: Draft) -> Tensor:
        return _join(draft, function)

    return rule


def _join(draft: Draft, function: str) -> Tensor:
    """Axes of length 1 are repeated; the ranks must agree, because the channel is always the first axis."""
    result = draft.shape
    for place, tensor in enumerate(draft.inputs):
        shape = shape_of(tensor)
        if len(shape) != len(result):
            raise Refusal(f"inputs/{place}", "wrong-rank", f"{shape[1:]} and {result[1:]} have different ranks")
        try:
            result = broadcast(result, shape)
        except ShapeError as error:
            raise Refusal(f"inputs/{place}", "shape-mismatch", f"{shape[1:]} does not fit {result[1:]}") from error
    return draft.apply(Elementwise(function), *draft.inputs)


def concat(draft: Draft) -> Tensor:
    """The tensors one after the other."""
    axis, first = tensor_axis(draft, "axis", draft.fields["axis"]), draft.shape
    for place, tensor in enumerate(draft.inputs):
        shape = shape_of(tensor)
        if len(shape) != len(first) or any(a != b for i, (a, b) in enumerate(zip(shape, first, strict=True)) if i != axis):
            raise Refusal(f"inputs/{place}", "shape-mismatch", f"{shape[1:]} cannot stand beside {first[1:]} along axis {axis - 1}")
    return draft.apply(Concatenation(axis), *draft.inputs)
