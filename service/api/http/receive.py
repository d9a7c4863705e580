"""Receives a model: to disk, hashed on the way, never whole in memory."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

from flask import Request
from gunicorn.http.errors import ParseException
from marshmallow import ValidationError
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.exceptions import ClientDisconnected
from werkzeug.formparser import FormDataParser

from service import metrics
from service.api.features.schemas import OptionsSchema
from service.api.features.source_schemas import SourceSchema
from service.api.http.connection import connection, limit_pauses, mark_read
from service.api.http.problems import Problem, argument_errors
from service.api.services import Service
from service.store.disk.uploads import Part, Upload, Uploads

PIECE_BYTES = 1024 * 1024
LONGEST_SOURCE = 64 * 1024
RAW_TYPES = ("application/onnx", "application/octet-stream", "application/json")
FORM_TYPE = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Received:
    """A model that arrived: its file, files of external data by their bare name, and the options that came with it.

    Where `source` is the address of a model, the file is only what said so.
    """

    upload: Upload
    model: Part
    externals: Mapping[str, Part] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    source: str | None = None

    @property
    def parts(self) -> dict[str, Part]:
        """All files by name: "" for the model."""
        return {"": self.model, **self.externals}

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        return sum(part.size for part in self.parts.values())


class Body:
    """The body of a request, whose failures are the client's: it went away, or sent chunks that are none."""

    def __init__(self, request: Request) -> None:
        self._stream: IO[bytes] = request.stream
        # A length beside chunks is no length (RFC 9112, 6.3); the server refuses such a request.
        self._missing = request.content_length or 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes, none at the end."""
        data = self._read(size)
        self._missing -= len(data)
        metrics.BYTES.labels("in").inc(len(data))
        if self._missing > 0 and (not data or size < 0):
            raise Problem("incomplete-body", f"The body ended {self._missing} bytes before its announced length.")
        return data

    def _read(self, size: int) -> bytes:
        try:
            return self._stream.read(size)
        except (OSError, ParseException, ClientDisconnected) as error:
            # Werkzeug raises ClientDisconnected while it handles what the socket raised.
            if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
                raise Problem("upload-stalled", "Nothing came for too long.") from None
            raise Problem("incomplete-body", "The body ended early, or its chunks are malformed.") from None


@contextlib.contextmanager
def upload_place(service: Service) -> Iterator[None]:
    """One of the places for uploads, which ends if the client sends nothing for too long. A body that has arrived needs none."""
    client = connection()
    if client is not None and client.whole:
        yield
        return
    with service.uploads.place(client) as free:
        if not free:
            raise Problem("too-busy", "Too many uploads are under way.")
        limit_pauses(service.settings.upload_idle_seconds)
        yield


@contextlib.contextmanager
def received(request: Request, uploads: Uploads) -> Iterator[Received]:
    """The model that `request` brings; it is removed when the block ends, and whoever wants to keep it has done so by then."""
    check_encoding(request)
    kind = request.mimetype
    if kind not in RAW_TYPES and kind != FORM_TYPE:
        known = ", ".join((*RAW_TYPES, FORM_TYPE))
        raise Problem(
            "unsupported-media-type", f"Content-Type is {kind or 'missing'}; it must be one of {known}.", headers={"Accept": known}
        )
    body = Body(request)
    with uploads.begin() as upload:
        yield _form(request, body, upload) if kind == FORM_TYPE else _raw(kind, body, upload)


def check_encoding(request: Request) -> None:
    """A compressed body would have to be unpacked without a bound on its size."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise Problem("unsupported-content-encoding", "Send the body without Content-Encoding.", headers={"Accept-Encoding": "identity"})


def _raw(kind: str, body: Body, upload: Upload) -> Received:
    """A model that is the whole body."""
    part = upload.part()
    beginning = piece = body.read(PIECE_BYTES)
    while piece:
        part.write(piece)
        piece = body.read(PIECE_BYTES)
    mark_read()
    part.close()
    if not part.size:
        raise Problem("empty-body", "The request has no body.")
    _check_claim(kind, beginning)
    named = _source(part) if kind == "application/json" else None
    if named is not None:
        address, options = named
        return Received(upload, part, options=options, source=address)
    return Received(upload, part)


