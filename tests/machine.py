"""The servers that tests of the fleet talk to: those of this machine, and one for S3 that they start themselves.

Each has an address by default and a variable that names another. Where one is not there, the tests that need it are skipped, except in CI.
"""

from __future__ import annotations

import contextlib
import os
import socket
import uuid
from collections.abc import Iterator
from functools import cache
from urllib.parse import urlsplit

import obstore
import psycopg
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store
from psycopg import sql

POSTGRES = os.environ.get("RECEPTIVE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("RECEPTIVE_TEST_REDIS", "redis://127.0.0.1:6379/9")
RABBITMQ = os.environ.get("RECEPTIVE_TEST_RABBITMQ", "amqp://guest:guest@127.0.0.1:5672//")


def need(name: str, address: str) -> str:
    """The address of a server that answers; a test that needs one that is not there is skipped."""
    place = urlsplit(address)
    if not _answers(place.hostname or "", place.port or 0):
        pytest.skip(f"no {name} at {place.hostname}:{place.port} (RECEPTIVE_TEST_{name.upper()} names another)")
    return address


@cache
def _answers(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=3):
        return True
    return False


@contextlib.contextmanager
def postgres_database() -> Iterator[str]:
    """The address of a new, empty database, which is dropped when the block ends."""
    name = f"receptive_test_{uuid.uuid4().hex}"
    with psycopg.connect(need("Postgres", POSTGRES), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class Bucket:
    """A bucket of an S3 server, and what a client must know to read and write it: `environment`."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        self.name = f"test-{uuid.uuid4().hex}"
        self.url = f"s3://{self.name}/models"


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 server of this process."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def new_bucket(endpoint: str) -> Bucket:
    """An empty bucket of an S3 server."""
    bucket = Bucket(endpoint)
    config = {name.removeprefix("AWS_").lower(): value for name, value in bucket.environment.items()}
    place = urlsplit(endpoint)
    request = f"PUT /{bucket.name} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_connection((place.hostname, place.port)) as line:
        line.sendall(request.encode())
        assert line.recv(64).startswith(b"HTTP/1.1 200")
    assert obstore.list(S3Store(bucket.name, config=config)).collect() == []
    return bucket
