"""Weights that are inputs of the graph: a training graph takes its parameters from outside, and stores none.

1. An input of a fixed shape is a weight where every node that reads it, by way of operators that keep its scalars, has it in the place of a
   parameter. Optimisers, gradients and the graph's outputs may read it too.
2. The matrices of a recurrent layer and the scales of a normalisation are such places by themselves, and so are kernel and bias of one
   layer together. A kernel alone (a tracker correlates with a template that it is given), the right side of a product, a table that is
   looked up and a vector that is added are so only in a graph that has such weights, or trains.
3. At least one input is none: what the network reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto

from service.readers.onnx.functions import domain_of
from service.readers.onnx.inputs import declared
from service.readers.onnx.rules import rule_for
from service.readers.onnx.topology import reads

_SURE: Mapping[str, Sequence[int]] = {
    "BatchNormalization": (1, 2, 3, 4),
    "InstanceNormalization": (1, 2),
    "LayerNormalization": (1, 2),
    "GroupNormalization": (1, 2),
    "RMSNormalization": (1,),
    "PRelu": (1,),
    "RNN": (1, 2, 3),
    "GRU": (1, 2, 3),
    "LSTM": (1, 2, 3, 7),
}
_BIASED = {"Conv", "ConvTranspose", "Gemm"}
_LIKELY: Mapping[str, Sequence[int]] = {**dict.fromkeys(_BIASED, (1, 2)), "MatMul": (1,), "Gather": (0,), "Add": (1,)}
_REAL = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16}
_TRAINING = "ai.onnx.preview.training"


def trained_inputs(graph: GraphProto, infos: Sequence[ValueInfoProto]) -> set[str]:
    """The names of the inputs that are weights."""
    origins = {info.name: info.name for info in infos if _fixed(info)}
    places: dict[str, set[str | None]] = {name: set() for name in origins}
    pairs: list[set[str]] = []
    for node in graph.node:
        if _passes_on(node) and node.input and node.input[0] in origins:
            origins.update(dict.fromkeys(node.output[:1], origins[node.input[0]]))
            continue
        for name, place in _readings(node):
            if name in origins:
                places[origins[name]].add(place)
        if node.op_type in _BIASED and len(node.input) == 3 and all(name in origins for name in node.input[1:3]):
            pairs.append({origins[name] for name in node.input[1:3]})
    placed = {name for name, each in places.items() if each and None not in each}
    found = {name for name in placed if places[name] == {"sure"}}.union(*(pair for pair in pairs if pair <= placed))
    if found or any(_trains(node) for node in graph.node):
        found |= placed
    return found if len(found) < len(infos) else set()


def _fixed(info: ValueInfoProto) -> bool:
    """Whether an input holds real numbers under a shape that is known."""
    said = declared(info)
    known = bool(said.dims) and all(isinstance(length, int) and length > 0 for length in said.dims or ())
    return known and info.type.tensor_type.elem_type in _REAL


def _passes_on(node: NodeProto) -> bool:
    """Whether the result of a node has the scalars of its first input."""
    rule = rule_for(domain_of(node.domain), node.op_type)
    return rule is not None and rule.keeps in ("order", "scalars")


def _readings(node: NodeProto) -> Iterator[tuple[str, str | None]]:
    """What a node reads, and whether that is `sure` or `likely` a parameter; None for data, and for what a body takes from outside."""
    if _trains(node):
        return
    for place, name in enumerate(node.input):
        sure, likely = place in _SURE.get(node.op_type, ()), place in _LIKELY.get(node.op_type, ())
        yield name, "sure" if sure else "likely" if likely else None
    yield from ((name, None) for name in set(reads(node)) - set(node.input))


def _trains(node: NodeProto) -> bool:
    """Whether a node computes gradients or applies them."""
    return node.domain == _TRAINING or node.op_type.endswith(("Grad", "Optimizer"))
