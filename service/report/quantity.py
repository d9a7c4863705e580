"""One number of a report: what it is called, where it stands, and where it is shown. `quantities` is the catalogue of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, cast

from service.report.document import Layer, Report, Summary
from service.report.forms import Member, members

Value = None | bool | int | float | str | tuple[float | None, ...] | tuple[str, ...]
"""A number of a report: plain, or with an entry for each axis; names and codes are quantities too."""
Scope = Literal["layer", "model"]
Format = Literal["count", "share", "ratio", "sizes", "text"]
Theme = Literal["parameters", "shares", "skips", "sees"]


@dataclass(frozen=True, slots=True)
class Shown:
    """Where the page shows how a layer's number follows: under which question, and which column of the layer table it explains, if any."""

    theme: Theme
    cell: str = ""


@dataclass(frozen=True, slots=True)
class Badge:
    """A badge of a model's number: its name in an address, and the words on it."""

    metric: str
    label: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget on a model's number, or (`change`) on its change as a share of the base. Of sizes along axes the smallest is limited."""

    name: str
    label: str
    unit: Literal["", "%", "pixels"] = ""
    change: bool = False

    @property
    def at_most(self) -> bool:
        """Whether the number may not be larger; else it may not be smaller."""
        return self.name.startswith("max_")


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number: its path, its name in words, whose it is, how it is written, and where it is shown.

    `column` heads it in the layer table; `flat` is its name among the flat numbers (an axis comes behind it, where it has axes); `compared`
    says whose it is compared between reports; `question` is what a worksheet asks. A number that stands nowhere is worked out, by
    `from_layer` or `from_report`, and says its `meaning` here.
    """

    path: str
    name: str
    scopes: tuple[Scope, ...]
    format: Format = "count"
    column: str = ""
    flat: str = ""
    compared: tuple[Scope, ...] = ()
    shown: Shown | None = None
    question: str = ""
    badge: Badge | None = None
    limits: tuple[Limit, ...] = ()
    from_layer: Callable[[Layer], Value] | None = None
    from_report: Callable[[Report], Value] | None = None
    meaning: str = ""

    def of_layer(self, layer: Layer) -> Value:
        """The number of a layer; None where it is not known."""
        return self.from_layer(layer) if self.from_layer is not None else _read(layer, _names(Layer, self.path))

    def of_model(self, report: Report) -> Value:
        """The number of a model; None where it is not known."""
        return self.from_report(report) if self.from_report is not None else _read(report.summary, _names(Summary, self.path))

    @property
    def member(self) -> Member | None:
        """The field that holds the number; None where it is worked out."""
        if self.from_layer is not None or self.from_report is not None:
            return None
        return _members(Layer if "layer" in self.scopes else Summary, self.path)[-1]

    @property
    def described(self) -> str:
        """What it is, in words and by its meaning."""
        meaning = self.meaning if self.member is None else self.member.meaning
        return f"{self.name[0].upper()}{self.name[1:]}.{f' {meaning}' if meaning else ''}"

    @property
    def has_axes(self) -> bool:
        """Whether there is a number for each axis."""
        return self.member is not None and self.member.form.array is not None and self.member.form.array.scalar is not str

    @property
    def words(self) -> str:
        """The name, with the unit where that is a length in the input."""
        return f"{self.name}, pixels" if self.member is not None and self.member.unit.startswith("pixels") else self.name


def _read(record: object, names: tuple[str, ...]) -> Value:
    for name in names:
        record = None if record is None else getattr(record, name)
    return cast(Value, record)


def _members(record: type, path: str) -> tuple[Member, ...]:
    """The fields on a path of keys. ValueError where the type has no such path."""
    found: list[Member] = []
    for key in path.split("."):
        inside = found[-1].form.record if found else record
        member = next((each for each in members(inside) if each.key == key), None) if inside is not None else None
        if member is None:
            raise ValueError(f"{record.__name__} has no field {key} on the path {path}")
        found.append(member)
    return tuple(found)


@cache
def _names(record: type, path: str) -> tuple[str, ...]:
    return tuple(member.name for member in _members(record, path))
