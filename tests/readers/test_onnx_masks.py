"""Masks of attention: what constants block is not read, and attention is global in every spelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest

from service.analysis.field.axes import spatial_axes
from service.analysis.field.receptive_field import walk
from service.graph import Graph
from tests.readers.onnx_models import measured, model, node, read, stated

MASK = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 0]], dtype=bool)
"""Pairs of a query and a key that join nothing: of four tokens the last two see only themselves."""


def chain(*steps: tuple[str, Sequence[str], dict[str, object]]) -> list[onnx.NodeProto]:
    """Nodes named by their result, the last of which is y."""
    results = [f"t{number}" for number in range(len(steps) - 1)] + ["y"]
    return [
        node(op, *(source.format(*results) for source in sources), outputs=[result], name=result, **attributes)
        for (op, sources, attributes), result in zip(steps, results, strict=True)
    ]


def written_out(*middle: tuple[str, Sequence[str], dict[str, object]], **stored: np.ndarray) -> onnx.ModelProto:
    """Scores of two windows of four tokens, what is done to them, a softmax, and values."""
    scores = [("Transpose", ["x"], {"perm": [0, 2, 1]}), ("MatMul", ["x", "{0}"], {})]
    last = len(scores) + len(middle) - 1
    after = [("Softmax", [f"{{{last}}}"], {"axis": -1}), ("MatMul", [f"{{{last + 1}}}", "x"], {})]
    return model(chain(*scores, *middle, *after), {"x": [2, 4, 3]}, stored)


LOWERED = np.where(MASK, -np.inf, 0).astype(np.float32)
SPELLINGS = {
    "added": written_out(("Add", ["{1}", "m"], {}), m=LOWERED),
    "added in front": written_out(("Add", ["m", "{1}"], {}), m=np.where(MASK, np.float32(-1e4), 0).astype(np.float32)),
    "added in two parts": written_out(("Add", ["{1}", "m"], {}), ("Add", ["{2}", "n"], {}), m=LOWERED / 1, n=np.ones((4, 4), np.float32)),
    "chosen": written_out(("Where", ["m", "c", "{1}"], {}), m=MASK, c=np.array(-np.inf, dtype=np.float32)),
    "chosen otherwise": written_out(("Where", ["m", "{1}", "c"], {}), m=~MASK, c=np.array(-1e9, dtype=np.float32)),
    "reshaped": written_out(
        ("Reshape", ["{1}", "s"], {}),
        ("Add", ["{2}", "m"], {}),
        ("Reshape", ["{3}", "t"], {}),
        m=LOWERED[None, None],
        s=np.array([1, 2, 4, 4]),
        t=np.array([2, 4, 4]),
    ),
    "fused": model([node("Attention", "x", "x", "x", "m", q_num_heads=1, kv_num_heads=1)], {"x": [2, 4, 3]}, {"m": LOWERED}, opset=23),
    "fused, by flags": model(
        [node("Attention", "x", "x", "x", "m", q_num_heads=1, kv_num_heads=1)], {"x": [2, 4, 3]}, {"m": ~MASK}, opset=23
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_blocked_pairs_are_not_read(name: str) -> None:
    """What the lowering states, and what changes in onnx's own evaluator when one unit changes: the tokens of one block."""
    proto = SPELLINGS[name]
    claimed = stated(read(proto), "x", "y")
    feeds = {"x": np.random.default_rng(5).normal(size=(2, 4, 3)).astype(np.float32)}
    found = measured(proto, feeds, "x", "y")
    assert claimed is not None
    assert not (found & ~claimed.astype(bool)).any()
    tokens = claimed.reshape(2, 4, 3, 2, 4, 3).any(axis=(2, 5))
    expected = np.einsum("ab,ij->aibj", np.eye(2, dtype=bool), ~MASK)
    assert (tokens == expected).all()


