"""Values of stored tensors, against onnx.numpy_helper, in every element type and every form of storage."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from service.faults import Refused
from service.graph.stored_values import as_float
from service.limits import Limits
from service.readers.tensors.element_types import ELEMENT_TYPES
from service.readers.tensors.stored import InFile, Inline, Storage, StoredTensor
from service.readers.tensors.weights import dequantize, read, read_blocks
from service.readers.wire.scan import scan
from service.sources.local import LocalFile
from tests.readers.wire_bytes import Bytes, field, graph_model, scan_bytes, tensors, varint

NUMBERS = sorted(ELEMENT_TYPES)
IN_FILE, AS_STRUCTURE = Limits(inline_bytes=0), Limits(inline_bytes=1 << 20)


def example(data_type: int, count: int, seed: int = 0) -> np.ndarray:
    """Every bit pattern of the type, more or less, as numpy_helper makes it from raw bytes."""
    element = ELEMENT_TYPES[data_type]
    data = np.random.default_rng(seed).integers(0, 256, element.raw_bytes(count), dtype=np.uint8)
    if data_type == TensorProto.BOOL:
        data &= 1
    values = numpy_helper.to_array(TensorProto(dims=[count], data_type=data_type, raw_data=data.tobytes())).copy()
    if ELEMENT_TYPES[data_type].dtype.kind not in "iub":
        with np.errstate(invalid="ignore"):
            values[np.isnan(values)] = np.nan  # bytes can be signalling NaNs, a Python float cannot
    return values


def as_raw(values: np.ndarray, data_type: int) -> TensorProto:
    return helper.make_tensor("t", data_type, values.shape, numpy_helper.tobytes_little_endian(_packed(values, data_type)), raw=True)


def _packed(values: np.ndarray, data_type: int) -> np.ndarray:
    bits = ELEMENT_TYPES[data_type].bits
    if bits >= 8:
        return values
    codes = values.view(np.uint8).reshape(-1) & ((1 << bits) - 1)
    stream = np.unpackbits(codes[:, None], axis=1, count=bits, bitorder="little").reshape(-1)
    return np.packbits(stream, bitorder="little")


def as_typed(values: np.ndarray, data_type: int) -> TensorProto:
    """The tensor in int32_data and its kin, by the packing rules of onnx.proto."""
    element, flat = ELEMENT_TYPES[data_type], values.reshape(-1)
    proto = TensorProto(name="t", dims=values.shape, data_type=data_type)
    if flat.dtype.kind == "c":
        numbers = flat.view(f"f{flat.itemsize // 2}")
    elif element.bits == 6:
        numbers = flat.view(np.uint8) & 63
    elif element.bits < 8:
        numbers = _packed(flat, data_type)
    elif flat.dtype.kind in "iu" or element.field in ("float_data", "double_data"):
        numbers = flat
    else:
        numbers = flat.view(f"u{flat.itemsize}")
    getattr(proto, element.field).extend(numbers.tolist())
    return proto


def one_by_one(proto: TensorProto) -> bytes:
    """The tensor serialised with every number under a tag of its own."""
    body = b"".join(b"\x08" + varint(n) for n in proto.dims) + b"\x10" + varint(proto.data_type)
    name = ELEMENT_TYPES[proto.data_type].field
    number = TensorProto.DESCRIPTOR.fields_by_name[name].number
    for value in getattr(proto, name):
        if name in ("float_data", "double_data"):
            wire, code = (5, "<f4") if name == "float_data" else (1, "<f8")
            body += varint(number << 3 | wire) + np.array(value, code).tobytes()
        else:
            body += varint(number << 3) + varint(value % (1 << 64))
    return body


def stored(tensor: TensorProto | bytes, limits: Limits = IN_FILE) -> StoredTensor:
    data = tensor if isinstance(tensor, bytes) else tensor.SerializeToString()
    scanned = scan_bytes(graph_model(field(5, data)), limits)
    return Storage(scanned).tensor(scanned.model.graph.initializer[0])


def comparable(values: np.ndarray) -> bytes:
    """The bits of the values; numpy_helper's 4- and 2-bit integers are widened to whole bytes."""
    if values.dtype in (ml_dtypes.int4, ml_dtypes.int2):
        values = values.astype(np.int8)
    if values.dtype in (ml_dtypes.uint4, ml_dtypes.uint2):
        values = values.astype(np.uint8)
    return values.tobytes()


