"""CSV that spreadsheets and parsers read alike, and that no formula gets through."""

from __future__ import annotations

import csv
import io

from service.render.tables import COLUMNS, layers_csv, write_csv
from tests import networks
from tests.reports import report_of


def parsed(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_every_layer_is_a_row_of_every_column() -> None:
    report = report_of(networks.example("lenet-5"))
    rows = parsed(layers_csv(report))
    assert [row["name"] for row in rows] == [layer["name"] for layer in report["layers"]]
    assert list(rows[0]) == list(COLUMNS)
    assert (rows[0]["connections_exact"], rows[0]["receptive_field_size"]) == ("117600", "5×5")
    assert rows[2]["connections_exact"] == ""


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
