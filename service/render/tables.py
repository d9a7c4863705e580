"""The layer table: one flat row for each layer, for CSV files, data frames and dashboards."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from service.render.words.text import visible

COLUMNS: dict[str, str] = {
    "index": "index",
    "name": "name",
    "op": "op",
    "kind": "kind",
    "input_shape": "input_shape",
    "output_shape": "output_shape",
    "units_in": "units.in",
    "units_out": "units.out",
    "weights": "parameters.weights",
    "biases": "parameters.biases",
    "parameters": "parameters.total",
    "other_parameters": "parameters.other",
    "dtype": "parameters.dtype",
    "tied_to": "parameters.tied_to",
    "connections_exact": "connections.exact",
    "connections_padded": "connections.padded",
    "connections_with_bias": "connections.with_bias",
    "connections_dense": "connections.dense",
    "connections_effective": "connections.effective",
    "fan_in_min": "fan_in.min",
    "fan_in_mean": "fan_in.mean",
    "fan_in_max": "fan_in.max",
    "uses_mean": "uses.mean",
    "connection_sparsity": "sparsity.connection",
    "weight_sparsity": "sparsity.weight",
    "effective_sparsity": "sparsity.effective",
    "sharing_factor": "sharing.factor",
    "sharing_positions": "sharing.positions",
    "reduction_total": "reduction.total",
    "nonzero_weights": "values.nonzero",
    "sparsity_pattern": "values.pattern",
    "receptive_field_size": "receptive_field.size",
    "receptive_field_min_size": "receptive_field.min_size",
    "receptive_field_stride": "receptive_field.stride",
    "receptive_field_padding": "receptive_field.padding",
    "receptive_field_coverage": "receptive_field.coverage",
    "receptive_field_density": "receptive_field.density",
    "receptive_field_status": "receptive_field.status",
    "receptive_field_because": "receptive_field.because",
    "unproductive": "receptive_field.unproductive",
    "findings": "findings",
}
"""The columns of a flat row, and where in a layer's record each comes from."""

# The last four are the wide forms of the first, which some spreadsheets take for them.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def flat(layer: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's record as a flat object; a list becomes text, its entries joined by `×` (shapes, sizes) or `;` (names, codes)."""
    row = {}
    for column, path in COLUMNS.items():
        value: Any = layer
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        row[column] = _joined(value) if isinstance(value, list) else value
    return row


def _joined(values: Sequence[Any]) -> str:
    names = any(isinstance(value, str) for value in values)
    return (";" if names else "×").join("" if value is None else str(value) for value in values)


def write_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> bytes:
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


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    text = visible(value, "\t\r\n")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def layers_csv(report: Mapping[str, Any]) -> bytes:
    """The layer table of a report as CSV."""
    return write_csv([flat(layer) for layer in report["layers"]], list(COLUMNS))
