"""Looks for inputs that the service does not survive, for FUZZ_MINUTES (default 10): `make fuzz`.

1. Sound models and specs are changed at random places and posted to the service as it is served: no answer is a 500, none is late, and no
   job ends in `analysis-failed`.
2. schemathesis calls every address of the description with all its checks but one (`fuzz_addresses`).
3. atheris feeds the wire scanner, where it is installed (`pip install --group fuzz`); else it is left out, by name.

Whatever fails is written to FUZZ_KEPT (default ./fuzz-kept). At the end the service must be ready, and leave no process behind.
"""

from __future__ import annotations

import hashlib
import http.client
import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnx

from tests.readers.test_onnx_mutations import SOUND, spoil
from tests.readers.test_spec_mutations import DOCUMENTS, PLACES, REPLACEMENTS, changed
from tests.serving import REPOSITORY, asked, gunicorn, members, wait_until_ready

MAX_SECONDS = 30.0
"""No answer may take longer: it is waited for no longer than RECEPTIVE_WAIT_SECONDS and a little."""

NEVER = {"analysis-failed", "internal-error"}
"""Codes of problems that say the service is at fault."""


def spoilt_model(chance: random.Random) -> bytes:
    """A sound model with a few changes, at times with a few bytes changed as well."""
    proto = onnx.ModelProto()
    proto.CopyFrom(chance.choice(SOUND))
    for _ in range(chance.randrange(1, 4)):
        spoil(proto, chance)
    return proto.SerializeToString() if chance.random() < 0.7 else spoilt_bytes(proto.SerializeToString(), chance)


def spoilt_bytes(data: bytes, chance: random.Random) -> bytes:
    """The bytes with some changed, repeated or cut."""
    spoilt = bytearray(data)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(spoilt)) if spoilt else 0
        match chance.randrange(3):
            case 0:
                spoilt[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                spoilt[at:at] = spoilt[at : at + chance.randrange(1, 40)] * chance.randrange(1, 4)
            case _:
                del spoilt[at : at + chance.randrange(1, 40)]
    return bytes(spoilt)


def spoilt_spec(chance: random.Random) -> bytes:
    """A layer spec or a Keras document with one to three values replaced, removed or doubled."""
    number = chance.randrange(len(DOCUMENTS))
    document = DOCUMENTS[number]
    for path in chance.sample(PLACES[number], chance.randrange(1, 4)):
        try:
            document = changed(document, path, chance.choice(("replace", "remove", "double")), chance.choice(REPLACEMENTS))
        except (KeyError, IndexError, TypeError):
            continue  # a change before took the place away
    return json.dumps(document).encode()


KINDS: dict[str, Callable[[random.Random], bytes]] = {"application/onnx": spoilt_model, "application/json": spoilt_spec}


def trouble(port: int, kind: str, body: bytes) -> str | None:
    """What is wrong with the answer to a body; None where nothing is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=MAX_SECONDS * 2)
    start = time.monotonic()
    try:
        connection.request("POST", "/v1/analyses", body, {"Content-Type": kind})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        return f"no answer: {error!r}"
    finally:
        connection.close()
    if (seconds := time.monotonic() - start) > MAX_SECONDS:
        return f"{response.status} after {seconds:.0f} s"
    if response.status < 400:
        return None
    code = json.loads(answer).get("code")
    return f"{response.status} {code}" if response.status == 500 or code in NEVER else None


def fuzz_uploads(port: int, seconds: float, chance: random.Random, kept: Path) -> tuple[int, int]:
    """Post spoilt inputs for so long: how many, and how many of them were trouble."""
    posted = failed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        kind = chance.choice(list(KINDS))
        body = KINDS[kind](chance)
        posted += 1
        if problem := trouble(port, kind, body):
            failed += 1
            kept.mkdir(exist_ok=True)
            name = hashlib.sha256(body).hexdigest()[:12] + (".json" if kind.endswith("json") else ".onnx")
            (kept / name).write_bytes(body)
            print(f"  {kept / name}: {problem}", flush=True)
    return posted, failed


def fuzz_addresses(port: int, seconds: float) -> int:
    """Let schemathesis call every address, with all its checks but one: its exit code."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{port}/openapi.json", "--checks", "all"]
    # No schema can say that a layer, a report or a model is there: a request that fits it may be refused all the same.
    command += ["--exclude-checks", "positive_data_acceptance", "--max-time", str(int(seconds)), "--max-examples", "100"]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode


def fuzz_scanner(seconds: float) -> int:
    """Let atheris feed the wire scanner: its exit code, 0 where it is not installed."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: the wire scanner is fuzzed by changed bytes only", flush=True)
        return 0
    command = [sys.executable, "-m", "tests.fuzz_scanner", f"-max_total_time={int(seconds)}"]
    return subprocess.run(command, cwd=REPOSITORY, check=False).returncode


def left_behind(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that are there some seconds after the service was told to stop."""
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    deadline = time.monotonic() + 10
    while members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return members(process.pid)


def main() -> None:
    """Run all three; exit with 1 where something was found."""
    seconds = 60 * float(os.environ.get("FUZZ_MINUTES", "10"))
    seed = int(os.environ.get("FUZZ_SEED", "0")) or int(time.time())
    kept = Path(os.environ.get("FUZZ_KEPT", "fuzz-kept"))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as data, gunicorn(Path(data)) as (process, port):
        wait_until_ready(port)
        posted, failed = fuzz_uploads(port, seconds / 2, random.Random(seed), kept)
        print(f"{posted} uploads, {failed} of them trouble", flush=True)
        addresses = fuzz_addresses(port, seconds / 3)
        ready = asked(port, "GET", "/readyz").status
        orphans = left_behind(process)
    scanner = fuzz_scanner(seconds / 6)
    print(f"ready {ready}, left behind {len(orphans)}, addresses {addresses}, scanner {scanner}")
    sys.exit(bool(failed or addresses or scanner or orphans or ready != 200))


if __name__ == "__main__":
    main()
