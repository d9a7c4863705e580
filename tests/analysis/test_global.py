"""What is global: judged by the places of the map that a step reads, never by how far its units see (design section 2)."""

from __future__ import annotations

from fractions import Fraction

import pytest

from service.graph import Operator
from service.graph import operators as core
from tests.analysis.networks import ADD, Builder, conv, measures, pool, views


def chain(shape: tuple[int, ...], *operators: Operator) -> Builder:
    """Operators one after the other behind an input of this shape."""
    builder = Builder()
    builder.input(*shape)
    for operator in operators:
        builder.add(operator)
    return builder


def line(length: int, kernel: int = 3) -> Builder:
    """A convolution over a sequence, padded to keep its length."""
    return chain((1, 1, length), conv(1, kernel, pad=kernel // 2, rank=1))


def found(builder: Builder) -> list[tuple[str, int | None]]:
    """Status and size on every axis of the last layer."""
    graph = builder.graph()
    view = views(graph)[builder.last]
    return [(field.reach, m.size) for field, m in zip(view.fields, measures(graph)[builder.last], strict=True)]


def test_a_mean_of_blocks_is_one_answer_as_pooling_and_as_reduction() -> None:
    """Blocks of 4 of a map of 8 whose units all see more than the image: 17 + 3 positions at stride 4, as a pooling gives."""
    pooled = chain((1, 1, 8, 8), conv(1, 17, pad=8), pool(4, 4))
    reduced = chain((1, 1, 8, 8), conv(1, 17, pad=8), core.Reshaping((1, 1, 2, 4, 2, 4)), core.Reduction((3, 5), keepdims=False))
    expected = [(20, Fraction(4), 8)] * 2
    for builder in (pooled, reduced):
        assert found(builder) == [("exact", 20)] * 2
        assert [(m.size, m.stride, m.padding) for m in measures(builder.graph())[builder.last]] == expected


def test_one_block_is_the_whole_map() -> None:
    """The mean of a single block, or of all blocks one after the other, is a global pooling."""
    single = chain((1, 1, 8), conv(1, 17, pad=8, rank=1), core.Reshaping((1, 1, 1, 8)), core.Reduction((3,)))
    nested = chain((1, 1, 8), conv(1, 3, pad=1, rank=1), core.Reshaping((1, 1, 2, 4)), core.Reduction((2,)), core.Reduction((3,)))
    assert found(single) == found(nested) == [("global", None)]


def test_an_average_pooling_of_the_size_of_the_map_is_global() -> None:
    """It is the mean over the map, written as a window; a maximum, or a window that leaves something out, slides on a larger image."""
    averaged = core.Pooling((8, 8), (1, 1), (1, 1), ((0, 0), (0, 0)), "average")
    assert found(chain((1, 1, 8, 8), conv(1, 3, pad=1), averaged)) == [("global", None)] * 2
    assert found(chain((1, 1, 9, 8), conv(1, 3, pad=1), averaged)) == [("exact", 10)] * 2
    assert found(chain((1, 1, 8, 8), conv(1, 3, pad=1), pool(8, 1))) == [("exact", 10)] * 2


def test_channels_that_see_different_places_are_no_whole_map() -> None:
    """A coarse map beside its own 3×3 neighbourhood (GhostNet, NASNet, AHNet): each unit sees all of the image, at one place of the map."""
    builder = chain((1, 1, 16, 16), conv(1, 33, 4, pad=16))
    for axis in (2, 3):
        builder.add(core.Resampling(axis, 8, 2.0, transform="asymmetric", rounding="floor"))
    coarse = builder.last
    fine = builder.add(conv(1, 3, pad=1), coarse)
    builder.add(core.Concatenation(1), coarse, fine)
    builder.add(conv(1, 1))
    assert found(builder) == [("exact", 37)] * 2


@pytest.mark.parametrize("operator", [core.Reduction((2,)), core.Dense(5)])
def test_a_mixture_of_the_whole_map_is_global_where_all_units_saw_everything(operator: Operator) -> None:
    builder = line(7, 15)
    builder.add(operator)
    assert found(builder) == [("global", None)]


def test_a_window_of_a_map_stays_local_however_wide_its_units_see() -> None:
    """Four of sixteen units, each of which sees 31 positions."""
    builder = line(16, 31)
    builder.add(core.Reshaping((1, 4, 4)))
    builder.add(core.Dense(4))
    assert found(builder) == [("exact", 34)]


def test_a_convolution_of_the_size_of_the_map_is_local() -> None:
    """On a larger image it would slide."""
    assert found(chain((1, 1, 8, 8), conv(4, 8))) == [("exact", 8)] * 2


def test_windows_that_were_rolled_cover_the_map() -> None:
    """Swin's cyclic shift, windows and the shift back, then the mean over all units."""
    builder = Builder()
    source = builder.input(1, 1, 16)
    parts = [builder.add(core.Slicing(2, start, 1, length), source) for start, length in ((2, 14), (0, 2))]
    builder.add(core.Concatenation(2), *parts)
    builder.add(core.Reshaping((1, 4, 4)))
    builder.add(core.Dense(4))
    assert found(builder)[0][0] == "exact"
    builder.add(core.Reshaping((1, 1, 16)))
    builder.add(core.Reduction((2,)))
    assert found(builder) == [("global", None)]


def test_a_grid_of_tokens_is_not_the_whole_map() -> None:
    """MaxViT's grid attention takes in every fourth place."""
    builder = chain((1, 1, 16), core.Reshaping((1, 4, 4)), core.Transposing((0, 2, 1)), core.Dense(4))
    assert found(builder) == [("exact", 13)]


def test_first_and_last_unit_are_not_the_whole_map() -> None:
    """A flip beside the map itself, mixed by a 1×1 convolution: unit 0 reads the first place and the last."""
    builder = line(9)
    forwards = builder.last
    backwards = builder.add(core.Slicing(2, 8, -1, 9), forwards)
    builder.add(core.Concatenation(1), forwards, backwards)
    builder.add(conv(1, 1, rank=1))
    assert found(builder)[0][0] == "exact"


# -- normalisation and softmax -----------------------------------------------------------------------------------------


def normalised(length: int, written_out: bool) -> Builder:
    """An instance normalisation between two convolutions, as one operator or as means, differences and quotients."""
    builder = line(length)
    data = builder.last
    if written_out:
        centred = builder.add(core.Elementwise("Sub"), data, builder.add(core.Reduction((2,)), data))
        deviation = builder.add(core.Reduction((2,)), builder.add(core.Elementwise("Mul"), centred, centred))
        builder.add(core.Elementwise("Div"), centred, deviation)
    else:
        builder.add(core.Mixing((2,), "instancenormalization"))
    builder.add(conv(1, 3, 2, pad=1, rank=1))
    return builder


@pytest.mark.parametrize("written_out", [False, True])
@pytest.mark.parametrize("length", [4, 64])
def test_a_normalisation_over_positions_keeps_the_local_path(length: int, written_out: bool) -> None:
    builder = normalised(length, written_out)
    assert found(builder) == [("global", 5)]
    (measure,) = measures(builder.graph())[builder.last]
    assert (measure.stride, measure.padding, measure.coverage) == (2, 2, 1.0)


def test_group_and_layer_normalisations_keep_it_too() -> None:
    grouped = chain(
        (1, 4, 8, 8),
        conv(4, 3, pad=1),
        core.Reshaping((1, 2, 2, 8, 8)),
        core.Mixing((2, 3, 4), "groupnormalization"),
        core.Reshaping((1, 4, 8, 8)),
    )
    flat = chain(
        (1, 4, 8, 8),
        conv(4, 3, pad=1),
        core.Reshaping((1, 2, 128)),
        core.Mixing((2,), "instancenormalization"),
        core.Reshaping((1, 4, 8, 8)),
    )
    whole = chain((1, 4, 8, 8), conv(4, 3, pad=1), core.Mixing((1, 2, 3), "layernormalization"))
    for builder in (grouped, flat, whole):
        assert found(builder) == [("global", 3)] * 2


def test_a_normalisation_over_channels_is_local() -> None:
    assert found(chain((1, 4, 8, 8), conv(4, 3, pad=1), core.Mixing((1,), "layernormalization"))) == [("exact", 3)] * 2


def test_sorting_keeps_no_unit_at_its_place() -> None:
    assert found(chain((1, 1, 8), core.Mixing((2,), "sort"))) == [("global", None)]


def test_running_sums_inside_windows_are_local() -> None:
    """A cumulation over a whole map is global by its last unit; over a window it sees the window up to itself."""
    assert found(chain((1, 1, 16), core.Reshaping((1, 4, 4)), core.Cumulation(2))) == [("exact", 4)]
    assert found(chain((1, 1, 16), core.Cumulation(2))) == [("global", None)]


# -- attention ---------------------------------------------------------------------------------------------------------


def attention(length: int) -> Builder:
    """Scores, softmax and values of all positions, and a residual."""
    builder = chain((1, length, 8), core.Dense(8))
    tokens = builder.last
    builder.add(core.Contraction((("b", "i", "c"), ("b", "j", "c")), ("b", "i", "j")), tokens, tokens, name="scores")
    builder.add(core.Mixing((2,), "softmax"), name="softmax")
    builder.add(core.Contraction((("b", "i", "j"), ("b", "j", "c")), ("b", "i", "c")), "softmax", tokens, name="mix")
    builder.add(ADD, tokens, "mix", name="residual")
    return builder


@pytest.mark.parametrize("length", [2, 16, 1024, 4096])
def test_attention_is_global_at_any_length(length: int) -> None:
    """The softmax over keys is global beside the score itself; the sum over values leaves no local path, the residual only its own unit."""
    seen = views(attention(length).graph(), axes={0: (1,)})
    sizes = measures(attention(length).graph(), axes={0: (1,)})
    reach = {name: (seen[name].fields[0].reach, seen[name].fields[0].because) for name in ("scores", "softmax", "mix", "residual")}
    assert reach == {"scores": ("exact", None), **dict.fromkeys(("softmax", "mix", "residual"), ("global", "softmax"))}
    assert (sizes["mix"][0].size, sizes["residual"][0].size) == (None, 1)


def test_heads_that_are_mixed_read_no_further_position() -> None:
    """A dense layer over heads (talking heads) on the scores of first and last position is not the whole map."""
    builder = chain((1, 4, 6, 8), core.Dense(8))
    tokens = builder.last
    labels = (("b", "h", "i", "c"), ("b", "h", "j", "c")), ("b", "i", "j", "h")
    builder.add(core.Contraction(*labels), tokens, tokens)
    builder.add(core.Dense(4))
    assert [field.reach for field in views(builder.graph(), axes={0: (2,)})[builder.last].fields] == ["exact"]
