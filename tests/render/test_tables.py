"""CSV that spreadsheets and parsers read alike, and that no formula gets through."""

from __future__ import annotations

import csv
import io
import re

from service.render.tables import LayerTable, layers_csv, write_csv
from tests import networks
from tests.reports import document_of


def parsed(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_every_layer_is_a_row_of_every_column() -> None:
    report = document_of(networks.example("lenet-5"))
    rows = parsed(layers_csv(report))
    assert [row["name"] for row in rows] == [layer.name for layer in report.layers]
    assert list(rows[0]) == LayerTable.of(report).columns
    assert rows[0]["connections_exact"] == "117600"
    assert [rows[0][f"receptive_field_{axis}"] for axis in ("height", "width")] == ["5", "5"]
    assert [rows[0][f"output_shape_{axis}"] for axis in range(4)] == ["1", "6", "28", "28"]
    assert rows[2]["connections_exact"] == ""


def test_a_cell_is_a_number_or_a_word_and_never_a_list() -> None:
    """What has axes has a column for each: no cell holds 11×11."""
    for name in ("lenet-5", "alexnet-2012", "har"):
        report = document_of(networks.example(name))
        table = LayerTable.of(report)
        for layer in report.layers:
            row = table.row(layer)
            assert list(row) == table.columns
            assert [cell for cell in row.values() if not (cell is None or isinstance(cell, str | int | float))] == []
            assert [cell for cell in row.values() if isinstance(cell, str) and re.search(r"\d×\d", cell)] == []


def test_parameters_add_up_to_the_total() -> None:
    """Of a model whose layers share nothing; norms are among them (issue of the column that left them out)."""
    layers = [networks.conv("c", 4, 3), {"type": "batch_norm"}, {"type": "flatten"}, {"type": "dense", "units": 2}]
    report = document_of(networks.spec_of([3, 8, 8], *layers))
    rows = parsed(layers_csv(report))
    columns = ("weights", "biases", "other_parameters")
    assert all(int(row["parameters"]) == sum(int(row[column]) for column in columns) for row in rows)
    assert sum(int(row["parameters"]) for row in rows) == report.summary.parameters.stored
    assert int(rows[1]["other_parameters"]) > 0


def test_rfc_4180() -> None:
    """RFC 4180: CRLF line ends; commas, quotes and line breaks inside quotes, quotes doubled."""
    data = write_csv([{"a": 'say "x", y', "b": "two\nlines"}])
    assert data == b'a,b\r\n"say ""x"", y","two\nlines"\r\n'


def test_no_formula_gets_through() -> None:
    """OWASP, CSV Injection: = + - @ tab and carriage return at the start, spaces before them or not."""
    for evil in ("=cmd()", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1"):
        (row,) = parsed(write_csv([{"name": evil, "n": -5}]))
        assert row["name"] == f"'{evil}"
        assert row["n"] == "-5"


def test_hidden_characters_are_seen() -> None:
    """A reader stops at NUL, and reordered text shows another name than the one that is there."""
    (row,) = parsed(write_csv([{"name": "a\u202eb\u0000c\u2028d"}]))
    assert row["name"] == "a\\u202eb\\u0000c\\u2028d"
