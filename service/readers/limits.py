"""How much structure a model may have."""

from __future__ import annotations

from dataclasses import dataclass

MAX_NODES = 250_000
"""Nodes of an ONNX model that are lowered, those of inlined functions and unrolled loops included: `too-many-nodes`."""
MAX_UNROLLED_NODES = 20_000
"""Those among them that lie in the rounds of unrolled loops: loops in loops multiply, `too-many-nodes`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a model's structure, checked while its bytes are walked and before anything is allocated for it.

    They bound memory, not size: payloads of tensors are not counted. A graph of 100,000 nodes with shapes for all its values lies well
    inside; a few MiB of empty messages, which protobuf blows up 76 times, do not.

    `nodes`, `tensors`, `attributes`, `graphs` (the main graph and all subgraphs), `functions`: messages of that kind, at any depth.
    `messages`: messages of any kind. `strings`: names and other strings. `values`: numbers in repeated fields outside payloads, such as
    dims and ints. `depth`: messages inside one another, 100 being what protobuf itself parses. `name_bytes`: bytes of one name.
    `structure_bytes`: bytes of everything that is not a payload. `runs`: pieces in which payloads are stored. `fields`: fields of large
    messages and fields that ONNX does not know, which are looked at one by one.
    `inline_bytes`: a tensor with at most so many bytes of values is structure (constants that are shapes or axes), any other a payload;
    longer documentation, metadata and string attributes are left out.
    """

    nodes: int = 250_000
    tensors: int = 250_000
    attributes: int = 2_000_000
    graphs: int = 20_000
    functions: int = 10_000
    messages: int = 3_000_000
    strings: int = 3_000_000
    values: int = 16_000_000
    depth: int = 100
    name_bytes: int = 64 << 10
    structure_bytes: int = 128 << 20
    runs: int = 500_000
    fields: int = 2_000_000
    inline_bytes: int = 1 << 10
