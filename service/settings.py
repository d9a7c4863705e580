"""The settings of the service: one table, read from the environment, shown in docs/settings.md."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from environs import EnvError, FileAwareEnv, validate

from service.limits import LIMITS, check_limits

PREFIX = "RECEPTIVE_"
FILE = "_FILE"
"""RECEPTIVE_X_FILE names a file that holds the value of RECEPTIVE_X, as secrets are given to containers."""

OTHERS = frozenset({"RECEPTIVE_BIND", "RECEPTIVE_URL", "RECEPTIVE_TOKEN", "RECEPTIVE_CORPUS"})
"""Variables of the server (where it listens), of the command line and of the tests."""

MIN_LIKENESS = 0.8
"""How much alike two names are where one may be a misspelling of the other (difflib)."""

FOREIGN = re.compile(r"RECEPTIVE_(?:TEST_|(?:SERVICE_HOST|SERVICE_PORT|PORT)(?:_|\Z))")
"""What tells the tests where databases and brokers are, and what Kubernetes sets in every container beside a service called receptive."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE


def about(meaning: str, lowest: float | None = None) -> dict[str, object]:
    """What the documentation says of a setting, and the least value it may have."""
    return {"meaning": meaning, "lowest": lowest}


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose. Each field is the environment variable RECEPTIVE_ + its name in capitals."""

    data_dir: Path = field(default=Path("data"), metadata=about("The directory of the database, the models and uploads in progress."))
    database_url: str = field(default="", metadata=about("SQLAlchemy address of the database; empty for SQLite in the data directory."))
    broker_url: str = field(
        default="",
        metadata=about(
            "Where jobs wait for workers on other machines: `redis://host:6379/0` or `amqp://user:password@host//`; "
            "empty where each server process works on its jobs itself."
        ),
    )
    broker_queue: str = field(
        default="receptive", metadata=about("The name of the queue there; services that share a broker have one each.")
    )
    broker_queue_size: int = field(default=100_000, metadata=about("How many jobs may wait for workers; one more is answered with 503.", 1))
    blobs_url: str = field(
        default="",
        metadata=about(
            "Where models are kept: `s3://bucket/prefix`, `gs://…`, `az://…`, or `file:///folder` for a folder that machines share; "
            "empty for the data directory."
        ),
    )
    blobs_cache_bytes: int = field(
        default=20 * GIBIBYTE,
        metadata=about("How much of an object store may lie on this machine's disk to be read there, in bytes.", 1),
    )
    max_upload_bytes: int = field(default=4 * GIBIBYTE, metadata=about("The largest request body, in bytes.", 1))
    max_upload_parts: int = field(default=1000, metadata=about("The most parts of a `multipart/form-data` body.", 1))
    max_options_bytes: int = field(default=MEBIBYTE, metadata=about("The largest `options` part of a form, in bytes.", 1))
    max_uploads: int = field(
        default=16,
        metadata=about("How many requests may send a body to a server process at the same time; one more is answered with 503.", 1),
    )
    max_waits: int = field(
        default=12,
        metadata=about("How many requests may wait for a job in a server process; one more is answered with 202, or 503 for a picture.", 1),
    )
    upload_idle_seconds: float = field(default=60.0, metadata=about("How long an upload may pause, in seconds.", 0.1))
    pool_size: int = field(default=2, metadata=about("How many jobs each server process runs at the same time.", 1))
    queue_size: int = field(default=64, metadata=about("How many jobs may wait in each server process; one more is answered with 503.", 1))
    wait_seconds: float = field(default=25.0, metadata=about("How long a request waits for its job before it is answered with 202.", 0))
    job_memory_bytes: int = field(
        default=2 * GIBIBYTE,
        metadata=about(
            "The address space of a job's process, and what the process that draws charts may write to, in bytes (RLIMIT_AS, RLIMIT_DATA).",
            256 * MEBIBYTE,
        ),
    )
    max_report_bytes: int = field(
        default=32 * MEBIBYTE,
        metadata=about("The longest report that is kept, in bytes; a longer one is cut, and a finding says what it leaves out.", 65536),
    )
    job_cpu_seconds: int = field(default=300, metadata=about("The processor time of a job, in seconds (RLIMIT_CPU).", 1))
    job_wall_seconds: float = field(default=600.0, metadata=about("The time from a job's start until it is stopped, in seconds.", 0.1))
    job_keep_seconds: float = field(default=86400.0, metadata=about("How long a finished job can be asked for, in seconds.", 1))
    auto_read_bytes: int = field(
        default=512 * MEBIBYTE,
        metadata=about("`read_weights=auto` reads all weights of an upload up to this size in bytes, else the first layer's.", 0),
    )
    require_token: bool = field(
        default=False,
        metadata=about("Whether every address but those of health wants a token; without it everybody is the project `default`."),
    )
    oidc_issuer: str = field(
        default="", metadata=about("The OpenID Connect provider whose tokens are taken, beside our own; a token is required then.")
    )
    oidc_audience: str = field(default="receptive", metadata=about("The audience (`aud`) that a provider's token must be for."))
    oidc_project_claim: str = field(default="project", metadata=about("The claim of a provider's token that names its project."))
    oidc_scope_claim: str = field(
        default="scope",
        metadata=about("The claim of a provider's token with `read`, `write` or `admin`, alone or after `receptive:`."),
    )
    hosts: str = field(
        default="",
        metadata=about("The names by which the service may be asked, with commas; `.example.com` means all below. Empty: any."),
    )
    cors_origins: str = field(
        default="", metadata=about("The origins whose pages may use the API from a browser, with commas (`https://dash.example.com`).")
    )
    frame_ancestors: str = field(
        default="'none'", metadata=about("Who may show our pages in a frame, as in the directive `frame-ancestors` of CSP.")
    )
    rate_limit: str = field(
        default="", metadata=about("How many requests a client may make, such as `600 per minute; 20 per second`. Empty: any number.")
    )
    rate_limit_changes: str = field(default="", metadata=about("The same for requests that change something, such as uploads."))
    rate_limit_storage: str = field(
        default="memory://", metadata=about("Where requests are counted, as Flask-Limiter names it; `memory://` is each process by itself.")
    )
    max_project_analyses: int = field(default=0, metadata=about("How many analyses a project may have; one more is refused. 0: any.", 0))
    max_project_bytes: int = field(
        default=0, metadata=about("How many bytes a project's reports and models may take; more are refused. 0: any.", 0)
    )
    keep_seconds: float = field(default=0.0, metadata=about("How long an analysis is kept, in seconds. 0: for ever.", 0))
    keep_analyses: int = field(default=0, metadata=about("How many analyses of a project are kept, the newest ones. 0: all.", 0))
    keep_bytes: int = field(
        default=0, metadata=about("How many bytes of reports and models of a project are kept, the newest ones. 0: all.", 0)
    )
    sources_allowed: str = field(
        default="",
        metadata=about(
            "What `source` may name, with commas between: beginnings of addresses (`s3://bucket/folder/`, `https://host/`, `models:/`), "
            "hosts, and IP addresses or networks that are not public; empty for nothing."
        ),
    )
    sources_read_bytes: int = field(
        default=64 * MEBIBYTE,
        metadata=about("`read_weights=auto` reads all weights of a model that lies elsewhere up to this size in bytes.", 0),
    )
    mlflow_url: str = field(
        default="", metadata=about("The MLflow server of `models:/name/version`, such as `https://mlflow.example.org`.")
    )
    log_level: str = field(default="INFO", metadata=about("The least severe log lines written: " + ", ".join(LOG_LEVELS) + "."))

    @property
    def closed(self) -> bool:
        """Whether nobody is let in without a token."""
        return self.require_token or bool(self.oidc_issuer)

    @property
    def database(self) -> str:
        """The SQLAlchemy address of the database in use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'receptive.sqlite3'}"


