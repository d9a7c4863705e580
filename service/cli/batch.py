"""The subcommand on many models: a folder of this machine on all its processors, or buckets and registries through a service."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from service.cli.asked import Asked, reading_options, start_engine
from service.cli.engine import Engine, LocalModel
from service.cli.failures import NOT_GOOD_ENOUGH, Failure
from service.cli.output import format_of, output_option, write
from service.cli.progress import watched
from service.cli.remote import Service, document_of
from service.options import Options
from service.render.formats import Format
from service.render.tables import write_csv
from service.report.identity import options_document
from service.report.quantities import flat_numbers

SUFFIX = ".onnx"
ASK_SECONDS = 1.0
PAGE_ITEMS = 1000

Row = Mapping[str, Any]


def csv_of(rows: Sequence[Row]) -> bytes:
    """The rows as a table; what a model does not have is an empty cell."""
    return write_csv(rows, list(dict.fromkeys(name for row in rows for name in row)))


def json_lines_of(rows: Sequence[Row]) -> bytes:
    """The rows as one JSON object in each line."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


FORMATS: Mapping[str, Format[Sequence[Row]]] = {
    "csv": Format("text/csv; charset=utf-8; header=present", "CSV", csv_of, (".csv",), served=False),
    "jsonl": Format("application/jsonl", "JSON lines", json_lines_of, (".jsonl", ".ndjson"), served=False),
}


@click.command(no_args_is_help=True)
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@click.option("--format", "form", type=click.Choice(list(FORMATS)), help="Default: by the suffix of the output, else csv.")
@output_option("fleet.csv")
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Models at a time on this machine. Default: its processors.")
@reading_options
@click.pass_context
def batch(ctx: click.Context, targets: Sequence[str], form: str | None, output: Path, jobs: int | None, asked: Asked) -> None:
    """Write the flat numbers of many models, one row for each.

    A TARGET is a model, or a folder with all .onnx files below it; no service is needed. With --url it is an address that the service may
    read: an object, a bucket's folder that ends in /, models:/ for a whole registry. A model that fails has its problem in its row, and the
    exit code is 1.

    \b
    receptive batch models/ -o fleet.csv
    receptive batch s3://bucket/prefix/ models:/ --url http://localhost:8080 -o fleet.jsonl
    """
    form = format_of(form, output, FORMATS, "csv")
    if asked.url is None:
        with start_engine(jobs or len(os.sched_getaffinity(0))) as engine:
            rows = _shown(_local(engine, [Path(target) for target in targets], asked.options))
    else:
        rows = _remote(Service(asked.url, os.environ.get("RECEPTIVE_TOKEN")), targets, asked.options)
    write(FORMATS[form].write(rows), output)
    failed = sum("problem" in row for row in rows)
    if failed:
        click.echo(f"receptive: {failed} of {len(rows)} models failed", err=True)
        ctx.exit(NOT_GOOD_ENOUGH)


def _shown(work: tuple[int, Iterable[Row]]) -> list[Row]:
    """The rows, with a bar while they come."""
    count, coming = work
    with click.progressbar(coming, length=count, label="Analysing", file=sys.stderr, hidden=not watched(), show_pos=True) as bar:
        return list(bar)


def _local(engine: Engine, targets: Sequence[Path], options: Options) -> tuple[int, Iterator[Row]]:
    """How many models there are in files and folders, and their rows in the order of their names, as many at a time as the engine runs."""
    paths = [path for target in targets for path in _models(target)]
    if not paths:
        raise Failure("no-models", f"There is no file that ends in {SUFFIX} in {', '.join(map(str, targets))}.")

    def rows() -> Iterator[Row]:
        with ThreadPoolExecutor(engine.size) as threads:
            yield from threads.map(lambda path: _local_row(engine, path, options), paths)

    return len(paths), rows()


def _models(target: Path) -> list[Path]:
    """A model, or those in a folder. Symbolic links to folders are not followed."""
    if target.is_dir():
        return sorted(path for path in target.rglob(f"*{SUFFIX}") if path.is_file())
    if not target.is_file():
        hint = " An address needs --url, the service that reads it." if re.match(r"[a-z0-9]+:(/|\Z)", str(target)) else ""
        raise click.UsageError(f"{str(target)!r} is no file and no folder.{hint}")
    return [target]


def _local_row(engine: Engine, path: Path, options: Options) -> Row:
    try:
        report = LocalModel(engine, path, options, engine.companions(path, ())).report()
    except Failure as failure:
        return _failed(str(path), failure.code, failure.detail)
    return {"source": str(path), "analysis": report.id, "name": report.model.name, **flat_numbers(report)}


def _failed(source: str, code: str, detail: str) -> Row:
    return {"source": source, "problem": code, "detail": detail}


def _remote(service: Service, targets: Sequence[str], options: Options) -> list[Row]:
    """The rows of a batch that a service works on."""
    default = options_document(Options())
    chosen = {key: value for key, value in options_document(options).items() if value != default[key]}
    body = json.dumps({"sources": list(targets), "options": chosen}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    begun = document_of(service.send("POST", "/v1/batches", lambda: iter((body,)), headers, None))
    ended = _followed(service, begun)
    for problem in ended["problems"]:
        click.echo(f"receptive: {problem['source']} could not be listed: {problem['detail']} [{problem['code']}]", err=True)
    return [_remote_row(service, item) for item in _items(service, ended["links"]["items"])]


def _followed(service: Service, found: dict[str, Any]) -> dict[str, Any]:
    """The batch when it has ended, with a bar that grows as more models are listed."""
    with click.progressbar(length=1, label="The service analyses", file=sys.stderr, hidden=not watched(), show_pos=True) as bar:
        while found["status"] == "running":
            time.sleep(ASK_SECONDS)
            found = document_of(service.get(found["links"]["self"]))
            counts = found["counts"]
            bar.length = max(counts["total"], 1)
            bar.update(counts["total"] - counts["queued"] - counts["running"] - bar.pos)
    return found


def _items(service: Service, path: str) -> Iterator[dict[str, Any]]:
    cursor: int | None = 0
    while cursor is not None:
        page = document_of(service.get(f"{path}?limit={PAGE_ITEMS}&cursor={cursor}"))
        yield from page["items"]
        cursor = page["next_cursor"]


def _remote_row(service: Service, item: dict[str, Any]) -> Row:
    if item["analysis"] is None:
        problem = item["problem"] or {"code": item["status"], "detail": f"The model was {item['status']}."}
        return _failed(item["source"], problem["code"], problem["detail"])
    numbers = document_of(service.get(f"/v1/analyses/{item['analysis']}/metrics"))
    return {"source": item["source"], "analysis": item["analysis"], **numbers}
