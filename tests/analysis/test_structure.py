"""What follows from the structure alone: the batch that is divided out, and what is said where it is not."""

from __future__ import annotations

from service.analysis.batch import common_batch
from service.analysis.field.axes import layouts
from service.graph import Graph
from service.graph import operators as core
from service.graph.model import Model, ModelFacts
from service.readers.spec.values import InlineWeights
from tests.analysis.networks import ADD, Builder
from tests.reports import analyzed


def batch(graph: Graph) -> int:
    return common_batch(graph, layouts(graph))


def kept(graph: Graph) -> list[dict[str, object]]:
    report = analyzed(Model((graph,), InlineWeights({}), ModelFacts(None, "onnx", 1, (), ())))
    return [finding["data"] for finding in report["findings"] if finding["code"] == "batch-kept"]


def two_inputs(one: int, two: int) -> Graph:
    build = Builder()
    build.input(one, 3, 8, 8)
    build.input(two, 3, 8, 8)
    build.add(ADD, "input0", "input1")
    build.add(core.Convolution(kernel=(3, 3), strides=(1, 1), dilations=(1, 1), pads=((0, 0), (0, 0)), filters=4))
    return build.graph()


def test_a_leading_axis_that_all_inputs_share_is_the_batch() -> None:
    """Design section 2: units are counted per sample."""
    assert batch(two_inputs(2, 2)) == 2
    assert kept(two_inputs(2, 2)) == []


def test_leading_axes_that_differ_are_kept_and_said() -> None:
    assert batch(two_inputs(1, 2)) == 1
    assert kept(two_inputs(1, 2)) == [{"lengths": [1, 2]}]


def test_the_time_of_a_recurrent_layer_is_no_batch() -> None:
    """ONNX layout 0 is (time, batch, features): 50 steps of one sample are counted, not 50 samples."""
    build = Builder()
    build.input(50, 1, 13)
    build.add(core.Recurrent("LSTM", 8))
    graph = build.graph()
    assert batch(graph) == 1
    report = analyzed(Model((graph,), InlineWeights({}), ModelFacts(None, "onnx", 1, (), ())))
    assert report["layers"][0]["connections"]["exact"] == 50 * 4 * 8 * (13 + 8)


def test_a_batch_of_no_samples_divides_nothing() -> None:
    build = Builder()
    build.input(0, 3, 8, 8)
    build.add(core.Elementwise("relu"))
    assert batch(build.graph()) == 1
    report = analyzed(Model((build.graph(),), InlineWeights({}), ModelFacts(None, "onnx", 1, (), ())))
    assert report["layers"][0]["units"] == {"in": 0, "out": 0}
