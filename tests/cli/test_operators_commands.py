"""The subcommands of operators: tokens, settings, and the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import receptive
from service.settings import Settings
from service.store import open_store
from service.store.access import digest_of


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("RECEPTIVE_DATA_DIR", str(tmp_path / "data"))
    return CliRunner()


def said(run: CliRunner, *arguments: str, code: int = 0) -> str:
    result = run.invoke(receptive, arguments)
    assert result.exit_code == code, result.output
    return result.output.strip()


def scope_of(tmp_path: Path, token: str) -> tuple[str, str] | None:
    store = open_store(Settings(data_dir=tmp_path / "data"))
    found = store.tokens.find(digest_of(token))
    store.close()
    return None if found is None else (found.project, found.scope)


def test_token_is_shown_once_and_kept_as_a_digest(run: CliRunner, tmp_path: Path) -> None:
    first, second = said(run, "token", "create", "ci"), said(run, "token", "create", "ci", "--project", "vision", "--scope", "read")
    assert first != second and len(first) > 50
    assert (scope_of(tmp_path, first), scope_of(tmp_path, second)) == (("default", "write"), ("vision", "read"))
    listed = [json.loads(line) for line in said(run, "token", "list").splitlines()]
    assert [(each["project"], each["name"], each["scope"]) for each in listed] == [("default", "ci", "write"), ("vision", "ci", "read")]
    assert [json.loads(line)["project"] for line in said(run, "token", "list", "--project", "vision").splitlines()] == ["vision"]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file())
    assert first.rpartition("_")[2].encode() not in kept and listed[0]["id"].encode() in kept


def test_token_is_revoked_and_rotated(run: CliRunner, tmp_path: Path) -> None:
    first = said(run, "token", "create", "ci", "--project", "vision", "--days", "1")
    name = first.split("_")[1]
    assert "no token" in said(run, "token", "revoke", name, code=1)
    second = said(run, "token", "rotate", name, "--project", "vision")
    assert (scope_of(tmp_path, first), scope_of(tmp_path, second)) == (("vision", "write"),) * 2
    third = said(run, "token", "rotate", second.split("_")[1], "--project", "vision", "--grace", "0")
    assert (scope_of(tmp_path, second), scope_of(tmp_path, third)) == (None, ("vision", "write"))
    said(run, "token", "revoke", third.split("_")[1], "--project", "vision")
    assert scope_of(tmp_path, third) is None


@pytest.mark.parametrize("project", ["", "x" * 65, "a\nb"])
def test_project_has_a_name(run: CliRunner, project: str) -> None:
    assert "printable" in said(run, "token", "create", "ci", "--project", project, code=2)


def test_settings_in_effect_are_printed_without_passwords(run: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECEPTIVE_POOL_SIZE", "3")
    monkeypatch.setenv("RECEPTIVE_DATABASE_URL", "postgresql+psycopg://me:secret@host/db")
    printed = said(run, "config")
    assert "secret" not in printed and "RECEPTIVE_DATABASE_URL=(hidden)" in printed
    assert "RECEPTIVE_POOL_SIZE=3  # default: 2" in printed.splitlines()
    monkeypatch.setenv("RECEPTIVE_POOL_SIZE", "0")
    assert run.invoke(receptive, ["config"]).exit_code == 1


def test_store_is_verified_and_tidied_up(run: CliRunner, tmp_path: Path) -> None:
    assert said(run, "store", "verify") == "ok"
    assert said(run, "store", "gc") == "removed 0 analyses and 0 files"
