"""Receptive fields against the numbers that were published, and what ends a local path."""

from __future__ import annotations

import pytest

from service.analysis.field.intervals import MOST_ENTRIES
from service.analysis.field.published import Measure
from service.graph import Operator
from service.graph import operators as core
from tests.analysis.networks import ADD, Builder, conv, measures, pool, same, transposed, views


def chain(length: int, *operators: Operator, channels: int = 1) -> Builder:
    """Operators one after the other on a square image."""
    builder = Builder()
    builder.input(1, channels, length, length)
    for operator in operators:
        builder.add(operator)
    return builder


def last(builder: Builder) -> tuple[Measure, ...]:
    """The measures of the last layer."""
    graph = builder.graph()
    return measures(graph)[graph.outputs[0]]


def doubled(builder: Builder) -> None:
    """Nearest enlargement of both axes by two."""
    for axis in (2, 3):
        builder.add(core.Resampling(axis, 2 * builder.shape()[axis], 2.0, transform="asymmetric", rounding="floor"))


# -- micro-models, measured by gradient support ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operators", "size", "density"),
    [
        ((conv(1, 3, pad=1), conv(1, 3, pad=1)), (5, 5), 25 / 25),
        ((conv(1, 3, pad=2, dilation=2), conv(1, 3, pad=4, dilation=4)), (13, 13), 49 / 169),
        ((conv(1, 1, 2), conv(1, 3)), (5, 5), 9 / 25),
        ((conv(1, (3, 5), (2, 1)), conv(1, (5, 1))), (11, 5), 55 / 55),
        ((conv(1, 3, 2), transposed(1, 2, 2), conv(1, 3)), (5, 5), 25 / 25),
    ],
)
def test_micro_models(operators: tuple[Operator, ...], size: tuple[int, int], density: float) -> None:
    """Size and pixels read / pixels of the box, as the support of the gradient of one inner unit shows them."""
    builder = chain(64, *operators)
    assert tuple(m.size for m in last(builder)) == size
    assert views(builder.graph())[builder.last].density == pytest.approx(density)


def test_micro_model_of_two_paths() -> None:
    """3×3, then 5×5 and 1×1 added: 7×7, of which the smallest path sees 3."""
    builder = chain(64, conv(1, 3, pad=1))
    trunk = builder.last
    builder.add(ADD, builder.add(conv(1, 5, pad=2), trunk), builder.add(conv(1, 1), trunk))
    found = last(builder)
    assert [(m.size, m.min_size) for m in found] == [(7, 3), (7, 3)]
    assert views(builder.graph())[builder.last].density == 1.0


def test_micro_model_of_nearest_enlargement() -> None:
    """3×3 stride 2, nearest ×2, 3×3: 5×5 at every phase, all 25 pixels read."""
    builder = chain(65, conv(1, 3, 2))
    doubled(builder)
    builder.add(conv(1, 3, pad=1))
    assert [(m.size, m.stride, m.phases) for m in last(builder)] == [(5, 1, (5, 5))] * 2
    assert views(builder.graph())[builder.last].density == 1.0


# -- Araujo, Norris and Sim 2019 ---------------------------------------------------------------------------------------

VGG_16 = {  # size, stride, padding at 224×224 with SAME padding; torchvision's vgg16.features ends alike
    (1, 1): (3, 1, 1),
    (1, 0): (6, 2, 2),
    (2, 1): (10, 2, 4),
    (2, 0): (16, 4, 6),
    (3, 1): (24, 4, 10),
    (3, 2): (32, 4, 14),
    (3, 0): (44, 8, 18),
    (4, 1): (60, 8, 26),
    (4, 2): (76, 8, 34),
    (4, 0): (100, 16, 42),
    (5, 1): (132, 16, 58),
    (5, 2): (164, 16, 74),
    (5, 0): (212, 32, 90),
}


def test_vgg_16() -> None:
    """Araujo, Norris and Sim, Distill 2019, vgg_16: (block, layer), the pooling as layer 0."""
    builder = Builder()
    builder.input(1, 3, 224, 224)
    names = {}
    for block, depth in enumerate((2, 2, 3, 3, 3), start=1):
        for layer in range(1, depth + 1):
            names[block, layer] = builder.add(conv(2, 3, pad=1))
        names[block, 0] = builder.add(pool(2, 2))
    found = measures(builder.graph())
    for key, published in VGG_16.items():
        assert [(m.size, m.stride, m.padding) for m in found[names[key]]] == [published] * 2


