"""OpenMetrics text: every flat number once, with its type and its help, and an end mark."""

from __future__ import annotations

from dataclasses import replace

from service.render.metrics import metric_name, report_metrics
from service.report.quantities import flat_numbers
from tests import networks
from tests.reports import document_of

LENET = document_of(networks.example("lenet-5"))


def test_names_are_joined_by_underscores() -> None:
    assert metric_name("receptive.parameters") == "receptive_model_parameters"
    assert metric_name("receptive.receptive_field.height") == "receptive_model_receptive_field_height"


def test_every_number_has_type_help_and_value() -> None:
    lines = report_metrics(LENET).decode().splitlines()
    numbers = flat_numbers(LENET)
    assert lines[-1] == "# EOF" and len(lines) == 3 * len(numbers) + 1
    for place, (name, value) in enumerate(numbers.items()):
        kind, help_text, sample = lines[3 * place : 3 * place + 3]
        assert kind == f"# TYPE {metric_name(name)} gauge"
        assert help_text.startswith(f"# HELP {metric_name(name)} ") and help_text.endswith(".")
        assert sample == f'{metric_name(name)}{{model="{LENET.model.name}"}} {value}'


def test_a_name_cannot_end_its_label_or_its_line() -> None:
    evil = replace(LENET, model=replace(LENET.model, name='a"} 1\nevil 2\\\u202e'))
    samples = [line for line in report_metrics(evil).decode().splitlines() if not line.startswith("#")]
    assert len(samples) == len(flat_numbers(LENET))
    assert all('model="a\\"} 1\\nevil 2\\\\\\u202e"' in line for line in samples)
