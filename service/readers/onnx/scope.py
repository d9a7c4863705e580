"""The names that the nodes of one graph can see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from onnx import AttributeProto, ValueInfoProto

from service.readers.onnx.values import Value


@dataclass(slots=True)
class Scope:
    """One graph, subgraph or call of a function while it is lowered.

    `prefix` goes before the names of what is inlined, `renamed` gives values of a function the names that the caller has for them,
    `references` are the attributes of the call. A value is None where a call leaves an
    input out. `repeated`: it is one round of an unrolled loop, or lies inside one.
    """

    opsets: Mapping[str, int]
    prefix: str = ""
    parent: Scope | None = None
    values: dict[str, Value | None] = field(default_factory=dict)
    declared: dict[str, ValueInfoProto] = field(default_factory=dict)
    references: Mapping[str, AttributeProto] | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)
    repeated: bool = False

    def find(self, name: str) -> Value | None:
        """The value of a name here or in an enclosing graph; KeyError where there is none."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.parent
        raise KeyError(name)

    def has(self, name: str) -> bool:
        """Whether the name is known here or in an enclosing graph."""
        try:
            self.find(name)
        except KeyError:
            return False
        return True
