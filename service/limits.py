"""How much a model may have: every limit by which the readers refuse one is a line of one table, and an environment variable."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PREFIX, FILE = "RECEPTIVE_MAX_", "_FILE"


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit that a model is refused by: its variable without RECEPTIVE_MAX_, its default, the code of the problem, what
    it counts, and the greatest value that it may be set to (None: any), where more would not be safe.
    """

    name: str
    default: int
    code: str
    counts: str
    greatest: int | None = None

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.name

    def read(self, environment: Mapping[str, str]) -> int:
        """The value that an environment names. ValueError where it is none."""
        text = environment.get(self.variable, "").strip()
        if not text and (place := environment.get(self.variable + FILE)):
            text = Path(place).read_text().strip()
        if not text:
            return self.default
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        if value < 1 or (self.greatest is not None and value > self.greatest):
            most = "" if self.greatest is None else f" and at most {self.greatest}"
            raise ValueError(f"{self.variable}: got {text[:40]!r}, expected a whole number of at least 1{most}")
        return value


LIMITS: tuple[Limit, ...] = (
    Limit("FILE_NODES", 250_000, "limit-nodes", "nodes of an ONNX file, those of subgraphs and functions included"),
    Limit("FILE_TENSORS", 250_000, "limit-tensors", "tensors of an ONNX file"),
    Limit("FILE_ATTRIBUTES", 2_000_000, "limit-attributes", "attributes of an ONNX file"),
    Limit("FILE_GRAPHS", 20_000, "limit-graphs", "graphs of an ONNX file, subgraphs included"),
    Limit("FILE_FUNCTIONS", 10_000, "limit-functions", "functions of an ONNX file"),
    Limit("FILE_MESSAGES", 3_000_000, "limit-messages", "messages of an ONNX file, of any kind"),
    Limit("FILE_STRINGS", 3_000_000, "limit-strings", "names and other strings of an ONNX file"),
    Limit("FILE_VALUES", 16_000_000, "limit-values", "numbers in lists outside the values of tensors"),
    Limit("FILE_DEPTH", 100, "limit-depth", "messages inside one another", 100),
    Limit("NAME_BYTES", 64 << 10, "limit-name-bytes", "bytes of one name"),
    Limit("STRUCTURE_BYTES", 128 << 20, "limit-structure-bytes", "bytes of everything that is not a value of a tensor", (1 << 31) - 1),
    Limit("FILE_RUNS", 500_000, "limit-runs", "pieces in which the values of tensors are stored"),
    Limit("FILE_FIELDS", 2_000_000, "limit-fields", "fields of large messages, and fields that ONNX does not know"),
    Limit("NODES", 250_000, "too-many-nodes", "nodes once functions and loops are expanded"),
    Limit("UNROLLED_NODES", 20_000, "too-many-nodes", "nodes in the rounds of loops that are unrolled"),
    Limit("CALL_DEPTH", 60, "too-deep", "calls of functions inside one another", 60),
    Limit("AXIS_LENGTH", (1 << 31) - 1, "input-too-large", "units along an axis of an input", (1 << 31) - 1),
    Limit("INPUT_UNITS", 1 << 52, "input-too-large", "units of an input", 1 << 52),
    Limit("INPUT_AXES", 32, "input-too-large", "axes of an input", 32),
    Limit("LAYERS", 10_000, "too-many-layers", "layers of a layer spec, counting every repeat"),
    Limit("DOCUMENT_BYTES", 16 << 20, "document-too-large", "bytes of a JSON document"),
    Limit("DOCUMENT_DEPTH", 64, "too-deep", "values inside one another in a JSON document", 64),
)
"""Every limit of the readers that a model can be refused by."""


def check_limits(environment: Mapping[str, str]) -> None:
    """ValueError where an environment sets a limit to what it cannot be."""
    for limit in LIMITS:
        try:
            limit.read(environment)
        except OSError as error:
            raise ValueError(f"{limit.variable}{FILE}: {error}") from error


def _in_force() -> dict[str, int]:
    """The values by name. A wrong one counts as not set: who starts the service is told by `check_limits`, which stops it."""
    values = {}
    for limit in LIMITS:
        try:
            values[limit.name] = limit.read(os.environ)
        except (OSError, ValueError):
            values[limit.name] = limit.default
    return values


_VALUES = _in_force()
MAX_NODES, MAX_UNROLLED_NODES, MAX_CALL_DEPTH = _VALUES["NODES"], _VALUES["UNROLLED_NODES"], _VALUES["CALL_DEPTH"]
MAX_AXIS, MAX_UNITS, MAX_RANK = _VALUES["AXIS_LENGTH"] + 1, _VALUES["INPUT_UNITS"], _VALUES["INPUT_AXES"]
MAX_LAYERS, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_DEPTH = _VALUES["LAYERS"], _VALUES["DOCUMENT_BYTES"], _VALUES["DOCUMENT_DEPTH"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a model's structure, checked while its bytes are walked and before anything is allocated for it.

    They bound memory, not size: payloads of tensors are not counted. A graph of 100,000 nodes with shapes for all its values lies well
    inside; a few MiB of empty messages, which protobuf blows up 76 times, do not.

    What each counts stands in `LIMITS`: messages of a kind at any depth, `depth` 100 being what protobuf itself parses. `inline_bytes`: a
    tensor with at most so many bytes of values is structure (constants that are shapes or axes), any other a payload; longer documentation,
    metadata and string attributes are left out.
    """

    nodes: int = _VALUES["FILE_NODES"]
    tensors: int = _VALUES["FILE_TENSORS"]
    attributes: int = _VALUES["FILE_ATTRIBUTES"]
    graphs: int = _VALUES["FILE_GRAPHS"]
    functions: int = _VALUES["FILE_FUNCTIONS"]
    messages: int = _VALUES["FILE_MESSAGES"]
    strings: int = _VALUES["FILE_STRINGS"]
    values: int = _VALUES["FILE_VALUES"]
    depth: int = _VALUES["FILE_DEPTH"]
    name_bytes: int = _VALUES["NAME_BYTES"]
    structure_bytes: int = _VALUES["STRUCTURE_BYTES"]
    runs: int = _VALUES["FILE_RUNS"]
    fields: int = _VALUES["FILE_FIELDS"]
    inline_bytes: int = 1 << 10


def limits_table() -> str:
    """The limits as a table in Markdown."""
    rows = [f"| `{limit.code}` | {limit.default:,} | {limit.counts} | `{limit.variable}` |" for limit in LIMITS]
    return "\n".join(["| code | at most | of what | setting |", "|---|---:|---|---|", *rows])
