"""Models that were spoilt at random: each is read or refused with a Refused, and every tensor that a node names is there."""

from __future__ import annotations

import random

import onnx
import pytest

from service.faults import Refused
from service.readers.onnx import OnnxWeights
from tests.readers.onnx_models import info, read
from tests.readers.test_onnx_meaning import AT_LEAST, EXACT
from tests.readers.test_onnx_operators import CONTRIBUTED, SHAPES
from tests.readers.test_onnx_structure import branches, loop_model, model

NUMBERS = (0, -1, 1, 2, 3, 7, -5, 2**31, 2**62, -(2**63), 2**63 - 1)
SOUND = [
    *EXACT.values(),
    *AT_LEAST.values(),
    *SHAPES.values(),
    *(proto for proto, _, _ in CONTRIBUTED.values()),
    loop_model(3),
    loop_model(None),
]
OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas()})


def spoil(proto: onnx.ModelProto, chance: random.Random) -> None:
    """Change one thing: an attribute, an input, a shape, an operator, a stored number."""
    graph = proto.graph
    one = chance.choice(list(graph.node))
    attribute = chance.choice(list(one.attribute)) if one.attribute else None
    shapes = [value.type.tensor_type.shape for value in graph.input if value.type.tensor_type.HasField("shape")]
    match chance.randrange(8):
        case 0 if attribute is not None:
            attribute.i = chance.choice(NUMBERS)
        case 1 if attribute is not None:
            del attribute.ints[:]
            attribute.ints.extend(chance.choice(NUMBERS) for _ in range(chance.randrange(5)))
        case 2 if attribute is not None:
            one.attribute.remove(attribute)
        case 3 if one.input:
            del one.input[chance.randrange(len(one.input))]
        case 4 if one.input:
            names = ["", *(value.name for value in graph.input), *(tensor.name for tensor in graph.initializer)]
            one.input[chance.randrange(len(one.input))] = chance.choice(names)
        case 5:
            one.op_type = chance.choice(OPERATORS)
        case 6 if shapes:
            shape = chance.choice(shapes)
            if shape.dim and chance.random() < 0.7:
                shape.dim[chance.randrange(len(shape.dim))].dim_value = chance.choice(NUMBERS)
            else:
                shape.dim.add().dim_value = 2
        case 7 if graph.initializer:
            tensor = chance.choice(list(graph.initializer))
            raw = bytearray(tensor.raw_data)
            if len(raw) >= 8:
                raw[:8] = chance.choice(NUMBERS).to_bytes(8, "little", signed=True)
                tensor.raw_data = bytes(raw)


@pytest.mark.parametrize("seed", range(20))
def test_spoilt_models(seed: int) -> None:
    chance = random.Random(seed)
    weights = OnnxWeights()
    joined = model([branches("c")], {"x": [1, 3, 8, 8]})
    joined.graph.input.append(info("c", [], onnx.TensorProto.BOOL))
    for sound in [*chance.choices(SOUND, k=60), joined]:
        proto = onnx.ModelProto()
        proto.CopyFrom(sound)
        for _ in range(chance.randrange(1, 4)):
            spoil(proto, chance)
        try:
            graph = read(proto)
        except Refused as error:
            assert error.fault in ("malformed", "invalid", "limit")
            assert error.code
            continue
        for layer in graph.layers:
            assert {name for node in layer.nodes for name in (*node.inputs, *node.outputs)} <= graph.tensors.keys()
            for weight in (*layer.kernel, *layer.bias):
                if weights.readable(weight):
                    assert weights.array(weight).shape == weight.shape