def test_every_type_of_the_installed_onnx_is_known() -> None:
    assert set(NUMBERS) == set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING}


@pytest.mark.parametrize("limits", [IN_FILE, AS_STRUCTURE], ids=["file", "inline"])
@pytest.mark.parametrize("count", [1, 7, 30, 1001])
@pytest.mark.parametrize("data_type", NUMBERS, ids=TensorProto.DataType.Name)
def test_every_type_in_every_form(data_type: int, count: int, limits: Limits) -> None:
    values = example(data_type, count)
    raw, typed = as_raw(values, data_type), as_typed(values, data_type)
    for proto in (raw, typed, one_by_one(typed)):
        whole = proto if isinstance(proto, TensorProto) else TensorProto.FromString(proto)
        tensor = stored(proto, limits)
        assert isinstance(tensor.where, InFile if limits is IN_FILE else Inline)
        result = read(tensor)
        assert result.shape == (count,)
        assert result.tobytes() == comparable(numpy_helper.to_array(whole)) == comparable(values)


@pytest.mark.parametrize("data_type", NUMBERS, ids=TensorProto.DataType.Name)
def test_blocks_do_not_depend_on_the_form(data_type: int) -> None:
    values = example(data_type, 12 * 85, seed=1).reshape(12, 85)
    forms = [stored(as_raw(values, data_type)), stored(as_typed(values, data_type)), stored(one_by_one(as_typed(values, data_type)))]
    whole = read(forms[0]).reshape(-1)
    for tensor in forms:
        blocks = list(read_blocks(tensor, block_bytes=300, multiple=85))
        assert {len(block) % 85 for block in blocks} == {0}
        assert len(blocks) > 2 or whole.itemsize == 1
        assert np.concatenate(blocks).tobytes() == whole.tobytes()


@pytest.mark.property
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_blocks_of_any_length_are_the_values(data: st.DataObject) -> None:
    data_type = data.draw(st.sampled_from(NUMBERS))
    count = data.draw(st.integers(0, 400))
    values = example(data_type, count, seed=count)
    form: Callable[[np.ndarray, int], TensorProto] = data.draw(st.sampled_from([as_raw, as_typed]))
    tensor = stored(form(values, data_type), data.draw(st.sampled_from([IN_FILE, AS_STRUCTURE])))
    if count == 0:
        assert read(tensor).shape == (0,)
        return
    multiple = data.draw(st.integers(1, 50))
    blocks = list(read_blocks(tensor, data.draw(st.integers(1, 500)), multiple))
    assert all(len(block) % multiple == 0 for block in blocks[:-1])
    assert np.concatenate(blocks).tobytes() == comparable(values)


@pytest.mark.property
@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=300))
def test_varints_of_every_length(numbers: list[int]) -> None:
    proto = TensorProto(dims=[len(numbers)], data_type=TensorProto.INT64, int64_data=numbers)
    for data in (proto.SerializeToString(), one_by_one(proto)):
        tensor = stored(data)
        assert read(tensor).tolist() == numbers
        assert np.concatenate(list(read_blocks(tensor, block_bytes=8))).tolist() == numbers


def test_split_typed_values_are_one_tensor() -> None:
    parts = [np.arange(5, dtype=np.float32), np.arange(700, dtype=np.float32)]
    single = b"".join(b"\x25" + n.tobytes() for n in parts[0])
    data = b"\x08\xc6\x05\x10\x01" + field(4, parts[0].tobytes()) + single + field(4, parts[1].tobytes())
    data = data.replace(b"\x08\xc6\x05", b"\x08" + varint(710))
    assert read(stored(data)).tolist() == np.concatenate([parts[0], parts[0], parts[1]]).tolist()


