"""The wire scanner gives what protobuf gives, without the payloads."""

from __future__ import annotations

import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from service.faults import Refused
from service.limits import Limits
from service.readers.wire.scan import MARKER, Run, Scanned, scan
from service.sources.local import LocalFile
from tests.readers.wire_bytes import Bytes, field, graph_model, scan_bytes, tensors, varint, without_payloads


def nested_model() -> onnx.ModelProto:
    """A model with tensors wherever ONNX allows them: initializers, attributes, subgraphs, functions, sparse, external."""
    values = np.arange(600, dtype=np.float32)

    def tensor(name: str) -> onnx.TensorProto:
        return numpy_helper.from_array(values, name)

    sparse = onnx.SparseTensorProto(values=tensor("s"), dims=[10, 100])
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(600, dtype=np.int64), "i"))
    branch = helper.make_graph([helper.make_node("Constant", [], ["c"], value=tensor("v"))], "then", [], [], [tensor("inner")])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["y"], kernel_shape=[3, 3], pads=[-1, 1, 1, 1], auto_pad="NOTSET"),
        helper.make_node("Constant", [], ["k"], sparse_value=sparse),
        helper.make_node("If", ["b"], ["z"], then_branch=branch, else_branch=branch),
        helper.make_node("Constant", [], ["t"], value_floats=[1.5] * 900, value_ints=[-1] * 900, value_strings=["a"] * 5),
        helper.make_node("Custom", [], ["u"], domain="org", tensors=[tensor("t1"), tensor("t2")], doc_string="é" * 20),
    ]
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 8, 8])
    graph = helper.make_graph(nodes, "main", [value], [value], [tensor("w"), numpy_helper.from_array(np.arange(4), "shape")])
    graph.sparse_initializer.append(sparse)
    outside = graph.initializer.add(name="e", dims=[5], data_type=1, data_location=TensorProto.EXTERNAL)
    outside.external_data.add(key="location", value="weights.bin")
    function = helper.make_function("org", "F", ["a"], ["b"], [helper.make_node("Constant", [], ["b"], value=tensor("f"))], [])
    return helper.make_model(graph, functions=[function], producer_name="tests")


def stored_bytes(scanned: Scanned, tensor: onnx.TensorProto) -> bytes:
    """The bytes of the runs of a tensor that was cut out."""
    location = {entry.key: entry.value for entry in tensor.external_data}["location"]
    return b"".join(scanned.source.read(run.offset, run.length) for run in scanned.payloads[location])


def test_structure_is_that_of_protobuf_and_payloads_lie_where_the_scan_says() -> None:
    model = nested_model()
    scanned = scan_bytes(model.SerializeToString())
    assert without_payloads(scanned.model) == without_payloads(model)
    cut = 0
    for slim, whole in zip(tensors(scanned.model), tensors(model), strict=True):
        if slim.external_data and slim.external_data[0].value.startswith(MARKER):
            cut += 1
            assert slim.data_location == TensorProto.EXTERNAL
            assert stored_bytes(scanned, slim) == whole.raw_data
        else:
            assert slim == whole
    assert cut == len(scanned.payloads) == 12
    assert scanned.model.ByteSize() < model.ByteSize() - 12 * 2000


def test_small_constants_stay_and_the_reference_is_standard_external_data() -> None:
    graph = helper.make_graph([], "g", [], [], [numpy_helper.from_array(np.zeros(n, np.uint8), f"t{n}") for n in (1000, 2000)])
    small, large = scan_bytes(helper.make_model(graph).SerializeToString()).model.graph.initializer
    assert small == graph.initializer[0]
    entries = {entry.key: entry.value for entry in large.external_data}
    assert entries.keys() == {"location", "offset", "length"}
    assert entries["length"] == "2000"


def test_payload_bytes_are_never_read() -> None:
    graph = helper.make_graph([], "g", [], [], [numpy_helper.from_array(np.zeros(1 << 22, np.uint8), f"t{n}") for n in range(4)])
    source = Bytes(helper.make_model(graph).SerializeToString())
    assert len(scan(source).payloads) == 4
    assert sum(length for _, length in source.reads) < source.size / 8


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("number", [4, 5, 7, 10, 11])
def test_typed_fields_are_runs_whether_packed_split_or_one_by_one(number: int, split: bool) -> None:
    wire, numbers = {4: (5, [struct.pack("<f", n) for n in range(700)]), 10: (1, [struct.pack("<d", n) for n in range(700)])}.get(
        number, (0, [varint(n * 37) for n in range(700)])
    )
    parts = [numbers[:300], numbers[300:]] if split else [numbers]
    packed = b"".join(field(number, b"".join(part)) for part in parts)
    single = b"\x10\x01".join(b"".join(varint(number << 3 | wire) + n for n in part) for part in parts)
    for body, bare in ((packed, True), (single, False)):
        scanned = scan_bytes(graph_model(field(5, b"\x08\xbc\x05" + body + field(8, b"name"))))
        (runs,) = scanned.payloads.values()
        assert [run.packed for run in runs] == [bare] * len(parts)
        tag = b"" if bare else bytes([number << 3 | wire])
        assert [scanned.source.read(run.offset, run.length) for run in runs] == [b"".join(tag + n for n in part) for part in parts]
        assert scanned.model.graph.initializer[0].name == "name"


