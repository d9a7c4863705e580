"""Tokens of an OpenID Connect provider: signed by a key that it publishes, from this issuer, for this audience, and not expired."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from typing import Any

import jwt

from service.api.http.caller import Caller
from service.report.identity import Project
from service.settings import Settings
from service.store.interfaces import SCOPES

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a private key. Those by a shared secret are left out: a public key would be taken for one."""

LEEWAY_SECONDS = 30
TIMEOUT_SECONDS = 5.0
KEYS_SECONDS = 300.0
COOL_SECONDS = 30.0
"""How soon a provider is asked again for keys, where a token names one that is not known."""

MAX_DOCUMENT_BYTES = 1 << 20
MAX_NAME_LENGTH = 64
PREFIX = "receptive:"


class UnknownToken(ValueError):
    """A token that the provider did not give out for us; the message is for the log."""


class Provider:
    """An OpenID Connect provider. Its keys are fetched when the first token comes, and again when a token names one that is new."""

    def __init__(self, issuer: str, audience: str, project_claim: str, scope_claim: str) -> None:
        self._issuer, self._audience, self._project_claim, self._scope_claim = issuer, audience, project_claim, scope_claim
        self._keys: jwt.PyJWKClient | None = None
        self._asked_at = float("-inf")
        self._lock = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> Provider | None:
        """The provider that the settings name, if they name one."""
        if not settings.oidc_issuer:
            return None
        return cls(settings.oidc_issuer, settings.oidc_audience, settings.oidc_project_claim, settings.oidc_scope_claim)

    def caller(self, token: str) -> Caller:
        """Whoever bears a token. UnknownToken where it is not the provider's, not for us, or out of date."""
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, OSError, ValueError) as error:
            raise UnknownToken(f"{type(error).__name__}: {error}"[:200]) from None
        return self._allowed(claims)

    def _allowed(self, claims: dict[str, Any]) -> Caller:
        project, words = claims.get(self._project_claim), claims.get(self._scope_claim, "")
        if not isinstance(project, str) or not 0 < len(project) <= MAX_NAME_LENGTH:
            raise UnknownToken(f"the claim {self._project_claim} names no project")
        given = words.split() if isinstance(words, str) else words if isinstance(words, list) else []
        scopes = [scope for scope in SCOPES if scope in given or f"{PREFIX}{scope}" in given]
        if not scopes:
            raise UnknownToken(f"the claim {self._scope_claim} holds none of {', '.join(SCOPES)}")
        return Caller(Project(project), scopes[-1], f"oidc:{claims['sub']}"[:128])

    def _key(self, name: str) -> jwt.PyJWK:
        """The provider's key of that name. One that is not known may be new, so its keys are asked for again, but not for every token."""
        with self._lock:
            keys = self._known_keys().get_signing_keys()
            found = [key for key in keys if key.key_id == name]
            if not found and time.monotonic() - self._asked_at > COOL_SECONDS:
                self._asked_at = time.monotonic()
                found = [key for key in self._known_keys().get_signing_keys(refresh=True) if key.key_id == name]
        if not found:
            raise UnknownToken("the provider has no key of that name")
        return found[0]

    def _known_keys(self) -> jwt.PyJWKClient:
        if self._keys is None:
            document = _fetched(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if document.get("issuer") != self._issuer:
                raise UnknownToken("the provider calls itself something else than the setting does")
            self._keys = jwt.PyJWKClient(str(document.get("jwks_uri")), lifespan=KEYS_SECONDS, timeout=TIMEOUT_SECONDS)
            self._asked_at = time.monotonic()
        return self._keys


def _fetched(address: str) -> dict[str, Any]:
    """The JSON object at an address that the operator trusts."""
    if not address.startswith(("https://", "http://")):
        raise UnknownToken(f"{address} is no address of the web")
    with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
        document = json.loads(answer.read(MAX_DOCUMENT_BYTES))
    if not isinstance(document, dict):
        raise UnknownToken("the provider's description is not a JSON object")
    return document
