"""Names made unique, by readers of every format."""

from __future__ import annotations

import time

from service.readers.naming import Names


def test_a_name_that_is_taken_gets_a_number() -> None:
    names = Names(["input", "x_2"])
    assert [names.fresh(name) for name in ("x", "x", "x", "input", "x_3", "x_2")] == ["x", "x_3", "x_4", "input_2", "x_3_2", "x_2_2"]


def test_no_name_is_given_twice() -> None:
    names = Names()
    given = [names.fresh(name) for name in ["a", "a_2", "a", "a_2_2", "a_2", "a", "a_3"] * 50]
    assert len(set(given)) == len(given)


def test_many_equal_names_take_linear_time() -> None:
    """2^16 equal names, and as many that are already numbered: a search for each would take minutes."""
    names = Names(f"a_{number}" for number in range(2, 2**16))
    start = time.process_time()
    assert names.fresh("a") == "a"
    assert names.fresh("a") == f"a_{2**16}"
    assert len({names.fresh("b") for _ in range(2**16)}) == 2**16
    assert time.process_time() - start < 5
