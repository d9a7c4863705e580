"""Two reports side by side: their layers aligned by structure, what changed, and whether budgets hold.

1. Layers are aligned in topological order by what they are (operator, geometry, parameter shapes), as a longest common subsequence.
2. Between aligned layers, those of one name, then those of one kind, are taken as changed; what is left was added or removed.
3. A budget compares one number of the head (or its change from the base) with a limit; the verdict is that all hold.
"""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from rapidfuzz.distance import LCSseq

from service.faults import Refused, pointer_to, refused_at
from service.report.document import Finding, Kind, Layer, PerAxis, Report
from service.report.quantities import LIMITS, compared, output_field
from service.report.quantity import Limit, Quantity, Value

T = TypeVar("T")
Standing = Literal["same", "changed", "added", "removed"]
STANDINGS: tuple[Standing, ...] = ("same", "changed", "added", "removed")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two reports."""

    id: str | None
    name: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class Change:
    """A number on either side, and its change as a share of that of the base."""

    base: object
    head: object
    change: float | None = None


@dataclass(frozen=True, slots=True)
class LayerDifference:
    """A layer of either side, or of both: its names, and what is not the same of it, by the path of the number."""

    status: Standing
    base: str | None
    head: str | None
    op: str
    kind: Kind
    changes: Mapping[str, Change]


@dataclass(frozen=True, slots=True)
class Output:
    """The receptive field of the last layer that has one."""

    layer: str
    size: PerAxis | None
    min_size: PerAxis | None
    stride: PerAxis | None
    padding: PerAxis | None
    status: str
    because: str | None


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the output of either side sees."""

    base: Output | None
    head: Output | None


@dataclass(frozen=True, slots=True)
class FindingChanges:
    """Findings that only one side has."""

    new: tuple[Finding, ...]
    gone: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A budget, its limit, the number that it limits, and whether it holds."""

    budget: str
    limit: object
    value: object
    passed: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference of two reports, and the verdict of the budgets."""

    base: Side
    head: Side
    summary: Mapping[str, Change]
    layers: tuple[LayerDifference, ...]
    counts: Mapping[Standing, int]
    output: Outputs
    findings: FindingChanges
    budgets: tuple[Judged, ...]
    verdict: Literal["pass", "fail", "none"]


Pair = tuple[Layer | None, Layer | None]
Key = TypeVar("Key")


def compare(base: Report, head: Report, budgets: Mapping[str, object] | None = None) -> Comparison:
    """The difference of two reports and the verdict of the budgets. Refused where a budget makes no sense."""
    pairs = list(align(base.layers, head.layers))
    layers = tuple(_difference(before, after) for before, after in pairs)
    findings = _findings(base, head, pairs)
    judged = tuple(_judged(name, limit, base, head, findings.new) for name, limit in (budgets or {}).items())
    return Comparison(
        base=_side(base),
        head=_side(head),
        summary=_changes(compared("model"), lambda quantity: (quantity.of_model(base), quantity.of_model(head))),
        layers=layers,
        counts={status: sum(layer.status == status for layer in layers) for status in STANDINGS},
        output=Outputs(_output(base), _output(head)),
        findings=findings,
        budgets=judged,
        verdict="none" if not judged else "pass" if all(budget.passed for budget in judged) else "fail",
    )


# -- layers side by side -------------------------------------------------------------------------------------------


def align(base: Sequence[Layer], head: Sequence[Layer]) -> Iterator[Pair]:
    """Pairs of layers of both reports in topological order; None on the side where a layer is missing.

    Layers of one structure are paired so that as many as possible are (a longest common subsequence).
    """
    i = k = 0
    for step in LCSseq.opcodes([_structure(layer) for layer in base], [_structure(layer) for layer in head]):
        if step.tag == "equal":
            yield from _loose(base[i : step.src_start], head[k : step.dest_start])
            yield from zip(base[step.src_start : step.src_end], head[step.dest_start : step.dest_end], strict=True)
            i, k = step.src_end, step.dest_end
    yield from _loose(base[i:], head[k:])


def _structure(layer: Layer) -> str:
    """What a layer is, apart from its name and from what surrounds it."""
    return json.dumps([layer.op, layer.kind, layer.attributes, layer.parameters.shape], sort_keys=True)


