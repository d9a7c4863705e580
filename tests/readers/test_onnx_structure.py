"""The walk over a model: order, names, functions, control flow, sequences, symbolic axes, and what is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper

from service.faults import Refused
from service.graph import operators as core
from tests.readers.onnx_models import info, layer, model, node, read, reading, shape_of, single, stated, status

ONES = np.ones((2, 3, 3, 3), dtype=np.float32)


def refusal(proto: onnx.ModelProto) -> Refused:
    with pytest.raises(Refused) as caught:
        read(proto)
    return caught.value


def chain(*nodes: onnx.NodeProto, **more: object) -> onnx.ModelProto:
    return model(nodes, {"x": [1, 3, 8, 8]}, **more)  # type: ignore[arg-type]


# -- order and names ---------------------------------------------------------------------------------------------------


def test_nodes_in_any_order() -> None:
    graph = read(
        chain(
            node("Sigmoid", "b", name="last"), node("Tanh", "a", outputs=["b"], name="mid"), node("Relu", "x", outputs=["a"], name="first")
        )
    )
    assert [one.name for one in graph.layers] == ["first", "mid", "last"]


def test_names_are_unique_and_stable() -> None:
    nodes = [node("Relu", "x", outputs=["a"], name=""), node("Relu", "a", outputs=["b"], name="r"), node("Relu", "b", name="r")]
    assert [one.name for one in read(chain(*nodes)).layers] == ["Relu_0", "r", "r_2"]


def test_folded_nodes_are_no_layers() -> None:
    nodes = [
        node("Shape", "x", outputs=["s"], name="shape"),
        node("Gather", "s", "zero", outputs=["n"], name="gather"),
        node("Concat", "n", "rest", outputs=["wanted"], name="concat", axis=0),
        node("Reshape", "x", "wanted", name="flat"),
    ]
    graph = read(chain(*nodes, stored={"zero": np.array([0]), "rest": np.array([-1])}))
    assert [one.name for one in graph.layers] == ["flat"]
    assert shape_of(graph) == (1, 192)


def test_a_chain_of_twenty_thousand_nodes() -> None:
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(20_000)]
    graph = read(model(nodes, {"t0": [1, 4]}, outputs=["t20000"]))
    assert len(graph.layers) == 20_000
    assert shape_of(graph, "t20000") == (1, 4)


def test_a_weight_behind_twenty_thousand_nodes() -> None:
    nodes = [helper.make_node("Identity", [f"w{i}"], [f"w{i + 1}"]) for i in range(20_000)]
    graph = read(chain(*nodes, node("Conv", "x", "w20000"), stored={"w0": ONES}))
    assert [w.stored for w in graph.layers[0].kernel] == ["w0"]


@pytest.mark.parametrize(
    ("nodes", "code"),
    [
        ([node("Relu", "b", outputs=["a"]), node("Relu", "a", outputs=["b"]), node("Relu", "b")], "graph-cycle"),
        ([node("Relu", "y")], "graph-cycle"),
        ([node("Relu", "nowhere")], "undefined-input"),
        ([node("Relu", "x"), node("Tanh", "x")], "duplicate-output"),
        ([node("Relu", "x", outputs=["x"]), node("Relu", "x")], "duplicate-output"),
        ([node("Relu", "x", outputs=["other"])], "undefined-output"),
        ([], "empty-graph"),
        ([node("Conv", "x")], "missing-input"),
        ([node("Dropout", "x", outputs=["y", "m", "too", "many"])], "too-many-outputs"),
        ([node("Relu", "x", name="r"), node("If", "c", outputs=["z"], name="i")], "undefined-input"),
    ],
)
def test_structural_faults(nodes: list[onnx.NodeProto], code: str) -> None:
    assert refusal(chain(*nodes)).code == code


def test_a_fault_names_its_node() -> None:
    error = refusal(chain(node("Conv", "x", "w", strides=[0, 1], name="first"), stored={"w": ONES}))
    assert (error.fault, error.code) == ("invalid", "strides-range")
    assert [detail.pointer for detail in error.errors] == ["first"]


@pytest.mark.parametrize(
    ("attributes", "kernel", "code"),
    [
        ({"group": 0}, (2, 3, 3, 3), "group-mismatch"),
        ({"group": 3}, (2, 1, 3, 3), "group-mismatch"),
        ({"strides": [0, 1]}, (2, 3, 3, 3), "strides-range"),
        ({"strides": [1]}, (2, 3, 3, 3), "strides-rank"),
        ({"dilations": [1, 2**62]}, (2, 3, 3, 3), "dilations-range"),
        ({"kernel_shape": [3, 2]}, (2, 3, 3, 3), "kernel-shape-mismatch"),
        ({"pads": [1, 1]}, (2, 3, 3, 3), "pads-rank"),
        ({"pads": [-1, 0, 0, 0]}, (2, 3, 3, 3), "pads-range"),
        ({"auto_pad": "SOMEHOW"}, (2, 3, 3, 3), "unknown-auto-pad"),
        ({"strides": "two"}, (2, 3, 3, 3), "attribute-type"),
        ({}, (2,), "kernel-rank"),
        ({}, (2, 3, 3), "rank-mismatch"),
        ({}, (2, 4, 3, 3), "channels-mismatch"),
    ],
)
def test_wrong_convolutions(attributes: dict[str, object], kernel: tuple[int, ...], code: str) -> None:
    proto = chain(node("Conv", "x", "w", **attributes), stored={"w": np.ones(kernel, dtype=np.float32)})
    assert refusal(proto).code == code


def test_a_window_that_does_not_fit_makes_an_unknown_node() -> None:
    graph = read(chain(node("MaxPool", "x", kernel_shape=[9, 9], name="pool", outputs=["p"]), node("Relu", "p", name="relu")))
    assert [status(one) for one in graph.layers] == ["unknown", "unknown"]
    assert [(code, name) for code, name, _ in graph.notes] == [("shape-unknown", "pool")]


# -- opsets, domains ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opsets", "code"),
    [
        ([], "missing-opset"),
        ([("", 9999)], "unsupported-opset"),
        ([("", 0)], "unsupported-opset"),
        ([("", 13), ("ai.onnx", 14)], "duplicate-opset"),
    ],
)
def test_opsets(opsets: list[tuple[str, int]], code: str) -> None:
    proto = chain(node("Relu", "x"))
    del proto.opset_import[:]
    proto.opset_import.extend(helper.make_opsetid(*pair) for pair in opsets)
    assert refusal(proto).code == code


def test_an_unknown_domain_is_reported_and_passed() -> None:
    proto = chain(
        node("Magic", "x", outputs=["m"], domain="my.domain", name="magic"),
        node("Relu", "m", name="relu"),
        value_info=[info("m", [1, 3, 8, 8])],
    )
    graph = read(proto)
    assert [status(one) for one in graph.layers] == ["unknown", "exact"]
    assert graph.notes[0][:2] == ("unknown-operator", "magic")
    assert shape_of(graph) == (1, 3, 8, 8)


def test_data_that_decide_a_shape_make_a_bound() -> None:
    proto = model([node("NonZero", "x", outputs=["i"], name="nz")], {"x": [3, 4]}, outputs=["i"])
    assert status(read(proto).layers[0]) == "unknown"
    proto.graph.output[0].CopyFrom(info("i", [2, 12], TensorProto.INT64))
    graph = read(proto)
    assert status(graph.layers[0]) == "bound"
    assert shape_of(graph, "i") == (2, 12)


# -- functions ---------------------------------------------------------------------------------------------------------


def function(name: str, nodes: list[onnx.NodeProto], attributes: tuple[str, ...] = ()) -> onnx.FunctionProto:
    return helper.make_function(
        "local", name, ["a", "w"], ["b"], nodes, [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)], list(attributes)
    )


def test_functions_are_inlined_with_their_attributes() -> None:
    conv = node("Conv", "a", "w", outputs=["b"], name="conv")
    conv.attribute.append(AttributeProto(name="strides", ref_attr_name="s", type=AttributeProto.INTS))
    calls = [
        node("Stem", "x", "k", outputs=["h"], domain="local", name="one", s=[2, 2]),
        node("Stem", "x", "k", domain="local", name="two"),
    ]
    graph = read(chain(*calls, stored={"k": ONES}, functions=[function("Stem", [conv], ("s",))]))
    assert [one.name for one in graph.layers] == ["one/conv", "two/conv"]
    assert (shape_of(graph, "h"), shape_of(graph)) == ((1, 2, 3, 3), (1, 2, 6, 6))
    assert {w.stored for one in graph.layers for w in one.kernel} == {"k"}


def test_a_tensor_inside_a_function_is_one_tensor() -> None:
    body = [
        node("Constant", outputs=["k"], value=onnx.numpy_helper.from_array(ONES), name="kernel"),
        node("Conv", "a", "k", outputs=["b"], name="conv"),
    ]
    calls = [node("F", "x", outputs=["h"], domain="local", name="one"), node("F", "x", domain="local", name="two")]
    graph = read(chain(*calls, functions=[function("F", body)]))
    stored = {w.stored for one in graph.layers for w in one.kernel}
    assert len(stored) == 1
    assert stored == {w.stored for w in graph.stored}


def test_a_function_bomb_is_refused_before_it_is_expanded() -> None:
    functions = [function("F0", [node("Relu", "a", outputs=["b"])])]
    for depth in range(1, 22):
        twice = [
            node(f"F{depth - 1}", "a", "w", outputs=["m"], domain="local"),
            node(f"F{depth - 1}", "m", "w", outputs=["b"], domain="local"),
        ]
        functions.append(function(f"F{depth}", twice))
    error = refusal(chain(node("F21", "x", "x", domain="local"), functions=functions))
    assert (error.fault, error.code) == ("limit", "too-many-nodes")


@pytest.mark.parametrize("through", ["itself", "another", "a subgraph"])
def test_recursion_is_refused(through: str) -> None:
    call = node("F", "a", "w", outputs=["b"], domain="local")
    functions = [function("F", [call])]
    if through == "another":
        functions = [function("F", [node("G", "a", "w", outputs=["b"], domain="local")]), function("G", [call])]
    if through == "a subgraph":
        body = helper.make_graph([call], "body", [], [info("b", None)])
        functions = [function("F", [node("If", "w", outputs=["b"], then_branch=body, else_branch=body)])]
    error = refusal(chain(node("F", "x", "x", domain="local"), functions=functions))
    assert (error.fault, error.code) == ("invalid", "function-recursion")


def test_calls_that_nest_too_deeply_are_refused() -> None:
    functions = [function("F0", [node("Relu", "a", outputs=["b"])])]
    functions += [function(f"F{i}", [node(f"F{i - 1}", "a", "w", outputs=["b"], domain="local")]) for i in range(1, 200)]
    assert refusal(chain(node("F199", "x", "x", domain="local"), functions=functions)).code == "too-deep"


# -- control flow ------------------------------------------------------------------------------------------------------


def branches(condition: str) -> onnx.NodeProto:
    then = helper.make_graph([node("Conv", "x", "k", outputs=["t"], name="conv", pads=[1, 1, 1, 1])], "then", [], [info("t", None)])
    other = helper.make_graph([node("Concat", "x", "x", outputs=["o"], name="twice", axis=1)], "else", [], [info("o", None)])
    return node("If", condition, name="if", then_branch=then, else_branch=other)


def test_if_with_a_known_condition_is_its_branch() -> None:
    kernel = np.ones((6, 3, 3, 3), dtype=np.float32)
    graph = read(chain(branches("c"), stored={"k": kernel, "c": np.array(True)}))
    assert [one.name for one in graph.layers] == ["if/conv"]
    assert shape_of(graph, graph.outputs[0]) == (1, 6, 8, 8)


def test_if_joins_both_branches() -> None:
    proto = model([branches("c")], {"x": [1, 3, 8, 8]}, {"k": np.ones((6, 3, 3, 3), dtype=np.float32)})
    proto.graph.input.append(info("c", [], TensorProto.BOOL))
    graph = read(proto)
    assert [one.name for one in graph.layers] == ["if/then/conv", "if/else/twice", "if"]
    claimed = stated(graph, "x", "y")
    assert claimed is not None
    row = claimed[64 * 3 + 9].reshape(3, 8, 8)  # channel 3, row 1, column 1: the convolution's window, and channel 0 itself
    assert row[:, :3, :3].all()
    assert row.sum() == 27


def loop_model(rounds: object, condition: object = True) -> onnx.ModelProto:
    body = helper.make_graph(
        [
            node("Identity", "going", outputs=["on"], name="on"),
            node("MatMul", "h", "r", outputs=["next"], name="step"),
            node("Identity", "next", outputs=["slice"], name="slice"),
        ],
        "body",
        [info("i", [], TensorProto.INT64), info("going", [], TensorProto.BOOL), info("h", [2, 3])],
        [info("on", [], TensorProto.BOOL), info("next", [2, 3]), info("slice", [2, 3])],
    )
    stored = {"r": np.ones((3, 3), dtype=np.float32)}
    if rounds is not None:
        stored["m"] = np.array(rounds)
    loop = node("Loop", "m" if rounds is not None else "n", "", "x", outputs=["y", "all"], body=body, name="loop")
    proto = model([loop], {"x": [2, 3]}, stored, ["y", "all"])
    if rounds is None:
        proto.graph.input.append(info("n", [], TensorProto.INT64))
    return proto


def test_a_short_loop_is_unrolled() -> None:
    graph = read(loop_model(3))
    assert [one.name for one in graph.layers if one.op == "MatMul"] == ["loop/0/step", "loop/1/step", "loop/2/step"]
    assert {w.stored for one in graph.layers for w in one.kernel} == {"r"}
    assert shape_of(graph, "all") == (3, 2, 3)
    assert {status(one) for one in graph.layers} == {"exact"}


def test_a_loop_of_unknown_length_shows_one_round() -> None:
    graph = read(loop_model(None))
    assert [one.name for one in graph.layers if one.op == "MatMul"] == ["loop/step"]
    assert status(layer(graph, "loop/step")) == "exact"
    assert status(layer(graph, "loop")) == "unknown"  # how long what it collects is, is not known
    assert ("loop-bound", "loop") in [note[:2] for note in graph.notes]


def test_a_long_loop_shows_one_round_and_keeps_its_shapes() -> None:
    graph = read(loop_model(1000))
    assert [one.name for one in graph.layers if one.op == "MatMul"] == ["loop/step"]
    assert (shape_of(graph), shape_of(graph, "all")) == ((2, 3), (1000, 2, 3))
    assert status(layer(graph, "loop")) == "bound"


@pytest.mark.parametrize(("length", "expected"), [(3, "exact"), (40, "bound")])
def test_scan(length: int, expected: str) -> None:
    body = helper.make_graph(
        [node("Add", "s", "e", outputs=["t"], name="add"), node("Relu", "t", outputs=["o"], name="relu")],
        "body",
        [info("s", [2]), info("e", [2])],
        [info("t", [2]), info("o", [2])],
    )
    scan = node(
        "Scan", "zero", "x", outputs=["last", "y"], body=body, num_scan_inputs=1, scan_input_axes=[1], scan_output_axes=[1], name="scan"
    )
    graph = read(model([scan], {"x": [2, length]}, {"zero": np.zeros(2, dtype=np.float32)}, ["last", "y"]))
    assert [shape_of(graph, name) for name in graph.outputs] == [(2,), (2, length)]
    assert status(layer(graph, "scan")) == expected
    if expected == "exact":
        claimed = stated(graph, "x", "y")
        assert claimed is not None
        assert (claimed.reshape(2, length, 2, length)[1, :, 1] == np.tril(np.ones((length, length), dtype=bool))).all()


def test_subgraphs_nest() -> None:
    def nested(depth: int) -> onnx.GraphProto:
        inner = [node("Relu", "x", outputs=["o"], name="relu")]
        if depth:
            inner = [node("If", "c", outputs=["o"], name="if", then_branch=nested(depth - 1), else_branch=nested(0))]
        return helper.make_graph(inner, "branch", [], [info("o", None)])

    proto = model([node("If", "c", name="if", then_branch=nested(24), else_branch=nested(0))], {"x": [2, 2]})
    proto.graph.input.append(info("c", [], TensorProto.BOOL))
    graph = read(proto)
    assert sum(one.op == "Relu" for one in graph.layers) == 26
    assert {status(one) for one in graph.layers} == {"exact"}


def test_sequences_are_followed() -> None:
    nodes = [
        node("SplitToSequence", "x", outputs=["s"], axis=1, name="split"),
        node("SequenceAt", "s", "one", outputs=["e"], name="at"),
        node("SequenceInsert", "s", "e", outputs=["t"], name="insert"),
        node("SequenceLength", "t", outputs=["n"], name="length"),
        node("ConcatFromSequence", "t", axis=1, name="join"),
    ]
    graph = read(model(nodes, {"x": [2, 3]}, {"one": np.array(1)}))
    assert shape_of(graph) == (2, 4)
    claimed = stated(graph, "x", "y")
    assert claimed is not None
    assert [np.flatnonzero(row).tolist() for row in claimed[:4]] == [[0], [1], [2], [1]]


# -- inputs ------------------------------------------------------------------------------------------------------------


def test_stand_ins() -> None:
    proto = model([node("Relu", "x")], {"x": ["N", 3, "H", None], "z": ["H", "N"]})
    graph = read(proto, stand_in=40)
    assert [tensor.shape for tensor in graph.inputs] == [(1, 3, 1, 40), (1, 1)]  # H leads z, so it is a batch as well
    assert graph.symbolic == {("x", 0), ("x", 2), ("x", 3), ("z", 0), ("z", 1)}
    fixed = read(proto, {"x": (2, 3, 24, -1)}, 40)
    assert [tensor.shape for tensor in fixed.inputs] == [(2, 3, 24, 40), (24, 2)]
    assert fixed.symbolic == {("x", 3), ("z", 0), ("z", 1)}


@pytest.mark.parametrize(
    ("fixed", "code"),
    [
        ({"q": (1,)}, "unknown-input"),
        ({"x": (1, 3)}, "input-shape-rank"),
        ({"x": (1, 4, 8, 8)}, "input-shape-conflict"),
        ({"": (1, 3, 8)}, "input-shape-rank"),
    ],
)
def test_fixed_shapes_that_do_not_fit(fixed: dict[str, tuple[int, ...]], code: str) -> None:
    with pytest.raises(Refused) as caught:
        read(chain(node("Relu", "x")), fixed)
    assert caught.value.code == code


def test_the_only_input_needs_no_name() -> None:
    graph = read(model([node("Relu", "x")], {"x": ["N", 3, "H", "W"]}), {"": (1, 3, 20, 30)})
    assert shape_of(graph) == (1, 3, 20, 30)
    assert not graph.symbolic


@pytest.mark.parametrize(
    ("dims", "code"), [([-2, 3], "negative-dimension"), ([1, 2**62], "input-too-large"), ([1] * 70, "input-too-large")]
)
def test_impossible_inputs(dims: list[int], code: str) -> None:
    assert refusal(model([node("Relu", "x")], {"x": dims})).code == code


def test_minus_one_is_how_some_exporters_write_a_symbolic_axis() -> None:
    graph = read(model([node("Relu", "x")], {"x": [-1, 3]}))
    assert (shape_of(graph), graph.symbolic) == ((1, 3), {("x", 0)})


def test_an_input_without_a_shape_and_one_of_rank_zero() -> None:
    graph = read(model([node("Add", "x", "s", name="add")], {"x": None, "s": []}))
    assert status(graph.layers[0]) == "unknown"
    assert shape_of(read(model([node("Add", "x", "s")], {"x": [2], "s": []}))) == (2,)


def test_an_axis_of_no_units() -> None:
    graph = read(model([node("Concat", "x", "z", axis=0)], {"x": [0, 3], "z": [2, 3]}))
    assert shape_of(graph) == (2, 3)


def test_stored_defaults_are_no_inputs() -> None:
    proto = single("Conv", [1, 3, 8, 8], ONES)
    proto.graph.input.append(info("c0", [2, 3, 3, 3]))
    graph = read(proto)
    assert [tensor.name for tensor in graph.inputs] == ["x"]
    assert [w.stored for w in graph.layers[0].kernel] == ["c0"]


def test_the_graph_can_be_read_again_with_other_lengths() -> None:
    once = reading(model([node("Relu", "x")], {"x": [1, "T"]}))
    assert [shape_of(once.graph(stand_in=n)) for n in (8, 9)] == [(1, 8), (1, 9)]


def test_layers_name_the_tensors_that_they_read_from_outside() -> None:
    graph = read(
        chain(
            node("Conv", "x", "w", outputs=["h"], name="conv"),
            node("Concat", "h", "k", axis=1, name="join"),
            stored={"w": ONES, "k": np.ones((1, 1, 6, 6), np.float32)},
        )
    )
    assert [(one.inputs, one.outputs) for one in graph.layers] == [(("x",), ("h",)), (("h",), ("y",))]
    assert isinstance(graph.layers[1].nodes[0].operator, core.Concatenation)
    assert graph.tensors["k"].shape == (1, 1, 6, 6)
