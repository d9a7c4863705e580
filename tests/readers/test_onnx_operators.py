"""Every operator of the installed onnx has a rule, the page about them says so, and the shapes are those of onnx's own inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference

from service.readers.onnx.catalogue import page, schema_versions
from service.readers.onnx.rules import RULES
from tests.readers.onnx_models import model, node, read, single

REPOSITORY = Path(__file__).resolve().parents[2]


def test_every_operator_of_the_standard_has_a_rule() -> None:
    missing = [f"{domain or 'ai.onnx'}.{name}" for domain, name in schema_versions() if name not in RULES.get(domain, {})]
    assert not missing


def test_the_page_of_operators_is_up_to_date() -> None:
    """`python -m service.readers.onnx.catalogue > docs/operators.md` writes it."""
    assert (REPOSITORY / "docs" / "operators.md").read_text() == page()


@pytest.mark.parametrize("opset", range(1, onnx.defs.onnx_opset_version() + 1))
@pytest.mark.parametrize("op", ["Relu", "Softmax", "AveragePool", "Transpose", "Concat"])
def test_opsets_old_and_new(op: str, opset: int) -> None:
    """Operators that every opset has keep their shapes in all of them."""
    attributes = {"AveragePool": {"kernel_shape": [2, 2]}, "Concat": {"axis": 1}}.get(op, {})
    inputs = ["x", "x"] if op == "Concat" else ["x"]
    graph = read(model([node(op, *inputs, **attributes)], {"x": [1, 2, 4, 5]}, opset=opset))
    expected = {"AveragePool": (1, 2, 3, 4), "Transpose": (5, 4, 2, 1), "Concat": (1, 4, 4, 5)}
    assert graph.tensors["y"].shape == expected.get(op, (1, 2, 4, 5))
    assert not graph.notes


SCALES = np.array([1, 1, 1.6, 0.7], dtype=np.float32)
SIZES = np.array([1, 2, 9, 4])
SHAPES: dict[str, onnx.ModelProto] = {
    **{
        f"{op} {pad} {kernel} {stride} {dilation}": single(
            op, [1, 2, 11, 8], *[np.ones((2, 2, *kernel), np.float32)] * (op == "Conv"),
            auto_pad=pad, strides=stride, dilations=dilation, kernel_shape=kernel, opset=19,
        )
        for op in ("Conv", "MaxPool", "AveragePool")
        for pad in ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
        for kernel, stride, dilation in (([3, 2], [2, 3], [1, 1]), ([1, 4], [1, 2], [3, 2]))
    },
    **{
        f"{op} ceil {stride}": single(op, [1, 1, 10], kernel_shape=[4], strides=[stride], pads=[1, 2], ceil_mode=1, opset=22)
        for op in ("MaxPool", "AveragePool", "LpPool")
        for stride in (2, 3, 4)
    },
    **{
        f"conv transpose {number}": single("ConvTranspose", [1, 2, 5, 6], np.ones((2, 3, 3, 2), np.float32), **how)
        for number, how in enumerate(
            [
                {"strides": [2, 3]},
                {"strides": [2, 3], "pads": [1, 0, 0, 1], "output_padding": [1, 2]},
                {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
                {"strides": [3, 2], "dilations": [2, 2], "auto_pad": "SAME_LOWER"},
                {"strides": [2, 2], "output_shape": [12, 11]},
            ]
        )
    },
    **{
        f"resize {number}": single("Resize", [1, 2, 5, 6], *operands, **how, opset=19)
        for number, (operands, how) in enumerate(
            [
                ([None, SCALES], {}),
                ([None, None, SIZES], {}),
                ([None, SCALES[2:]], {"axes": [2, 3]}),
                ([None, None, SIZES[2:]], {"axes": [-2, 3], "keep_aspect_ratio_policy": "not_larger"}),
                ([None, None, SIZES[2:]], {"axes": [2, 3], "keep_aspect_ratio_policy": "not_smaller"}),
            ]
        )
    },
    "resize 10": single("Resize", [1, 2, 5, 6], SCALES, opset=10),
    "upsample 7": single("Upsample", [1, 2, 5, 6], scales=[1.0, 1.0, 2.0, 1.5], opset=7),
    "split 1": model([node("Split", "x", outputs=["y", "z"], axis=1, split=[1, 3])], {"x": [2, 4]}, outputs=["y", "z"], opset=2),
    "split 18": model([node("Split", "x", outputs=["y", "z"], axis=1, num_outputs=2)], {"x": [2, 5]}, outputs=["y", "z"], opset=18),
    "stft": single("STFT", [1, 20, 1], np.array(4), None, np.array(8), onesided=0),
    "dft one sided": single("DFT", [1, 9, 1], None, np.array(1), onesided=1, opset=20),
    "col2im": single("Col2Im", [1, 5, 5], np.array([5, 5]), np.array([1, 5])),
    "grid": single("GridSample", [1, 2, 5, 6], np.zeros((1, 3, 4, 2), np.float32)),
    "affine grid": single("AffineGrid", [2, 2, 3], np.array([2, 1, 4, 5])),
    "roi align": single("RoiAlign", [1, 2, 8, 8], np.zeros((3, 4), np.float32), np.zeros(3, np.int64), output_height=2, output_width=5),
    "max unpool": single("MaxUnpool", [1, 1, 2, 2], np.zeros((1, 1, 2, 2), np.int64), kernel_shape=[2, 2], strides=[2, 2]),
    "einsum": single("Einsum", [2, 3, 4], np.ones((5, 4), np.float32), equation="...k,jk->j..."),
    "compress": single("Compress", [3, 4], np.array([False, True, True])),
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_those_of_native_inference(name: str) -> None:
    proto = SHAPES[name]
    graph = read(proto)
    inferred = shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    for output in inferred.graph.output:
        native = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in output.type.tensor_type.shape.dim)
        ours = graph.tensors[output.name].shape
        assert ours is not None
        assert len(ours) == len(native)
        assert all(theirs in (None, own) for theirs, own in zip(native, ours, strict=True)), f"{ours} instead of {native}"


# -- com.microsoft, ai.onnx.ml: shapes by the text of ContribOperators.md and the operators' own documentation ------------------


def contributed(op: str, *inputs: object, outputs: int = 1, **attributes: object) -> onnx.ModelProto:
    """A node of com.microsoft: a list is the shape of an input, an array is stored, None is left out."""
    names = [f"i{n}" if value is not None else "" for n, value in enumerate(inputs)]
    shapes = {name: value for name, value in zip(names, inputs, strict=True) if isinstance(value, list)}
    stored = {name: value for name, value in zip(names, inputs, strict=True) if isinstance(value, np.ndarray | np.generic)}
    results = [f"o{n}" for n in range(outputs)]
    return model([node(op, *names, outputs=results, domain="com.microsoft", **attributes)], shapes, stored, results)  # type: ignore[arg-type]


def zeros(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


S = np.float32(1)
Z = np.uint8(0)
CONTRIBUTED: dict[str, tuple[onnx.ModelProto, list[tuple[int, ...]], int]] = {
    "FusedConv": (contributed("FusedConv", [1, 3, 8, 8], zeros(4, 3, 3, 3), zeros(4), activation="Relu"), [(1, 4, 6, 6)], 112),
    "NhwcFusedConv": (contributed("NhwcFusedConv", [1, 8, 8, 3], zeros(4, 3, 3, 3)), [(1, 6, 6, 4)], 108),
    "QLinearConv": (
        contributed("QLinearConv", [1, 8, 8, 3], S, Z, zeros(4, 3, 3, 3, dtype=np.uint8), S, Z, S, Z, channels_last=1), [(1, 6, 6, 4)], 108,
    ),
    "QLinearAdd": (contributed("QLinearAdd", [1, 3, 4], S, Z, [3, 1], S, Z, S, Z), [(1, 3, 4)], 0),
    "QLinearConcat": (contributed("QLinearConcat", S, Z, [1, 3], S, Z, [1, 2], S, Z, axis=1), [(1, 5)], 0),
    "QLinearAveragePool": (
        contributed("QLinearAveragePool", [1, 8, 8, 3], S, Z, S, Z, kernel_shape=[2, 2], channels_last=1),
        [(1, 7, 7, 3)], 0,
    ),
    "QLinearGlobalAveragePool": (contributed("QLinearGlobalAveragePool", [1, 8, 8, 3], S, Z, S, Z, channels_last=1), [(1, 1, 1, 3)], 0),
    "QGemm": (contributed("QGemm", [2, 3], S, Z, zeros(5, 3, dtype=np.uint8), S, Z, zeros(5), S, Z, transB=1), [(2, 5)], 20),
    "FusedMatMul": (contributed("FusedMatMul", [2, 4, 3], zeros(5, 4), transA=1, transB=1), [(2, 3, 5)], 20),
    "MatMulNBits": (
        contributed("MatMulNBits", [1, 7, 32], zeros(6, 1, 16, dtype=np.uint8), zeros(6), K=32, N=6, block_size=32),
        [(1, 7, 6)], 192,
    ),
    "DynamicQuantizeMatMul": (contributed("DynamicQuantizeMatMul", [2, 3], zeros(3, 4, dtype=np.uint8), S, Z, zeros(4)), [(2, 4)], 16),
    "Attention": (
        contributed("Attention", [2, 5, 8], zeros(8, 24), zeros(24), num_heads=2, outputs=2), [(2, 5, 8), (2, 2, 2, 5, 4)], 216,
    ),
    "MultiHeadAttention": (contributed("MultiHeadAttention", [2, 5, 8], [2, 7, 8], [2, 7, 6], num_heads=2), [(2, 5, 6)], 0),
    "MultiHeadAttention packed": (contributed("MultiHeadAttention", [2, 5, 2, 3, 4], num_heads=2), [(2, 5, 8)], 0),
    "GroupQueryAttention": (
        contributed(
            "GroupQueryAttention", [1, 5, 8], [1, 5, 4], [1, 5, 4], [1, 2, 3, 2], [1, 2, 3, 2], num_heads=4, kv_num_heads=2, outputs=3
        ),
        [(1, 5, 8), (1, 2, 8, 2), (1, 2, 8, 2)], 0,
    ),
    "SkipLayerNormalization": (
        contributed("SkipLayerNormalization", [1, 5, 8], [1, 5, 8], zeros(8), zeros(8), outputs=4),
        [(1, 5, 8), (1, 5, 1), (1, 5, 1), (1, 5, 8)], 0,
    ),
    "EmbedLayerNormalization": (
        contributed("EmbedLayerNormalization", [1, 5], [1, 5], zeros(9, 4), zeros(6, 4), zeros(2, 4), zeros(4), zeros(4), outputs=2),
        [(1, 5, 4), (1,)], 36,
    ),
    "BiasGelu": (contributed("BiasGelu", [1, 5, 8], zeros(8)), [(1, 5, 8)], 0),
    "BiasSplitGelu": (contributed("BiasSplitGelu", [1, 5, 8], zeros(8)), [(1, 5, 4)], 0),
    "GroupNorm": (contributed("GroupNorm", [1, 4, 4, 6], zeros(6), zeros(6), groups=3), [(1, 4, 4, 6)], 0),
    "RotaryEmbedding": (
        contributed("RotaryEmbedding", [1, 5, 8], zeros(1, dtype=np.int64), zeros(9, 2), zeros(9, 2), num_heads=2),
        [(1, 5, 8)], 0,
    ),
    "Rfft": (contributed("Rfft", [2, 8], onesided=1, signal_ndim=1), [(2, 5, 2)], 0),
    "CDist": (contributed("CDist", [4, 3], [5, 3]), [(4, 5)], 0),
    "ExpandDims": (contributed("ExpandDims", [4, 3], np.array(-1)), [(4, 3, 1)], 0),
    "MoE": (contributed("MoE", [2, 5, 8], [10, 3], zeros(3, 4, 8), None, zeros(3, 8, 4)), [(2, 5, 8)], 192),
    "QMoE": (
        contributed("QMoE", [2, 5, 8], [10, 3], zeros(3, 4, 4, dtype=np.uint8), None, None, zeros(3, 8, 2, dtype=np.uint8)),
        [(2, 5, 8)], 192,
    ),
    "GatherBlockQuantized": (
        contributed("GatherBlockQuantized", zeros(9, 4, dtype=np.uint8), [2, 3], zeros(9, 1), bits=4),
        [(2, 3, 8)], 72,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRIBUTED)
def test_contributed_operators(name: str) -> None:
    proto, shapes, parameters = CONTRIBUTED[name]
    graph = read(proto)
    assert not graph.notes
    assert [graph.tensors[output].shape for output in graph.outputs] == shapes
    assert sum(weight.count for layer in graph.layers for weight in (*layer.kernel, *layer.bias)) == parameters


def test_classical_models_are_other() -> None:
    trees = helper.make_node("TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2])
    graph = read(model([trees], {"x": ["N", 13]}, outputs=["label", "scores"]))
    assert [layer.kind for layer in graph.layers] == ["other"]
    assert [graph.tensors[name].shape for name in graph.outputs] == [(1,), (1, 3)]


def test_removed_experimental_operators() -> None:
    """What WinML's converters wrote before opset 9: ImageScaler, Crop, Affine."""
    nodes = [
        node("ImageScaler", "x", outputs=["a"], scale=0.5, bias=[1.0, 2.0, 3.0], name="scale"),
        node("Crop", "a", outputs=["b"], border=[1, 2, 3, 4], name="crop"),
        node("Affine", "b", alpha=2.0, beta=1.0, name="affine"),
    ]
    graph = read(model(nodes, {"x": [1, 3, 20, 20]}, opset=7))
    assert graph.tensors["y"].shape == (1, 3, 14, 16)
    assert [layer.name for layer in graph.layers] == ["scale", "crop", "affine"]


