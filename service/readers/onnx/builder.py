"""The graph under construction: layers, tensors and notes, with names made unique."""

from __future__ import annotations

from collections.abc import Iterable

from service.faults import Refused
from service.graph import Layer, Shape, ShapeError, Tensor
from service.limits import MAX_AXIS, MAX_RANK, MAX_UNITS, MAX_UNROLLED_NODES
from service.readers.naming import Names
from service.readers.onnx.values import ModelWeight, Value


def checked(shape: Shape) -> Shape:
    """The shape itself; ShapeError where it is none, or too large to be followed (2^31 units along an axis, 2^52 in all)."""
    units = 1
    for length in shape:
        if length < 0:
            raise ShapeError(f"{shape} is no shape")
        if length >= MAX_AXIS:
            raise ShapeError(f"an axis of {length} units is too long to be followed")
        units *= max(length, 1)
    if units > MAX_UNITS or len(shape) > MAX_RANK:
        raise ShapeError(f"a tensor of shape {shape} is too large to be followed")
    return shape


class Builder:
    """Collects what one reading of a model yields.

    `budget` bounds how many nodes may be visited, those of inlined bodies included; `unrolled` those among them that lie in the rounds of
    unrolled loops, of which a model of a few bytes can have any number.
    """

    def __init__(self, reserved: Iterable[str], budget: int, unrolled: int = MAX_UNROLLED_NODES) -> None:
        self.layers: list[Layer] = []
        self.added: dict[int, ModelWeight] = {}
        self.tensors: dict[str, Tensor] = {}
        self.notes: list[tuple[str, str | None, str]] = []
        self._tensor_names = Names(reserved)
        self._layer_names = Names()
        self._left, self._unrolled = budget, unrolled

    def spend(self, repeated: bool = False, nodes: int = 1) -> None:
        """Count visited nodes, which may lie in a round of a loop; Refused `too-many-nodes` where a budget is used up."""
        self._left -= nodes
        self._unrolled -= nodes if repeated else 0
        if self._left < 0 or self._unrolled < 0:
            raise Refused("limit", "too-many-nodes", "The model has too many nodes once its functions and loops are expanded.")

    def affords(self, nodes: int) -> bool:
        """Whether so many more nodes may be unrolled without using more than half of what is left."""
        return nodes * 2 <= min(self._left, self._unrolled)

    def unique_tensor(self, name: str) -> str:
        """`name`, or a name like it that no other tensor has."""
        return self._tensor_names.fresh(name)

    def unique_layer(self, name: str) -> str:
        """`name`, or a name like it that no other layer has."""
        return self._layer_names.fresh(name)

    def register(self, value: Value) -> None:
        """Make a value known as a tensor of the graph."""
        self.tensors[value.name] = Tensor(value.name, value.shape, value.dtype)

    def append(self, layer: Layer, added: ModelWeight | None = None) -> None:
        """Add a layer, and the constant that it adds to its input."""
        if added is not None:
            self.added[len(self.layers)] = added
        self.layers.append(layer)

    def note(self, code: str, layer: str | None, message: str) -> None:
        """Something the report has to say."""
        self.notes.append((code, layer, message))
