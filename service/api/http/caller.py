"""Who makes this request."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g

from service.report.identity import Project
from service.store.interfaces import SCOPES, Scope

NOBODYS = Project("")
"""The project of whoever did not say who he is, where that is wanted: nothing belongs to it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever asks: the project that is worked for, what may be done there, and a name that stays the same from request to request."""

    project: Project
    scope: Scope
    name: str

    def may(self, scope: Scope) -> bool:
        """Whether the caller may do what needs that scope."""
        return SCOPES.index(scope) <= SCOPES.index(self.scope)


def caller() -> Caller:
    """Who makes this request; the access hook has noted it (see access)."""
    found = g.get("caller")
    return found if isinstance(found, Caller) else Caller(NOBODYS, "read", "nobody")


def project() -> Project:
    """Whom this request works for: everything that it finds, makes or removes belongs to that project."""
    return caller().project