def test_a_vector_beside_channels_in_files_without_broadcast_attributes() -> None:
    proto = model([node("Add", "x", "b", name="add")], {"x": [1, 4, 6, 6]}, {"b": np.zeros(4, np.float32)}, opset=7)
    graph = read(proto)
    assert graph.tensors["y"].shape == (1, 4, 6, 6)
    assert [note[:2] for note in graph.notes] == [("legacy-broadcast", "add")]


def test_a_vector_that_broadcasts_is_not_taken_to_belong_to_channels() -> None:
    """Angles (rows, columns, 1) over frequencies (32,) of a position encoding, with as many rows as frequencies."""
    proto = model([node("Div", "x", "b", name="div")], {"x": [1, 32, 20, 1]}, {"b": np.ones(32, np.float32)})
    graph = read(proto)
    assert graph.tensors["y"].shape == (1, 32, 20, 32)
    assert not graph.notes


def test_constants_in_every_attribute() -> None:
    dense = numpy_helper.from_array(np.array([1, 2]), "")
    values = numpy_helper.from_array(np.array([3], dtype=np.int64), "v")
    indices = numpy_helper.from_array(np.array([1], dtype=np.int64), "i")
    attributes: list[dict[str, object]] = [
        {"value": dense},
        {"value_ints": [1, 2]},
        {"value_int": 2},
        {"sparse_value": helper.make_sparse_tensor(values, indices, [2])},
    ]
    shapes = [(1, 2), (1, 2), (2,), (1, 2)]
    for stated, expected in zip(attributes, shapes, strict=True):
        nodes = [node("Constant", outputs=["c"], name="c", **stated), node("Add", "x", "c")]
        shape = [1, 2] if expected == (1, 2) else [2]
        proto = model(nodes, {"x": shape})
        proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
        assert read(proto).tensors["y"].shape == expected


@pytest.mark.parametrize("shape", [[0, 4], [4]], ids=["an axis without units", "fewer axes than indices"])
def test_a_scatter_onto_places_that_are_not_there_names_no_block(shape: list[int]) -> None:
    places = np.array([[[1, 1], [1, 2]], [[2, 1], [2, 2]]])
    graph = read(model([node("ScatterND", "x", "i", "u")], {"x": shape}, {"i": places, "u": np.ones((2, 2), np.float32)}))
    assert [layer.op for layer in graph.layers] == ["ScatterND"]
