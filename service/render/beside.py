"""What is kept beside a report, so that small questions about a large one cost little: the texts of its badges, the columns of its layer
table, and where in its text each layer lies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from service.render.figures.badge import METRICS, message
from service.render.tables import LayerTable
from service.report.document import KINDS, Report
from service.report.layers import layer_places


@dataclass(frozen=True, slots=True)
class Beside:
    """What is kept beside a report: the message of each badge; what comes behind the heads of the layer table's columns; where each layer
    begins in the report's text, and where the last one ends; and the index of each layer's kind in KINDS."""

    badges: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Sequence[str]] = field(default_factory=dict)
    places: Sequence[int] = (0,)
    kinds: Sequence[int] = ()


def beside(report: Report, shown: Report, text: bytes) -> str:
    """What is kept beside `text`, as JSON: the text is that of `shown`, which may be only a part of the report."""
    badges = {metric: message(quantity, report) for metric, quantity in METRICS.items()}
    kinds = [KINDS.index(layer.kind) for layer in shown.layers]
    kept = Beside(badges, LayerTable.of(shown).endings, layer_places(text), kinds)
    return json.dumps(asdict(kept), separators=(",", ":"))
