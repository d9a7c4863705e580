"""What the reader knows of a value of the model: its shape, its type and, where it depends on no input, how it comes about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from onnx import TensorProto, helper

from service.graph import Shape, ShapeError, Source, Weight
from service.readers.onnx.attributes import Attributes
from service.readers.tensors.stored import StoredTensor

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fold = Callable[..., "NDArray[Any] | tuple[NDArray[Any], ...]"]
"""Computes an operator over constants: takes the operation and the arrays of its operands, None where one is left out."""

Keeps = Literal["order", "scalars", "part", "scaled", "mixed", "nothing"]
"""What an operator over constants keeps of the scalars that are stored.

`order`: those of its first operand, one after the other as they are stored; `scalars`: those of its first operand, moved, retyped or
repeated; `part`: some of those of its first operand; `scaled`: those of the one operand of the result's shape, each combined with what is
smaller; `mixed`: scalars of its own, made of all operands; `nothing`: what it gives goes back to nothing stored.
"""

_NAMES: dict[int, str] = {TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.UNDEFINED: "undefined"}


def dtype_name(data_type: int) -> str:
    """The name of an ONNX element type as reports show it: float32, bfloat16, int4 …; `undefined` for a number that ONNX does not have."""
    if data_type in _NAMES:
        return _NAMES[data_type]
    if data_type in TensorProto.DataType.values():
        return TensorProto.DataType.Name(data_type).lower()
    return "undefined"


def numpy_dtype(data_type: int) -> np.dtype[np.generic] | None:
    """The NumPy type of an ONNX element type, None for a number that ONNX does not have."""
    if data_type == TensorProto.UNDEFINED or data_type not in TensorProto.DataType.values():
        return None
    return helper.tensor_dtype_to_np_dtype(data_type)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the scalars of a constant come from.

    `name` is that of the tensor which first had them, `count` the number of independent ones, `dtype` their element type; `sources` are
    the stored tensors that they are, or were made of: none for a constant that the model computes out of nothing stored. `filled` is one
    that repeats a single number: a tensor that the file states in short.
    """

    name: str
    count: int
    dtype: str
    sources: tuple[Source, ...] = ()
    filled: bool = False

    @property
    def kept(self) -> bool:
        """Whether something stored is behind it."""
        return bool(self.sources)

    def called(self, name: str) -> Origin:
        """The same under the name that it has now been given."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True, eq=False)
class Operation:
    """An operator over constants. `outputs` is the number of its results, `most` the number of entries that one of them may have."""

    fold: Fold
    keeps: Keeps
    version: int
    attributes: Attributes
    operands: tuple[Constant | None, ...]
    outputs: int = 1
    most: int = 1 << 26


@dataclass(slots=True, eq=False)
class Constant:
    """A value that depends on no input.

    It is a `stored` tensor, or result number `index` of an `operation`; with neither, its values cannot be known (a random number).
    `array` holds the values once they were computed.
    """

    origin: Origin
    stored: StoredTensor | None = None
    operation: Operation | None = None
    index: int = 0
    array: NDArray[np.generic] | None = None

    @property
    def opaque(self) -> bool:
        """Whether nothing says what the values are."""
        return self.stored is None and self.operation is None and self.array is None


@dataclass(slots=True, eq=False)
class Value:
    """A value that flows through the model: a tensor, or a sequence of values whose `items` may be known.

    `shape` is None where not even the rank is known. `constant` is None where it depends on an input. `shift` is what constants have added
    to its units, followed where it may block them; `blocked` are units that are zero because of that. Both broadcast to the shape.
    """

    name: str
    shape: Shape | None
    dtype: str = "float32"
    constant: Constant | None = None
    items: tuple[Value, ...] | None = None
    shift: NDArray[np.float32] | None = None
    blocked: NDArray[np.bool_] | None = None

    @property
    def dims(self) -> Shape:
        """The shape; ShapeError where it is unknown."""
        if self.shape is None:
            raise ShapeError(f"the shape of {self.name!r} is unknown")
        return self.shape

    @property
    def rank(self) -> int:
        """The number of axes; ShapeError where it is unknown."""
        return len(self.dims)


@dataclass(frozen=True, slots=True)
class ModelWeight(Weight):
    """A weight of an ONNX model: `constant` says how its values come about, in the layout of `shape`."""

    constant: Constant | None = field(default=None, compare=False, repr=False)

    def laid_out(self, shape: Shape, constant: Constant) -> ModelWeight:
        """The same scalars in another layout."""
        return replace(self, shape=shape, constant=constant)
