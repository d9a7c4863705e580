"""What every store of tokens keeps to."""

from __future__ import annotations

from service.clock import now
from service.report.identity import DEFAULT_PROJECT, Digest, Project
from service.store import Store
from service.store.interfaces import Token

A, B, C = (Digest(letter * 64) for letter in "abc")
OTHER = Project("other")


def token(name: str, project: Project = DEFAULT_PROJECT, expires: str | None = None) -> Token:
    return Token(project, name, f"the {name}", "write", now(), expires)


def test_token_is_found_by_its_digest_while_it_is_good(store: Store) -> None:
    good, old = token("good", expires=now(-60)), token("old", expires=now(1))
    store.tokens.add(good, A)
    store.tokens.add(old, B)
    assert (store.tokens.find(A), store.tokens.find(B), store.tokens.find(C)) == (good, None, None)
    assert store.tokens.list() == [good, old]


def test_revoked_token_is_good_until_the_moment_that_was_named(store: Store) -> None:
    store.tokens.add(token("now"), A)
    store.tokens.add(token("later"), B)
    assert store.tokens.revoke(DEFAULT_PROJECT, "now", now()) is not None and store.tokens.find(A) is None
    assert store.tokens.revoke(DEFAULT_PROJECT, "now", now()) is None
    assert store.tokens.revoke(DEFAULT_PROJECT, "later", now(-60)) is not None and store.tokens.find(B) is not None


def test_token_is_its_projects_alone(store: Store) -> None:
    mine, theirs = token("one"), token("one", OTHER)
    store.tokens.add(mine, A)
    store.tokens.add(theirs, B)
    assert store.tokens.list(OTHER) == [theirs]
    assert store.tokens.revoke(OTHER, "one", now()) is not None
    assert (store.tokens.find(A), store.tokens.find(B)) == (mine, None)
    assert store.tokens.revoke(Project("third"), "one", now()) is None
