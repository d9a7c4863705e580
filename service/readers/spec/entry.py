"""The entry point of the spec reader."""

from __future__ import annotations

from service.graph.network import Graph
from service.options import Options
from service.readers.json_text import parse_json
from service.readers.spec.reading import graph_of
from service.readers.spec.values import InlineWeights


def read_spec(text: bytes, options: Options, standin: int = 256) -> tuple[Graph, InlineWeights]:
    """The graph of a JSON layer spec and the weights it states inline; open input lengths become `standin`.

    ReadError `not-json` (malformed), `invalid-spec` with every wrong place (invalid), or a limit.
    """
    return graph_of(parse_json(text), options, standin)
