"""The flat numbers of a report as OpenMetrics text (version 1.0), which Prometheus and others that speak it read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from service.render.words.text import visible
from service.report.document import Report
from service.report.quantities import PREFIX, QUANTITIES, flat_numbers

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
METRIC_PREFIX = "receptive_model_"


@dataclass(frozen=True, slots=True)
class ModelNumbers:
    """The newest version of a watched model: its flat numbers, and whether a budget is broken."""

    model: str
    version: str
    numbers: Mapping[str, int | float]
    broken: bool


def metric_name(name: str) -> str:
    """The OpenMetrics name of a flat number: dots are underscores, `receptive.parameters` is `receptive_model_parameters`."""
    return METRIC_PREFIX + name.removeprefix(PREFIX).replace(".", "_")


def report_metrics(report: Report) -> bytes:
    """Every flat number as a gauge with the label `model`, and the end mark."""
    return openmetrics(flat_numbers(report), report.model.name)


def models_metrics(versions: Sequence[ModelNumbers], left_out: int) -> bytes:
    """Every flat number of the newest version of each watched model, its verdict, and how many models are left out, in OpenMetrics."""
    families: dict[str, list[str]] = {}
    for version in versions:
        labels = f'{{model="{_label(version.model)}",version="{_label(version.version)}"}}'
        for name, value in version.numbers.items():
            families.setdefault(name, []).append(f"{metric_name(name)}{labels} {value}")
    lines = []
    for name, samples in families.items():
        lines += [f"# TYPE {metric_name(name)} gauge", f"# HELP {metric_name(name)} {_help(name)}", *samples]
    broken = f"{METRIC_PREFIX}budget_broken"
    lines += [f"# TYPE {broken} gauge", f"# HELP {broken} 1 where a budget of the model is broken, 0 where all hold or there are none."]
    for version in versions:
        lines.append(f'{broken}{{model="{_label(version.model)}",version="{_label(version.version)}"}} {int(version.broken)}')
    for name, value, meaning in (
        ("receptive_models", len(versions) + left_out, "Models that are watched."),
        ("receptive_models_left_out", left_out, "Models that have no series here, because there are too many."),
    ):
        lines += [f"# TYPE {name} gauge", f"# HELP {name} {meaning}", f"{name} {value}"]
    return ("\n".join([*lines, "# EOF"]) + "\n").encode()


def openmetrics(numbers: Mapping[str, int | float], model: str | None) -> bytes:
    """Flat numbers as gauges with the label `model`, and the end mark."""
    label = f'model="{_label(model or "")}"'
    return ("\n".join([*_lines(numbers, label), "# EOF"]) + "\n").encode()


def _lines(numbers: Mapping[str, int | float], label: str) -> Iterator[str]:
    for name, value in numbers.items():
        yield f"# TYPE {metric_name(name)} gauge"
        yield f"# HELP {metric_name(name)} {_help(name)}"
        yield f"{metric_name(name)}{{{label}}} {value}"


@cache
def _help(name: str) -> str:
    """What a flat number is. The name of a number with axes ends in the axis; one of an earlier version may be none of ours."""
    described = {f"{PREFIX}{quantity.flat}": quantity.described for quantity in QUANTITIES if quantity.flat}
    return described.get(name) or described.get(name.rpartition(".")[0], "")


def _label(text: str) -> str:
    """Text from a model as the value of a label: backslashes, quotes and line breaks escaped, hidden characters made visible."""
    return visible(text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
