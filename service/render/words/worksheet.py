"""Worksheets: questions on the layers of an analysis, and the key, whose every line is a derivation of the report's own number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.render.words import view
from service.render.words.explain import explain
from service.render.words.numbers import times
from service.render.words.text import shown

Record = Mapping[str, Any]

MOST_LAYERS = 6

# What is asked of a layer, by the number that answers it.
QUESTIONS = {
    "parameters.total": "How many parameters does it have, biases among them?",
    "connections.exact": "How many connections does it have? A tap that falls on padding joins nothing.",
    "connections.dense": "How many would it have if every input unit were joined to every output unit?",
    "sharing.factor": "How often is each weight used, on average?",
    "sparsity.connection": "Which share of the possible connections is left out?",
    "receptive_field.size": "How many {pixels} of the model's input does one of its units see, along each axis?",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the derivation that answers it."""

    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Exercise:
    """Questions on one layer: its name, what is given, and what is asked."""

    layer: str
    index: int
    given: str
    questions: tuple[Question, ...]


def worksheet(report: Record) -> list[Exercise]:
    """At most six exercises, on layers spread over the depth of the model, no two of them on equal layers."""
    distinct: dict[tuple[str, str, str], Record] = {}
    for layer in report["layers"]:
        if layer["connections"] is not None or (layer["attributes"] or {}).get("kernel"):
            distinct.setdefault((layer["kind"], str(layer["attributes"]), str(layer["output_shape"])), layer)
    layers = list(distinct.values())
    count = min(len(layers), MOST_LAYERS)
    picked = [layers[round(i * (len(layers) - 1) / max(count - 1, 1))] for i in range(count)]
    exercises = (_exercise(report, layer) for layer in picked)
    return [exercise for exercise in exercises if exercise.questions]


def _exercise(report: Record, layer: Record) -> Exercise:
    lines = explain(report, layer)
    pixels = view.pixels(layer["receptive_field"] and layer["receptive_field"]["axes"])
    # Only what can be worked out is asked: a line with a result.
    asked = tuple(
        Question(text.format(pixels=pixels), shown(lines[path], 400)) for path, text in QUESTIONS.items() if " = " in lines.get(path, "")
    )
    return Exercise(shown(layer["name"]), layer["index"], _given(report, layer), asked)


def _given(report: Record, layer: Record) -> str:
    """The geometry of a layer, without any number that is asked for."""
    attributes = layer["attributes"] or {}
    said = [f"a layer of the kind “{layer['kind']}”"]
    said += [f"{word} {times(attributes[key])}" for key, word in view.GEOMETRY if isinstance(attributes.get(key), list)]
    if isinstance(attributes.get("pads"), list):
        said.append(f"padding {view.padding(attributes['pads'])}")
    if isinstance(attributes.get("groups"), int) and attributes["groups"] > 1:
        said.append(f"{attributes['groups']} groups")
    said += [f"{word} {times(layer[key])}" for word, key in (("input", "input_shape"), ("output", "output_shape")) if layer[key]]
    if layer["parameters"]["shape"] and layer["parameters"]["weights"]:
        said.append(f"weights in the shape {times(layer['parameters']['shape'])}")
        said.append("with biases" if layer["parameters"]["biases"] else "without biases")
    before = _before(report, layer)
    if before is not None and before["size"] and before["stride"]:
        unit = view.pixels(before["axes"])
        said.append(
            f"each unit of its input sees {times(before['size'])} {unit}, and the next one begins {times(before['stride'])} {unit} on"
        )
    return ", ".join(said)


def _before(report: Record, layer: Record) -> Record | None:
    """The receptive field of the layer's first input."""
    inputs = layer["inputs"]
    before = next((each for each in report["layers"] if inputs and inputs[0] in each["outputs"]), None)
    return None if before is None else before["receptive_field"]
