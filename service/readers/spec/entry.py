"""The entry point of the spec reader."""

from __future__ import annotations

from dataclasses import replace

from service.faults import Refused
from service.graph.network import Graph
from service.options import Options
from service.readers.json_text import parse_json
from service.readers.keras.documents import keras_document, read_twice
from service.readers.keras.model import convert
from service.readers.spec.reading import graph_of
from service.readers.spec.values import InlineWeights


def read_spec(text: bytes, options: Options, standin: int = 256) -> tuple[Graph, InlineWeights]:
    """The graph of a JSON layer spec, or of a Keras model's JSON, and the weights it states inline.

    Open input lengths become `standin`. A Keras model's `metadata` names its producer. Refused `not-json` (malformed), `invalid-spec`
    with a JSON pointer for every wrong place (invalid), or a limit.
    """
    document = read_twice(parse_json(text))
    model = keras_document(document)
    if model is None:
        return graph_of(document, options, standin)
    converted = convert(model)
    try:
        graph, weights = graph_of(converted.spec, options, standin)
    except Refused as error:
        raise converted.original(error) from error
    return replace(graph, metadata={"producer": converted.producer}), weights
