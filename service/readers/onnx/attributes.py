"""The attributes of a node, each read as the type that its operator declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import AttributeProto, GraphProto, SparseTensorProto, TensorProto

from service.faults import Detail, Refused

_UNDEFINED = AttributeProto.UNDEFINED


class Attributes:
    """The attributes of one node by name. Reading one as another type than it has is a Refused `attribute-type`.

    A file of IR version 1 need not state the types; there the field that is read is taken on trust.
    """

    __slots__ = ("_by_name", "_node")

    def __init__(self, attributes: Iterable[AttributeProto], node: str) -> None:
        self._by_name = {attribute.name: attribute for attribute in attributes}
        self._node = node

    @property
    def by_name(self) -> Mapping[str, AttributeProto]:
        """The attributes as they are stored."""
        return self._by_name

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def _get(self, name: str, kind: int) -> AttributeProto | None:
        attribute = self._by_name.get(name)
        if attribute is None:
            return None
        if attribute.type not in (kind, _UNDEFINED):
            detail = f"the attribute {name!r} of node {self._node!r} has the type {attribute.type}, {kind} is due"
            raise Refused("invalid", "attribute-type", detail, [Detail(self._node, detail, "attribute-type")])
        return attribute

    def integer(self, name: str, default: int = 0) -> int:
        """An INT, or `default` where the node has no such attribute."""
        attribute = self._get(name, AttributeProto.INT)
        return default if attribute is None else attribute.i

    def integers(self, name: str) -> tuple[int, ...] | None:
        """A list of INTS, None where the node has no such attribute."""
        attribute = self._get(name, AttributeProto.INTS)
        return None if attribute is None else tuple(attribute.ints)

    def real(self, name: str, default: float = 0.0) -> float:
        """A FLOAT, or `default`."""
        attribute = self._get(name, AttributeProto.FLOAT)
        return default if attribute is None else attribute.f

    def reals(self, name: str) -> tuple[float, ...] | None:
        """A list of FLOATS, or None."""
        attribute = self._get(name, AttributeProto.FLOATS)
        return None if attribute is None else tuple(attribute.floats)

    def text(self, name: str, default: str = "") -> str:
        """A STRING, or `default`. Bytes that are not UTF-8 become replacement characters."""
        attribute = self._get(name, AttributeProto.STRING)
        return default if attribute is None else attribute.s.decode("utf-8", "replace")

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of STRINGS, or None."""
        attribute = self._get(name, AttributeProto.STRINGS)
        return None if attribute is None else tuple(s.decode("utf-8", "replace") for s in attribute.strings)

    def tensor(self, name: str) -> TensorProto | None:
        """A TENSOR, or None."""
        attribute = self._get(name, AttributeProto.TENSOR)
        return None if attribute is None else attribute.t

    def sparse_tensor(self, name: str) -> SparseTensorProto | None:
        """A SPARSE_TENSOR, or None."""
        attribute = self._get(name, AttributeProto.SPARSE_TENSOR)
        return None if attribute is None else attribute.sparse_tensor

    def graph(self, name: str) -> GraphProto | None:
        """A GRAPH, or None."""
        attribute = self._get(name, AttributeProto.GRAPH)
        return None if attribute is None else attribute.g
