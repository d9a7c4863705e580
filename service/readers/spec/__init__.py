"""The JSON layer spec: bytes to graph."""

from service.readers.spec.entry import read_spec
from service.readers.spec.values import InlineWeights

__all__ = ["InlineWeights", "read_spec"]
