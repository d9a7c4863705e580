"""Worksheets: questions on the layers of an analysis, and the key, whose every line is a derivation of the report's own number."""

from __future__ import annotations

from dataclasses import dataclass

from service.render.words import view
from service.render.words.explain import Makers, explain, makers_of
from service.render.words.numbers import number, times
from service.render.words.text import shown
from service.report.document import Layer, LayerField, Report
from service.report.quantities import QUANTITIES
from service.report.sliding import connection_table, lengths_of, sliding_window

MOST_LAYERS = 6
MOST_TABLE_ROWS = 64
"""Rows of a connection table that are written out."""


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


def worksheet(report: Report) -> list[Exercise]:
    """At most six exercises, on layers spread over the depth of the model, no two of them on equal layers."""
    makers = makers_of(report)
    distinct: dict[tuple[str, str, str], Layer] = {}
    for layer in report.layers:
        if layer.connections is not None or lengths_of(layer.attributes, "kernel"):
            distinct.setdefault((layer.kind, str(layer.attributes), str(layer.output_shape)), layer)
    layers = list(distinct.values())
    count = min(len(layers), MOST_LAYERS)
    picked = [layers[round(i * (len(layers) - 1) / max(count - 1, 1))] for i in range(count)]
    exercises = (_exercise(report, layer, makers) for layer in picked)
    return [exercise for exercise in exercises if exercise.questions]


def _exercise(report: Report, layer: Layer, makers: Makers) -> Exercise:
    lines = explain(report, layer, makers)
    pixels = view.pixels(layer.receptive_field.axes if layer.receptive_field else None)
    # Only what can be worked out is asked: a line with a result.
    asked = tuple(
        Question(each.question.format(pixels=pixels), shown(lines[each.path], 400))
        for each in QUANTITIES
        if each.question and " = " in lines.get(each.path, "")
    )
    return Exercise(shown(layer.name), layer.index, _given(layer, _before(layer, makers)), asked)


def _given(layer: Layer, before: LayerField | None) -> str:
    """The geometry of a layer, without any number that is asked for."""
    window, parameters = sliding_window(layer), layer.parameters
    said = [f"a layer of the kind “{layer.kind}”", *(view.geometry(window) if window else ())]
    if window and window.groups > 1:
        said.append(f"{window.groups} groups")
    said += _table(layer)
    said += [f"{word} {times(shape)}" for word, shape in (("input", layer.input_shape), ("output", layer.output_shape)) if shape]
    if parameters.shape and parameters.weights:
        said.append(f"weights in the shape {times(parameters.shape)}")
        said.append("with biases" if parameters.biases else "without biases")
    if before is not None and before.size and before.stride:
        unit = view.pixels(before.axes)
        said.append(f"each unit of its input sees {times(before.size)} {unit}, and the next one begins {times(before.stride)} {unit} on")
    return ", ".join(said)


def _table(layer: Layer) -> list[str]:
    """Which maps each filter reads, where a table says it: what is asked cannot be worked out without it."""
    rows = connection_table(layer)
    if not rows:
        return []
    said = "; ".join(f"map {filter_} reads {', '.join(map(str, maps))}" for filter_, maps in enumerate(rows[:MOST_TABLE_ROWS]))
    pairs = number(sum(map(len, rows)))
    more = "" if len(rows) <= MOST_TABLE_ROWS else "; …"
    return [f"of the input maps, by a table of {pairs} pairs, {said}{more}"]


def _before(layer: Layer, makers: Makers) -> LayerField | None:
    """The receptive field of the layer's first input."""
    maker = makers.get(layer.inputs[0]) if layer.inputs else None
    return None if maker is None else maker.receptive_field
