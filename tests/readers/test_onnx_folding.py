"""Shape arithmetic is computed while a model is read, and never allocates what a model asks for."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from service.readers.onnx.rules import rule_for
from tests.readers.onnx_models import info, model, node, read, shape_of, status


def ints(*values: object) -> np.ndarray:
    return np.array(values, dtype=np.int64)


A, B = ints(7, -7, 3), ints(2, 2, -2)
CASES: dict[str, tuple[onnx.NodeProto, list[np.ndarray]]] = {
    "add": (node("Add", "a", "b"), [A, B]),
    "div truncates": (node("Div", "a", "b"), [A, B]),
    "div of reals": (node("Div", "a", "b"), [A.astype(np.float32), B.astype(np.float32)]),
    "mod": (node("Mod", "a", "b"), [A, B]),
    "fmod": (node("Mod", "a", "b", fmod=1), [A, B]),
    "pow": (node("Pow", "a", "b"), [ints(2, 3), ints(3, 2)]),
    "min": (node("Min", "a", "b"), [A, B]),
    "equal": (node("Equal", "a", "b"), [A, ints(7, 7, 3)]),
    "where": (node("Where", "a", "b", "c"), [np.array([True, False]), ints(1, 2), ints(3, 4)]),
    "cast": (node("Cast", "a", to=TensorProto.INT32), [np.array([1.7, -1.7], dtype=np.float32)]),
    "clip": (node("Clip", "a", "b", "c"), [A, np.array(-1), np.array(4)]),
    "gather": (node("Gather", "a", "b"), [ints([1, 2], [3, 4]), ints(-1)]),
    "gather elements": (node("GatherElements", "a", "b", axis=1), [ints([1, 2], [3, 4]), ints([-1], [0])]),
    "gather nd": (node("GatherND", "a", "b"), [ints([1, 2], [3, 4]), ints([1, 0])]),
    "slice": (node("Slice", "a", "b", "c", "d", "e"), [ints(1, 2, 3, 4, 5), ints(-1), ints(-100), ints(0), ints(-2)]),
    "concat": (node("Concat", "a", "b", axis=0), [A, B]),
    "split": (node("Split", "a", "b", outputs=["y", "z"]), [A, ints(1, 2)]),
    "squeeze": (node("Squeeze", "a", "b"), [ints([[1, 2]]), ints(0)]),
    "unsqueeze": (node("Unsqueeze", "a", "b"), [A, ints(0, -1)]),
    "reshape": (node("Reshape", "a", "b"), [np.arange(6), ints(2, -1)]),
    "transpose": (node("Transpose", "a"), [ints([1, 2, 3], [4, 5, 6])]),
    "expand": (node("Expand", "a", "b"), [ints([1], [2]), ints(2, 3)]),
    "tile": (node("Tile", "a", "b"), [A, ints(2)]),
    "range": (node("Range", "a", "b", "c"), [np.array(9), np.array(0), np.array(-2)]),
    "pad": (node("Pad", "a", "b", "c"), [A, ints(1, 2), np.array(9)]),
    "reduce prod": (node("ReduceProd", "a", "b", keepdims=0), [ints([1, 2], [3, 4]), ints(1)]),
    "reduce sum": (node("ReduceSum", "a", "b"), [ints([1, 2], [3, 4]), ints(0)]),
    "reduce max": (node("ReduceMax", "a"), [A]),
    "argmax": (node("ArgMax", "a", axis=0, select_last_index=1), [ints(3, 1, 3)]),
    "cumsum": (node("CumSum", "a", "b", reverse=1, exclusive=1), [A, np.array(0)]),
    "non zero": (node("NonZero", "a"), [ints([0, 2], [3, 0])]),
    "scatter nd": (node("ScatterND", "a", "b", "c"), [A, ints([1]), ints(9)]),
    "scatter elements": (node("ScatterElements", "a", "b", "c"), [A, ints(-1), ints(9)]),
    "top k": (node("TopK", "a", "b", outputs=["y", "z"]), [A, ints(2)]),
    "one hot": (node("OneHot", "a", "b", "c"), [ints(1, 0), np.array(3), ints(0, 5)]),
    "trilu": (node("Trilu", "a", upper=0), [ints([1, 2], [3, 4])]),
    "eye": (node("EyeLike", "a", k=1), [ints([1, 2], [3, 4])]),
    "constant of shape": (node("ConstantOfShape", "a", value=helper.make_tensor("v", TensorProto.INT64, [1], [7])), [ints(2, 2)]),
    "matmul": (node("MatMul", "a", "b"), [ints([1, 2], [3, 4]), ints(5, 6)]),
    "compress": (node("Compress", "a", "b", axis=0), [A, np.array([True, False, True])]),
    "not": (node("Not", "a"), [np.array([True, False])]),
    "ceil": (node("Ceil", "a"), [np.array([1.2, -1.2], dtype=np.float32)]),
    "sqrt": (node("Sqrt", "a"), [np.array([4.0, 9.0], dtype=np.float32)]),
}


@pytest.mark.parametrize("name", CASES)
def test_the_same_as_the_reference(name: str) -> None:
    """Every result of a folded node is that of onnx's reference evaluator: it is handed on as the shape or the values of a Concat."""
    one, operands = CASES[name]
    rule = rule_for("", one.op_type)
    assert rule is not None and rule.fold is not None
    stored = dict(zip("abcde", operands, strict=False))
    proto = model([one], {}, stored, list(one.output))
    graph = read(model([one], {"x": [1]}, stored, list(one.output)))
    for output, expected in zip(one.output, ReferenceEvaluator(proto).run(None, {}), strict=True):
        assert not graph.layers
        assert shape_of(graph, output) == np.shape(expected)
        assert graph.tensors[output].dtype == str(np.asarray(expected).dtype)
        assert_picks(one, stored, output, np.asarray(expected))


