"""The rules for Prometheus: checked by promtool, and loaded by a real Prometheus that scrapes a real service."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask
from flask.testing import FlaskClient

from tests.api.test_watched_models import analysed, put, spec
from tests.serving import served

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
SECONDS = 60.0


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (make test-packages installs it)")
    return found


@pytest.mark.parametrize(
    "arguments", [("check", "rules", "rules.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")], ids=" ".join
)
def test_rules_are_sound_and_every_alert_fires(arguments: tuple[str, ...]) -> None:
    run = subprocess.run([program("promtool"), *arguments], cwd=RULES, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_has_a_test() -> None:
    groups = yaml.safe_load((RULES / "rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    cases = [case for test in yaml.safe_load((RULES / "rules_test.yml").read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts


@pytest.fixture
def prometheus(service: Flask, tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes the service every second, under the configuration of deploy/."""
    executable = program("prometheus")
    with served(service) as address, socket.socket() as free:
        config = yaml.safe_load((RULES / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(RULES / "rules.yml")]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [address.removeprefix("http://")]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        free.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{free.getsockname()[1]}"
        free.close()
        files = [f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'data'}"]
        process = subprocess.Popen([executable, *files, f"--web.listen-address={place}"], stderr=subprocess.DEVNULL)
        try:
            yield f"http://{place}"
        finally:
            process.kill()
            process.wait()


def alerts(prometheus: str) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"{prometheus}/api/v1/alerts", timeout=5) as answer:
            return list(json.load(answer)["data"]["alerts"])
    except OSError:
        return []


def test_prometheus_that_scrapes_the_service_fires_an_alert(http: FlaskClient, prometheus: str) -> None:
    for version, kernel in (("1", 7), ("2", 3)):
        put(http, "shrinking", version, analysed(http, spec(kernel)).json["id"])
    http.patch("/v1/models/shrinking", json={"budgets": {"min_receptive_field": 6}})
    deadline, fired = time.monotonic() + SECONDS, {}
    while "ReceptiveBudgetBroken" not in fired and time.monotonic() < deadline:
        time.sleep(0.2)
        fired = {each["labels"]["alertname"]: each for each in alerts(prometheus) if each["state"] == "firing"}
    assert {"model": "shrinking", "version": "2"}.items() <= fired["ReceptiveBudgetBroken"]["labels"].items()
    assert fired["ReceptiveBudgetBroken"]["annotations"]["summary"] == "shrinking: version 2 breaks a budget"
