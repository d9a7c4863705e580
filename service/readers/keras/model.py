"""The models of Keras, Sequential and Functional and one inside the other, walked in the order of their data flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from service.faults import Detail, Refused
from service.readers.keras.conversion import Call, Conversion, Unsupported, Value
from service.readers.keras.documents import MODELS, Document, is_model
from service.readers.keras.keras1 import modern, says_channels_first
from service.readers.keras.layers import CONVERTERS
from service.readers.keras.unknown import unknown_layer
from service.readers.spec.schema import invalid_spec

Key = tuple[int, int]


class Reference(NamedTuple):
    """A tensor that a node reads: the layer, its use, which of its results, the argument that it is given for, and its shape if stated."""

    layer: str
    node: int
    tensor: int
    label: str = ""
    shape: object = None


@dataclass(frozen=True, slots=True)
class Converted:
    """A Keras model as a layer spec; `origins` are the pointers into the Keras document of its layers and `input_origins` of its inputs."""

    spec: dict[str, object]
    origins: tuple[str, ...]
    input_origins: tuple[str, ...]
    producer: str
    pointer: str

    def original(self, error: Refused) -> Refused:
        """An error of the spec with pointers into the Keras document."""
        return Refused(error.fault, error.code, error.detail, [self._original(detail) for detail in error.errors])

    def _original(self, detail: Detail) -> Detail:
        parts = detail.pointer.split("/")
        origins = {"layers": self.origins, "inputs": self.input_origins}.get(parts[1] if len(parts) > 2 else "", ())
        pointer = origins[int(parts[2])] if origins else "/config"
        return Detail(self.pointer + pointer, f"{'/'.join(parts[3:])}: {detail.detail}".removeprefix(": "), detail.code)


def convert(document: Document) -> Converted:
    """The layer spec of a Keras model; Refused `invalid-spec` that names every place that is wrong in it."""
    conversion, model = Conversion(document.pointer), document.model
    walk = _Walk(conversion, model, channels_last=not _says_channels_first(model))
    conversion.walk = walk.one
    outputs = walk.outputs()
    if conversion.errors:
        raise invalid_spec(replace(detail, pointer=document.pointer + detail.pointer) for detail in conversion.errors)
    config = model["config"]
    name = config.get("name") if isinstance(config, dict) else None
    spec = {
        "receptive": 1,
        **({"name": name} if isinstance(name, str) else {}),
        "inputs": conversion.inputs,
        "outputs": list(dict.fromkeys(value.name for value in outputs if value is not None)),
        "layers": conversion.layers,
    }
    producer = f"keras {document.version[:50]}" if document.version else "keras"
    return Converted(spec, tuple(conversion.origins), tuple(conversion.input_origins), producer, document.pointer)


def _says_channels_first(document: object) -> bool:
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if says_channels_first(value):
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def _references(value: object, label: str = "") -> Iterator[Reference]:
    """The tensors that a node of Keras 2 ([name, node, tensor, arguments]) or Keras 3 (objects with a keras_history) reads, in order.

    Masks are left out: they say which positions count, and nothing about the units.
    """
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            config = value.get("config")
            if isinstance(config, dict):
                found = _references(config.get("keras_history"), label)
                yield from (reference._replace(shape=config.get("shape")) for reference in found)
        else:
            for key, inner in value.items():
                if not key.endswith("mask"):
                    yield from _references(inner, label if key in ("args", "kwargs") else key)
    elif isinstance(value, list):
        if len(value) >= 3 and isinstance(value[0], str) and all(type(index) is int for index in value[1:3]):
            yield Reference(value[0], value[1], value[2], label)
            value = value[3:]
        for inner in value:
            yield from _references(inner, label)


class _Walk:
    """One use of one model: its layers become spec layers in the order in which they are needed.

    Without `given` values it is the outermost model and makes the inputs of the spec.
    """

    def __init__(
        self,
        conversion: Conversion,
        model: Mapping[str, object],
        channels_last: bool,
        given: Sequence[Value] | None = None,
        around: Call | None = None,
    ) -> None:
        self.c, self.model, self.channels_last, self.given, self.around = conversion, model, channels_last, given, around
        self.pointer = around.pointer if around else ""
        self.prefix = f"{around.prefix}{around.name}/" if around else ""
        config = model.get("config")
        self.listed = isinstance(config, list)
        self.config: Mapping[str, object] = config if isinstance(config, dict) else {"layers": config}
        self.values: dict[Key, tuple[Value | None, ...]] = {}
        self.stated: dict[tuple[str, int], object] = {}

    def outputs(self) -> list[Value | None]:
        """The values that the model gives; None for one that could not be converted."""
        layers = self.config.get("layers")
        if not isinstance(layers, list) or not layers:
            self._refuse(self.pointer + "/config/layers", "must be a list of layers", "not-a-list")
            return [None]
        for index, layer in enumerate(layers):
            if not isinstance(layer, dict) or not isinstance(layer.get("class_name"), str) or not isinstance(layer.get("config"), dict):
                self._refuse(self._at(index), "must be a layer with a class_name and a config", "not-a-layer")
                return [None]
        kind = self.model.get("class_name")
        sequential = kind == "Sequential" or (kind not in MODELS and "output_layers" not in self.config)
        return self._sequential(layers) if sequential else self._functional(layers)

    def _at(self, index: int) -> str:
        return f"{self.pointer}/config/{index}" if self.listed else f"{self.pointer}/config/layers/{index}"

    def _refuse(self, pointer: str, detail: str, code: str) -> None:
        self.c.errors.append(Detail(pointer, detail, code))

    def _name(self, layer: Mapping[str, Any], index: int) -> str:
        name = layer["config"].get("name", layer.get("name"))
        return name if isinstance(name, str) else f"{layer['class_name']}_{index}"

    def _sequential(self, layers: list[dict[str, object]]) -> list[Value | None]:
        values: tuple[Value | None, ...]
        if self.given is not None:
            values = (self._given(0, 1),)
        else:
            shape = _declared(self.model, layers[0])
            name = self._name(layers[0], 0) if layers[0]["class_name"] == "InputLayer" else "input"
            values = (self._input(name, shape, self._at(0)),)
        for index, layer in enumerate(layers):
            if layer["class_name"] != "InputLayer":
                build = layers[index + 1].get("build_config") if index + 1 < len(layers) else None
                result = build.get("input_shape") if isinstance(build, dict) else None
                values = self._convert(self._call(index, layer, 0, 1, values[:1], ("",), result))
        return list(values)

    def _given(self, place: int, wanted: int) -> Value | None:
        """One of the values that a model inside another reads."""
        given = self.given or ()
        if len(given) == wanted and place < wanted:
            return given[place]
        self._refuse(self.pointer, f"the model has {wanted} inputs and is given {len(given)}", "wrong-length")
        return None

    def _input(self, name: str, batched: object, pointer: str) -> Value | None:
        """An input of the spec, channels first where the document's are last."""
        lengths = batched[1:] if isinstance(batched, list) else None
        if not lengths:
            self._refuse(pointer, "the shape of the model's input is not stated: build the model before it is written", "no-input-shape")
            return None
        rotated = self.channels_last and len(lengths) > 1
        name = self.c.names.fresh(name)
        self.c.inputs.append({"name": name, "shape": [lengths[-1], *lengths[:-1]] if rotated else lengths})
        self.c.input_origins.append(pointer)
        return Value(name, len(lengths), rotated)

    def _functional(self, layers: list[dict[str, object]]) -> list[Value | None]:
        places = {self._name(layer, index): index for index, layer in enumerate(layers)}
        sources = list(_references(self.config.get("input_layers")))
        wanted = list(_references(self.config.get("output_layers")))
        if not wanted:
            self._refuse(f"{self.pointer}/config/output_layers", "the model names no outputs", "required")
        reads: dict[Key, list[Reference]] = {}
        for index, layer in enumerate(layers):
            if layer["class_name"] == "InputLayer":
                self._source(index, layer, [source.layer for source in sources])
                continue
            nodes = layer.get("inbound_nodes")
            for node, inbound in enumerate(nodes if isinstance(nodes, list) else []):
                reads[index, node] = list(_references(inbound))
        read = (reference for references in reads.values() for reference in references if reference.tensor == 0)
        self.stated = {(reference.layer, reference.node): reference.shape for reference in read}
        self._flow(layers, places, reads)
        return [self._value(places, reference, f"{self.pointer}/config/output_layers") for reference in wanted]

    def _source(self, index: int, layer: Mapping[str, object], sources: list[str]) -> None:
        name = self._name(layer, index)
        if self.given is None:
            value = self._input(name, _declared(self.model, layer), self._at(index))
        else:
            value = self._given(sources.index(name) if name in sources else len(sources), len(sources))
        self.values[index, 0] = (value,)

    def _flow(self, layers: list[dict[str, Any]], places: Mapping[str, int], reads: Mapping[Key, list[Reference]]) -> None:
        """Convert every use of a layer after those that it reads (Kahn 1962)."""
        readers: dict[Key, list[Key]] = {}
        missing: dict[Key, int] = {}
        for key, references in reads.items():
            needed = {self._key(places, reads, reference) for reference in references} - {None}
            missing[key] = sum(source in reads for source in needed)
            for source in needed:
                if source is not None:
                    readers.setdefault(source, []).append(key)
        ready = deque(key for key, count in missing.items() if count == 0)
        while ready:
            key = ready.popleft()
            index, node = key
            pointer = f"{self._at(index)}/inbound_nodes/{node}"
            inputs = tuple(self._value(places, reference, pointer) for reference in reads[key])
            uses = len(layers[index]["inbound_nodes"])
            labels = tuple(reference.label for reference in reads[key])
            result = self.stated.get((self._name(layers[index], index), node))
            call = self._call(index, layers[index], node, uses, inputs, labels, result)
            arguments = layers[index]["inbound_nodes"][node]
            constants = arguments.get("kwargs") if isinstance(arguments, dict) else None
            self.values[key] = self._convert(replace(call, constants=constants) if call and isinstance(constants, dict) else call)
            for reader in readers.get(key, ()):
                missing[reader] -= 1
                if missing[reader] == 0:
                    ready.append(reader)
        for index, _ in sorted(reads.keys() - self.values.keys()):
            self._refuse(self._at(index), "the layer stands in a cycle", "cycle")

    def _key(self, places: Mapping[str, int], reads: Mapping[Key, Any], reference: Reference) -> Key | None:
        """The use of a layer that a reference means. A layer that is used once may have any number."""
        name, node, *_ = reference
        index = places.get(name)
        if index is None:
            return None
        known = (index, node) in reads or (index, node) in self.values
        alone = (index, 1) not in reads
        return (index, node) if known else (index, 0) if alone else None

    def _value(self, places: Mapping[str, int], reference: Reference, pointer: str) -> Value | None:
        name, node, tensor, *_ = reference
        index = places.get(name)
        key = None if index is None else (index, node) if (index, node) in self.values else (index, 0)
        if key is None or key not in self.values:
            self._refuse(pointer, f"there is no layer {name[:100]!r}, or it is not used so often", "unknown-layer")
            return None
        values = self.values[key]
        if 0 <= tensor < len(values):
            return values[tensor]
        if values[0] is not None and not values[0].guessed:
            self._refuse(pointer, f"{name[:100]!r} has no output {tensor}", "unsupported-output")
            return None
        return values[0]

    def _call(
        self,
        index: int,
        layer: Mapping[str, Any],
        node: int,
        uses: int,
        inputs: Sequence[Value | None],
        labels: tuple[str, ...],
        result: object,
    ) -> Call | None:
        """One use of a layer; None where something that it reads is wrong already."""
        known = tuple(value for value in inputs if value is not None)
        if len(known) < len(inputs):
            return None
        kind, config = modern(layer["class_name"], layer["config"])
        again = (self.around.again if self.around else 0) * uses + node
        return Call(self._at(index), kind, self._name(layer, index), config, known, again, self.prefix, labels, result=result)

    def _convert(self, call: Call | None) -> tuple[Value | None, ...]:
        """What a use of a layer gives; None, and an error, where it is wrong. What reads a None is passed over."""
        if call is None:
            return (None,)
        try:
            return self.one(call)
        except Unsupported as error:
            self._refuse(f"{call.pointer}/{error.place}", error.detail, error.code)
            return (None,)

    def one(self, call: Call) -> tuple[Value, ...]:
        """A layer or a model, which may stand inside another layer. One that cannot be read becomes a layer that nothing is known of."""
        self.c.count()
        before = len(self.c.layers)
        try:
            values = self._read(call)
        except Unsupported as error:
            guessed = any(value.guessed for value in call.inputs)
            if not call.inputs or not (guessed or error.code.startswith("unsupported")):
                raise
            self.c.forget(before)
            return unknown_layer(self.c, call, error.detail)
        if any(value.guessed for value in call.inputs):
            return tuple(replace(value, guessed=True) for value in values)
        return values

    def _read(self, call: Call) -> tuple[Value, ...]:
        if call.kind in CONVERTERS:
            result = CONVERTERS[call.kind](self.c, call)
            return result if isinstance(result, tuple) else (result,)
        model = {"class_name": call.kind, "config": call.config}
        if not is_model(model):
            raise Unsupported("class_name", f"layers of the class {call.kind[:100]!r} are not supported", "unsupported-layer")
        outputs = tuple(value for value in _Walk(self.c, model, self.channels_last, call.inputs, call).outputs() if value is not None)
        if not outputs:
            raise Unsupported("config/layers", "the model inside cannot be read", "not-a-layer")
        return outputs


def _declared(model: Mapping[str, Any], layer: Mapping[str, Any]) -> Any:
    """The input shape, batch first, as the versions of Keras state it: at the layer, at the model, or at a model that comes first."""
    config, inner = layer["config"], layer["config"].get("layers")
    own, build = model.get("config"), model.get("build_config")
    stated = [
        *(config.get(key) for key in ("batch_shape", "batch_input_shape")),
        own.get("build_input_shape") if isinstance(own, dict) else None,
        build.get("input_shape") if isinstance(build, dict) else None,
    ]
    lengths = [config.get(key) for key in ("input_length", "input_dim")]
    if layer["class_name"] == "Embedding":
        stated.append([None, lengths[0]] if "input_length" in config else None)
    elif lengths[1] is not None:
        stated.append([None, *lengths[:1], lengths[1]] if "input_length" in config else [None, lengths[1]])
    found = next((shape for shape in stated if shape is not None), None)
    if found is None and is_model(layer) and isinstance(inner, list) and inner and isinstance(inner[0], dict):
        return _declared(layer, inner[0]) if isinstance(inner[0].get("config"), dict) and "class_name" in inner[0] else None
    return found