def _check_claim(kind: str, beginning: bytes) -> None:
    """A layer spec begins with a brace. That byte is a field of a type that protobuf gave up, so no ONNX file begins with it.

    A document that was written twice is a string that begins with a brace (`json.dump(model.to_json(), file)`).
    """
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    is_object = text.startswith(b"{")
    if kind == "application/onnx" and is_object:
        raise Problem("not-onnx", "The body is a JSON object; send it as application/json.")
    if kind == "application/json" and not is_object and not text.startswith(b'"{'):
        raise Problem("not-json", "The body does not begin a JSON object.")


def _source(part: Part) -> tuple[str, Mapping[str, object]] | None:
    """The address and the options of a body such as {"source": "s3://…", "options": {…}}, which names a model instead of being one.

    None for any other.
    """
    if part.size > LONGEST_SOURCE:
        return None
    try:
        document = json.loads(part.path.read_bytes())
    except (ValueError, RecursionError):
        return None  # the reader says what is wrong with it
    if not isinstance(document, dict) or "source" not in document or "receptive" in document:
        return None
    try:
        named = SourceSchema().load(document)
    except ValidationError as error:
        raise Problem("invalid-arguments", "The body does not name a source as it should.", argument_errors(error.messages)) from None
    return named["source"], named.get("options", {})


def _form(request: Request, body: Body, upload: Upload) -> Received:
    """A model in a form: the file `model`, files `external`, and `options`."""
    parser = FormDataParser(
        stream_factory=lambda *_, **__: upload.part(),  # type: ignore[arg-type]
        max_form_memory_size=request.max_form_memory_size,
        max_form_parts=request.max_form_parts,
        silent=False,
    )
    try:
        _, form, files = parser.parse(body, request.mimetype, request.content_length, request.mimetype_params)  # type: ignore[arg-type]
    except ValueError as error:
        raise Problem("malformed-form", f"The form cannot be read: {error}.") from None
    mark_read()
    upload.close()
    _check_names(form, files)
    model = _part(files["model"])
    if not model.size:
        raise Problem("empty-body", "The part `model` is empty.")
    return Received(upload, model, _externals(files), _options(form, files, request.max_form_memory_size or 0))


def _check_names(form: MultiDict[str, str], files: MultiDict[str, FileStorage]) -> None:
    """Holds a form to the parts that exist: one file `model`, any number of files `external`, at most one `options`."""
    for name in ("model", "external"):
        if name in form:
            raise Problem("malformed-form", f"The part `{name}` needs a file name.")
    unknown = sorted({*form, *files} - {"model", "external", "options"})
    if unknown:
        raise Problem("malformed-form", f"There is no part {unknown[0][:100]!r}; the parts are model, external and options.")
    if len(files.getlist("model")) != 1:
        raise Problem("malformed-form", "The form needs exactly one part `model`.")
    if len(form.getlist("options")) + len(files.getlist("options")) > 1:
        raise Problem("malformed-form", "The form may have one part `options` only.")


def _externals(files: MultiDict[str, FileStorage]) -> dict[str, Part]:
    """External data by bare file name: a path in the name is dropped, because a model may only name files that were sent with it."""
    parts: dict[str, Part] = {}
    for file in files.getlist("external"):
        name = PurePosixPath((file.filename or "").replace("\\", "/")).name
        if not name or name == ".." or "\0" in name or len(name) > 255:
            raise Problem("malformed-form", "A part `external` has no usable file name.")
        if name in parts:
            raise Problem("malformed-form", f"Two parts `external` are called {name!r}.")
        parts[name] = _part(file)
    return parts


def _part(file: FileStorage) -> Part:
    """The part behind the form parser's file."""
    part = file.stream
    if not isinstance(part, Part):
        raise TypeError("the form parser made a file of its own")
    return part


def _options(form: MultiDict[str, str], files: MultiDict[str, FileStorage], most_bytes: int) -> Mapping[str, object]:
    """The options of a form."""
    if "options" in files:
        part = _part(files["options"])
        if part.size > most_bytes:
            raise Problem("body-too-large", f"The part `options` is larger than {most_bytes} bytes.")
        text: str | bytes = part.path.read_bytes()
    else:
        text = form.get("options", "{}")
    try:
        options = OptionsSchema().load(json.loads(text))
    except ValidationError as error:
        raise Problem("invalid-arguments", "The part `options` is not valid.", argument_errors(error.messages, "/options")) from None
    except (ValueError, RecursionError):
        raise Problem("not-json", "The part `options` is not JSON.") from None
    return dict(options)
