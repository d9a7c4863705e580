"""Every error that a client can cause, wherever it arises: one type, which crosses rooms, processes and the queue as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Fault = Literal["malformed", "unsupported", "invalid", "limit", "source", "unavailable"]


@dataclass(frozen=True, slots=True)
class Detail:
    """One place in the input that is wrong: a JSON pointer (or a node's name), what is wrong there, and a kebab-case code."""

    pointer: str
    detail: str
    code: str


class Refused(ValueError):
    """What was asked for cannot be done, and whoever asked is told why.

    `fault` says whose rule was broken: `malformed` (the bytes are not what they claim; HTTP 400), `unsupported` (another format, named;
    415), `invalid` (well formed, but not a valid model, spec or choice; 422), `limit` (it exhausts a limit; 422), `source` (where the model
    lies, it cannot be had; 424) or `unavailable` (it may be asked for again later; 503). `code` is stable and kebab-case; `errors` are the
    places at fault.
    """

    def __init__(self, fault: Fault, code: str, detail: str, errors: Sequence[Detail] = ()) -> None:
        super().__init__(detail)
        self.fault, self.code, self.detail, self.errors = fault, code, detail, tuple(errors)

    def record(self) -> dict[str, object]:
        """The error as JSON data, to be kept with a job or sent by a job's process."""
        return {"fault": self.fault, "code": self.code, "detail": self.detail, "errors": [asdict(each) for each in self.errors]}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Refused:
        """The error that `record` made. ValueError or LookupError where it made none: the record may come from a hostile process."""
        errors = [Detail(each["pointer"], each["detail"], each["code"]) for each in record["errors"]]
        texts = (record["code"], record["detail"], *(text for each in errors for text in (each.pointer, each.detail, each.code)))
        if record["fault"] not in get_args(Fault) or not all(isinstance(text, str) for text in texts):
            raise ValueError("not the record of an error")
        return cls(record["fault"], record["code"], record["detail"], errors)


def pointer_to(*keys: str | int) -> str:
    """The JSON pointer (RFC 6901) that follows `keys` from the root."""
    return "".join(f"/{str(key).replace('~', '~0').replace('/', '~1')}" for key in keys)


def refused_at(pointer: str, code: str, detail: str) -> Refused:
    """The error for something that is well formed but not valid at one place: a JSON pointer, or the name of a node."""
    return Refused("invalid", code, detail, [Detail(pointer, detail, code)])
