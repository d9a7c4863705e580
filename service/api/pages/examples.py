"""The models that can be tried without one of one's own."""

from __future__ import annotations

import json
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"
TRAINED = {
    "photographs": "Four convolutions trained on photographs: learned filters, and how colour comes with depth.",
    "photographs-pruned": "The same with 60 % of its weights at zero: compare the two.",
}
"""What the ONNX examples show."""


def examples() -> list[tuple[str, str, str]]:
    """The models that can be tried: file, name, and what each shows."""
    found = []
    for path in sorted(EXAMPLES.glob("*.json")):
        document = json.loads(path.read_bytes())
        found.append((path.name, document["name"], document.get("description", "")))
    for path in sorted(EXAMPLES.glob("*.onnx"), key=lambda each: each.stem):
        found.append((path.name, path.stem, TRAINED.get(path.stem, "An ONNX model with its learned weights.")))
    return found
