"""What one pass finds in a kernel is what the plain definitions give of its values, however they are laid out, typed and stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.analysis.connections import kernel_pass
from service.analysis.connections.kernels import kernel_statistics
from service.graph import Layer
from service.graph import operators as core
from service.options import Options
from service.readers.model import read_model
from service.readers.onnx import OnnxWeights
from tests.readers.onnx_models import layer, model, node, read, single

WEIGHTS = OnnxWeights()
RANDOM = np.random.default_rng(5)
Array = np.ndarray[Any, np.dtype[Any]]


def filters_of(one: Layer, values: Array) -> list[Array]:
    """The weights of each filter of a layer, (channels, taps); none where it has no filters."""
    operator = next(n.operator for n in one.nodes if not isinstance(n.operator, core.Elementwise | core.Reshaping | core.Transposing))
    if isinstance(operator, core.Dense):
        return [values[:, [f]] for f in range(values.shape[1])]
    if isinstance(operator, core.TransposedConvolution):
        groups = np.split(values.reshape(*values.shape[:2], -1), operator.groups)
        return [group[:, f] for group in groups for f in range(values.shape[1])]
    if isinstance(operator, core.Convolution):
        return list(values.reshape(*values.shape[:2], -1))
    return []


def keeps_to(filters: list[Array], n: int, m: int) -> bool:
    """At most n of m consecutive weights along the channels are not zero."""
    return all(
        len(one) % m == 0 and int(np.count_nonzero(one[at : at + m, tap])) <= n
        for one in filters
        for tap in range(one.shape[1])
        for at in range(0, len(one), m)
    )


def check(one: Layer, groups: int = 1, tolerance: float = 0.0) -> None:
    """Compare what is found with the definitions, in blocks of a few hundred bytes."""
    values = [WEIGHTS.array(weight).astype(np.float64) for weight in one.kernel]
    found = kernel_statistics(one, WEIGHTS, tolerance)
    assert found is not None
    finite = [np.where(np.isfinite(each), np.abs(each), 0) for each in values]
    kept = [np.where(np.isfinite(each), np.abs(each) > tolerance, True) for each in values]
    taps = found.nonzero_per_tap.shape
    assert found.nonzero == sum(int(each.sum()) for each in kept)
    assert found.nonfinite == sum(int((~np.isfinite(each)).sum()) for each in values)
    assert (found.nonzero_per_tap == sum(each.reshape(-1, *taps).sum(axis=0) for each in kept)).all()
    assert found.absolute_per_tap == pytest.approx(sum(each.reshape(-1, *taps).sum(axis=0) for each in finite), rel=1e-6)
    filters = filters_of(one, kept[0] * np.nan_to_num(values[0], nan=7.0, posinf=8.0, neginf=9.0))
    assert found.dead_filters == tuple(i for i, each in enumerate(filters) if not each.any())
    stored = filters_of(one, values[0])
    twins = []
    for later, each in enumerate(stored):
        group = range(later // (len(stored) // groups) * (len(stored) // groups), later)
        earlier = next((i for i in group if np.array_equal(stored[i], each, equal_nan=True)), None)
        if earlier is not None and later not in found.dead_filters:
            twins.append((earlier, later))
    assert found.duplicate_filters == tuple(twins)
    patterns = [(n, m) for n, m in ((1, 4), (2, 4), (4, 8)) if filters and found.nonzero and keeps_to(filters, n, m)]
    assert found.pattern == (f"{patterns[0][0]}:{patterns[0][1]}" if patterns else None)


@pytest.fixture(autouse=True, params=[1 << 20, 300])
def in_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_pass, "BLOCK_BYTES", request.param)


def numbers(*shape: int, kind: str = "trained") -> Array:
    """Values of a kernel whose first two axes are filters and channels, in either order."""
    values = RANDOM.normal(size=shape)
    if kind == "pruned":
        values[RANDOM.random(shape) < 0.7] = 0.0
    if kind == "pattern":
        values[:, np.arange(shape[1]) % 4 < 2] = -0.0
    if kind == "twins":
        values[-1], values[1] = values[0], 0.0
        values[:, -1], values[:, 1] = values[:, 0], 0.0
    if kind == "broken":
        values.reshape(-1)[[0, -3, -1]] = np.nan, np.inf, -np.inf
    if kind == "tapless":
        values[..., 0] = 0.0
    return values.astype(np.float32)


KINDS = ("trained", "pruned", "pattern", "twins", "broken", "tapless")
LAYOUTS = {
    "conv": lambda w, **how: single("Conv", [1, 16, 6, 6], w.reshape(12, 16, 3, 1), **how),
    "grouped": lambda w, **how: single("Conv", [1, 32, 6, 6], w.reshape(12, 16, 3, 1), group=2, **how),
    "transposed": lambda w, **how: single("ConvTranspose", [1, 12, 6, 6], w.reshape(12, 16, 3, 1), **how),
    "transposed-grouped": lambda w, **how: single("ConvTranspose", [1, 12, 6, 6], w.reshape(12, 16, 3, 1), group=2, **how),
    "gemm": lambda w, **how: single("Gemm", [2, 12], w.reshape(12, 48), **how),
    "gemm-turned": lambda w, **how: single("Gemm", [2, 48], w.reshape(12, 48), transB=1, **how),
    "matmul": lambda w, **how: single("MatMul", [2, 3, 12], w.reshape(12, 48), **how),
    "matrix-left": lambda w, **how: model([node("MatMul", "w", "x")], {"x": [48, 2]}, {"w": w.reshape(12, 48)}),
    "matrices": lambda w, **how: single("MatMul", [3, 2, 12], w.reshape(3, 12, 16), **how),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str, kind: str) -> None:
    proto = LAYOUTS[name](numbers(12, 48, kind=kind))
    groups = {"grouped": 2, "transposed-grouped": 2, "matrices": 3}.get(name, 1)
    check(layer(read(proto), "node"), groups)


@pytest.mark.parametrize("name", ["conv", "gemm", "gemm-turned"])
def test_a_tolerance(name: str) -> None:
    one = layer(read(LAYOUTS[name](numbers(12, 48, kind="pruned"))), "node")
    check(one, tolerance=0.5)
    check(one, tolerance=100.0)


def test_numbers_whose_sum_leaves_the_range_are_finite() -> None:
    large = np.full((12, 48), np.finfo(np.float32).max, np.float32)
    for name in ("conv", "gemm-turned"):
        check(layer(read(LAYOUTS[name](large)), "node"))


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-30])
def test_sums_of_many_equal_numbers_do_not_drift(value: float) -> None:
    for proto in (
        single("Gemm", [1, 600], np.full((600, 900), value, np.float32)),
        single("Conv", [1, 700, 3, 3], np.full((700, 700, 2, 1), value, np.float32)),
    ):
        check_sums(layer(read(proto), "node"))


def check_sums(one: Layer) -> None:
    found = kernel_statistics(one, WEIGHTS, 0.0)
    assert found is not None
    taps = found.absolute_per_tap.shape
    expected = np.abs(WEIGHTS.array(one.kernel[0]).astype(np.float64)).reshape(-1, *taps).sum(axis=0)
    assert found.absolute_per_tap == pytest.approx(expected, rel=1e-6)


TYPES = {
    "float16": np.float16,
    "float64": np.float64,
    "bfloat16": ml_dtypes.bfloat16,
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "int4": ml_dtypes.int4,
    "uint4": ml_dtypes.uint4,
}


@pytest.mark.parametrize("kind", ["pruned", "twins"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("turned", [0, 1])
def test_element_types(dtype: str, kind: str, turned: int) -> None:
    """A weight of that type behind a Cast, as exporters write it."""
    values = numbers(12, 48, kind=kind)
    whole = "int" in dtype
    w = (np.abs(values * 2) if dtype.startswith("u") else values * 2).astype(np.int8 if whole else np.float32).astype(TYPES[dtype])
    tensor = (
        helper.make_tensor("w", helper.np_dtype_to_tensor_dtype(np.dtype(TYPES[dtype])), w.shape, w)
        if "4" in dtype and whole
        else numpy_helper.from_array(w, "w")
    )
    nodes = [node("Cast", "w", outputs=["f"], to=TensorProto.FLOAT, name="cast"), node("Gemm", "x", "f", transB=turned)]
    proto = model(nodes, {"x": [1, 48 if turned else 12]}, {})
    proto.graph.initializer.append(tensor)
    check(layer(read(proto), "node"))


def quantised(kind: str, dtype: str, axis: int, block: int, points: bool) -> tuple[dict[str, Array], dict[str, int]]:
    """Integers with a scale and a zero point for everything, for each place along an axis, or for each block along it."""
    shape = (12, 48)
    w = numbers(*shape, kind=kind)
    low, high = (0, 8) if dtype.startswith("u") else (-8, 7)
    count = tuple(n // block if a == axis else n for a, n in enumerate(shape)) if block else (shape[axis],) if axis >= 0 else ()
    scale = RANDOM.uniform(0.5, 2, count).astype(np.float32)
    zero = RANDOM.integers(max(low, -2), 3, count) if points else np.zeros(count)
    q = np.clip(np.rint(w * 2) + (3 if dtype.startswith("u") else 0), low, high)
    stored = {"w": q.astype(TYPES[dtype]), "s": scale, "z": np.asarray(zero).astype(TYPES[dtype])}
    return stored, {"axis": max(axis, 0), **({"block_size": block} if block else {})}


@pytest.mark.parametrize("op", ["conv", "gemm", "turned", "transposed"])
@pytest.mark.parametrize(("axis", "block"), [(-1, 0), (0, 0), (1, 0), (0, 4), (1, 8)])
@pytest.mark.parametrize(
    ("dtype", "kind", "points"), [("int8", "pruned", False), ("int8", "twins", True), ("uint8", "pruned", True), ("int4", "pattern", False)]
)
def test_quantised_weights(op: str, axis: int, block: int, dtype: str, kind: str, points: bool) -> None:
    stored, attributes = quantised(kind, dtype, axis, block, points)
    last = {"conv": "Conv", "gemm": "Gemm", "turned": "Gemm", "transposed": "ConvTranspose"}[op]
    kernel = op in ("conv", "transposed") and not block
    if kernel:
        stored["w"] = stored["w"].reshape(12, 48, 1, 1) if axis == 1 else stored["w"].reshape(12, 12, 2, 2)
    elif last != "Gemm":
        return
    inputs = 12 if op in ("gemm", "transposed") else stored["w"].shape[1]
    nodes = [
        node("DequantizeLinear", "w", "s", "z", outputs=["f"], name="dq", **attributes),
        node(last, "x", "f", **({"transB": 1} if op == "turned" else {})),
    ]
    proto = model(nodes, {"x": [1, inputs, 4, 4] if kernel else [1, inputs]}, {}, opset=21)
    for name, array in stored.items():
        proto.graph.initializer.append(helper.make_tensor(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape, array))
    check(layer(read(proto), "node"))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("points", ["none", "packed", "real"])
def test_packed_blocks(bits: int, points: str) -> None:
    """MatMulNBits: unit by unit, low bits first."""
    units, inputs, block, each = 6, 64, 16, 8 // bits
    q = RANDOM.integers(0, 1 << bits, (units, inputs)).astype(np.uint8)
    q[3] = q[2]
    packed = sum(q.reshape(units, -1, each)[..., i] << (i * bits) for i in range(each)).astype(np.uint8)
    scales = np.repeat(RANDOM.uniform(0.5, 2, inputs // block).astype(np.float32)[None], units, axis=0)
    stored: list[Array] = [packed.reshape(units, inputs // block, -1), scales.reshape(-1)]
    if points == "packed":
        low = np.full((units, inputs // block), 1, np.uint8)
        octets = max(1, inputs // block * bits // 8)
        stored.append(
            sum(low.reshape(units, octets, -1)[..., i] << (i * bits) for i in range(min(each, inputs // block)))
            .astype(np.uint8)
            .reshape(-1)
        )
    elif points == "real":
        stored.append(np.full(units * inputs // block, 1.5, np.float32))
    proto = single("MatMulNBits", [1, 5, inputs], *stored, domain="com.microsoft", K=inputs, N=units, bits=bits, block_size=block)
    one = layer(read(proto), "node")
    assert WEIGHTS.stored(one.kernel[0]).quantisation is not None
    check(one)


def test_scales_of_zero_or_without_bound_are_taken_as_they_are() -> None:
    q = np.arange(-4, 4, dtype=np.int8).reshape(4, 2)
    for scale in ([0.0, 1.0, 2.0, 0.0], [np.inf, 1.0, 2.0, -1.0]):
        nodes = [node("DequantizeLinear", "w", "s", outputs=["f"], axis=0, name="dq"), node("MatMul", "x", "f")]
        check(layer(read(model(nodes, {"x": [1, 4]}, {"w": q, "s": np.array(scale, np.float32)})), "node"))


def test_tables_and_recurrent_kernels() -> None:
    """They have no filters; their values are counted whole."""
    proto = model([node("Gather", "t", "x")], {"x": [2, 5]}, {"t": numbers(12, 48, kind="broken")})
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    check(layer(read(proto), "node"))
    along = model([node("Gather", "t", "x", axis=1)], {"x": [5]}, {"t": numbers(12, 48, kind="pruned")})
    along.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    check(layer(read(along), "node"))
    w, r = numbers(1, 32, 8, kind="pruned"), numbers(1, 32, 8)
    check(layer(read(model([node("LSTM", "x", "w", "r", hidden_size=8)], {"x": [5, 1, 8]}, {"w": w, "r": r})), "node"))


def test_values_in_other_places(tmp_path: Path) -> None:
    """In the node itself, beside the model, in a list of numbers, and only those that are not zero."""
    w = numbers(12, 48, kind="pruned")
    constant = node("Constant", outputs=["w"], value=numpy_helper.from_array(w), name="stated")
    check(layer(read(model([constant, node("MatMul", "x", "w")], {"x": [1, 12]})), "node"))
    places = np.flatnonzero(w)
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(w.reshape(-1)[places], "w"), numpy_helper.from_array(places.astype(np.int64), "at"), list(w.shape)
    )
    scarce = model([node("MatMul", "x", "w")], {"x": [1, 12]})
    scarce.graph.sparse_initializer.append(sparse)
    check(layer(read(scarce), "node"))
    listed = model([node("MatMul", "x", "w")], {"x": [1, 12]})
    listed.graph.initializer.append(helper.make_tensor("w", TensorProto.FLOAT, w.shape, w.reshape(-1)))
    check(layer(read(listed), "node"))
    (tmp_path / "w.bin").write_bytes(b"\0" * 4100 + w.tobytes())
    outside = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=w.shape, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "4100")):
        outside.external_data.add(key=key, value=value)
    beside = model([node("MatMul", "x", "w")], {"x": [1, 12]})
    beside.graph.initializer.append(outside)
    (tmp_path / "m.onnx").write_bytes(beside.SerializeToString())
    read_back = read_model(tmp_path / "m.onnx", Options(), {"w.bin": tmp_path / "w.bin"})
    check(layer(read_back.graphs[0], "node"))


def test_what_is_computed_is_counted_as_it_comes_out() -> None:
    w = numbers(12, 48, kind="pruned")
    nodes = [node("Neg", "w", outputs=["v"], name="neg"), node("MatMul", "x", "v")]
    check(layer(read(model(nodes, {"x": [1, 12]}, {"w": w})), "node"))