def test_one_by_one_values_that_end_at_the_edge_of_a_window() -> None:
    values = b"".join(b"\x28" + varint(n * 99) for n in range(100_000))
    for extra in range(12):
        data = graph_model(field(2, b"n" * extra) + field(5, b"\x10\x06" + values))
        (runs,) = scan_bytes(data).payloads.values()
        assert len(runs) == 1
        assert runs[0].offset + runs[0].length == len(data)


def test_a_vocabulary_of_many_strings_is_one_run() -> None:
    strings = b"".join(field(6, b"word%d" % n) for n in range(600_000))
    scanned = scan_bytes(graph_model(field(5, b"\x08\xc0\xcf\x24\x10\x08" + strings)))
    ((run,),) = scanned.payloads.values()
    assert (run.length, run.field, run.packed) == (len(strings), "string_data", False)
    few = graph_model(field(5, b"\x08\x02\x10\x08" + field(6, b"a") * 2 + field(13, b"")))
    assert scan_bytes(few).model == onnx.ModelProto.FromString(few)


def test_raw_data_of_a_tensor_that_says_it_is_external_is_ignored() -> None:
    tensor = TensorProto(name="t", dims=[2000], data_type=TensorProto.UINT8, raw_data=bytes(2000), data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="weights.bin")
    scanned = scan_bytes(helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString())
    tensor.ClearField("raw_data")
    assert scanned.model.graph.initializer[0] == tensor
    assert not scanned.payloads


def test_a_model_cannot_name_the_marker_itself() -> None:
    tensor = TensorProto(name="t", dims=[20], data_type=1, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=MARKER + "0")
    with pytest.raises(Refused) as caught:
        scan_bytes(helper.make_model(helper.make_graph([], "g", [], [], [tensor])).SerializeToString())
    assert (caught.value.fault, caught.value.code) == ("invalid", "external-path")


def test_long_texts_are_left_out_and_short_ones_kept() -> None:
    model = helper.make_model(
        helper.make_graph([helper.make_node("EPContext", [], ["y"], cache=b"x" * 5000, kind="trt")], "g", [], [], doc_string="d" * 3000)
    )
    helper.set_model_props(model, {"short": "kept", "long": "v" * 100_000})
    scanned = scan_bytes(model.SerializeToString())
    assert {entry.key: entry.value for entry in scanned.model.metadata_props} == {"short": "kept", "long": "v" * 64}
    assert {a.name: a.s for a in scanned.model.graph.node[0].attribute} == {"cache": b"", "kind": b"trt"}
    assert scanned.model.graph.doc_string == ""
    assert scanned.left_out == 108_000 - 64


def test_names_that_are_not_utf8_stay_distinct() -> None:
    """Models exported with names in GBK exist; protobuf's Python gives bytes for them where a str is due."""
    graph = b"".join(field(1, field(1, "输入".encode("gbk")) + field(2, name)) for name in ("输出".encode("gbk"), b"\xff", b"ok"))
    names = [name for node in scan_bytes(graph_model(graph)).model.graph.node for name in node.output]
    assert all(isinstance(name, str) for name in names)
    assert len(set(names)) == 3


def test_unknown_fields_are_dropped_and_memory_does_not_grow_with_them() -> None:
    unknown = field(999, b"u" * 8_000_000)
    data = unknown + graph_model(field(2, b"g") + unknown + field(1, field(4, b"Relu") + field(900, b"z")))
    scanned = scan_bytes(data)
    assert scanned.model == onnx.ModelProto(ir_version=8, graph=onnx.GraphProto(name="g", node=[onnx.NodeProto(op_type="Relu")]))


def test_overlong_tags_and_negative_numbers_are_read_as_protobuf_reads_them() -> None:
    node = b"\xa2\x00" + field(4, b"Relu")[1:] + field(5, field(1, b"axis") + b"\x18" + varint(2**64 - 3) + b"\xa0\x01\x02")
    data = graph_model(field(1, node))
    scanned = scan_bytes(data)
    assert scanned.model == onnx.ModelProto.FromString(data)
    assert scanned.model.graph.node[0].attribute[0].i == -3