def assert_picks(one: onnx.NodeProto, stored: dict[str, np.ndarray], output: str, expected: np.ndarray) -> None:
    """The values themselves: the folded result chooses units of the input by Gather, which shows them as the nodes' indices."""
    if expected.dtype.kind == "f":
        expected = np.rint(expected * 8).astype(np.int64)
        steps = [node("Mul", output, "eight", outputs=["scaled"], name="m"), node("Round", "scaled", outputs=["round"], name="r")]
        steps.append(node("Cast", "round", outputs=["picked"], to=TensorProto.INT64, name="c"))
    else:
        steps = [node("Cast", output, outputs=["picked"], to=TensorProto.INT64, name="c")]
    steps += [node("Add", "picked", "forty", outputs=["index"], name="a"), node("Gather", "x", "index", outputs=["chosen"], name="g")]
    graph = read(model([one, *steps], {"x": [200]}, {**stored, "eight": np.float32(8), "forty": np.array(40)}, ["chosen"]))
    (layer,) = graph.layers
    operator = layer.nodes[0].operator
    indices = getattr(operator, "indices", None) or tuple(operator.start + operator.step * i for i in range(operator.length))  # type: ignore[attr-defined]
    assert indices == tuple((expected.ravel().astype(np.int64) + 40).tolist())


def test_the_shape_arithmetic_of_a_dynamic_export() -> None:
    """view(batch, -1, h*w) as the PyTorch exporter writes it for dynamic axes."""
    nodes = [
        node("Shape", "x", outputs=["s"], name="s"),
        node("Slice", "s", "two", "four", outputs=["hw"], name="hw"),
        node("ReduceProd", "hw", "zero", outputs=["n"], name="n"),
        node("Gather", "s", "first", outputs=["b"], name="b"),
        node("Unsqueeze", "b", "zero", outputs=["b1"], name="b1"),
        node("Concat", "b1", "minus", "n", outputs=["to"], axis=0, name="to"),
        node("Reshape", "x", "to", name="view"),
    ]
    stored = {"two": ints(2), "four": ints(4), "zero": ints(0), "first": np.array(0), "minus": ints(-1)}
    graph = read(model(nodes, {"x": ["N", 6, "H", "W"]}, stored), stand_in=20)
    assert [one.name for one in graph.layers] == ["view"]
    assert shape_of(graph) == (1, 6, 400)


HUGE = ints(1 << 31)


@pytest.mark.parametrize(
    "nodes",
    [
        [node("Expand", "x", "huge")],
        [node("ConstantOfShape", "huge", outputs=["z"], name="z"), node("Add", "x", "z")],
        [node("Expand", "one", "huge", outputs=["z"], name="z"), node("Add", "x", "z")],
        [node("Range", "zero", "end", "step", outputs=["z"], name="z"), node("Add", "x", "z")],
        [node("Tile", "x", "huge")],
        [node("Pad", "x", "pads")],
        [node("Resize", "x", "", "", "huge")],
        [node("OneHot", "x", "huge", "values")],
        [node("Expand", "x", "large", outputs=["a"], name="a"), node("Tile", "a", "large")],
    ],
)
def test_nothing_large_is_allocated(nodes: list[onnx.NodeProto]) -> None:
    stored = {
        "huge": HUGE, "one": ints(1), "zero": np.array(0), "end": np.array(1 << 40), "step": np.array(1), "pads": ints(0, 1 << 31),
        "values": np.array([0, 1.0], dtype=np.float32), "large": ints(1 << 27),
    }  # fmt: skip
    graph = read(model(nodes, {"x": [1]}, stored))
    assert status(graph.layers[-1]) == "unknown"


def test_a_chain_of_growing_constants_stays_small() -> None:
    nodes = [node("Concat", f"t{i}", f"t{i}", outputs=[f"t{i + 1}"], axis=0, name=f"c{i}") for i in range(40)]
    nodes.append(node("Reshape", "x", "t40"))
    assert status(read(model(nodes, {"x": [4]}, {"t0": ints(1)})).layers[0]) == "unknown"


def test_a_split_into_more_than_there_is() -> None:
    proto = model([node("Split", "x", outputs=["y", "z"], axis=0)], {"x": [1]}, opset=13)
    graph = read(proto)
    assert [shape_of(graph, name) for name in ("y", "z")] == [(1,), (0,)]


def test_a_shape_that_the_file_alone_knows() -> None:
    proto = model([node("Reshape", "x", "s")], {"x": [2, 6]})
    proto.graph.input.append(info("s", [2], TensorProto.INT64))
    assert status(read(proto).layers[0]) == "unknown"
    proto.graph.output[0].CopyFrom(info("y", [3, 4]))
    graph = read(proto)
    assert (status(graph.layers[0]), shape_of(graph)) == ("exact", (3, 4))
