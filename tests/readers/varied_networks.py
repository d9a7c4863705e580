"""Random networks of windows, joins and dense layers as data, and as the ONNX models and layer specs that say the same.

An edit changes the data; so the report of a variant can be held to that of the network that is built anew.
`python -m tests.readers.varied_networks` tries many more networks and edits than the tests do.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from service.analysis import Reading, analyze
from service.edits import Edit, read_edits
from service.faults import Refused
from service.graph import ShapeError
from service.graph.geometry import transposed_length, window_length
from service.graph.operators import broadcast
from service.options import Options
from service.readers.model import read_model
from service.report.plain import plain_object

Window = dict[str, Any]
KEPT = ("summary", "layers", "findings", "ledger", "first_layers")
"""What two reports of one network have in common."""


@dataclass(frozen=True)
class Part:
    """One layer of a network; `window` is its geometry where it has one."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    filters: int = 0
    groups: int = 1
    window: Window = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Layers on an input (channels, *spatial)."""

    shape: tuple[int, ...]
    parts: tuple[Part, ...]


class Impossible(ValueError):
    """There is no such network."""


def drawn(seed: int) -> Network:
    """A network of six to twelve layers, in one to three dimensions."""
    rng = random.Random(seed)
    rank = rng.choice((1, 2, 2, 2, 3))
    shape = (rng.choice((1, 3)), *(rng.randint(14, 28) for _ in range(rank)))
    parts: list[Part] = []
    last, channels = "input", shape[0]
    for index in range(rng.randint(4, 8)):
        last, channels = _grown(rng, parts, index, last, channels, rank)
    if rng.random() < 0.7:
        parts += [Part("flat", "flatten", (last,)), Part("dense", "dense", ("flat",), filters=5)]
    return Network(shape, tuple(parts))


def _grown(rng: random.Random, parts: list[Part], index: int, last: str, channels: int, rank: int) -> tuple[str, int]:
    kind = rng.choice(("conv", "conv", "depthwise", "pool", "average", "relu", "norm", "block", "deconv"))
    name = f"l{index}"
    if kind == "block":
        window = {"kernel": 3, "stride": 1, "dilation": 1, "padding": 1}
        parts += [
            Part(f"{name}a", "conv", (last,), channels, window=window),
            Part(f"{name}b", "relu", (f"{name}a",)),
            Part(f"{name}c", "conv", (f"{name}b",), channels, window={**window, "kernel": rng.choice((1, 3)), "padding": "same"}),
            Part(name, "add", (f"{name}c", last)),
        ]
        return name, channels
    if kind in ("relu", "norm"):
        parts.append(Part(name, kind, (last,)))
        return name, channels
    kernel = rng.choice((1, 2, 3, 3, 5) if kind != "deconv" else (2, 3, 4))
    window = {"kernel": kernel, "stride": rng.choice((1, 1, 2)), "dilation": 1, "padding": rng.randint(0, kernel // 2)}
    filters = {"conv": rng.choice((2, 4)), "deconv": 2}.get(kind, channels)
    groups = channels if kind == "depthwise" else 1
    parts.append(Part(name, "conv" if kind == "depthwise" else kind, (last,), filters, groups, window))
    return name, filters


def drawn_edits(network: Network, rng: random.Random) -> list[dict[str, Any]]:
    """One to three edits, of which some may not be possible."""
    rank, edits = len(network.shape) - 1, []
    for part in rng.sample(network.parts, min(len(network.parts), rng.randint(1, 3))):
        if not part.window or rng.random() < 0.2:
            if part.kind in ("relu", "norm", "pool", "average", "conv"):
                edits.append({"layer": part.name, "remove": True})
            continue
        settings: dict[str, Any] = {}
        for name in rng.sample(("kernel", "stride", "dilation", "padding"), rng.randint(1, 3)):
            settings[name] = _drawn_setting(rng, name, rank, part.kind)
        edits.append({"layer": part.name, "set": settings})
    return edits


def _drawn_setting(rng: random.Random, name: str, rank: int, kind: str) -> Any:
    if name == "padding":
        words = ["same", "valid", "same_lower"] if kind == "deconv" else ["same", "valid", "same_lower", "causal"]
        pairs = [[rng.randint(0, 2), rng.randint(0, 2)] for _ in range(rank)]
        return rng.choice((0, 1, 2, [rng.randint(0, 2) for _ in range(rank)], pairs, *words))
    number = {"kernel": (1, 2, 3, 4, 5, 7), "stride": (1, 2, 3), "dilation": (1, 2, 3)}[name]
    return rng.choice((rng.choice(number), [rng.choice(number) for _ in range(rank)]))


def edited(network: Network, edits: Sequence[dict[str, Any]]) -> Network:
    """The network with the edits in its data."""
    gone: dict[str, str] = {}
    parts = []
    for part in network.parts:
        own = [edit for edit in edits if edit["layer"] == part.name]
        inputs = tuple(gone.get(name, name) for name in part.inputs)
        if any("remove" in edit for edit in own):
            gone[part.name] = inputs[0]
            continue
        window = dict(part.window)
        for edit in own:
            window |= edit["set"]
        parts.append(replace(part, inputs=inputs, window=window))
    return Network(network.shape, tuple(parts))


# -- as a layer spec -----------------------------------------------------------------------------------------------

_TYPES = {"conv": "conv", "deconv": "conv_transpose", "pool": "pool", "average": "pool", "relu": "activation", "norm": "batch_norm"}


def as_spec(network: Network) -> bytes:
    """The network as a layer spec."""
    layers = []
    for part in network.parts:
        layer: dict[str, Any] = {"name": part.name, "type": _TYPES.get(part.kind, part.kind), "inputs": list(part.inputs), **part.window}
        if part.kind in ("conv", "deconv"):
            layer |= {"filters": part.filters, "groups": part.groups}
        layer |= {"average": {"mode": "avg"}, "relu": {"function": "relu"}, "dense": {"units": part.filters}}.get(part.kind, {})
        layers.append(layer)
    return json.dumps({"receptive": 1, "input": {"shape": list(network.shape)}, "layers": layers}).encode()


# -- as an ONNX model ----------------------------------------------------------------------------------------------


def as_onnx(network: Network, flatten: str = "Flatten") -> bytes:
    """The network as an ONNX model whose weights have the shapes that follow. Impossible where a window does not fit."""
    builder = _Onnx(network, flatten)
    for part in network.parts:
        builder.add(part)
    source = helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, *network.shape])
    read = {name for part in network.parts for name in part.inputs}
    last = [part.name for part in network.parts if part.name not in read] or ["input"]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(builder.shapes[name])) for name in last]
    graph = helper.make_graph(builder.nodes, "", [source], results, builder.stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()


class _Onnx:
    def __init__(self, network: Network, flatten: str) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {"input": (1, *network.shape)}
        self.nodes: list[Any] = []
        self.stored: list[Any] = []
        self.flatten = flatten

    def weight(self, part: Part, role: str, *shape: int) -> str:
        self.stored.append(numpy_helper.from_array(np.zeros(shape, np.float32), f"{part.name}.{role}"))
        return f"{part.name}.{role}"

    def node(self, op: str, part: Part, shape: Sequence[int], *more: str, **attributes: Any) -> None:
        self.shapes[part.name] = tuple(shape)
        self.nodes.append(helper.make_node(op, [*part.inputs, *more], [part.name], part.name, **attributes))

    def add(self, part: Part) -> None:
        shape = self.shapes[part.inputs[0]]
        if part.window:
            self.windowed(part, shape)
        elif part.kind == "relu":
            self.node("Relu", part, shape)
        elif part.kind == "norm":
            self.node("BatchNormalization", part, shape, *(self.weight(part, role, shape[1]) for role in "sbmv"))
        elif part.kind == "add":
            try:
                self.node("Add", part, broadcast(shape, self.shapes[part.inputs[1]]))
            except ShapeError:
                raise Impossible("a join") from None
        elif part.kind == "flatten":
            units = int(np.prod(shape[1:]))
            if self.flatten == "Flatten":
                self.node("Flatten", part, (1, units))
            else:
                target = numpy_helper.from_array(np.array([-1, units], dtype=np.int64), "target")
                self.stored.append(target)
                self.node("Reshape", part, (1, units), "target")
        else:
            kernel, bias = self.weight(part, "kernel", shape[1], part.filters), self.weight(part, "bias", part.filters)
            self.node("Gemm", part, (1, part.filters), kernel, bias)

    def windowed(self, part: Part, shape: tuple[int, ...]) -> None:
        rank = len(shape) - 2
        kernel, stride, dilation = (_each(part.window[name], rank) for name in ("kernel", "stride", "dilation"))
        attributes: dict[str, Any] = {"strides": stride, "dilations": dilation}
        padding = part.window["padding"]
        pads: list[tuple[int, int]] | None = None
        if padding in ("same", "same_lower"):
            attributes["auto_pad"] = "SAME_UPPER" if padding == "same" else "SAME_LOWER"
        else:
            words = {"valid": [(0, 0)] * rank, "causal": [(d * (k - 1), 0) for k, d in zip(kernel, dilation, strict=True)]}
            numeric = [tuple(entry) if isinstance(entry, list) else (entry, entry) for entry in _each(padding, rank)]
            pads = words.get(padding if isinstance(padding, str) else "", numeric)
            attributes["pads"] = [before for before, _ in pads] + [after for _, after in pads]
        lengths = []
        for axis, (n, k, s, d) in enumerate(zip(shape[2:], kernel, stride, dilation, strict=True)):
            if part.kind == "deconv":
                lengths.append(n * s if pads is None else transposed_length(n, k, s, d, pads[axis]))
            else:
                lengths.append(-(-n // s) if pads is None else window_length(n, k, s, d, pads[axis]))
        if any(n < 1 for n in lengths):
            raise Impossible("a window")
        if part.kind == "conv":
            if shape[1] % part.groups or part.filters % part.groups:
                raise Impossible("groups")
            weights = self.weight(part, "kernel", part.filters, shape[1] // part.groups, *kernel), self.weight(part, "bias", part.filters)
            self.node("Conv", part, (1, part.filters, *lengths), *weights, group=part.groups, **attributes)
        elif part.kind == "deconv":
            weights = self.weight(part, "kernel", shape[1], part.filters, *kernel), self.weight(part, "bias", part.filters)
            self.node("ConvTranspose", part, (1, part.filters, *lengths), *weights, **attributes)
        else:
            op = "MaxPool" if part.kind == "pool" else "AveragePool"
            self.node(op, part, (1, shape[1], *lengths), kernel_shape=kernel, **attributes)


def _each(value: Any, rank: int) -> list[Any]:
    return list(value) if isinstance(value, list) else [value] * rank


# -- reports -------------------------------------------------------------------------------------------------------


def report_of(path: Path, edits: Sequence[Edit] = (), resized: dict[str, tuple[int, ...]] | None = None) -> dict[str, Any]:
    """What the report of a model says of the network, apart from its file."""
    options = Options(read_weights="none", edits=tuple(edits), resized=resized or {})
    report = plain_object(analyze(read_model(str(path), options, {}), Reading("none")))
    model = report["model"]
    assert isinstance(model, dict)
    return {**{name: report[name] for name in KEPT}, "outputs": [each["shape"] for each in model["outputs"]]}


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two values differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return [each for key in one for each in differences(one[key], other[key], f"{place}/{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [each for index, pair in enumerate(zip(one, other, strict=True)) for each in differences(*pair, f"{place}/{index}")]
    return [] if one == other else [f"{place}: {str(one)[:200]} and {str(other)[:200]}"]


def check(seed: int, rounds: int, folder: Path) -> tuple[int, int]:
    """Hold variants of one network to what is built anew; how many had a report and how many were refused, both ways."""
    network, rng = drawn(seed), random.Random(seed)
    flatten = "Flatten" if seed % 2 else "Reshape"
    base, spec, rebuilt = folder / "base.onnx", folder / "base.json", folder / "rebuilt"
    base.write_bytes(as_onnx(network, flatten))
    spec.write_bytes(as_spec(network))
    made = refused = 0
    for _ in range(rounds):
        edits = drawn_edits(network, rng)
        if not edits:
            continue
        for path, write in ((base, lambda each: as_onnx(each, flatten)), (spec, as_spec)):
            wanted = found = None
            try:
                rebuilt.write_bytes(write(edited(network, edits)))
                wanted = report_of(rebuilt)
            except (Impossible, Refused):
                pass
            try:
                found = report_of(path, read_edits(edits))
            except Refused as error:
                assert error.code == "invalid-edit", (seed, edits, error)
                assert error.errors[0].pointer.startswith("/edits/"), (seed, edits, error)
            assert (found is None) == (wanted is None), (seed, path.suffix, edits, found is None, wanted is None)
            assert differences(found, wanted) == [], (seed, path.suffix, edits, differences(found, wanted)[:5])
            made, refused = made + (found is not None), refused + (found is None)
    return made, refused


if __name__ == "__main__":
    networks, rounds = (int(each) for each in sys.argv[1:3])
    totals = [0, 0]
    with tempfile.TemporaryDirectory() as place:
        done, start = 0, 1
        while done < networks:
            try:
                as_onnx(drawn(start))
            except Impossible:
                start += 1
                continue
            made, refused = check(start, rounds, Path(place))
            totals = [totals[0] + made, totals[1] + refused]
            done, start = done + 1, start + 1
    print(
        f"{networks} networks, {rounds} random edits each, as ONNX and as specs: {totals[0]} variants equal, {totals[1]} refused both ways"
    )
