"""What the core operators of a lowered node read, held against what the node really reads.

The oracle runs the model with onnx's own reference evaluator, changes one unit of the input at a time and sees which outputs change. Every
unit that changes something must be among those that the lowering states; for operators that hide nothing (no maximum, no clipping), the
lowering must state no other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.readers.onnx_models import measured, model, node, read, shape_of, single, stated

RANDOM = np.random.default_rng(3)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def ints(*values: Any) -> np.ndarray:
    return np.array(values, dtype=np.int64)


EXACT: dict[str, onnx.ModelProto] = {
    "conv groups, stride, dilation, pads": single(
        "Conv", [1, 4, 7, 6], array(4, 2, 3, 2), strides=[2, 1], dilations=[1, 2], pads=[1, 0, 2, 1], group=2
    ),
    "conv same upper": single("Conv", [1, 1, 6], array(1, 1, 3), strides=[2], auto_pad="SAME_UPPER"),
    "conv same lower": single("Conv", [1, 1, 6], array(1, 1, 3), strides=[2], auto_pad="SAME_LOWER"),
    "conv 3d": single("Conv", [1, 1, 4, 3, 3], array(2, 1, 2, 2, 2)),
    "conv transpose": single(
        "ConvTranspose", [1, 2, 4], array(2, 1, 3), strides=[3], pads=[1, 2], output_padding=[2], dilations=[2], group=2
    ),
    "conv transpose output_shape": single("ConvTranspose", [1, 1, 4], array(1, 1, 3), strides=[2], output_shape=[10]),
    "average pool ceil": single("AveragePool", [1, 1, 7, 6], kernel_shape=[3, 2], strides=[2, 3], ceil_mode=1, pads=[1, 0, 1, 0]),
    "col2im": single("Col2Im", [1, 12, 6], ints(4, 7), ints(2, 3), strides=[2, 2], pads=[1, 0, 1, 0], dilations=[2, 1]),
    "col2im overlapping": single("Col2Im", [1, 6, 4], ints(6), ints(3), strides=[1]),
    "global average": single("GlobalAveragePool", [1, 2, 3, 3]),
    "matmul right": single("MatMul", [2, 3, 4], array(4, 5)),
    "matmul right in batches": single("MatMul", [2, 3, 4], array(2, 4, 5)),
    "matmul right with axes of one": single("MatMul", [3, 4], array(1, 1, 4, 2)),
    "matmul vector": single("MatMul", [2, 3, 4], array(4)),
    "matmul of a vector": single("MatMul", [4], array(3, 4, 2)),
    "matmul left": model([node("MatMul", "w", "x")], {"x": [2, 4, 3]}, {"w": array(5, 4)}),
    "matmul left in batches": model([node("MatMul", "w", "x")], {"x": [4, 3]}, {"w": array(2, 5, 4)}),
    "matmul left vector": model([node("MatMul", "w", "x")], {"x": [2, 4, 3]}, {"w": array(4)}),
    "matmul with itself": model([node("MatMul", "x", "x")], {"x": [2, 3, 3]}),
    "gemm": single("Gemm", [4, 2], array(3, 4), array(3), transA=1, transB=1, alpha=0.5),
    "gemm left": model([node("Gemm", "w", "x", transA=1, transB=1)], {"x": [3, 4]}, {"w": array(4, 2)}),
    "einsum dense": single("Einsum", [2, 3, 4], array(4, 5), equation="bij,jk->bik"),
    "einsum heads": single("Einsum", [2, 3, 4], array(3, 4, 5), equation="bhd,hdk->khb"),
    "einsum ellipsis": single("Einsum", [2, 3, 4], array(4, 5), equation="...j,jk->...k"),
    "einsum implicit": single("Einsum", [3, 4], array(4, 2), equation="ij,jk"),
    "einsum diagonal": single("Einsum", [3, 3], equation="ii->i"),
    "einsum trace and sum": single("Einsum", [2, 3, 3], equation="bii->b"),
    "einsum of two": model([node("Einsum", "x", "x", equation="ij,kj->ik")], {"x": [3, 4]}),
    "layer norm": single("LayerNormalization", [2, 3, 4], array(4), array(4), axis=-1),
    "rms norm": single("RMSNormalization", [2, 3, 4], array(4), axis=-1, opset=23),
    "instance norm": single("InstanceNormalization", [2, 2, 3, 3], array(2), array(2)),
    "group norm": single("GroupNormalization", [1, 4, 3], array(4), array(4), num_groups=2),
    "batch norm": single("BatchNormalization", [2, 3, 2], array(3), array(3), array(3), np.abs(array(3)) + 1),
    "mean variance": single("MeanVarianceNormalization", [2, 2, 2, 3]),
    "softmax": single("Softmax", [2, 3, 4], axis=1),
    "log softmax": single("LogSoftmax", [2, 3], axis=-1),
    "stack of matrices on the right": model([node("MatMul", "x", "w")], {"x": [2, 3]}, {"w": array(4, 3, 2)}),
    "stack of matrices on the left": model([node("MatMul", "w", "x")], {"x": [3, 2]}, {"w": array(4, 2, 3)}),
    "stack of matrices of their own": model([node("MatMul", "x", "w")], {"x": [2, 4, 2, 3]}, {"w": array(4, 3, 2)}),
    "stack of matrices on both kinds of axes": model([node("MatMul", "x", "w")], {"x": [2, 1, 2, 3]}, {"w": array(2, 4, 3, 2)}),
    "stack of matrices over other axes": model([node("MatMul", "x", "w")], {"x": [2, 3, 2, 2]}, {"w": array(2, 1, 2, 3)}),
    "reduce mean": single("ReduceMean", [2, 3, 4], ints(1), keepdims=0, opset=18),
    "reduce sum before opset 13": single("ReduceSum", [2, 3, 4], axes=[0, 2], opset=11),
    "reduce noop": single("ReduceSum", [2, 3], noop_with_empty_axes=1, opset=13),
    "cumsum": single("CumSum", [2, 5], np.array(1)),
    "cumsum reverse": single("CumSum", [2, 5], np.array(1), reverse=1),
    "reshape": single("Reshape", [2, 3, 4], ints(0, -1, 2)),
    "flatten": single("Flatten", [2, 3, 4], axis=-1),
    "transpose": single("Transpose", [2, 3, 4], perm=[2, 0, 1]),
    "transpose reversed": single("Transpose", [2, 3, 4]),
    "concat with a constant": single("Concat", [2, 3], array(2, 2), axis=-1),
    "slice": single("Slice", [5, 6], ints(4, 1), ints(-100, 6), ints(0, 1), ints(-2, 3)),
    "slice before opset 10": single("Slice", [5, 6], starts=[1], ends=[-1], axes=[1], opset=9),
    "pad": single("Pad", [3, 4], ints(1, 0, 2, 3)),
    "pad before opset 11": single("Pad", [3, 4], pads=[0, 1, 0, 2], opset=10),
    "pad some axes": single("Pad", [3, 4], ints(1, 2), None, ints(-1), opset=18),
    "expand": single("Expand", [3, 1], ints(2, 3, 4)),
    "tile": single("Tile", [2, 3], ints(2, 2)),
    "depth to space": single("DepthToSpace", [1, 8, 2, 3], blocksize=2),
    "pixel shuffle": single("DepthToSpace", [1, 8, 2, 3], blocksize=2, mode="CRD"),
    "space to depth": single("SpaceToDepth", [1, 2, 4, 4], blocksize=2),
    "gather": single("Gather", [5, 3], ints([0, -1], [2, 2])),
    "gather elements": single("GatherElements", [3, 3], np.array([[1, 2, 0], [2, 0, 0]]), axis=0),
    "gather nd": single("GatherND", [2, 3, 4], np.array([[0, 1], [1, -1]])),
    "gather nd batch": single("GatherND", [2, 3, 4], np.array([[1], [0]]), batch_dims=1),
    "scatter nd": model([node("ScatterND", "x", "i", "u")], {"x": [4, 2]}, {"i": np.array([[1], [3]]), "u": array(2, 2)}),
    "scatter nd of updates": model([node("ScatterND", "d", "i", "x")], {"x": [2, 2]}, {"i": np.array([[1], [3]]), "d": array(4, 2)}),
    "scatter nd of a block": model(
        [node("ScatterND", "x", "i", "u")],
        {"x": [3, 4]},
        {"i": np.stack(np.meshgrid([1, 2], [-3, -2, -1], indexing="ij"), axis=-1), "u": array(2, 3)},
    ),
    "scatter nd of a block of updates": model(
        [node("ScatterND", "d", "i", "x")],
        {"x": [2, 2]},
        {"i": np.stack(np.meshgrid([1, 2], [0, 1], indexing="ij"), axis=-1), "d": array(4, 3)},
    ),
    "scatter nd of all units": model([node("ScatterND", "d", "i", "x")], {"x": [3]}, {"i": np.array([[0], [1], [2]]), "d": array(3)}),
    "scatter elements": model(
        [node("ScatterElements", "x", "i", "u", axis=1)], {"x": [3, 3]}, {"i": np.array([[1], [0]]), "u": array(2, 1)}
    ),
    "reverse sequence": single("ReverseSequence", [4, 2], ints(3, 2)),
    "compress": single("Compress", [3, 4], np.array([False, True, True]), axis=0),
    "center crop": single("CenterCropPad", [5, 4], ints(2, 4)),
    "resize linear": single("Resize", [1, 1, 4], None, np.array([1, 1, 2.0], dtype=np.float32), mode="linear"),
    "resize nearest sizes": single("Resize", [1, 1, 4], None, None, ints(1, 1, 7), coordinate_transformation_mode="asymmetric"),
    "resize antialias": single("Resize", [1, 1, 8], None, np.array([1, 1, 0.5], dtype=np.float32), mode="linear", antialias=1, opset=18),
    "upsample": single("Upsample", [1, 1, 3], np.array([1, 1, 2], dtype=np.float32), opset=9),
    "where": model([node("Where", "c", "x", "o")], {"x": [2, 3]}, {"c": np.array([True, True, True]), "o": array(3)}),
    "prelu": single("PRelu", [2, 3, 4], -np.abs(array(3, 1)) - 0.1),
    "attention in heads": model(
        [node("Attention", "x", "k", "v", q_num_heads=2, kv_num_heads=1)],
        {"x": [1, 3, 4]},
        {"k": array(1, 5, 2), "v": array(1, 5, 2)},
        opset=23,
    ),
    "rotary embedding": model(
        [node("RotaryEmbedding", "x", "c", "s", num_heads=2)],
        {"x": [1, 3, 8]},
        {"c": array(1, 3, 2), "s": array(1, 3, 2)},
        opset=23,
    ),
}  # fmt: skip

AT_LEAST: dict[str, onnx.ModelProto] = {
    "max pool": single("MaxPool", [1, 1, 7, 7], kernel_shape=[3, 2], strides=[2, 2], dilations=[2, 1], pads=[1, 0, 2, 1]),
    "max pool ceil": single("MaxPool", [1, 1, 8], kernel_shape=[3], strides=[2], ceil_mode=1),
    "lp pool": single("LpPool", [1, 1, 6], kernel_shape=[2]),
    "global max": single("GlobalMaxPool", [1, 2, 2, 3]),
    "reduce max": single("ReduceMax", [3, 4], axes=[1], opset=13),
    "argmax": single("ArgMax", [3, 4], axis=1),
    "top k": single("TopK", [3, 5], ints(2), axis=1),
    "relu": single("Relu", [3, 4]),
    "clip": single("Clip", [3, 4], np.float32(-0.5), np.float32(0.5)),
    "trilu": single("Trilu", [4, 4]),
    "cubic": single("Resize", [1, 1, 6], None, np.array([1, 1, 2.0], dtype=np.float32), mode="cubic"),
    "resize tf crop": single(
        "Resize",
        [1, 1, 8],
        np.array([0, 0, 0.25, 1, 1, 0.75], dtype=np.float32),
        None,
        ints(1, 1, 4),
        mode="linear",
        coordinate_transformation_mode="tf_crop_and_resize",
    ),
    "dft": single("DFT", [2, 5, 1], None, np.array(1), opset=20),
    "quantize": model(
        [node("QuantizeLinear", "x", "s", "z", outputs=["q"]), node("DequantizeLinear", "q", "s", "z", name="dq")],
        {"x": [2, 3]},
        {"s": np.float32(0.05), "z": np.int8(3)},
    ),
    "dynamic quantize": single("DynamicQuantizeLinear", [2, 3]),
    "causal attention": model([node("Attention", "x", "x", "x", is_causal=1)], {"x": [1, 1, 4, 3]}, opset=23),
    "stft": single("STFT", [1, 12, 1], np.array(3), np.hamming(4).astype(np.float32), onesided=0),
    "lrn": single("LRN", [1, 6, 2, 1], size=4, alpha=1.0),
    "hardmax": single("Hardmax", [2, 4]),
    "window attention": model(
        [node("Attention", "x", "x", "x", is_causal=1, left_window_size=1)], {"x": [1, 1, 5, 2]}, opset=25
    ),
    "linear attention": model(
        [node("LinearAttention", "x", "x", "x", q_num_heads=1, kv_num_heads=1, update_rule="linear", outputs=["y", "state"])],
        {"x": [1, 4, 2]},
        opset=27,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXACT)
def test_reads_exactly(name: str) -> None:
    proto = EXACT[name]
    claimed, found = both(proto)
    assert (claimed | ~found).all(), "it reads units that the lowering leaves out"
    assert (found | ~claimed).all(), "the lowering states units that it does not read"


@pytest.mark.parametrize("name", AT_LEAST)
def test_reads_at_most(name: str) -> None:
    claimed, found = both(AT_LEAST[name])
    assert found.any()
    assert (claimed | ~found).all(), "it reads units that the lowering leaves out"


def both(proto: onnx.ModelProto) -> tuple[np.ndarray, np.ndarray]:
    """What the lowering states and what was measured."""
    graph = read(proto)
    shape = graph.inputs[0].shape
    assert shape is not None
    feeds = {"x": np.random.default_rng(5).normal(size=shape).astype(np.float32)}
    found = measured(proto, feeds, "x", "y")
    claimed = stated(graph, "x", "y")
    assert claimed is not None
    assert claimed.shape == found.shape, f"the lowering gives the shape {shape_of(graph)}"
    return claimed, found


@pytest.mark.parametrize("op", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("layout", [0, 1])
def test_recurrent_shapes(op: str, layout: int) -> None:
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[op]
    stored = {"w": array(2, gates * 5, 3), "r": array(2, gates * 5, 5), "b": array(2, 2 * gates * 5)}
    outputs = ["y", "h", "c"][: 3 if op == "LSTM" else 2]
    recurrent = node(op, "x", "w", "r", "b", outputs=outputs, hidden_size=5, direction="bidirectional", layout=layout)
    graph = read(model([recurrent], {"x": [7, 2, 3] if layout == 0 else [2, 7, 3]}, stored, outputs))
    assert shape_of(graph, "y") == ((7, 2, 2, 5) if layout == 0 else (2, 7, 2, 5))
    assert shape_of(graph, "h") == (2, 2, 5)
    layer = graph.layers[0]
    assert [w.stored for w in layer.kernel] == ["w", "r"]
    assert sum(w.count for w in layer.kernel) == 2 * gates * 5 * (3 + 5)
    assert [w.stored for w in layer.bias] == ["b"]
