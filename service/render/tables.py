"""The layer table: one flat row for each layer, for CSV files, data frames and dashboards."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from service.render.words.text import visible
from service.report.document import Layer, Report
from service.report.quantities import QUANTITIES
from service.report.quantity import Quantity, Value

Cell = None | bool | int | float | str
Row = Mapping[str, Cell]

COLUMNS: tuple[Quantity, ...] = tuple(quantity for quantity in QUANTITIES if quantity.column)
"""The numbers of a flat row; each has a column, or one for each axis."""
SHAPES = ("input_shape", "output_shape")
MOST_SHAPE_AXES = 16
"""Axes of a shape that have columns."""

# The last four are the wide forms of the first, which some spreadsheets take for them.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class LayerTable:
    """The layers of a report as flat rows of numbers: what has axes has a column for each, `receptive_field_height`, and no cell is a list.

    Which axes there are is a matter of the model, so all its rows have the same columns.
    """

    def __init__(self, endings: Mapping[str, Sequence[str]]) -> None:
        self.endings = endings
        """What comes behind the head of each number's columns, by its path: all that the table needs to know of the other layers."""

    @classmethod
    def of(cls, report: Report) -> LayerTable:
        """The table of a report."""
        axes = {layer.receptive_field.axes for layer in report.layers if layer.receptive_field is not None}
        names = tuple(dict.fromkeys(name for each in sorted(axes, key=len) for name in each))
        ranks = {
            path: max((len(shape) for layer in report.layers if (shape := _tuple(quantity.of_layer(layer)))), default=0)
            for quantity in COLUMNS
            if (path := quantity.path) in SHAPES
        }
        return cls({each.path: _endings(each, names, min(ranks.get(each.path, 0), MOST_SHAPE_AXES)) for each in COLUMNS})

    @property
    def columns(self) -> list[str]:
        """The heads of the columns."""
        return [f"{quantity.column}{ending}" for quantity in COLUMNS for ending in self.endings[quantity.path]]

    def row(self, layer: Layer) -> dict[str, Cell]:
        """One layer."""
        axes = layer.receptive_field.axes if layer.receptive_field is not None else ()
        row: dict[str, Cell] = {}
        for quantity in COLUMNS:
            value, endings = quantity.of_layer(layer), self.endings[quantity.path]
            if tuple(endings) == ("",):
                row[quantity.column] = ";".join(map(str, value)) if isinstance(value, tuple) else value
                continue
            keys = [f"_{axis}" for axis in axes] if quantity.path not in SHAPES else endings
            known = dict(zip(keys, _tuple(value), strict=False))
            row |= {f"{quantity.column}{ending}": known.get(ending) for ending in endings}
        return row


def _tuple(value: Value) -> tuple[Cell, ...]:
    return value if isinstance(value, tuple) else ()


def _endings(quantity: Quantity, axes: Sequence[str], rank: int) -> tuple[str, ...]:
    """What comes behind a column's name: the axes of the input, the numbers of a shape's axes, or nothing."""
    if quantity.path in SHAPES:
        return tuple(f"_{axis}" for axis in range(rank))
    return tuple(f"_{axis}" for axis in axes) if quantity.has_axes else ("",)


def write_csv(rows: Sequence[Row], columns: Sequence[str] | None = None) -> bytes:
    """Rows as CSV (RFC 4180: CRLF, quotes doubled), UTF-8, with a header line.

    A text that a spreadsheet would take for a formula gets an apostrophe in front (OWASP, CSV Injection); numbers stay numbers. Characters
    that hide or reorder text, and NUL, at which readers stop, are written as \\uXXXX; line breaks and tabs are data.
    """
    columns = list(columns or (rows[0] if rows else ()))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return out.getvalue().encode()


def _cell(value: Cell) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = visible(value, "\t\r\n")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def layers_csv(report: Report) -> bytes:
    """The layer table of a report as CSV."""
    table = LayerTable.of(report)
    return write_csv([table.row(layer) for layer in report.layers], table.columns)
