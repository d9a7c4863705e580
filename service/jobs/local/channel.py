"""The line between the server and a process that works for it: frames of bounded length, each JSON or plain bytes.

The process has read what came from outside, so nothing that it sends is unpickled, and nothing is believed before it was checked.

1. A call is one frame of JSON, and for each document its pieces and an empty frame.
2. The process may ask for ranges of files that were lent to it (see lending).
3. An answer is one frame of JSON, and one of content where something was made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from service.faults import Refused
from service.jobs.local.lending import LentFile, answer_read
from service.jobs.message import BrokenAnalysisError, Call, Outcome
from service.sources.local import Source
from service.work.made import Made
from service.work.tasks import Task

MAX_HEAD_BYTES = 4 << 20
"""The JSON frame of an answer: headers, or an error with its places, or a traceback."""

MAX_CONTENT_BYTES = 1 << 30
"""What one answer may hold."""

HEADER_NAME = re.compile(r"Receptive-[A-Za-z]{1,40}")
HEADER = re.compile(r"[\x20-\x7f]*")


def send_call(line: Connection, call: Call) -> None:
    """Ask for a call. OSError where nobody listens any more."""
    head = {"task": call.task.name, "function": call.task.function, "arguments": call.arguments, "files": dict(call.files)}
    head["lent"] = {name: source.size for name, source in call.lent.items()}
    line.send_bytes(json.dumps({**head, "documents": list(call.documents)}).encode())
    for document in call.documents.values():
        for piece in [document] if isinstance(document, bytes) else document.pieces():
            if piece:
                line.send_bytes(piece)
        line.send_bytes(b"")


def receive_call(line: Connection) -> Call:
    """The next call, in the process that works. EOFError where the server hung up."""
    head = json.loads(line.recv_bytes())
    documents = {name: b"".join(iter(line.recv_bytes, b"")) for name in head["documents"]}
    lent = {name: LentFile(line, name, size) for name, size in head["lent"].items()}
    return Call(Task(head["task"], head["function"]), head["arguments"], documents, head["files"], lent)


def send_outcome(line: Connection, outcome: Outcome) -> None:
    """Answer a call."""
    if isinstance(outcome, Made):
        _send_head(line, {"made": {"media_type": outcome.media_type, "headers": dict(outcome.headers)}})
        line.send_bytes(outcome.content)
    elif isinstance(outcome, Refused):
        _send_head(line, {"refused": outcome.record()})
    else:
        _send_head(line, {"broken": str(outcome)})


def receive_outcome(line: Connection, lent: Mapping[str, Source] | None = None) -> Outcome:
    """The answer to a call; until it comes, the process is sent the ranges of files `lent` that it asks for.

    EOFError or OSError where the process died before, or where its answer is none.
    """
    try:
        while "read" in (head := json.loads(line.recv_bytes(MAX_HEAD_BYTES))):
            answer_read(line, lent or {}, head["read"])
        if "made" in head:
            return _made(head["made"], line.recv_bytes(MAX_CONTENT_BYTES))
        if "refused" in head:
            return Refused.from_record(head["refused"])
        return BrokenAnalysisError(str(head["broken"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise EOFError("the process sent an answer that is not one") from error


def _made(head: Mapping[str, Any], content: bytes) -> Made:
    headers = head["headers"]
    if not all(HEADER_NAME.fullmatch(name) and HEADER.fullmatch(text) for name, text in headers.items()):
        raise ValueError("headers are our own, and one line of ASCII each")
    if not HEADER.fullmatch(head["media_type"]):
        raise ValueError("a media type is one line of ASCII")
    return Made(content, head["media_type"], headers)


def _send_head(line: Connection, head: Mapping[str, Any]) -> None:
    """Sends the JSON of an answer. One that is too long, because names in a model are, is cut to what it says in one line."""
    text = json.dumps(head).encode()
    if len(text) > MAX_HEAD_BYTES and "refused" in head:
        refused = head["refused"]
        text = json.dumps({"refused": {**refused, "detail": refused["detail"][:1000], "errors": []}}).encode()
    line.send_bytes(text)
