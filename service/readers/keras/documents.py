"""The documents that hold a Keras model: what `to_json()` writes, also as a string, and inside the model.json of TensorFlow.js."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from service.faults import Refused
from service.readers.json_text import parse_json

MODELS = ("Sequential", "Functional", "Model")


@dataclass(frozen=True, slots=True)
class Document:
    """A Keras model, the JSON pointer at which it stands in what was sent, and the version of Keras that wrote it."""

    model: Mapping[str, object]
    pointer: str
    version: str | None


def is_model(value: object) -> bool:
    """Whether a value is a model as Keras writes one; a class of one's own counts where it has layers."""
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str) or "config" not in value:
        return False
    config = value["config"]
    return value["class_name"] in MODELS or (isinstance(config, dict) and isinstance(config.get("layers"), list))


def read_twice(document: object) -> object:
    """What a document means that was written as a JSON string inside JSON: `json.dump(model.to_json(), file)`."""
    return parse_json(document.encode()) if isinstance(document, str) and document.startswith("{") else document


def keras_document(document: object) -> Document | None:
    """The Keras model in a JSON document; None where it holds none. Refused `unsupported-format` for a graph of TensorFlow.js."""
    if not isinstance(document, dict) or "receptive" in document:
        return None
    inner, pointer, version = document, "", document.get("keras_version")
    for key in ("modelTopology", "model_config"):
        if isinstance(inner.get(key), dict):
            inner, pointer = inner[key], f"{pointer}/{key}"
            version = inner.get("keras_version", version)
    if document.get("format") == "graph-model" or (pointer and isinstance(inner.get("node"), list)):
        advice = "It has the operations of TensorFlow and no layers of Keras. Convert the model that it was made from to ONNX."
        raise Refused("unsupported", "unsupported-format", f"This is a TensorFlow.js graph model (format graph-model). {advice}")
    return Document(inner, pointer, version if isinstance(version, str) else None) if is_model(inner) else None
