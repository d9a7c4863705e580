"""Post the example networks to the running service, print what their layers share, skip and see, and save the reports.

`make demo` runs it. RECEPTIVE_URL says where the service is (default: this machine, PORT or 8080); other models can be arguments.
Saved under ./output: the report of each network, and the grid of its first-layer filters where it stores any. Standard library only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urljoin
from urllib.request import Request, urlopen

EXAMPLES = Path(__file__).resolve().parent
OUTPUT = Path("output")
SERVICE = os.environ.get("RECEPTIVE_URL", f"http://127.0.0.1:{os.environ.get('PORT', '8080')}")
TIMEOUT = 120  # seconds, for the report of one network


def ask(address: str, body: bytes | None = None, **headers: str) -> HTTPResponse:
    """The service's answer to a GET, or to a POST of the body; HTTPError where it refuses."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: HTTPResponse = urlopen(Request(urljoin(SERVICE, address), data=body, headers=named), timeout=TIMEOUT)
    return answer


def analyse(model: Path) -> dict[str, Any]:
    """The report on the model, which is posted as ONNX or as a layer spec by its suffix."""
    kind = "application/json" if model.suffix == ".json" else "application/onnx"
    answer = ask(f"/v1/analyses?name={quote(model.stem)}", model.read_bytes(), Content_Type=kind, Prefer=f"wait={TIMEOUT}")
    deadline = time.monotonic() + TIMEOUT
    document: dict[str, Any] = json.load(answer)
    while "layers" not in document:  # not the report yet, but the job that makes it
        if document["status"] in ("failed", "cancelled") or time.monotonic() > deadline:
            raise SystemExit(f"{model.name}: no report: {json.dumps(document)}")
        if document["status"] != "done":
            time.sleep(0.5)
        document = json.load(ask(document["links"].get("analysis", document["links"]["self"])))
    return document


def number(value: float | None, form: str = ",.4g") -> str:
    """The value as text; a dash where the report has none."""
    return "-" if value is None else format(value, form)


def table(report: dict[str, Any]) -> str:
    """The layers that have connections: parameters, how many connections share one, what share is skipped, the field they see."""
    rows = [("layer", "kind", "parameters", "sharing", "sparsity", "sees")]
    for layer in report["layers"]:
        if not layer["connections"]:
            continue
        field = layer["receptive_field"] or {}
        sees = " × ".join(str(size) for size in field["size"]) if field.get("size") else field.get("status", "-")
        shares, skips = (layer["sharing"] or {}).get("factor"), (layer["sparsity"] or {}).get("connection")
        rows.append((layer["name"], layer["kind"], number(layer["parameters"]["total"], ","), number(shares), number(skips, ".4f"), sees))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )


def save_grid(report: dict[str, Any], path: Path) -> bool:
    """Save the weight grid of the first-layer filters; False where the network stores none."""
    try:
        path.write_bytes(ask(f"/v1/analyses/{report['id']}/filters.png").read())
    except HTTPError as error:
        if error.code == 404:
            return False
        raise
    return True


def main(models: list[Path]) -> None:
    """Show and save the report on every model."""
    OUTPUT.mkdir(exist_ok=True)
    for model in models:
        report = analyse(model)
        saved = OUTPUT / f"{model.stem}.json"
        saved.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        grid = OUTPUT / f"{model.stem}-filters.png"
        drawn = f" and {grid}" if save_grid(report, grid) else ""
        print(f"{report['model']['name'] or model.stem}: {report['summary']['parameters']['stored']:,} parameters; saved {saved}{drawn}")
        print(table(report), end="\n\n")


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    try:
        main(named or [EXAMPLES / "photographs.onnx", *sorted(EXAMPLES.glob("*.json"))])
    except HTTPError as refusal:
        raise SystemExit(f"The service refused: {refusal.code} {refusal.read().decode(errors='replace')}") from None
    except URLError as failure:
        raise SystemExit(f"No service at {SERVICE} ({failure.reason}). Start it with `make serve`, or set RECEPTIVE_URL.") from None