def test_a_row_that_is_blocked_altogether_is_not_zero() -> None:
    """A softmax over scores that are all lowered alike is that of the scores: a padded query reads every key."""
    flags = MASK | np.array([[False], [False], [False], [True]])
    proto = written_out(("Add", ["{1}", "m"], {}), m=np.where(flags, np.float32(-100), 0).astype(np.float32))
    claimed = stated(read(proto), "x", "y")
    assert claimed is not None
    assert claimed.reshape(2, 4, 3, 2, 4, 3)[0, 3, :, 0].any(axis=(0, 2)).all()


def test_small_numbers_block_nothing() -> None:
    claimed = stated(read(written_out(("Add", ["{1}", "m"], {}), m=LOWERED.clip(-99, 0))), "x", "y")
    assert claimed is not None
    assert claimed.reshape(2, 4, 3, 2, 4, 3).any(axis=(2, 5))[0, :, 0].all()


# -- attention is global in every spelling -----------------------------------------------------------------------------


def reach(graph: Graph, name: str) -> tuple[str, bool]:
    """Status of a tensor's field along the positions, and whether a local path is left."""
    field = next(seen.output[0].fields[0] for seen in walk(graph, {0: (1,)}) if name in seen.layer.outputs)
    return field.reach, not field.empty


def projected(*attention: onnx.NodeProto, opset: int = 23, domains: dict[str, int] | None = None, **stored: np.ndarray) -> Graph:
    """A dense layer, attention of its result to itself over eight positions, and the sum of both as y."""
    weights = {"w": np.ones((8, 8), np.float32), **stored}
    nodes = [node("MatMul", "x", "w", outputs=["h"], name="h"), *attention, node("Add", "h", "a", name="y")]
    return read(model(nodes, {"x": [1, 8, 8]}, weights, opset=opset, domains=domains or {}))


WRITTEN = (
    node("Transpose", "h", outputs=["k"], name="k", perm=[0, 2, 1]),
    node("MatMul", "h", "k", outputs=["s"], name="s"),
    node("Softmax", "s", outputs=["p"], name="p", axis=-1),
    node("MatMul", "p", "h", outputs=["a"], name="a"),
)
FUSED = {
    "written out": WRITTEN,
    "attention": (node("Attention", "h", "h", "h", outputs=["a"], name="a", q_num_heads=2, kv_num_heads=2),),
    "causal": (node("Attention", "h", "h", "h", outputs=["a"], name="a", q_num_heads=2, kv_num_heads=2, is_causal=1),),
    "multi-head": (node("MultiHeadAttention", "h", "h", "h", outputs=["a"], name="a", domain="com.microsoft", num_heads=2),),
    "grouped": (
        node("GroupQueryAttention", "h", "h", "h", "", "", "l", "l", outputs=["a"], domain="com.microsoft", num_heads=2, kv_num_heads=2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUSED)
def test_attention_leaves_no_local_path_in_any_spelling(name: str) -> None:
    graph = projected(*FUSED[name], l=np.array([8], dtype=np.int32))
    assert reach(graph, "a") == ("global", False)
    assert reach(graph, "y") == ("global", True)


def test_attention_in_a_window_is_local() -> None:
    """Opset 25: three positions before and one after."""
    window = node(
        "Attention", "h", "h", "h", outputs=["a"], name="a", q_num_heads=2, kv_num_heads=2, left_window_size=3, right_window_size=1
    )
    assert reach(projected(window, opset=25), "y") == ("exact", True)


def test_positions_of_an_input_that_attention_reads_itself_are_found() -> None:
    """Nothing but an Attention operator and a dense layer: the positions are those that it goes over."""
    nodes = [
        node("Attention", "x", "x", "x", outputs=["a"], name="a", q_num_heads=2, kv_num_heads=2),
        node("MatMul", "a", "w", name="y"),
    ]
    graph = read(model(nodes, {"x": [1, 24, 6]}, {"w": np.ones((6, 3), np.float32)}, opset=23))
    assert spatial_axes(graph) == {0: (1,)}
    assert reach(graph, "y") == ("global", False)
