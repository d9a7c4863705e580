"""The question of an analysis and its address: the same question always has the same address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NewType

from service import __version__
from service.options import Options

Digest = NewType("Digest", str)
"""64 hexadecimal digits: the SHA-256 of some bytes."""

ANALYZER = {"name": "receptive", "version": __version__}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the digest of a model, those of its external data files by name, and the options."""

    model: Digest
    externals: Mapping[str, Digest]
    options: Options

    @property
    def id(self) -> str:
        """`sha256-` and the digest of the question and of the analyser's version."""
        text = canonical(
            {"model": self.model, "externals": dict(self.externals), "options": options_document(self.options), "analyzer": ANALYZER}
        )
        return "sha256-" + hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Mapping[str, Any]) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, ASCII only (lone surrogates have no UTF-8)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def options_document(options: Options) -> dict[str, Any]:
    """The options as JSON data."""
    document = asdict(options)
    return {**document, "input_shapes": {name: list(shape) for name, shape in options.input_shapes.items()}}


def read_options(document: Mapping[str, Any]) -> Options:
    """The options that `options_document` wrote."""
    return Options(**{**document, "input_shapes": {name: tuple(shape) for name, shape in document["input_shapes"].items()}})


def question_document(question: Question) -> dict[str, Any]:
    """The question as JSON data: all that a job needs to be told."""
    return {"model": question.model, "externals": dict(question.externals), "options": options_document(question.options)}


def read_question(document: Mapping[str, Any]) -> Question:
    """The question that `question_document` wrote."""
    externals = {name: Digest(digest) for name, digest in document["externals"].items()}
    return Question(Digest(document["model"]), externals, read_options(document["options"]))


def links(report_id: str) -> dict[str, str]:
    """Where to go from a report, as paths below the service's root."""
    base = f"/v1/analyses/{report_id}"
    return {
        "self": base,
        "json": f"{base}.json",
        "html": f"{base}.html",
        "markdown": f"{base}.md",
        "csv": f"{base}.csv",
        "layers": f"{base}/layers",
        "filters": f"{base}/filters.png",
        "receptive_field": f"{base}/receptive-field.svg",
        "badge": f"{base}/badge.svg",
    }
