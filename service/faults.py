"""Why bytes cannot be read as a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Fault = Literal["malformed", "unsupported", "invalid", "limit"]


@dataclass(frozen=True, slots=True)
class Detail:
    """One place in the input that is wrong: a JSON pointer (or a node's name), what is wrong there, and a kebab-case code."""

    pointer: str
    detail: str
    code: str


class ReadError(ValueError):
    """The input is no model that can be analysed.

    `fault` says whose rule it broke: `malformed` (the bytes are not what they claim; HTTP 400), `unsupported` (another format, named; 415),
    `invalid` (well formed, but no valid model or spec; 422) or `limit` (it exhausts a limit; 422). `code` is stable and kebab-case.
    """

    def __init__(self, fault: Fault, code: str, detail: str, errors: Sequence[Detail] = ()) -> None:
        super().__init__(detail)
        self.fault, self.code, self.detail, self.errors = fault, code, detail, tuple(errors)

    def __reduce__(self) -> tuple[type[ReadError], tuple[Fault, str, str, tuple[Detail, ...]]]:
        return ReadError, (self.fault, self.code, self.detail, self.errors)