def test_alexnet_of_torchvision() -> None:
    """alexnet.features of torchvision, measured: 195/32/66, where TF-Slim's alexnet_v2 without padding in conv1 has 195/32/64."""
    for pad, expected in ((2, 66), (0, 64)):
        builder = chain(224, conv(1, 11, 4, pad), pool(3, 2), conv(1, 5, pad=2), pool(3, 2), *[conv(1, 3, pad=1)] * 3, pool(3, 2))
        assert [(m.size, m.stride, m.padding) for m in last(builder)] == [(195, 32, expected)] * 2


def test_size_exceeds_the_input_and_coverage_does_not() -> None:
    """Design section 2: the input goes on for ever beyond its border; coverage is the clipped view."""
    builder = chain(16, *[conv(1, 3, pad=1)] * 10)
    assert [(m.size, m.coverage) for m in last(builder)] == [(21, 1.0)] * 2
    builder = chain(16, conv(1, 3, pad=1))
    assert [m.coverage for m in last(builder)] == [3 / 16] * 2


# -- alignment: the tests of google-research/receptive_field -----------------------------------------------------------


def aligned(length: int, size_same: bool = False) -> Builder:
    """k1 s4 beside pad(1,0), k3 s2, k1 s2; with SAME padding in place of explicit padding where asked."""
    builder = Builder()
    source = builder.input(1, 3, length, length)
    left = builder.add(conv(1, 1, 4), source)
    if size_same:
        pads = (same(length, 3, 2),) * 2
        builder.add(conv(1, 3, 2, pads), source)
    else:
        builder.add(core.Padding(((0, 0), (0, 0), (1, 0), (1, 0))), source)
        builder.add(conv(1, 3, 2))
    builder.add(ADD, left, builder.add(conv(1, 1, 2)))
    return builder


def test_aligned_paths() -> None:
    assert [(m.size, m.stride, m.padding) for m in last(aligned(32))] == [(3, 4, 1)] * 2


def test_aligned_paths_with_same_padding() -> None:
    """At 9×9 the paths agree: 3/4/1. At 8×8 SAME pads at the other side."""
    assert [(m.size, m.stride, m.padding) for m in last(aligned(9, True))] == [(3, 4, 1)] * 2
    assert [m.padding for m in last(aligned(8, True))] == [0, 0]


def test_rows_and_columns_differ() -> None:
    """k[3,5] stride 2, then k[3,1] stride 2: 7×5, stride 4, no padding."""
    found = last(chain(64, conv(1, (3, 5), 2), conv(1, (3, 1), 2)))
    assert [(m.size, m.stride, m.padding) for m in found] == [(7, 4, 0), (5, 4, 0)]


def test_aligned_paths_twice() -> None:
    """The aligned paths, then k1 s2 beside pad(1,0), k3 s2: 11/8/5."""
    builder = aligned(64)
    trunk = builder.last
    left = builder.add(conv(1, 1, 2), trunk)
    builder.add(core.Padding(((0, 0), (0, 0), (1, 0), (1, 0))), trunk)
    builder.add(ADD, left, builder.add(conv(1, 3, 2)))
    assert [(m.size, m.stride, m.padding) for m in last(builder)] == [(11, 8, 5)] * 2


def test_paths_of_different_strides_have_no_common_stride() -> None:
    """pad(2,1), k5 s2 beside k3, k3: after cropping to a common length no period is left; size is the union in the middle."""
    builder = Builder()
    source = builder.input(1, 1, 32)
    builder.add(core.Padding(((0, 0), (0, 0), (2, 1))), source)
    strided = builder.add(conv(1, 5, 2, rank=1))
    builder.add(conv(1, 3, rank=1), source)
    dense = builder.add(conv(1, 3, rank=1))
    cropped = builder.add(core.Slicing(2, 0, 1, builder.shape(strided)[2]), dense)
    builder.add(ADD, strided, cropped)
    (found,) = last(builder)
    assert found.stride is None
    assert found.padding is None
    assert found.min_size == 5


# -- what ends a local path --------------------------------------------------------------------------------------------


