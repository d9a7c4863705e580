"""The state of a conversion from Keras to a layer spec: values with their layout, and the spec layers made so far.

Keras keeps channels last (unless a layer says otherwise), a spec keeps them first. So a tensor that Keras calls (d1, …, dr) is held in a
spec either `rotated`, (dr, d1, …), or as it is. Layers ask for the layout that they need, and a `permute` is made where it is the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from service.faults import Detail, Refused
from service.limits import MAX_LAYERS
from service.readers.keras.keras1 import modern
from service.readers.naming import Names
from service.readers.spec.schema import invalid_spec

SHARE = frozenset(
    (
        "conv",
        "depthwise_conv",
        "conv_transpose",
        "local",
        "dense",
        "batch_norm",
        "layer_norm",
        "group_norm",
        "embedding",
        "rnn",
        "lstm",
        "gru",
        "conv_lstm",
        "scale",
        "attention",
        "attend",
    )
)
"""The types whose layers share their weights with themselves when Keras calls a layer again."""


class Unsupported(ValueError):
    """A Keras layer has no counterpart in a spec. `place` is where in the layer ("class_name", "config/axis")."""

    def __init__(self, place: str, detail: str, code: str = "unsupported-layer") -> None:
        super().__init__(detail)
        self.place, self.detail, self.code = place, detail, code


@contextmanager
def inside(place: str) -> Iterator[None]:
    """Errors about a layer that stands in the configuration of another, told from the outer one."""
    try:
        yield
    except Unsupported as error:
        raise Unsupported(f"{place}/{error.place}", error.detail, error.code) from error


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor: its name in the spec, its rank without the batch, and whether its last axis comes first there.

    `guessed` says that it comes from a layer that cannot be read, so that its rank may be another one.
    """

    name: str
    rank: int
    rotated: bool = False
    guessed: bool = False

    def axis(self, keras: int, place: str = "config/axis") -> int:
        """An axis as Keras counts it (from 1, as the batch is 0, or from the end), as the spec counts it."""
        index = keras + self.rank if keras < 0 else keras - 1
        if not 0 <= index < self.rank:
            raise Unsupported(place, f"there is no axis {keras} in a tensor of rank {self.rank} and its batch", "out-of-range")
        if not self.rotated:
            return index
        return 0 if index == self.rank - 1 else index + 1


@dataclass(frozen=True, slots=True)
class Call:
    """One use of a Keras layer: its JSON pointer, class, name and configuration, and the values it reads.

    `labels` are the names of the arguments that the values are given for, "" where it goes by their order. `again` is 0 for the first use
    of a shared layer, 1 for the next. `prefix` names the models around it. `constants` are the arguments that are no tensors, `result` is
    the shape, batch first, that the document states for what the layer gives.
    """

    pointer: str
    kind: str
    name: str
    config: Mapping[str, object]
    inputs: tuple[Value, ...]
    again: int = 0
    prefix: str = ""
    labels: tuple[str, ...] = ()
    constants: Mapping[str, object] = field(default_factory=dict)
    result: object = None

    def wrapped(self, key: str = "layer") -> Call:
        """The use of the layer that a wrapper has in its configuration."""
        return self.inner(f"config/{key}", self.config.get(key))

    def inner(self, place: str, layer: object) -> Call:
        """The use of a layer that stands at a place inside this one."""
        config, kind = (layer.get("config"), layer.get("class_name")) if isinstance(layer, dict) else (None, None)
        if not isinstance(config, dict | list) or not isinstance(kind, str):
            raise Unsupported(place, "must be a layer with a class_name and a config", "not-a-layer")
        kind, named = modern(kind, config) if isinstance(config, dict) else (kind, {"layers": config})
        return replace(self, pointer=f"{self.pointer}/{place}", kind=kind, config=named, result=None)

    def argument(self, name: str, place: int) -> Value | None:
        """The value of an argument, by its name or else by its place among those without one."""
        if name in self.labels:
            return self.inputs[self.labels.index(name)]
        plain = [value for value, label in zip(self.inputs, self.labels, strict=True) if not label]
        return plain[place] if place < len(plain) else None

    @property
    def input(self) -> Value:
        """The input of a layer with one."""
        if len(self.inputs) != 1:
            raise Unsupported("inbound_nodes", f"{self.kind} with {len(self.inputs)} inputs is not supported", "unsupported-inputs")
        return self.inputs[0]

    def integer(self, key: str, default: int | None = None) -> int:
        """An integer of the configuration."""
        value = self.config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unsupported(f"config/{key}", "must be an integer", "not-an-integer")
        return value

    def integers(self, key: str) -> list[int]:
        """A list of integers of the configuration; a number alone is a list of one."""
        value = self.config.get(key)
        entries: list[Any] = value if isinstance(value, list) else [value]
        if not all(isinstance(entry, int) and not isinstance(entry, bool) for entry in entries) or len(entries) > 10:
            raise Unsupported(f"config/{key}", "must be a list of integers", "not-an-integer")
        return entries

    def text(self, key: str, default: str) -> str:
        """A word of the configuration."""
        value = self.config.get(key) or default
        if not isinstance(value, str):
            raise Unsupported(f"config/{key}", "must be a string", "not-a-string")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """A flag of the configuration."""
        value = self.config.get(key, default)
        if not isinstance(value, bool):
            raise Unsupported(f"config/{key}", "must be true or false", "not-a-boolean")
        return value