class _Places(Generic[Key]):
    """The places of keys in a list, of which those before a place that only grows are forgotten."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._places: dict[Key, deque[int]] = {}
        for place, key in enumerate(keys):
            self._places.setdefault(key, deque()).append(place)

    def first(self, key: Key, start: int) -> int | None:
        """The first place of a key from `start` on."""
        places = self._places.get(key, deque())
        while places and places[0] < start:
            places.popleft()
        return places[0] if places else None


def _loose(base: Sequence[Layer], head: Sequence[Layer]) -> Iterator[Pair]:
    """Layers between aligned ones: of one name, then of one kind in order, else alone."""
    names, kinds = _Places(layer.name for layer in head), _Places((layer.kind, layer.op) for layer in head)
    start = 0
    for before in base:
        place = names.first(before.name, start)
        place = kinds.first((before.kind, before.op), start) if place is None else place
        if place is None:
            yield before, None
            continue
        # What stands before the partner came in between.
        for added in head[start:place]:
            yield None, added
        start = place + 1
        yield before, head[place]
    for added in head[start:]:
        yield None, added


def _difference(before: Layer | None, after: Layer | None) -> LayerDifference:
    if before is None or after is None:
        return _alone(before, after)
    changes = _changes(compared("layer"), lambda quantity: (quantity.of_layer(before), quantity.of_layer(after)))
    status: Standing = "changed" if changes or _structure(before) != _structure(after) else "same"
    return LayerDifference(status, before.name, after.name, after.op, after.kind, changes)


def _alone(before: Layer | None, after: Layer | None) -> LayerDifference:
    """A layer that only one side has, with its numbers there."""
    only = before or after
    assert only is not None
    changes = {}
    for quantity in compared("layer"):
        value = quantity.of_layer(only)
        if value is not None:
            changes[quantity.path] = Change(value, None) if after is None else Change(None, value)
    status: Standing = "removed" if after is None else "added"
    return LayerDifference(status, before.name if before else None, after.name if after else None, only.op, only.kind, changes)


def _changes(quantities: Sequence[Quantity], read: Callable[[Quantity], tuple[Value, Value]]) -> dict[str, Change]:
    changes = {}
    for quantity in quantities:
        old, new = read(quantity)
        if old != new:
            changes[quantity.path] = Change(old, new, relative(old, new))
    return changes


def relative(old: Value, new: Value) -> float | None:
    """The change as a share of the old number; None where there is no such thing."""
    before, after = number_of(old), number_of(new)
    return None if not before or after is None else (after - before) / abs(before)


def number_of(value: object) -> int | float | None:
    """A value that is a number, which true and false are not."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


# -- the models ----------------------------------------------------------------------------------------------------


def _side(report: Report) -> Side:
    return Side(report.id or None, report.model.name, report.model.digest)


def _output(report: Report) -> Output | None:
    field = output_field(report)
    if field is None:
        return None
    name = next(layer.name for layer in reversed(report.layers) if layer.receptive_field is field)
    return Output(name, field.size, field.min_size, field.stride, field.padding, field.status, field.because)


def _findings(base: Report, head: Report, pairs: Sequence[Pair]) -> FindingChanges:
    """Findings that only one side has, layers being the same where they are aligned."""
    names: dict[str | None, str] = {before.name: after.name for before, after in pairs if before is not None and after is not None}
    # Each finding of the base under the name that its layer has in the head.
    old = [(finding.code, names.get(finding.layer, finding.layer)) for finding in base.findings]
    new = [(finding.code, finding.layer) for finding in head.findings]
    return FindingChanges(_not_among(head.findings, new, old), _not_among(base.findings, old, new))


def _not_among(values: Sequence[T], keys: Sequence[object], known: Sequence[object]) -> tuple[T, ...]:
    """The values whose keys are not known."""
    among = set(known)
    return tuple(value for value, key in zip(values, keys, strict=True) if key not in among)


# -- budgets -------------------------------------------------------------------------------------------------------

NO_NEW_FINDINGS = "no_new_findings"
"""The budget that limits no number: true (no new finding at all), or a list of finding codes that must not appear."""

BUDGETS = (*LIMITS, NO_NEW_FINDINGS)
"""The names of all budgets."""


def check_budgets(budgets: Mapping[str, object]) -> None:
    """Refused `invalid-budget` where one of them makes no sense."""
    for name, limit in budgets.items():
        _check_budget(name, limit)


def _check_budget(name: str, limit: object) -> None:
    if name == NO_NEW_FINDINGS:
        if not isinstance(limit, bool) and not (isinstance(limit, list) and all(isinstance(code, str) for code in limit)):
            raise _invalid_budget(NO_NEW_FINDINGS, "takes true, false or a list of finding codes")
        return
    if name not in LIMITS:
        raise _invalid_budget(name, f"is no budget; there are {', '.join(BUDGETS)}")
    bound = number_of(limit)
    if bound is None or not abs(bound) <= sys.float_info.max:  # which infinity, not-a-number and huge whole numbers are not
        raise _invalid_budget(name, "takes a number")


def _judged(name: str, limit: object, base: Report, head: Report, new: Sequence[Finding]) -> Judged:
    _check_budget(name, limit)
    bound = number_of(limit)
    if bound is None:
        return _without_new(limit, sorted({finding.code for finding in new}))
    value = _limited(*LIMITS[name], base, head)
    held = value is not None and (value <= bound if LIMITS[name][0].at_most else value >= bound)
    return Judged(name, limit, value, held)


def _limited(limit: Limit, quantity: Quantity, base: Report, head: Report) -> int | float | None:
    """The number that a budget limits: that of the head, or its change; of sizes along axes the smallest."""
    value = quantity.of_model(head)
    if limit.change:
        return relative(quantity.of_model(base), value)
    if isinstance(value, tuple):
        sizes = [number_of(size) for size in value]
        known = [size for size in sizes if size is not None]
        return min(known) if known and len(known) == len(sizes) else None
    return number_of(value)


def _without_new(limit: object, new: Sequence[str]) -> Judged:
    listed = limit if isinstance(limit, list) else ()
    value = [code for code in new if limit is True or code in listed]
    return Judged(NO_NEW_FINDINGS, limit, value, not value)


def _invalid_budget(name: str, reason: str) -> Refused:
    return refused_at(pointer_to("budgets", name), "invalid-budget", f"{name} {reason}")
