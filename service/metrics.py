"""What operators watch: counted where it happens, read at /metrics by Prometheus.

With several server processes each writes its counts to files of a common directory (PROMETHEUS_MULTIPROC_DIR), and any of them answers for
all. Labels have few values: none of them is chosen by a client.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

REGISTRY = CollectorRegistry()
CONTENT_TYPE = CONTENT_TYPE_LATEST
DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0)

REQUESTS = Counter("receptive_http_requests", "Requests that were answered.", ["method", "endpoint", "status"], registry=REGISTRY)
SECONDS = Histogram("receptive_http_request_seconds", "How long an answer took.", ["endpoint"], registry=REGISTRY, buckets=BUCKETS)
BYTES = Counter("receptive_http_bytes", "Bytes of bodies that were read (in) and answered (out).", ["direction"], registry=REGISTRY)
REFUSALS = Counter("receptive_refusals", "Problem documents by their code.", ["code"], registry=REGISTRY)
ANALYSES = Counter("receptive_analyses", "Analyses that ended, and why those that failed did.", ["outcome", "code"], registry=REGISTRY)
PHASES = Histogram(
    "receptive_analysis_seconds", "How long analyses waited and were worked on.", ["phase"], registry=REGISTRY, buckets=BUCKETS
)
JOBS = Gauge("receptive_jobs", "Jobs that wait or run.", ["queue"], registry=REGISTRY, multiprocess_mode="livesum")
STORED = Gauge("receptive_store_reports", "Reports that are kept.", ["store"], registry=REGISTRY, multiprocess_mode="mostrecent")
FREE = Gauge("receptive_store_free_bytes", "Space that is left for files.", ["store"], registry=REGISTRY, multiprocess_mode="mostrecent")


def exposition() -> bytes:
    """Every metric of all processes in Prometheus's text format."""
    if DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    everybody = CollectorRegistry()
    multiprocess.MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
    return generate_latest(everybody)
