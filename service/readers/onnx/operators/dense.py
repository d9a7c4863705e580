"""Matrix products: dense layers where one side is constant, contractions where both are data."""

from __future__ import annotations

import math
from collections.abc import Sequence

from service.graph import Shape, ShapeError
from service.graph import operators as core
from service.readers.onnx.call import Call, Rule, reshaped_weight, transposed_weight
from service.readers.onnx.constants import folding
from service.readers.onnx.operators.masking import weigh
from service.readers.onnx.operators.quantisation import dequantised
from service.readers.onnx.values import ModelWeight, Value


def swapped(rank: int) -> tuple[int, ...]:
    """The order of axes with the last two exchanged."""
    return (*range(rank - 2), rank - 1, rank - 2)


def apply_matrix(call: Call, data: Value, weight: ModelWeight) -> Value:
    """A matrix (inputs, units) applied to the last axis of `data`. The weight joins the layer's kernel."""
    call.kernel.append(weight)
    if data.rank < 1 or data.dims[-1] != weight.shape[0]:
        call.misfit("matrix-mismatch", f"a matrix of shape {weight.shape} does not fit an input of shape {data.dims}")
    return call.emit(core.Dense(weight.shape[1]), data)


def product_shape(left: Shape, right: Shape) -> Shape:
    """The shape of NumPy's matmul."""
    if not left or not right:
        raise ShapeError("a scalar has no matrix product")
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    return (*core.broadcast(left[:-2], right[:-2]), *rows, *columns)


def matmul(call: Call, left: Value, right: Value) -> Value:
    """NumPy's matmul of two values. A constant one makes a dense layer, A·X being (Xᵀ·Aᵀ)ᵀ."""
    _keep_matrix(call, left, right)
    shape = product_shape(left.dims, right.dims)
    if right.constant is not None:
        weight = call.weight(right)
        result = apply_matrices(call, left, weight if right.rank > 1 else reshaped_weight(weight, (*right.dims, 1)))
    elif left.constant is not None:
        weight = call.weight(left)
        weight = weight if left.rank > 1 else reshaped_weight(weight, (1, *left.dims))
        turned = call.transpose(right, swapped(right.rank)) if right.rank > 1 else right
        result = apply_matrices(call, turned, transposed_weight(weight, swapped(len(weight.shape))))
        result = call.transpose(result, swapped(result.rank)) if result.rank > 1 else result
    else:
        result = _contracted(call, left, right)
    return call.reshape(result, shape)


def _keep_matrix(call: Call, left: Value, right: Value) -> None:
    """A constant matrix is the layer's kernel also where it is not known what it is applied to."""
    for data, matrix in ((left, right), (right, left)):
        if data.constant is None and data.shape is None and matrix.constant is not None and matrix.rank > 1:
            call.kernel.append(call.weight(matrix))


def apply_matrices(call: Call, data: Value, weight: ModelWeight) -> Value:
    """A constant matrix, or one for each of several leading positions, applied to the last axis of `data`."""
    if math.prod(weight.shape[:-2]) == 1:
        return apply_matrix(call, data, reshaped_weight(weight, weight.shape[-2:]))
    return _matrices(call, data, weight)


def _matrices(call: Call, data: Value, weight: ModelWeight) -> Value:
    """A stack of constant matrices applied to the last axis of `data`, broadcast over leading axes as NumPy's matmul does.

    Along leading axes that `data` lacks all its units go through every matrix: one matrix of more columns. Along those that both have, each
    matrix has units of its own: a convolution in groups, with a window of one.
    """
    joint = core.broadcast(data.dims[:-2], weight.shape[:-2])
    own, lead = (((1,) * (len(joint) + 2 - len(shape)) + shape)[: len(joint)] for shape in (data.dims, weight.shape))
    rows, columns = weight.shape[-2:]
    places, inputs = (data.dims[-2] if data.rank > 1 else 1), data.dims[-1]
    if inputs != rows:
        call.misfit("matrix-mismatch", f"matrices of shape {weight.shape} do not fit an input of shape {data.dims}")
    spread = [axis for axis, n in enumerate(lead) if n > 1 and own[axis] == 1]
    shared = [axis for axis, n in enumerate(lead) if n > 1 and own[axis] > 1]
    free = [axis for axis in range(len(joint)) if axis not in (*spread, *shared)]
    place, column = len(joint), len(joint) + 1
    lengths = (*joint, places, columns)
    stack = reshaped_weight(weight, (*lead, rows, columns))
    data = call.reshape(data, (*own, places, inputs))
    if shared:
        result, layout = _grouped(call, data, stack, (free, shared, spread)), [*free, *shared, *spread, column, place]
    else:
        result, layout = _widened(call, data, stack, spread), [*free, place, *spread, column]
    result = call.reshape(result, tuple(lengths[axis] for axis in layout))
    return call.transpose(result, [layout.index(axis) for axis in range(len(lengths))])


