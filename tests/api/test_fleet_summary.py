"""The summary of a fleet over HTTP."""

from __future__ import annotations

import csv
import io

from flask.testing import FlaskClient

from tests.api.test_watched_models import analysed, put, spec


def test_fleet_in_sum(http: FlaskClient) -> None:
    empty = http.get("/v1/fleet").json
    assert (empty["analyses"], empty["duplicates"]) == (0, [])
    first = analysed(http, spec(3)).json
    analysed(http, {**spec(3, name="same network"), "input": {"shape": [1, 64, 64]}})
    analysed(http, spec(29))
    put(http, "model", "1", first["id"])
    http.patch("/v1/models/model", json={"budgets": {"max_layers": 1}})
    answer = http.get("/v1/fleet")
    fleet = answer.json
    assert (fleet["analyses"], fleet["structures"], fleet["duplicated"], fleet["models"], fleet["broken"]) == (3, 2, 2, 1, 1)
    assert [each["count"] for each in fleet["duplicates"]] == [2]
    assert {each["name"] for each in fleet["duplicates"][0]["examples"]} == {"net", "same network"}
    assert [(each["model"], each["version"], each["verdict"]) for each in fleet["broken_budgets"]] == [("model", "1", "fail")]
    coverage = fleet["distributions"]["receptive_field_coverage"]
    numbers = [http.get(f"/v1/analyses/{each['id']}/metrics").json for each in http.get("/v1/analyses").json["items"]]
    assert coverage["max"] == max(each["receptive.receptive_field_coverage.height"] for each in numbers)
    assert fleet["most_shared"][0]["value"] == max(each["receptive.sharing_factor"] for each in numbers)
    assert http.get("/v1/fleet", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    table = list(csv.DictReader(io.StringIO(http.get("/v1/fleet.csv").text)))
    counts = [int(row["count"]) for row in table if row["number"] == "parameters"]
    assert sum(counts) == 3 and len(counts) == len(fleet["distributions"]["parameters"]["bins"])


def test_follower_is_told_at_once_and_of_each_change(http: FlaskClient) -> None:
    before = http.get("/v1/analyses?limit=1").json["items"][0]["id"]
    stream = http.get("/v1/fleet/events").response
    first = next(iter(stream)).decode()
    assert first.startswith("retry: ") and "event: state" in first
    put(http, "another", "1", before)
    assert any("event: state" in piece.decode() for piece in (next(iter(stream)), next(iter(stream))))
    stream.close()
