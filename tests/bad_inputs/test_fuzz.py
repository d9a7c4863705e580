"""What looks for bad inputs (`make fuzz`) makes the same ones of the same seed, and tells a fault of the service from a refusal."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from flask import Flask, Response, request

from tests.fuzz import KINDS, fuzz_uploads, spoilt_bytes, trouble
from tests.fuzz_scanner import scan
from tests.serving import served


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_says_what_is_tried(kind: str) -> None:
    one, other = ([KINDS[kind](chance) for _ in range(20)] for chance in (random.Random(1), random.Random(1)))
    assert one == other
    assert len(set(one)) > 10


def test_scanner_survives_changed_bytes() -> None:
    chance = random.Random(2)
    for _ in range(300):
        scan(spoilt_bytes(KINDS["application/onnx"](chance), chance))


ANSWERS = {
    b"fine": (201, ""),
    b"refused": (422, "undefined-input"),
    b"busy": (503, "queue-full"),
    b"failed": (422, "analysis-failed"),
    b"bug": (500, ""),
}


@pytest.fixture
def app() -> Flask:
    """A service with an answer for every body."""
    app = Flask(__name__)

    @app.post("/v1/analyses")
    def answer() -> Response:
        status, code = ANSWERS.get(request.get_data(), (500, "internal-error"))
        return Response(json.dumps({"code": code}), status)

    return app


def test_trouble_is_a_fault_of_the_service(app: Flask, tmp_path: Path) -> None:
    with served(app) as address:
        port = int(address.rpartition(":")[2])
        found = {body: trouble(port, "application/json", body) for body in ANSWERS}
        posted, failed = fuzz_uploads(port, 0.2, random.Random(3), tmp_path / "kept")
    assert {body for body, problem in found.items() if problem} == {b"failed", b"bug"}
    assert 0 < posted == failed
    assert len(list((tmp_path / "kept").iterdir())) >= 1


def test_service_that_does_not_answer_is_trouble() -> None:
    assert "no answer" in (trouble(1, "application/json", b"{}") or "")