def status(builder: Builder) -> list[tuple[str, str | None]]:
    """Status and cause on every axis of the last layer."""
    return [(field.reach, field.because) for field in views(builder.graph())[builder.last].fields]


@pytest.mark.parametrize("length", [5, 7, 8, 15, 224])
def test_global_pooling_is_global_behind_any_stride(length: int) -> None:
    """Strided layers may leave a few pixels at the end unread."""
    builder = chain(length, conv(1, 3, 2))
    name = builder.add(core.Reduction((2, 3)))
    assert status(builder) == [("global", name)] * 2
    assert [(m.size, m.stride, m.coverage) for m in last(builder)] == [(None, None, 1.0)] * 2


def test_a_gate_leaves_the_local_path() -> None:
    """Squeeze and excitation: status global because of the mean, size that of the local path."""
    builder = chain(32, conv(1, 3, pad=1))
    trunk = builder.last
    mean = builder.add(core.Reduction((2, 3)))
    builder.add(core.Elementwise("Mul"), trunk, mean)
    assert status(builder) == [("global", mean)] * 2
    assert [(m.size, m.coverage) for m in last(builder)] == [(3, 1.0)] * 2


def test_flatten_and_dense_are_global() -> None:
    builder = chain(8, conv(2, 3, pad=1))
    builder.add(core.Reshaping((1, 128)))
    name = builder.add(core.Dense(10))
    assert status(builder) == [("global", name)] * 2