def test_raw_data_goes_before_typed_data_as_in_numpy_helper() -> None:
    proto = TensorProto(dims=[3], data_type=1, raw_data=np.float32([1, 2, 3]).tobytes(), float_data=[4, 5, 6])
    assert read(stored(proto)).tolist() == read(stored(proto, AS_STRUCTURE)).tolist() == numpy_helper.to_array(proto).tolist() == [1, 2, 3]


def test_scalars_and_empty_tensors() -> None:
    assert read(stored(numpy_helper.from_array(np.float32(3.5)))).tolist() == 3.5
    empty = stored(numpy_helper.from_array(np.zeros((3, 0, 5), np.float32)))
    assert (empty.count, read(empty).shape, list(read_blocks(empty, multiple=0))) == (0, (3, 0, 5), [])


def test_as_float_keeps_every_value() -> None:
    for data_type in NUMBERS:
        values = read(stored(as_raw(example(data_type, 500), data_type)))
        result = as_float(values)
        assert result.dtype in (np.float32, np.float64)
        if values.dtype.kind == "c":
            assert result[0] == pytest.approx(abs(complex(values[0])), nan_ok=True)
        elif values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
            assert np.array_equal(result.astype(np.float64), values.astype(np.float64), equal_nan=True)


def test_reading_a_block_takes_the_memory_of_a_block() -> None:
    source = Bytes(graph_model(field(5, b"\x08" + varint(1 << 26) + b"\x10\x03" + field(9, bytes(1 << 26)))))
    scanned = scan(source)
    tensor = Storage(scanned).tensor(scanned.model.graph.initializer[0])
    tracemalloc.start()
    assert sum(len(block) for block in read_blocks(tensor, block_bytes=1 << 20)) == 1 << 26
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 24 << 20


# Dequantisation.


def test_dequantisation_is_that_of_the_reference_implementation() -> None:
    from onnx.reference import ReferenceEvaluator  # the definition, for tests only

    generator = np.random.default_rng(0)
    values = generator.integers(-128, 128, (4, 6, 5), dtype=np.int8)

    def reference(scale: np.ndarray, zero_point: np.ndarray, **attributes: int) -> np.ndarray:
        node = helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], **attributes)
        infos = [helper.make_tensor_value_info(n, t, None) for n, t in (("x", TensorProto.INT8), ("s", 1), ("z", TensorProto.INT8))]
        graph = helper.make_graph([node], "g", infos, [helper.make_tensor_value_info("y", 1, None)])
        feeds = {"x": values, "s": scale, "z": zero_point}
        result = ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])).run(None, feeds)[0]
        return np.asarray(result)

    for shape, axis, block in (((), 1, 0), ((4,), 0, 0), ((6,), 1, 0), ((5,), -1, 0), ((4, 3, 5), 1, 2), ((4, 6, 2), 2, 3)):
        scale = generator.random(shape, dtype=np.float32) + np.float32(0.5)
        point = generator.integers(-20, 20, shape, dtype=np.int8)
        point, scale = np.asarray(point, np.int8), np.asarray(scale, np.float32)
        result = dequantize(values, scale, point, axis, block)
        assert result.dtype == np.float32
        assert np.array_equal(result, reference(scale, point, axis=axis, block_size=block)), shape
        if block:
            assert np.array_equal(result, dequantize(values, scale, point, axis))


def test_dequantisation_of_floats_and_of_32_bit_integers() -> None:
    tiny = np.array([0.5, -6], ml_dtypes.float4_e2m1fn)
    assert dequantize(tiny, np.array(2, ml_dtypes.float8_e8m0fnu)).tolist() == [1, -12]
    wide = np.array([2**31 - 1, 5], np.int32)
    assert dequantize(wide, np.float32(1), np.int32(2**31 - 3)).tolist() == [2, np.float32(5 - (2**31 - 3))]