def test_large_sparse_file_opens_in_little_memory(tmp_path: Path) -> None:
    """Protobuf refuses a message of 2 GiB, and reading 3 GiB would show in memory."""
    size = 3 << 30
    head = b"\x08" + varint(size // 4) + b"\x10\x01" + field(8, b"w") + b"\x4a" + varint(size)
    tensor = b"\x2a" + varint(len(head) + size) + head
    path = tmp_path / "large.onnx"
    path.write_bytes(b"\x08\x08\x3a" + varint(len(tensor) + size) + tensor)
    start = path.stat().st_size
    os.truncate(path, start + size)
    tracemalloc.start()
    scanned = scan(LocalFile(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(scanned.payloads.values()) == [(Run(start, size, "raw_data", True),)]
    assert scanned.model.graph.initializer[0].dims == [size // 4]
    assert peak < 2 << 20


def test_half_a_gigabyte_of_many_tensors_opens_in_little_memory(tmp_path: Path) -> None:
    size = 16 << 20
    head = b"\x08" + varint(size) + b"\x10\x02" + b"\x4a" + varint(size)
    tensor = b"\x2a" + varint(len(head) + size) + head
    path = tmp_path / "many.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x08\x3a" + varint(32 * (len(tensor) + size)))
        for _ in range(32):
            file.write(tensor)
            file.seek(size, os.SEEK_CUR)
        file.truncate()
    tracemalloc.start()
    scanned = scan(LocalFile(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(scanned.payloads) == len(scanned.model.graph.initializer) == 32
    assert peak < 2 << 20


def test_a_graph_of_100000_nodes_and_a_deep_chain_are_legal() -> None:
    node = field(1, field(1, b"x") + field(2, b"y") + field(4, b"Conv") + field(5, field(1, b"strides") + b"\x40\x01\x40\x01"))
    scanned = scan_bytes(graph_model(node * 100_000))
    assert len(scanned.model.graph.node) == 100_000


@pytest.mark.parametrize(
    ("code", "limits", "graph"),
    [
        ("nodes", Limits(nodes=3), field(1, field(4, b"Relu")) * 4),
        ("tensors", Limits(tensors=3), field(5, b"\x10\x01") * 4),
        ("attributes", Limits(attributes=3), field(1, field(5, field(1, b"a")) * 4)),
        ("graphs", Limits(graphs=3), field(1, field(5, field(6, field(2, b"g"))) * 3)),
        ("messages", Limits(messages=5), field(11, field(2, b"")) * 3),
        ("strings", Limits(strings=3), field(1, field(1, b"") * 4)),
        ("values", Limits(values=3), field(5, field(1, b"\x01" * 4))),
        ("values", Limits(values=3), field(1, field(5, b"\x40\x01" * 4))),
        ("values", Limits(values=999), field(1, field(5, field(8, b"\x01" * 2000)))),
        ("name-bytes", Limits(name_bytes=2000), field(2, b"n" * 2001)),
        ("structure-bytes", Limits(structure_bytes=9000), field(1, field(5, field(7, b"\0" * 9000)))),
        ("fields", Limits(fields=90), field(2, b"g") + field(999, b"") * 90),
        ("runs", Limits(runs=3), field(5, b"\x10\x01" + field(4, b"1234" * 400) * 4)),
        ("depth", Limits(depth=3), field(1, field(5, field(6, field(1, b""))))),
    ],
)
def test_each_limit_has_its_code(code: str, limits: Limits, graph: bytes) -> None:
    with pytest.raises(Refused) as caught:
        scan_bytes(graph_model(graph), limits)
    assert (caught.value.fault, caught.value.code) == ("limit", f"limit-{code}")
    assert scan_bytes(graph_model(graph)).model.HasField("graph")


def test_functions_have_a_limit() -> None:
    data = graph_model(field(2, b"g")) + field(25, field(1, b"f")) * 4
    with pytest.raises(Refused, match="functions") as caught:
        scan_bytes(data, Limits(functions=3))
    assert caught.value.code == "limit-functions"


def test_depth_is_what_protobuf_can_parse() -> None:
    def nested(count: int) -> bytes:
        graph = field(2, b"g")
        for _ in range(count):
            graph = field(1, field(5, field(6, graph)))
        return graph_model(graph)

    assert scan_bytes(nested(33)).model == onnx.ModelProto.FromString(nested(33))
    for count in (34, 400, 5000):
        with pytest.raises(Refused) as caught:
            scan_bytes(nested(count))
        assert caught.value.code == "limit-depth"


@pytest.mark.property
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_cut_of_values_between_structure_and_payload(data: st.DataObject) -> None:
    """Whatever counts as large, structure and values together are the model."""
    inline = data.draw(st.integers(0, 9000), "inline_bytes")
    model = nested_model()
    scanned = scan_bytes(model.SerializeToString(), Limits(inline_bytes=inline))
    assert without_payloads(scanned.model, inline) == without_payloads(model, inline)
    for slim, whole in zip(tensors(scanned.model), tensors(model), strict=True):
        if slim.external_data and slim.external_data[0].value.startswith(MARKER):
            assert stored_bytes(scanned, slim) == whole.raw_data
        else:
            assert slim.raw_data == whole.raw_data


@pytest.mark.corpus
def test_every_model_of_the_corpus_scans_to_what_protobuf_parses(corpus: Path) -> None:
    models = [path for path in sorted(corpus.rglob("*.onnx")) if not path.name.startswith("bad_")]
    assert len(models) > 80
    refused = set()
    for path in models:
        try:
            scanned = scan(LocalFile(path))
        except Refused:
            refused.add(path.name)
            continue
        assert without_payloads(scanned.model) == without_payloads(onnx.ModelProto.FromString(path.read_bytes())), path.name
    assert refused == {"ort_corrupt_model.onnx", "winml_yolov4_lfs_pointer.onnx"}
