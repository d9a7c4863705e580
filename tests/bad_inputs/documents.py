"""JSON layer specs that are none (36 to 46)."""

from __future__ import annotations

import json
from typing import Any

from tests.bad_inputs import JSON, BadInput

LAYER: dict[str, Any] = {"type": "conv", "name": "a", "filters": 2, "kernel": 3}


def spec(*layers: dict[str, Any], **more: Any) -> bytes:
    """A layer spec over a small image."""
    return json.dumps({"receptive": 1, "input": {"shape": [3, 8, 8]}, "layers": list(layers), **more}).encode()


def of(**fields: Any) -> bytes:
    """A spec whose one layer has these fields."""
    return spec({**LAYER, **fields})


def text(kernel: str) -> bytes:
    """A spec whose kernel is this text."""
    return of(kernel="KERNEL").replace(b'"KERNEL"', kernel.encode())


def deep(depth: int) -> bytes:
    """Arrays in arrays, in a field of an object."""
    return b'{"receptive": 1, "layers": ' + b"[" * depth + b"]" * depth + b"}"


def _spec(number: int, name: str, body: bytes, *codes: str) -> BadInput:
    return BadInput(number, name, lambda: body, codes, JSON)


DOCUMENTS: tuple[BadInput, ...] = (
    BadInput(36, "depth", lambda: deep(100_000), ("too-deep",), JSON),
    BadInput(37, "digits", lambda: text("1" * 10**6), ("invalid-spec",), JSON),
    _spec(38, "nan", text("NaN"), "not-json"),
    _spec(38, "infinity", text("Infinity"), "not-json"),
    _spec(38, "1e400", text("1e400"), "invalid-spec"),
    _spec(39, "duplicate-key", b'{"receptive": 1, "receptive": 1}', "duplicate-key"),
    _spec(40, "unknown-field", of(colour="red"), "invalid-spec"),
    _spec(41, "true", of(filters=True), "invalid-spec"),
    _spec(41, "float", text("3.0"), "invalid-spec"),
    _spec(41, "string", of(filters="3"), "invalid-spec"),
    *(_spec(42, f"kernel-{kernel}", of(kernel=kernel), "invalid-spec") for kernel in (0, -1, 2**70)),
    _spec(43, "unknown", of(inputs=["nowhere"]), "invalid-spec"),
    _spec(43, "own", of(inputs=["a"]), "invalid-spec"),
    _spec(43, "later", spec({**LAYER, "inputs": ["b"]}, {**LAYER, "name": "b"}), "invalid-spec"),
    BadInput(
        44, "layers-10001", lambda: spec(*({"type": "activation", "function": "relu"} for _ in range(10_001))), ("invalid-spec",), JSON
    ),
    _spec(44, "repeat-billion", of(repeat=10**9), "invalid-spec"),
    _spec(45, "bom", b"\xef\xbb\xbf" + of(), "not-json"),
    *(_spec(45, encoding, of().decode().encode(encoding), "not-json") for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32-le")),
    _spec(45, "lone-surrogate", of(name="NAME").replace(b"NAME", b"\\ud800"), "not-json"),
    _spec(46, "proto", of(__proto__={"filters": 9}), "invalid-spec"),
    _spec(46, "class", of(__class__="x"), "invalid-spec"),
)
