"""ONNX graphs that are well-formed bytes and bad models (14 to 19 and 21 to 34)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import FunctionProto, TensorProto, helper, numpy_helper

from tests.bad_inputs import BadInput
from tests.bad_inputs.hostile_names import hostile_model
from tests.readers.onnx_models import info, model, node
from tests.readers.wire_bytes import field, graph_model

WEIGHTS = np.ones((2, 3, 3, 3), np.float32)
IMAGE = {"x": [1, 3, 8, 8]}


def convolution(weights: Any = WEIGHTS, shape: Any = None, **attributes: Any) -> bytes:
    """One convolution of these attributes over a small image."""
    return model([node("Conv", "x", "w", **attributes)], {"x": shape or [1, 3, 8, 8]}, {"w": weights}).SerializeToString()


def single(op: str, *stored: Any, shape: Any = None, **attributes: Any) -> bytes:
    """One node of which the inputs after the first are stored."""
    names = [f"c{place}" for place in range(len(stored))]
    kept = dict(zip(names, stored, strict=True))
    return model([node(op, "x", *names, **attributes)], {"x": shape or [1, 3, 8, 8]}, kept).SerializeToString()


def nested_ifs(depth: int) -> bytes:
    """If inside If, written as bytes: protobuf itself refuses to build so many."""
    body = field(1, field(2, b"y") + field(4, b"Relu") + field(1, b"x"))
    for _ in range(depth):
        branch = field(5, field(1, b"then_branch") + field(6, body) + b"\xa0\x01\x05")
        body = field(1, field(1, b"c") + field(2, b"y") + field(4, b"If") + branch)
    return graph_model(body)


def with_functions(*functions: FunctionProto, nodes: Any = None, opsets: Any = (("", 17), ("own", 1))) -> bytes:
    """A model that calls functions of its own."""
    graph = helper.make_graph(nodes or [node("F0", "x", domain="own")], "g", [info("x", [1, 4])], [info("y", None)])
    imports = [helper.make_opsetid(domain, version) for domain, version in opsets]
    return helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8).SerializeToString()


def function(name: str, *nodes: onnx.NodeProto) -> FunctionProto:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function("own", name, ["x"], ["y"], list(nodes), imports)


def calling(name: str, source: str = "x", output: str = "y") -> onnx.NodeProto:
    return node(name, source, outputs=[output], domain="own", name=f"{name}_{output}")


def function_bomb(levels: int) -> bytes:
    """Every function calls the next one twice."""
    functions = [function(f"F{i}", calling(f"F{i + 1}", "x", "t"), calling(f"F{i + 1}", "t")) for i in range(levels)]
    return with_functions(*functions, function(f"F{levels}", node("Relu", "x")))


def recursion_through_a_branch() -> bytes:
    """A function that calls itself in a branch of an If."""
    branch = helper.make_graph([calling("F0", "x", "z")], "branch", [], [info("z", None)])
    return with_functions(function("F0", node("Relu", "x", outputs=["c"]), node("If", "c", then_branch=branch, else_branch=branch)))


def opsets(*versions: int) -> bytes:
    graph = helper.make_graph([node("Relu", "x")], "g", [info("x", [1, 4])], [info("y", None)])
    proto = helper.make_model(graph, ir_version=8)
    del proto.opset_import[:]
    proto.opset_import.extend(helper.make_opsetid("", version) for version in versions)
    return proto.SerializeToString()


def stored_tensor(tensor: TensorProto, op: str = "Conv") -> bytes:
    """A convolution whose kernel is this tensor."""
    tensor.name = "w"
    graph = helper.make_graph([node(op, "x", "w")], "g", [info("x", [1, 3, 8, 8])], [info("y", None)], [tensor])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


def raw(data_type: int, dims: list[int], size: int) -> bytes:
    return stored_tensor(TensorProto(data_type=data_type, dims=dims, raw_data=bytes(size)))


def external(**entries: str) -> bytes:
    """A kernel in a file of external data."""
    tensor = numpy_helper.from_array(WEIGHTS, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return stored_tensor(tensor)


def declared(*dims: int) -> bytes:
    """An input of these lengths."""
    return model([node("Relu", "x")], {"x": dims}).SerializeToString()


def constant_kernel() -> bytes:
    """A large kernel as the attribute of a Constant node."""
    large = numpy_helper.from_array(np.ones((64, 3, 32, 32), np.float32), "k")
    return model([node("Constant", outputs=["k"], value=large), node("Conv", "x", "k")], {"x": [1, 3, 64, 64]}).SerializeToString()


def sparse_kernel(index: int = 3) -> bytes:
    values, indices = numpy_helper.from_array(np.ones(1, np.float32), "w"), numpy_helper.from_array(np.array([index]), "i")
    graph = helper.make_graph([node("MatMul", "x", "w")], "g", [info("x", [1, 4])], [info("y", None)])
    graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 2]))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def self_loop() -> bytes:
    return model([node("Add", "x", "y")], IMAGE).SerializeToString()


def cycle() -> bytes:
    nodes = [node("Add", "x", "b", outputs=["a"], name="one"), node("Relu", "a", outputs=["b"], name="two"), node("Relu", "b")]
    return model(nodes, IMAGE).SerializeToString()


def two_outputs() -> bytes:
    return model([node("Relu", "x", name="one"), node("Relu", "x", name="two")], IMAGE).SerializeToString()


def equal_initializers() -> bytes:
    proto = onnx.ModelProto.FromString(convolution())
    proto.graph.initializer.append(proto.graph.initializer[0])
    return proto.SerializeToString()


def without(part: str) -> bytes:
    """A model without its nodes, inputs or outputs."""
    proto = onnx.ModelProto.FromString(convolution())
    proto.graph.ClearField(part)
    return proto.SerializeToString()


def named(name: str) -> bytes:
    """A node of that name."""
    return model([node("Conv", "x", "w", name=name)], IMAGE, {"w": WEIGHTS}).SerializeToString()


HUGE = 1 << 31
SIZES = np.array([1, HUGE, 3, 8, 8])

_CONVOLUTIONS: tuple[tuple[str, Any, str], ...] = (
    ("rank-1", lambda: convolution(np.ones(4, np.float32)), "kernel-rank"),
    ("rank-mismatch", lambda: convolution(np.ones((2, 3, 3), np.float32)), "rank-mismatch"),
    ("group-0", lambda: convolution(group=0), "group-mismatch"),
    ("group-5", lambda: convolution(group=5), "group-mismatch"),
    ("stride-0", lambda: convolution(strides=[0, 1]), "strides-range"),
    ("dilation-huge", lambda: convolution(dilations=[1 << 62, 1]), "dilations-range"),
    ("kernel-shape", lambda: convolution(kernel_shape=[5, 5]), "kernel-shape-mismatch"),
    ("pads-short", lambda: convolution(pads=[1, 1]), "pads-rank"),
    ("pads-negative", lambda: convolution(pads=[-9, -9, -9, -9]), "pads-range"),
    ("auto-pad", lambda: convolution(auto_pad="SOMEHOW"), "unknown-auto-pad"),
)

_TENSORS: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("raw-short", lambda: raw(1, [2, 3, 3, 3], 215), ("tensor-size",)),
    ("dtype-0", lambda: raw(0, [2, 3, 3, 3], 216), ("tensor-type",)),
    ("dtype-999", lambda: raw(999, [2, 3, 3, 3], 216), ("tensor-type",)),
    ("dtype-string", lambda: raw(8, [2, 3, 3, 3], 216), ("tensor-type",)),
    ("int4-odd", lambda: raw(22, [1, 3, 3, 3], 14), ("",)),
    ("dims-negative", lambda: raw(1, [-1, 3, 3, 3], 0), ("tensor-size",)),
    ("dims-huge", lambda: raw(1, [(1 << 63) - 1, 3], 0), ("tensor-size",)),
    ("dims-70", lambda: raw(1, [1] * 70, 4), ("tensor-size",)),
)

_VALUES = {
    "nan": np.full((2, 3, 3, 3), np.nan, np.float32),
    "infinity": np.full((2, 3, 3, 3), np.inf, np.float32),
    "subnormal": np.full((2, 3, 3, 3), 1e-45, np.float32),
    "zero": np.zeros((2, 3, 3, 3), np.float32),
    "half": np.ones((2, 3, 3, 3), np.float16),
}

_EXTERNAL: tuple[tuple[int, str, Any, str], ...] = (
    (32, "parent", lambda: external(location="../../etc/passwd"), "external-path"),
    (32, "absolute", lambda: external(location="/etc/passwd"), "external-path"),
    (32, "url", lambda: external(location="file://x"), "external-path"),
    (32, "unc", lambda: external(location="\\\\host\\share"), "external-path"),
    (32, "nul", lambda: external(location="a\0b"), "external-path"),
    (33, "length-huge", lambda: external(location="p", length=str(1 << 60)), "tensor-size"),
    (33, "length-negative", lambda: external(location="p", length="-1"), "external-range"),
    (33, "length-5000-digits", lambda: external(location="p", length="9" * 5000), "external-range"),
    (33, "unknown-key", lambda: external(location="p", __class__="x"), "external-key"),
    (33, "missing", lambda: external(location="p"), "external-missing"),
)

GRAPHS: tuple[BadInput, ...] = (
    BadInput(14, "if-5000", lambda: nested_ifs(5000), ("limit-depth", "limit-graphs")),
    BadInput(14, "if-33", lambda: nested_ifs(33), ("limit-depth", "missing-opset", "", "undefined-input")),
    BadInput(15, "function-bomb", lambda: function_bomb(21), ("too-many-nodes",)),
    BadInput(16, "recursive", lambda: with_functions(function("F0", calling("F0"))), ("function-recursion",)),
    BadInput(16, "mutual", lambda: with_functions(function("F0", calling("F1")), function("F1", calling("F0"))), ("function-recursion",)),
    BadInput(16, "through-a-branch", recursion_through_a_branch, ("function-recursion",)),
    BadInput(17, "self-loop", self_loop, ("graph-cycle",)),
    BadInput(17, "cycle", cycle, ("graph-cycle",)),
    BadInput(18, "two-outputs", two_outputs, ("duplicate-output",)),
    BadInput(18, "undefined", lambda: model([node("Add", "x", "nope")], IMAGE).SerializeToString(), ("undefined-input",)),
    BadInput(18, "initializers", equal_initializers, ("duplicate-name",)),
    BadInput(19, "no-nodes", lambda: without("node"), ("empty-graph",)),
    BadInput(19, "no-inputs", lambda: without("input"), ("undefined-input",)),
    BadInput(19, "no-outputs", lambda: without("output"), ("",)),
    BadInput(21, "no-opset", opsets, ("missing-opset",)),
    BadInput(21, "opset-0", lambda: opsets(0), ("unsupported-opset",)),
    BadInput(21, "opset-9999", lambda: opsets(9999), ("unsupported-opset",)),
    BadInput(21, "opset-twice", lambda: opsets(17, 13), ("duplicate-opset",)),
    BadInput(22, "custom", lambda: model([node("Mystery", "x", domain="some.where")], IMAGE).SerializeToString(), ("",)),
    *(BadInput(23, name, make, (code,)) for name, make, code in _CONVOLUTIONS),
    BadInput(24, "pool-too-large", lambda: single("MaxPool", kernel_shape=[9, 9]), ("", "window-mismatch", "kernel-range")),
    BadInput(24, "ceil", lambda: single("MaxPool", kernel_shape=[3, 3], strides=[4, 4], ceil_mode=1), ("",)),
    BadInput(25, "dim-negative", lambda: declared(1, -7), ("negative-dimension",)),
    BadInput(25, "dim-huge", lambda: declared(1, (1 << 63) - 1), ("input-too-large",)),
    BadInput(25, "dims-70", lambda: declared(*[1] * 70), ("input-too-large",)),
    BadInput(26, "expand", lambda: single("Expand", SIZES), ("",)),
    BadInput(26, "reshape", lambda: single("Reshape", SIZES), ("", "reshape-mismatch")),
    BadInput(26, "split", lambda: single("Split", np.array([HUGE, HUGE]), axis=1), ("", "split-mismatch", "too-many-outputs")),
    *(BadInput(27 if "dims" not in name else 25, f"tensor-{name}", make, codes) for name, make, codes in _TENSORS),
    *(BadInput(29 if name == "half" else 28, name, lambda array=array: convolution(array), ("",)) for name, array in _VALUES.items()),
    *(
        BadInput(29, f"dtype-{number}", lambda number=number, size=size: raw(number, [2, 3, 3, 3], size), ("",))
        for number, size in ((16, 108), (17, 54), (22, 27))
    ),
    BadInput(30, "constant", constant_kernel, ("",)),
    BadInput(30, "sparse", sparse_kernel, ("",)),
    BadInput(30, "sparse-outside", lambda: sparse_kernel(99), ("", "sparse-indices", "tensor-unreadable")),
    *(BadInput(number, name, make, (code,)) for number, name, make, code in _EXTERNAL),
    BadInput(34, "megabyte", lambda: named("n" * (1 << 20)), ("limit-name-bytes",)),
    BadInput(34, "hostile", hostile_model, ("",)),
    BadInput(34, "not-utf8", lambda: named("QQQ").replace(b"QQQ", b"\xff\xfe\xff"), ("",)),
)
