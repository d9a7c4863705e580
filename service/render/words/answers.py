"""The answers to the three questions, in plain words: what a model shares, what it skips and how far it sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

from service.render.words.numbers import number, percent, times
from service.render.words.text import shown
from service.render.words.view import pixels, zero_weights
from service.report.document import Layer, LayerField, ModelField, Port, Report
from service.report.quantities import as_published, output_field


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one of the three questions: its theme (a class of the style sheet), the question, one figure, and what it means."""

    theme: str
    question: str
    figure: str
    unit: str
    sentences: tuple[str, ...]


def answers(report: Report) -> tuple[Answer, ...]:
    """What the model shares, what it skips and how far it sees."""
    return _shares(report), _skips(report), _sees(report)


def _shares(report: Report) -> Answer:
    summary, counts = report.summary, report.summary.connections
    factor = None if summary.sharing is None else summary.sharing.factor
    if not factor or counts is None:
        return Answer("shares", "What does it share?", "–", "", (_uncounted(report),))
    weights = number(summary.parameters.weights)
    served = factor * (summary.parameters.weights or 0)
    made = number(counts.exact if counts.exact is not None and math.isclose(served, counts.exact) else round(served))
    said = [f"{made} connections are made by {weights} weights, so each weight is used {_short(factor)} times on average."]
    most, used = max(((layer, _sharing(layer)) for layer in report.layers), key=lambda pair: pair[1])
    if used > 1:
        said.append(f"{shown(most.name)} shares most: each of its weights is used {_short(used)} times.")
    tied = sum(len(entry.used_by) > 1 for entry in report.ledger)
    if tied:
        said.append(f"{number(tied)} stored {'tensor is' if tied == 1 else 'tensors are'} used by more than one layer.")
    return Answer("shares", "What does it share?", _short(factor), "uses per weight", tuple(said))


def _sharing(layer: Layer) -> float:
    """The uses of a weight of a layer; 0 where that is not known."""
    return (layer.sharing.factor if layer.sharing is not None else None) or 0


def _skips(report: Report) -> Answer:
    counts, sparsity = report.summary.connections, report.summary.sparsity
    if counts is None or sparsity is None or sparsity.connection is None:
        return Answer("skips", "What does it skip?", "–", "", (_uncounted(report),))
    dense, exact = number(counts.dense), number(counts.exact)
    one_in = f": one in {_short(counts.dense / counts.exact)}" if counts.dense and counts.exact and sparsity.connection else ""
    said = [f"Fully connected layers of the same units would have {dense} connections; {exact} of them exist{one_in}."]
    published = as_published(report)
    if published is not None:
        said.append(f"Counted with padding and biases, as published tables do, there are {number(published)} connections.")
    weights = report.summary.parameters.weights
    if sparsity.weight is None:
        said.append("Weights are not stored or were not read, so zeros among them are not known.")
    elif weights:
        left = "" if counts.effective is None or not sparsity.weight else f", which leaves {number(counts.effective)} connections in effect"
        zeros = zero_weights(sparsity.weight, weights)
        said.append(f"{zeros[0].upper()}{zeros[1:]} zero{left}.")
    return Answer("skips", "What does it skip?", percent(sparsity.connection), "of possible connections do not exist", tuple(said))


def _uncounted(report: Report) -> str:
    """Why there is no number of connections."""
    if all(layer.connections is None for layer in report.layers):
        return "It has no layer whose weights join units."
    if open_inputs(report):
        return "The number of its connections depends on the size of its input, which it leaves open: analyse it with an input shape."
    return "The number of its connections is not known."


def open_inputs(report: Report) -> tuple[Port, ...]:
    """The inputs of which an axis beside the batch is open, and was given no length for the analysis."""
    fixed = {**report.options.input_shapes, **report.options.resized}
    if "" in fixed:
        return ()
    return tuple(port for port in report.model.inputs if port.name not in fixed and (port.shape is None or None in port.shape[1:]))


def _sees(report: Report) -> Answer:
    question, field = "How far does it see?", report.summary.receptive_field
    if field is None:
        return Answer("sees", question, "–", "", ("No input has axes along which a receptive field could grow.",))
    output, unit = output_field(report), pixels(field.axes)
    figure, counted_in = reach(output, unit)
    said = _seen_by_the_output(output, field, unit)
    if field.first_global_layer:
        said.append(f"{shown(field.first_global_layer)} is the first layer that sees the whole input at once.")
    said += _seen_by_local_layers(output, field, unit)
    if field.unproductive_layers:
        layers = f"{number(field.unproductive_layers)} {'layer adds' if field.unproductive_layers == 1 else 'layers add'}"
        larger = (
            f"; an input of at least {times(field.smallest_productive_input)} {unit} would use them"
            if field.smallest_productive_input
            else ""
        )
        said.append(f"{layers} no new context: everything was seen before them{larger}.")
    return Answer("sees", question, figure, counted_in, tuple(said))


def reach(field: LayerField | None, unit: str) -> tuple[str, str]:
    """What one unit sees, as a figure and what it is counted in."""
    if field is None:
        return "–", ""
    if field.status == "global":
        return "everything", ""
    if not field.size:
        return "not known", ""
    return f"{'at least ' if field.status == 'bound' else ''}{times(field.size)}", unit


def _seen_by_the_output(output: LayerField | None, field: ModelField, unit: str) -> list[str]:
    if output is None or output.status == "global":
        return []
    if not output.size:
        return [f"How far the output sees is not known{f', because of {shown(output.because)}' if output.because else ''}."]
    least = "at least " if output.status == "bound" else ""
    known = field.input_size is not None and None not in field.input_size
    whole = f"an input of {times(field.input_size)}" if known else "an input whose size is open"
    return [f"One unit of the output sees {least}{times(output.size)} {unit} of {whole}."]


def _seen_by_local_layers(output: LayerField | None, field: ModelField, unit: str) -> list[str]:
    """What the layers see that see a part of the input, where the output sees more or less than they."""
    largest = field.largest
    if largest is None or not largest.size or (output is not None and output.status != "global" and output.size == largest.size):
        return []
    if set(largest.size) == {1}:
        places = "all" if field.input_size is None or None in field.input_size else f"all {times(field.input_size)}"
        return [f"The local layers work {unit[:-1]} by {unit[:-1]}: their weights are shared over {places} {unit}."]
    return [f"Of the local paths {shown(largest.layer)} has the largest field: {times(largest.size)} of {times(field.input_size)} {unit}."]


def _short(value: float) -> str:
    """A number to four significant digits, for a sentence; the derivation has the rest."""
    return number(float(f"{value:.4g}")) if value < 1000 else f"{value:,.0f}"
