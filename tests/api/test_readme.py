"""The first screen of the README, tried as it is written: its commands are requests that the service answers as it says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service.api import create_app
from service.api.services import EXTENSION
from service.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    app = create_app(Settings(data_dir=tmp_path_factory.mktemp("data"), log_level="ERROR", wait_seconds=120.0))
    yield app.test_client()
    app.extensions[EXTENSION].close()


def curl(client: FlaskClient, command: str) -> TestResponse:
    """What the service answers to a command: only the options of curl that the README uses are known."""
    words = iter(shlex.split(command.replace("\\\n", " "))[1:])
    headers: dict[str, str] = {"Accept": "*/*"}
    address, body = "", b""
    for word in words:
        if word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word in ("--data-binary", "-d"):
            text = next(words)
            body = (REPOSITORY / text[1:]).read_bytes() if text.startswith("@") else text.encode()
        else:
            assert word.startswith("http://localhost:8080/"), word
            address = word.removeprefix("http://localhost:8080")
    return client.post(address, data=body, headers=headers)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def requests() -> list[str]:
    return [block.strip() for block in blocks("sh") if block.startswith("curl ")]


def rows(markdown: str) -> dict[str, list[str]]:
    """The cells of the rows of the Markdown tables in a text, by the first."""
    lines = (line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("| "))
    return {cells[0]: cells[1:] for cells in lines}


def test_the_first_request_prints_a_table(client: FlaskClient) -> None:
    """With the numbers that the README prints of it: parameters, connections, uses per weight, sparsity and field of every layer."""
    answer = curl(client, requests()[0])
    assert (answer.status_code, answer.mimetype) == (201, "text/markdown")
    assert answer.headers["Location"].startswith("/v1/analyses/sha256-")
    assert max(map(len, answer.text.splitlines())) < 400
    printed = rows(answer.text)
    for layer in ("conv1", "conv2", "conv3", "conv4"):
        parameters, connections, shares, skips, sees = rows(README)[layer]
        cells = printed[layer]
        assert cells[2:4] == [parameters, connections]
        assert float(cells[4].replace(",", "")) == pytest.approx(float(shares), abs=0.051)
        assert cells[5:7] == [skips, sees]


def test_the_smallest_example_has_its_three_numbers(client: FlaskClient) -> None:
    report = curl(client, requests()[1]).get_json()
    layer = report["layers"][0]
    assert (layer["connections"]["exact"], layer["connections"]["dense"], layer["parameters"]["weights"]) == (16, 36, 4)
    assert (layer["sharing"]["factor"], layer["reduction"]["total"]) == (4, 9)
