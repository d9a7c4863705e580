"""How much a model may have: every limit by which the readers refuse one, in one table."""

from __future__ import annotations

from dataclasses import dataclass

MAX_NODES = 250_000
MAX_UNROLLED_NODES = 20_000
MAX_CALL_DEPTH = 60
MAX_AXIS = 1 << 31
MAX_UNITS = 1 << 52
MAX_RANK = 32
MAX_LAYERS = 10_000
MAX_DOCUMENT_BYTES = 16 << 20
MAX_DOCUMENT_DEPTH = 64


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


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit that a model is refused by: the code of the problem, its value, and what it counts."""

    code: str
    value: int
    counts: str


_STRUCTURE = {
    "nodes": "nodes of an ONNX file, those of subgraphs and functions included",
    "tensors": "tensors of an ONNX file",
    "attributes": "attributes of an ONNX file",
    "graphs": "graphs of an ONNX file, subgraphs included",
    "functions": "functions of an ONNX file",
    "messages": "messages of an ONNX file, of any kind",
    "strings": "names and other strings of an ONNX file",
    "values": "numbers in lists outside the values of tensors",
    "depth": "messages inside one another",
    "name_bytes": "bytes of one name",
    "structure_bytes": "bytes of everything that is not a value of a tensor",
    "runs": "pieces in which the values of tensors are stored",
    "fields": "fields of large messages, and fields that ONNX does not know",
}

BOUNDS: tuple[Bound, ...] = (
    *(Bound(f"limit-{name.replace('_', '-')}", getattr(Limits(), name), counts) for name, counts in _STRUCTURE.items()),
    Bound("too-many-nodes", MAX_NODES, "nodes once functions and loops are expanded"),
    Bound("too-many-nodes", MAX_UNROLLED_NODES, "nodes in the rounds of loops that are unrolled"),
    Bound("too-deep", MAX_CALL_DEPTH, "calls of functions inside one another"),
    Bound("input-too-large", MAX_AXIS - 1, "units along an axis of an input"),
    Bound("input-too-large", MAX_UNITS, "units of an input"),
    Bound("input-too-large", MAX_RANK, "axes of an input"),
    Bound("too-many-layers", MAX_LAYERS, "layers of a layer spec, counting every repeat"),
    Bound("document-too-large", MAX_DOCUMENT_BYTES, "bytes of a JSON document"),
    Bound("too-deep", MAX_DOCUMENT_DEPTH, "values inside one another in a JSON document"),
)
"""Every limit of the readers that a model can be refused by."""


def limits_table() -> str:
    """The limits as a table in Markdown."""
    rows = [f"| `{bound.code}` | {bound.value:,} | {bound.counts} |" for bound in BOUNDS]
    return "\n".join(["| code | at most | of what |", "|---|---:|---|", *rows])
