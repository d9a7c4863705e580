"""Unions of products: how they are kept few, and counted without an image."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.analysis.field.intervals import TooLarge
from service.analysis.field.support import MAX_PRODUCTS, Allowance, Product, pixels, united


def product(*axes: tuple[int, ...] | None) -> Product:
    return tuple(None if places is None else np.array(places) for places in axes)


def listed(parts: list[Product], shape: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Every pixel of a union."""
    return {
        pixel
        for part in parts
        for pixel in itertools.product(*(range(n) if own is None else own.tolist() for own, n in zip(part, shape, strict=True)))
    }


places = st.one_of(st.none(), st.sets(st.integers(0, 5), min_size=1).map(lambda own: np.array(sorted(own))))
unions = st.lists(st.tuples(places, places, places), min_size=1, max_size=6)


@given(unions)
def test_fewer_products_hold_the_same_pixels(parts: list[Product]) -> None:
    fewer = united(parts, Allowance(1000))
    assert len(fewer) <= len(parts)
    assert listed(fewer, (6, 6, 6)) == listed(parts, (6, 6, 6))


@given(unions)
def test_pixels_are_counted_once(parts: list[Product]) -> None:
    every = listed(parts, (6, 6, 6))
    count, along = pixels(parts, (6, 6, 6), (1, 2))
    assert count == len({pixel[1:] for pixel in every})
    assert [set(axis.tolist()) for axis in along] == [{pixel[axis] for pixel in every} for axis in (1, 2)]


def test_what_lies_in_another_is_dropped_and_neighbours_become_one() -> None:
    (whole,) = united([product((1, 2), (3,)), product((0, 1, 2, 3), (3, 4)), product((4,), (3, 4))], Allowance(10))
    assert [own.tolist() for own in whole if own is not None] == [[0, 1, 2, 3, 4], [3, 4]]
    assert len(united([product((0, 1), (0,)), product((0,), (0, 1))], Allowance(10))) == 2


def test_too_many_products() -> None:
    with pytest.raises(TooLarge):
        united([product((i,), (i,)) for i in range(MAX_PRODUCTS + 1)], Allowance(1 << 20))
    with pytest.raises(TooLarge):
        united([product((i,), (i,)) for i in range(9)], Allowance(9))
