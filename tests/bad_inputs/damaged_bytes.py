"""Bytes that are no model (1 to 13, 20, 35): empty, random, cut, flipped, of another format, and floods of small messages."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable

import numpy as np

from tests.bad_inputs import JSON, BadInput
from tests.readers.onnx_models import model, node
from tests.readers.wire_bytes import field, graph_model, varint

SPEC = b'{"receptive": 1, "input": {"shape": [3, 8, 8]}, "layers": [{"type": "conv", "filters": 2, "kernel": 3}]}'

DAMAGED: tuple[tuple[tuple[str, str], bytes], ...] = (
    (("malformed", "empty-body"), b""),
    (("malformed", "not-protobuf"), b"\0"),
    (("malformed", "no-graph"), b"\x08\x08"),
    (("malformed", "no-graph"), b"\x08\x08" + field(2, b"producer")),
    (("malformed", "empty-graph"), graph_model(b"")),
    (("malformed", "empty-graph"), graph_model(field(100, b"unknown"))),
    (("malformed", "repeated-field"), graph_model(field(2, b"a")) + field(7, field(2, b"b"))),
    (("malformed", "repeated-field"), graph_model(field(11, field(2, field(1, b"")) * 2))),
    (("malformed", "truncated-model"), graph_model(field(2, b"a"))[:-1]),
    (("malformed", "truncated-model"), b"\x08"),
    (("malformed", "truncated-model"), b"\x3a"),
    (("malformed", "truncated-model"), b"\x3a" + varint(1 << 63)),
    (("malformed", "truncated-model"), b"\x3a" + varint((1 << 64) - 1)),
    (("malformed", "truncated-model"), graph_model(b"\x0a\x05\x0a")),
    (("malformed", "truncated-model"), graph_model(field(5, b"\x25\0\0"))),
    (("malformed", "truncated-model"), graph_model(field(5, b"\x25\0\0\0\0" * 400 + b"\x25\0"))),
    (("malformed", "truncated-model"), graph_model(field(5, b"\x28\x01" * 999 + b"\x28\x81"))),
    (("malformed", "not-protobuf"), b"\x08" + b"\xff" * 10 + b"\x01"),
    (("malformed", "not-protobuf"), b"\x08" + b"\xff" * 9 + b"\x02"),
    (("malformed", "not-protobuf"), graph_model(field(1, b"\x02\x00"))),
    (("malformed", "not-protobuf"), graph_model(varint(1 << 32 | 2) + b"\0")),
    (("malformed", "not-protobuf"), b"\x3a" + b"\x80" * 10 + b"\x01"),
    *((("malformed", "not-protobuf"), graph_model(field(1, varint(9 << 3 | wire) + b"\x00" * 16))) for wire in (3, 4, 6, 7)),
    *((("malformed", "not-protobuf"), graph_model(varint(2 << 3 | wire) + b"\x00" * 16)) for wire in (0, 1, 5)),
    (("malformed", "json-not-onnx"), b'{"receptive": 1, "layers": []}'),
    (("malformed", "json-not-onnx"), b'\xef\xbb\xbf\n [\n{"a": 1}]'),
    (("invalid", "git-lfs-pointer"), b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
)
"""What the scan says of bytes: fault and code."""


def zipped(name: str) -> bytes:
    """A ZIP archive with one entry of that name."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        archive.writestr(name, b"content")
    return memory.getvalue()


OTHER_FORMATS: tuple[tuple[str, bytes], ...] = (
    ("Python pickle", pickle.dumps({"a": [1, 2]}, 2)),
    ("Python pickle", pickle.dumps({"a": [1, 2]}, 4)),
    ("Python pickle", pickle.dumps(("a", 2), 5)),
    ("PyTorch (before 1.6)", pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)),
    ("PyTorch (zip)", zipped("archive/data.pkl")),
    ("Keras (.keras)", zipped("metadata.json")),
    ("NumPy .npz", zipped("arr_0.npy")),
    ("ZIP archive", zipped("readme.txt")),
    ("safetensors", struct.pack("<Q", 60) + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}      ' + bytes(4)),
    ("TensorFlow Lite", b"\x1c\0\0\0TFL3" + bytes(40)),
    ("ONNX Runtime (.ort)", b"\x1c\0\0\0ORTM" + bytes(40)),
    ("HDF5 (Keras .h5)", b"\x89HDF\r\n\x1a\n" + bytes(40)),
    ("GGUF", b"GGUF\x03\0\0\0" + bytes(40)),
    ("NumPy .npy", b"\x93NUMPY\x01\0" + bytes(40)),
    ("gzip", b"\x1f\x8b\x08" + bytes(40)),
    ("HTML page", b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"),
    ("HTML page", b"<html><body>404</body></html>"),
    ("XML (OpenVINO IR, PMML)", b'<?xml version="1.0"?><net name="a"></net>'),
    ("ONNX as text", b'ir_version: 8\nproducer_name: "x"\ngraph {\n}\n'),
    (
        "TensorFlow SavedModel",
        b"\x08\x01" + field(2, field(1, field(2, field(1, field(1, b"Conv2D"))) + field(4, b"serve")) + bytes(300)),
    ),
    ("TensorFlow GraphDef", field(1, field(1, b"input") + field(2, b"Placeholder")) * 3),
    ("Core ML", b"\x08\x04" + field(2, field(1, field(1, b"image") + field(3, field(4, b"\x08\x10")))) + field(500, b"x")),
)
"""Files of other formats, and the names by which they are refused."""

