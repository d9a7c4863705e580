"""What the service must survive: one generator for each kind of bad input, each with the answers that are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

ONNX, JSON = "application/onnx", "application/json"


@dataclass(frozen=True, slots=True)
class BadInput:
    """One bad input: the number of its kind, a name, how its bytes are made, and the codes that are a right answer.

    `codes` are those of problems; "" stands for a report. `files` are external data that are sent along, by name.
    """

    number: int
    name: str
    make: Callable[[], bytes]
    codes: tuple[str, ...]
    kind: str = ONNX
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The name under which a test shows it."""
        return f"{self.number:02d}-{self.name}"