@pytest.mark.parametrize(
    ("shape", "axis", "block"), [((3,), 1, 0), ((2, 3), 5, 0), ((2, 5), 1, 0), ((2, 2), 1, 1), ((0,), 0, 0), ((2, 1), 1, 3)]
)
def test_scales_that_do_not_fit(shape: tuple[int, ...], axis: int, block: int) -> None:
    with pytest.raises(Refused) as caught:
        dequantize(np.zeros((2, 4), np.int8), np.ones(shape, np.float32), None, axis, block)
    assert caught.value.code == "quantization-shape"


def test_a_huge_block_size_takes_no_memory() -> None:
    assert dequantize(np.ones((2, 4), np.int8), np.ones((2, 1), np.float32), None, 1, 1 << 60).tolist() == [[1] * 4] * 2


# Sparse tensors.


def sparse(values: TensorProto, indices: np.ndarray, dims: list[int]) -> StoredTensor:
    proto = onnx.SparseTensorProto(values=values, indices=numpy_helper.from_array(indices, ""), dims=dims)
    scanned = scan_bytes(graph_model(field(15, proto.SerializeToString())), IN_FILE)
    return Storage(scanned).sparse(scanned.model.graph.sparse_initializer[0])


def test_sparse_tensors_with_linear_and_coordinate_indices() -> None:
    dense = np.zeros((3, 4, 5), np.float32)
    coordinates = np.array([[0, 0, 1], [1, 3, 4], [2, 0, 0], [2, 3, 4]])
    dense[tuple(coordinates.T)] = [1, 2, 0, 4]
    values = numpy_helper.from_array(np.float32([1, 2, 0, 4]), "s")
    linear = np.ravel_multi_index(tuple(coordinates.T), dense.shape)
    for indices in (coordinates, linear):
        tensor = sparse(values, indices, [3, 4, 5])
        assert (tensor.name, tensor.dims, tensor.count, tensor.stored_count, tensor.readable) == ("s", (3, 4, 5), 60, 4, True)
        assert np.array_equal(read(tensor), dense)
        assert np.array_equal(np.concatenate(list(read_blocks(tensor, 80, 20))), dense.reshape(-1))


@pytest.mark.parametrize(
    ("indices", "dims", "code"),
    [
        ([1, 0], [9], "sparse-indices"),
        ([1, 1], [9], "sparse-indices"),
        ([1, 9], [9], "sparse-indices"),
        ([-1, 2], [9], "sparse-indices"),
        ([[0, 0], [0, 3]], [3, 3], "sparse-indices"),
        ([[0, 0, 0], [0, 0, 1]], [3, 3], "sparse-indices"),
        ([1, 2, 3], [9], "sparse-indices"),
        ([0, 0], [1], "sparse-indices"),
        ([1, 2], [1 << 40], "limit-tensor"),
        ([1, 2], [-9], "tensor-size"),
    ],
)
def test_wrong_sparse_tensors(indices: list[int], dims: list[int], code: str) -> None:
    with pytest.raises(Refused) as caught:
        read(sparse(numpy_helper.from_array(np.float32([1, 2]), "s"), np.array(indices, np.int64), dims))
    assert caught.value.code == code


# External data.


def external(folder: Path, dims: list[int], data: bytes = bytes(range(64)), missing: str = "error", **entries: str) -> StoredTensor:
    (folder / "part").write_bytes(data)
    proto = TensorProto(name="t", dims=dims, data_type=TensorProto.UINT8, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "weights.bin", **entries}.items():
        proto.external_data.add(key=key, value=value)
    scanned = scan_bytes(helper.make_model(helper.make_graph([], "g", [], [], [proto])).SerializeToString())
    storage = Storage(scanned, {"weights.bin": folder / "part"}, "ignore" if missing == "ignore" else "error")
    return storage.tensor(scanned.model.graph.initializer[0])


