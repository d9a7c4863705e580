"""What is wrong with a spec: every place by its JSON pointer, with a stable code. Bad inputs 36 to 46."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.faults import Refused
from service.options import Options
from service.readers.spec.entry import read_spec

CONV = {"type": "conv", "filters": 4, "kernel": 3}


def document(*layers: Any, shape: Any = (3, 8, 8), **more: Any) -> dict[str, Any]:
    return {"receptive": 1, "input": {"shape": shape}, "layers": list(layers), **more}


def refused(spec: Any, options: Options | None = None) -> list[tuple[str, str]]:
    """The (pointer, code) of everything that is wrong with a spec."""
    with pytest.raises(Refused) as caught:
        read_spec(json.dumps(spec).encode(), options or Options())
    assert (caught.value.fault, caught.value.code) == ("invalid", "invalid-spec")
    assert all(detail.detail and detail.code for detail in caught.value.errors)
    return [(detail.pointer, detail.code) for detail in caught.value.errors]


def refused_layer(layer: dict[str, Any], shape: Any = (3, 8, 8)) -> list[tuple[str, str]]:
    """The same for a single layer, with pointers from that layer on."""
    return [(pointer.removeprefix("/layers/0"), code) for pointer, code in refused(document(layer, shape=shape))]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, "not-an-integer"),
        (3.0, "not-an-integer"),
        ("3", "not-an-integer"),
        (None, "null"),
        ({}, "not-an-integer"),
        (0, "out-of-range"),
        (-1, "out-of-range"),
        (2**31, "out-of-range"),
        (2**70, "out-of-range"),
    ],
)
def test_a_kernel_is_a_positive_integer(value: Any, code: str) -> None:
    assert refused_layer(CONV | {"kernel": value}) == [("/kernel", code)]
    assert refused_layer(CONV | {"kernel": [3, value]}) == [("/kernel/1", code)]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" + "0" * 10**6])
def test_numbers_without_bound_are_out_of_range(number: str) -> None:
    text = json.dumps(document(CONV | {"kernel": "?"})).replace('"?"', number)
    with pytest.raises(Refused) as caught:
        read_spec(text.encode(), Options())
    assert [(d.pointer, d.code) for d in caught.value.errors] == [("/layers/0/kernel", "out-of-range")]


def test_all_wrong_places_are_told_at_once() -> None:
    spec = document(CONV | {"kernel": 0, "filters": "4"}, {"type": "convolution"}, 7, {"kernel": 3}, CONV | {"a/b~": 1}, shape=[3, 0, 8])
    assert sorted(refused(spec)) == [
        ("/input/shape/1", "out-of-range"),
        ("/layers/0/filters", "not-an-integer"),
        ("/layers/0/kernel", "out-of-range"),
        ("/layers/1/type", "unknown-type"),
        ("/layers/2", "not-an-object"),
        ("/layers/3/type", "required"),
        ("/layers/4/a~1b~0", "unknown-field"),
    ]


@pytest.mark.parametrize("key", ["__proto__", "__class__", "constructor", "kernels", ""])
def test_unknown_fields_are_refused_everywhere(key: str) -> None:
    assert refused(document(CONV, **{key: 1})) == [(f"/{key}", "unknown-field")]
    assert refused_layer(CONV | {key: {}}) == [(f"/{key}", "unknown-field")]
    assert refused({"receptive": 1, "input": {"shape": [1], key: 1}, "layers": [{"type": "flatten"}]}) == [
        (f"/input/{key}", "unknown-field")
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, [("", "not-an-object")]),
        ([], [("", "not-an-object")]),
        ({}, [("/receptive", "required"), ("/layers", "required")]),
        (document(CONV) | {"receptive": 2}, [("/receptive", "out-of-range")]),
        (document(CONV) | {"receptive": True}, [("/receptive", "not-an-integer")]),
        (document(), [("/layers", "wrong-length")]),
        ({"receptive": 1, "layers": [CONV]}, [("/inputs", "required")]),
        (document(CONV, inputs=[{"name": "a", "shape": [1]}]), [("/inputs", "required")]),
        ({"receptive": 1, "inputs": [{"shape": [3, 8, 8]}], "layers": [CONV]}, [("/inputs/0/name", "required")]),
        (document(CONV, shape=[1] * 9), [("/input/shape", "wrong-length")]),
        (document(CONV, shape=[2**31 - 1] * 4), [("/input/shape", "too-large"), ("/layers/0", "too-large")]),
        (document(CONV, name=""), [("/name", "bad-name")]),
        (document(CONV, name="a\u202eb"), [("/name", "bad-name")]),
        (document(CONV | {"name": "a\nb"}), [("/layers/0/name", "bad-name")]),
        (document(CONV | {"name": "x" * 257}), [("/layers/0/name", "bad-name")]),
        (document(CONV | {"name": 5}), [("/layers/0/name", "not-a-string")]),
        (document(CONV, outputs=["nobody"]), [("/outputs/0", "unknown-layer")]),
    ],
)
def test_the_document_itself(spec: Any, expected: list[tuple[str, str]]) -> None:
    assert sorted(refused(spec)) == sorted(expected)


def test_layers_are_counted_before_any_is_repeated() -> None:
    assert refused(document(*[{"type": "dropout"}] * 10_001)) == [("/layers", "too-many-layers")]
    assert refused(document({"type": "dropout", "repeat": 10**9})) == [("/layers/0/repeat", "too-many-layers")]
    assert refused(document(CONV, {"type": "dropout", "repeat": 10_000})) == [("/layers/1/repeat", "too-many-layers")]
    graph, _ = read_spec(json.dumps(document({"type": "dropout", "repeat": 10_000})).encode(), Options())
    assert len(graph.layers) == 10_000


def test_names_and_references() -> None:
    a, b = CONV | {"name": "a"}, {"type": "flatten", "name": "b"}
    assert refused(document(a, b | {"inputs": ["c"]})) == [("/layers/1/inputs/0", "unknown-layer")]
    assert refused(document(a | {"inputs": ["b"]}, b)) == [("/layers/0/inputs/0", "forward-reference")]
    assert refused(document(a, b | {"inputs": ["b"]})) == [("/layers/1/inputs/0", "self-reference")]
    assert refused(document(a, b | {"name": "a"})) == [("/layers/1/name", "duplicate-name")]
    assert refused(document(a | {"name": "input"}))[0] == ("/layers/0/name", "duplicate-name")
    assert refused(document(a | {"repeat": 2}, b | {"name": "a_2"})) == [("/layers/1/name", "duplicate-name")]
    assert refused(document(a, b | {"inputs": ["a", "input"]})) == [("/layers/1/inputs", "wrong-length")]
    assert refused(document(a, {"type": "add"})) == [("/layers/1/inputs", "required")]
    assert refused(document(a, {"type": "add", "inputs": ["a"]})) == [("/layers/1/inputs", "wrong-length")]
    assert refused(document(a, {"type": "add", "inputs": ["a", "a"], "repeat": 2})) == [("/layers/1/repeat", "conflict")]
    two = {"receptive": 1, "inputs": [{"name": "x", "shape": [3, 8, 8]}, {"name": "y", "shape": [4]}], "layers": [CONV]}
    assert refused(two) == [("/layers/0/inputs", "required")]
    two["inputs"][1]["name"] = "x"
    assert ("/inputs/1/name", "duplicate-name") in refused(two)


def test_one_wrong_layer_is_one_error() -> None:
    """What reads a refused layer is not refused again, but what is wrong elsewhere is told as well."""
    wrong = CONV | {"kernel": 9, "name": "wrong"}
    spec = document(wrong, {"type": "flatten"}, {"type": "dense", "units": 3}, CONV | {"inputs": ["input"], "groups": 2})
    assert refused(spec) == [("/layers/0/kernel", "does-not-fit"), ("/layers/3/groups", "not-divisible")]


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (CONV | {"kernel": [3, 3, 3]}, [3, 8, 8], ("/kernel", "wrong-rank")),
        (CONV | {"stride": [1]}, [3, 8, 8], ("/stride", "wrong-rank")),
        (CONV | {"dilation": 2**30}, [3, 8, 8], ("/kernel", "does-not-fit")),
        (CONV | {"padding": [1, 2, 3]}, [3, 8, 8], ("/padding", "wrong-rank")),
        (CONV | {"padding": "full"}, [3, 8, 8], ("/padding", "unknown-value")),
        (CONV | {"padding": [[1, 1], 2]}, [3, 8, 8], ("/padding/1", "not-a-list")),
        (CONV | {"padding": [[1, 1], [2]]}, [3, 8, 8], ("/padding/1", "wrong-length")),
        (CONV | {"padding": -1}, [3, 8, 8], ("/padding", "out-of-range")),
        (CONV, [3], ("", "wrong-rank")),
        (CONV, [3, 8, 8, 8, 8], ("", "wrong-rank")),
        (CONV | {"groups": 3}, [3, 8, 8], ("/groups", "not-divisible")),
        (CONV | {"filters": 2**31 - 1, "kernel": 1}, [2**31 - 1, 1], ("", "too-large")),
        (CONV | {"bias": "per-unit"}, [3, 8, 8], ("/bias", "unknown-value")),
        (CONV | {"bias": 1}, [3, 8, 8], ("/bias", "unknown-value")),
        (CONV | {"connection_table": [[0]] * 3}, [3, 8, 8], ("/connection_table", "wrong-length")),
        (CONV | {"connection_table": [[0], [1], [3], [2]]}, [3, 8, 8], ("/connection_table/2", "out-of-range")),
        (CONV | {"connection_table": [[0], [1], [1, 1], [2]]}, [3, 8, 8], ("/connection_table/2", "duplicate")),
        (CONV | {"connection_table": [[0], [1], [], [2]]}, [3, 8, 8], ("/connection_table/2", "wrong-length")),
        (CONV | {"connection_table": [[0], [1], [-1], [2]]}, [3, 8, 8], ("/connection_table/2/0", "out-of-range")),
        (CONV | {"connection_table": [[0]] * 4, "groups": 2}, [2, 8, 8], ("/connection_table", "conflict")),
        (CONV | {"weights": [[1]]}, [3, 8, 8], ("/weights", "wrong-shape")),
        (CONV | {"weights": [[[[1, 2], [3]]]], "filters": 1, "kernel": 2}, [1, 8, 8], ("/weights", "wrong-shape")),
        (CONV | {"weights": [[[[1, True]]]], "filters": 1, "kernel": [1, 2]}, [1, 8, 8], ("/weights", "wrong-shape")),
        (CONV | {"weights": [[[[1, 1e39]]]], "filters": 1, "kernel": [1, 2]}, [1, 8, 8], ("/weights", "wrong-shape")),
        (CONV | {"weights": 1}, [3, 8, 8], ("/weights", "not-a-list")),
        (
            {"type": "conv", "filters": 1, "kernel": 1, "connection_table": [[0]], "weights": [[[1]]]},
            [2**31 - 1, 1],
            ("/weights", "wrong-shape"),
        ),
        ({"type": "conv_transpose", "filters": 2, "kernel": 3, "padding": 9}, [3, 8], ("/padding", "does-not-fit")),
        ({"type": "conv_transpose", "filters": 2, "kernel": 3, "padding": "causal"}, [3, 8], ("/padding", "unknown-value")),
        ({"type": "pool", "kernel": 9}, [3, 8], ("/kernel", "does-not-fit")),
        ({"type": "pool", "kernel": 2, "mode": "median"}, [3, 8], ("/mode", "unknown-value")),
        ({"type": "pool", "kernel": 2, "ceil_mode": 1}, [3, 8], ("/ceil_mode", "not-a-boolean")),
        ({"type": "global_pool"}, [3], ("", "wrong-rank")),
        ({"type": "dense", "units": 3}, [3, 8, 8], ("", "needs-flatten")),
        ({"type": "dense", "units": 3, "axis": 3}, [3, 8, 8], ("/axis", "out-of-range")),
        ({"type": "dense", "units": 1, "tie": [[0], [2]]}, [3], ("/tie", "incomplete")),
        ({"type": "dense", "units": 1, "tie": [[0, 1], [1, 2]]}, [3], ("/tie", "duplicate")),
        ({"type": "dense", "units": 1, "tie": [[0, 1], [2, 3]]}, [3], ("/tie", "out-of-range")),
        ({"type": "dense", "units": 1, "tie": {"lags": [1, 5]}}, [6], ("/tie", "incomplete")),
        ({"type": "dense", "units": 1, "tie": [[0]]}, [2**31 - 1], ("/tie", "incomplete")),
        ({"type": "dense", "units": 1, "tie": {"lags": [5, 1]}}, [5], ("/tie/lags", "not-increasing")),
        ({"type": "dense", "units": 1, "tie": {"lag": [5]}}, [5], ("/tie/lag", "unknown-field")),
        ({"type": "dense", "units": 1, "tie": {"lags": [1.0]}}, [5], ("/tie/lags/0", "not-an-integer")),
        ({"type": "reshape", "shape": [-1, -1]}, [6], ("/shape", "out-of-range")),
        ({"type": "reshape", "shape": [0, 6]}, [6], ("/shape", "out-of-range")),
        ({"type": "reshape", "shape": [4, -1]}, [6], ("/shape", "not-divisible")),
        ({"type": "reshape", "shape": [2, 4]}, [6], ("/shape", "shape-mismatch")),
        ({"type": "permute", "order": [0, 0]}, [2, 3], ("/order", "wrong-order")),
        ({"type": "activation", "function": "sin"}, [2], ("/function", "unknown-value")),
        ({"type": "activation", "function": "relu", "axis": 0}, [2], ("/axis", "conflict")),
        ({"type": "group_norm", "groups": 3}, [4, 2], ("/groups", "not-divisible")),
        ({"type": "layer_norm", "axes": [0, -2]}, [4, 2], ("/axes", "duplicate")),
        ({"type": "concat", "inputs": ["input", "input"], "axis": 2}, [4, 2], ("/axis", "out-of-range")),
        ({"type": "pad", "padding": 4, "mode": "reflect"}, [1, 4], ("/padding", "does-not-fit")),
        ({"type": "pad", "padding": "same"}, [1, 4], ("/padding", "not-an-integer")),
        ({"type": "pad", "padding": 2**31 - 1}, [1, 4], ("", "too-large")),
        ({"type": "crop", "padding": 2}, [1, 4], ("/padding", "does-not-fit")),
        ({"type": "upsample"}, [1, 4], ("/factor", "required")),
        ({"type": "upsample", "factor": 2, "size": 8}, [1, 4], ("/factor", "required")),
        ({"type": "upsample", "factor": 0}, [1, 4], ("/factor", "out-of-range")),
        ({"type": "upsample", "factor": True}, [1, 4], ("/factor", "not-a-number")),
        ({"type": "upsample", "factor": 0.1}, [1, 4], ("/factor", "out-of-range")),
        ({"type": "upsample", "factor": 2**31 - 1}, [1, 4, 4], ("/factor", "out-of-range")),
        ({"type": "upsample", "factor": 2, "align_corners": True}, [1, 4], ("/align_corners", "conflict")),
        ({"type": "space_to_depth", "block": 2}, [1, 4, 3], ("/block", "not-divisible")),
        ({"type": "depth_to_space", "block": 2}, [6, 4, 3], ("/block", "not-divisible")),
        ({"type": "lstm", "units": 4}, [6], ("", "wrong-rank")),
        ({"type": "gru", "units": 4, "bidirectional": True, "reverse": True}, [6, 5], ("/reverse", "conflict")),
        ({"type": "attention", "heads": 3}, [4, 5], ("/heads", "not-divisible")),
        ({"type": "attention"}, [4], ("", "wrong-rank")),
        ({"type": "attention", "window": [3, 3]}, [4, 5], ("/window", "wrong-rank")),
        ({"type": "local", "filters": 1, "kernel": 2_000_000}, [1, 2_000_000], ("/kernel", "too-large")),
    ],
)
def test_layers_that_do_not_work(layer: dict[str, Any], shape: list[int], expected: tuple[str, str]) -> None:
    assert refused_layer(layer, shape) == [expected]


def test_joins_that_do_not_fit() -> None:
    a, b = CONV | {"name": "a"}, CONV | {"name": "b", "kernel": 1, "inputs": ["input"]}
    for kind in ("add", "concat"):
        assert refused(document(a, b, {"type": kind, "inputs": ["a", "b"]})) == [("/layers/2/inputs/1", "shape-mismatch")]
    flat = {"type": "flatten", "name": "flat"}
    assert refused(document(a, flat, {"type": "multiply", "inputs": ["a", "flat"]})) == [("/layers/2/inputs/1", "wrong-rank")]


def test_sharing_that_does_not_fit() -> None:
    a, same = CONV | {"name": "a"}, CONV | {"share_with": "a"}
    assert refused(document(a, same)) == [("/layers/1/share_with", "shape-mismatch")]
    assert refused(document(a, {"type": "dropout", "share_with": "a"})) == [("/layers/1/share_with", "nothing-to-share")]
    assert refused(document({"type": "dropout", "name": "d"}, CONV | {"share_with": "d"})) == [("/layers/1/share_with", "nothing-to-share")]
    assert refused(document(a, same | {"share_with": "z"})) == [("/layers/1/share_with", "unknown-layer")]
    assert refused(document(same, a)) == [("/layers/0/share_with", "forward-reference")]
    values = [[[[0.0] * 3] * 3] * 3] * 4
    assert refused(document(a, same | {"inputs": ["input"], "weights": values})) == [("/layers/1/weights", "conflict")]


def test_errors_are_bounded() -> None:
    assert len(refused(document(*[{"type": "?"}] * 500))) == 100
    ((pointer, code),) = refused_layer(CONV | {"k" * 10**6: 1})
    assert code == "unknown-field" and len(pointer) < 1000


@pytest.mark.parametrize(
    ("shapes", "code"),
    [
        ({"other": (3, 8, 8)}, "unknown-input"),
        ({"input": (3, 8, 9)}, "input-shape-conflict"),
        ({"": (1, 3, 0, 8)}, "input-shape-conflict"),
        ({"input": (8, 8)}, "input-shape-rank"),
    ],
)
def test_options_that_do_not_fit_the_inputs(shapes: dict[str, tuple[int, ...]], code: str) -> None:
    with pytest.raises(Refused) as caught:
        read_spec(json.dumps(document(CONV, shape=[3, None, 8])).encode(), Options(input_shapes=shapes))
    assert (caught.value.fault, caught.value.code) == ("invalid", code)


def told(*layers: Any) -> list[str]:
    """What is said about the wrong places of a document."""
    with pytest.raises(Refused) as caught:
        read_spec(json.dumps(document(*layers)).encode(), Options())
    return [detail.detail for detail in caught.value.errors]


@pytest.mark.parametrize(
    ("layer", "meant"),
    [
        ({"type": "convolution", "filters": 4, "kernel": 3}, None),
        ({"type": "Conv", "filters": 4, "kernel": 3}, "conv"),
        ({"type": "conv-transpose", "filters": 4, "kernel": 3}, "conv_transpose"),
        ({"type": "batchnorm"}, "batch_norm"),
        (CONV | {"kernal": 3}, "kernel"),
        (CONV | {"dilations": 2}, "dilation"),
        (CONV | {"inputs": ["imput"]}, "input"),
        ({"type": "add", "inputs": ["input", "stam"]}, "stem"),
        ({"type": "pool", "kernel": 2, "zzz": 1}, None),
    ],
)
def test_a_misspelt_word_is_told_what_it_may_have_meant(layer: dict[str, Any], meant: str | None) -> None:
    (said,) = told(CONV | {"name": "stem"}, layer)
    assert said.endswith(f"; did you mean {meant!r}?") if meant else "did you mean" not in said


def test_looking_for_the_nearest_name_takes_bounded_time() -> None:
    layers = [CONV | {"name": f"layer_{index}"} for index in range(1000)]
    wrong = [{"type": "dropout", "inputs": [f"layer_{index}_"]} for index in range(1000)]
    said = told(*layers, *wrong)
    assert len(said) == 100 and sum("did you mean" in detail for detail in said) <= 10
