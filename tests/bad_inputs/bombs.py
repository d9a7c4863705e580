"""Small models that would cost much: loops in loops, sums of all before, thousands of inputs, wide padding, constants that double."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from tests.bad_inputs import JSON, BadInput
from tests.readers.onnx_models import info, model, node

KERNEL = np.ones((3, 3, 3, 3), np.float32)


def nested_loops(depth: int, rounds: int = 16) -> bytes:
    """Loops of a known number of rounds inside one another: rounds**depth nodes."""
    body: list[NodeProto] = [node("Relu", "a", outputs=["b"])]
    for _ in range(depth):
        graph = GraphProto(name="body", node=[*body, node("Identity", "go", outputs=["on"])])
        graph.input.extend([info("i", [], TensorProto.INT64), info("go", [], TensorProto.BOOL), info("a", None)])
        graph.output.extend([info("on", [], TensorProto.BOOL), info("b", None)])
        body = [node("Loop", "m", "c", "a", outputs=["b"], body=graph)]
    top = NodeProto(op_type="Loop", input=["m", "c", "x"], output=["y"], attribute=body[0].attribute)
    return model([top], {"x": [1, 3, 8, 8]}, {"m": np.array(rounds), "c": np.array(True)}).SerializeToString()


def nested_scans(depth: int) -> bytes:
    """Scans over 16 slices inside one another."""
    inner = node("Relu", "e", outputs=["f"])
    for _ in range(depth):
        graph = GraphProto(name="body", node=[inner], input=[info("e", None)], output=[info("f", None)])
        inner = node("Scan", "e", outputs=["f"], body=graph, num_scan_inputs=1)
    top = NodeProto(op_type="Scan", input=["x"], output=["y"], attribute=inner.attribute)
    return model([top], {"x": [16] * (depth + 1)}).SerializeToString()


def sums_of_all_before(count: int) -> bytes:
    """Convolutions each of which reads the sum of all before it: edges grow with the square."""
    nodes = [node("Conv", "x", "w", outputs=["t0"], pads=[1] * 4)]
    for number in range(1, count):
        nodes.append(node("Sum", *(f"t{i}" for i in range(number)), outputs=[f"s{number}"], name=f"s{number}"))
        nodes.append(node("Conv", f"s{number}", "w", outputs=[f"t{number}"], name=f"c{number}", pads=[1] * 4))
    return model(nodes, {"x": [1, 3, 32, 32]}, {"w": KERNEL}, outputs=[f"t{count - 1}"]).SerializeToString()


def many_inputs(count: int, op: str = "Sum") -> bytes:
    """Thousands of images that meet in one node, before a convolution."""
    names = [f"x{i}" for i in range(count)]
    joined = node(op, *names, outputs=["s"], **({"axis": 0} if op == "Concat" else {}))
    return model([joined, node("Conv", "s", "w")], {name: [1, 3, 32, 32] for name in names}, {"w": KERNEL}).SerializeToString()


def wide_window(op: str, **attributes: list[int]) -> bytes:
    """A window whose padding, stride or dilation has millions of units."""
    return model([node(op, "x", "w", **attributes)], {"x": [1, 1, 512, 512]}, {"w": np.ones((1, 1, 3, 3), np.float32)}).SerializeToString()


def doubling_constant(times: int) -> bytes:
    """A shape that doubles: Concat of itself with itself, 2**times entries, before a Reshape."""
    nodes = [node("Concat", f"k{i}", f"k{i}", outputs=[f"k{i + 1}"], name=f"k{i + 1}", axis=0) for i in range(times)]
    nodes.append(node("Reshape", "x", f"k{times}"))
    return model(nodes, {"x": [1, 3, 32, 32]}, {"k0": np.array([1, 1])}).SerializeToString()


def forward_reference(inside: bool = False) -> bytes:
    """Nodes out of order, one of which reads a name that nothing produces, perhaps inside a branch."""
    late = [node("Relu", "b", outputs=["y"], name="late"), node("Relu", "x", outputs=["a"], name="early")]
    if not inside:
        return model([*late, node("Add", "a", "nope", outputs=["b"], name="add")], {"x": [1, 4]}).SerializeToString()
    branch = helper.make_graph([node("Add", "a", "nope", outputs=["o"])], "branch", [], [info("o", None)])
    both = node("If", "c", outputs=["b"], then_branch=branch, else_branch=branch)
    return model([*late, both], {"x": [1, 4], "c": []}).SerializeToString()


def string_weights(op: str = "Conv") -> bytes:
    """Text where weights are expected."""
    shape = [2, 3, 3, 3] if op == "Conv" else [32, 2]
    tensor = helper.make_tensor("w", TensorProto.STRING, shape, [b"text"] * int(np.prod(shape)))
    graph = helper.make_graph([node(op, "x", "w")], "g", [info("x", [1, 3, 32, 32])], [info("y", None)], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def empty_axes(op: str, shape: list[int], **attributes: list[int]) -> bytes:
    """An input without any unit."""
    return model([node(op, "x", **attributes)], {"x": shape}, opset=10).SerializeToString()


def blocks(count: int, side: int) -> bytes:
    """Space to depth and back, again and again: each channel of the deep map lies at a place of its own."""
    names = ["x", *(f"s{i}" for i in range(1, count)), "y"]
    nodes = [
        node("DepthToSpace" if i % 2 else "SpaceToDepth", names[i], outputs=[names[i + 1]], name=f"n{i}", blocksize=32)
        for i in range(count)
    ]
    return model(nodes, {"x": [1, 1024, side, side]}).SerializeToString()


def equal_names(count: int) -> bytes:
    """A spec of layers that repeat one layer."""
    return (
        b'{"receptive": 1, "input": {"shape": [3, 32, 32]}, "layers": [{"type": "activation", "function": "relu", "repeat": %d}]}' % count
    )


def zero_filters(count: int) -> bytes:
    """A first layer of so many filters."""
    tensor = numpy_helper.from_array(np.zeros((count, 3, 3, 3), np.float32), "w")
    graph = helper.make_graph([node("Conv", "x", "w")], "g", [info("x", [1, 3, 32, 32])], [info("y", None)], [tensor])
    proto: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return proto.SerializeToString()


def _bomb(name: str, make: Callable[[], bytes], *codes: str, kind: str = "application/onnx") -> BadInput:
    return BadInput(0, name, make, codes, kind)


FAR = [1 << 23] * 2
BOMBS = (
    _bomb("loops-5", lambda: nested_loops(5), "too-many-nodes"),
    _bomb("loops-8", lambda: nested_loops(8), "too-many-nodes"),
    _bomb("scans-6", lambda: nested_scans(6), "too-many-nodes"),
    _bomb("sums-of-all-before", lambda: sums_of_all_before(100), ""),
    _bomb("inputs-3000", lambda: many_inputs(3000), ""),
    _bomb("inputs-10000", lambda: many_inputs(10_000), ""),
    _bomb("inputs-3000-beside", lambda: many_inputs(3000, "Concat"), ""),
    _bomb("wide-padding", lambda: wide_window("Conv", pads=FAR * 2, dilations=FAR), ""),
    _bomb("wide-stride", lambda: wide_window("ConvTranspose", strides=[1 << 20, 1], dilations=[3, 1]), "", "shape-limit"),
    _bomb("doubling-constant", lambda: doubling_constant(40), ""),
    _bomb("doubling-constant-24", lambda: doubling_constant(24), ""),
    _bomb("forward-reference", forward_reference, "undefined-input"),
    _bomb("forward-reference-in-a-branch", lambda: forward_reference(inside=True), "undefined-input"),
    _bomb("string-kernel", string_weights, "tensor-type"),
    _bomb("string-matrix", lambda: string_weights("MatMul"), "tensor-type"),
    _bomb("empty-axes", lambda: empty_axes("Relu", [0, 0, 0, 0]), ""),
    _bomb("empty-batch", lambda: empty_axes("Pad", [0, 3, 4, 4], pads=[1, 0, 0, 0, 1, 0, 0, 0]), ""),
    _bomb("blocks", lambda: blocks(40, 1024), ""),
    _bomb("repeat-10000", lambda: equal_names(10_000), "", kind=JSON),
    _bomb("filters-65536", lambda: zero_filters(1 << 16), ""),
)