def test_external_data_is_read_from_the_part_of_that_name(tmp_path: Path) -> None:
    assert read(external(tmp_path, [8, 8])).reshape(-1).tolist() == list(range(64))
    assert read(external(tmp_path, [5], offset="7")).tolist() == [7, 8, 9, 10, 11]
    assert read(external(tmp_path, [5], offset="59", length="5", basepath="x", prepacked_0="y")).tolist() == list(range(59, 64))


def test_checksums_are_held_against_the_whole_file(tmp_path: Path) -> None:
    right = hashlib.sha1(bytes(range(64))).hexdigest()
    assert read(external(tmp_path, [2], checksum=right.upper())).tolist() == [0, 1]
    with pytest.raises(Refused) as caught:
        read(external(tmp_path, [2], checksum="0" * 40))
    assert caught.value.code == "external-checksum"


@pytest.mark.parametrize(
    "location",
    [
        "",
        ".",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "\\\\host\\share",
        "a/b",
        "./weights.bin",
        "weights.bin\0",
        "C:\\x",
    ],
)
def test_only_bare_file_names_are_followed(location: str, tmp_path: Path) -> None:
    for missing in ("error", "ignore"):
        with pytest.raises(Refused) as caught:
            external(tmp_path, [5], location=location, missing=missing)
        assert (caught.value.fault, caught.value.code) == ("invalid", "external-path")


