"""What several reports of one model agree on. Where lengths of its inputs are open, a model is analysed at several stand-in lengths, and a
fact on which these differ depends on a length that nobody knows, so it is none.

1. A value that may be None is None where the facts differ.
2. Of an array, the entries at each place are held against each other; where lengths differ, the entries that all have are kept.
3. A value that cannot be None is that of the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from service.report.forms import Form, members

T = TypeVar("T")


def agreed(record: type[T], facts: Sequence[T]) -> T:
    """What several values of one dataclass agree on."""
    made = _agreed(Form(record=record), facts)
    assert isinstance(made, record)
    return made


def _agreed(form: Form, facts: Sequence[object]) -> object:
    first = facts[0]
    if all(value == first for value in facts[1:]):
        return first
    if form.nullable and (None in facts or form.scalar is not None):
        return None
    if form.record is not None:
        return form.record(*(_agreed(each.form, [getattr(fact, each.name) for fact in facts]) for each in members(form.record)))
    if form.array is not None:
        return _entries(form.array, [fact for fact in facts if isinstance(fact, tuple)])
    if form.mapping is not None:
        return _values(form.mapping, [fact for fact in facts if isinstance(fact, Mapping)])
    return first if form.scalar is not None else _plain(facts)


def _entries(form: Form, facts: Sequence[tuple[object, ...]]) -> tuple[object, ...]:
    """The entries of arrays of one length, else those that all have."""
    alike = all(len(fact) == len(facts[0]) for fact in facts)
    if alike and (form.nullable or form.record is not None):
        return tuple(_agreed(form, entries) for entries in zip(*facts, strict=True))
    return tuple(entry for entry in facts[0] if all(entry in fact for fact in facts[1:]))


def _values(form: Form, facts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The values of the keys that all have."""
    return {key: _agreed(form, [fact[key] for fact in facts]) for key in facts[0] if all(key in fact for fact in facts)}


def _plain(facts: Sequence[object]) -> object:
    """What plain data agrees on, which may be None anywhere."""
    first = facts[0]
    if all(value == first for value in facts[1:]):
        return first
    lists = [value for value in facts if isinstance(value, list)]
    if len(lists) == len(facts) and all(len(value) == len(lists[0]) for value in lists):
        return [_plain(entries) for entries in zip(*lists, strict=True)]
    return None
