"""Objects of S3, Google Cloud Storage and Azure, by obstore (the extra `fleet`).

Where these services are and who asks them is for the environment to say (AWS_…, GOOGLE_…, AZURE_…): an address names a bucket and a key
only, so it cannot lead anywhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import cache

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, PreconditionError, UnauthenticatedError
from obstore.store import ObjectStore, from_url

from service.faults import Refused
from service.sources.address import Address
from service.sources.http import changed

PAGE_OBJECTS = 1000
"""Objects that are listed at a time, which is what the services give in one answer."""

RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}

MISSING = (NotFoundError, FileNotFoundError)
ERRORS = (BaseError, OSError)
"""What obstore raises: where nothing is found, one of its own errors or FileNotFoundError."""


@cache
def _store(scheme: str, bucket: str) -> ObjectStore:
    """The bucket."""
    # An endpoint without TLS is one that the operator has chosen.
    client = {"connect_timeout": "10s", "timeout": "60s", "allow_http": True}
    store: ObjectStore = from_url(f"{scheme}://{bucket}", client_options=client, retry_config=RETRIES)  # type: ignore[call-overload]
    return store


class StoreObject:
    """An object of a bucket, as it was when it was opened.

    Refused `source-not-found`, `source-changed` where it is another than `version`, and `source-failed`.
    """

    def __init__(self, address: Address, version: str | None = None) -> None:
        self._address, self._version = address, version
        self._store = _store(address.scheme, address.place)
        try:
            meta = obstore.head(self._store, address.path)
        except ERRORS as error:
            raise self._refused(error) from None
        found = meta["e_tag"] or meta["version"]
        if found is None:
            raise Refused("source", "source-failed", f"The store gives no ETag of {address}, so a change would not be noticed.")
        if version not in (None, found):
            raise changed(address)
        self._version, self._tag, self._size = found, meta["e_tag"], meta["size"]
        if not self._size:
            raise Refused("malformed", "empty-body", f"{address} is empty.")

    @property
    def size(self) -> int:
        """The number of bytes there are."""
        return self._size

    @property
    def version(self) -> str:
        """The entity tag, or the version where the store gives no tag."""
        return self._version or ""

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes from `start` up to `stop`."""
        try:
            got = obstore.get(self._store, self._address.path, options={"range": (start, stop), "if_match": self._tag})
            if got.meta["e_tag"] != self._tag or got.meta["size"] != self._size:
                raise changed(self._address)
            return bytes(got.bytes())
        except ERRORS as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> Refused:
        known: Mapping[type[Exception], str] = {
            PermissionDeniedError: "its owner does not let this service read it",
            UnauthenticatedError: "the store does not know this service",
        }
        if isinstance(error, MISSING) and self._version is None:
            return Refused("source", "source-not-found", f"There is nothing at {self._address}.")
        if isinstance(error, (PreconditionError, *MISSING)):
            return changed(self._address)
        reason = known.get(type(error), "the store did not answer as it should")
        return Refused("source", "source-failed", f"{self._address} cannot be read: {reason}.")


def list_objects(address: Address, after: str | None) -> tuple[list[Address], str | None]:
    """The models in a folder of a bucket and below it, in the order of their keys: one page of them, after the key `after`, and the key to
    go on after (None where nothing follows)."""
    store = _store(address.scheme, address.place)
    try:
        page = next(iter(obstore.list(store, address.path or None, offset=after, chunk_size=PAGE_OBJECTS)), ())
    except ERRORS:
        raise Refused("source", "source-failed", f"{address} cannot be listed.") from None
    keys = [meta["path"] for meta in page]
    models = [Address(address.scheme, address.place, key) for key in keys if key.endswith(".onnx")]
    return models, keys[-1] if len(keys) == PAGE_OBJECTS else None