@pytest.mark.parametrize(
    ("code", "entries"),
    [
        ("external-missing", {"location": "other.bin"}),
        ("external-range", {"offset": "60"}),
        ("external-range", {"offset": "-1"}),
        ("external-range", {"offset": str(1 << 63)}),
        ("external-range", {"offset": "9" * 1000}),
        ("external-range", {"offset": "0x1"}),
        ("external-range", {"offset": "1_0"}),
        ("external-range", {"offset": "٣"}),
        ("external-range", {"length": ""}),
        ("external-range", {"length": "-5"}),
        ("tensor-size", {"length": str(1 << 60)}),
        ("tensor-size", {"length": "4"}),
        ("external-key", {"__class__": "x"}),
        ("external-key", {"": "x"}),
        ("external-checksum", {"checksum": "abc"}),
    ],
)
def test_wrong_external_data(code: str, entries: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        external(tmp_path, [5], **entries)
    assert (caught.value.fault, caught.value.code) == ("invalid", code)


def test_doubled_and_missing_external_keys(tmp_path: Path) -> None:
    for keys in ([], ["offset"], ["location", "location"]):
        proto = TensorProto(name="t", dims=[5], data_type=2, data_location=TensorProto.EXTERNAL)
        for key in keys:
            proto.external_data.add(key=key, value="1")
        scanned = scan_bytes(helper.make_model(helper.make_graph([], "g", [], [], [proto])).SerializeToString())
        with pytest.raises(Refused) as caught:
            Storage(scanned).tensor(scanned.model.graph.initializer[0])
        assert caught.value.code == "external-key"


def test_missing_files_may_be_ignored(tmp_path: Path) -> None:
    tensor = external(tmp_path, [5, 7], location="other.bin", missing="ignore")
    assert (tensor.dims, tensor.dtype, tensor.count, tensor.readable) == ((5, 7), "uint8", 35, False)
    with pytest.raises(Refused) as caught:
        read(tensor)
    assert caught.value.code == "tensor-unreadable"


def test_a_part_that_is_no_regular_file(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    scanned = scan_bytes(
        helper.make_model(
            helper.make_graph(
                [],
                "g",
                [],
                [],
                [TensorProto(name="t", dims=[1], data_type=2, data_location=1, external_data=[{"key": "location", "value": "p"}])],
            )
        ).SerializeToString()
    )
    with pytest.raises(Refused, match="regular file"):
        Storage(scanned, {"p": tmp_path / "part"}).tensor(scanned.model.graph.initializer[0])


# Tensors that contradict themselves.


@pytest.mark.parametrize("limits", [IN_FILE, AS_STRUCTURE], ids=["file", "inline"])
@pytest.mark.parametrize(
    ("code", "proto"),
    [
        ("tensor-size", TensorProto(dims=[4], data_type=1, raw_data=bytes(15))),
        ("tensor-size", TensorProto(dims=[4], data_type=1, raw_data=bytes(17))),
        ("tensor-size", TensorProto(dims=[5], data_type=TensorProto.INT4, raw_data=bytes(2))),
        ("tensor-size", TensorProto(dims=[5], data_type=TensorProto.INT4, raw_data=bytes(4))),
        ("tensor-size", TensorProto(dims=[4], data_type=1, float_data=[1.0] * 3)),
        ("tensor-size", TensorProto(dims=[4], data_type=1, float_data=[1.0] * 5)),
        ("tensor-size", TensorProto(dims=[4], data_type=1, int32_data=[1] * 4)),
        ("tensor-size", TensorProto(dims=[4], data_type=6, int32_data=[1] * 3)),
        ("tensor-size", TensorProto(dims=[4], data_type=6, int32_data=[300] * 5)),
        ("tensor-size", TensorProto(dims=[1 << 40], data_type=7, int64_data=[1] * 99)),
        ("tensor-size", TensorProto(dims=[-1], data_type=1, raw_data=bytes(4))),
        ("tensor-size", TensorProto(dims=[(1 << 63) - 1] * 3, data_type=1, raw_data=bytes(4))),
        ("tensor-size", TensorProto(dims=[1] * 70, data_type=1, raw_data=bytes(4))),
        ("tensor-type", TensorProto(dims=[1], data_type=0, raw_data=bytes(4))),
        ("tensor-type", TensorProto(dims=[1], data_type=999, raw_data=bytes(4))),
    ],
)
def test_tensors_of_the_wrong_size_or_type(code: str, proto: TensorProto, limits: Limits) -> None:
    with pytest.raises(Refused) as caught:
        read(stored(proto, limits))
    assert (caught.value.fault, caught.value.code) == ("invalid", code)


def test_varints_that_are_none() -> None:
    for body in (b"\x80" * 40, b"\x81" * 11 + b"\x01" * 9, b"\x01" * 10 + b"\x80"):
        with pytest.raises(Refused):
            read(stored(b"\x08\x0a\x10\x07" + field(7, body)))


def test_strings_segments_and_stripped_weights_are_unreadable() -> None:
    protos = [
        TensorProto(name="t", dims=[2], data_type=TensorProto.STRING, string_data=[b"a" * 2000, b"b"]),
        TensorProto(name="t", dims=[2], data_type=1, float_data=[1, 2], segment={"begin": 0, "end": 2}),
        TensorProto(name="t", dims=[2], data_type=1),
        TensorProto(name="t", dims=[2], data_type=1, raw_data=b""),
    ]
    for proto in protos:
        tensor = stored(proto)
        assert (tensor.count, tensor.readable) == (2, False)
        with pytest.raises(Refused) as caught:
            read(tensor)
        assert caught.value.code == "tensor-unreadable"


@pytest.mark.corpus
def test_every_tensor_of_the_corpus_has_the_values_of_numpy_helper(corpus: Path) -> None:
    read_count = 0
    for path in sorted(corpus.rglob("*.onnx")):
        if path.name.startswith(("bad_", "ort_corrupt", "winml_yolov4_lfs")) or path.parent.name == "graphonly":
            continue
        scanned = scan(LocalFile(path))
        storage = Storage(scanned, {part.name: part for part in path.parent.iterdir() if part.suffix in (".data", ".bin")})
        for slim, whole in zip(tensors(scanned.model), tensors(onnx.ModelProto.FromString(path.read_bytes())), strict=True):
            tensor = storage.tensor(slim)
            if tensor.readable:
                values = numpy_helper.to_array(whole, str(path.parent))
                assert read(tensor).shape == values.shape, path.name
                assert read(tensor).tobytes() == comparable(values), path.name
                read_count += 1
            else:
                assert tensor.dtype == "string" or path.name == "trt_weightless_conv.onnx"
    assert read_count > 3000
