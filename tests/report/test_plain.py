"""The report as JSON and back: nothing is lost, and what is no report is refused at the place where it is none."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from service.report import document
from service.report.document import Connections, Layer, Report, Sharing
from service.report.forms import form_of, members
from service.report.plain import NotAReport, as_plain, of_plain, plain_object, read_report, write_report
from tests import networks
from tests.reports import report_of

RECORDS = [kind for kind in vars(document).values() if dataclasses.is_dataclass(kind) and isinstance(kind, type)]


def stored(name: str = "lenet-5") -> Any:
    """A report as JSON says it."""
    return json.loads(json.dumps(report_of(networks.example(name))))


@pytest.mark.parametrize("name", ["shift-example", "lenet-5", "har", "alexnet-2012"])
def test_a_report_comes_back_as_it_went(name: str) -> None:
    before = stored(name)
    report = of_plain(Report, before)
    assert plain_object(report) == before
    assert read_report(write_report(report)) == report
    assert json.loads(write_report(report)) == before


def test_the_order_of_keys_is_that_of_the_fields() -> None:
    before = stored()
    assert json.dumps(plain_object(of_plain(Report, before))) == json.dumps(before)


def test_units_in_goes_by_its_own_name_in_json() -> None:
    layer = of_plain(Layer, stored()["layers"][0])
    assert layer.units is not None
    assert (layer.units.in_, layer.units.out) == (1024, 4704)
    assert as_plain(layer.units) == {"in": 1024, "out": 4704}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_records_cannot_change_and_hold_nothing_else(record: Any) -> None:
    assert record.__dataclass_params__.frozen
    assert "__slots__" in vars(record)
    assert record.__doc__ and not record.__doc__.startswith(f"{record.__name__}(")
    assert members(record)


WRONG = [
    (("layers", 2, "kind"), 5, "/layers/2/kind", "got 5, expected text"),
    (("layers", 0, "parameters", "weights"), "many", "/layers/0/parameters/weights", 'got "many", expected a whole number'),
    (("layers", 0, "parameters", "weights"), True, "/layers/0/parameters/weights", "got true, expected a whole number"),
    (("layers", 0, "index"), None, "/layers/0/index", "got null, expected a whole number"),
    (("layers", 1, "sharing", "factor"), [1], "/layers/1/sharing/factor", "got an array, expected a number"),
    (("layers",), {}, "/layers", "got an object, expected an array"),
    (("summary", "by_kind"), [], "/summary/by_kind", "got an array, expected an object"),
    (("summary", "by_kind", "dense"), 3, "/summary/by_kind/dense", "got 3, expected an object"),
]


@pytest.mark.parametrize(("path", "value", "pointer", "detail"), WRONG, ids=lambda each: str(each)[:40])
def test_what_is_wrong_is_said_with_its_place(path: tuple[str | int, ...], value: object, pointer: str, detail: str) -> None:
    report = place = stored()
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(NotAReport) as caught:
        of_plain(Report, report)
    assert (caught.value.pointer, caught.value.detail) == (pointer, detail)


@pytest.mark.parametrize("key", [member.key for member in members(Report)])
def test_every_part_of_a_report_must_be_there(key: str) -> None:
    report = stored()
    del report[key]
    with pytest.raises(NotAReport, match=f"the field {key} is missing"):
        of_plain(Report, report)


def test_fields_of_a_later_version_are_left_alone() -> None:
    report = stored()
    report["layers"][0]["colour"] = "red"
    assert of_plain(Report, report) == of_plain(Report, stored())


def test_a_field_that_came_later_has_its_default() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Extended(Connections):
        """Connections with a field more."""

        later: int | None = None

    before = {"exact": 1, "padded": 2, "with_bias": 3, "dense": 4, "effective": None}
    globals()["Extended"] = Extended
    assert of_plain(Extended, before).later is None
    assert of_plain(Extended, {**before, "later": 5}).later == 5


def test_json_lacks_numbers_that_are_none() -> None:
    report = of_plain(Report, stored())
    broken = dataclasses.replace(report.layers[0], sharing=Sharing(float("nan"), 1))
    with pytest.raises(ValueError, match="Out of range float values"):
        write_report(dataclasses.replace(report, layers=(broken,)))


def test_only_types_that_json_can_say_have_a_form() -> None:
    with pytest.raises(TypeError, match="got <class 'complex'>, expected a dataclass"):
        form_of(complex)
