"""The one entry point of the readers: a file of any format → the networks in it, its weights, and what it says about itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnx import ModelProto, ValueInfoProto

from service.faults import Refused
from service.graph import Graph
from service.graph.model import Model, ModelFacts, Port
from service.graph.operators import Unknown
from service.options import Options
from service.readers.formats import JSON, SNIFF_BYTES, recognise
from service.readers.json_text import MAX_BYTES
from service.readers.onnx import OnnxWeights, Reading, declared, model_inputs, opsets_of
from service.readers.spec.entry import read_spec
from service.readers.tensors.stored import Storage
from service.readers.wire.scan import scan
from service.sources.local import LocalFile

STAND_INS = (256, 384, 321)
"""Lengths that symbolic axes are given, one after the other: facts that differ between them depend on the unknown length."""
LARGER = (4096, 6144, 65536, 98304)
"""Lengths that are tried where those are too short for the network."""

Read = Callable[[int], Graph]


def read_model(path: Path, options: Options, externals: Mapping[str, Path]) -> Model:
    """Read a model file. `externals` are the external data files that came with it, by bare name.

    Refused where the file is no model that can be analysed: `malformed`, `unsupported`, `invalid` or `limit`.
    """
    source = LocalFile(path)
    if recognise(source.read(0, min(SNIFF_BYTES, source.size)), source.size) == JSON:
        return _read_json(source, options)
    return _read_onnx(source, options, externals)


def _read_json(source: LocalFile, options: Options) -> Model:
    if source.size > MAX_BYTES:
        raise Refused("limit", "document-too-large", f"A JSON document may have {MAX_BYTES:,} bytes, this one has {source.size:,}.")
    text = source.read(0, source.size)
    first, weights = read_spec(text, options, STAND_INS[0])
    graphs = several(lambda stand_in: read_spec(text, options, stand_in)[0], first)
    symbolic = first.symbolic
    producer = first.metadata.get("producer")
    facts = ModelFacts(
        name=options.name,
        format="spec",
        size_bytes=source.size,
        inputs=tuple(_port(first, tensor.name, symbolic) for tensor in first.inputs),
        outputs=tuple(_port(first, name, symbolic) for name in first.outputs),
        producer=str(producer) if producer is not None else None,
    )
    return Model(graphs, weights, facts)


def _port(graph: Graph, name: str, symbolic: frozenset[tuple[str, int]]) -> Port:
    tensor = graph.tensors[name]
    shape = None if tensor.shape is None else tuple(None if (name, axis) in symbolic else n for axis, n in enumerate(tensor.shape))
    return Port(name, tensor.dtype, shape)


def _read_onnx(source: LocalFile, options: Options, externals: Mapping[str, Path]) -> Model:
    scanned = scan(source)
    reading = Reading(scanned.model, Storage(scanned, externals, options.external_missing))
    fixed = options.input_shapes
    first = reading.graph(fixed, STAND_INS[0])
    if first.symbolic and unclear(first):
        # The leading axis may be time rather than a batch.
        other = reading.graph(fixed, STAND_INS[0], batch=STAND_INS[0])
        if unclear(other) < unclear(first):
            graphs = several(lambda stand_in: reading.graph(fixed, stand_in, batch=stand_in), other)
            return Model(graphs, OnnxWeights(), _facts(scanned.model, source, options))
    return Model(several(lambda n: reading.graph(fixed, n), first), OnnxWeights(), _facts(scanned.model, source, options))


def several(read: Read, first: Graph) -> tuple[Graph, ...]:
    """The same model with several stand-in lengths: those at which the fewest layers are unclear.

    Only the first one where all axes are fixed but the batch, whose length is 1 in every reading.
    """
    if not any(first_length(first, name, axis) != 1 for name, axis in first.symbolic):
        return (first,)
    graphs = [first, *_tried(read, STAND_INS[1:])]
    if unclear(first):
        for small, large in zip(LARGER[::2], LARGER[1::2], strict=True):
            more = _tried(read, (small, large))
            if not more or min(map(unclear, more)) >= min(map(unclear, graphs)):
                break
            graphs = more
    best = min(map(unclear, graphs))
    return tuple(graph for graph in graphs if unclear(graph) == best)


def first_length(graph: Graph, name: str, axis: int) -> int:
    """The length of an input's axis in a graph."""
    shape = graph.tensors[name].shape
    return 1 if shape is None else shape[axis]


def _tried(read: Read, stand_ins: tuple[int, ...]) -> list[Graph]:
    """The readings that succeed."""
    graphs = []
    for stand_in in stand_ins:
        try:
            graphs.append(read(stand_in))
        except Refused:
            continue
    return graphs


def unclear(graph: Graph) -> int:
    """The number of layers that could not be followed."""
    return sum(any(isinstance(node.operator, Unknown) for node in layer.nodes) for layer in graph.layers)


def _facts(model: ModelProto, source: LocalFile, options: Options) -> ModelFacts:
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part)
    opsets = {domain or "ai.onnx": version for domain, version in opsets_of(model).items()}
    return ModelFacts(
        name=options.name,
        format="onnx",
        size_bytes=source.size,
        inputs=tuple(_declared_port(info) for info in model_inputs(model)),
        outputs=tuple(_declared_port(info) for info in model.graph.output),
        producer=producer or None,
        ir_version=model.ir_version or None,
        opsets=opsets,
    )


def _declared_port(info: ValueInfoProto) -> Port:
    said = declared(info)
    shape = None if said.dims is None else tuple(None if isinstance(n, str) else n for n in said.dims)
    return Port(info.name, said.dtype, shape)
