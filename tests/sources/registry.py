"""A double of MLflow's REST API, as its documentation describes it (versions, aliases, search, artifacts handed out by the server)."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.sources.servers import Server

MLMODEL = "flavors:\n  onnx:\n    data: model.onnx\n    onnx_version: 1.20.0\n  python_function:\n    loader_module: mlflow.onnx\n"


@dataclass
class Mlflow:
    """What is registered: versions by name and number, aliases, and the artifacts that the server hands out."""

    versions: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    aliases: dict[tuple[str, str], int] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    page_size: int = 2
    answer: bytes | None = None
    url: str = ""

    def register(self, name: str, version: int, run: str, place: str) -> None:
        """A new version of a model, whose files are at a place."""
        self.versions[name, version] = {"name": name, "version": str(version), "run_id": run, "source": place}

    def log(self, name: str, version: int, run: str, model: bytes, **more: bytes) -> None:
        """A new version whose files the server hands out."""
        self.register(name, version, run, f"mlflow-artifacts:/1/{run}/artifacts/model")
        for file, content in {"MLmodel": MLMODEL.encode(), "model.onnx": model, **more}.items():
            self.artifacts[f"1/{run}/artifacts/model/{file}"] = content


class _Handler(BaseHTTPRequestHandler):
    mlflow: Mlflow

    def do_GET(self) -> None:
        place = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        self.mlflow.asked.append((self.path, self.headers["Authorization"]))
        verb = place.path.removeprefix("/api/2.0/mlflow/")
        if place.path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            content = self.mlflow.artifacts.get(unquote(place.path.removeprefix("/api/2.0/mlflow-artifacts/artifacts/")))
            self.reply(404 if content is None else 200, content or b"{}")
        elif self.mlflow.answer is not None:
            self.reply(200, self.mlflow.answer)
        elif verb == "model-versions/search":
            self.reply(200, json.dumps(self.search(query)).encode())
        else:
            self.version(verb, query)

    def version(self, verb: str, query: dict[str, str]) -> None:
        number = query.get("version") or self.mlflow.aliases.get((query["name"], query.get("alias", "")))
        found = self.mlflow.versions.get((query["name"], int(number or 0)))
        if found is None:
            self.reply(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}')
        elif verb == "model-versions/get-download-uri":
            self.reply(200, json.dumps({"artifact_uri": found["source"]}).encode())
        else:
            self.reply(200, json.dumps({"model_version": found}).encode())

    def search(self, query: dict[str, str]) -> dict[str, object]:
        name = query.get("filter", "").partition("=")[2].strip("'\"")
        found = [each for each in self.mlflow.versions.values() if name in ("", each["name"])]
        found.sort(key=lambda each: int(each["version"]), reverse=query.get("order_by") == "version_number DESC")
        begin = int(query.get("page_token", "0"))
        size = min(int(query["max_results"]), self.mlflow.page_size)
        following = {"next_page_token": str(begin + size)} if begin + size < len(found) else {}
        return {"model_versions": found[begin : begin + size], **following}

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def mlflow() -> Iterator[Mlflow]:
    """A server with nothing registered."""
    made = Mlflow()
    server = Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"mlflow": made}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