def load_settings() -> Settings:
    """The settings that the environment names, with defaults for the rest. SystemExit with one clear line where one is wrong or unknown."""
    try:
        check_names(os.environ)
        check_limits(os.environ)
        env = FileAwareEnv(strip_whitespace=True)
        return Settings(**{entry.name: _read(env, entry.name, entry.default, entry.metadata["lowest"]) for entry in fields(Settings)})
    except (EnvError, ValueError) as error:
        raise SystemExit(f"receptive: {error}") from error


def check_names(names: Iterable[str]) -> None:
    """ValueError where a variable has our prefix and is no setting: a misspelt one would silently do nothing."""
    variables = {PREFIX + entry.name.upper() for entry in fields(Settings)} | {limit.variable for limit in LIMITS}
    given = set(names)
    for name in sorted(given):
        setting = name.removesuffix(FILE)
        if name.startswith(PREFIX) and setting not in variables and name not in OTHERS and not FOREIGN.match(name):
            close = get_close_matches(name, variables, 1, MIN_LIKENESS)
            raise ValueError(f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else "; see docs/settings.md."))
        if name != setting and setting in variables & given:
            raise ValueError(f"{setting} and {name} are both set; keep one of them.")


def _read(env: FileAwareEnv, name: str, default: Any, lowest: float | None) -> Any:
    """The environment's value for the setting `name`, of the type of its default."""
    variable = PREFIX + name.upper()
    checks = [] if lowest is None else [validate.Range(min=lowest)]
    if isinstance(default, bool):
        return env.bool(variable, default)
    if isinstance(default, int):
        return env.int(variable, default, validate=checks)
    if isinstance(default, float):
        return env.float(variable, default, validate=checks)
    if isinstance(default, Path):
        return env.path(variable, default)
    return env.str(variable, default, validate=[validate.OneOf(LOG_LEVELS)] if name == "log_level" else [])


def settings_table() -> str:
    """The settings as a Markdown table, as docs/settings.md shows it."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for entry in fields(Settings):
        default = f"`{entry.default}`" if str(entry.default) else ""
        lines.append(f"| `{PREFIX}{entry.name.upper()}` | {default} | {entry.metadata['meaning']} |")
    return "\n".join(lines)