def _widened(call: Call, data: Value, stack: ModelWeight, spread: Sequence[int]) -> Value:
    """All matrices beside each other, as one."""
    rank = len(stack.shape)
    lone = [axis for axis in range(rank - 2) if axis not in spread]
    matrix = transposed_weight(stack, (*lone, rank - 2, *spread, rank - 1))
    rows = stack.shape[-2]
    return apply_matrix(call, data, reshaped_weight(matrix, (rows, math.prod(stack.shape) // rows if rows else stack.shape[-1])))


def _grouped(call: Call, data: Value, stack: ModelWeight, axes: tuple[Sequence[int], Sequence[int], Sequence[int]]) -> Value:
    """A group of channels for each place on the `shared` axes, over the batch of the `free` ones."""
    free, shared, spread = axes
    rank, (places, inputs) = len(stack.shape), data.dims[-2:]
    lone = [axis for axis in range(rank - 2) if axis not in (*shared, *spread)]
    kernel = transposed_weight(stack, (*lone, *shared, *spread, rank - 1, rank - 2))
    filters, groups = math.prod(stack.shape) // inputs if inputs else 0, math.prod(stack.shape[axis] for axis in shared)
    call.kernel.append(reshaped_weight(kernel, (filters, inputs, 1)))
    lone = [axis for axis in range(rank - 2) if axis not in (*free, *shared)]
    turned = call.transpose(data, (*free, *lone, *shared, rank - 1, rank - 2))
    batch = math.prod(data.dims[axis] for axis in free)
    channels = call.reshape(turned, (batch, groups * inputs, places))
    return call.emit(core.Convolution((1,), (1,), (1,), ((0, 0),), filters=filters, groups=groups), channels)


def _contracted(call: Call, left: Value, right: Value) -> Value:
    if left.dims[-1] != right.dims[max(right.rank - 2, 0)]:
        call.misfit("matrix-mismatch", f"{left.dims} and {right.dims} have no matrix product")
    if left.blocked is not None and left.rank >= right.rank > 1:
        return weigh(call, left, right, left.blocked)
    lead = tuple(f"b{axis}" for axis in range(max(left.rank, right.rank) - 2))

    def labels(value: Value, own: tuple[str, ...]) -> tuple[str, ...]:
        return ("k",) if value.rank == 1 else (*lead[len(lead) - (value.rank - 2) :], *own)

    output = (*lead, *(("m",) if left.rank > 1 else ()), *(("n",) if right.rank > 1 else ()))
    return call.emit(core.Contraction((labels(left, ("m", "k")), labels(right, ("k", "n"))), output), left, right)


def lower_matmul(call: Call) -> Sequence[Value]:
    """MatMul."""
    return [matmul(call, call.input(0), call.input(1))]


def matmul_integer(call: Call) -> Sequence[Value]:
    """MatMulInteger: 8-bit matrices, their zero points beside them."""
    left, right = call.input(0), call.input(1)
    if right.constant is not None:
        right = dequantised(right, None, call.optional(3), axis=-1)
    elif left.constant is not None:
        left = dequantised(left, None, call.optional(2), axis=-2)
    result = matmul(call, left, right)
    result.dtype = "int32"
    return [result]


def qlinear_matmul(call: Call) -> Sequence[Value]:
    """QLinearMatMul: a, scale, zero point, b, scale, zero point, the result's scale and zero point."""
    left, right = call.input(0), call.input(3)
    if right.constant is not None:
        right = dequantised(right, call.optional(4), call.optional(5), axis=-1)
    elif left.constant is not None:
        left = dequantised(left, call.optional(1), call.optional(2), axis=-2)
    return [call.influenced(matmul(call, left, right), *(call.optional(i) for i in (1, 2, 4, 5, 6, 7)))]


def gemm(call: Call) -> Sequence[Value]:
    """Gemm: A'·B' + C, where A' and B' may be transposed and C is the bias. The factors alpha and beta change no connection."""
    left, right, added = call.input(0), call.input(1), call.optional(2)
    turn_left, turn_right = bool(call.attributes.integer("transA")), bool(call.attributes.integer("transB"))
    _keep_matrix(call, left, right)
    if left.rank != 2 or right.rank != 2:
        call.refuse("rank-mismatch", f"its matrices have the shapes {left.dims} and {right.dims}")
    if right.constant is not None:
        data = call.transpose(left, (1, 0)) if turn_left else left
        weight = call.weight(right)
        result = apply_matrix(call, data, transposed_weight(weight, (1, 0)) if turn_right else weight)
    elif left.constant is not None:
        data = right if turn_right else call.transpose(right, (1, 0))
        weight = call.weight(left)
        result = call.transpose(apply_matrix(call, data, weight if turn_left else transposed_weight(weight, (1, 0))), (1, 0))
    else:
        operands = (("k", "m") if turn_left else ("m", "k"), ("n", "k") if turn_right else ("k", "n"))
        result = call.emit(core.Contraction(operands, ("m", "n")), left, right)
    return [add_bias(call, result, added)]


def add_bias(call: Call, result: Value, added: Value | None) -> Value:
    """The result with a bias. A constant one is the layer's bias where it is one vector, else a parameter outside the connections."""
    if added is None:
        return result
    if added.constant is None:
        return call.elementwise("add", result, added)
    if core.broadcast(added.dims, result.dims) != result.dims:
        call.misfit("bias-shape", f"a bias of shape {added.dims} does not fit {result.dims}")
    if call.kernel and math.prod(added.dims[:-1]) == 1:
        call.bias.append(call.weight(added))
    else:
        call.add_other(added)
    return result


RULES = {
    "MatMul": Rule(lower_matmul, "dense", fold=folding.matmul),
    "MatMulInteger": Rule(matmul_integer, "dense"),
    "QLinearMatMul": Rule(qlinear_matmul, "dense"),
    "Gemm": Rule(gemm, "dense"),
}

FAKE = {"XnorPopcountMatMul": Rule(lower_matmul, "dense")}
"""FINN's product of matrices of one bit."""