@dataclass
class Conversion:
    """The spec under construction. `pointer` is where the model stands in its document; `origins` are the JSON pointers into the Keras
    model that its layers come from."""

    pointer: str = ""
    inputs: list[dict[str, Any]] = field(default_factory=list)
    input_origins: list[str] = field(default_factory=list)
    layers: list[dict[str, Any]] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)
    errors: list[Detail] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    calls: int = 0
    walk: Callable[[Call], tuple[Value, ...]] | None = None
    _first: dict[tuple[str, str], str] = field(default_factory=dict)
    _turned: dict[tuple[str, bool], Value] = field(default_factory=dict)

    def layer(self, call: Call) -> tuple[Value, ...]:
        """Convert a layer or a model that stands inside another layer."""
        if self.walk is None:
            raise AssertionError("a conversion begins with a model")
        return self.walk(call)

    def count(self) -> None:
        """One more use of a layer; a small document of nested models must not make a large spec."""
        self.calls += 1
        if self.calls > 2 * MAX_LAYERS or len(self.layers) > MAX_LAYERS:
            raise self.too_many()

    def too_many(self) -> Refused:
        """The error for a document that makes more layers than a spec may have."""
        detail = "the model has more layers than a spec may have"
        return invalid_spec([Detail(f"{self.pointer}/config/layers", detail, "too-many-layers")])

    def forget(self, kept: int) -> None:
        """Take back the layers after the first `kept`: the layer that they were made for cannot be read after all."""
        gone = {layer["name"] for layer in self.layers[kept:]}
        if gone:
            del self.layers[kept:], self.origins[kept:]
            self._turned = {key: value for key, value in self._turned.items() if value.name not in gone}
            self._first = {key: name for key, name in self._first.items() if name not in gone}

    def emit(self, call: Call, kind: str, *inputs: Value, part: Any = "", **fields: Any) -> str:
        """A spec layer; its name. Fields that are None are left out. `part` tells it from other layers of the same Keras layer."""
        plain = f"{call.prefix}{call.name}/{part}" if part else f"{call.prefix}{call.name}"
        name = self.names.fresh(f"{plain}#{call.again + 1}" if call.again else plain)
        layer = {"name": name, "type": kind, "inputs": [value.name for value in inputs]}
        layer |= {key: value for key, value in fields.items() if value is not None}
        first = self._first.setdefault((call.pointer, part), name)
        if first != name and (kind in SHARE or fields.get("function") == "prelu"):
            layer["share_with"] = first
        self.layers.append(layer)
        self.origins.append(call.pointer)
        if len(self.layers) > MAX_LAYERS:
            raise self.too_many()
        return name

    def turned(self, call: Call, value: Value, rotated: bool) -> Value:
        """The value in the wanted layout."""
        if value.rank < 2 or value.rotated == rotated:
            return value
        key = (value.name, rotated)
        if key not in self._turned:
            order = [value.rank - 1, *range(value.rank - 1)] if rotated else [*range(1, value.rank), 0]
            name = self.emit(call, "permute", value, part="channels_first" if rotated else "channels_last", order=order)
            self._turned[key] = replace(value, name=name, rotated=rotated)
        return self._turned[key]
