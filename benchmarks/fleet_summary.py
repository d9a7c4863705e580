"""How long the summary of a fleet takes: `python benchmarks/fleet_summary.py [--analyses 100000] [--database postgresql://…]`.

Fills a new database with made-up numbers (SQLite in a directory of its own, or the empty one that is named) and asks for `/v1/fleet`.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Table, insert

from service.api import create_app
from service.api.services import EXTENSION
from service.report.identity import DEFAULT_PROJECT
from service.settings import Settings
from service.store import Store
from service.store.sql.tables import model_versions, models, report_numbers, reports

VERSIONS_OF_EACH = 20
BATCH = 5000
MOMENT = "2026-01-01T00:00:00.000000Z"


def rows(count: int) -> Iterator[dict[Table, dict[str, Any]]]:
    """What the store would hold of so many analyses, each a version of some model."""
    chance = random.Random(0)
    for number in range(count):
        report = {"project": DEFAULT_PROJECT, "report_id": f"sha256-{number:064x}"}
        model, version = divmod(number, VERSIONS_OF_EACH)
        yield {
            reports: {
                "project": DEFAULT_PROJECT,
                "id": report["report_id"],
                "created_at": MOMENT,
                "name": f"model {number}",
                "digest": f"sha256:{number:064x}",
                "etag": f"{number:064x}",
                "entry": json.dumps({"id": report["report_id"], "metrics": {"receptive.layers": number}}),
                "options": "{}",
                "size_bytes": 1,
                "model_bytes": 1,
            },
            report_numbers: {
                **report,
                "structure_digest": f"sha256:{chance.randrange(count):064x}",
                "parameters": 10 ** chance.uniform(2, 9),
                "sharing_factor": 10 ** chance.uniform(0, 5),
                "connection_sparsity": chance.random(),
                "weight_sparsity": chance.choice((None, chance.random())),
                "receptive_field_coverage": chance.uniform(0, 2),
                "output_is_global": chance.choice((0, 1)),
                "unproductive_layers": max(0, chance.randrange(-10, 10)),
            },
            models: {"project": DEFAULT_PROJECT, "name": f"model {model}", "created_at": MOMENT, "budgets": "{}"},
            model_versions: {
                **report,
                "model": f"model {model}",
                "version": str(version),
                "created_at": f"{MOMENT[:-1]}{version:02d}Z",
                "verdict": chance.choice(("pass", "fail", "none")),
                "judged": "[]",
            },
        }


def fill(store: Store, count: int) -> None:
    """Put so many analyses into an empty store."""
    pending: dict[Table, list[dict[str, Any]]] = {reports: [], report_numbers: [], models: [], model_versions: []}
    for number, row in enumerate(rows(count)):
        for table, values in row.items():
            if table is not models or number % VERSIONS_OF_EACH == 0:
                pending[table].append(values)
        if number % BATCH == BATCH - 1 or number == count - 1:
            with store.database.writing() as connection:
                for table, values in pending.items():
                    if values:
                        connection.execute(insert(table), values)
                    pending[table] = []


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--analyses", type=int, default=100_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--times", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        app = create_app(Settings(data_dir=Path(directory), database_url=chosen.database, log_level="ERROR"))
        service = app.extensions[EXTENSION]
        began = time.perf_counter()
        fill(service.store, chosen.analyses)
        print(f"{chosen.analyses:,} analyses written in {time.perf_counter() - began:.1f} s, {service.store.database.engine.dialect.name}")
        seconds, processor = [], []
        for _ in range(chosen.times):
            began, used = time.perf_counter(), time.process_time()
            answer = app.test_client().get("/v1/fleet")
            seconds.append(time.perf_counter() - began)
            processor.append(time.process_time() - used)
            assert answer.status_code == 200 and answer.json["analyses"] == chosen.analyses
        print(f"GET /v1/fleet: first {seconds[0]:.3f} s, median of {chosen.times} {statistics.median(seconds):.3f} s;", end=" ")
        print(f"of this process {statistics.median(processor):.3f} s of processor time")
        service.close()


if __name__ == "__main__":
    main()
