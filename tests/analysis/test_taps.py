"""Which units an operator reads along one axis: small tables, and interpolation against ONNX's own reference of Resize."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from service.analysis.field.taps import NOTHING, Taps, listed, resampled, shifted, sliding, tiled, transposed
from service.graph import operators as core


def read(taps: Taps, stop: int, start: int = 0) -> list[list[int]]:
    """The units read by each output unit, in ascending order."""
    return [sorted(int(i) for i in row if i != NOTHING) for row in taps.indices(start, stop)]


def test_a_window_slides() -> None:
    """Dumoulin and Visin 2016, figure 2.7 (k 3, s 2, p 1) and 5.1 (dilation 2)."""
    assert read(sliding(3, 2, 1, 1), 3) == [[-1, 0, 1], [1, 2, 3], [3, 4, 5]]
    assert read(sliding(3, 1, 2, 0), 2) == [[0, 2, 4], [1, 3, 5]]


def test_a_transposed_window_is_the_matrix_transposed() -> None:
    """Dumoulin and Visin 2016, chapter 4: the transpose of the convolution that leads from the output back to the input."""
    for kernel, stride, dilation, before, length in itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2, 3), (-1, 0, 2), (6,)):
        result = (length - 1) * stride + dilation * (kernel - 1) + 1 - before
        back = read(sliding(kernel, stride, dilation, before), length)
        forward = read(transposed(kernel, stride, dilation, before), max(result, 0))
        for unit, row in enumerate(forward):
            real = [i for i in row if 0 <= i < length]
            assert real == [i for i in range(length) if unit in back[i]], (kernel, stride, dilation, before, unit)


def test_a_phase_may_see_nothing() -> None:
    """One tap at stride 3 leaves two of three outputs without any."""
    assert read(transposed(1, 3, 1, 0), 6) == [[0], [], [], [1], [], []]


def test_slices_flips_and_padding_move() -> None:
    assert read(shifted(2, 3), 3) == [[2], [5], [8]]
    assert read(shifted(4, -2), 3) == [[4], [2], [0]]
    assert read(shifted(-2), 3) == [[-2], [-1], [0]]


def test_lists_and_tiles() -> None:
    assert read(listed((3, 0, 3)), 3) == [[3], [0], [3]]
    assert read(tiled(3), 7) == [[0], [1], [2], [0], [1], [2], [0]]


def test_enlargement_has_phases() -> None:
    """Nearest by two: both phases read the same unit; linear by two, half_pixel: one unit back and one on."""
    nearest = resampled(core.Resampling(2, 8, 2.0, transform="asymmetric", rounding="floor"), 4)
    assert (nearest.period, nearest.step) == (2, 1)
    assert read(nearest, 4) == [[0], [0], [1], [1]]
    linear = resampled(core.Resampling(2, 8, 2.0, mode="linear"), 4)
    assert read(linear, 4) == [[-1, 0], [0, 1], [0, 1], [1, 2]]


@pytest.mark.parametrize("transform", ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize(
    ("mode", "antialias"), [("nearest", False), ("linear", False), ("linear", True), ("cubic", False), ("cubic", True)]
)
@pytest.mark.parametrize(("length", "result"), [(12, 24), (12, 18), (12, 4), (12, 9), (12, 8), (9, 12), (12, 12)])
def test_resize_as_its_reference(transform: str, mode: str, antialias: bool, length: int, result: int) -> None:
    """The weights that the reference of ONNX Resize (opset 19) gives to every unit, wherever no tap falls beyond the border."""
    scale = result / length
    taps = resampled(core.Resampling(0, result, scale, mode, transform, antialias=antialias), length)
    weights = _reference(transform, mode, antialias, length, result)
    for unit, row in enumerate(read(taps, result)):
        if all(0 <= i < length for i in row):
            assert row == np.flatnonzero(np.abs(weights[unit]) > 1e-9).tolist(), unit


def _reference(transform: str, mode: str, antialias: bool, length: int, result: int) -> np.ndarray:
    """The matrix (result, length) of Resize along one axis: its answers to one unit at a time."""
    node = helper.make_node(
        "Resize",
        ["x", "", "", "sizes"],
        ["y"],
        axes=[0],
        mode=mode,
        coordinate_transformation_mode=transform,
        antialias=int(antialias),
    )
    ports = [
        helper.make_tensor_value_info("x", TensorProto.DOUBLE, [length]),
        helper.make_tensor_value_info("sizes", TensorProto.INT64, [1]),
    ]
    answer = helper.make_tensor_value_info("y", TensorProto.DOUBLE, [result])
    model = helper.make_model(helper.make_graph([node], "resize", ports, [answer]), opset_imports=[helper.make_opsetid("", 19)])
    evaluator = ReferenceEvaluator(model)
    columns = [evaluator.run(None, {"x": row, "sizes": np.array([result])})[0] for row in np.eye(length)]
    return np.stack(columns, axis=1)


def test_align_corners_reaches_both_corners() -> None:
    taps = resampled(core.Resampling(2, 5, 5 / 3, mode="linear", transform="align_corners"), 3)
    assert read(taps, 5) == [[0], [0, 1], [1], [1, 2], [2]]


def test_crop_and_resize_reads_its_region() -> None:
    """tf_crop_and_resize of the middle half: from a quarter of the axis to three quarters."""
    taps = resampled(core.Resampling(2, 3, 1.0, mode="linear", transform="tf_crop_and_resize", region=(0.25, 0.75)), 9)
    assert taps.step is None
    assert read(taps, 3) == [[2], [4], [6]]


def test_a_pattern_of_very_many_phases_is_listed() -> None:
    """A scale whose period exceeds the result says nothing beyond the border."""
    taps = resampled(core.Resampling(2, 7, 7 / 5.000001), 5)
    assert taps.step is None
    assert [len(row) for row in read(taps, 7)] == [1] * 7
