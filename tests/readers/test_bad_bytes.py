"""Bytes that are no model: always a Refused that says so, never another exception, never much memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError, Message
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from service.faults import Refused
from service.limits import Limits
from service.readers.formats import SNIFF_BYTES, recognise
from service.readers.tensors.stored import Storage
from service.readers.tensors.weights import read_blocks
from service.readers.wire.scan import scan
from service.sources.local import LocalFile
from tests.bad_inputs.damaged_bytes import DAMAGED, FLOODS, OTHER_FORMATS
from tests.readers.test_wire import nested_model
from tests.readers.wire_bytes import field, graph_model, scan_bytes, tensors, varint, without_payloads

# Small limits of size, so that the small models of these tests take every path.
SMALL = Limits(inline_bytes=40)


def refusal(data: bytes, limits: Limits | None = None) -> tuple[str, str]:
    with pytest.raises(Refused) as caught:
        scan_bytes(data, limits)
    assert caught.value.detail
    return caught.value.fault, caught.value.code


def use(data: bytes) -> None:
    """Scan and read whatever can be read; ReadErrors are answers."""
    for limits in (SMALL, Limits()):
        try:
            scanned = scan_bytes(data, limits)
        except Refused:
            continue
        storage = Storage(scanned, external_missing="ignore")
        for proto in tensors(scanned.model):
            try:
                tensor = storage.tensor(proto)
                if tensor.count < 1 << 20:
                    list(read_blocks(tensor))
            except Refused as error:
                assert error.fault in ("invalid", "malformed")


def mixed_model() -> bytes:
    """A model with typed values, sparse ones, strings, subgraphs and functions, small enough to be broken in many ways."""
    model = nested_model()
    graph = model.graph
    graph.initializer.add(name="typed", dims=[30], data_type=6, int32_data=list(range(-15, 15)))
    graph.initializer.add(name="half", dims=[30], data_type=10, int32_data=list(range(30)))
    graph.initializer.add(name="four", dims=[59], data_type=22, raw_data=bytes(range(30)))
    graph.initializer.add(name="text", dims=[2], data_type=8, string_data=[b"a" * 30, b"b" * 30])
    for tensor in tensors(model):
        if len(tensor.raw_data) > 100:
            wide = tensor.data_type == onnx.TensorProto.INT64
            tensor.CopyFrom(numpy_helper.from_array(np.arange(15, dtype=np.int64 if wide else np.float32), tensor.name))
    del graph.node[3].attribute[:2]
    return model.SerializeToString()


@pytest.mark.parametrize(("answer", "data"), DAMAGED)
def test_what_is_wrong_is_said(answer: tuple[str, str], data: bytes) -> None:
    assert refusal(data) == refusal(data, SMALL) == answer


def test_a_mebibyte_of_noise_and_eight_of_unknown_fields() -> None:
    assert refusal(np.random.default_rng(0).bytes(1 << 20)) == ("malformed", "not-protobuf")
    assert refusal(field(100, bytes(8 << 20))) == ("malformed", "not-protobuf")


@pytest.mark.parametrize(("name", "data"), OTHER_FORMATS)
def test_other_formats_are_named(name: str, data: bytes) -> None:
    assert recognise(data[:SNIFF_BYTES], len(data)) == name
    with pytest.raises(Refused) as caught:
        scan_bytes(data)
    assert (caught.value.fault, caught.value.code) == ("unsupported", "unsupported-format")
    assert name in caught.value.detail


def test_onnx_is_no_other_format() -> None:
    for version in range(1, 20):
        for producer in (b"", b"pytorch", b"tf2onnx", b"\x12", b"keras2onnx", b"a" * 200):
            data = b"\x08" + varint(version) + field(2, producer) + field(7, field(2, b"g"))
            assert recognise(data, len(data)) is None
            scan_bytes(data)


@pytest.mark.corpus
def test_no_model_of_the_corpus_is_taken_for_another_format(corpus: Path) -> None:
    others = {
        recognise(LocalFile(path).read(0, min(SNIFF_BYTES, path.stat().st_size)), path.stat().st_size) for path in corpus.rglob("*.onnx")
    }
    assert others == {None, "Git LFS pointer"}


@pytest.mark.parametrize("cut", range(64))
def test_a_model_cut_anywhere(cut: int) -> None:
    for data in (nested_model().SerializeToString(), mixed_model()):
        assert refusal(data[: len(data) * cut // 64])[0] == "malformed"


def test_single_bit_flips_are_an_answer() -> None:
    data = mixed_model()
    for position in range(0, len(data), 2):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position // 2 % 8
        use(bytes(flipped))


@pytest.mark.property
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
@example(b"\x3a\x02\x0a\x00")
def test_any_bytes_are_an_answer(data: bytes) -> None:
    use(data)
    use(graph_model(data))
    use(graph_model(field(1, data)))
    use(graph_model(field(5, data)))
    use(graph_model(field(15, field(1, data))))


@pytest.mark.property
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_an_answer(data: st.DataObject) -> None:
    model = bytearray(mixed_model())
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(model)))
        model[start : start + data.draw(st.integers(0, 20))] = data.draw(st.binary(max_size=20))
    use(bytes(model))


@pytest.mark.property
@pytest.mark.parametrize("limits", [SMALL, Limits()], ids=["cut", "whole"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_is_accepted_is_what_protobuf_accepts(limits: Limits, data: st.DataObject) -> None:
    """Where a damaged model still scans, protobuf parses it too, and to the same structure; but for damage inside values that were cut
    out, which is found when they are read.
    """
    model = bytearray(mixed_model())
    for _ in range(data.draw(st.integers(1, 3))):
        model[data.draw(st.integers(0, len(model) - 1))] = data.draw(st.integers(0, 255))
    try:
        scanned = scan_bytes(bytes(model), limits)
    except Refused:
        return
    try:
        expected = onnx.ModelProto.FromString(bytes(model))
    except DecodeError:
        storage = Storage(scanned, external_missing="ignore")
        assert any(unreadable(storage, proto) for proto in tensors(scanned.model))
        return
    assume(not has_bytes_for_text(expected))
    assert without_payloads(scanned.model, limits.inline_bytes) == without_payloads(expected, limits.inline_bytes)


def unreadable(storage: Storage, proto: onnx.TensorProto) -> bool:
    """Whether reading the values of a tensor fails because they are damaged."""
    try:
        list(read_blocks(storage.tensor(proto)))
    except Refused as error:
        return error.fault in ("invalid", "malformed")
    return False


def has_bytes_for_text(message: Message) -> bool:
    """Whether protobuf gives bytes for a text that is not UTF-8, which the scan repairs."""
    for descriptor, value in message.ListFields():
        children = value if descriptor.is_repeated else [value]
        if descriptor.message_type is not None and any(map(has_bytes_for_text, children)):
            return True
        if descriptor.type == descriptor.TYPE_STRING and any(isinstance(child, bytes) for child in children):
            return True
    return False


# Floods: much structure in few bytes.


@pytest.mark.parametrize(
    ("code", "flood", "count"),
    [
        ("limit-functions", "functions", 4 << 20),
        ("limit-values", "dims", 20 << 20),
        ("limit-values", "ints", 17 << 20),
        ("limit-name-bytes", "name", 1 << 20),
    ],
)
def test_floods_are_refused_in_little_memory(code: str, flood: str, count: int) -> None:
    data = b"\x08\x08" + FLOODS[flood](count)
    tracemalloc.start()
    try:
        assert refusal(data) == ("limit", code)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("code", "flood", "limits"),
    [
        ("limit-fields", "strings", Limits(fields=20_000)),
        ("limit-strings", "strings", Limits(strings=20_000)),
        ("limit-nodes", "nodes", Limits(nodes=20_000)),
        ("limit-tensors", "tensors", Limits(tensors=20_000)),
        ("limit-messages", "messages", Limits(messages=20_000)),
        ("limit-fields", "unknown", Limits(fields=20_000)),
    ],
)
def test_floods_that_are_walked_one_by_one_end_at_the_limit(code: str, flood: str, limits: Limits) -> None:
    """Protobuf makes 580 MB of 7.6 MiB of empty nodes. (The default limits are higher: under tracemalloc they take long to reach.)"""
    data = b"\x08\x08" + FLOODS[flood](4 << 20)
    tracemalloc.start()
    try:
        assert refusal(data, limits) == ("limit", code)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_millions_of_empty_nodes_exceed_the_default_limits() -> None:
    assert refusal(b"\x08\x08" + FLOODS["nodes"](4 << 20)) == ("limit", "limit-nodes")


def test_a_hundred_megabytes_of_metadata_are_left_out() -> None:
    data = graph_model(field(2, b"g")) + field(14, field(1, b"key") + field(2, b"v" * 100_000_000))
    tracemalloc.start()
    scanned = scan_bytes(data)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    assert scanned.left_out == 100_000_000 - 64


def test_odd_names_are_kept_as_they_are() -> None:
    names = ["\u202egnp.exe", "a\0b", "<script>alert(1)</script>", "{{7*7}}", "=cmd()", "../x", "x\n2024 INFO forged"]
    graph = b"".join(field(1, field(3, name.encode())) for name in names)
    assert [node.name for node in scan_bytes(graph_model(graph)).model.graph.node] == names


def test_a_directory_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="regular file"):
        scan(LocalFile(tmp_path))
