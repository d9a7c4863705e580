"""The numbers of watched models as Prometheus collects them."""

from __future__ import annotations

from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from pytest import MonkeyPatch

from service.api.watched import models_metrics
from tests.api.test_watched_models import analysed, put, spec


def samples(http: FlaskClient) -> list[Sample]:
    answer = http.get("/metrics/models")
    assert answer.status_code == 200 and answer.content_type.startswith("application/openmetrics-text")
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def test_newest_version_of_each_model_has_a_series_for_each_number(http: FlaskClient, monkeypatch: MonkeyPatch) -> None:
    ids = [analysed(http, spec(kernel)).json["id"] for kernel in (3, 5)]
    for name in ('a "b" \\', "c"):
        for version, analysis in enumerate(ids):
            put(http, name, f"v{version}", analysis)
    http.patch("/v1/models/c", json={"budgets": {"max_layers": 1}})
    found = samples(http)
    numbers = http.get(f"/v1/analyses/{ids[1]}/metrics").json
    for model in ('a "b" \\', "c"):
        mine = {each.name: each.value for each in found if each.labels == {"model": model, "version": "v1"}}
        assert mine.pop("receptive_model_budget_broken") == (model == "c")
        assert mine == {"receptive_model_" + name.removeprefix("receptive.").replace(".", "_"): value for name, value in numbers.items()}
    assert {each.labels.get("version") for each in found} == {"v1", None}
    assert {each.name: each.value for each in found if not each.labels} == {"receptive_models": 2, "receptive_models_left_out": 0}
    monkeypatch.setattr(models_metrics, "MAX_SERIES", 1)
    found = samples(http)
    assert {each.labels["model"] for each in found if each.labels} == {'a "b" \\'}
    assert {each.name: each.value for each in found if not each.labels} == {"receptive_models": 2, "receptive_models_left_out": 1}
