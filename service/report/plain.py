"""The report as JSON and back, in one place: what every type of `document` is as plain data, and what plain data must be to be one.

1. A dataclass is an object with a key for each field, in the order of the fields; a field named like a word of Python ends in `_`.
2. A tuple is an array, a mapping an object, everything else stands as it is.
3. A key that is missing is an error, unless its field has a default; keys that are not known are left alone, as those of a later version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TypeVar

from service.report.document import Report
from service.report.forms import Form, members

Convert = Callable[[object], object]
T = TypeVar("T")

_WORDS: dict[type, str] = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


class NotAReport(ValueError):
    """Plain data is not what its type says; `pointer` is the place, as a JSON pointer."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer or 'the document'}: {detail}")
        self.pointer, self.detail = pointer, detail

    def under(self, key: object) -> NotAReport:
        """The same, seen from the value that holds this one under `key`."""
        part = str(key).replace("~", "~0").replace("/", "~1")
        return NotAReport(f"/{part}{self.pointer}", self.detail)


def read_report(text: bytes | str) -> Report:
    """The report that JSON text says. NotAReport where it is none; ValueError where it is not JSON."""
    return of_plain(Report, json.loads(text))


def write_report(report: Report) -> bytes:
    """The report as JSON text, in as few bytes as it takes, ASCII only. ValueError where it holds a number that JSON cannot say."""
    return json.dumps(plain_object(report), separators=(",", ":"), allow_nan=False).encode("ascii")


# -- to plain data -------------------------------------------------------------------------------------------------


def plain_object(record: object) -> dict[str, object]:
    """A value of one of the dataclasses as plain data."""
    made = {}
    for key, value_of in _members_of(type(record)):
        value = value_of(record)
        # Most values are scalars, and a large report has millions: those are not worth a call.
        made[key] = value if type(value) in _SCALARS else as_plain(value)
    return made


def _members_of(record: type) -> tuple[tuple[str, Callable[[object], object]], ...]:
    """The keys of a dataclass's fields, each with what reads it."""
    if record not in _READERS:
        _READERS[record] = tuple((each.key, attrgetter(each.name)) for each in members(record))
    return _READERS[record]


_READERS: dict[type, tuple[tuple[str, Callable[[object], object]], ...]] = {}
_SCALARS = frozenset((str, int, float, bool, type(None)))


def as_plain(value: object) -> object:
    """A value of any of the types as plain data."""
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, tuple | list):
        return [entry if type(entry) in _SCALARS else as_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {key: as_plain(entry) for key, entry in value.items()}
    return plain_object(value)


_CONVERTERS: dict[type, Convert] = {}

# -- from plain data -----------------------------------------------------------------------------------------------


def of_plain(record: type[T], value: object) -> T:
    """Plain data as a value of that dataclass. NotAReport where it is none."""
    if record not in _CONVERTERS:
        _CONVERTERS[record] = _object(record)
    made = _CONVERTERS[record](value)
    assert isinstance(made, record)
    return made


def _converter(form: Form) -> Convert:
    """What makes a value of that form of plain data."""
    if form.scalar is not None:
        return _scalar(_types(form), _WORDS[form.scalar])
    convert = _converter_of_something(form)
    if not form.nullable:
        return convert
    return lambda value: None if value is None else convert(value)


def _converter_of_something(form: Form) -> Convert:
    if form.array is not None:
        return _array(_converter(form.array), _types(form.array))
    if form.mapping is not None:
        return _mapping(_converter(form.mapping))
    if form.record is not None:
        return _object(form.record)
    return _anything


def _types(form: Form) -> frozenset[type]:
    """The types of the values that stand as they are; none where a value has to be converted."""
    if form.scalar is None:
        return frozenset()
    return frozenset(((int, float) if form.scalar is float else (form.scalar,)) + ((type(None),) if form.nullable else ()))


def _anything(value: object) -> object:
    return value


def _scalar(allowed: frozenset[type], expected: str) -> Convert:
    def scalar(value: object) -> object:
        """The value, which is of the right type."""
        if type(value) not in allowed:
            raise _wrong(value, expected)
        return value

    return scalar


def _wrong(value: object, expected: str) -> NotAReport:
    names = {list: "an array", dict: "an object", type(None): "null"}
    return NotAReport("", f"got {names.get(type(value)) or json.dumps(value)[:40]}, expected {expected}")


def _array(convert: Convert, allowed: frozenset[type]) -> Convert:
    def array(value: object) -> tuple[object, ...]:
        """The entries, each as its type."""
        if not isinstance(value, list):
            raise _wrong(value, "an array")
        if allowed.issuperset(map(type, value)):
            return tuple(value)
        made: list[object] = []
        try:
            for entry in value:
                made.append(convert(entry))
        except NotAReport as error:
            raise error.under(len(made)) from None
        return tuple(made)

    return array


def _mapping(convert: Convert) -> Convert:
    def mapping(value: object) -> dict[str, object]:
        """The entries, each as its type."""
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        made = {}
        for key, entry in value.items():
            try:
                made[key] = convert(entry)
            except NotAReport as error:
                raise error.under(key) from None
        return made

    return mapping


def _object(record: type) -> Convert:
    known = [(each.key, _converter(each.form), each.required, each.default) for each in members(record)]

    def convert(value: object) -> object:
        """The object as its dataclass."""
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        made = []
        for key, inner, required, default in known:
            if key in value:
                try:
                    made.append(inner(value[key]))
                except NotAReport as error:
                    raise error.under(key) from None
            elif required:
                raise NotAReport("", f"the field {key} is missing")
            else:
                made.append(default)
        return record(*made)

    return convert
