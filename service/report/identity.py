"""The question of an analysis and its address: the same question always has the same address."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NewType, get_args

from service import __version__
from service.edits import plain_edits, read_edits
from service.options import Options

Digest = NewType("Digest", str)
"""64 hexadecimal digits: the SHA-256 of some bytes."""

Project = NewType("Project", str)
"""Who an analysis belongs to: another project can neither read it nor find out that it is there."""

DEFAULT_PROJECT = Project("default")
"""Whom everything belongs to where nobody has to say who he is."""

Kind = Literal["sha256", "object", "run"]

ANALYZER = {"name": "receptive", "version": __version__}

LABELS = frozenset(("name",))
"""The options that name an analysis and change nothing in it: one question has one report, whatever it is called."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a file the same file: the SHA-256 of an upload's bytes (`sha256`), the address of an object with its ETag or version
    (`object`), or the run that a registry's version came from (`run`)."""

    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    @property
    def key(self) -> str:
        """The identity in at most 71 characters: where it holds an address, that stands here as its SHA-256."""
        value = self.value if self.kind == "sha256" else hashlib.sha256(self.value.encode()).hexdigest()
        return f"{self.kind}:{value}"

    @classmethod
    def of_digest(cls, digest: Digest) -> Identity:
        """The identity of bytes that were sent."""
        return cls("sha256", digest)

    @classmethod
    def parsed(cls, text: str) -> Identity:
        """The identity that `str` wrote."""
        kind, _, value = text.partition(":")
        for known in get_args(Kind):
            if known == kind:
                return cls(known, value)
        raise ValueError(f"got the identity {text[:100]!r}; expected one of {', '.join(get_args(Kind))}")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the identity of a model, those of its external data files by name, and the options."""

    model: Identity
    externals: Mapping[str, Identity]
    options: Options

    @classmethod
    def of_digests(cls, model: Digest, externals: Mapping[str, Digest], options: Options) -> Question:
        """The question about files that were sent."""
        return cls(Identity.of_digest(model), {name: Identity.of_digest(digest) for name, digest in externals.items()}, options)

    @property
    def id(self) -> str:
        """`sha256-` and the digest of the question without labels and of the analyser's version."""
        document = question_document(self)
        options = {key: value for key, value in document["options"].items() if key not in LABELS}
        text = canonical({**document, "options": options, "analyzer": ANALYZER})
        return "sha256-" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def blobs(self) -> dict[str, Digest]:
        """The files that are kept as blobs, by name: "" for the model."""
        return {name: Digest(identity.value) for name, identity in self._files.items() if identity.kind == "sha256"}

    @property
    def elsewhere(self) -> dict[str, Identity]:
        """The files that are not kept, and are read where they lie."""
        return {name: identity for name, identity in self._files.items() if identity.kind != "sha256"}

    @property
    def _files(self) -> dict[str, Identity]:
        return {"": self.model, **self.externals}


def canonical(value: Mapping[str, Any]) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, ASCII only (lone surrogates have no UTF-8)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def options_document(options: Options) -> dict[str, Any]:
    """The options as JSON data. What makes a variant is left out where there is none of it: what was asked before keeps its address."""
    document = asdict(replace(options, edits=()))
    varied = {"edits": plain_edits(options.edits), "resized": _lists(options.resized)}
    named = {key: value for key, value in document.items() if key not in varied}
    return {**named, "input_shapes": _lists(options.input_shapes), **{key: value for key, value in varied.items() if value}}


def _lists(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}


def _tuples(shapes: Mapping[str, list[int]]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(shape) for name, shape in shapes.items()}


def read_options(document: Mapping[str, Any]) -> Options:
    """The options that `options_document` wrote."""
    shapes = {"input_shapes": _tuples(document["input_shapes"]), "resized": _tuples(document.get("resized", {}))}
    return Options(**{**document, **shapes, "edits": read_edits(document.get("edits", []))})


def question_document(question: Question) -> dict[str, Any]:
    """The question as JSON data: all that a job needs to be told."""
    externals = {name: str(identity) for name, identity in question.externals.items()}
    return {"model": str(question.model), "externals": externals, "options": options_document(question.options)}


def read_question(document: Mapping[str, Any]) -> Question:
    """The question that `question_document` wrote."""
    externals = {name: Identity.parsed(text) for name, text in document["externals"].items()}
    return Question(Identity.parsed(document["model"]), externals, read_options(document["options"]))


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