FLOODS: dict[str, Callable[[int], bytes]] = {
    "nodes": lambda count: field(7, b"\x0a\x00" * count),
    "tensors": lambda count: field(7, b"\x2a\x00" * count),
    "messages": lambda count: field(7, b"\x5a\x00" * count),
    "strings": lambda count: field(7, field(1, b"\x0a\x00" * count)),
    "functions": lambda count: field(7, field(2, b"g")) + b"\xca\x01\x00" * count,
    "dims": lambda count: field(7, field(5, field(1, b"\x01" * count))),
    "ints": lambda count: field(7, field(1, field(5, b"\x40\x01" * count))),
    "name": lambda count: field(7, field(2, b"n" * count)),
    "unknown": lambda count: field(999, b"") * count,
}
"""Much structure in few bytes."""


def small_model() -> bytes:
    """A valid model of one convolution."""
    return model([node("Conv", "x", "w")], {"x": [1, 3, 8, 8]}, {"w": np.ones((2, 3, 3, 3), np.float32)}).SerializeToString()


def cut(part: int) -> bytes:
    """A valid model of which so many 64ths are left."""
    whole = small_model()
    return whole[: len(whole) * part // 64]


def flipped(bit: int) -> bytes:
    """A valid model with one bit turned over."""
    data = bytearray(small_model())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(data)


_FLOODED = (("nodes", "limit-nodes", 4 << 20), ("functions", "limit-functions", 2 << 20), ("name", "limit-name-bytes", 1 << 20))
_NUMBER_OF = {"empty-body": 1, "not-protobuf": 11, "truncated-model": 11, "no-graph": 19, "empty-graph": 19, "repeated-field": 20}

BYTES: tuple[BadInput, ...] = (
    BadInput(2, "one-zero-byte", lambda: b"\0", ("not-protobuf",)),
    BadInput(3, "noise", lambda: np.random.default_rng(0).bytes(1 << 20), ("not-protobuf",)),
    *(BadInput(4, f"cut-{part}", lambda part=part: cut(part), ("empty-body", "truncated-model", "no-graph")) for part in range(0, 64, 5)),
    *(BadInput(5, f"flip-{bit}", lambda bit=bit: flipped(bit), ()) for bit in range(0, 2400, 97)),
    BadInput(6, "json-as-onnx", lambda: SPEC, ("not-onnx",)),
    BadInput(6, "onnx-as-json", small_model, ("not-json",), JSON),
    *(
        BadInput(8 if name == "HTML page" else 7, f"{name}-{place}", lambda data=data: data, ("unsupported-format",))
        for place, (name, data) in enumerate(OTHER_FORMATS)
    ),
    BadInput(9, "git-lfs", lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", ("git-lfs-pointer",)),
    BadInput(10, "unknown-fields", lambda: field(100, bytes(8 << 20)), ("not-protobuf",)),
    *(
        BadInput(_NUMBER_OF[code], f"bytes-{place}", lambda data=data: data, (code,))
        for place, ((_, code), data) in enumerate(DAMAGED)
        if code in _NUMBER_OF
    ),
    *(
        BadInput(12 if flood == "nodes" else 13, flood, lambda flood=flood, count=count: b"\x08\x08" + FLOODS[flood](count), (code,))
        for flood, code, count in _FLOODED
    ),
    BadInput(35, "metadata", lambda: small_model() + field(14, field(1, b"key") + field(2, b"v" * 10_000_000)), ("",)),
)
