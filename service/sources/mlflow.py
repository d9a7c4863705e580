"""A registry of models: an MLflow server, asked by its REST API (mlflow.org/docs/latest/rest-api.html).

A version leads to the folder of its run's artifacts. Where that is in an object store, its files are read there; where the server hands out
artifacts itself (mlflow-artifacts:), it knows no ranges, so a file is taken whole and kept until it is read.
"""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from service.faults import Refused
from service.sources.address import Address
from service.sources.pinned import Answer, PinnedHost

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts/"
OWN = "mlflow-artifacts:"

MAX_ANSWER_BYTES = 16 << 20
MAX_DESCRIPTION_BYTES = 1 << 20
"""The file MLmodel."""

PAGE_VERSIONS = 200
_FILE = re.compile(r"[^/\\\x00-\x1f][^\\\x00-\x1f]{0,500}")
_PLACE = re.compile(rf"{OWN}(?://[^/?#]*)?/([^?#\x00-\x1f]{{1,1000}})")


@dataclass(frozen=True, slots=True)
class Registered:
    """A version of a model: the run that it came from, and the folder of its files."""

    run: str
    folder: str


class Registry:
    """The server at an address, behind a host that the operator named."""

    def __init__(self, host: PinnedHost, address: Address) -> None:
        self._host, self._base = host, "/" + quote(address.path.rstrip("/")) if address.path.strip("/") else ""

    def find(self, address: Address) -> Registered:
        """The version behind models:/name/version, where `version` is a number, `latest` or an alias. Refused `source-not-found`."""
        name, _, version = address.path.partition("/")
        if version == "latest":
            found = self._newest(name, address)
        elif version.isdecimal():
            found = self._one("model-versions/get", {"name": name, "version": version}, address)
        else:
            found = self._one("registered-models/alias", {"name": name, "alias": version}, address)
        number = str(found["version"])
        place = self._json("model-versions/get-download-uri", {"name": name, "version": number}, address).get("artifact_uri")
        if not isinstance(place, str):
            raise _odd(address)
        run = found.get("run_id") or found.get("model_id") or f"{name}/{number}"
        return Registered(str(run).replace("#", "%23"), place.rstrip("/"))

    def page(self, name: str, after: str | None) -> tuple[list[Address], str | None]:
        """The versions of a model, or of all (""), of one page, and what asks for the page after it."""
        query = {"max_results": str(PAGE_VERSIONS)}
        query |= {"filter": _filter(name)} if name else {}
        query |= {"page_token": after} if after else {}
        where = Address("models", "", f"{name}/" if name else "")
        answer = self._json("model-versions/search", query, where)
        found = [Address("models", "", f"{each['name']}/{each['version']}") for each in _versions(answer, where) if "/" not in each["name"]]
        following = answer.get("next_page_token")
        return found, following if isinstance(following, str) and following else None

    def model_file(self, description: bytes, address: Address) -> str:
        """The name of the ONNX file, by what the file MLmodel says. Refused `source-no-onnx` where the model has none."""
        try:
            flavors = yaml.safe_load(description)["flavors"]
            names = sorted(map(str, flavors))
            name = flavors["onnx"]["data"] if "onnx" in flavors else None
        except (yaml.YAMLError, LookupError, TypeError, ValueError, RecursionError):
            raise _odd(address) from None
        if name is None:
            raise Refused("unsupported", "source-no-onnx", f"{address} was logged as {', '.join(names)[:200]}; expected the flavor onnx.")
        if not isinstance(name, str) or not _FILE.fullmatch(name) or ".." in name.split("/"):
            raise _odd(address)
        return name

    def own_file(self, place: str, max_bytes: int) -> bytes:
        """A small file that the server hands out."""
        return self._artifact(self._host.get(self._target(place), credentials(), max_bytes), place).content

    def spooled(self, place: str, directory: Path, max_bytes: int) -> SpooledObject:
        """A file that the server hands out, taken whole."""
        directory.mkdir(parents=True, exist_ok=True)
        # Without a name, so that it is gone with its last user.
        with tempfile.TemporaryFile(dir=directory) as file:
            self._artifact(self._host.save(self._target(place), credentials(), max_bytes, file.write), place)
            file.flush()
            return SpooledObject(os.dup(file.fileno()))

    def _target(self, place: str) -> str:
        path = _PLACE.fullmatch(place)
        if path is None or ".." in path[1].split("/"):
            raise Refused("source", "source-failed", f"The registry names the place {place[:100]!r}; expected {OWN}/PATH.")
        return self._base + ARTIFACTS + quote(path[1])

    def _artifact(self, answer: Answer, place: str) -> Answer:
        if answer.status == 404:
            raise Refused("source", "source-not-found", f"There is nothing at {place}.")
        if answer.status != 200:
            raise Refused("source", "source-failed", f"The registry answered with status {answer.status} for {place}.")
        return answer

    def _newest(self, name: str, address: Address) -> Mapping[str, Any]:
        query = {"filter": _filter(name), "order_by": "version_number DESC", "max_results": "1"}
        versions = _versions(self._json("model-versions/search", query, address), address)
        if not versions:
            raise Refused("source", "source-not-found", f"There is no {address}.")
        return versions[0]

    def _one(self, verb: str, query: Mapping[str, str], address: Address) -> Mapping[str, Any]:
        answer = self._json(verb, query, address)
        return _versions({"model_versions": [answer.get("model_version")]}, address)[0]

    def _json(self, verb: str, query: Mapping[str, str], address: Address) -> Mapping[str, Any]:
        """The document that the server answers with."""
        target = f"{self._base}{API}/{verb}?{urlencode(query)}"
        answer = self._host.get(target, credentials(), MAX_ANSWER_BYTES, (200, 404))
        if answer.status == 404:
            raise Refused("source", "source-not-found", f"There is no {address}.")
        if answer.status != 200:
            raise Refused("source", "source-failed", f"The registry answered with status {answer.status} for {address}.")
        try:
            document = json.loads(answer.content)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise _odd(address)
        return document


def _versions(answer: Mapping[str, Any], address: Address) -> list[Mapping[str, Any]]:
    """The versions in an answer. Refused `source-failed` where one of them is none."""
    versions = answer.get("model_versions", [])
    if not isinstance(versions, list):
        raise _odd(address)
    for each in versions:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str) or not str(each.get("version")).isdecimal():
            raise _odd(address)
    return versions


class SpooledObject:
    """A file that was taken whole."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)
        self._size = os.fstat(descriptor).st_size

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self._size

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`."""
        return os.pread(self._descriptor, stop - start, start)


def credentials() -> dict[str, str]:
    """The header that says who asks, of the variables that MLflow's own client reads."""
    token, user = os.environ.get("MLFLOW_TRACKING_TOKEN"), os.environ.get("MLFLOW_TRACKING_USERNAME")
    if token:
        return {"Authorization": f"Bearer {token}"}
    if user:
        pair = f"{user}:{os.environ.get('MLFLOW_TRACKING_PASSWORD', '')}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    return {}


def _filter(name: str) -> str:
    if "'" in name and '"' in name:
        raise Refused("invalid", "source-address", "The name of a registered model has one kind of quotation marks at the most.")
    return f'name="{name}"' if "'" in name else f"name='{name}'"


def _odd(address: Address) -> Refused:
    return Refused("source", "source-failed", f"The registry's answer about {address} lacks what it should say.")
