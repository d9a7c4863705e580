"""The one entry point of the readers: a file of any format → the networks in it, its weights, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, ValueInfoProto

from service.faults import Refused
from service.graph import Graph, Shape, WeightReader
from service.graph.model import Model, ModelFacts, Port
from service.limits import MAX_DOCUMENT_BYTES
from service.options import Options
from service.readers.formats import JSON, SNIFF_BYTES, recognise
from service.readers.onnx import OnnxWeights, Reading, declared, forget_shapes, model_inputs, opsets_of, resize_inputs
from service.readers.spec.entry import read_spec
from service.readers.stand_ins import USUAL, length_of, readings, unclear
from service.readers.tensors.stored import Storage
from service.readers.variants import read_variant
from service.readers.wire.scan import scan
from service.sources.local import Source
from service.sources.places import Place, opened

LENGTH_CODES = frozenset(("does-not-fit", "shape-mismatch", "not-divisible", "too-large"))
"""What is said of a layer spec where an open axis has a length that does not suit it."""


def read_model(place: Place, options: Options, externals: Mapping[str, Place]) -> Model:
    """Read a model file. `externals` are the external data files that came with it, by bare name.

    Refused where the file is no model that can be analysed: `malformed`, `unsupported`, `invalid` or `limit`.
    """
    source = opened(place)
    is_json = recognise(source.read(0, min(SNIFF_BYTES, source.size)), source.size) == JSON

    def read(chosen: Options) -> Model:
        return _read_json(source, chosen) if is_json else _read_onnx(source, chosen, externals)

    return read_variant(options, read) if options.varied else read(options)


def _read_json(source: Source, options: Options) -> Model:
    if source.size > MAX_DOCUMENT_BYTES:
        raise Refused(
            "limit", "document-too-large", f"A JSON document may have {MAX_DOCUMENT_BYTES:,} bytes, this one has {source.size:,}."
        )
    text = source.read(0, source.size)
    graphs, weights = _spec_graphs(text, options)
    first = graphs[0]
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


def _spec_graphs(text: bytes, options: Options) -> tuple[tuple[Graph, ...], WeightReader]:
    """The readings of a layer spec. Where the usual length of an open axis does not suit it, others are tried."""

    def read(length: int) -> Graph:
        return read_spec(text, options, length)[0]

    try:
        first, weights = read_spec(text, options, USUAL[0])
    except Refused as refused:
        if not any(detail.code in LENGTH_CODES for detail in refused.errors):
            raise
        graphs = readings(read)
        if not graphs:
            raise
        length = max((length_of(graphs[0], name, axis) for name, axis in graphs[0].symbolic), default=USUAL[0])
        return graphs, read_spec(text, options, length)[1]
    return readings(read, first), weights


def _port(graph: Graph, name: str, symbolic: frozenset[tuple[str, int]]) -> Port:
    tensor = graph.tensors[name]
    shape = None if tensor.shape is None else tuple(None if (name, axis) in symbolic else n for axis, n in enumerate(tensor.shape))
    return Port(name, tensor.dtype, shape)


def _read_onnx(source: Source, options: Options, externals: Mapping[str, Place]) -> Model:
    scanned = scan(source)
    if options.varied:
        resize_inputs(scanned.model, options.resized)
        forget_shapes(scanned.model.graph)
    reading = Reading(scanned.model, Storage(scanned, externals, options.external_missing), options)
    fixed = options.input_shapes
    first = reading.graph(fixed, USUAL[0])
    if first.symbolic and unclear(first):
        # The leading axis may be time rather than a batch.
        other = reading.graph(fixed, USUAL[0], batch=USUAL[0])
        if unclear(other) < unclear(first):
            graphs = readings(lambda length: reading.graph(fixed, length, batch=length), other)
            return Model(graphs, OnnxWeights(), _facts(scanned.model, source, options, first))
    graphs = readings(lambda length: reading.graph(fixed, length), first)
    return Model(graphs, OnnxWeights(), _facts(scanned.model, source, options, first))


def _facts(model: ModelProto, source: Source, options: Options, graph: Graph) -> ModelFacts:
    producer = " ".join(part for part in (model.producer_name, model.producer_version) if part)
    opsets = {domain or "ai.onnx": version for domain, version in opsets_of(model).items()}
    return ModelFacts(
        name=options.name,
        format="onnx",
        size_bytes=source.size,
        inputs=tuple(_declared_port(info) for info in model_inputs(model)),
        outputs=tuple(
            _followed_port(info, graph.tensors[name].shape) if options.varied else _declared_port(info)
            for info, name in zip(model.graph.output, graph.outputs, strict=True)
        ),
        producer=producer or None,
        ir_version=model.ir_version or None,
        opsets=opsets,
    )


def _followed_port(info: ValueInfoProto, shape: Shape | None) -> Port:
    """An output of a variant, whose lengths are those that follow; an axis that has a symbol stays open."""
    said = declared(info)
    if said.dims is None or shape is None or len(said.dims) != len(shape):
        return Port(info.name, said.dtype, None if said.dims is None else shape)
    return Port(info.name, said.dtype, tuple(None if symbol else length for symbol, length in zip(said.dims, shape, strict=True)))


def _declared_port(info: ValueInfoProto) -> Port:
    said = declared(info)
    shape = None if said.dims is None else tuple(None if isinstance(n, str) else n for n in said.dims)
    return Port(info.name, said.dtype, shape)
