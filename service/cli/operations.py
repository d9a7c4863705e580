"""The subcommands of whoever operates the service, on the machine where its data is: token, config and store."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from dataclasses import fields
from typing import get_args

import click

from service.clock import now
from service.report.identity import DEFAULT_PROJECT, Project
from service.settings import PREFIX, Settings, load_settings
from service.store import Store, open_store, retention
from service.store.access import digest_of
from service.store.interfaces import Scope, StoreError, Token

DAY = 86400.0
SECRETS = ("database_url", "rate_limit_storage")
"""Settings that may hold a password."""


@contextlib.contextmanager
def opened_store() -> Iterator[Store]:
    """The store that the environment names."""
    try:
        store = open_store(load_settings())
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise click.ClickException(f"the store cannot do this: {error}") from None


@click.command()
def config() -> None:
    """Print the settings in effect, one variable a line; passwords are left out."""
    settings = load_settings()
    for entry in fields(Settings):
        value = getattr(settings, entry.name)
        hidden = entry.name in SECRETS and "@" in str(value)
        source = "" if value == entry.default else "  # default: " + (str(entry.default) or "empty")
        click.echo(f"{PREFIX}{entry.name.upper()}={'(hidden)' if hidden else value}{source}")


@click.group()
def token() -> None:
    """Make, list and revoke the tokens by which clients are let in (RECEPTIVE_REQUIRE_TOKEN)."""


@token.command()
@click.argument("name")
@click.option("--project", default=DEFAULT_PROJECT, show_default=True, help="Whom its analyses belong to.")
@click.option("--scope", type=click.Choice(get_args(Scope)), default="write", show_default=True, help="Each includes those before it.")
@click.option("--days", type=click.FloatRange(0.0, 36500.0, min_open=True), help="How long it is good for. Default: until it is revoked.")
def create(name: str, project: str, scope: Scope, days: float | None) -> None:
    """Make a token called NAME and print it, this one time."""
    if not 0 < len(project) <= 64 or not project.isprintable():
        raise click.BadParameter("a project's name has 1 to 64 printable characters", param_hint="--project")
    expires = None if days is None else now(-days * DAY)
    with opened_store() as store:
        click.echo(_made(store, Token(Project(project), secrets.token_hex(6), name, scope, now(), expires)))


@token.command()
@click.argument("token_id", metavar="ID")
@click.option("--project", default=DEFAULT_PROJECT, show_default=True)
@click.option("--grace", "hours", type=click.FloatRange(0.0), default=24.0, show_default=True, help="Hours that the old one still works.")
def rotate(token_id: str, project: str, hours: float) -> None:
    """Make a token in the place of another, and print it, this one time."""
    with opened_store() as store:
        old = _revoked(store, Project(project), token_id, now(-hours * 3600.0))
        click.echo(_made(store, Token(old.project, secrets.token_hex(6), old.name, old.scope, now(), old.expires_at)))


@token.command("list")
@click.option("--project", help="Default: of all projects.")
def list_tokens(project: str | None) -> None:
    """List tokens, one JSON object a line. The tokens themselves are kept nowhere."""
    with opened_store() as store:
        for each in store.tokens.list(None if project is None else Project(project)):
            click.echo(json.dumps({name: getattr(each, name) for name in Token.__slots__}))


@token.command()
@click.argument("token_id", metavar="ID")
@click.option("--project", default=DEFAULT_PROJECT, show_default=True)
def revoke(token_id: str, project: str) -> None:
    """Make a token worthless at once."""
    with opened_store() as store:
        _revoked(store, Project(project), token_id, now())


@click.group()
def store() -> None:
    """Look after what is stored."""


@store.command()
def verify() -> None:
    """Read every stored file and report, and say which are not what they were. Exit with 1 where there are any."""
    with opened_store() as opened:
        faults = list(opened.verify())
    for fault in faults:
        click.echo(fault)
    if faults:
        raise SystemExit(1)
    click.echo("ok")


@store.command()
def gc() -> None:
    """Remove what nobody needs: files without a report, and what retention says (RECEPTIVE_KEEP_…)."""
    with opened_store() as opened:
        click.echo(f"removed {opened.retain(retention(load_settings()))} analyses and {opened.collect()} files")


def _made(store: Store, made: Token) -> str:
    """A new token of that description: its id, so that it is found again in logs, and 256 random bits."""
    text = f"receptive_{made.id}_{secrets.token_urlsafe(32)}"
    store.tokens.add(made, digest_of(text))
    return text


def _revoked(store: Store, project: Project, token_id: str, moment: str) -> Token:
    old = store.tokens.revoke(project, token_id, moment)
    if old is None:
        raise click.ClickException(f"the project {project} has no token {token_id} that is good")
    return old
