"""The summary speaks of one input, of fields rather than scores, and of the layers whose weights are known."""

from __future__ import annotations

from typing import Any

import pytest

from service.graph import Layer, Node
from service.graph import operators as core
from service.graph.model import Model, ModelFacts
from service.readers.spec.values import InlineWeights
from tests.analysis.networks import ADD, Builder, conv
from tests.reports import analyzed


def summary_of(builder: Builder) -> dict[str, Any]:
    found: dict[str, Any] = analyzed(Model((builder.graph(),), InlineWeights({}), ModelFacts(None, "spec", 1, (), ())))["summary"]
    return found


def attention(length: int) -> Builder:
    """Scores of every position on every position, their softmax, and the values that they weigh, added to the input."""
    builder = Builder()
    source = builder.input(1, 4, length)
    query, key, value = (builder.add(conv(4, 1, rank=1), source) for _ in range(3))
    scores = builder.add(core.Contraction(((0, 3, 1), (0, 3, 2)), (0, 1, 2)), query, key, name="scores")
    weights = builder.add(core.Mixing((2,), "softmax"), scores, name="softmax")
    builder.add(ADD, builder.add(core.Contraction(((0, 1, 2), (0, 3, 2)), (0, 3, 1)), weights, value), source)
    return builder


def test_the_largest_field_is_never_that_of_a_score() -> None:
    field = summary_of(attention(16))["receptive_field"]
    assert field["largest"]["size"] == [1]
    assert field["first_global_layer"] == "softmax"


def test_the_first_global_layer_is_one_of_the_input_that_is_spoken_of() -> None:
    """A mean over the second input, such as the length of a mask, says nothing of the first."""
    builder = Builder()
    first, second = builder.input(1, 2, 16), builder.input(1, 2, 16)
    builder.add(core.Reduction((2,)), second, name="length")
    builder.add(conv(2, 3, pad=1, rank=1), first, name="look")
    field = summary_of(builder)["receptive_field"]
    assert (field["input"], field["first_global_layer"], field["largest"]["layer"]) == ("input0", None, "look")
    builder.add(core.Reduction((2,)), first, name="mean")
    assert summary_of(builder)["receptive_field"]["first_global_layer"] == "mean"


def test_ratios_are_those_of_layers_that_have_weights() -> None:
    """StyleGAN2's modulated convolution: its kernel is computed from the data, so its connections are served by no weight of the model."""
    builder = Builder()
    builder.input(1, 2, 8)
    builder.add(conv(2, 1, rank=1), name="own")
    builder.add(conv(2, 3, pad=1, rank=1), name="modulated")
    alone = summary_of(builder)
    graph_layers = builder.layers
    made = graph_layers[1]
    graph_layers[1] = Layer(
        made.name, made.op, made.kind, made.inputs, made.outputs, tuple(Node(n.operator, n.inputs, n.outputs) for n in made.nodes)
    )
    without = summary_of(builder)
    assert alone["sharing"]["factor"] == (32 + 88) / (4 + 12)
    assert without["connections"]["exact"] == alone["connections"]["exact"] == 32 + 88
    assert without["sharing"]["factor"] == 32 / 4
    assert without["reduction"]["total"] == without["reduction"]["from_sparsity"] * without["reduction"]["from_sharing"]


def test_the_width_of_the_influence_never_exceeds_the_field() -> None:
    """Uniform taps far apart: the Gaussian of two taps 16 apart would be 31 wide, the field is 17."""
    builder = Builder()
    builder.input(1, 1, 64)
    builder.add(conv(1, 2, dilation=16, rank=1))
    (layer,) = analyzed(Model((builder.graph(),), InlineWeights({}), ModelFacts(None, "spec", 1, (), ())))["layers"]
    assert layer["receptive_field"]["effective"]["sigma"] == [8.0]
    assert layer["receptive_field"]["effective"]["width95"] == [17.0]


@pytest.mark.parametrize("side", [32, 64, 128, 512])
def test_sigma_behind_upsampling_does_not_depend_on_the_image(side: int) -> None:
    """A pyramid: four halvings, and back by enlargements that meet the finer maps."""
    builder = Builder()
    builder.input(1, 1, side, side)
    maps = [builder.add(conv(2, 3, 2, pad=1)) for _ in range(4)]
    for finer in reversed(maps[:-1]):
        for axis in (2, 3):
            length = builder.shape()[axis]
            builder.add(core.Resampling(axis, 2 * length, 2.0, transform="asymmetric", rounding="floor"))
        builder.add(ADD, builder.last, finer)
    builder.add(conv(2, 3, pad=1))
    report = analyzed(Model((builder.graph(),), InlineWeights({}), ModelFacts(None, "spec", 1, (), ())))
    field = report["layers"][-1]["receptive_field"]
    assert field["size"] == [47, 47]
    assert field["effective"]["sigma"] == pytest.approx([8.334, 8.334], abs=0.001)