@pytest.mark.parametrize("length", [4, 5, 8, 14, 56])
def test_attention_in_windows_stays_local(length: int) -> None:
    """Liu et al. 2021 (Swin): a window sees its own pixels, also where the windows are few."""
    window = 2
    builder = Builder()
    builder.input(1, 1, length)
    builder.add(core.Slicing(2, 0, 1, length // window * window))
    builder.add(core.Reshaping((1, 1, length // window, window)))
    builder.add(core.Mixing((3,), "Softmax"))
    builder.add(core.Reshaping((1, 1, length // window * window)))
    (field,) = views(builder.graph())[builder.last].fields
    assert field.reach == "exact"
    (found,) = last(builder)
    assert (found.size, found.stride, found.padding) == (2, 1, 0)


def test_attention_over_tokens_with_a_stride_is_global() -> None:
    """Non-local block (Wang et al. 2018) on a 3×3 stem of stride 4: the softmax over all keys is global, and leaves each score itself as a
    local path; values summed over all keys leave none. The last row of pixels is read by no token.
    """
    builder = chain(64, conv(4, 3, 4, pad=1))
    tokens = builder.add(core.Reshaping((1, 4, 256)))
    scores = builder.add(core.Contraction((("b", "c", "i"), ("b", "c", "j")), ("b", "i", "j")), tokens, tokens)
    shares = builder.add(core.Mixing((2,), "Softmax"), scores)
    assert status(builder) == [("global", shares)] * 2
    assert [m.size for m in last(builder)] == [63, 63]
    builder.add(core.Contraction((("b", "i", "j"), ("b", "c", "j")), ("b", "c", "i")), shares, tokens)
    assert status(builder) == [("global", shares)] * 2
    assert [m.size for m in last(builder)] == [None, None]


def test_one_axis_may_end_while_the_other_goes_on() -> None:
    """The mean over the height leaves the width local."""
    builder = chain(16, conv(1, 3, pad=1))
    name = builder.add(core.Reduction((2,)))
    assert status(builder) == [("global", name), ("exact", None)]
    assert [m.size for m in last(builder)] == [None, 3]


def test_a_forward_recurrent_layer_ends_the_time_axis() -> None:
    builder = Builder()
    builder.input(10, 1, 3)
    builder.add(core.Recurrent("GRU", 4))
    found = views(builder.graph(), axes={0: (0,)})[builder.last]
    assert (found.fields[0].reach, found.fields[0].because) == ("global", builder.last)


def test_an_operator_without_a_rule_makes_everything_unknown() -> None:
    builder = chain(8, conv(1, 3))
    shape = builder.shape()
    name = builder.add(core.Unknown((shape,), "no rule"))
    builder.add(conv(1, 3))
    assert status(builder) == [("unknown", name)] * 2
    assert [(m.size, m.coverage) for m in last(builder)] == [(None, None)] * 2


def test_what_depends_on_the_data_is_a_bound() -> None:
    builder = chain(8, conv(1, 3))
    name = builder.add(core.DataDependent((builder.shape(),), "indices"))
    assert status(builder) == [("bound", name)] * 2
    assert [m.size for m in last(builder)] == [3, 3]


def test_a_table_that_grows_too_large_becomes_a_bound() -> None:
    """Units whose places follow no period are listed one by one only up to a limit."""
    length = 2 * MOST_ENTRIES // 4
    builder = Builder()
    builder.input(1, 1, length)
    name = builder.add(core.Taking(2, tuple(range(length - 1, -1, -1))))
    assert status(builder) == [("bound", name)]


def test_a_padded_unit_after_a_roll_reads_nothing() -> None:
    """A cyclic shift follows no period, so what lies in padding behind it reads nothing, and the density is that of the other units."""
    builder = Builder()
    source = builder.input(1, 1, 6)
    tail, head = builder.add(core.Slicing(2, 1, 1, 5), source), builder.add(core.Slicing(2, 0, 1, 1), source)
    builder.add(core.Concatenation(2), tail, head)
    builder.add(core.Reshaping((1, 1, 3, 2)))
    builder.add(core.Mixing((3,), "Softmax"))
    builder.add(core.Reshaping((1, 1, 6)))
    builder.add(conv(1, 1, pad=((0, 2),), rank=1))
    view = views(builder.graph())[builder.last]
    assert view.density is not None and 0 < view.density <= 1


def test_channels_do_not_go_on_beyond_the_last() -> None:
    """Response normalisation over channels behind a grouped convolution: channel 2 of 2 has no neighbour after it."""
    builder = chain(6, conv(2, (1, 2), dilation=(1, 3), groups=2), channels=2)
    builder.add(core.Neighbourhood(1, 1, 2))
    view = views(builder.graph())[builder.last]
    assert view.density == pytest.approx(2 / 4)


@pytest.mark.parametrize("length", [16, 256])
def test_a_map_beside_its_own_enlargement_is_no_whole_axis(length: int) -> None:
    """A U-Net on an image as small as its stride: the coarse path sees all of it, but concatenated channels do not lie along the image.

    16 units share a coarse one that reads 50; a window of 3 across their border reads 66, as measured by gradient support on a long image.
    """
    builder = chain(length, conv(2, 3, pad=1))
    skip = builder.last
    builder.add(pool(16, 16))
    builder.add(conv(2, 3, pad=1))
    up = builder.add(transposed(2, 16, 16))
    builder.add(core.Concatenation(1), up, skip)
    builder.add(conv(2, 3, pad=1))
    assert status(builder) == [("exact", None)] * 2
    assert [(m.size, m.stride) for m in last(builder)] == [(66, 1)] * 2


@pytest.mark.parametrize("length", [8, 64])
def test_a_gate_on_a_map_of_one_unit_is_global(length: int) -> None:
    """A squeeze-and-excitation gate: size, stride and padding are those of the local path, whatever the size of the image."""
    builder = chain(length, conv(2, 3, 4, pad=1), conv(2, 3, 2, pad=1))
    source = builder.last
    gate = builder.add(core.Reduction((2, 3)), source)
    builder.add(core.Elementwise("mul"), source, gate)
    builder.add(conv(2, 3, pad=1))
    assert status(builder) == [("global", gate)] * 2
    assert [(m.size, m.stride, m.padding) for m in last(builder)] == [(27, 8, 13)] * 2


@pytest.mark.parametrize("length", [8, 64])
def test_a_pixel_shuffle_halves_the_stride_of_a_map_of_one_unit_too(length: int) -> None:
    """Sub-pixel convolution (Shi et al. 2016) behind a stride of 8: size and stride are those on a larger image."""
    builder = chain(length, conv(4, 3, 8, pad=1))
    places = length // 8
    builder.add(core.Reshaping((1, 1, 2, 2, places, places)))
    builder.add(core.Transposing((0, 1, 4, 2, 5, 3)))
    builder.add(core.Reshaping((1, 1, 2 * places, 2 * places)))
    assert [(m.size, m.stride) for m in last(builder)] == [(3, 4)] * 2
