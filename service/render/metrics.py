"""The flat numbers of a report as OpenMetrics text (version 1.0), which Prometheus and others that speak it read."""

from __future__ import annotations

from collections.abc import Iterator

from service.render.words.text import visible
from service.report.document import Report
from service.report.quantities import PREFIX, QUANTITIES, flat_numbers

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
METRIC_PREFIX = "receptive_model_"


def metric_name(name: str) -> str:
    """The OpenMetrics name of a flat number: dots are underscores, `receptive.parameters` is `receptive_model_parameters`."""
    return METRIC_PREFIX + name.removeprefix(PREFIX).replace(".", "_")


def report_metrics(report: Report) -> bytes:
    """Every flat number as a gauge with the label `model`, and the end mark."""
    label = f'model="{_label(report.model.name or "")}"'
    return ("\n".join([*_lines(report, label), "# EOF"]) + "\n").encode()


def _lines(report: Report, label: str) -> Iterator[str]:
    described = {f"{PREFIX}{quantity.flat}": quantity.described for quantity in QUANTITIES if quantity.flat}
    for name, value in flat_numbers(report).items():
        # The name of a number with axes ends in the axis.
        help_text = described.get(name) or described[name.rpartition(".")[0]]
        yield f"# TYPE {metric_name(name)} gauge"
        yield f"# HELP {metric_name(name)} {help_text}"
        yield f"{metric_name(name)}{{{label}}} {value}"


def _label(text: str) -> str:
    """Text from a model as the value of a label: backslashes, quotes and line breaks escaped, hidden characters made visible."""
    return visible(text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
